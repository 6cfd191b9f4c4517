use super::*;

const RULES: &str = r#"
groups:
- name: first
  interval: 1m
  rules:
  - record: job:up:count
    expr: count by (job) (up == 1)
  - alert: Down
    expr: up == 0
    for: 2m
    labels: {severity: critical, was: "{{ $value }}"}
    annotations: {summary: "{{ $labels.instance }} of {{ $labels.job }}"}
  - alert: ManyDown
    expr: count by (job) (ALERTS{alertname="Down", alertstate="firing"}) >= 1
    keep_firing_for: 3m
  - alert: Twins
    expr: up == 7
    labels: {instance: any}
"#;

fn run_with(tests: &str) -> Result<Vec<Failure>, TestError> {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("r.yml"), RULES).unwrap();
    run(&format!("rule_files: [r.yml]\nevaluation_interval: 1m\n{tests}"), dir.path())
}

#[test]
fn what_is_expected_comes_true() {
    let failures = run_with(
        r#"
tests:
- name: one goes down and comes back
  interval: 1m
  input_series:
  - series: up{job="api", instance="a"}
    values: 1x4 0x5 1x10
  - series: up{job="api", instance="b"}
    values: 1x4 _x2 stale 1x10
  alert_rule_test:
  - {eval_time: 4m, alertname: Down}
  - {eval_time: 6m, alertname: Down}
  - eval_time: 7m
    alertname: Down
    exp_alerts:
    - exp_labels: {severity: critical, was: "0", job: api, instance: a}
      exp_annotations: {summary: a of api}
  - eval_time: 7m30s
    alertname: ManyDown
    exp_alerts: [{exp_labels: {job: api}}]
  - {eval_time: 11m, alertname: Down}
  - eval_time: 13m
    alertname: ManyDown
    exp_alerts: [{exp_labels: {job: api}}]
  - {eval_time: 14m, alertname: ManyDown}
  promql_expr_test:
  - expr: job:up:count
    eval_time: 4m
    exp_samples: [{labels: 'job:up:count{job="api"}', value: 2}]
  - expr: job:up:count
    eval_time: 7m
    exp_samples: []
  - expr: ALERTS{alertname="Down"}
    eval_time: 5m
    exp_samples:
    - {labels: 'ALERTS{alertname="Down", alertstate="pending", job="api", instance="a", severity="critical", was="0"}', value: 1}
  - expr: ALERTS_FOR_STATE{alertname="Down"}
    eval_time: 8m
    exp_samples:
    - {labels: 'ALERTS_FOR_STATE{alertname="Down", job="api", instance="a", severity="critical", was="0"}', value: 300}
  - expr: ALERTS{alertname="Down"}
    eval_time: 12m
    exp_samples: []
"#,
    );
    assert_eq!(failures, Ok(vec![]));
}

#[test]
fn a_begin_fuzzy_values_external_labels_and_histograms_are_understood() {
    let failures = run_with(
        r#"
fuzzy_compare: true
tests:
- start_timestamp: 2026-03-01T00:00:00Z
  external_labels: {site: x}
  input_series:
  - {series: 'up{instance="a"}', values: 0x9}
  - {series: h, values: '{{schema:0 count:3 sum:4 buckets:[1 2]}}x5'}
  promql_expr_test:
  - {expr: day_of_month(), eval_time: 5m, exp_samples: [{labels: '{}', value: 1}]}
  - {expr: time(), eval_time: 1m, exp_samples: [{labels: '{}', value: 1772323260}]}
  - {expr: vector(0.30000000001), eval_time: 1m, exp_samples: [{labels: '{}', value: 0.3}]}
  - {expr: h, eval_time: 2m, exp_samples: [{labels: h, histogram: '{{schema:0 count:3 sum:4 buckets:[1 2]}}'}]}
  - expr: ALERTS_FOR_STATE{alertname="Down"}
    eval_time: 3m
    exp_samples:
    - {labels: 'ALERTS_FOR_STATE{alertname="Down", instance="a", severity="critical", was="0"}', value: 1772323200}
- start_timestamp: 1772323200
  promql_expr_test:
  - {expr: month(), eval_time: 0s, exp_samples: [{labels: '{}', value: 3}]}
"#,
    );
    assert_eq!(failures, Ok(vec![]));
}

#[test]
fn what_does_not_come_true_is_told() {
    let failures = run_with(
        r#"
tests:
- interval: 1m
  input_series: [{series: 'up{instance="a"}', values: 0x9}]
  alert_rule_test:
  - {eval_time: 5m, alertname: Down}
  promql_expr_test:
  - expr: up + 1
    eval_time: 1m
    exp_samples: [{labels: '{instance="a"}', value: 2}]
"#,
    )
    .unwrap();
    assert_eq!(failures.len(), 2);
    assert_eq!(failures[0].test, "test 1");
    assert!(failures[0].message.starts_with("Down at 5m:\n  expected\n    nothing\n  fires\n    {alertname=\"Down\""));
    assert_eq!(
        failures[1].message,
        "up + 1 at 1m:\n  expected\n    {instance=\"a\"} 2\n  gives\n    {instance=\"a\"} 1"
    );
}

#[test]
fn a_test_that_cannot_run_is_an_error() {
    #[track_caller]
    fn check(tests: &str, expected: &str) {
        let error = run_with(tests).expect_err(tests).to_string();
        assert!(error.contains(expected), "{error}");
    }
    check("tests:\n- nope: 1\n", "nope");
    check("tests:\n- input_series: [{series: 'up{', values: '1'}]\n", "parse error");
    check("tests:\n- input_series: [{series: up, values: '1+'}]\n", "write samples as");
    check("tests:\n- alert_rule_test: [{eval_time: soon, alertname: X}]\n", "is no duration");
    // Two results of one rule with the same labels.
    check(
        "tests:\n- input_series: [{series: 'up{instance=\"a\"}', values: '7x3'}, {series: 'up{instance=\"b\"}', values: '7x3'}]\n  alert_rule_test: [{eval_time: 1m, alertname: X}]\n",
        "rule \"Twins\" at 0s: vector contains metrics with the same labelset after applying alert labels",
    );
    assert!(matches!(run("rule_files: [none.yml]\ntests: [{}]\n", Path::new(".")), Err(TestError::Read { .. })));
}
