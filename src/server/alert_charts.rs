//! The chart that goes with an alert's messages: its rule's own query over the time before, the threshold, and when it fires.
//!
//! Nothing here fails: an alert without a chart is told all the same.

use std::time::Duration;

use model::alert::{AlertState, Instance};
use model::time::{format_duration_ms, parse_duration_ms};
use model::{Labels, MsRange, Sample};
use rules::{Condition, Rule};

use crate::chart::{Picture, PictureLine};
use crate::page::{aligned, auto_step_ms, one_line, series_names, value_unit};
use crate::rule_value::RuleValue;

/// How far back a chart looks where the rule's `x.chart` does not say, in ms.
const RANGE_MS: i64 = 3_600_000;
/// The longest that it looks back for the moment when the alert began, in ms.
const RANGE_MAX_MS: i64 = 7 * 86_400_000;
/// What the query of one chart may take: evaluations and people's queries come first.
const TIMEOUT_MAX: Duration = Duration::from_secs(5);
const BYTES_MAX: u64 = 64 << 20;
/// Drawn for a test message, which has no rule: a wave, whatever is stored.
const SAMPLE: &str = "50 + 40 * sin(vector(time()) / 600)";
/// Longest expression under the title, in characters.
const EXPR_CHARS_MAX: usize = 90;

/// Draws for the alerts of one tenant.
pub struct AlertCharts {
    pub rules: rules::Engine,
    pub tenant: store::Tenant,
    pub query_limits: query::Limits,
    pub lookback_ms: i64,
}

impl AlertCharts {
    /// An SVG for alerts of one rule, as of `at_ms`; `None` when the rule is gone, has no value, or there is nothing to draw. Blocks
    /// for as long as a query may.
    pub fn draw(&self, alerts: &[Instance], at_ms: i64) -> Option<String> {
        let first = alerts.first()?;
        let (value, thresholds) = if first.rule_id == notify::TEST_RULE {
            (RuleValue::of(&Condition::Metrics(query::promql::parse(SAMPLE).ok()?), SAMPLE)?, Vec::new())
        } else {
            self.value(first)?
        };
        let asked_ms = parse_duration_ms(context(first, "chart_range")).filter(|ms| *ms > 0).unwrap_or(RANGE_MS);
        let fired = alerts.iter().filter_map(|alert| alert.fired_at_ms).min();
        let range_ms = range_ms(asked_ms, alerts.iter().map(|alert| alert.active_at_ms).min(), at_ms);
        let step_ms = auto_step_ms(range_ms);
        let range = aligned(MsRange { start_ms: at_ms - range_ms, end_ms: at_ms }, step_ms);
        let limits = query::Limits {
            timeout: self.query_limits.timeout.min(TIMEOUT_MAX),
            bytes_max: self.query_limits.bytes_max.min(BYTES_MAX),
            threads: 1,
            ..self.query_limits
        };
        let snapshot = self.tenant.snapshot().ok()?;
        let rows = match value.rows(&snapshot, range, step_ms, self.lookback_ms, &limits.start()) {
            Ok(rows) if !rows.is_empty() => rows,
            Ok(_) => return None,
            Err(error) => {
                tracing::info!(alert = first.labels.value("alertname"), %error, "no chart for an alert");
                return None;
            }
        };
        let over = alerts.iter().all(|alert| alert.state == AlertState::Resolved);
        let ended_ms = alerts.iter().filter_map(|alert| alert.resolved_at_ms).max().filter(|_| over);
        let picture = Picture {
            title: &title(alerts),
            note: &format!(
                "{}, {}, UTC",
                one_line(&value.text, EXPR_CHARS_MAX),
                format_duration_ms(range_ms / 60_000 * 60_000)
            ),
            start_ms: range.start_ms,
            end_ms: range.end_ms,
            step_ms,
            unit: value_unit(&value.text),
            lines: lines(&rows, alerts),
            thresholds,
            firing: fired.map(|fired_ms| (fired_ms, ended_ms.unwrap_or(i64::MAX))),
        };
        Some(picture.draw())
    }

    /// What is drawn for an alert, and its thresholds; `None` when its rule is gone or has no value.
    fn value(&self, alert: &Instance) -> Option<(RuleValue, Vec<f64>)> {
        let rule = self.rules.rule(&alert.rule_id)?;
        let own = context(alert, "chart_expr");
        let value = match (own.is_empty(), &rule.condition) {
            (true, condition) => RuleValue::of(condition, &rule.expr_text)?,
            // `x.chart.expr` is PromQL, whatever the rule asks.
            (false, _) => RuleValue::of(&Condition::Metrics(query::promql::parse(own).ok()?), own)?,
        };
        let thresholds = thresholds(&rule, &value);
        Some((value, thresholds))
    }
}

/// What the rule had its alert carry for messages; empty when it is nothing.
fn context<'a>(alert: &'a Instance, name: &str) -> &'a str {
    alert.evidence.context.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value.as_str())
}

/// As asked, or longer, so that the chart shows how it began.
fn range_ms(asked_ms: i64, began_ms: Option<i64>, at_ms: i64) -> i64 {
    let with_begin_ms = began_ms.map_or(0, |began_ms| at_ms.saturating_sub(began_ms).saturating_mul(5) / 4);
    asked_ms.max(with_begin_ms.min(RANGE_MAX_MS))
}

fn thresholds(rule: &Rule, value: &RuleValue) -> Vec<f64> {
    let levels = rule.extension.levels.iter().map(|level| level.threshold);
    levels.chain(value.limit.as_ref().map(|limit| limit.limit)).collect()
}

/// `HostCpu (+2): cpu is at 97 %`.
fn title(alerts: &[Instance]) -> String {
    let Some(first) = alerts.first() else { return String::new() };
    let summary = first.annotations.iter().find(|(name, _)| name == "summary").map_or("", |(_, text)| text.as_str());
    let more = if alerts.len() > 1 { format!(" (+{})", alerts.len() - 1) } else { String::new() };
    let gap = if summary.is_empty() { "" } else { ": " };
    one_line(&format!("{}{more}{gap}{summary}", first.labels.value("alertname")), 200)
}

/// The series of the alerts, and beside them the others. Where labels tell nothing, all are meant.
fn lines<'a>(rows: &'a [(Labels, Vec<Sample>)], alerts: &[Instance]) -> Vec<PictureLine<'a>> {
    let is_of = |labels: &Labels, alert: &Instance| {
        labels.iter().all(|(name, value)| name == "__name__" || alert.labels.value(name) == value)
    };
    let meant: Vec<bool> = rows.iter().map(|(labels, _)| alerts.iter().any(|alert| is_of(labels, alert))).collect();
    let any = meant.contains(&true);
    let (names, _) = series_names(&rows.iter().collect::<Vec<_>>());
    let named = rows.iter().zip(names).zip(meant);
    named.map(|(((_, points), name), is_meant)| PictureLine { name, points, is_meant: is_meant || !any }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_range_shows_the_beginning() {
        let hour = 3_600_000;
        for (asked, began, expected) in [
            (hour, None, hour),
            (hour, Some(100 * hour - 1), hour),
            (hour, Some(92 * hour), 10 * hour),
            (6 * hour, Some(98 * hour), 6 * hour),
            (hour, Some(i64::MIN), RANGE_MAX_MS),
        ] {
            assert_eq!(range_ms(asked, began, 100 * hour), expected, "{asked} {began:?}");
        }
    }
}
