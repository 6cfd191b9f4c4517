//! What a test expects against what came: alerts, values, messages.

use model::time::NS_PER_MS;
use model::{AlertState, Labels};
use query::logql;
use query::promql;
use query::promql::notation::Value as Point;

use super::Told;
use super::format::{AlertTest, ExprTest, NotificationTest};
use super::memory::Memory;
use super::notation;
use crate::evaluate::{Memory as States, Settings, points};
use crate::ground::Ground as _;

/// Labels, annotations and log lines of one alert, in an order to compare.
type Shown = (Labels, Vec<(String, String)>, Option<Vec<String>>);

pub(super) fn check_alerts(expected: &AlertTest, states: &[States]) -> Option<String> {
    let mut wanted: Vec<Shown> = expected
        .exp_alerts
        .iter()
        .map(|alert| {
            let labels =
                Labels::from_pairs(alert.exp_labels.iter().map(|(name, value)| (name.as_str(), value.as_str())));
            let notes = alert.exp_annotations.clone().into_iter().collect();
            (labels.with("alertname", &expected.alertname), notes, alert.exp_lines.clone())
        })
        .collect();
    let wants_lines = expected.exp_alerts.iter().any(|alert| alert.exp_lines.is_some());
    let mut found: Vec<Shown> = states
        .iter()
        .flat_map(|states| states.instances.values().flat_map(|instances| instances.values()))
        .filter(|instance| instance.state == AlertState::Firing)
        .filter(|instance| instance.labels.value("alertname") == expected.alertname)
        .map(|instance| {
            let mut annotations = instance.annotations.clone();
            annotations.sort();
            (instance.labels.clone(), annotations, wants_lines.then(|| instance.evidence.log_lines.clone()))
        })
        .collect();
    wanted.sort();
    found.sort();
    let shown = |alerts: &[Shown]| match alerts {
        [] => "nothing".to_string(),
        alerts => {
            let one = |(labels, notes, lines): &Shown| {
                let lines = lines.as_ref().map_or(String::new(), |lines| format!(" {lines:?}"));
                format!("{labels} {notes:?}{lines}")
            };
            alerts.iter().map(one).collect::<Vec<_>>().join("\n    ")
        }
    };
    (wanted != found).then(|| {
        let AlertTest { alertname, eval_time, .. } = expected;
        format!("{alertname} at {eval_time}:\n  expected\n    {}\n  fires\n    {}", shown(&wanted), shown(&found))
    })
}

pub(super) fn check_expr(
    expected: &ExprTest,
    at_ms: i64,
    fuzzy: bool,
    settings: &Settings,
    memory: &Memory,
) -> Result<Option<String>, String> {
    let options = promql::Options::new(settings.lookback_ms, settings.query_limits.start());
    let failed = |error: query::QueryError| format!("{:?}: {error}", expected.expr);
    let expr = promql::parse(&expected.expr).map_err(failed)?;
    let answer = promql::instant(memory, &expr, at_ms, &options).map_err(failed)?;
    let found = points(answer).map_err(|reason| format!("{:?}: {reason}", expected.expr))?;
    compare(expected, found, fuzzy)
}

/// The same of a LogQL expression that gives samples.
pub(super) fn check_logql(
    expected: &ExprTest,
    at_ms: i64,
    fuzzy: bool,
    settings: &Settings,
    memory: &Memory,
) -> Result<Option<String>, String> {
    let failed = |reason: String| format!("{:?}: {reason}", expected.expr);
    let snapshot = memory.logs().map_err(|error| failed(error.to_string()))?;
    let Some(snapshot) = snapshot else { return compare(expected, Vec::new(), fuzzy) };
    let budget = settings.query_limits.start();
    let samples = logql::instant(&snapshot, &expected.expr, at_ms.saturating_mul(NS_PER_MS), &budget)
        .map_err(|error| failed(error.to_string()))?;
    compare(expected, samples.into_iter().map(|(labels, value)| (labels, Point::Float(value))).collect(), fuzzy)
}

fn compare(expected: &ExprTest, mut found: Vec<(Labels, Point)>, fuzzy: bool) -> Result<Option<String>, String> {
    let mut wanted = Vec::new();
    for sample in &expected.exp_samples {
        let point = match &sample.histogram {
            None => Point::Float(sample.value),
            Some(text) => match promql::notation::points(text)?.pop().flatten() {
                Some(point @ Point::Histogram(_)) => point,
                _ => return Err(format!("{text:?} is no histogram")),
            },
        };
        wanted.push((notation::labels(&sample.labels)?, point));
    }
    found.sort_by(|a, b| a.0.cmp(&b.0));
    wanted.sort_by(|a, b| a.0.cmp(&b.0));
    let same = found.len() == wanted.len()
        && found.iter().zip(&wanted).all(|(a, b)| a.0 == b.0 && same_point(&a.1, &b.1, fuzzy));
    let shown = |samples: &[(Labels, Point)]| match samples {
        [] => "nothing".to_string(),
        samples => samples
            .iter()
            .map(|(labels, point)| format!("{labels} {}", shown_point(point)))
            .collect::<Vec<_>>()
            .join("\n    "),
    };
    Ok((!same).then(|| {
        let ExprTest { expr, eval_time, .. } = expected;
        format!("{expr} at {eval_time}:\n  expected\n    {}\n  gives\n    {}", shown(&wanted), shown(&found))
    }))
}

/// Equal, both NaN, or with `fuzzy` next to each other, as promtool has it.
fn same_value(a: f64, b: f64, fuzzy: bool) -> bool {
    a == b || (a.is_nan() && b.is_nan()) || (fuzzy && (a.next_down() == b || a.next_up() == b))
}

/// Histograms are alike when their counts, sums and buckets are, whatever holds empty ones.
fn same_point(a: &Point, b: &Point, fuzzy: bool) -> bool {
    match (a, b) {
        (Point::Float(a), Point::Float(b)) => same_value(*a, *b, fuzzy),
        (Point::Histogram(a), Point::Histogram(b)) => {
            let (left, right) = (promql::buckets(a), promql::buckets(b));
            same_value(a.count, b.count, fuzzy)
                && same_value(a.sum, b.sum, fuzzy)
                && left.len() == right.len()
                && left.iter().zip(&right).all(|(a, b)| {
                    same_value(a.lower, b.lower, true)
                        && same_value(a.upper, b.upper, true)
                        && same_value(a.count, b.count, fuzzy)
                })
        }
        _ => false,
    }
}

fn shown_point(point: &Point) -> String {
    match point {
        Point::Float(value) => value.to_string(),
        Point::Histogram(histogram) => format!("{histogram:?}"),
    }
}

/// Messages to one receiver, `start_ms` being the test's beginning.
pub(super) fn check_told(
    expected: &NotificationTest,
    until_ms: i64,
    start_ms: i64,
    told: &[Told],
) -> Result<Option<String>, String> {
    let of_receiver = |told: &&Told| told.receiver == expected.receiver && told.at_ms - start_ms <= until_ms;
    let found: Vec<&Told> = told.iter().filter(of_receiver).collect();
    let mut same = found.len() == expected.exp_notifications.len();
    for (found, wanted) in found.iter().zip(&expected.exp_notifications) {
        let at_ms = super::time_of(&wanted.at)?;
        // To the second: channels keep a gap between their messages.
        same &= (found.at_ms - start_ms).div_euclid(1_000) == at_ms.div_euclid(1_000)
            && found.title == wanted.exp_title
            && wanted.channel.as_ref().is_none_or(|channel| *channel == found.channel)
            && wanted.exp_texts.iter().all(|text| found.text.contains(text));
    }
    let list = |lines: Vec<String>| if lines.is_empty() { "nothing".into() } else { lines.join("\n    ") };
    Ok((!same).then(|| {
        let wanted = expected.exp_notifications.iter().map(|wanted| {
            let texts =
                if wanted.exp_texts.is_empty() { String::new() } else { format!(" with {:?}", wanted.exp_texts) };
            format!("{} {} {}{texts}", wanted.at, wanted.channel.as_deref().unwrap_or("any"), wanted.exp_title)
        });
        let found = found.iter().map(|told| {
            let at = super::shown_time(told.at_ms - start_ms);
            format!("{at} {} {}", told.channel, told.text.trim().replace('\n', "\n      "))
        });
        let (wanted, found) = (list(wanted.collect()), list(found.collect()));
        format!(
            "{} until {}:\n  expected\n    {wanted}\n  is told\n    {found}",
            expected.receiver,
            super::shown_time(until_ms)
        )
    }))
}
