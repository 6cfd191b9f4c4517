//! Runs rule tests in promtool's format: input series, rules, and which alerts fire and what expressions give at which time.
//!
//! Rules go through the same evaluation as in service, over series in memory; time starts at 0 and no clock is read. Fields that
//! promtool knows and this does not are refused, so that no test passes because it was not understood.

pub(crate) mod memory;
mod notation;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use model::{AlertState, Labels, time};
use query::Limits;
use query::promql::notation::Value as Point;
use query::promql::{self, Value};
use serde::Deserialize;

use crate::engine::prepare;
use crate::evaluate::{self, Memory as States, Prepared, Settings};
use crate::file::{self, Group};
use memory::Memory;

/// Most evaluations of one test; a longer one has an interval by mistake.
const EVALUATIONS_MAX: i64 = 100_000;
const QUERY_TIMEOUT: Duration = Duration::from_secs(30);
/// Prometheus' and promtool's.
const LOOKBACK_MS: i64 = 5 * 60_000;
const DEFAULT_INTERVAL_MS: i64 = 60_000;

/// An expectation that did not come true.
#[derive(Debug, Clone, PartialEq)]
pub struct Failure {
    /// The test's name, or its place in the file.
    pub test: String,
    pub message: String,
}

/// A test file that cannot be run.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum TestError {
    #[error("line {line}: {reason}")]
    Format { line: usize, reason: String },
    #[error("{test}: {reason}")]
    Test { test: String, reason: String },
    #[error("cannot read rule file {path}: {reason}")]
    Read { path: String, reason: String },
    #[error(transparent)]
    Rules(#[from] file::RuleFileError),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TestFile {
    #[serde(default)]
    rule_files: Vec<String>,
    evaluation_interval: Option<String>,
    /// Groups in the order they are evaluated in; others come in the files' order after them.
    #[serde(default)]
    group_eval_order: Vec<String>,
    /// Values may differ in their last digits.
    #[serde(default)]
    fuzzy_compare: bool,
    #[serde(default)]
    tests: Vec<Test>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Test {
    name: Option<String>,
    interval: Option<String>,
    #[serde(default)]
    input_series: Vec<InputSeries>,
    #[serde(default)]
    alert_rule_test: Vec<AlertTest>,
    #[serde(default)]
    promql_expr_test: Vec<ExprTest>,
    /// When the test begins: RFC 3339 or seconds; 1970 by default.
    start_timestamp: Option<String>,
    #[serde(default)]
    external_url: String,
    #[serde(default)]
    external_labels: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct InputSeries {
    series: String,
    values: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AlertTest {
    eval_time: String,
    #[serde(default)]
    alertname: String,
    #[serde(default)]
    exp_alerts: Vec<ExpectedAlert>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExpectedAlert {
    #[serde(default)]
    exp_labels: BTreeMap<String, String>,
    #[serde(default)]
    exp_annotations: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExprTest {
    expr: String,
    eval_time: String,
    #[serde(default)]
    exp_samples: Vec<ExpectedSample>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExpectedSample {
    labels: String,
    #[serde(default)]
    value: f64,
    /// A native histogram instead of a value: `{{schema:0 count:1 sum:1 buckets:[1]}}`.
    histogram: Option<String>,
}

/// Runs all tests of one file; its `rule_files` are relative to `dir`. No failure means that all passed.
pub fn run(text: &str, dir: &Path) -> Result<Vec<Failure>, TestError> {
    let mut options = serde_saphyr::Options::default();
    options.with_snippet = false;
    let read: TestFile = serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let line = error.location().map_or(1, |location| usize::try_from(location.line()).unwrap_or(1));
        TestError::Format { line, reason: error.to_string() }
    })?;
    let interval_ms = duration(&read.evaluation_interval, "evaluation_interval")?;
    let mut failures = Vec::new();
    for (at, test) in read.tests.iter().enumerate() {
        let name = test.name.clone().unwrap_or_else(|| format!("test {}", at + 1));
        let mut groups = rule_groups(&read.rule_files, dir, interval_ms)?;
        let order = |group: &Group| read.group_eval_order.iter().position(|name| *name == group.name);
        groups.sort_by_key(|group| order(group).unwrap_or(usize::MAX));
        let failed = |reason: String| TestError::Test { test: name.clone(), reason };
        let messages = run_test(test, groups, interval_ms, read.fuzzy_compare).map_err(failed)?;
        failures.extend(messages.into_iter().map(|message| Failure { test: name.clone(), message }));
    }
    Ok(failures)
}

fn rule_groups(files: &[String], dir: &Path, interval_ms: i64) -> Result<Vec<Group>, TestError> {
    let mut groups = Vec::new();
    for file in files {
        for path in matching(dir, file)? {
            let read_error =
                |error: std::io::Error| TestError::Read { path: path.display().to_string(), reason: error.to_string() };
            let text = std::fs::read_to_string(&path).map_err(read_error)?;
            groups.extend(file::parse(&text, &path.display().to_string(), interval_ms)?);
        }
    }
    Ok(groups)
}

/// Files that a path with `*` in its last part names, in order; promtool only warns when there is none, and so a file without a
/// star must be there.
fn matching(dir: &Path, pattern: &str) -> Result<Vec<PathBuf>, TestError> {
    let path = dir.join(pattern);
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    if !name.contains('*') {
        return Ok(vec![path]);
    }
    let (first, last) = name.split_once('*').unwrap_or((name, ""));
    let folder = path.parent().unwrap_or(dir);
    let read_error =
        |error: std::io::Error| TestError::Read { path: folder.display().to_string(), reason: error.to_string() };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(read_error)? {
        let entry = entry.map_err(read_error)?.path();
        let fits =
            |name: &str| name.len() >= first.len() + last.len() && name.starts_with(first) && name.ends_with(last);
        if entry.file_name().and_then(|name| name.to_str()).is_some_and(fits) {
            found.push(entry);
        }
    }
    found.sort();
    Ok(found)
}

fn duration(text: &Option<String>, of: &str) -> Result<i64, TestError> {
    let Some(text) = text else { return Ok(DEFAULT_INTERVAL_MS) };
    time::parse_duration_ms(text)
        .filter(|ms| *ms > 0)
        .ok_or_else(|| TestError::Format { line: 1, reason: format!("{of}: {text:?} is no duration") })
}

fn run_test(test: &Test, groups: Vec<Group>, interval_ms: i64, fuzzy: bool) -> Result<Vec<String>, String> {
    let memory = Memory::default();
    let step_ms = match &test.interval {
        Some(_) => duration(&test.interval, "interval").map_err(|error| error.to_string())?,
        None => interval_ms,
    };
    let start_ms = match &test.start_timestamp {
        None => 0,
        Some(text) => text
            .parse::<jiff::Timestamp>()
            .ok()
            .map(|at| at.as_millisecond())
            .or_else(|| text.parse::<f64>().ok().map(|seconds| (seconds * 1e3) as i64))
            .ok_or_else(|| format!("start_timestamp: {text:?} is neither RFC 3339 nor seconds since 1970"))?,
    };
    for input in &test.input_series {
        let labels = notation::labels(&input.series)?;
        for (value, at) in notation::values(&input.values)?.into_iter().zip(0..) {
            if let Some(value) = value {
                memory.put(&labels, start_ms + at * step_ms, value);
            }
        }
    }
    let time_of = |text: &str| time::parse_duration_ms(text).ok_or_else(|| format!("{text:?} is no duration"));
    let mut alert_tests = Vec::new();
    for expected in &test.alert_rule_test {
        if expected.alertname.is_empty() {
            return Err(format!("an alert_rule_test at {} has no alertname", expected.eval_time));
        }
        alert_tests.push((time_of(&expected.eval_time)?, expected));
    }
    let mut expr_tests = Vec::new();
    for expected in &test.promql_expr_test {
        expr_tests.push((time_of(&expected.eval_time)?, expected));
    }
    let last_ms = alert_tests.iter().map(|(at, _)| *at).chain(expr_tests.iter().map(|(at, _)| *at)).max().unwrap_or(0);
    if last_ms / interval_ms > EVALUATIONS_MAX {
        return Err(format!("more than {EVALUATIONS_MAX} evaluations; choose a longer evaluation_interval"));
    }
    let settings = Settings {
        external_url: test.external_url.clone(),
        external_labels: Labels::from_pairs(
            test.external_labels.iter().map(|(name, value)| (name.as_str(), value.as_str())),
        ),
        lookback_ms: LOOKBACK_MS,
        query_limits: Limits { timeout: QUERY_TIMEOUT, ..Limits::default() },
    };
    let prepared: Vec<Prepared> = prepare::prepare(groups);
    let mut states: Vec<States> = prepared.iter().map(|_| States::default()).collect();
    let mut failures = Vec::new();
    for at_ms in (0..=last_ms).step_by(usize::try_from(interval_ms).unwrap_or(usize::MAX)) {
        for (group, state) in prepared.iter().zip(&mut states) {
            let outcome = evaluate::evaluate(group, state, start_ms + at_ms, &settings, &memory);
            state.instances = outcome.instances;
            for (rule, report) in group.group.rules.iter().zip(outcome.reports) {
                if !report.error.is_empty() {
                    return Err(format!("rule {:?} at {}: {}", rule.name, shown_time(at_ms), report.error));
                }
            }
        }
        // As promtool: what is asked of a time between two evaluations is answered by the earlier one.
        let now = alert_tests.iter().filter(|(asked_ms, _)| at_ms <= *asked_ms && *asked_ms < at_ms + interval_ms);
        for (_, expected) in now {
            failures.extend(check_alerts(expected, &states));
        }
    }
    for (at_ms, expected) in expr_tests {
        failures.extend(check_expr(expected, start_ms + at_ms, fuzzy, &settings, &memory)?);
    }
    Ok(failures)
}

/// Labels and annotations of one alert, in an order to compare.
type Shown = (Labels, Vec<(String, String)>);

fn check_alerts(expected: &AlertTest, states: &[States]) -> Option<String> {
    let mut wanted: Vec<Shown> = expected
        .exp_alerts
        .iter()
        .map(|alert| {
            let labels =
                Labels::from_pairs(alert.exp_labels.iter().map(|(name, value)| (name.as_str(), value.as_str())));
            (labels.with("alertname", &expected.alertname), alert.exp_annotations.clone().into_iter().collect())
        })
        .collect();
    let mut found: Vec<Shown> = states
        .iter()
        .flat_map(|states| states.instances.values().flat_map(|instances| instances.values()))
        .filter(|instance| instance.state == AlertState::Firing)
        .filter(|instance| instance.labels.value("alertname") == expected.alertname)
        .map(|instance| {
            let mut annotations = instance.annotations.clone();
            annotations.sort();
            (instance.labels.clone(), annotations)
        })
        .collect();
    wanted.sort();
    found.sort();
    let shown = |alerts: &[Shown]| match alerts {
        [] => "nothing".to_string(),
        alerts => alerts.iter().map(|(labels, notes)| format!("{labels} {notes:?}")).collect::<Vec<_>>().join("\n    "),
    };
    (wanted != found).then(|| {
        let AlertTest { alertname, eval_time, .. } = expected;
        format!("{alertname} at {eval_time}:\n  expected\n    {}\n  fires\n    {}", shown(&wanted), shown(&found))
    })
}

fn check_expr(
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
    let mut found: Vec<(Labels, Point)> = match answer.value {
        Value::Vector(samples) => {
            samples.into_iter().map(|(labels, sample)| (labels, Point::Float(sample.value))).collect()
        }
        Value::Scalar(sample) => vec![(Labels::default(), Point::Float(sample.value))],
        _ => return Err(format!("{:?} gives neither a vector nor a scalar", expected.expr)),
    };
    for (labels, histograms) in answer.histograms {
        found.extend(histograms.into_iter().map(|(_, histogram)| (labels.clone(), Point::Histogram(histogram))));
    }
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

/// Equal, both NaN, or with `fuzzy` within a relative 1e-6 (promtool's).
fn same_value(a: f64, b: f64, fuzzy: bool) -> bool {
    a == b || (a.is_nan() && b.is_nan()) || (fuzzy && (a - b).abs() <= 1e-6 * a.abs().max(b.abs()))
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

fn shown_time(at_ms: i64) -> String {
    time::format_duration_ms(at_ms)
}

#[cfg(test)]
mod tests;
