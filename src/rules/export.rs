//! Rules as Prometheus reads them: without `x:`, with what it stands for written out where Prometheus can say it.

use std::fmt::Write as _;

use model::any::json_string;
use model::time::format_duration_ms;

use crate::extension::Extension;
use crate::file::{Group, Rule, RuleKind};

/// The groups as one rule file, and what could not be said in it, with the rule's name.
///
/// Levels become one rule each, an objective has become its rules when the file was read, a required series an `and`. YAML is a
/// superset of JSON, so all texts are JSON strings.
pub fn prometheus(groups: &[Group]) -> (String, Vec<String>) {
    let mut out = String::from("groups:\n");
    let mut lost = Vec::new();
    for group in groups {
        out.push_str("- name: ");
        json_string(&group.name, &mut out);
        line(&mut out, &format!("\n  interval: {}", format_duration_ms(group.interval_ms)));
        if group.limit > 0 {
            line(&mut out, &format!("  limit: {}", group.limit));
        }
        if group.query_offset_ms > 0 {
            line(&mut out, &format!("  query_offset: {}", format_duration_ms(group.query_offset_ms)));
        }
        line(&mut out, "  rules:");
        for rule in &group.rules {
            if rule.condition.promql().is_none() {
                lost.push(format!("rule {:?}: is left out, since it is about logs", rule.name));
                continue;
            }
            lost.extend(not_said(&rule.extension).map(|what| format!("rule {:?}: {what}", rule.name)));
            if rule.extension.levels.is_empty() {
                push_rule(rule, None, &mut out);
            }
            for level in &rule.extension.levels {
                let sign = if level.is_above { ">" } else { "<" };
                let expr = format!("({}) {sign} {}", rule.expr_text.trim(), level.threshold);
                push_rule(rule, Some((expr, level.for_ms, &level.severity)), &mut out);
            }
        }
    }
    (out, lost)
}

fn push_rule(rule: &Rule, level: Option<(String, i64, &str)>, out: &mut String) {
    let key = if rule.kind == RuleKind::Recording { "record" } else { "alert" };
    let _fits = write!(out, "  - {key}: ");
    json_string(&rule.name, out);
    out.push_str("\n    expr: ");
    let expr = level.as_ref().map_or(rule.expr_text.trim(), |(expr, ..)| expr);
    json_string(expr, out);
    out.push('\n');
    if let RuleKind::Alerting { for_ms, keep_firing_for_ms } = rule.kind {
        let for_ms = level.as_ref().map_or(for_ms, |(_, for_ms, _)| *for_ms);
        for (key, ms) in [("for", for_ms), ("keep_firing_for", keep_firing_for_ms)] {
            if ms > 0 {
                line(out, &format!("    {key}: {}", format_duration_ms(ms)));
            }
        }
    }
    let mut labels = rule.labels.clone();
    if let Some((.., severity)) = level {
        labels.retain(|(name, _)| name != "severity");
        labels.push(("severity".into(), severity.into()));
    }
    push_pairs("labels", &labels, out);
    let mut annotations = rule.annotations.clone();
    let runbook = &rule.extension.runbook;
    if !runbook.is_empty() && !annotations.iter().any(|(name, _)| name == "runbook_url") {
        annotations.push(("runbook_url".into(), runbook.clone()));
    }
    push_pairs("annotations", &annotations, out);
}

fn push_pairs(key: &str, pairs: &[(String, String)], out: &mut String) {
    if pairs.is_empty() {
        return;
    }
    line(out, &format!("    {key}:"));
    for (name, value) in pairs {
        out.push_str("      ");
        json_string(name, out);
        out.push_str(": ");
        json_string(value, out);
        out.push('\n');
    }
}

fn line(out: &mut String, text: &str) {
    out.push_str(text);
    out.push('\n');
}

/// What of an `x:` Prometheus has no words for.
fn not_said(extension: &Extension) -> impl Iterator<Item = &'static str> {
    let plain = Extension::default();
    let clears = extension.levels.iter().any(|level| level.clear != level.threshold);
    let told = [
        (extension.hysteresis.is_some() || clears, "hysteresis is left out: the alert ends at its own threshold"),
        (extension.no_data != plain.no_data && !extension.is_plain, "no_data is left out: missing data ends the alert"),
        (extension.min_samples.is_some(), "min_samples is left out: the alert fires on any traffic"),
        (!extension.requires.is_empty(), "requires is left out"),
        (extension.is_shadow, "mode shadow is left out: the alert is told"),
    ];
    told.into_iter().filter(|(is_lost, _)| *is_lost).map(|(_, what)| what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_exported_reads_back_without_extensions() {
        let text = r#"
groups:
- name: "a \"b\""
  interval: 1m30s
  limit: 3
  rules:
  - {record: 'a:b', expr: "sum(up)", labels: {x: y}}
  - alert: Full
    expr: used
    keep_firing_for: 5m
    labels: {severity: info, team: a}
    annotations: {summary: "{{ $value }}\nfull"}
    x: {levels: [{severity: warning, above: 0.7, clear: 0.6, for: 1m}, {severity: critical, above: 0.9}], runbook: r}
"#;
        let groups = crate::file::parse(text, "f.yml", 30_000).unwrap();
        let (exported, lost) = prometheus(&groups);
        assert!(!exported.contains("x:"), "{exported}");
        assert_eq!(lost.len(), 2, "{lost:?}");
        let back = crate::file::parse(&exported, "f.yml", 30_000).unwrap_or_else(|error| panic!("{error}\n{exported}"));
        assert_eq!((back[0].name.as_str(), back[0].interval_ms, back[0].limit), ("a \"b\"", 90_000, 3));
        let shown: Vec<String> =
            back[0].rules.iter().map(|rule| format!("{} {}", rule.expr_text, rule.labels.len())).collect();
        assert_eq!(shown, ["sum(up) 1", "(used) > 0.7 2", "(used) > 0.9 2"]);
        assert_eq!(back[0].rules[1].kind, RuleKind::Alerting { for_ms: 60_000, keep_firing_for_ms: 300_000 });
        assert_eq!(back[0].rules[2].annotations[0].1, "{{ $value }}\nfull");
        assert_eq!(back[0].rules[2].annotations[1].0, "runbook_url");
    }
}
