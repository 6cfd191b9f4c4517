//! Windows longer than an hour at an instant, which Loki asks for hour by hour (`split_instant_metric_queries_by_interval`).
//!
//! An aggregation around a window is made of each hour, and once more of what the hours gave, added up or their largest or smallest taken.
//! Sums of counts are the same either way, so these are not split here; much else is not.

use super::{Plan, aggregated, keeping_all, shares};
use crate::logql::ast::{Metric, Parser, RangeAggregation, RangeOp, Stage, VectorAggregation, VectorOp};
use crate::logql::units;

const HOUR_NS: i64 = 3_600_000_000_000;
/// Longer windows are asked for as a whole: each hour is a part that is read by itself, and no query has more of them than a month.
const WINDOW_MAX_NS: i64 = 721 * HOUR_NS;

/// `None` when the query is asked for as over steps.
pub(super) fn split(metric: &Metric) -> Option<Plan> {
    if is_splittable(metric) { mapped(metric, None) } else { None }
}

/// `None` where nothing is split, which goes for an operator as a whole when it goes for one side. `around` is the aggregation that each
/// hour is to be asked with.
fn mapped(metric: &Metric, around: Option<&VectorAggregation>) -> Option<Plan> {
    match metric {
        Metric::Literal(_) | Metric::VectorLiteral(_) => None,
        Metric::Range(range) => mapped_range(range, around),
        Metric::Vector(vector) => {
            if !is_split(last_window_ns(metric)) {
                return None;
            }
            if is_the_same(vector) {
                return Some(shares::split(metric));
            }
            let goes_in = !matches!(*vector.inner, Metric::Binary(_)) && !keeps_its_place(vector.op);
            Some(Plan::aggregation(vector, mapped(&vector.inner, Some(vector).filter(|_| goes_in))?))
        }
        Metric::Binary(binary) => {
            let side = |side: &Metric| match side {
                Metric::Literal(value) => Some(Plan::Number(*value)),
                _ => mapped(side, around),
            };
            Some(Plan::operation(binary, side(&binary.lhs)?, side(&binary.rhs)?))
        }
        Metric::LabelReplace(replace) => {
            let inner = Box::new(mapped(&replace.inner, around)?);
            Some(Plan::Replaced { replace: replace.clone(), inner })
        }
    }
}

fn is_split(window_ns: i64) -> bool {
    window_ns > HOUR_NS && window_ns <= WINDOW_MAX_NS
}

/// Aggregations that are made of whole windows alone.
fn keeps_its_place(op: VectorOp) -> bool {
    matches!(op, VectorOp::Count | VectorOp::TopK | VectorOp::Sort | VectorOp::SortDesc)
}

/// Whether the hours together say what the window as a whole does.
fn is_the_same(vector: &VectorAggregation) -> bool {
    use RangeOp::{Bytes, BytesRate, Count, Max, Min, Rate, Sum};
    let Metric::Range(range) = &*vector.inner else { return false };
    match vector.op {
        VectorOp::Sum => matches!(range.op, Count | Bytes | Rate | BytesRate | Sum),
        VectorOp::Max => range.op == Max && range.grouping.is_none(),
        VectorOp::Min => range.op == Min && range.grouping.is_none(),
        _ => false,
    }
}

fn mapped_range(range: &RangeAggregation, around: Option<&VectorAggregation>) -> Option<Plan> {
    if !is_split(range.range.interval_ns) {
        return None;
    }
    let makes_labels =
        range.range.log.stages.iter().any(|stage| matches!(stage, Stage::Parser(Parser::Json | Parser::Logfmt { .. })));
    if !is_splittable_op(range.op) || range.grouping.is_none() && around.is_none() && makes_labels {
        return None;
    }
    let Some(around) = around else { return Some(shares::split(&Metric::Range(range.clone()))) };
    let whole = Metric::Vector(around.clone());
    let together = |op| Plan::Aggregation {
        op,
        k: None,
        grouping: range.grouping.clone().unwrap_or_else(keeping_all),
        inner: Box::new(by_hours(&whole, range)),
    };
    match range.op {
        RangeOp::Bytes | RangeOp::Count if makes_labels => Some(by_hours(&whole, range)),
        RangeOp::Bytes | RangeOp::Count | RangeOp::Sum => Some(together(VectorOp::Sum)),
        RangeOp::Max => Some(together(VectorOp::Max)),
        RangeOp::Min => Some(together(VectorOp::Min)),
        RangeOp::Rate | RangeOp::BytesRate if makes_labels && around.op != VectorOp::Sum => None,
        RangeOp::Rate if range.range.unwrap.is_some() => Some(per_second(range, around, RangeOp::Sum)),
        RangeOp::Rate => Some(per_second(range, around, RangeOp::Count)),
        RangeOp::BytesRate => Some(per_second(range, around, RangeOp::Bytes)),
        _ => None,
    }
}

/// A rate, from what its hours add up to.
fn per_second(range: &RangeAggregation, around: &VectorAggregation, op: RangeOp) -> Plan {
    let amount = RangeAggregation { op, ..range.clone() };
    let whole = aggregated(around.op, around.grouping.clone(), amount);
    let sum = Plan::Aggregation {
        op: VectorOp::Sum,
        k: None,
        grouping: keeping_all(),
        inner: Box::new(by_hours(&whole, range)),
    };
    Plan::divided(sum, Plan::Number(units::seconds(range.range.interval_ns)))
}

/// The same of each hour of the window.
fn by_hours(metric: &Metric, range: &RangeAggregation) -> Plan {
    if windows(metric) != 1 {
        return shares::split(metric);
    }
    let (window_ns, offset_ns) = (range.range.interval_ns, range.range.offset_ns);
    let hours = (window_ns + HOUR_NS - 1) / HOUR_NS;
    let hour = |hour: i64| {
        let start_ns = hour * HOUR_NS;
        let mut of_hour = metric.clone();
        narrow(&mut of_hour, (window_ns - start_ns).min(HOUR_NS), offset_ns.saturating_add(start_ns));
        shares::split(&of_hour)
    };
    Plan::All((0..hours).rev().map(hour).collect())
}

fn narrow(metric: &mut Metric, window_ns: i64, offset_ns: i64) {
    match metric {
        Metric::Literal(_) | Metric::VectorLiteral(_) => {}
        Metric::Range(range) => (range.range.interval_ns, range.range.offset_ns) = (window_ns, offset_ns),
        Metric::Vector(vector) => narrow(&mut vector.inner, window_ns, offset_ns),
        Metric::Binary(binary) => {
            narrow(&mut binary.lhs, window_ns, offset_ns);
            narrow(&mut binary.rhs, window_ns, offset_ns);
        }
        Metric::LabelReplace(replace) => narrow(&mut replace.inner, window_ns, offset_ns),
    }
}

fn windows(metric: &Metric) -> usize {
    match metric {
        Metric::Literal(_) | Metric::VectorLiteral(_) => 0,
        Metric::Range(_) => 1,
        Metric::Vector(vector) => windows(&vector.inner),
        Metric::Binary(binary) => windows(&binary.lhs) + windows(&binary.rhs),
        Metric::LabelReplace(replace) => windows(&replace.inner),
    }
}

/// The one that stands last in the text, which is what Loki looks at.
fn last_window_ns(metric: &Metric) -> i64 {
    fn last(metric: &Metric) -> Option<i64> {
        match metric {
            Metric::Literal(_) | Metric::VectorLiteral(_) => None,
            Metric::Range(range) => Some(range.range.interval_ns),
            Metric::Vector(vector) => last(&vector.inner),
            Metric::Binary(binary) => last(&binary.rhs).or_else(|| last(&binary.lhs)),
            Metric::LabelReplace(replace) => last(&replace.inner),
        }
    }
    last(metric).unwrap_or(0)
}

fn is_splittable_op(op: RangeOp) -> bool {
    use RangeOp::{Bytes, BytesRate, Count, Max, Min, Rate, Sum};
    matches!(op, Rate | BytesRate | Bytes | Count | Sum | Max | Min)
}

/// What Loki asks of a whole query, before it looks at its parts.
fn is_splittable(metric: &Metric) -> bool {
    use VectorOp::{Avg, Count, Max, Min, Sort, SortDesc, Sum, TopK};
    match metric {
        Metric::Literal(_) | Metric::VectorLiteral(_) => false,
        Metric::Range(range) => is_splittable_op(range.op),
        Metric::Vector(vector) => {
            matches!(vector.op, Sum | Count | Max | Min | Avg | TopK | Sort | SortDesc) && is_splittable(&vector.inner)
        }
        Metric::Binary(binary) => {
            let is_literal = |metric: &Metric| matches!(metric, Metric::Literal(_));
            is_splittable(&binary.lhs)
                || is_literal(&binary.lhs) && is_splittable(&binary.rhs)
                || is_literal(&binary.rhs)
        }
        Metric::LabelReplace(replace) => is_splittable(&replace.inner),
    }
}
