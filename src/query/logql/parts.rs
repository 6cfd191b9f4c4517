//! Which parts of a metric query Loki's frontend asks its queriers for, one by one.
//!
//! It combines what they give, and counts the series of each part against the limit of an answer: `topk(3, rate(...))` is refused where
//! the rate has more series than an answer may have, while `sum(rate(...))` is one part as a whole. A query without such a part is asked
//! for as it is. Source: `pkg/logql/shardmapper.go` and `pkg/logql/syntax/ast.go` of Loki, and a Loki 3.7 as it was observed to answer.

use super::ast::{LabelFormat, Metric, RangeAggregation, RangeOp, Stage, VectorAggregation, VectorOp};

/// Whether anything of a query is asked for by itself.
pub(crate) fn has_parts(metric: &Metric) -> bool {
    match metric {
        Metric::Literal(_) | Metric::VectorLiteral(_) => false,
        Metric::Binary(binary) => !is_number(&binary.lhs) || !is_number(&binary.rhs),
        Metric::Range(range) => can_be_split(range),
        Metric::Vector(vector) => is_whole(vector) || has_parts(&vector.inner),
        Metric::LabelReplace(replace) => has_parts(&replace.inner),
    }
}

/// Whether this is asked for as a whole, where it does not stand in a part already.
pub(crate) fn is_part(metric: &Metric) -> bool {
    match metric {
        Metric::Range(range) => can_be_split(range),
        Metric::Vector(vector) => is_whole(vector),
        _ => false,
    }
}

fn is_number(metric: &Metric) -> bool {
    matches!(metric, Metric::Literal(_) | Metric::VectorLiteral(_))
}

/// Whether queriers can each give a share of it.
pub(crate) fn can_be_split(range: &RangeAggregation) -> bool {
    use RangeOp::{Avg, Bytes, BytesRate, Count, Max, Min, Rate, Sum};
    match range.op {
        Count | Rate | Bytes | BytesRate | Sum | Max | Min => true,
        Avg => range.grouping.is_none() && !changes_labels(range),
        _ => false,
    }
}

fn is_whole(vector: &VectorAggregation) -> bool {
    match (vector.op, &*vector.inner) {
        (VectorOp::Sum | VectorOp::Max | VectorOp::Min, Metric::Range(range)) => can_be_split(range),
        // What has one label set in two shares would be counted twice.
        (VectorOp::Count | VectorOp::Avg, Metric::Range(range)) => {
            can_be_split(range) && range.grouping.is_none() && !changes_labels(range)
        }
        (VectorOp::Sum, Metric::Vector(inner)) => is_whole(inner),
        _ => false,
    }
}

/// Whether different streams can have the same labels behind the pipeline.
fn changes_labels(range: &RangeAggregation) -> bool {
    range.range.log.stages.iter().any(|stage| match stage {
        Stage::Drop(_) | Stage::Keep(_) => true,
        Stage::LabelFormat(formats) => formats.iter().any(|format| matches!(format, LabelFormat::Rename { .. })),
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::super::{Expr, parse};
    use super::*;

    #[test]
    fn sums_are_whole_and_choices_are_not() {
        const RATE: &str = r#"rate({a="b"} | json [5m])"#;
        const STDDEV: &str = r#"stddev_over_time({a="b"} | unwrap c [5m])"#;
        // Whether the query has parts, and is one.
        for (query, expected) in [
            (RATE.to_string(), (true, true)),
            (format!("sum({RATE})"), (true, true)),
            (format!("avg by (c) ({RATE})"), (true, true)),
            (format!("sum(sum by (c) ({RATE}))"), (true, true)),
            (r#"count(rate({a="b"} | drop c [5m]))"#.into(), (true, false)),
            (format!("max(sum by (c) ({RATE}))"), (true, false)),
            (format!("topk(3, {RATE})"), (true, false)),
            (format!("stddev({RATE})"), (true, false)),
            (format!("sort({RATE})"), (true, false)),
            (format!("{RATE} > 5"), (true, false)),
            (format!(r#"label_replace({RATE}, "c", "$1", "d", "(.*)")"#), (true, false)),
            (STDDEV.into(), (false, false)),
            (format!("topk(3, {STDDEV})"), (false, false)),
            (format!("{STDDEV} > 5"), (true, false)),
            ("vector(1) + 1".into(), (false, false)),
        ] {
            let Expr::Metric(metric) = parse(&query).unwrap() else { panic!("{query} is no metric query") };
            assert_eq!((has_parts(&metric), is_part(&metric)), expected, "{query}");
        }
    }
}
