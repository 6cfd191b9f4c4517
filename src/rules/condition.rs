//! What a rule asks: metrics or logs, and what these gave.

use query::logql::{self, ast};
use query::promql;

/// A rule's expression, parsed.
#[derive(Debug, Clone)]
pub enum Condition {
    /// PromQL.
    Metrics(promql::Expr),
    /// LogQL that gives samples.
    Logs(Box<ast::Metric>),
    /// LogQL that gives entries: each one is an event.
    Events(Box<ast::LogExpr>),
}

impl Condition {
    pub fn promql(&self) -> Option<&promql::Expr> {
        match self {
            Condition::Metrics(expr) => Some(expr),
            Condition::Logs(_) | Condition::Events(_) => None,
        }
    }
}

/// Reads LogQL that gives samples.
pub(crate) fn metric_of_logs(text: &str) -> Result<Box<ast::Metric>, String> {
    match logql::parse(text).map_err(|error| error.to_string())? {
        ast::Expr::Metric(metric) => Ok(Box::new(metric)),
        ast::Expr::Log(_) => Err("gives log lines and no samples; count them: count_over_time({…}[5m]) > 0".into()),
    }
}

/// Reads LogQL that gives entries.
pub(crate) fn log(text: &str) -> Result<Box<ast::LogExpr>, String> {
    match logql::parse(text).map_err(|error| error.to_string())? {
        ast::Expr::Log(log) if log.is_distinct() => {
            Err("has distinct, which is of one answer; a rule of type events takes each log line once".into())
        }
        ast::Expr::Log(log) => Ok(Box::new(log)),
        ast::Expr::Metric(_) => {
            Err("gives samples; a rule of type events takes the log lines themselves: {…} |= \"…\"".into())
        }
    }
}

/// The first range.
pub(crate) fn first_range(metric: &ast::Metric) -> Option<&ast::LogRange> {
    match metric {
        ast::Metric::Range(aggregation) => Some(&aggregation.range),
        ast::Metric::Vector(aggregation) => first_range(&aggregation.inner),
        ast::Metric::Binary(binary) => first_range(&binary.lhs).or_else(|| first_range(&binary.rhs)),
        ast::Metric::LabelReplace(replace) => first_range(&replace.inner),
        ast::Metric::Literal(_) | ast::Metric::VectorLiteral(_) => None,
    }
}
