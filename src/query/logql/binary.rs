//! Binary operators, as Loki has them: a vector and a number, two vectors matched by labels, sets.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use model::Labels;

use super::ast::{BinaryOp, Cardinality, Matching};
use super::value::{Series, Val, absent, filled, is_absent};
use crate::QueryError;

/// The operator and how the sides find each other.
pub(crate) struct Operation<'a> {
    pub(crate) op: BinaryOp,
    pub(crate) return_bool: bool,
    pub(crate) matching: &'a Matching,
    /// A division that an average was made into: its sides meet by their empty labels too.
    pub(crate) is_mean: bool,
}

pub(crate) fn apply(operation: &Operation<'_>, lhs: Val, rhs: Val, steps: usize) -> Result<Val, QueryError> {
    Ok(match (lhs, rhs) {
        (Val::Scalar(a), Val::Scalar(b)) => Val::Scalar(operation.op.apply(a, b).unwrap_or(f64::NAN)),
        (Val::Vector(series), Val::Scalar(number)) => Val::Vector(with_number(operation, series, number, false)),
        (Val::Scalar(number), Val::Vector(series)) => Val::Vector(with_number(operation, series, number, true)),
        (Val::Vector(lhs), Val::Vector(rhs)) if operation.op.is_set() => Val::Vector(set(operation, lhs, rhs, steps)),
        (Val::Vector(lhs), Val::Vector(rhs)) => Val::Vector(vectors(operation, lhs, rhs, steps)?),
    })
}

/// The value of a pair; `None` where a comparison filters it out. `kept` is what a filter lets through.
fn value(operation: &Operation<'_>, a: f64, b: f64, kept: f64) -> Option<f64> {
    match operation.op.comparison() {
        Some(comparison) if !operation.return_bool => comparison.holds(a, b).then_some(kept),
        _ => operation.op.apply(a, b),
    }
}

fn with_number(operation: &Operation<'_>, mut series: Vec<Series>, number: f64, is_left: bool) -> Vec<Series> {
    for one in &mut series {
        for found in one.values.iter_mut().filter(|value| !is_absent(**value)) {
            let (a, b) = if is_left { (number, *found) } else { (*found, number) };
            *found = value(operation, a, b, *found).unwrap_or_else(absent);
        }
    }
    series.retain(Series::has_any);
    series
}

/// The labels that decide who meets whom.
fn signature(operation: &Operation<'_>, labels: &Labels) -> Labels {
    let Matching { on, labels: named, .. } = operation.matching;
    let found = labels.filtered(|name| named.iter().any(|label| label == name) == *on);
    if operation.is_mean { found } else { filled(found) }
}

/// Small numbers for signatures: equal ones are equal.
#[derive(Default)]
struct Signatures(HashMap<Labels, usize, RandomState>);

impl Signatures {
    fn of(&mut self, operation: &Operation<'_>, series: &[Series]) -> Vec<usize> {
        let number = |one: &Series| {
            let next = self.0.len();
            *self.0.entry(signature(operation, &one.labels)).or_insert(next)
        };
        series.iter().map(number).collect()
    }
}

fn set(operation: &Operation<'_>, mut lhs: Vec<Series>, mut rhs: Vec<Series>, steps: usize) -> Vec<Series> {
    let mut signatures = Signatures::default();
    let left = signatures.of(operation, &lhs);
    let right = signatures.of(operation, &rhs);
    let mut there = vec![false; signatures.0.len()];
    for step in 0..steps {
        there.fill(false);
        let (asking, asked) = match operation.op {
            // What the left has hides the right's.
            BinaryOp::Or => ((&mut rhs, &right), (&lhs, &left)),
            _ => ((&mut lhs, &left), (&rhs, &right)),
        };
        for (one, signature) in asked.0.iter().zip(asked.1) {
            there[*signature] |= !is_absent(one.values[step]);
        }
        let wanted = operation.op == BinaryOp::And;
        for (one, signature) in asking.0.iter_mut().zip(asking.1) {
            if there[*signature] != wanted {
                one.values[step] = absent();
            }
        }
    }
    if operation.op == BinaryOp::Or {
        lhs.extend(rhs);
    }
    lhs.retain(Series::has_any);
    lhs
}

fn wrong(reason: &str) -> QueryError {
    QueryError::Inapplicable { reason: reason.into() }
}

fn vectors(
    operation: &Operation<'_>,
    lhs: Vec<Series>,
    rhs: Vec<Series>,
    steps: usize,
) -> Result<Vec<Series>, QueryError> {
    let matching = operation.matching;
    let swapped = matching.cardinality == Cardinality::OneToMany;
    let (many, one) = if swapped { (rhs, lhs) } else { (lhs, rhs) };
    let mut signatures = Signatures::default();
    let of_many = signatures.of(operation, &many);
    let of_one = signatures.of(operation, &one);
    // Which of the "one" side is there for a signature, and which of the many met it, at the step.
    let mut there: Vec<Option<usize>> = vec![None; signatures.0.len()];
    let mut met: Vec<Option<usize>> = vec![None; signatures.0.len()];
    let mut out: Vec<Series> = Vec::new();
    let mut place_of: HashMap<Labels, usize, RandomState> = HashMap::default();
    let mut of_pair: HashMap<(usize, usize), usize, RandomState> = HashMap::default();
    let mut written: Vec<usize> = Vec::new();
    for step in 0..steps {
        there.fill(None);
        met.fill(None);
        for (at, signature) in of_one.iter().enumerate().filter(|(at, _)| !is_absent(one[*at].values[step])) {
            if there[*signature].replace(at).is_some() {
                let side = if swapped { "left" } else { "right" };
                return Err(wrong(&format!(
                    "found duplicate series on the {side} hand-side;many-to-many matching not allowed: matching labels must be \
                     unique on one side"
                )));
            }
        }
        for (at, signature) in of_many.iter().enumerate() {
            let many_value = many[at].values[step];
            let Some(partner) = there[*signature].filter(|_| !is_absent(many_value)) else { continue };
            let is_first = met[*signature].replace(at).is_none();
            if !is_first && matching.cardinality == Cardinality::OneToOne {
                return Err(wrong(
                    "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)",
                ));
            }
            let place = *of_pair.entry((at, partner)).or_insert_with(|| {
                let labels = result_labels(operation, &many[at].labels, &one[partner].labels);
                // Averages whose labels differ in what is empty stay several, though they look alike.
                let known = if operation.is_mean { many[at].labels.clone() } else { labels.clone() };
                *place_of.entry(known).or_insert_with(|| {
                    out.push(Series::empty(labels, steps));
                    written.push(usize::MAX);
                    out.len() - 1
                })
            });
            if written[place] == step && matching.cardinality != Cardinality::OneToOne {
                return Err(wrong("multiple matches for labels: grouping labels must ensure unique matches"));
            }
            written[place] = step;
            let one_value = one[partner].values[step];
            let (a, b) = if swapped { (one_value, many_value) } else { (many_value, one_value) };
            if let Some(value) = value(operation, a, b, a) {
                out[place].values[step] = value;
            }
        }
    }
    out.retain(Series::has_any);
    Ok(out)
}

fn result_labels(operation: &Operation<'_>, many: &Labels, one: &Labels) -> Labels {
    let mut labels = match operation.matching.cardinality {
        Cardinality::OneToOne => signature(operation, many),
        _ => many.clone(),
    };
    for name in &operation.matching.include {
        labels = labels.with(name, one.value(name));
    }
    filled(labels)
}

#[cfg(test)]
mod tests {
    use super::*;

    type Pairs<'a> = &'a [(&'a str, &'a str)];

    fn series(all: &[(Pairs<'_>, f64)]) -> Vec<Series> {
        let labels = |pairs: Pairs<'_>| Labels::from_sorted(pairs.iter().map(|(n, v)| ((*n).into(), (*v).into())));
        all.iter().map(|(pairs, value)| Series { labels: labels(pairs), values: vec![*value] }).collect()
    }

    fn shown(val: Result<Val, QueryError>) -> String {
        match val {
            Err(error) => error.to_string(),
            Ok(Val::Scalar(value)) => value.to_string(),
            Ok(Val::Vector(all)) => {
                let mut lines: Vec<String> =
                    all.iter().map(|one| format!("{} {}", one.labels, one.values[0])).collect();
                lines.sort();
                lines.join("; ")
            }
        }
    }

    #[test]
    fn sides_meet_by_their_labels() {
        let left = || {
            series(&[
                (&[("a", "1"), ("b", "x")], 10.0),
                (&[("a", "2"), ("b", "y")], 20.0),
                (&[("a", "2"), ("b", "z")], 30.0),
            ])
        };
        let right = || series(&[(&[("a", "1"), ("c", "p")], 2.0), (&[("a", "2"), ("c", "q")], 0.0)]);
        let on = |cardinality, include: &[&str]| Matching {
            cardinality,
            on: true,
            labels: vec!["a".into()],
            include: include.iter().map(|name| (*name).into()).collect(),
        };
        let run = |op, return_bool, matching: &Matching, lhs, rhs| {
            shown(apply(
                &Operation { op, return_bool, matching, is_mean: false },
                Val::Vector(lhs),
                Val::Vector(rhs),
                1,
            ))
        };
        let many = on(Cardinality::ManyToOne, &["c"]);
        for (op, return_bool, matching, swap, expected) in [
            (
                BinaryOp::Div,
                false,
                &many,
                false,
                r#"{a="1",b="x",c="p"} 5; {a="2",b="y",c="q"} NaN; {a="2",b="z",c="q"} NaN"#,
            ),
            (BinaryOp::Greater, false, &on(Cardinality::OneToMany, &[]), true, ""),
            (
                BinaryOp::Less,
                false,
                &on(Cardinality::OneToMany, &[]),
                true,
                r#"{a="1",b="x"} 2; {a="2",b="y"} 0; {a="2",b="z"} 0"#,
            ),
            (
                BinaryOp::Greater,
                true,
                &many,
                false,
                r#"{a="1",b="x",c="p"} 1; {a="2",b="y",c="q"} 1; {a="2",b="z",c="q"} 1"#,
            ),
            (
                BinaryOp::Add,
                false,
                &on(Cardinality::OneToOne, &[]),
                false,
                "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)",
            ),
            (
                BinaryOp::Add,
                false,
                &on(Cardinality::OneToOne, &[]),
                true,
                "found duplicate series on the right hand-side;many-to-many matching not allowed: matching labels must be unique \
                 on one side",
            ),
            (BinaryOp::And, false, &on(Cardinality::OneToOne, &[]), true, r#"{a="1",c="p"} 2; {a="2",c="q"} 0"#),
            (BinaryOp::Unless, false, &Matching::default(), true, r#"{a="1",c="p"} 2; {a="2",c="q"} 0"#),
            (BinaryOp::Add, false, &Matching::default(), true, ""),
        ] {
            let (lhs, rhs) = if swap { (right(), left()) } else { (left(), right()) };
            assert_eq!(run(op, return_bool, matching, lhs, rhs), expected, "{op:?} {matching:?}");
        }
        assert_eq!(
            run(BinaryOp::Or, false, &on(Cardinality::OneToOne, &[]), right(), series(&[(&[("a", "9")], 1.0)])),
            r#"{a="1",c="p"} 2; {a="2",c="q"} 0; {a="9"} 1"#
        );
    }

    #[test]
    fn empty_labels_are_none() {
        let one = || series(&[(&[("a", "1")], 4.0)]);
        let empty = || series(&[(&[("a", "1"), ("e", "")], 8.0)]);
        let both = || series(&[(&[("a", "1")], 4.0), (&[("a", "1"), ("e", "")], 8.0)]);
        let to_one =
            Matching { on: true, cardinality: Cardinality::ManyToOne, labels: vec!["a".into()], include: vec![] };
        let run = |op, matching: &Matching, is_mean, lhs, rhs| {
            let operation = Operation { op, return_bool: false, matching, is_mean };
            shown(apply(&operation, Val::Vector(lhs), Val::Vector(rhs), 1))
        };
        let plain = &Matching::default();
        let twice = "found duplicate series on the right hand-side;many-to-many matching not allowed: matching labels must be unique on \
                     one side";
        assert_eq!(run(BinaryOp::Add, plain, false, empty(), one()), r#"{a="1"} 12"#);
        assert_eq!(run(BinaryOp::Div, plain, false, one(), both()), twice);
        assert_eq!(run(BinaryOp::Div, &to_one, false, empty(), one()), r#"{a="1"} 2"#);
        // Those of a set stay as they are.
        assert_eq!(run(BinaryOp::And, plain, false, empty(), one()), r#"{a="1",e=""} 8"#);
        assert_eq!(run(BinaryOp::Or, plain, false, empty(), one()), r#"{a="1",e=""} 8"#);
        assert_eq!(run(BinaryOp::Div, plain, true, both(), both()), r#"{a="1"} 1; {a="1"} 1"#);
    }

    #[test]
    fn numbers_meet_every_series() {
        let matching = Matching::default();
        let run = |op, return_bool, number, is_left| {
            let vector = Val::Vector(series(&[(&[("a", "1")], 5.0)]));
            let (lhs, rhs) = if is_left { (Val::Scalar(number), vector) } else { (vector, Val::Scalar(number)) };
            shown(apply(&Operation { op, return_bool, matching: &matching, is_mean: false }, lhs, rhs, 1))
        };
        for (op, return_bool, number, is_left, expected) in [
            (BinaryOp::Sub, false, 1.0, true, r#"{a="1"} -4"#),
            (BinaryOp::Sub, false, 1.0, false, r#"{a="1"} 4"#),
            (BinaryOp::Div, false, 0.0, false, r#"{a="1"} NaN"#),
            // A filter lets the vector's value through, on whichever side it stands.
            (BinaryOp::Less, false, 1.0, true, r#"{a="1"} 5"#),
            (BinaryOp::Less, false, 1.0, false, ""),
            (BinaryOp::Less, true, 1.0, false, r#"{a="1"} 0"#),
        ] {
            assert_eq!(run(op, return_bool, number, is_left), expected, "{op:?} {number}");
        }
    }
}
