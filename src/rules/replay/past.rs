//! What a rule's expressions gave over a stretch of the past.

use std::collections::HashSet;

use model::Labels;
use model::time::NS_PER_MS;
use query::logql::{self, ast};
use query::promql::{self, Expr, Source, Value};
use store::Snapshot;

use super::{Span, Stretch};
use crate::alerting::fits;
use crate::condition::Condition;
use crate::evaluate::number;
use crate::file::Rule;
use crate::ground::Point;
use crate::log_rules::whole;

/// Where to ask.
pub(super) struct Past<'a> {
    pub(super) source: &'a dyn Source,
    pub(super) logs: Option<&'a Snapshot>,
    pub(super) span: &'a Span,
}

impl Past<'_> {
    /// Hands on every value of a rule's condition: labels without the name, number of the step, value.
    pub(super) fn mark_condition(
        &self,
        rule: &Rule,
        stretch: Stretch,
        mut found: impl FnMut(&Labels, usize, f64),
    ) -> Result<(), String> {
        let also = match &rule.extension.logs {
            None => None,
            Some(metric) => Some(self.steps_of(metric, stretch)?),
        };
        let fitting = |labels: &Labels, step: usize, value: f64| {
            let is_met = |also: &Vec<(Labels, HashSet<usize>)>| {
                also.iter().any(|(of, steps)| steps.contains(&step) && fits(of, labels, |_| false))
            };
            if also.as_ref().is_none_or(is_met) {
                found(labels, step, value);
            }
        };
        match &rule.condition {
            Condition::Metrics(expr) => self.mark(expr, stretch, fitting),
            Condition::Logs(metric) => self.mark_logs(metric, stretch, fitting),
            // Its records are no steps.
            Condition::Events(_) => Ok(()),
        }
    }

    /// The same of PromQL.
    pub(super) fn mark(
        &self,
        expr: &Expr,
        stretch: Stretch,
        mut found: impl FnMut(&Labels, usize, f64),
    ) -> Result<(), String> {
        let options = promql::Options::new(self.span.lookback_ms, self.span.budget.clone());
        let Stretch { start_ms, end_ms, step_ms } = stretch;
        let answer =
            promql::range(self.source, expr, start_ms, end_ms, step_ms, &options).map_err(|error| error.to_string())?;
        let Value::Matrix(rows) = answer.value else { return Err("the expression gives no series".into()) };
        for (labels, samples) in rows {
            let labels = labels.without_name();
            for sample in samples {
                found(&labels, stretch.step_of(sample.at_ms), sample.value);
            }
        }
        for (labels, histograms) in answer.histograms {
            let labels = labels.without_name();
            for (at_ms, histogram) in histograms {
                found(&labels, stretch.step_of(at_ms), number(&Point::Histogram(histogram)));
            }
        }
        Ok(())
    }

    /// The same of LogQL.
    fn mark_logs(
        &self,
        metric: &ast::Metric,
        stretch: Stretch,
        mut found: impl FnMut(&Labels, usize, f64),
    ) -> Result<(), String> {
        let Stretch { start_ms, end_ms, step_ms } = stretch;
        let ns = |ms: i64| ms.saturating_mul(NS_PER_MS);
        let answer =
            logql::range(self.logs, metric, ns(start_ms), ns(end_ms), ns(step_ms), logql::By::Ruler, &self.span.budget)
                .map_err(|error| error.to_string())?;
        whole(&self.span.budget)?;
        let logql::Value::Matrix(rows) = answer.value else { return Err("the expression gives no series".into()) };
        for (labels, points) in rows {
            for (at_ms, value) in points {
                found(&labels, stretch.step_of(at_ms), value);
            }
        }
        Ok(())
    }

    /// Steps at which each series of LogQL is there.
    fn steps_of(&self, metric: &ast::Metric, stretch: Stretch) -> Result<Vec<(Labels, HashSet<usize>)>, String> {
        let mut all: Vec<(Labels, HashSet<usize>)> = Vec::new();
        self.mark_logs(metric, stretch, |labels, step, _| match all.last_mut() {
            Some((last, steps)) if last == labels => _ = steps.insert(step),
            _ => all.push((labels.clone(), HashSet::from([step]))),
        })?;
        Ok(all)
    }
}
