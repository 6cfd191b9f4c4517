//! Runs rule tests in promtool's format: input series, rules, and which alerts fire and what expressions give at which time; and beside
//! that log lines, what LogQL gives, and whom the alerts are told.
//!
//! Rules go through the same evaluation as in service, over series in memory; time starts at 0 and no clock is read. Fields that
//! promtool knows and this does not are refused, so that no test passes because it was not understood.

mod expected;
mod format;
mod logs;
pub(crate) mod memory;
mod notation;

use std::path::{Path, PathBuf};
use std::time::Duration;

use model::{Labels, time};
use query::Limits;
use store::Evaluation;

use crate::engine::prepare;
use crate::evaluate::{self, Memory as States, Prepared, Settings};
use crate::file::{self, Group};
use format::{Test, TestFile};
use logs::Logs;
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

/// One message that a receiver would get.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    pub at_ms: i64,
    pub receiver: String,
    /// Kind of the channel: `slack`.
    pub channel: String,
    pub title: String,
    pub text: String,
}

/// What a configuration file makes of evaluations in order, up to a time in ms: this room tells nobody, so somebody else must say.
pub type Rehearse<'a> = &'a dyn Fn(&Path, &[Evaluation], i64) -> Result<Vec<Told>, String>;

/// Runs all tests of one file; its `rule_files` and `notify_file` are relative to `dir`. No failure means that all passed.
pub fn run(text: &str, dir: &Path, rehearse: Rehearse<'_>) -> Result<Vec<Failure>, TestError> {
    let mut options = serde_saphyr::Options::default();
    options.with_snippet = false;
    let read: TestFile = serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let line = error.location().map_or(1, |location| usize::try_from(location.line()).unwrap_or(1));
        TestError::Format { line, reason: error.to_string() }
    })?;
    let interval_ms = duration(&read.evaluation_interval, "evaluation_interval")?;
    let mut failures = Vec::new();
    let notify_file = read.notify_file.as_ref().map(|file| dir.join(file));
    for (at, test) in read.tests.iter().enumerate() {
        let name = test.name.clone().unwrap_or_else(|| format!("test {}", at + 1));
        let mut groups = rule_groups(&read.rule_files, dir, interval_ms)?;
        let order = |group: &Group| read.group_eval_order.iter().position(|name| *name == group.name);
        groups.sort_by_key(|group| order(group).unwrap_or(usize::MAX));
        let failed = |reason: String| TestError::Test { test: name.clone(), reason };
        let tell = |evaluations: &[Evaluation], until_ms: i64| match &notify_file {
            Some(file) => rehearse(file, evaluations, until_ms),
            None => Err("a notification_test needs the file's notify_file".into()),
        };
        let messages = run_test(test, groups, interval_ms, read.fuzzy_compare, &tell).map_err(failed)?;
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

/// A time within a test, in ms since its beginning.
fn time_of(text: &str) -> Result<i64, String> {
    time::parse_duration_ms(text).ok_or_else(|| format!("{text:?} is no duration"))
}

type Tell<'a> = &'a dyn Fn(&[Evaluation], i64) -> Result<Vec<Told>, String>;

fn run_test(
    test: &Test,
    groups: Vec<Group>,
    interval_ms: i64,
    fuzzy: bool,
    tell: Tell<'_>,
) -> Result<Vec<String>, String> {
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
    let mut logs = Logs::open(&test.input_logs, start_ms)?;
    let memory = Memory::with_logs(logs.as_ref().map(Logs::tenant));
    for input in &test.input_series {
        let labels = notation::labels(&input.series)?;
        for (value, at) in notation::values(&input.values)?.into_iter().zip(0..) {
            if let Some(value) = value {
                memory.put(&labels, start_ms + at * step_ms, value);
            }
        }
    }
    let mut alert_tests = Vec::new();
    for expected in test.alert_rule_test.iter().chain(&test.log_alert_test) {
        if expected.alertname.is_empty() {
            return Err(format!("an alert_rule_test at {} has no alertname", expected.eval_time));
        }
        alert_tests.push((time_of(&expected.eval_time)?, expected));
    }
    let timed = |expected| -> Result<_, String> {
        let expected: &format::ExprTest = expected;
        Ok((time_of(&expected.eval_time)?, expected))
    };
    let expr_tests: Vec<_> = test.promql_expr_test.iter().map(timed).collect::<Result<_, _>>()?;
    let logql_tests: Vec<_> = test.logql_expr_test.iter().map(timed).collect::<Result<_, _>>()?;
    let mut ends: Vec<i64> = alert_tests.iter().map(|(at, _)| *at).collect();
    ends.extend(expr_tests.iter().chain(&logql_tests).map(|(at, _)| *at));
    for expected in &test.notification_test {
        ends.extend(expected.until.as_deref().map(time_of).transpose()?);
        for wanted in &expected.exp_notifications {
            ends.push(time_of(&wanted.at)?);
        }
    }
    let last_ms = ends.into_iter().max().unwrap_or(0);
    if last_ms / interval_ms > EVALUATIONS_MAX {
        return Err(format!("more than {EVALUATIONS_MAX} evaluations; choose a longer evaluation_interval"));
    }
    let settings = Settings {
        external_url: test.external_url.clone(),
        external_labels: Labels::from_pairs(
            test.external_labels.iter().map(|(name, value)| (name.as_str(), value.as_str())),
        ),
        lookback_ms: LOOKBACK_MS,
        query_limits: Limits { timeout: QUERY_TIMEOUT, ..Limits::default() }.into(),
    };
    let prepared: Vec<Prepared> = prepare::prepare(groups);
    let mut states: Vec<States> = prepared.iter().map(|_| States::default()).collect();
    let mut failures = Vec::new();
    let mut evaluations = Vec::new();
    for at_ms in (0..=last_ms).step_by(usize::try_from(interval_ms).unwrap_or(usize::MAX)) {
        if let Some(logs) = &mut logs {
            logs.pass(start_ms + at_ms)?;
        }
        for (group, state) in prepared.iter().zip(&mut states) {
            let outcome = evaluate::evaluate(group, state, start_ms + at_ms, &settings, &memory);
            state.instances = outcome.instances;
            state.events.extend(outcome.events);
            if !test.notification_test.is_empty() && !outcome.evaluation.is_unchanged() {
                evaluations.push(outcome.evaluation);
            }
            for (rule, report) in group.group.rules.iter().zip(outcome.reports) {
                if !report.error.is_empty() {
                    return Err(format!("rule {:?} at {}: {}", rule.name, shown_time(at_ms), report.error));
                }
            }
        }
        // As promtool: what is asked of a time between two evaluations is answered by the earlier one.
        let now = alert_tests.iter().filter(|(asked_ms, _)| at_ms <= *asked_ms && *asked_ms < at_ms + interval_ms);
        for (_, expected) in now {
            failures.extend(expected::check_alerts(expected, &states));
        }
    }
    for (at_ms, expected) in expr_tests {
        failures.extend(expected::check_expr(expected, start_ms + at_ms, fuzzy, &settings, &memory)?);
    }
    for (at_ms, expected) in logql_tests {
        failures.extend(expected::check_logql(expected, start_ms + at_ms, fuzzy, &settings, &memory)?);
    }
    if !test.notification_test.is_empty() {
        let told = tell(&evaluations, start_ms + last_ms)?;
        for expected in &test.notification_test {
            let until_ms = expected.until.as_deref().map(time_of).transpose()?.unwrap_or(last_ms);
            failures.extend(expected::check_told(expected, until_ms, start_ms, &told)?);
        }
    }
    Ok(failures)
}

fn shown_time(at_ms: i64) -> String {
    time::format_duration_ms(at_ms)
}

#[cfg(test)]
mod tests;
