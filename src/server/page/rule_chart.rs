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

/// A drawing, and why there is none or not all of it. Both are empty before there is any data.
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
    /// What evaluations found of that alert, to be drawn where nothing of it is stored.
    pub(crate) found: Vec<Sample>,
    pub(crate) now_ms: i64,
}

impl<'a> Course<'a> {
    fn step_ms(&self) -> i64 {
        auto_step_ms(self.range.end_ms - self.range.start_ms)
    }

    fn drawing(&self, limit: Option<&'a Threshold>, unit: Unit) -> Drawing<'_> {
        let step_ms = self.step_ms();
        Drawing {
            range: aligned(self.range, step_ms),
            step_ms,
            unit,
            limit: limit.map(|limit| (limit.operator, limit.limit)),
            bands: &self.bands,
            from: &self.from,
            to: &self.to,
            now_ms: self.now_ms,
        }
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
            let trouble = Trouble::new("Nothing to draw", reason);
            return Ok(RuleChart::of_evaluations(trouble, None, Unit::Number, course));
        };
        let Some(tenant) = asked.store()? else { return Ok(RuleChart::default()) };
        let step_ms = course.step_ms();
        let range = aligned(course.range, step_ms);
        let rows = value.rows(&tenant.snapshot()?, range, step_ms, asked.state.lookback_ms(), &asked.budget);
        Ok(RuleChart::new(rows, value.limit.as_ref(), value_unit(&value.text), course))
    }

    pub(crate) fn new(
        rows: Result<Vec<(Labels, Vec<Sample>)>, QueryError>,
        limit: Option<&Threshold>,
        unit: Unit,
        course: &Course<'_>,
    ) -> RuleChart {
        let mut rows = match rows {
            Ok(rows) => rows,
            Err(error) => {
                let trouble = Trouble::new("The condition cannot be drawn", error.to_string());
                return RuleChart::of_evaluations(trouble, limit, unit, course);
            }
        };
        if rows.is_empty() {
            let trouble = match limit {
                Some(_) if course.bands.is_empty() => Trouble::new(
                    "No data",
                    "no series had what this rule compares in this window; while it is so, the rule cannot fire",
                ),
                Some(_) => Trouble::new(
                    "No data",
                    "nothing of what this rule compares is stored for this window any more, or yet",
                ),
                None => Trouble::new("Nothing to draw", "the expression returned nothing in this window"),
            };
            return RuleChart::of_evaluations(trouble, limit, unit, course);
        }
        if let Some(alert) = course.of
            && rows.iter().any(|(labels, _)| is_of(labels, alert))
        {
            rows.retain(|(labels, _)| is_of(labels, alert));
        }
        RuleChart { graph: Some(Graph::new(&rows, &course.drawing(limit, unit))), trouble: None }
    }

    /// What is known without the series: when it was pending or fired, and the values that evaluations found then. The rule is
    /// evaluated also while nothing can be stored, and that is when somebody looks at its page.
    fn of_evaluations(trouble: Trouble, limit: Option<&Threshold>, unit: Unit, course: &Course<'_>) -> RuleChart {
        if course.bands.is_empty() {
            return RuleChart { graph: None, trouble: Some(trouble) };
        }
        let row = course.of.filter(|_| !course.found.is_empty()).map(|labels| (labels.clone(), course.found.clone()));
        let mut graph = Graph::new(row.as_slice(), &course.drawing(limit, unit));
        graph.sentence = match row {
            Some(_) => "The points are what the rule's evaluations found when the alert changed, and the latest; the bars are when it was pending and fired.",
            None => "The bars are when it was pending and fired.",
        }
        .into();
        RuleChart { graph: Some(graph), trouble: Some(trouble) }
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

/// What evaluations found of an alert in its present episode: at its changes, and at the last evaluation. `changes` are the newest
/// first, of all rules.
pub(crate) fn found_of(instance: &Instance, changes: &[Transition]) -> Vec<Sample> {
    let of_it = changes.iter().rev().filter(|change| {
        change.at_ms >= instance.active_at_ms && change.rule_id == instance.rule_id && change.labels == instance.labels
    });
    let mut found: Vec<Sample> = of_it.map(|change| Sample { at_ms: change.at_ms, value: change.value }).collect();
    let latest = Sample { at_ms: instance.evaluated_at_ms, value: instance.value };
    if found.last().is_none_or(|last| last.at_ms < latest.at_ms) {
        found.push(latest);
    }
    found
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

    fn change(at_ms: i64, host: &str, to: Option<AlertState>) -> Transition {
        Transition {
            at_ms,
            rule_id: "r".into(),
            labels: Labels::from_pairs([("host", host)]),
            from: None,
            to,
            value: at_ms as f64,
            note: String::new(),
        }
    }

    #[test]
    fn an_alert_of_which_nothing_is_stored_shows_when_it_fires() {
        let instance = Instance {
            rule_id: "r".into(),
            labels: Labels::from_pairs([("host", "a")]),
            annotations: Vec::new(),
            state: AlertState::Firing,
            active_at_ms: 600_000,
            fired_at_ms: Some(1_200_000),
            keep_since_ms: None,
            resolved_at_ms: None,
            evaluated_at_ms: 3_500_000,
            value: 7.0,
            evidence: model::alert::Evidence::default(),
        };
        let changes = [
            change(1_200_000, "a", Some(AlertState::Firing)),
            change(900_000, "b", Some(AlertState::Firing)),
            change(600_000, "a", Some(AlertState::Pending)),
            change(300_000, "a", Some(AlertState::Resolved)),
        ];
        let found = found_of(&instance, &changes);
        let points: Vec<(i64, f64)> = found.iter().map(|point| (point.at_ms, point.value)).collect();
        assert_eq!(points, [(600_000, 600_000.0), (1_200_000, 1_200_000.0), (3_500_000, 7.0)]);
        let limit = crate::page::threshold("full > 5");
        let course = |bands: Vec<Band>, found: Vec<Sample>| Course {
            range: MsRange { start_ms: 0, end_ms: 3_600_000 },
            from: String::new(),
            to: String::new(),
            bands,
            of: Some(&instance.labels),
            found,
            now_ms: 3_600_000,
        };
        let bands = bands_of(&instance, 3_600_000);
        for rows in [Ok(Vec::new()), Err(QueryError::Timeout { seconds: 1.0 })] {
            let chart = RuleChart::new(rows, limit.as_ref(), Unit::Number, &course(bands.clone(), found.clone()));
            let graph = chart.graph.expect("a graph");
            let drawn = graph.svg.to_string();
            assert!(
                drawn.contains("class=\"bf\"") && drawn.contains("class=\"bp\"") && drawn.contains("class=\"thr\"")
            );
            assert_eq!((graph.legend[0].last.as_str(), graph.legend[0].min.as_str()), ("7", "7"));
            let trouble = chart.trouble.expect("words");
            assert!(!trouble.why.contains("cannot fire"), "{}", trouble.why);
        }
        let chart = RuleChart::new(Ok(Vec::new()), limit.as_ref(), Unit::Number, &course(bands, Vec::new()));
        assert!(chart.graph.expect("bars alone").svg.to_string().contains("class=\"bf\""));
        let chart = RuleChart::new(Ok(Vec::new()), limit.as_ref(), Unit::Number, &course(Vec::new(), Vec::new()));
        assert!(chart.graph.is_none() && chart.trouble.expect("words").why.contains("cannot fire"));
    }

    #[test]
    fn changes_become_spans() {
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
