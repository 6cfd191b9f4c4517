//! What queriers can each give a share of, from some of the streams: Loki asks for that by itself.
//!
//! How many shares there are hangs on the data, and with any number of them the answer is meant to be that of one; here there is one.

use super::{Plan, aggregated, keeping_all, reduces_labels};
use crate::logql::ast::{BinaryOp, Metric, RangeAggregation, RangeOp, VectorAggregation, VectorOp};

/// A query without anything to share is asked for as it is.
pub(super) fn split(metric: &Metric) -> Plan {
    shared(metric, true).unwrap_or_else(|| Plan::Part(metric.clone()))
}

/// `None` when nothing in it can be shared. `is_top` while no aggregation was left to the frontend above.
fn shared(metric: &Metric, is_top: bool) -> Option<Plan> {
    match metric {
        Metric::Literal(_) | Metric::VectorLiteral(_) => None,
        Metric::Range(range) => shared_range(range),
        Metric::Vector(vector) => {
            shared_vector(vector, is_top).or_else(|| Some(Plan::aggregation(vector, shared(&vector.inner, false)?)))
        }
        Metric::Binary(binary) => {
            if is_number(&binary.lhs) && is_number(&binary.rhs) {
                return None;
            }
            // A frontend reads no logs: what it cannot have shared it asks for as a whole.
            let side = |side: &Metric| match side {
                Metric::Literal(value) => Plan::Number(*value),
                Metric::VectorLiteral(value) => Plan::Vector(*value),
                _ => shared(side, is_top).unwrap_or_else(|| Plan::Part(side.clone())),
            };
            Some(Plan::operation(binary, side(&binary.lhs), side(&binary.rhs)))
        }
        Metric::LabelReplace(replace) => {
            let inner = Box::new(shared(&replace.inner, is_top)?);
            Some(Plan::Replaced { replace: replace.clone(), inner })
        }
    }
}

fn is_number(metric: &Metric) -> bool {
    matches!(metric, Metric::Literal(_) | Metric::VectorLiteral(_))
}

fn shared_range(range: &RangeAggregation) -> Option<Plan> {
    use RangeOp::{Avg, Bytes, BytesRate, Count, Max, Min, Rate, Sum};
    let whole = Metric::Range(range.clone());
    match range.op {
        Count | Rate | Bytes | BytesRate | Sum | Max | Min => Some(merged(range, whole)),
        Avg => {
            let grouping = range.grouping.clone().unwrap_or_else(keeping_all);
            let is_plain = grouping.without && grouping.labels.is_empty() && !reduces_labels(&whole);
            if is_plain { Some(Plan::Part(whole)) } else { Some(mean(range)) }
        }
        _ => None,
    }
}

/// Where labels go, several shares can have a series of the same labels, and Loki's frontend makes one of them. With one share that is to be
/// seen in empty labels alone, which then go too, unless a list names them.
fn merged(range: &RangeAggregation, whole: Metric) -> Plan {
    let grouping = range.grouping.clone().unwrap_or_else(keeping_all);
    if !grouping.without || !reduces_labels(&whole) {
        return Plan::Part(whole);
    }
    let op = match range.op {
        RangeOp::Max => VectorOp::Max,
        RangeOp::Min => VectorOp::Min,
        _ => VectorOp::Sum,
    };
    Plan::Aggregation { op, k: None, grouping, inner: Box::new(Plan::Part(whole)) }
}

/// The samples' sum divided by the number of lines: Loki takes `unwrap` away there, and what stands behind it.
fn mean(range: &RangeAggregation) -> Plan {
    let grouping = range.grouping.clone().unwrap_or_else(keeping_all);
    let of = |op| RangeAggregation { op, grouping: None, ..range.clone() };
    let (sum, mut count) = (of(RangeOp::Sum), of(RangeOp::Count));
    let mut of_lines = grouping.clone();
    if let Some(unwrap) = count.range.unwrap.take().filter(|_| grouping.without) {
        of_lines.labels.push(unwrap.label);
    }
    Plan::divided(
        Plan::Part(aggregated(VectorOp::Sum, grouping, sum)),
        Plan::Part(aggregated(VectorOp::Sum, of_lines, count)),
    )
}

/// `None` where a frontend aggregates what is in it.
fn shared_vector(vector: &VectorAggregation, is_top: bool) -> Option<Plan> {
    let whole = || Plan::Part(Metric::Vector(vector.clone()));
    match vector.op {
        // Asked of queriers as a sketch, which is no series.
        VectorOp::ApproxTopK => Some(whole()),
        _ if !can_be_shared(vector, is_top) => None,
        VectorOp::Avg => Some(Plan::Quotient(vector.clone())),
        VectorOp::Max | VectorOp::Min if reduces_labels(&vector.inner) => None,
        _ => Some(whole()),
    }
}

fn can_be_shared(vector: &VectorAggregation, is_top: bool) -> bool {
    use VectorOp::{Avg, Count, Max, Min, Sum};
    if !is_shareable(&vector.inner, is_top) {
        return false;
    }
    match (vector.op, &*vector.inner) {
        (Sum, Metric::Vector(inner)) => !matches!(inner.op, Max | Min),
        (Sum, _) => true,
        // What has one label set in two shares would be counted twice.
        (Count | Avg, inner) => !reduces_labels(inner),
        (Max | Min, inner) => matches!(inner, Metric::Range(_)) && is_shareable(inner, false),
        _ => false,
    }
}

/// Whether it may stand in what is shared.
fn is_shareable(metric: &Metric, is_top: bool) -> bool {
    use RangeOp::{Avg, Bytes, BytesRate, Count, First, Last, Max, Min, Quantile, Rate, Sum};
    match metric {
        Metric::Literal(_) => true,
        Metric::VectorLiteral(_) | Metric::LabelReplace(_) => false,
        Metric::Range(range) => match range.op {
            Avg | Count | First | Last | Rate | Bytes | BytesRate | Sum | Max | Min => true,
            Quantile => is_top,
            _ => false,
        },
        Metric::Vector(vector) => can_be_shared(vector, is_top),
        Metric::Binary(binary) => {
            let is_plain = !binary.matching.on && binary.matching.labels.is_empty();
            is_plain
                && matches!(binary.op, BinaryOp::Add | BinaryOp::Mul)
                && is_shareable(&binary.lhs, is_top)
                && is_shareable(&binary.rhs, is_top)
        }
    }
}
