//! The value of each node of a metric query over all steps.

use model::Labels;

use super::aggregate::{self, Fold};
use super::ast::{Binary, Grouping, LabelReplace, Metric, RangeOp, VectorAggregation, VectorOp};
use super::binary::{self, Operation};
use super::context::Context;
use super::plan::Plan;
use super::range as windows;
use super::value::{Grid, Series, Val};
use crate::{QueryError, made_label};

pub(crate) fn evaluate(context: &mut Context<'_>, plan: &Plan, grid: Grid) -> Result<Val, QueryError> {
    context.budget.check()?;
    Ok(match plan {
        Plan::Part(metric) => {
            let found = whole(context, metric, grid, true)?;
            checked(context, found)?
        }
        Plan::Quotient(VectorAggregation { grouping, inner, .. }) => {
            let found = folded(context, Fold::Quotient, grouping, inner, false, grid)?;
            checked(context, Val::Vector(found))?
        }
        Plan::Number(value) => Val::Scalar(*value),
        Plan::Vector(value) => constant(*value, grid),
        Plan::All(plans) => {
            let mut all = Vec::new();
            for plan in plans {
                all.extend(series_of(evaluate(context, plan, grid)?, "a part")?);
            }
            Val::Vector(all)
        }
        Plan::Aggregation { op, k, grouping, inner } => {
            let inner = series_of(evaluate(context, inner, grid)?, op.as_str())?;
            Val::Vector(aggregate::apply(*op, *k, grouping, inner, grid.count))
        }
        Plan::Operation { op, return_bool, matching, is_mean, lhs, rhs } => {
            let (lhs, rhs) = (evaluate(context, lhs, grid)?, evaluate(context, rhs, grid)?);
            let operation = Operation { op: *op, return_bool: *return_bool, matching, is_mean: *is_mean };
            binary::apply(&operation, lhs, rhs, grid.count)?
        }
        Plan::Replaced { replace, inner } => {
            let inner = evaluate(context, inner, grid)?;
            replaced(context, replace, inner)?
        }
    })
}

/// Each series of a part counts against the limit of an answer.
fn checked(context: &Context<'_>, found: Val) -> Result<Val, QueryError> {
    if let Val::Vector(series) = &found {
        context.check_series(series.len(), true)?;
    }
    Ok(found)
}

/// A query as it is written; `is_answer` when each of its series is one of the part that it stands in.
fn whole(context: &mut Context<'_>, metric: &Metric, grid: Grid, is_answer: bool) -> Result<Val, QueryError> {
    context.budget.check()?;
    Ok(match metric {
        Metric::Literal(value) => Val::Scalar(*value),
        Metric::VectorLiteral(value) => constant(*value, grid),
        Metric::Range(aggregation) => Val::Vector(windows::evaluate(context, aggregation, grid, is_answer)?),
        Metric::Vector(VectorAggregation { op, k, grouping, inner }) => match &**inner {
            Metric::Range(_) if aggregate::folds(*op) => {
                let is_sum = *op == VectorOp::Sum;
                Val::Vector(folded(context, Fold::Op(*op), grouping, inner, is_sum, grid)?)
            }
            inner => {
                let found = whole(context, inner, grid, is_answer && keeps_all(*op))?;
                let series = series_of(found, op.as_str())?;
                context.budget.check()?;
                Val::Vector(aggregate::apply(*op, *k, grouping, series, grid.count))
            }
        },
        Metric::Binary(found) => {
            let (lhs, rhs) = (whole(context, &found.lhs, grid, false)?, whole(context, &found.rhs, grid, false)?);
            let Binary { op, return_bool, matching, .. } = &**found;
            let operation = Operation { op: *op, return_bool: *return_bool, matching, is_mean: false };
            binary::apply(&operation, lhs, rhs, grid.count)?
        }
        Metric::LabelReplace(replace) => {
            let inner = whole(context, &replace.inner, grid, is_answer)?;
            replaced(context, replace, inner)?
        }
    })
}

fn folded(
    context: &mut Context<'_>,
    fold: Fold,
    grouping: &Grouping,
    inner: &Metric,
    is_sum: bool,
    grid: Grid,
) -> Result<Vec<Series>, QueryError> {
    if let Metric::Range(range) = inner {
        // A sum needs no more of what it sums than its own groups have: Loki's samples are grouped before they are summed, so a label that
        // the grouping leaves out is never parsed.
        let is_grouped = is_sum && sums_up(range.op) && range.grouping.is_none();
        return windows::folded(context, fold, grouping, range, is_grouped, grid);
    }
    let mut folder = aggregate::Folder::new(fold, grouping, grid.count);
    for one in &series_of(whole(context, inner, grid, false)?, "avg")? {
        folder.add(one);
    }
    Ok(folder.finish())
}

fn constant(value: f64, grid: Grid) -> Val {
    Val::Vector(vec![Series { labels: Labels::default(), values: vec![value; grid.count] }])
}

fn replaced(context: &mut Context<'_>, replace: &LabelReplace, inner: Val) -> Result<Val, QueryError> {
    let mut series = series_of(inner, "label_replace")?;
    for one in &mut series {
        let source = one.labels.value(&replace.src);
        let Some(captures) = replace.regex.captures(source) else { continue };
        let value = made_label::replaced(&captures, &replace.replacement, source)?;
        context.kept.spend(value.len() as u64)?;
        one.labels = one.labels.with(&replace.dst, &value);
    }
    Ok(Val::Vector(series))
}

/// Loki's grammar takes a number there, its evaluator does not.
fn series_of(found: Val, function: &str) -> Result<Vec<Series>, QueryError> {
    match found {
        Val::Vector(series) => Ok(series),
        Val::Scalar(_) => Err(QueryError::Inapplicable {
            reason: format!("{function} needs series, not a number; vector() makes one of it"),
        }),
    }
}

fn keeps_all(op: VectorOp) -> bool {
    matches!(op, VectorOp::Sort | VectorOp::SortDesc)
}

fn sums_up(op: RangeOp) -> bool {
    matches!(op, RangeOp::Count | RangeOp::Rate | RangeOp::Bytes | RangeOp::BytesRate | RangeOp::Sum)
}
