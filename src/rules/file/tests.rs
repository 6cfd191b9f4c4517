use super::*;

#[track_caller]
fn check_error(text: &str, expected: &str) {
    let error = parse(text, "f.yml", 30_000).map(|_| ()).expect_err(text);
    assert_eq!(error.to_string(), expected.trim());
}

pub(super) const GOOD: &str = r#"
groups:
- name: api
  interval: 1m
  limit: 10
  query_offset: 5s
  labels: {team: core, severity: info}
  x: {mode: shadow}
  eval_offset: 50s
  concurrency: 4
  rules:
  - record: job:up:sum
    expr: sum by (job) (up)
    labels:
      level: 1
  - alert: Down
    expr: |
      up == 0
    for: 5m
    keep_firing_for: 1m30s
    labels:
      severity: critical
    annotations:
      summary: "{{ $labels.instance }} is down"
      empty:
  - alert: Down
    expr: up == 0
    labels: {severity: critical}
- name: other
  type: logs
  rules:
  - alert: X
    expr: 'sum(count_over_time({app="x"} |= "y" [5m])) > 0'
- name: plain
  rules:
"#;

#[test]
fn a_file_is_read_whole() {
    let groups = parse(GOOD, "f.yml", 30_000).unwrap();
    assert_eq!(groups.iter().map(|group| group.name.as_str()).collect::<Vec<_>>(), ["api", "other", "plain"]);
    let api = &groups[0];
    assert_eq!((api.interval_ms, api.limit, api.query_offset_ms), (60_000, 10, 5_000));
    assert_eq!(groups[2].interval_ms, 30_000);
    let [record, down, twin] = api.rules.as_slice() else { panic!("{:?}", api.rules) };
    assert_eq!((record.name.as_str(), record.kind, record.line), ("job:up:sum", RuleKind::Recording, 12));
    let pairs = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
    };
    assert_eq!(record.labels, pairs(&[("team", "core"), ("severity", "info"), ("level", "1")]));
    assert_eq!(down.kind, RuleKind::Alerting { for_ms: 300_000, keep_firing_for_ms: 90_000 });
    assert_eq!(down.labels, pairs(&[("team", "core"), ("severity", "critical")]));
    assert_eq!(down.annotations, pairs(&[("summary", "{{ $labels.instance }} is down"), ("empty", "")]));
    assert_eq!(down.expr_text, "up == 0\n");
    assert_ne!(down.id, twin.id);
    assert_ne!(down.id, record.id);
    // An edit of the expression keeps the id.
    let edited = parse(&GOOD.replace("up == 0", "up < 1"), "g.yml", 30_000).unwrap();
    assert_eq!(edited[0].rules[1].id, down.id);
}

#[test]
fn an_empty_file_has_no_groups() {
    for text in ["", "groups:\n", "groups: []\n", "# nothing\n"] {
        assert!(parse(text, "f.yml", 1).unwrap().is_empty(), "{text:?}");
    }
}

/// Prometheus' `test_aliases.yaml` and `multi_doc.good.yaml`, in short.
#[test]
fn anchors_merges_and_further_documents_are_read() {
    let check = |text: &str, expected: &[&str]| {
        let groups = parse(text, "f.yml", 30_000).unwrap_or_else(|error| panic!("{error}"));
        let rules = groups.iter().flat_map(|group| group.rules.iter().map(|rule| (group.name.as_str(), rule)));
        let shown: Vec<String> =
            rules.map(|(group, rule)| format!("{group} {} {}", rule.name, rule.expr_text)).collect();
        assert_eq!(shown, expected, "{text}");
    };
    check(
        "groups:\n- name: a\n  rules:\n  - &high\n    alert: High\n    expr: &expr up == 0\n    for: 5m\n  - {record: r, expr: *expr}\n  - <<: *high\n    alert: High2\n",
        &["a High up == 0", "a r up == 0", "a High2 up == 0"],
    );
    check(
        "groups: [{name: a, rules: [{record: r, expr: up}]}]\n---\ngroups: [{name: b, rules: [{record: s, expr: up}]}]\n",
        &["a r up", "b s up"],
    );
    check("---\ngroups: [{name: a, rules: [{record: r, expr: up}]}]\n---\ngroups: []\n---\n", &["a r up"]);
    check("groups: [{name: a, rules: [{record: r, expr: up, for: 0s, annotations: {}}]}]", &["a r up"]);
    check_error("groups: [{name: a}]\n---\ngroups:\n- name: a\n", "f.yml:4: group \"a\" stands twice in this file");
}

#[test]
fn mistakes_have_their_lines_and_rules() {
    check_error(
        "groups:\n- name: a\n  intervall: 5m\n  rules:\n  - alert: A\n    exp: up\n    expr: up\n",
        "f.yml:3: group \"a\": unknown key \"intervall\"; did you mean \"interval\"?\n\
         f.yml:6: rule \"A\": unknown key \"exp\"; did you mean \"expr\"?",
    );
    check_error("group:\n- name: a\n", "f.yml:1: unknown key \"group\"; did you mean \"groups\"?");
    check_error(
        "groups:\n- name: a\n  rules:\n  - alert: A\n    expr: up ==\n  - alert: B\n    expr: up\n    for: 5 minutes\n",
        "f.yml:5: rule \"A\": expr: 1:6: parse error: unexpected end of input\n\
         f.yml:8: rule \"B\": for: \"5 minutes\" is no duration; write it like 30s, 5m or 1h30m",
    );
    check_error(
        "groups:\n- name: a\n- name: a\n- rules: []\n",
        "f.yml:3: group \"a\" stands twice in this file\nf.yml:4: a group needs a name",
    );
    check_error(
        "groups:\n- name: a\n  limit: many\n  rules:\n  - expr: up\n  - alert: A\n    record: b\n    expr: up\n  - record: c{d}\n    expr: up\n    for: 1m\n    annotations: {a: b}\n",
        "f.yml:3: group \"a\": limit: \"many\" is no whole number\n\
         f.yml:5: a rule of group \"a\" has neither \"alert\" nor \"record\"\n\
         f.yml:6: rule \"A\": \"alert\" and \"record\" exclude each other\n\
         f.yml:9: rule \"c{d}\": \"c{d}\" is no metric name; braces belong into \"expr\"\n\
         f.yml:11: rule \"c{d}\": a recording rule has no \"for\"\n\
         f.yml:12: rule \"c{d}\": a recording rule has no \"annotations\"",
    );
    check_error(
        "groups:\n- name: a\n  rules:\n  - alert: A\n    expr: up\n    labels:\n      __name__: x\n    annotations:\n      summary: '{{ $lables.x }}'\n  - alert: B\n",
        "f.yml:7: rule \"A\": \"__name__\" cannot be a label's name\n\
         f.yml:9: rule \"A\": annotation \"summary\": template line 1: undefined variable \"$lables\"\n\
         f.yml:10: rule \"B\": \"expr\" is missing",
    );
}

#[test]
fn what_is_no_yaml_of_this_shape_has_its_line() {
    for (text, line) in [
        ("groups:\n- name: a\n  rules: [\n", 3),
        ("groups:\n- name: a\n  rules: 5\n", 3),
        ("groups:\n- name: [a]\n", 2),
        ("groups:\n- name: a\n  name: b\n", 3),
        ("\"", 1),
    ] {
        let error = parse(text, "f.yml", 1).map(|_| ()).expect_err(text);
        assert!(error.line.abs_diff(line) <= 1, "{text:?}: {error}");
        assert!(!error.reason.is_empty() && !error.reason.contains('\n'), "{error:?}");
    }
}

#[test]
fn many_mistakes_are_cut() {
    let text = format!("groups:\n- name: a\n  rules:\n{}", "  - alert: A\n".repeat(50));
    let error = parse(&text, "f.yml", 1).map(|_| ()).unwrap_err();
    assert_eq!(error.more.len(), ERRORS_MAX);
    assert_eq!(error.more.last().unwrap().1, "and 30 more mistakes");
}

pub(super) const EXTENDED: &str = "
groups:
- name: g
  x: {no_data: alert, owner: storage}
  rules:
  - alert: A
    expr: used > 0.9
    x: {clear: 0.8, no_data: keep, requires: [up], chart: {expr: used}, missing_series_for: 5m, freshness: 3m}
  - alert: B
    expr: used
    x:
      levels:
      - {severity: warning, above: 0.7, clear: 0.6}
      - {severity: critical, above: 0.9, for: 2m}
  - alert: C
    expr: used == 1
";

#[test]
fn extensions_are_read_and_a_groups_hold_for_its_rules() {
    let groups = parse(EXTENDED, "f.yml", 30_000).unwrap();
    let [a, b, c] = groups[0].rules.as_slice() else { panic!("{groups:?}") };
    let Some(crate::extension::Hysteresis::Hold(hold)) = &a.extension.hysteresis else { panic!("{a:?}") };
    assert_eq!(query::promql::format(hold), "used > 0.8");
    use crate::extension::Unsure::{Alert, Keep};
    assert_eq!((a.extension.no_data, b.extension.no_data, c.extension.no_data), (Keep, Alert, Alert));
    assert_eq!((a.extension.owner.as_str(), a.extension.missing_series_for_ms), ("storage", Some(300_000)));
    assert_eq!(a.extension.freshness, crate::Freshness::AtMost { ms: 180_000 });
    let levels = &b.extension.levels;
    assert_eq!(levels.len(), 2);
    assert_eq!((levels[1].clear, levels[1].for_ms, levels[0].clear), (0.9, 120_000, 0.6));
    // Without any, Prometheus' behaviour.
    let plain = parse("groups: [{name: g, rules: [{alert: A, expr: up == 0}]}]", "f.yml", 30_000).unwrap();
    assert!(plain[0].rules[0].extension.is_plain);
}

#[test]
fn what_is_wrong_with_an_extension_is_told_with_its_line() {
    #[track_caller]
    fn check(x: &str, expected: &str) {
        let text = format!("groups:\n- name: g\n  rules:\n  - alert: A\n    expr: a > 0.9\n    x: {x}\n");
        let error = parse(&text, "f.yml", 30_000).map(|_| ()).expect_err(x).to_string();
        let place = if expected.contains("[5m]") { "f.yml:5: " } else { "f.yml:6: " };
        let is_told = error.starts_with(&format!("{place}rule \"A\": x: ")) && error.contains(expected);
        assert!(is_told, "{x}: {error}");
    }
    check("{cler: 1}", "unknown key \"cler\"; did you mean \"clear\"?");
    check("{clear: 0.95}", "0.95 lies beyond the threshold 0.9");
    check("{clear: low}", "is no number");
    check("{no_data: maybe}", "none of keep, ok or alert");
    check("{mode: dark}", "neither \"active\" nor \"shadow\"");
    check("{levels: [{severity: a, above: 1}, {severity: b, above: 1}]}", "from the mildest to the severest");
    check("{levels: [{severity: a}]}", "either \"above\" or \"below\"");
    check("{min_samples: {expr: up}}", "needs \"expr\" and \"at_least\"");
    check("{slo: {objective: 101}}", "between 0 and 100");
    check("{slo: {objective: 99.9}}", "no range as [5m]");
    check("{unknown_max: soon}", "is no duration");
}

#[test]
fn an_objective_becomes_its_windows_and_burn_rates() {
    let text = "groups: [{name: g, rules: [{alert: ApiErrors, expr: 'sum(rate(bad[5m])) / sum(rate(all[5m]))', \
                labels: {team: api, severity: x}, x: {slo: {objective: 99.9}}}]}]";
    let rules = &parse(text, "f.yml", 30_000).unwrap()[0].rules;
    let shown: Vec<String> = rules.iter().map(|rule| format!("{} {}", rule.name, rule.expr_text)).collect();
    assert_eq!(shown.len(), 7 + 1 + 4);
    assert_eq!(shown[2], "slo:error_ratio:rate1h sum(rate(bad[1h])) / sum(rate(all[1h]))");
    assert_eq!(
        shown[7],
        "slo:error_budget:remaining_ratio 1 - avg_over_time(slo:error_ratio:rate5m{slo=\"ApiErrors\"}[30d]) / 0.001"
    );
    assert_eq!(
        shown[8],
        "ApiErrors slo:error_ratio:rate1h{slo=\"ApiErrors\"} > 0.0144 and slo:error_ratio:rate5m{slo=\"ApiErrors\"} > 0.0144"
    );
    assert_eq!(shown[11].split(' ').nth(3), Some("0.001"));
    let severities: Vec<_> = rules[8..].iter().map(|rule| rule.labels[1].1.as_str()).collect();
    assert_eq!(severities, ["critical", "critical", "warning", "warning"]);
}
