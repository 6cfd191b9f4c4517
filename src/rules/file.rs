//! Rule files: Prometheus' YAML to groups, with the line in every error.
//!
//! Whatever can be wrong with a rule is found here, when the file is read: keys, durations, expressions, templates. Each file
//! stands for itself, so a bad one stops no other.

mod extension;
mod slo;
mod yaml;

use std::collections::HashSet;
use std::fmt;

use model::alert::RuleId;
use model::{labels, time};
use xxhash_rust::xxh3::Xxh3;

use crate::condition::{self, Condition};
use crate::extension::Extension;
use crate::template::Template;

/// Longest rule file, in bytes: well over the largest mixins.
pub const FILE_BYTES_MAX: usize = 8 << 20;
/// Most rules in one file.
const RULES_MAX: usize = 10_000;
/// Most mistakes listed for one file.
const ERRORS_MAX: usize = 20;

/// A file that cannot be used, where and why; its text has a line for each mistake.
#[derive(Debug, Clone, PartialEq)]
pub struct RuleFileError {
    pub file: String,
    pub line: usize,
    pub reason: String,
    /// Further mistakes: line and reason.
    pub more: Vec<(usize, String)>,
}

impl std::error::Error for RuleFileError {}

impl fmt::Display for RuleFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.reason)?;
        for (line, reason) in &self.more {
            write!(f, "\n{}:{line}: {reason}", self.file)?;
        }
        Ok(())
    }
}

/// Rules evaluated together, in order, at the same time.
#[derive(Debug, Clone)]
pub struct Group {
    pub file: String,
    pub name: String,
    pub interval_ms: i64,
    /// Most instances of one alerting rule, 0 for no limit.
    pub limit: usize,
    /// Over the limit, a rule fails and its alerts are forgotten, as in Prometheus; otherwise the first ones stay.
    pub limit_clears: bool,
    /// Evaluated this long before the slot.
    pub query_offset_ms: i64,
    /// Where in the interval the slots lie; by name where nothing is said.
    pub eval_offset_ms: Option<i64>,
    pub rules: Vec<Rule>,
}

#[derive(Debug, Clone)]
pub struct Rule {
    pub id: RuleId,
    /// The alert's or the recorded series' name.
    pub name: String,
    pub kind: RuleKind,
    /// The expression as written, and parsed.
    pub expr_text: String,
    pub condition: Condition,
    /// Static labels, the group's among them; values are templates for alerting rules.
    pub labels: Vec<(String, String)>,
    /// Templates.
    pub annotations: Vec<(String, String)>,
    pub extension: Extension,
    pub line: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RuleKind {
    Recording,
    Alerting { for_ms: i64, keep_firing_for_ms: i64 },
}

/// Reads one file. `default_interval_ms` is for groups that name none.
///
/// Groups of type `logs` and `events` are in LogQL; a rule of a group without a type that is LogQL and not PromQL is taken for what it
/// is, so that Loki's files load. Groups of types that other programs know are left out with a warning.
pub fn parse(text: &str, file: &str, default_interval_ms: i64) -> Result<Vec<Group>, RuleFileError> {
    let mut mistakes = Mistakes(Vec::new());
    let mut groups = Vec::new();
    if text.len() > FILE_BYTES_MAX {
        let reason = format!("a rule file has at most {FILE_BYTES_MAX} bytes, this one has {}; split it", text.len());
        mistakes.add(1, reason);
    } else {
        match yaml::read(text) {
            Ok(read) => groups = checked(read, file, default_interval_ms, &mut mistakes),
            Err((line, reason)) => mistakes.add(line, reason),
        }
    }
    mistakes.0.sort_by_key(|(line, _)| *line);
    let left_out = mistakes.0.len().saturating_sub(ERRORS_MAX);
    mistakes.0.truncate(ERRORS_MAX);
    let mut mistakes = mistakes.0.into_iter();
    match mistakes.next() {
        None => Ok(groups),
        Some((line, reason)) => {
            let mut more: Vec<(usize, String)> = mistakes.collect();
            if left_out > 0 {
                more.push((line, format!("and {left_out} more mistakes")));
            }
            Err(RuleFileError { file: file.into(), line, reason, more })
        }
    }
}

struct Mistakes(Vec<(usize, String)>);

impl Mistakes {
    fn add(&mut self, line: usize, reason: String) {
        self.0.push((line, reason));
    }

    fn unknown(&mut self, keys: &[yaml::Text], known: &[&str], of: &str) {
        for key in keys {
            let hint = nearest(&key.text, known).map_or(String::new(), |name| format!("; did you mean {name:?}?"));
            self.add(key.line, format!("{of}unknown key {:?}{hint}", key.text));
        }
    }

    /// A duration as Prometheus writes it, not negative.
    fn duration(&mut self, value: &Option<yaml::Text>, key: &str, of: &str) -> i64 {
        let Some(value) = value else { return 0 };
        time::parse_duration_ms(&value.text).unwrap_or_else(|| {
            self.add(value.line, format!("{of}{key}: {:?} is no duration; write it like 30s, 5m or 1h30m", value.text));
            0
        })
    }
}

fn checked(read: yaml::File, file: &str, default_interval_ms: i64, mistakes: &mut Mistakes) -> Vec<Group> {
    mistakes.unknown(&read.unknown, &yaml::FILE_KEYS, "");
    let rules: usize = read.groups.iter().map(|group| group.rules.len()).sum();
    if rules > RULES_MAX {
        mistakes.add(1, format!("a rule file has at most {RULES_MAX} rules, this one has {rules}; split it"));
        return Vec::new();
    }
    let mut names = HashSet::new();
    let mut ids = HashSet::new();
    let mut groups = Vec::new();
    for group in read.groups {
        let name = group.name.as_ref().map(|name| name.text.clone()).unwrap_or_default();
        if name.is_empty() {
            mistakes.add(group.line, "a group needs a name".into());
        } else if !names.insert(name.clone()) {
            mistakes.add(group.line, format!("group {name:?} stands twice in this file"));
        }
        let of = format!("group {name:?}: ");
        let language = match group.kind.as_ref().map_or("", |kind| kind.text.as_str()) {
            "" | "prometheus" => Language::Metrics,
            "logs" | "loki" => Language::Logs,
            "events" => Language::Events,
            other => {
                let line = group.kind.as_ref().map_or(group.line, |kind| kind.line);
                tracing::warn!(
                    file,
                    line,
                    group = name,
                    "group of type {other:?} is left out: it is none of prometheus, logs and events"
                );
                continue;
            }
        };
        mistakes.unknown(&group.unknown, &yaml::GROUP_KEYS, &of);
        warn_ignored(&group.ignored, file);
        let interval_ms = match mistakes.duration(&group.interval, "interval", &of) {
            0 => default_interval_ms,
            interval_ms => interval_ms,
        };
        let limit = group.limit.as_ref().map_or(0, |limit| {
            limit.text.parse().unwrap_or_else(|_| {
                mistakes.add(limit.line, format!("{of}limit: {:?} is no whole number", limit.text));
                0
            })
        });
        // vmalert's name for the same.
        let query_offset = group.query_offset.as_ref().or(group.eval_delay.as_ref()).cloned();
        let query_offset_ms = mistakes.duration(&query_offset, "query_offset", &of);
        let eval_offset_ms =
            group.eval_offset.is_some().then(|| mistakes.duration(&group.eval_offset, "eval_offset", &of));
        if let Some(offset) = group.eval_offset.as_ref().filter(|_| eval_offset_ms >= Some(interval_ms)) {
            mistakes.add(offset.line, format!("{of}eval_offset: must be shorter than the interval"));
        }
        let limit_clears = match group.limit_mode.as_ref() {
            None => false,
            Some(mode) => {
                if mode.text != "prometheus" && mode.text != "keep" {
                    let reason = format!("{of}x: limit_mode: {:?} is neither \"keep\" nor \"prometheus\"", mode.text);
                    mistakes.add(mode.line, reason);
                }
                mode.text == "prometheus"
            }
        };
        check_label_names(&group.labels, &of, mistakes);
        let mut rules = Vec::with_capacity(group.rules.len());
        for mut rule in group.rules {
            rule.extension = match (rule.extension, &group.extension) {
                (Some(own), Some(all)) => Some(own.over(all)),
                (None, Some(all)) => Some(all.clone()),
                (own, None) => own,
            };
            for rule in slo::expanded(rule, mistakes) {
                rules.extend(checked_rule(rule, language, &name, &group.labels, file, &mut ids, mistakes));
            }
        }
        groups.push(Group {
            file: file.into(),
            name,
            interval_ms,
            limit,
            limit_clears,
            query_offset_ms,
            eval_offset_ms,
            rules,
        });
    }
    groups
}

/// What a group's expressions are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Language {
    Metrics,
    Logs,
    Events,
}

impl Language {
    fn parse(self, text: &str) -> Result<Condition, String> {
        match self {
            Language::Logs => condition::metric_of_logs(text).map(Condition::Logs),
            Language::Events => condition::log(text).map(Condition::Events),
            Language::Metrics => match query::promql::parse(text) {
                Ok(expr) => Ok(Condition::Metrics(expr)),
                // Loki's rule files name no type. What is no LogQL either is told as PromQL.
                Err(error) => condition::metric_of_logs(text).map(Condition::Logs).map_err(|_| error.to_string()),
            },
        }
    }
}

fn checked_rule(
    rule: yaml::Rule,
    language: Language,
    group: &str,
    group_labels: &[(yaml::Text, yaml::Text)],
    file: &str,
    ids: &mut HashSet<RuleId>,
    mistakes: &mut Mistakes,
) -> Option<Rule> {
    let line = rule.line;
    let text = |value: &Option<yaml::Text>| value.as_ref().map(|value| value.text.clone()).unwrap_or_default();
    let (record, alert) = (text(&rule.record), text(&rule.alert));
    let name = if alert.is_empty() { record.clone() } else { alert.clone() };
    let of = format!("rule {name:?}: ");
    let before = mistakes.0.len();
    mistakes.unknown(&rule.unknown, &yaml::RULE_KEYS, &of);
    warn_ignored(&rule.ignored, file);
    let is_alert = match (alert.is_empty(), record.is_empty()) {
        (true, true) => {
            mistakes.add(line, format!("a rule of group {group:?} has neither \"alert\" nor \"record\""));
            return None;
        }
        (false, false) => {
            mistakes.add(line, format!("{of}\"alert\" and \"record\" exclude each other"));
            return None;
        }
        (no_alert, _) => !no_alert,
    };
    let for_ms = mistakes.duration(&rule.for_, "for", &of);
    let keep_firing_for_ms = mistakes.duration(&rule.keep_firing_for, "keep_firing_for", &of);
    if !is_alert {
        let waits = [("for", &rule.for_, for_ms), ("keep_firing_for", &rule.keep_firing_for, keep_firing_for_ms)];
        for (key, value, ms) in waits {
            if let Some(value) = value.as_ref().filter(|_| ms != 0) {
                mistakes.add(value.line, format!("{of}a recording rule has no {key:?}"));
            }
        }
        if let Some((name, _)) = rule.annotations.first() {
            mistakes.add(name.line, format!("{of}a recording rule has no \"annotations\""));
        }
        // Any text is a name since Prometheus 3; with braces it is an expression in the wrong place.
        if record.contains(['{', '}']) {
            mistakes.add(line, format!("{of}{record:?} is no metric name; braces belong into \"expr\""));
        }
    }
    check_label_names(&rule.labels, &of, mistakes);
    // The rule's own labels win over its group's.
    let mut all_labels: Vec<(yaml::Text, yaml::Text)> = group_labels.to_vec();
    all_labels.retain(|(name, _)| !rule.labels.iter().any(|(own, _)| own.text == name.text));
    all_labels.extend(rule.labels);
    if is_alert {
        for (kind, pairs) in [("label", &all_labels), ("annotation", &rule.annotations)] {
            for (name, value) in pairs {
                if let Err(error) = Template::parse(&value.text) {
                    mistakes.add(value.line, format!("{of}{kind} {:?}: {error}", name.text));
                }
            }
        }
    }
    let expr_text = text(&rule.expr);
    let expr_line = rule.expr.as_ref().map_or(line, |expr| expr.line);
    if expr_text.trim().is_empty() {
        mistakes.add(expr_line, format!("{of}\"expr\" is missing"));
        return None;
    }
    if language == Language::Events && !is_alert {
        mistakes.add(line, format!("{of}a rule of type events cannot be recorded"));
    }
    let condition = match language.parse(&expr_text) {
        Ok(condition) => condition,
        Err(error) => {
            mistakes.add(expr_line, format!("{of}expr: {error}"));
            return None;
        }
    };
    let extension = match &rule.extension {
        Some(raw) if is_alert => extension::checked(raw, condition.promql(), for_ms, &of, mistakes),
        _ => Extension::default(),
    };
    if mistakes.0.len() > before {
        return None;
    }
    let pairs = |pairs: Vec<(yaml::Text, yaml::Text)>| -> Vec<(String, String)> {
        pairs.into_iter().map(|(name, value)| (name.text, value.text)).collect()
    };
    let labels = pairs(all_labels);
    let kind = if is_alert { RuleKind::Alerting { for_ms, keep_firing_for_ms } } else { RuleKind::Recording };
    let id = rule_id(group, &name, is_alert, &labels, ids);
    Some(Rule { id, name, kind, expr_text, condition, labels, annotations: pairs(rule.annotations), extension, line })
}

/// Hash of group, name and static labels. Of several rules alike in all of these the first has it, the next are counted.
fn rule_id(
    group: &str,
    name: &str,
    is_alert: bool,
    labels: &[(String, String)],
    taken: &mut HashSet<RuleId>,
) -> RuleId {
    let mut sorted: Vec<&(String, String)> = labels.iter().collect();
    sorted.sort();
    for nth in 0_u64.. {
        let mut hash = Xxh3::new();
        let words = [group, if is_alert { "alert" } else { "record" }, name].into_iter();
        for word in words.chain(sorted.iter().flat_map(|(name, value)| [name.as_str(), value.as_str()])) {
            hash.update(word.as_bytes());
            hash.update(&[0xff]);
        }
        hash.update(&nth.to_le_bytes());
        let id = format!("{:016x}", hash.digest());
        if taken.insert(id.clone()) {
            return id;
        }
    }
    unreachable!("there are fewer rules than numbers")
}

fn check_label_names(pairs: &[(yaml::Text, yaml::Text)], of: &str, mistakes: &mut Mistakes) {
    for (name, _) in pairs {
        if name.text.is_empty() || name.text == labels::METRIC_NAME {
            mistakes.add(name.line, format!("{of}{:?} cannot be a label's name", name.text));
        }
    }
}

fn warn_ignored(keys: &[yaml::Text], file: &str) {
    for key in keys {
        tracing::warn!(file, line = key.line, "key {:?} has no effect yet and is ignored", key.text);
    }
}

/// The known name that a misspelt one is likeliest to mean: at most a third of its letters differ.
fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let start: String = name.chars().take(100).collect();
    let ranked = known.iter().map(|known| (model::spelling::distance(&start, known), *known));
    ranked.filter(|(distance, known)| *distance <= known.len().max(3) / 3).min().map(|(_, known)| known)
}

#[cfg(test)]
mod damaged;
#[cfg(test)]
mod tests;
