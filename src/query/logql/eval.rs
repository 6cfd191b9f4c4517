//! Evaluates metric queries, at an instant or over steps.

use model::{Labels, NsRange};
use store::Snapshot;

use super::ast::{Expr, Metric, VectorOp};
use super::context::Context;
use super::nodes::evaluate;
use super::plan::Plan;
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
    Ok(match instant_of(Some(snapshot), &metric, at_ns, By::Ruler, budget)?.value {
        Value::Scalar(value) => vec![(Labels::default(), value)],
        Value::Vector(samples) => samples,
        Value::Matrix(_) => Vec::new(),
    })
}

/// Who evaluates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// As Loki's ruler: the query as it is written.
    Ruler,
    /// As Loki's API, whose frontend asks queriers for parts of the query, and sometimes for others than were written: see `plan`.
    Api,
}

/// Evaluates at an instant; without a snapshot there is no data.
///
/// # Errors
/// `Evaluation` for more than 500 series and for an entry whose pipeline failed; `Inapplicable` for sides that do not match, and for a
/// number where series are needed; `TooMuch`, `Timeout`, `Cancelled` by the budget.
pub fn instant_of(
    snapshot: Option<&Snapshot>,
    metric: &Metric,
    at_ns: i64,
    by: By,
    budget: &Budget,
) -> Result<MetricAnswer, QueryError> {
    let grid = Grid::instant(at_ns);
    let plan = match by {
        By::Ruler => Plan::of_rule(metric),
        By::Api => Plan::at_instant(metric),
    };
    let (context, found) = evaluated(snapshot, &plan, grid, budget)?;
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
    by: By,
    budget: &Budget,
) -> Result<MetricAnswer, QueryError> {
    if is_approximate(metric) {
        let reason = "count min sketches are only supported on instant queries".into();
        return Err(QueryError::Inapplicable { reason });
    }
    let grid = Grid::range(start_ns, end_ns, step_ns);
    let plan = match by {
        By::Ruler => Plan::of_rule(metric),
        By::Api => Plan::over_steps(metric),
    };
    let (context, found) = evaluated(snapshot, &plan, grid, budget)?;
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
    // Series that `label_replace` made alike are one, with all their points.
    rows.dedup_by(|later, earlier| {
        let alike = later.0 == earlier.0;
        if alike {
            earlier.1.append(&mut later.1);
            earlier.1.sort_by_key(|(at_ms, _)| *at_ms);
        }
        alike
    });
    Ok(MetricAnswer { value: Value::Matrix(rows), stats: context.stats })
}

fn is_approximate(metric: &Metric) -> bool {
    match metric {
        Metric::Vector(aggregation) => aggregation.op == VectorOp::ApproxTopK || is_approximate(&aggregation.inner),
        Metric::Binary(binary) => is_approximate(&binary.lhs) || is_approximate(&binary.rhs),
        Metric::LabelReplace(replace) => is_approximate(&replace.inner),
        Metric::Range(_) | Metric::Literal(_) | Metric::VectorLiteral(_) => false,
    }
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
    plan: &Plan,
    grid: Grid,
    budget: &'a Budget,
) -> Result<(Context<'a>, Val), QueryError> {
    let view = snapshot.map(Snapshot::logs);
    let run = || {
        let mut context = Context::new(view, budget);
        let value = evaluate(&mut context, plan, grid)?;
        Ok((context, value))
    };
    match view {
        // Offsets and ranges reach beyond the grid.
        Some(view) => damage::around(view, NsRange::ALL, budget, run),
        None => run(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Without data, over two steps.
    #[track_caller]
    fn check(query: &str, expected: Result<&[(&str, &[f64])], &str>) {
        let Expr::Metric(metric) = crate::logql::parse(query).unwrap() else { panic!("{query} is no metric query") };
        let budget = Budget::starting_now(Duration::from_secs(60));
        let found =
            range(None, &metric, 0, 1_000_000_000, 1_000_000_000, By::Ruler, &budget).map(|answer| answer.value);
        match (found, expected) {
            (Ok(Value::Matrix(rows)), Ok(expected)) => {
                let shown: Vec<(String, Vec<f64>)> = rows
                    .iter()
                    .map(|(labels, points)| (labels.to_string(), points.iter().map(|(_, value)| *value).collect()))
                    .collect();
                let expected: Vec<_> =
                    expected.iter().map(|(labels, values)| ((*labels).to_owned(), values.to_vec())).collect();
                assert_eq!(shown, expected, "{query}");
            }
            (Err(error), Err(expected)) => assert!(error.to_string().contains(expected), "{query}: {error}"),
            (found, expected) => panic!("{query}: {found:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn numbers_are_no_series() {
        check("sum(vector(2))", Ok(&[("{}", &[2.0, 2.0])]));
        check("sum(2)", Err("sum needs series, not a number"));
        check("topk(1, 1 + 1)", Err("topk needs series, not a number"));
        check(r#"label_replace(2, "a", "b", "", "")"#, Err("label_replace needs series, not a number"));
    }

    #[test]
    fn approximations_are_made_at_instants() {
        check("topk(1, vector(2))", Ok(&[("{}", &[2.0, 2.0])]));
        check("vector(1) + approx_topk(1, vector(2))", Err("only supported on instant queries"));
    }

    #[test]
    fn series_that_become_alike_are_one() {
        let one = |value, name| format!(r#"label_replace(vector({value}), "a", "{name}", "", "")"#);
        let both = format!("{} or {}", one(1, "x"), one(2, "y"));
        check(&both, Ok(&[(r#"{a="x"}"#, &[1.0, 1.0]), (r#"{a="y"}"#, &[2.0, 2.0])]));
        let alike = format!(r#"label_replace({both}, "a", "z", "a", ".*")"#);
        check(&alike, Ok(&[(r#"{a="z"}"#, &[1.0, 2.0, 1.0, 2.0])]));
    }
}
