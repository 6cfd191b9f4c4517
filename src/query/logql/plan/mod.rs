//! How Loki's API evaluates a metric query: which parts of it its frontend asks queriers for, and what it makes of their answers.
//!
//! Loki's ruler evaluates a query as it is written. The API's frontend writes it anew first: see [`hours`] and [`shares`]. Where the two
//! texts mean the same, that shows in a limit alone: the series of each part count against that of an answer, so that
//! `topk(3, rate(...))` is refused where the rate has more series than an answer may have, while `sum(rate(...))` is one part as a
//! whole. Where they do not, Loki's API answers what its rules do not, and so do we, for the sake of charts that are the same:
//!
//! - A grouped `avg_over_time` is divided by the number of lines instead of that of samples, and a filter behind `unwrap` does not touch
//!   that number (grafana/loki#23890).
//! - `avg` is a sum divided by a count, which for infinite values is infinite, not NaN.
//! - Series that labels were taken from meet once more, where their empty labels go, too; as they do in averages by labels.
//! - At an instant, the hours of a window longer than one are asked for one by one, and `max(count_over_time(...[2h]))` is the sum of what
//!   each hour has most of.
//!
//! Source: `pkg/logql/shardmapper.go` and `pkg/logql/rangemapper.go` of Loki 3.7, and a Loki 3.7 as it was observed to answer.

mod hours;
mod shares;
#[cfg(test)]
mod tests;

use super::ast::{
    Binary, BinaryOp, Grouping, LabelFormat, LabelReplace, Matching, Metric, RangeAggregation, Stage,
    VectorAggregation, VectorOp,
};

/// What is evaluated for a query.
#[derive(Debug, Clone)]
pub(crate) enum Plan {
    /// Asked of a querier as it is.
    Part(Metric),
    /// The aggregation as a sum divided by a count, each a part.
    Quotient(VectorAggregation),
    /// A number by itself.
    Number(f64),
    /// `vector()` of a number.
    Vector(f64),
    /// The series of all of these, though they may be alike.
    All(Vec<Plan>),
    Aggregation {
        op: VectorOp,
        k: Option<usize>,
        grouping: Grouping,
        inner: Box<Plan>,
    },
    Operation {
        op: BinaryOp,
        return_bool: bool,
        matching: Matching,
        /// See [`Plan::divided`].
        is_mean: bool,
        lhs: Box<Plan>,
        rhs: Box<Plan>,
    },
    Replaced {
        replace: Box<LabelReplace>,
        inner: Box<Plan>,
    },
}

impl Plan {
    /// As Loki's ruler has it.
    pub(crate) fn of_rule(metric: &Metric) -> Plan {
        Plan::Part(metric.clone())
    }

    /// As Loki's API has it at an instant.
    pub(crate) fn at_instant(metric: &Metric) -> Plan {
        hours::split(metric).unwrap_or_else(|| shares::split(metric))
    }

    /// As Loki's API has it over steps.
    pub(crate) fn over_steps(metric: &Metric) -> Plan {
        shares::split(metric)
    }

    fn aggregation(of: &VectorAggregation, inner: Plan) -> Plan {
        Plan::Aggregation { op: of.op, k: of.k, grouping: of.grouping.clone(), inner: Box::new(inner) }
    }

    fn operation(of: &Binary, lhs: Plan, rhs: Plan) -> Plan {
        let (op, return_bool, matching) = (of.op, of.return_bool, of.matching.clone());
        Plan::Operation { op, return_bool, matching, is_mean: false, lhs: Box::new(lhs), rhs: Box::new(rhs) }
    }

    /// One divided by the other, where their labels are the same.
    fn divided(lhs: Plan, rhs: Plan) -> Plan {
        let (op, return_bool, matching) = (BinaryOp::Div, false, Matching::default());
        Plan::Operation { op, return_bool, matching, is_mean: true, lhs: Box::new(lhs), rhs: Box::new(rhs) }
    }
}

/// `without ()`
fn keeping_all() -> Grouping {
    Grouping { without: true, labels: Vec::new() }
}

fn aggregated(op: VectorOp, grouping: Grouping, inner: RangeAggregation) -> Metric {
    Metric::Vector(VectorAggregation { op, k: None, grouping, inner: Box::new(Metric::Range(inner)) })
}

/// Whether different streams can have the same labels behind it.
fn reduces_labels(metric: &Metric) -> bool {
    match metric {
        Metric::Literal(_) | Metric::VectorLiteral(_) => false,
        Metric::Range(range) => {
            range.grouping.as_ref().is_some_and(|grouping| !grouping.labels.is_empty()) || changes_labels(range)
        }
        Metric::Vector(vector) => !vector.grouping.labels.is_empty() || reduces_labels(&vector.inner),
        Metric::Binary(binary) => reduces_labels(&binary.lhs) || reduces_labels(&binary.rhs),
        Metric::LabelReplace(replace) => reduces_labels(&replace.inner),
    }
}

fn changes_labels(range: &RangeAggregation) -> bool {
    range.range.log.stages.iter().any(|stage| match stage {
        Stage::Drop(_) | Stage::Keep(_) => true,
        Stage::LabelFormat(formats) => formats.iter().any(|format| matches!(format, LabelFormat::Rename { .. })),
        _ => false,
    })
}
