//! What a rule compares with its threshold, drawn with the spans in which it was pending or fired: on the rule's own page, and on
//! that of each of its alerts.

use std::collections::HashMap;

use model::alert::{Instance, Transition};
use model::{AlertState, Labels, MsRange, Sample};
use query::QueryError;

use super::alert_view::value_unit;
use super::asked::Asked;
use super::failure::{Failure, Trouble};
use super::graph::{Drawing, Graph, aligned, auto_step_ms};
use super::threshold::Threshold;
use crate::chart::{Band, Unit, joined};
use crate::rule_value::RuleValue;

/// A drawing, or why there is none. Both are empty before there is any data.
#[derive(Default)]
pub(crate) struct RuleChart {
    pub(crate) graph: Option<Graph>,
    pub(crate) trouble: Option<Trouble>,
}

/// Which part of a rule's course is drawn.
pub(crate) struct Course<'a> {
    pub(crate) range: MsRange,
    /// The window as it stands in links.
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) bands: Vec<Band>,
    /// Only the series of an alert with these labels, where labels tell.
    pub(crate) of: Option<&'a Labels>,
    pub(crate) now_ms: i64,
}

impl Course<'_> {
    fn step_ms(&self) -> i64 {
        auto_step_ms(self.range.end_ms - self.range.start_ms)
    }
}

impl RuleChart {
    /// Asks for the rule's values within the page's budget.
    ///
    /// # Errors
    /// The store's. What is wrong with the query is shown in the chart's place.
    pub(crate) fn ask(asked: &Asked, rule_id: &str, course: &Course<'_>) -> Result<RuleChart, Failure> {
        let Some(rule) = asked.alerting().and_then(|alerting| alerting.rules.rule(rule_id)) else {
            return Ok(RuleChart::default());
        };
        let Some(value) = RuleValue::of(&rule.condition, &rule.expr_text) else {
            let reason = "the rule is about single log records, and has no value that moves";
            return Ok(RuleChart::without(Trouble::new("Nothing to draw", reason)));
        };
        let Some(tenant) = asked.store()? else { return Ok(RuleChart::default()) };
        let step_ms = course.step_ms();
        let range = aligned(course.range, step_ms);
        let rows = value.rows(&tenant.snapshot()?, range, step_ms, asked.state.lookback_ms(), &asked.budget);
        Ok(RuleChart::new(rows, value.limit.as_ref(), value_unit(&value.text), course))
    }

    fn without(trouble: Trouble) -> RuleChart {
        RuleChart { graph: None, trouble: Some(trouble) }
    }

    pub(crate) fn new(
        rows: Result<Vec<(Labels, Vec<Sample>)>, QueryError>,
        limit: Option<&Threshold>,
        unit: Unit,
        course: &Course<'_>,
    ) -> RuleChart {
        let mut rows = match rows {
            Ok(rows) => rows,
            Err(error) => return RuleChart::without(Trouble::new("The condition cannot be drawn", error.to_string())),
        };
        if rows.is_empty() {
            return RuleChart::without(match limit {
                Some(_) => Trouble::new(
                    "No data",
                    "no series had what this rule compares in this window; while it is so, the rule cannot fire",
                ),
                None => Trouble::new("Nothing to draw", "the expression returned nothing in this window"),
            });
        }
        if let Some(alert) = course.of
            && rows.iter().any(|(labels, _)| is_of(labels, alert))
        {
            rows.retain(|(labels, _)| is_of(labels, alert));
        }
        let step_ms = course.step_ms();
        let drawing = Drawing {
            range: aligned(course.range, step_ms),
            step_ms,
            unit,
            limit: limit.map(|limit| (limit.operator, limit.limit)),
            bands: &course.bands,
            from: &course.from,
            to: &course.to,
            now_ms: course.now_ms,
        };
        RuleChart { graph: Some(Graph::new(&rows, &drawing)), trouble: None }
    }
}

/// Whether a series is the one that an alert came from: the alert's labels are those of the series, and the rule's own.
fn is_of(series: &Labels, alert: &Labels) -> bool {
    series.iter().all(|(name, value)| name == "__name__" || alert.value(name) == value)
}

/// The spans that an alert has gone through in its present episode.
pub(crate) fn bands_of(instance: &Instance, now_ms: i64) -> Vec<Band> {
    let end_ms = instance.resolved_at_ms.unwrap_or(now_ms);
    let fired_ms = instance.fired_at_ms.unwrap_or(end_ms);
    let band = |start_ms, end_ms, firing| Band { start_ms, end_ms, firing };
    let bands = [band(instance.active_at_ms, fired_ms, false), band(fired_ms, end_ms, true)];
    bands.into_iter().filter(|band| band.start_ms < band.end_ms).collect()
}

/// The spans in which any alert of a rule was pending or fired, from its changes, newest first as the store has them.
pub(crate) fn bands_between(changes: &[Transition], now_ms: i64) -> Vec<Band> {
    // Going back in time, a change lasted until the next one of the same alert.
    let mut until: HashMap<&Labels, i64> = HashMap::new();
    let mut bands = Vec::new();
    for change in changes {
        let end_ms = until.insert(&change.labels, change.at_ms).unwrap_or(now_ms);
        let firing = match change.to {
            Some(AlertState::Firing) => true,
            Some(AlertState::Pending) => false,
            Some(AlertState::Resolved) | None => continue,
        };
        bands.push(Band { start_ms: change.at_ms, end_ms, firing });
    }
    joined(bands)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alert_is_drawn_with_its_own_series() {
        for (series, alert, expected) in [
            (&[("__name__", "cpu"), ("host", "a")][..], &[("alertname", "Cpu"), ("host", "a")][..], true),
            (&[("host", "b")], &[("alertname", "Cpu"), ("host", "a")], false),
            (&[("host", "a"), ("core", "1")], &[("host", "a")], false),
            (&[], &[("host", "a")], true),
        ] {
            let labels = |pairs: &[(&str, &str)]| Labels::from_pairs(pairs.iter().copied());
            assert_eq!(is_of(&labels(series), &labels(alert)), expected, "{series:?} {alert:?}");
        }
    }

    #[test]
    fn changes_become_spans() {
        let change = |at_ms: i64, host: &str, to: Option<AlertState>| Transition {
            at_ms,
            rule_id: "r".into(),
            labels: Labels::from_pairs([("host", host)]),
            from: None,
            to,
            value: 1.0,
            note: String::new(),
        };
        use AlertState::{Firing, Pending, Resolved};
        let changes = [
            change(60, "b", Some(Firing)),
            change(50, "a", Some(Resolved)),
            change(45, "b", Some(Pending)),
            change(20, "a", Some(Firing)),
            change(10, "a", Some(Pending)),
            change(5, "a", None),
            change(2, "a", Some(Pending)),
        ];
        let spans: Vec<(i64, i64, bool)> =
            bands_between(&changes, 100).iter().map(|band| (band.start_ms, band.end_ms, band.firing)).collect();
        assert_eq!(spans, [(2, 5, false), (10, 20, false), (45, 60, false), (20, 50, true), (60, 100, true)]);
    }
}
