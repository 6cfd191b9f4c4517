//! What a tree must fulfil beyond its grammar.

use super::super::ast::{Expr, LogExpr, Metric, Parser, RangeAggregation, RangeOp, Stage};
use super::super::error::ParseError;
use super::super::pipeline::{Extractor, Pipeline};

/// All of it.
pub(super) fn expr(expr: &Expr) -> Result<(), ParseError> {
    form(expr)?;
    match expr {
        Expr::Log(log) => Pipeline::new(log).map(|_| ()),
        Expr::Metric(metric) => each_range(metric, &mut |range| Extractor::new(range, None).map(|_| ())),
    }
}

/// All but that its stages can be made.
pub(super) fn form(expr: &Expr) -> Result<(), ParseError> {
    match expr {
        Expr::Log(log) => {
            self::log(log)?;
            if log.stages.iter().filter(|stage| matches!(stage, Stage::Distinct(_))).count() > 1 {
                return Err(ParseError::whole("distinct may stand once in a query: name all its labels there"));
            }
            parsers(log)
        }
        Expr::Metric(metric) => each_range(metric, &mut |range| {
            self::range(range)?;
            parsers(&range.range.log)
        }),
    }
}

/// Loki makes these parsers while it parses.
fn parsers(log: &LogExpr) -> Result<(), ParseError> {
    let is_made = |stage: &&Stage| matches!(stage, Stage::Parser(Parser::Regexp(_) | Parser::Pattern(_)));
    let stages: Vec<Stage> = log.stages.iter().filter(is_made).cloned().collect();
    if stages.is_empty() {
        return Ok(());
    }
    Pipeline::new(&LogExpr { matchers: Vec::new(), stages }).map(|_| ())
}

fn each_range(
    metric: &Metric,
    check: &mut dyn FnMut(&RangeAggregation) -> Result<(), ParseError>,
) -> Result<(), ParseError> {
    match metric {
        Metric::Range(range) => check(range),
        Metric::Vector(vector) => each_range(&vector.inner, check),
        Metric::Binary(binary) => {
            each_range(&binary.lhs, check)?;
            each_range(&binary.rhs, check)
        }
        Metric::LabelReplace(replace) => each_range(&replace.inner, check),
        Metric::Literal(_) | Metric::VectorLiteral(_) => Ok(()),
    }
}

/// A selector must not take every stream.
fn log(log: &LogExpr) -> Result<(), ParseError> {
    if log.matchers.iter().all(|matcher| matcher.matcher.matches_empty()) {
        return Err(ParseError::whole(
            "queries require at least one regexp or equality matcher that does not have an empty-compatible value. \
             For instance, app=~\".*\" does not meet this requirement, but app=~\".+\" will",
        ));
    }
    Ok(())
}

fn range(range: &RangeAggregation) -> Result<(), ParseError> {
    use RangeOp::{
        Absent, Avg, Bytes, BytesRate, Count, First, Last, Max, Min, Quantile, Rate, RateCounter, Stddev, Stdvar, Sum,
    };
    let name = range.op.as_str();
    let groups = matches!(range.op, Avg | Stddev | Stdvar | Quantile | Max | Min | First | Last);
    if range.grouping.is_some() && !groups {
        return Err(ParseError::whole(format!("grouping not allowed for {name} aggregation")));
    }
    let unwraps = groups || matches!(range.op, Sum | Rate | RateCounter | Absent);
    match range.range.unwrap {
        Some(_) if !unwraps => {
            return Err(ParseError::whole(format!("invalid aggregation {name} with unwrap")));
        }
        None if !matches!(range.op, Bytes | BytesRate | Count | Rate | Absent) => {
            return Err(ParseError::whole(format!("invalid aggregation {name} without unwrap")));
        }
        _ => {}
    }
    log(&range.range.log)?;
    if range.range.log.is_distinct() {
        return Err(ParseError::whole(
            "distinct is for log queries; to count values, count series: count(sum by (a) (count_over_time({…}[5m])))",
        ));
    }
    Ok(())
}
