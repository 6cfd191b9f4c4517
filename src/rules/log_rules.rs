//! Rules over logs: thresholds of LogQL, and the lines that an alert carries.

use model::alert::Evidence;
use model::time::NS_PER_MS;
use model::{Instance, Labels, NsRange};
use query::logql::{self, By, Value, ast};
use query::logs::Direction;

use crate::alerting::fits;
use crate::condition::{Condition, first_range};
use crate::evaluate::Run;
use crate::file::Rule;
use crate::ground::Point;

/// Lines that an alert carries.
pub(crate) const LINES_MAX: usize = 5;
/// Longest line of these, in bytes.
const LINE_BYTES_MAX: usize = 1_000;
/// Entries looked through for the lines of one instance.
const LOOKED_MAX: usize = 500;
/// How far back the lines of an event rule or a rule without a range are looked for.
pub(crate) const LINES_BACK_NS: i64 = 300_000 * NS_PER_MS;

impl Run<'_> {
    /// Samples of LogQL at the time of the group's queries.
    pub(crate) fn ask_logs(&self, metric: &ast::Metric) -> Result<Vec<(Labels, f64)>, String> {
        self.logs_at(metric, self.query_at_ms)
    }

    fn logs_at(&self, metric: &ast::Metric, at_ms: i64) -> Result<Vec<(Labels, f64)>, String> {
        let Some(snapshot) = self.ground.logs().map_err(|error| error.to_string())? else { return Ok(Vec::new()) };
        let budget = self.settings.query_limits.start();
        let at_ns = at_ms.saturating_mul(NS_PER_MS);
        let answer =
            logql::instant_of(Some(&snapshot), metric, at_ns, By::Ruler, &budget).map_err(|error| error.to_string())?;
        whole(&budget)?;
        Ok(match answer.value {
            Value::Scalar(value) => vec![(Labels::default(), value)],
            Value::Vector(samples) => samples,
            Value::Matrix(_) => Vec::new(),
        })
    }

    /// Samples of LogQL as points.
    pub(crate) fn log_points_at(&self, metric: &ast::Metric, at_ms: i64) -> Result<Vec<(Labels, Point)>, String> {
        let found = self.logs_at(metric, at_ms)?;
        Ok(found.into_iter().map(|(labels, value)| (labels, Point::Float(value))).collect())
    }

    /// Gives an instance that begins to fire its newest log lines, and says where they come from. Lines that cannot be read are left out:
    /// they never hold up an alert.
    pub(crate) fn add_lines(&self, rule: &Rule, instance: &mut Instance) {
        let metric = match (&rule.condition, &rule.extension.logs) {
            (Condition::Logs(metric), _) | (_, Some(metric)) => metric,
            _ => return,
        };
        let Some(range) = first_range(metric) else { return };
        let end_ns = self.query_at_ms.saturating_mul(NS_PER_MS);
        let back_ns = if range.interval_ns > 0 { range.interval_ns } else { LINES_BACK_NS };
        let span = NsRange { start_ns: end_ns.saturating_sub(back_ns) + 1, end_ns: end_ns + 1 };
        push_query(&mut instance.evidence, &range.log, span);
        let Ok(Some(snapshot)) = self.ground.logs() else { return };
        let budget = self.settings.query_limits.start();
        let newest = Direction::NewestFirst;
        let own = |name: &str| name == "alertname" || rule.labels.iter().any(|(own, _)| own == name);
        match logql::select(Some(&snapshot), &range.log, span, newest, LOOKED_MAX, 0, &budget) {
            Ok(answer) => {
                let of_it = answer.entries.iter().filter(|entry| fits(&entry.all(), &instance.labels, own));
                instance.evidence.log_lines = of_it.take(LINES_MAX).map(|entry| cut(&entry.line)).collect();
            }
            Err(error) => tracing::debug!(rule = rule.name, %error, "an alert's log lines could not be read"),
        }
    }
}

/// Whether all stored records were read; else what is missing.
///
/// # Errors
/// The damaged places in words: what was evaluated without them says nothing.
pub(crate) fn whole(budget: &query::Budget) -> Result<(), String> {
    let missing = budget.damage.warnings();
    if missing.is_empty() { Ok(()) } else { Err(missing.join("; ")) }
}

/// Where an alert's lines come from, for a link.
pub(crate) fn push_query(evidence: &mut Evidence, log: &ast::LogExpr, span: NsRange) {
    let text = |ns: i64| model::time::rfc3339_ns(ns);
    let pairs = [("logs_query", log.to_string()), ("logs_from", text(span.start_ns)), ("logs_to", text(span.end_ns))];
    evidence.context.extend(pairs.map(|(name, value)| (name.to_string(), value)));
}

/// A line cut to its bound, at a character.
pub(crate) fn cut(line: &str) -> String {
    let mut end = line.len().min(LINE_BYTES_MAX);
    while !line.is_char_boundary(end) {
        end -= 1;
    }
    let rest = if end < line.len() { "…" } else { "" };
    format!("{}{rest}", &line[..end])
}
