//! The value of each node of a metric query over all steps.

use model::Labels;

use super::aggregate;
use super::ast::{Metric, RangeOp, VectorOp};
use super::binary::{self, Operation};
use super::context::Context;
use super::parts;
use super::range as windows;
use super::value::{Grid, Series, Val};
use crate::{QueryError, made_label};

/// `is_answer` when each series of this part is one of the answer.
pub(crate) fn evaluate(
    context: &mut Context<'_>,
    metric: &Metric,
    grid: Grid,
    is_answer: bool,
) -> Result<Val, QueryError> {
    if !context.by_parts || !parts::is_part(metric) {
        return evaluate_in(context, metric, grid, is_answer);
    }
    // What stands in a part is not asked for again.
    context.by_parts = false;
    let found = evaluate_in(context, metric, grid, is_answer || matches!(metric, Metric::Range(_)))?;
    context.by_parts = true;
    check_part(context, &found)?;
    Ok(found)
}

fn check_part(context: &Context<'_>, found: &Val) -> Result<(), QueryError> {
    match found {
        Val::Vector(series) => context.check_series(series.len(), true),
        Val::Scalar(_) => Ok(()),
    }
}

fn evaluate_in(context: &mut Context<'_>, metric: &Metric, grid: Grid, is_answer: bool) -> Result<Val, QueryError> {
    context.budget.check()?;
    Ok(match metric {
        Metric::Literal(value) => Val::Scalar(*value),
        Metric::VectorLiteral(value) => {
            Val::Vector(vec![Series { labels: Labels::default(), values: vec![*value; grid.count] }])
        }
        Metric::Range(aggregation) => Val::Vector(windows::evaluate(context, aggregation, grid, is_answer)?),
        Metric::Vector(aggregation) => {
            if let Metric::Range(inner) = &*aggregation.inner
                && aggregate::folds(aggregation.op)
            {
                // A sum needs no more of what it sums than its own groups have: Loki's samples are grouped before they are summed,
                // so a label that the grouping leaves out is never parsed.
                let is_grouped = aggregation.op == VectorOp::Sum && sums_up(inner.op) && inner.grouping.is_none();
                return Ok(Val::Vector(windows::folded(context, aggregation, inner, is_grouped, grid)?));
            }
            let inner = match evaluate(context, &aggregation.inner, grid, is_answer && keeps_all(aggregation.op))? {
                Val::Vector(series) => series,
                Val::Scalar(_) => return Err(no_vector(aggregation.op.as_str())),
            };
            context.budget.check()?;
            Val::Vector(aggregate::apply(aggregation, inner, grid.count))
        }
        Metric::Binary(found) => {
            let (lhs, rhs) = (side(context, &found.lhs, grid)?, side(context, &found.rhs, grid)?);
            let operation = Operation { op: found.op, return_bool: found.return_bool, matching: &found.matching };
            binary::apply(&operation, lhs, rhs, grid.count)?
        }
        Metric::LabelReplace(replace) => {
            let mut series = match evaluate(context, &replace.inner, grid, is_answer)? {
                Val::Vector(series) => series,
                Val::Scalar(_) => return Err(no_vector("label_replace")),
            };
            for one in &mut series {
                let source = one.labels.value(&replace.src);
                let Some(captures) = replace.regex.captures(source) else { continue };
                let value = made_label::replaced(&captures, &replace.replacement, source)?;
                context.kept.spend(value.len() as u64)?;
                one.labels = one.labels.with(&replace.dst, &value);
            }
            Val::Vector(series)
        }
    })
}

/// A side of an operator; with parts each side is one at least.
fn side(context: &mut Context<'_>, metric: &Metric, grid: Grid) -> Result<Val, QueryError> {
    let found = evaluate(context, metric, grid, false)?;
    if context.by_parts && !parts::has_parts(metric) {
        check_part(context, &found)?;
    }
    Ok(found)
}

/// Loki's grammar takes a number there, its evaluator does not.
fn no_vector(function: &str) -> QueryError {
    QueryError::Evaluation { reason: format!("{function} needs series, not a number; vector() makes one of it") }
}

fn keeps_all(op: VectorOp) -> bool {
    matches!(op, VectorOp::Sort | VectorOp::SortDesc)
}

fn sums_up(op: RangeOp) -> bool {
    matches!(op, RangeOp::Count | RangeOp::Rate | RangeOp::Bytes | RangeOp::BytesRate | RangeOp::Sum)
}
