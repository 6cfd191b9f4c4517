use super::*;

#[track_caller]
fn check_error(text: &str, expected: &str) {
    let error = parse(text, "f.yml", 30_000).map(|_| ()).expect_err(text);
    assert_eq!(error.to_string(), expected.trim());
}

const GOOD: &str = r#"
groups:
- name: api
  interval: 1m
  limit: 10
  query_offset: 5s
  labels: {team: core, severity: info}
  x: {mode: {shadow: true}}
  eval_offset: 5m
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
    expr: this is LogQL
- name: plain
  rules:
"#;

#[test]
fn a_file_is_read_whole() {
    let groups = parse(GOOD, "f.yml", 30_000).unwrap();
    assert_eq!(groups.iter().map(|group| group.name.as_str()).collect::<Vec<_>>(), ["api", "plain"]);
    let api = &groups[0];
    assert_eq!((api.interval_ms, api.limit, api.query_offset_ms), (60_000, 10, 5_000));
    assert_eq!(groups[1].interval_ms, 30_000);
    let [record, down, twin] = api.rules.as_slice() else { panic!("{:?}", api.rules) };
    assert_eq!((record.name.as_str(), record.kind, record.line), ("job:up:sum", RuleKind::Recording, 11));
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
        "groups:\n- name: a\n  limit: many\n  rules:\n  - expr: up\n  - alert: A\n    record: b\n    expr: up\n  - record: c d\n    expr: up\n    for: 1m\n    annotations: {a: b}\n",
        "f.yml:3: group \"a\": limit: \"many\" is no whole number\n\
         f.yml:5: a rule of group \"a\" has neither \"alert\" nor \"record\"\n\
         f.yml:6: rule \"A\": \"alert\" and \"record\" exclude each other\n\
         f.yml:9: rule \"c d\": \"c d\" is no metric name\n\
         f.yml:11: rule \"c d\": a recording rule has no \"for\"\n\
         f.yml:12: rule \"c d\": a recording rule has no \"annotations\"",
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
