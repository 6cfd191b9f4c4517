//! Vector aggregations, with Loki's arithmetic.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use model::Labels;

use super::ast::{Grouping, VectorOp};
use super::value::{Series, absent, filled, is_absent};

pub(crate) fn apply(
    op: VectorOp,
    k: Option<usize>,
    grouping: &Grouping,
    series: Vec<Series>,
    steps: usize,
) -> Vec<Series> {
    let fold = match op {
        // Their order is made at the end, where one is shown.
        VectorOp::Sort | VectorOp::SortDesc => return series,
        VectorOp::TopK | VectorOp::BottomK | VectorOp::ApproxTopK => return pick(op, k, grouping, series, steps),
        op => Fold::Op(op),
    };
    let mut folder = Folder::new(fold, grouping, steps);
    for one in &series {
        folder.add(one);
    }
    folder.finish()
}

/// What a grouping leaves of a series' labels.
pub(crate) fn grouped(grouping: &Grouping, labels: &Labels) -> Labels {
    if grouping.is_single() {
        return Labels::default();
    }
    let left = labels.filtered(|name| grouping.labels.iter().any(|label| label == name) != grouping.without);
    if grouping.without { filled(left) } else { left }
}

/// The labels of each group, in order of first appearance, and the group of each series.
fn groups(grouping: &Grouping, series: &[Series]) -> (Vec<Labels>, Vec<usize>) {
    let mut known: HashMap<Labels, usize, RandomState> = HashMap::default();
    let mut labels = Vec::new();
    let of = series
        .iter()
        .map(|one| {
            *known.entry(grouped(grouping, &one.labels)).or_insert_with_key(|group| {
                labels.push(group.clone());
                labels.len() - 1
            })
        })
        .collect();
    (labels, of)
}

/// How series become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fold {
    Op(VectorOp),
    /// The sum divided by the count: an average that is infinite where `avg` is NaN.
    Quotient,
}

#[derive(Clone, Copy)]
struct State {
    count: f64,
    value: f64,
    mean: f64,
}

/// Whether an operation looks at each series once, so that none needs to be held.
pub(crate) fn folds(op: VectorOp) -> bool {
    use VectorOp::{ApproxTopK, BottomK, Sort, SortDesc, TopK};
    !matches!(op, Sort | SortDesc | TopK | BottomK | ApproxTopK)
}

/// An aggregation that takes its series one by one. What it holds is the groups alone.
pub(crate) struct Folder<'a> {
    fold: Fold,
    grouping: &'a Grouping,
    steps: usize,
    known: HashMap<Labels, usize, RandomState>,
    /// In order of first appearance.
    groups: Vec<(Labels, Vec<State>)>,
}

impl<'a> Folder<'a> {
    pub(crate) fn new(fold: Fold, grouping: &'a Grouping, steps: usize) -> Folder<'a> {
        Folder { fold, grouping, steps, known: HashMap::default(), groups: Vec::new() }
    }

    /// The bytes that it holds from now on.
    pub(crate) fn add(&mut self, series: &Series) -> u64 {
        let labels = grouped(self.grouping, &series.labels);
        let mut held = 0;
        let group = *self.known.entry(labels).or_insert_with_key(|labels| {
            let none = State { count: 0.0, value: 0.0, mean: 0.0 };
            self.groups.push((labels.clone(), vec![none; self.steps]));
            held = (self.steps * size_of::<State>()) as u64;
            self.groups.len() - 1
        });
        let op = match self.fold {
            Fold::Op(op) => op,
            Fold::Quotient => VectorOp::Sum,
        };
        let states = self.groups[group].1.iter_mut().zip(&series.values);
        states.filter(|(_, value)| !is_absent(**value)).for_each(|(state, value)| add(op, state, *value));
        held
    }

    pub(crate) fn finish(self) -> Vec<Series> {
        let value = |state: State| match self.fold {
            _ if state.count == 0.0 => absent(),
            Fold::Quotient | Fold::Op(VectorOp::Stdvar) => state.value / state.count,
            Fold::Op(VectorOp::Avg) => state.mean,
            Fold::Op(VectorOp::Count) => state.count,
            Fold::Op(VectorOp::Stddev) => (state.value / state.count).sqrt(),
            Fold::Op(_) => state.value,
        };
        let series = |(labels, states): (Labels, Vec<State>)| {
            let values = states.into_iter().map(value).collect();
            let labels = if self.fold == Fold::Quotient { filled(labels) } else { labels };
            Series { labels, values }
        };
        self.groups.into_iter().map(series).collect()
    }
}

fn add(op: VectorOp, state: &mut State, value: f64) {
    state.count += 1.0;
    if state.count == 1.0 {
        state.mean = value;
        state.value = if matches!(op, VectorOp::Stddev | VectorOp::Stdvar) { 0.0 } else { value };
        return;
    }
    match op {
        VectorOp::Sum => state.value += value,
        VectorOp::Avg => state.mean += (value - state.mean) / state.count,
        VectorOp::Max if state.value < value || state.value.is_nan() => state.value = value,
        VectorOp::Min if state.value > value || state.value.is_nan() => state.value = value,
        VectorOp::Stddev | VectorOp::Stdvar => {
            let delta = value - state.mean;
            state.mean += delta / state.count;
            state.value += delta * (value - state.mean);
        }
        _ => {}
    }
}

/// Keeps at each step the k largest or smallest of each group; NaN is the first to go. Of equal ones those whose labels come first stay, so
/// that a step's choice does not hang on the steps beside it.
fn pick(op: VectorOp, k: Option<usize>, grouping: &Grouping, mut series: Vec<Series>, steps: usize) -> Vec<Series> {
    let k = k.unwrap_or(1);
    series.sort_by(|left, right| left.labels.cmp(&right.labels));
    let (labels, of) = groups(grouping, &series);
    let smallest = op == VectorOp::BottomK;
    let mut members: Vec<Vec<usize>> = vec![Vec::new(); labels.len()];
    for step in 0..steps {
        members.iter_mut().for_each(Vec::clear);
        for (at, group) in of.iter().enumerate().filter(|(at, _)| !is_absent(series[*at].values[step])) {
            members[*group].push(at);
        }
        for group in members.iter_mut().filter(|group| group.len() > k) {
            let worse = |left: &usize, right: &usize| {
                let (left, right) = (series[*left].values[step], series[*right].values[step]);
                let order = if smallest { left.total_cmp(&right) } else { right.total_cmp(&left) };
                left.is_nan().cmp(&right.is_nan()).then(order)
            };
            group.sort_by(worse);
            for at in &group[k..] {
                series[*at].values[step] = absent();
            }
        }
    }
    series.retain(Series::has_any);
    series
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_aggregate_by_group_and_step() {
        let series = || {
            [("x", "1", [3.0, absent()]), ("x", "2", [5.0, 7.0]), ("y", "3", [f64::NAN, 1.0]), ("y", "4", [2.0, 4.0])]
                .map(|(group, id, values)| Series {
                    labels: Labels::from_pairs([("g", group), ("id", id)]),
                    values: values.to_vec(),
                })
                .to_vec()
        };
        let run = |op, k, labels: &[&str], without| {
            let grouping = Grouping { without, labels: labels.iter().map(|name| (*name).into()).collect() };
            let text = |value: &f64| if is_absent(*value) { "_".into() } else { value.to_string() };
            let all = apply(op, k, &grouping, series(), 2);
            let line =
                |one: &Series| format!("{} {}", one.labels, one.values.iter().map(text).collect::<Vec<_>>().join(" "));
            all.iter().map(line).collect::<Vec<_>>().join("; ")
        };
        for (op, k, labels, without, expected) in [
            (VectorOp::Sum, None, &["g"][..], false, r#"{g="x"} 8 7; {g="y"} NaN 5"#),
            (VectorOp::Sum, None, &["id"], true, r#"{g="x"} 8 7; {g="y"} NaN 5"#),
            (VectorOp::Count, None, &[], false, "{} 4 3"),
            (VectorOp::Max, None, &["g"], false, r#"{g="x"} 5 7; {g="y"} 2 4"#),
            (VectorOp::Min, None, &["g", "none"], false, r#"{g="x"} 3 7; {g="y"} 2 1"#),
            (VectorOp::Avg, None, &["g"], false, r#"{g="x"} 4 7; {g="y"} NaN 2.5"#),
            (VectorOp::Stdvar, None, &["g"], false, r#"{g="x"} 1 0; {g="y"} NaN 2.25"#),
            (VectorOp::TopK, Some(1), &[], false, r#"{g="x",id="2"} 5 7"#),
            (VectorOp::TopK, Some(1), &["g"], false, r#"{g="x",id="2"} 5 7; {g="y",id="4"} 2 4"#),
            (VectorOp::BottomK, Some(1), &[], false, r#"{g="y",id="3"} _ 1; {g="y",id="4"} 2 _"#),
        ] {
            assert_eq!(run(op, k, labels, without), expected, "{op:?} {labels:?}");
        }
    }
}
