//! The `x:` of a rule or a group: read with its lines, checked, and made an [`Extension`].

use model::Matcher;
use query::promql::{self, Expr, TreeKind};
use serde::de::MapAccess;

use super::Mistakes;
use super::yaml::{self, Keys, Mapping, Text};
use crate::condition;
use crate::extension::{Chart, EVENT_INSTANCES_MAX, Extension, Floor, Hysteresis, Level, Required, Unsure};
use crate::touched::Freshness;

/// Most levels of one rule.
const LEVELS_MAX: usize = 8;
/// How far a chart looks back where it does not say.
const CHART_RANGE_MS: i64 = 6 * 3_600_000;

pub(super) const KEYS: [&str; 23] = [
    "clear",
    "resolve_expr",
    "levels",
    "no_data",
    "on_error",
    "missing_series",
    "missing_series_for",
    "unknown_max",
    "freshness",
    "min_samples",
    "logs",
    "requires",
    "slo",
    "chart",
    "runbook",
    "owner",
    "mode",
    "backtest",
    "key",
    "resolve_after",
    "resolve_when",
    "max_instances",
    "group_by",
];
const LEVEL_KEYS: [&str; 5] = ["severity", "above", "below", "clear", "for"];
const FLOOR_KEYS: [&str; 2] = ["expr", "at_least"];
const CHART_KEYS: [&str; 2] = ["expr", "range"];
const SLO_KEYS: [&str; 2] = ["objective", "window"];

/// Scalars by key, with the nested ones apart.
#[derive(Default, Clone)]
pub(super) struct Raw {
    line: usize,
    scalars: Vec<(Text, Text)>,
    levels: Vec<RawPairs>,
    floor: Option<RawPairs>,
    chart: Option<RawPairs>,
    pub(super) slo: Option<RawPairs>,
    lists: Vec<(Text, Vec<Text>)>,
    unknown: Vec<Text>,
}

/// A small mapping of names to scalars.
#[derive(Default, Clone)]
pub(super) struct RawPairs {
    line: usize,
    pairs: Vec<(Text, Text)>,
}

impl Keys for RawPairs {
    fn take<'de, A: MapAccess<'de>>(&mut self, key: Text, map: &mut A) -> Result<(), A::Error> {
        self.line = self.line.max(key.line);
        let value = yaml::scalar(map)?.unwrap_or(Text { text: String::new(), line: key.line });
        self.pairs.push((key, value));
        Ok(())
    }
}

impl RawPairs {
    pub(super) fn get(&self, name: &str) -> Option<&Text> {
        self.pairs.iter().find(|(key, _)| key.text == name).map(|(_, value)| value)
    }
}

impl Keys for Raw {
    fn take<'de, A: MapAccess<'de>>(&mut self, key: Text, map: &mut A) -> Result<(), A::Error> {
        match key.text.as_str() {
            "levels" => {
                let levels = map.next_value::<Option<Vec<Mapping<RawPairs>>>>()?.unwrap_or_default();
                self.levels = levels.into_iter().map(|level| level.0).collect();
                self.scalars.push((key.clone(), key));
            }
            "min_samples" => self.floor = map.next_value::<Option<Mapping<RawPairs>>>()?.map(|floor| floor.0),
            "chart" => self.chart = map.next_value::<Option<Mapping<RawPairs>>>()?.map(|chart| chart.0),
            "slo" => self.slo = map.next_value::<Option<Mapping<RawPairs>>>()?.map(|slo| slo.0),
            "requires" | "key" | "group_by" => {
                let texts = yaml::list(map)?;
                self.lists.push((key, texts));
            }
            name if KEYS.contains(&name) => {
                let value = yaml::scalar(map)?.unwrap_or(Text { text: String::new(), line: key.line });
                self.scalars.push((key, value));
            }
            _ => yaml::skip_unknown(key, &mut self.unknown, map)?,
        }
        Ok(())
    }
}

impl Raw {
    pub(super) fn at(self, line: usize) -> Raw {
        Raw { line, ..self }
    }

    fn get(&self, name: &str) -> Option<&Text> {
        self.scalars.iter().find(|(key, _)| key.text == name).map(|(_, value)| value)
    }

    fn list(&self, name: &str) -> &[Text] {
        self.lists.iter().find(|(key, _)| key.text == name).map_or(&[], |(_, texts)| texts)
    }

    /// This one, with what only `group` says filled in.
    pub(super) fn over(mut self, group: &Raw) -> Raw {
        for (key, value) in &group.scalars {
            if self.get(&key.text).is_none() {
                self.scalars.push((key.clone(), value.clone()));
            }
        }
        for (key, texts) in &group.lists {
            if !self.lists.iter().any(|(own, _)| own.text == key.text) {
                self.lists.push((key.clone(), texts.clone()));
            }
        }
        self.floor = self.floor.or_else(|| group.floor.clone());
        self.chart = self.chart.or_else(|| group.chart.clone());
        if self.levels.is_empty() {
            self.levels = group.levels.clone();
        }
        self
    }
}

/// Checks an `x:`. `expr` is the rule's own expression, if it is PromQL that could be parsed; `for_ms` its `for`.
pub(super) fn checked(raw: &Raw, expr: Option<&Expr>, for_ms: i64, of: &str, mistakes: &mut Mistakes) -> Extension {
    let of = &format!("{of}x: ");
    let mut out = Extension::extended();
    mistakes.unknown(&raw.unknown, &KEYS, of);
    if let Some((key, _)) = raw.lists.iter().find(|(key, _)| key.text == "group_by") {
        let line = key.line;
        tracing::warn!(line, "{of}group_by has no effect: alerts are grouped by their route in notify.yml");
    }
    if let Some(value) = raw.get("no_data") {
        out.no_data = unsure(value, "no_data", of, mistakes);
    }
    if let Some(value) = raw.get("on_error") {
        out.on_error = unsure(value, "on_error", of, mistakes);
    }
    if let Some(value) = raw.get("missing_series") {
        out.missing_series = match value.text.as_str() {
            "resolve" => Unsure::Ok,
            _ => unsure(value, "missing_series", of, mistakes),
        };
    }
    let mut duration = |name: &str| {
        let value = raw.get(name).cloned();
        value.is_some().then(|| mistakes.duration(&value, name, of))
    };
    out.missing_series_for_ms = duration("missing_series_for");
    let unknown_max_ms = duration("unknown_max");
    out.unknown_ends = unknown_max_ms.is_some();
    out.unknown_max_ms = unknown_max_ms.or(out.unknown_max_ms);
    out.backtest_ms = duration("backtest");
    out.event.resolve_after_ms = duration("resolve_after").unwrap_or(out.event.resolve_after_ms);
    out.freshness = match raw.get("freshness") {
        None => out.freshness,
        Some(value) if value.text == "off" => Freshness::Lookback,
        Some(value) if value.text == "auto" => Freshness::Observed,
        Some(value) => Freshness::AtMost { ms: mistakes.duration(&Some(value.clone()), "freshness", of) },
    };
    out.hysteresis = hysteresis(raw, expr, of, mistakes);
    out.levels = levels(raw, for_ms, of, mistakes);
    out.min_samples = raw.floor.as_ref().and_then(|floor| floor_of(floor, of, mistakes));
    for text in raw.list("requires") {
        match promql::parse_selector(&text.text) {
            Ok(matchers) if matchers.iter().all(Matcher::matches_empty) => {
                mistakes.add(
                    text.line,
                    format!("{of}requires: {:?} selects everything; name a metric or a label", text.text),
                );
            }
            Ok(matchers) => out.requires.push(Required { text: text.text.clone(), matchers }),
            Err(error) => mistakes.add(text.line, format!("{of}requires: {error}")),
        }
    }
    if let Some(chart) = &raw.chart {
        let known: Vec<Text> = chart.pairs.iter().map(|(key, _)| key.clone()).collect();
        unknown_keys(&known, &CHART_KEYS, &format!("{of}chart: "), mistakes);
        let expr = chart.get("expr").map(|expr| expr.text.clone()).unwrap_or_default();
        if let Some(text) = chart.get("expr")
            && let Err(error) = promql::parse(&text.text)
        {
            mistakes.add(text.line, format!("{of}chart: expr: {error}"));
        }
        let range = chart.get("range").cloned();
        let range_ms = if range.is_some() { mistakes.duration(&range, "chart: range", of) } else { CHART_RANGE_MS };
        out.chart = Some(Chart { expr, range_ms });
    }
    let text = |name: &str| raw.get(name).map(|value| value.text.clone()).unwrap_or_default();
    out.runbook = text("runbook");
    out.owner = text("owner");
    out.is_shadow = match raw.get("mode") {
        None => false,
        Some(mode) => {
            if mode.text != "shadow" && mode.text != "active" {
                mistakes.add(mode.line, format!("{of}mode: {:?} is neither \"active\" nor \"shadow\"", mode.text));
            }
            mode.text == "shadow"
        }
    };
    out.event.key = raw.list("key").iter().map(|name| name.text.clone()).collect();
    if let Some(value) = raw.get("resolve_when") {
        match condition::log(&value.text) {
            Ok(log) => out.event.resolve_when = Some(log),
            Err(error) => mistakes.add(value.line, format!("{of}resolve_when: {error}")),
        }
    }
    if let Some(value) = raw.get("logs") {
        match condition::metric_of_logs(&value.text) {
            Ok(metric) => out.logs = Some(metric),
            Err(error) => mistakes.add(value.line, format!("{of}logs: {error}")),
        }
    }
    if let Some(max) = raw.get("max_instances") {
        out.event.max_instances = match max.text.parse() {
            Ok(max) if max > 0 => max,
            _ => {
                mistakes.add(max.line, format!("{of}max_instances: {:?} is no number of 1 and more", max.text));
                EVENT_INSTANCES_MAX
            }
        };
    }
    out
}

/// Objective in percent and window in ms of an `slo:`.
pub(super) fn slo(raw: &RawPairs, of: &str, mistakes: &mut Mistakes) -> Option<(f64, i64)> {
    let of = format!("{of}x: slo: ");
    let keys: Vec<Text> = raw.pairs.iter().map(|(key, _)| key.clone()).collect();
    unknown_keys(&keys, &SLO_KEYS, &of, mistakes);
    let objective = raw.get("objective").and_then(|value| value.text.trim_end_matches('%').trim().parse::<f64>().ok());
    let Some(objective) = objective.filter(|percent| *percent > 0.0 && *percent < 100.0) else {
        mistakes.add(raw.line, format!("{of}objective: write a percentage between 0 and 100, such as 99.9"));
        return None;
    };
    let window_ms = match raw.get("window") {
        None => 30 * 86_400_000,
        Some(window) => mistakes.duration(&Some(window.clone()), "window", &of),
    };
    if window_ms < 86_400_000 {
        mistakes.add(raw.line, format!("{of}window: at least 1d"));
        return None;
    }
    Some((objective, window_ms))
}

fn unknown_keys(keys: &[Text], known: &[&str], of: &str, mistakes: &mut Mistakes) {
    let unknown: Vec<Text> = keys.iter().filter(|key| !known.contains(&key.text.as_str())).cloned().collect();
    mistakes.unknown(&unknown, known, of);
}

fn unsure(value: &Text, name: &str, of: &str, mistakes: &mut Mistakes) -> Unsure {
    match value.text.as_str() {
        "keep" => Unsure::Keep,
        "ok" => Unsure::Ok,
        "alert" => Unsure::Alert,
        other => {
            let words = if name == "missing_series" { "resolve, keep or alert" } else { "keep, ok or alert" };
            mistakes.add(value.line, format!("{of}{name}: {other:?} is none of {words}"));
            Unsure::Keep
        }
    }
}

fn hysteresis(raw: &Raw, expr: Option<&Expr>, of: &str, mistakes: &mut Mistakes) -> Option<Hysteresis> {
    match (raw.get("clear"), raw.get("resolve_expr")) {
        (Some(clear), Some(_)) => {
            mistakes.add(clear.line, format!("{of}\"clear\" and \"resolve_expr\" exclude each other"));
            None
        }
        (None, None) => None,
        (None, Some(text)) => match promql::parse(&text.text) {
            Ok(expr) => Some(Hysteresis::End(expr)),
            Err(error) => {
                mistakes.add(text.line, format!("{of}resolve_expr: {error}"));
                None
            }
        },
        (Some(clear), None) => match clear.text.parse::<f64>() {
            Ok(threshold) => match expr.and_then(|expr| with_threshold(expr, threshold)) {
                Some(Ok(expr)) => Some(Hysteresis::Hold(expr)),
                Some(Err(reason)) => {
                    mistakes.add(clear.line, format!("{of}clear: {reason}"));
                    None
                }
                None => {
                    let reason = "needs an expression that ends in a comparison with a number, as \"a > 0.7\"; use \
                                  \"resolve_expr\" for others";
                    mistakes.add(clear.line, format!("{of}clear: {reason}"));
                    None
                }
            },
            Err(_) => {
                mistakes.add(clear.line, format!("{of}clear: {:?} is no number", clear.text));
                None
            }
        },
    }
}

/// The rule's comparison with another number on its right.
fn with_threshold(expr: &Expr, threshold: f64) -> Option<Result<Expr, String>> {
    let TreeKind::Binary { op, rhs, return_bool: false, .. } = promql::tree(expr).kind() else { return None };
    let was = number(rhs)?;
    let clears = match op {
        ">" | ">=" => threshold <= was,
        "<" | "<=" => threshold >= was,
        _ => return None,
    };
    if !clears {
        return Some(Err(format!("{threshold} lies beyond the threshold {was}, so the alert would never end")));
    }
    // The comparison binds weakest of all but and, or and unless, and its right side is a bare number: the last operator is its own.
    let text = promql::format(expr);
    let at = text.rfind(op)?;
    let text = format!("{} {op} {threshold}", text.get(..at)?.trim_end());
    Some(promql::parse(&text).map_err(|error| error.to_string()))
}

fn number(tree: promql::Tree<'_>) -> Option<f64> {
    match tree.kind() {
        TreeKind::Number(value) => Some(value),
        TreeKind::Unary { op: "-", expr } => number(expr).map(|value| -value),
        _ => None,
    }
}

fn levels(raw: &Raw, for_ms: i64, of: &str, mistakes: &mut Mistakes) -> Vec<Level> {
    let mut out: Vec<Level> = Vec::new();
    for raw in raw.levels.iter().take(LEVELS_MAX) {
        let of = format!("{of}levels: ");
        let keys: Vec<Text> = raw.pairs.iter().map(|(key, _)| key.clone()).collect();
        unknown_keys(&keys, &LEVEL_KEYS, &of, mistakes);
        let mut value = |name: &str| {
            let text = raw.get(name)?;
            let parsed = text.text.parse::<f64>();
            if parsed.is_err() {
                mistakes.add(text.line, format!("{of}{name}: {:?} is no number", text.text));
            }
            parsed.ok()
        };
        let (above, below, clear) = (value("above"), value("below"), value("clear"));
        let Some((is_above, threshold)) = above.map(|at| (true, at)).xor(below.map(|at| (false, at))) else {
            mistakes.add(raw.line, format!("{of}each level has either \"above\" or \"below\""));
            continue;
        };
        let severity = raw.get("severity").map(|text| text.text.clone()).unwrap_or_default();
        if severity.is_empty() || out.iter().any(|level| level.severity == severity) {
            mistakes.add(raw.line, format!("{of}each level has a \"severity\" of its own"));
        }
        let wait = raw.get("for").cloned();
        let for_ms = if wait.is_some() { mistakes.duration(&wait, "for", &of) } else { for_ms };
        let clear = clear.unwrap_or(threshold);
        if if is_above { clear > threshold } else { clear < threshold } {
            mistakes.add(raw.line, format!("{of}\"clear\" {clear} lies beyond the threshold {threshold}"));
        }
        if out.last().is_some_and(|last| {
            last.is_above != is_above
                || if is_above { threshold <= last.threshold } else { threshold >= last.threshold }
        }) {
            mistakes.add(raw.line, format!("{of}levels go from the mildest to the severest, all above or all below"));
        }
        out.push(Level { severity, is_above, threshold, clear, for_ms });
    }
    if raw.levels.len() > LEVELS_MAX {
        mistakes.add(raw.line, format!("{of}levels: at most {LEVELS_MAX}"));
    }
    out
}

fn floor_of(raw: &RawPairs, of: &str, mistakes: &mut Mistakes) -> Option<Floor> {
    let of = format!("{of}min_samples: ");
    let keys: Vec<Text> = raw.pairs.iter().map(|(key, _)| key.clone()).collect();
    unknown_keys(&keys, &FLOOR_KEYS, &of, mistakes);
    let (Some(expr), Some(at_least)) = (raw.get("expr"), raw.get("at_least")) else {
        mistakes.add(raw.line, format!("{of}needs \"expr\" and \"at_least\""));
        return None;
    };
    let Ok(at_least_value) = at_least.text.parse() else {
        mistakes.add(at_least.line, format!("{of}at_least: {:?} is no number", at_least.text));
        return None;
    };
    match promql::parse(&expr.text) {
        Ok(expr) => Some(Floor { expr, at_least: at_least_value }),
        Err(error) => {
            mistakes.add(expr.line, format!("{of}expr: {error}"));
            None
        }
    }
}
