//! "What if": how often a rule would have fired lately as it is, and with another threshold or another `for`.

use model::time::{format_duration_ms, parse_duration_ms};
use rules::replay::{Replay, Span, replay};
use rules::{Condition, Group, GroupView, Rule, RuleKind};
use serde::Deserialize;
use store::Snapshot;

use super::asked::Asked;
use super::text::{counted, one_line, span};
use super::threshold::{threshold, with_limit};

/// How far back is looked.
const SINCE_MS: i64 = 7 * 86_400_000;

#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct Parameters {
    /// Another threshold, a number.
    pub(crate) limit: String,
    /// Another `for`, a duration.
    #[serde(rename = "for")]
    pub(crate) wait: String,
}

/// The form, and the answer when it was sent.
pub(crate) struct WhatIf {
    /// As typed, or as the rule has it; `None` where the rule compares with no number.
    pub(crate) limit: Option<String>,
    pub(crate) wait: String,
    pub(crate) sentences: Vec<String>,
    /// What is wrong with the form.
    pub(crate) trouble: String,
}

impl WhatIf {
    /// For an alerting rule; nothing is looked at before something is asked.
    pub(crate) fn ask(
        asked: &Asked,
        snapshot: &Snapshot,
        group: &GroupView,
        rule: &Rule,
        parameters: &Parameters,
    ) -> Option<WhatIf> {
        let RuleKind::Alerting { for_ms, .. } = rule.kind else { return None };
        let mut out = WhatIf::new(&rule.expr_text, for_ms, parameters);
        if parameters.limit.is_empty() && parameters.wait.is_empty() {
            return Some(out);
        }
        match changed(rule, parameters) {
            Err(reason) => out.trouble = reason,
            Ok(other) => {
                let span = Span {
                    from_ms: asked.now_ms - SINCE_MS,
                    to_ms: asked.now_ms,
                    lookback_ms: asked.state.lookback_ms(),
                    budget: asked.budget.clone(),
                };
                let group = Group {
                    file: group.file.clone(),
                    name: group.name.clone(),
                    interval_ms: group.interval_ms,
                    limit: 0,
                    limit_clears: false,
                    query_offset_ms: 0,
                    eval_offset_ms: None,
                    rules: vec![rule.clone(), other],
                };
                let found = replay(snapshot, Some(snapshot), &[group], &span);
                let names = ["As it is", "Like this"];
                out.sentences = names.iter().zip(&found).map(|(name, replay)| sentence(name, replay)).collect();
            }
        }
        Some(out)
    }

    pub(crate) fn new(expr: &str, for_ms: i64, parameters: &Parameters) -> WhatIf {
        let typed = |text: &str, own: String| if text.is_empty() { own } else { one_line(text, 40) };
        let own = threshold(expr).map(|found| model::any::double_text(found.limit));
        WhatIf {
            limit: own.map(|own| typed(&parameters.limit, own)),
            wait: typed(&parameters.wait, format_duration_ms(for_ms)),
            sentences: Vec::new(),
            trouble: String::new(),
        }
    }
}

/// The rule with what was typed.
fn changed(rule: &Rule, parameters: &Parameters) -> Result<Rule, String> {
    let mut out = rule.clone();
    if let (RuleKind::Alerting { for_ms, .. }, false) = (&mut out.kind, parameters.wait.is_empty()) {
        let wait_ms = parse_duration_ms(parameters.wait.trim()).or((parameters.wait.trim() == "0").then_some(0));
        *for_ms =
            wait_ms.ok_or_else(|| format!("{:?} is no duration: write 30s, 5m, 1h", one_line(&parameters.wait, 40)))?;
    }
    if !parameters.limit.is_empty() {
        let limit: f64 = parameters
            .limit
            .trim()
            .parse()
            .map_err(|_| format!("{:?} is no number", one_line(&parameters.limit, 40)))?;
        let expr = with_limit(&rule.expr_text, limit).ok_or("this rule compares with no number")?;
        // Levels and hysteresis have thresholds of their own, which were chosen for the other one.
        out.extension.levels.clear();
        out.condition = match &rule.condition {
            Condition::Metrics(_) => {
                Condition::Metrics(query::promql::parse(&expr).map_err(|error| error.to_string())?)
            }
            Condition::Logs(_) => match query::logql::parse(&expr).map_err(|error| error.to_string())? {
                query::logql::Expr::Metric(metric) => Condition::Logs(Box::new(metric)),
                query::logql::Expr::Log(_) => return Err("this rule compares with no number".into()),
            },
            Condition::Events(_) => return Err("this rule compares with no number".into()),
        };
        out.expr_text = expr;
    }
    Ok(out)
}

fn sentence(name: &str, found: &Replay) -> String {
    if !found.error.is_empty() {
        return format!("{name}: it cannot be told: {}", one_line(&found.error, 300));
    }
    let times = match found.fired {
        0 => "never".into(),
        1 => "once".into(),
        fired => counted(fired, "time", "times"),
    };
    let mut out = format!("{name} it would have fired {times} in the last {}", span(SINCE_MS));
    if found.flapped > 0 {
        out.push_str(&format!(", {} of them within an hour of the last end", found.flapped));
    }
    if found.fired > 0 {
        out.push_str(&format!("; {} in all, {} at the longest", span(found.firing_ms), span(found.longest_ms)));
    }
    out.push('.');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_have_been_is_a_sentence() {
        let check = |fired: u64, flapped: u64, error: &str, expected: &str| {
            let mut found = Replay::default();
            (found.fired, found.flapped, found.error) = (fired, flapped, error.into());
            (found.firing_ms, found.longest_ms) = (7_200_000, 240_000);
            assert_eq!(sentence("As it is", &found), expected);
        };
        check(0, 0, "", "As it is it would have fired never in the last 7 d.");
        check(1, 0, "", "As it is it would have fired once in the last 7 d; 2 h in all, 4 min at the longest.");
        check(
            4,
            2,
            "",
            "As it is it would have fired 4 times in the last 7 d, 2 of them within an hour of the last end; 2 h in all, 4 min at the longest.",
        );
        check(0, 0, "too much", "As it is: it cannot be told: too much");
    }

    #[test]
    fn the_form_holds_the_rules_own_values_until_others_are_typed() {
        let check = |expr: &str, limit: &str, expected: (Option<&str>, &str)| {
            let form = WhatIf::new(expr, 600_000, &Parameters { limit: limit.into(), wait: String::new() });
            assert_eq!((form.limit.as_deref(), form.wait.as_str()), expected, "{expr}");
        };
        check("cpu > 0.85", "", (Some("0.85"), "10m"));
        check("cpu > 0.85", "0.9", (Some("0.9"), "10m"));
        check("absent(up)", "", (None, "10m"));
    }
}
