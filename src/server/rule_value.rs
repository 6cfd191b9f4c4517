//! What a rule compares with its threshold, as a course over time: for its page and for the charts in messages.

use model::time::NS_PER_MS;
use model::{Labels, MsRange, Sample};
use query::logql::ast;
use query::{Budget, QueryError, logql, promql};
use rules::Condition;

use crate::page::{Threshold, threshold};

enum Question {
    Metrics(promql::Expr),
    Logs(ast::Metric),
}

/// The compared side of a condition, or all of a condition that compares with no number.
pub(crate) struct RuleValue {
    pub(crate) text: String,
    pub(crate) limit: Option<Threshold>,
    question: Question,
}

impl RuleValue {
    /// `None` for rules over log events, which have no value.
    pub(crate) fn of(condition: &Condition, expr: &str) -> Option<RuleValue> {
        let question = |text: &str| match condition {
            Condition::Metrics(_) => promql::parse(text).ok().map(Question::Metrics),
            Condition::Logs(_) => match logql::parse(text) {
                Ok(logql::Expr::Metric(metric)) => Some(Question::Logs(metric)),
                Ok(logql::Expr::Log(_)) | Err(_) => None,
            },
            Condition::Events(_) => None,
        };
        if let Some(limit) = threshold(expr)
            && let Some(question) = question(&limit.value)
        {
            return Some(RuleValue { text: limit.value.clone(), limit: Some(limit), question });
        }
        Some(RuleValue { text: expr.trim().into(), limit: None, question: question(expr)? })
    }

    /// Its series over a range, within the budget. Blocks.
    pub(crate) fn rows(
        &self,
        snapshot: &store::Snapshot,
        range: MsRange,
        step_ms: i64,
        lookback_ms: i64,
        budget: &Budget,
    ) -> Result<Vec<(Labels, Vec<Sample>)>, QueryError> {
        match &self.question {
            Question::Metrics(expr) => {
                let options = promql::Options::new(lookback_ms, budget.clone());
                let answer = promql::range(snapshot, expr, range.start_ms, range.end_ms, step_ms, &options)?;
                Ok(match answer.value {
                    promql::Value::Matrix(rows) => rows,
                    promql::Value::Scalar(_) | promql::Value::String { .. } | promql::Value::Vector(_) => Vec::new(),
                })
            }
            Question::Logs(metric) => {
                let [start_ns, end_ns, step_ns] =
                    [range.start_ms, range.end_ms, step_ms].map(|ms| ms.saturating_mul(NS_PER_MS));
                let rows =
                    match logql::range(Some(snapshot), metric, start_ns, end_ns, step_ns, logql::By::Ruler, budget)?
                        .value
                    {
                        logql::Value::Matrix(rows) => rows,
                        logql::Value::Scalar(_) | logql::Value::Vector(_) => Vec::new(),
                    };
                let sample = |(at_ms, value)| Sample { at_ms, value };
                Ok(rows
                    .into_iter()
                    .map(|(labels, points)| (labels, points.into_iter().map(sample).collect()))
                    .collect())
            }
        }
    }
}
