//! Evaluates metric queries, at an instant or over steps.

use model::{Labels, NsRange};
use store::Snapshot;

use super::aggregate;
use super::ast::{Expr, Metric, RangeOp, VectorOp};
use super::binary::{self, Operation};
use super::context::Context;
use super::range as windows;
use super::value::{Grid, Series, Val, is_absent};
use crate::logs::{SearchStats, damage};
use crate::{Budget, QueryError};

const NS_PER_MS: i64 = 1_000_000;

/// Time in ms and value.
pub type Points = Vec<(i64, f64)>;

/// What a metric query evaluates to.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Scalar(f64),
    /// In order of labels, but for a query that sorts by value.
    Vector(Vec<(Labels, f64)>),
    /// In order of labels; each with its points in order of time.
    Matrix(Vec<(Labels, Points)>),
}

#[derive(Debug, Clone, PartialEq)]
pub struct MetricAnswer {
    pub value: Value,
    pub stats: SearchStats,
}

/// Parses and evaluates at an instant, for rules: a literal is one series without labels.
///
/// # Errors
/// `Evaluation` for what does not parse, for a log query, and as [`instant_of`].
pub fn instant(snapshot: &Snapshot, text: &str, at_ns: i64, budget: &Budget) -> Result<Vec<(Labels, f64)>, QueryError> {
    let Expr::Metric(metric) = super::parse(text)? else {
        return Err(QueryError::Evaluation {
            reason: "a log query gives lines, not samples; count them: count_over_time({…}[5m])".into(),
        });
    };
    Ok(match instant_of(Some(snapshot), &metric, at_ns, budget)?.value {
        Value::Scalar(value) => vec![(Labels::default(), value)],
        Value::Vector(samples) => samples,
        Value::Matrix(_) => Vec::new(),
    })
}

/// Evaluates at an instant; without a snapshot there is no data.
///
/// # Errors
/// `Evaluation` for more than 500 series, for an entry whose pipeline failed, for sides that do not match; `TooMuch`, `Timeout`,
/// `Cancelled` by the budget.
pub fn instant_of(
    snapshot: Option<&Snapshot>,
    metric: &Metric,
    at_ns: i64,
    budget: &Budget,
) -> Result<MetricAnswer, QueryError> {
    let grid = Grid::instant(at_ns);
    let (context, found) = evaluated(snapshot, metric, grid, budget)?;
    let value = match found {
        Val::Scalar(value) => Value::Scalar(value),
        Val::Vector(series) => {
            let there = series.into_iter().filter(|one| !is_absent(one.values[0]));
            let mut samples: Vec<(Labels, f64)> = there.map(|one| (one.labels, one.values[0])).collect();
            context.check_series(samples.len(), true)?;
            match sorting(metric) {
                None => samples.sort_by(|left, right| left.0.cmp(&right.0)),
                Some(falling) => samples.sort_by(|left, right| {
                    let order = if falling { right.1.total_cmp(&left.1) } else { left.1.total_cmp(&right.1) };
                    left.1.is_nan().cmp(&right.1.is_nan()).then(order).then_with(|| left.0.cmp(&right.0))
                }),
            }
            Value::Vector(samples)
        }
    };
    Ok(MetricAnswer { value, stats: context.stats })
}

/// Evaluates at `start_ns` and every `step_ns` up to `end_ns`; without a snapshot there is no data.
///
/// # Errors
/// As [`instant_of`].
pub fn range(
    snapshot: Option<&Snapshot>,
    metric: &Metric,
    start_ns: i64,
    end_ns: i64,
    step_ns: i64,
    budget: &Budget,
) -> Result<MetricAnswer, QueryError> {
    let grid = Grid::range(start_ns, end_ns, step_ns);
    let (context, found) = evaluated(snapshot, metric, grid, budget)?;
    let series = match found {
        Val::Scalar(value) => vec![Series { labels: Labels::default(), values: vec![value; grid.count] }],
        Val::Vector(series) => series,
    };
    let mut rows: Vec<(Labels, Points)> = Vec::with_capacity(series.len());
    for Series { labels, values } in series {
        let there = values.into_iter().enumerate().filter(|(_, value)| !is_absent(*value));
        let points: Points = there.map(|(step, value)| (grid.at(step).div_euclid(NS_PER_MS), value)).collect();
        if !points.is_empty() {
            rows.push((labels, points));
        }
    }
    context.check_series(rows.len(), true)?;
    rows.sort_by(|left, right| left.0.cmp(&right.0));
    Ok(MetricAnswer { value: Value::Matrix(rows), stats: context.stats })
}

/// Whether the query sorts by value, and falling.
fn sorting(metric: &Metric) -> Option<bool> {
    match metric {
        Metric::Vector(aggregation) => match aggregation.op {
            VectorOp::Sort => Some(false),
            VectorOp::SortDesc => Some(true),
            _ => sorting(&aggregation.inner),
        },
        Metric::Binary(binary) => sorting(&binary.lhs).or_else(|| sorting(&binary.rhs)),
        Metric::LabelReplace(replace) => sorting(&replace.inner),
        Metric::Range(_) | Metric::Literal(_) | Metric::VectorLiteral(_) => None,
    }
}

fn evaluated<'a>(
    snapshot: Option<&'a Snapshot>,
    metric: &Metric,
    grid: Grid,
    budget: &'a Budget,
) -> Result<(Context<'a>, Val), QueryError> {
    let view = snapshot.map(Snapshot::logs);
    let run = || {
        let mut context = Context::new(view, budget);
        let value = evaluate(&mut context, metric, grid, true)?;
        Ok((context, value))
    };
    match view {
        // Offsets and ranges reach beyond the grid.
        Some(view) => damage::around(view, NsRange::ALL, budget, run),
        None => run(),
    }
}

/// `is_answer` when each series of this part is one of the answer.
fn evaluate(context: &mut Context<'_>, metric: &Metric, grid: Grid, is_answer: bool) -> Result<Val, QueryError> {
    context.budget.check()?;
    Ok(match metric {
        Metric::Literal(value) => Val::Scalar(*value),
        Metric::VectorLiteral(value) => {
            Val::Vector(vec![Series { labels: Labels::default(), values: vec![*value; grid.count] }])
        }
        Metric::Range(aggregation) => Val::Vector(windows::evaluate(context, aggregation, None, grid, is_answer)?),
        Metric::Vector(aggregation) => {
            // A sum needs no more of what it sums than its own groups have: Loki's samples are grouped before they are summed,
            // so a label that the grouping leaves out is never parsed.
            let inner = match &*aggregation.inner {
                Metric::Range(inner)
                    if aggregation.op == VectorOp::Sum && sums_up(inner.op) && inner.grouping.is_none() =>
                {
                    windows::evaluate(context, inner, Some(&aggregation.grouping), grid, false)?
                }
                inner => match evaluate(context, inner, grid, is_answer && keeps_all(aggregation.op))? {
                    Val::Vector(series) => series,
                    Val::Scalar(value) => vec![Series { labels: Labels::default(), values: vec![value; grid.count] }],
                },
            };
            context.budget.check()?;
            Val::Vector(aggregate::apply(aggregation, inner, grid.count))
        }
        Metric::Binary(found) => {
            let lhs = evaluate(context, &found.lhs, grid, false)?;
            let rhs = evaluate(context, &found.rhs, grid, false)?;
            let operation = Operation { op: found.op, return_bool: found.return_bool, matching: &found.matching };
            binary::apply(&operation, lhs, rhs, grid.count)?
        }
        Metric::LabelReplace(replace) => {
            let mut series = match evaluate(context, &replace.inner, grid, is_answer)? {
                Val::Vector(series) => series,
                scalar => return Ok(scalar),
            };
            for one in &mut series {
                let Some(captures) = replace.regex.captures(one.labels.value(&replace.src)) else { continue };
                let mut value = String::new();
                captures.expand(&replace.replacement, &mut value);
                one.labels = one.labels.with(&replace.dst, &value);
            }
            Val::Vector(series)
        }
    })
}

fn keeps_all(op: VectorOp) -> bool {
    matches!(op, VectorOp::Sort | VectorOp::SortDesc)
}

fn sums_up(op: RangeOp) -> bool {
    matches!(op, RangeOp::Count | RangeOp::Rate | RangeOp::Bytes | RangeOp::BytesRate | RangeOp::Sum)
}
