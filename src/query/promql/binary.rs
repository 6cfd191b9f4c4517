//! Binary operators: scalars, a vector and a scalar, two vectors matched by labels, sets.

use std::collections::HashMap;
use std::sync::Arc;

use model::labels::METRIC_NAME;
use model::{CounterReset, Histogram, Labels};

use super::ast::{Binary, Cardinality, Matching, Op};
use super::engine::{Engine, wrong};
use super::joined::Joined;
use super::native::{self, Remarks};
use super::value::{Column, Grid, Point, Val};
use crate::QueryError;

pub(crate) fn apply(
    engine: &mut Engine<'_>,
    binary: &Binary,
    lhs: Val,
    rhs: Val,
    grid: Grid,
) -> Result<Val, QueryError> {
    let op = binary.op;
    Ok(match (lhs, rhs) {
        (Val::Scalar(_), Val::Scalar(_)) if op.is_trim() => {
            return Err(wrong(format!("operator {:?} not allowed for Scalar operations", op.text())));
        }
        (Val::Scalar(mut a), Val::Scalar(b)) => {
            for (a, b) in a.iter_mut().zip(b.iter()) {
                *a = if op.is_comparison() { f64::from(u8::from(holds(op, *a, *b))) } else { compute(op, *a, *b) };
            }
            Val::Scalar(a)
        }
        (Val::Vector(columns), Val::Scalar(scalar)) => {
            Val::Vector(with_scalar(engine, binary, columns, &scalar, false))
        }
        (Val::Scalar(scalar), Val::Vector(columns)) => Val::Vector(with_scalar(engine, binary, columns, &scalar, true)),
        (Val::Vector(lhs), Val::Vector(rhs)) if op.is_set() => set(engine, binary, lhs, rhs, grid)?,
        (Val::Vector(lhs), Val::Vector(rhs)) => Val::Vector(vectors(engine, binary, lhs, rhs, grid)?),
        _ => return Err(wrong("binary expression must contain only scalar and instant vector types")),
    })
}

fn compute(op: Op, a: f64, b: f64) -> f64 {
    match op {
        Op::Add => a + b,
        Op::Sub => a - b,
        Op::Mul => a * b,
        Op::Div => a / b,
        Op::Mod => a % b,
        Op::Pow => a.powf(b),
        Op::Atan2 => a.atan2(b),
        // Comparisons keep the left value; set operators never come here.
        _ => a,
    }
}

fn holds(op: Op, a: f64, b: f64) -> bool {
    match op {
        Op::Equal => a == b,
        Op::NotEqual => a != b,
        Op::Greater => a > b,
        Op::Less => a < b,
        Op::GreaterEqual => a >= b,
        Op::LessEqual => a <= b,
        _ => true,
    }
}

/// The value of one pair of floats: `None` where a comparison filters it out. `kept` is what a filter lets through.
fn floats(binary: &Binary, a: f64, b: f64, kept: f64) -> Option<f64> {
    if !binary.op.is_comparison() {
        return Some(compute(binary.op, a, b));
    }
    let holds = holds(binary.op, a, b);
    if binary.return_bool { Some(f64::from(u8::from(holds))) } else { holds.then_some(kept) }
}

/// The value of any pair; a comparison lets the left one through. Two that cannot meet have none, which is noted.
fn points(engine: &mut Engine<'_>, binary: &Binary, a: Point, b: Point) -> Option<Point> {
    let op = binary.op;
    let new = |histogram| Some(Point::Histogram(Arc::new(histogram)));
    let holds = match (&a, &b, op) {
        (Point::Float(a), Point::Float(b), _) if !op.is_trim() => return floats(binary, *a, *b, *a).map(Point::Float),
        (Point::Histogram(a), Point::Histogram(b), Op::Add | Op::Sub) => {
            return sum(engine, binary, a, b).and_then(new);
        }
        (Point::Histogram(h), Point::Float(factor), Op::Mul) | (Point::Float(factor), Point::Histogram(h), Op::Mul) => {
            return new(native::multiply(h, *factor));
        }
        (Point::Histogram(h), Point::Float(at), Op::TrimUpper) => return new(native::trim(h, *at, true)),
        (Point::Histogram(h), Point::Float(at), Op::TrimLower) => return new(native::trim(h, *at, false)),
        (Point::Histogram(h), Point::Float(divisor), Op::Div) => return new(native::divide(h, *divisor)),
        (Point::Histogram(a), Point::Histogram(b), Op::Equal) => native::equal(a, b),
        (Point::Histogram(a), Point::Histogram(b), Op::NotEqual) => !native::equal(a, b),
        _ => {
            let (op, a, b) = (op.text(), a.kind(), b.kind());
            let text = format!("incompatible sample types encountered for binary operator {op:?}: {a} {op} {b}");
            engine.notes.info_at(binary.lhs.span, &text);
            return None;
        }
    };
    if binary.return_bool { Some(Point::Float(f64::from(u8::from(holds)))) } else { holds.then_some(a) }
}

/// The sum or difference of two histograms, and what there is to say of it.
fn sum(engine: &mut Engine<'_>, binary: &Binary, a: &Histogram, b: &Histogram) -> Option<Histogram> {
    let (sign, what) = if binary.op == Op::Add { (1.0, "addition") } else { (-1.0, "subtraction") };
    let place = binary.lhs.span;
    let Ok((mut histogram, Remarks { collision, reconciled })) = native::plus(a, b, sign) else {
        let op = binary.op.text();
        engine.notes.warn_at(place, &format!("incompatible bucket layout encountered for binary operator {op}"));
        return None;
    };
    if reconciled {
        engine.notes.info_at(place, &format!("mismatched custom buckets were reconciled during {what}"));
    }
    if collision {
        engine.notes.warn_at(place, &format!("conflicting counter resets during histogram {what}"));
    }
    if binary.op == Op::Sub {
        histogram.reset = CounterReset::Gauge;
    }
    Some(histogram)
}

fn with_scalar(
    engine: &mut Engine<'_>,
    binary: &Binary,
    mut columns: Vec<Column>,
    scalar: &[f64],
    scalar_is_left: bool,
) -> Vec<Column> {
    for column in &mut columns {
        column.drop_name |= binary.op.drops_name() || binary.return_bool;
        if binary.op.is_trim() {
            column.change(|step, value| {
                let (a, b) = if scalar_is_left { (scalar[step], value) } else { (value, scalar[step]) };
                points(engine, binary, Point::Float(a), Point::Float(b)).and(None)
            });
        } else {
            column.change(|step, value| {
                let (a, b) = if scalar_is_left { (scalar[step], value) } else { (value, scalar[step]) };
                floats(binary, a, b, value)
            });
        }
        column.change_histograms(|step, histogram| {
            let (histogram, scalar) = (Point::Histogram(histogram), Point::Float(scalar[step]));
            if scalar_is_left {
                points(engine, binary, scalar, histogram)
            } else {
                points(engine, binary, histogram, scalar)
            }
        });
    }
    columns.retain(|column| !column.is_empty());
    columns
}

/// The labels that decide who meets whom.
fn signature(matching: &Matching, labels: &Labels) -> Labels {
    if matching.on {
        labels.filtered(|name| matching.labels.iter().any(|label| label == name))
    } else {
        // Of what says what a metric is, the name alone: series of other types or units stay apart, as in Prometheus.
        labels.filtered(|name| name != METRIC_NAME && !matching.labels.iter().any(|label| label == name))
    }
}

/// Signatures as small numbers: equal ones are equal.
#[derive(Default)]
struct Signatures(HashMap<Labels, usize>);

impl Signatures {
    fn of(&mut self, matching: &Matching, columns: &[Column]) -> Vec<usize> {
        columns
            .iter()
            .map(|column| {
                let next = self.0.len();
                *self.0.entry(signature(matching, &column.labels)).or_insert(next)
            })
            .collect()
    }
}

fn set(
    engine: &mut Engine<'_>,
    binary: &Binary,
    lhs: Vec<Column>,
    rhs: Vec<Column>,
    grid: Grid,
) -> Result<Val, QueryError> {
    let mut signatures = Signatures::default();
    let of_lhs = signatures.of(&binary.matching, &lhs);
    let of_rhs = signatures.of(&binary.matching, &rhs);
    // Where each signature has anything, on the side that decides.
    let (decides, of_decides) = if binary.op == Op::Or { (&lhs, &of_lhs) } else { (&rhs, &of_rhs) };
    engine.meter.room_for((signatures.0.len() as u64).saturating_mul(grid.count as u64))?;
    let mut present = vec![vec![]; signatures.0.len()];
    for (column, signature) in decides.iter().zip(of_decides) {
        let present: &mut Vec<bool> = &mut present[*signature];
        present.resize(grid.count, false);
        for (step, present) in present.iter_mut().enumerate() {
            *present |= column.steps.has(step);
        }
    }
    let is_present = |signature: usize, step: usize| present[signature].get(step).copied().unwrap_or(false);
    let keep = |mut columns: Vec<Column>, signatures: &[usize], wanted: bool| {
        for (column, signature) in columns.iter_mut().zip(signatures) {
            for step in 0..grid.count {
                if is_present(*signature, step) != wanted {
                    column.steps.put(step, None);
                }
            }
        }
        columns.retain(|column| !column.is_empty());
        columns
    };
    Ok(Val::Vector(match binary.op {
        Op::And => keep(lhs, &of_lhs, true),
        Op::Unless => keep(lhs, &of_lhs, false),
        _ => {
            let rhs = keep(rhs, &of_rhs, false);
            let mut both = lhs;
            both.extend(rhs);
            super::functions::labels::merge_same(both)?
        }
    }))
}

fn vectors(
    engine: &mut Engine<'_>,
    binary: &Binary,
    mut lhs: Vec<Column>,
    mut rhs: Vec<Column>,
    grid: Grid,
) -> Result<Vec<Column>, QueryError> {
    let matching = &binary.matching;
    // From here on the left side may be the many side; values are swapped back where they meet.
    let swapped = matching.cardinality == Cardinality::OneToMany;
    if swapped {
        (lhs, rhs) = (rhs, lhs);
    }
    // As Prometheus has it, and its tests: with group_right too `fill_left` is for the many side, which stands on the right there.
    let (fill_many, fill_one) = (matching.fill_left, matching.fill_right);
    let mut signatures = Signatures::default();
    let of_many = signatures.of(matching, &lhs);
    let of_one = signatures.of(matching, &rhs);
    let mut ones: Vec<Vec<usize>> = vec![Vec::new(); signatures.0.len()];
    for (i, signature) in of_one.iter().enumerate() {
        ones[*signature].push(i);
    }
    // With nothing at all to match at a step, nobody minds duplicates.
    let is_filled = fill_many.is_some() || fill_one.is_some();
    let any = |columns: &[Column], step| columns.iter().any(|column| column.steps.has(step));
    let mut looked: Option<Vec<bool>> = None;
    for group in ones.iter().filter(|group| group.len() > 1) {
        let minds = looked.get_or_insert_with(|| {
            (0..grid.count).map(|step| is_filled || any(&lhs, step) && any(&rhs, step)).collect()
        });
        no_duplicates(matching, swapped, group, &rhs, minds)?;
    }
    let mut joined = Joined::new(binary, grid);
    let meet = |engine: &mut Engine<'_>, many: Point, one: Point| {
        let (a, b) = if swapped { (one, many) } else { (many, one) };
        points(engine, binary, a, b)
    };
    for (column, signature) in lhs.iter().zip(&of_many) {
        engine.meter.check()?;
        let group = &ones[*signature];
        if group.is_empty() && fill_one.is_none() {
            continue;
        }
        let mut pairing = joined.pairing(column, *signature);
        for step in 0..grid.count {
            let Some(many) = column.steps.point(step) else { continue };
            let one = group.iter().find_map(|i| Some((i, rhs[*i].steps.point(step)?)));
            let (one, point) = one.map_or((None, None), |(i, point)| (Some(i), Some(point)));
            let Some(point) = point.or(fill_one.map(Point::Float)) else { continue };
            let value = meet(engine, many, point);
            joined.put(engine, &mut pairing, one.map(|i| (*i, &rhs[*i])), step, value)?;
        }
    }
    if let Some(fill) = fill_many {
        let mut manies: Vec<Vec<usize>> = vec![Vec::new(); signatures.0.len()];
        for (i, signature) in of_many.iter().enumerate() {
            manies[*signature].push(i);
        }
        for (column, signature) in rhs.iter().zip(&of_one) {
            let labels = signature_labels(matching, column);
            let mut pairing = joined.filled(labels, *signature);
            for step in 0..grid.count {
                let Some(one) = column.steps.point(step) else { continue };
                if manies[*signature].iter().any(|i| lhs[*i].steps.has(step)) {
                    continue;
                }
                let value = meet(engine, Point::Float(fill), one);
                joined.put(engine, &mut pairing, Some((usize::MAX, column)), step, value)?;
            }
        }
    }
    Ok(joined.finish())
}

fn signature_labels(matching: &Matching, column: &Column) -> Labels {
    signature(matching, &column.labels)
}

/// The one side must be one at every step that `minds`, whether or not anything meets it.
fn no_duplicates(
    matching: &Matching,
    swapped: bool,
    group: &[usize],
    columns: &[Column],
    minds: &[bool],
) -> Result<(), QueryError> {
    for step in (0..minds.len()).filter(|step| minds[*step]) {
        let mut present = group.iter().map(|i| &columns[*i]).filter(|column| column.steps.has(step));
        if let (Some(first), Some(second)) = (present.next(), present.next()) {
            let side = if swapped { "left" } else { "right" };
            let (first, second) = (&first.labels, &second.labels);
            // As Prometheus tells them, in the order of their labels.
            let (first, second) = if first < second { (first, second) } else { (second, first) };
            return Err(wrong(format!(
                "found duplicate series for the match group {} on the {side} hand-side of the operation: [{}, {}];\
                 many-to-many matching not allowed: matching labels must be unique on one side",
                in_braces(&signature(matching, first)),
                in_braces(first),
                in_braces(second)
            )));
        }
    }
    Ok(())
}

/// A label set as Prometheus writes it in messages: the name among the others.
fn in_braces(labels: &Labels) -> String {
    let pairs: Vec<String> = labels
        .iter()
        .map(|(name, value)| {
            if model::labels::is_label_name(name) { format!("{name}={value:?}") } else { format!("{name:?}={value:?}") }
        })
        .collect();
    format!("{{{}}}", pairs.join(", "))
}
