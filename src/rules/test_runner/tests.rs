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

fn nobody(_: &Path, _: &[Evaluation], _: i64) -> Result<Vec<Told>, String> {
    Err("nobody is told here".into())
}

fn run_with(tests: &str) -> Result<Vec<Failure>, TestError> {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("r.yml"), RULES).unwrap();
    run(&format!("rule_files: [r.yml]\nevaluation_interval: 1m\n{tests}"), dir.path(), &nobody)
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

/// As Prometheus does: the expression is asked at `query_offset` before the slot, `query` of a template at the slot.
#[test]
fn a_template_asks_at_the_slots_time() {
    let dir = tempfile::tempdir().unwrap();
    let rules = r#"
groups:
- name: g
  interval: 1m
  query_offset: 2m
  rules:
  - alert: Down
    expr: up == 0
    annotations: {asked: '{{ $value }}, then {{ query "up" | first | value }} at {{ query "time()" | first | value }}'}
"#;
    std::fs::write(dir.path().join("r.yml"), rules).unwrap();
    let tests = r#"
rule_files: [r.yml]
evaluation_interval: 1m
tests:
- interval: 1m
  input_series: [{series: up, values: '1 0x1 7x9'}]
  alert_rule_test:
  - {eval_time: 2m, alertname: Down}
  - {eval_time: 4m, alertname: Down, exp_alerts: [{exp_annotations: {asked: '0, then 7 at 240'}}]}
  - {eval_time: 5m, alertname: Down}
"#;
    assert_eq!(run(tests, dir.path(), &nobody), Ok(vec![]));
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
  - {expr: vector(2.9999999999999996), eval_time: 1m, exp_samples: [{labels: '{}', value: 3}]}
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
    // The next number but one is another one.
    let text = "fuzzy_compare: true\ntests: [{promql_expr_test: [{expr: vector(2.9999999999999987), eval_time: 0s, exp_samples: [{labels: '{}', value: 3}]}]}]";
    assert_eq!(run_with(text).map(|failures| failures.len()), Ok(1));
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
    assert!(matches!(
        run("rule_files: [none.yml]\ntests: [{}]\n", Path::new("."), &nobody),
        Err(TestError::Read { .. })
    ));
}

const LOG_RULES: &str = r#"
groups:
- name: spikes
  type: logs
  interval: 1m
  rules:
  - record: logs:errors:count
    expr: sum by (service_name) (count_over_time({service_name=~".+"} |= "error" [5m]))
  - alert: ManyErrors
    expr: sum by (service_name) (count_over_time({service_name=~".+"} |= "error" [5m])) > 2
    annotations: {summary: '{{ $value }} errors of {{ $labels.service_name }}'}
- name: cve
  type: events
  interval: 1m
  rules:
  - alert: Cve
    expr: '{service_name="scanner"} |= "found" | cvss_score >= 9'
    labels: {severity: critical}
    x: {key: [cve_id], resolve_after: 1h, resolve_when: '{service_name="scanner"} |= "fixed"'}
"#;

const LOG_TESTS: &str = r#"
rule_files: [r.yml]
evaluation_interval: 1m
tests:
- input_logs:
  - stream: '{service_name="api"}'
    lines:
    - {at: 2m, line: an error, times: 3, every: 10s, severity: ERROR}
    - {at: 4m, line: late error, received: 12m}
  - stream: '{service_name="scanner"}'
    lines:
    - {at: 1m, line: found, metadata: {cve_id: CVE-1, cvss_score: "9.8"}}
    - {at: 1m, line: found, metadata: {cve_id: CVE-2, cvss_score: "4"}}
    - {at: 6m, line: fixed, metadata: {cve_id: CVE-1}}
  log_alert_test:
  - {eval_time: 2m, alertname: ManyErrors}
  - eval_time: 3m
    alertname: ManyErrors
    exp_alerts:
    - exp_labels: {service_name: api}
      exp_annotations: {summary: 3 errors of api}
      exp_lines: [an error, an error, an error]
  - {eval_time: 8m, alertname: ManyErrors}
  - eval_time: 5m
    alertname: Cve
    exp_alerts: [{exp_labels: {severity: critical, cve_id: CVE-1}}]
  - {eval_time: 6m, alertname: Cve}
  promql_expr_test:
  - {expr: 'logs:errors:count', eval_time: 5m, exp_samples: [{labels: 'logs:errors:count{service_name="api"}', value: 3}]}
  logql_expr_test:
  - expr: sum by (service_name) (count_over_time({service_name="api"} |= "error" [5m]))
    eval_time: 5m
    exp_samples: [{labels: '{service_name="api"}', value: 3}]
"#;

fn run_logs(tests: &str) -> Result<Vec<Failure>, TestError> {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("r.yml"), LOG_RULES).unwrap();
    run(tests, dir.path(), &nobody)
}

#[test]
fn log_lines_are_inputs_too() {
    assert_eq!(run_logs(LOG_TESTS), Ok(vec![]));
    let failed = run_logs(&LOG_TESTS.replace("times: 3", "times: 2")).unwrap();
    assert_eq!(failed.len(), 3, "{failed:?}");
    let failed = run_logs(&LOG_TESTS.replace("[an error, an", "[no error, an")).unwrap();
    assert!(failed[0].message.contains("no error"), "{failed:?}");
    let error = run_logs(&LOG_TESTS.replace("at: 2m", "at: soon")).unwrap_err().to_string();
    assert!(error.contains("\"soon\" is no duration"), "{error}");
}

/// Who is told, is asked of whoever tells; what was evaluated, and until when, is handed to them.
#[test]
fn messages_are_compared_with_what_is_told() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("r.yml"), RULES).unwrap();
    let tests = |title: &str| {
        format!(
            "rule_files: [r.yml]\nnotify_file: who.yml\ntests:\n- input_series: [{{series: 'up{{instance=\"a\"}}', values: 0x9}}]\n  notification_test:\n  - receiver: team\n    until: 5m\n    exp_notifications: [{{at: 2m, exp_title: {title}, channel: slack, exp_texts: [fox]}}]\n"
        )
    };
    let tell = |file: &Path, evaluations: &[Evaluation], until_ms: i64| {
        assert_eq!((file.file_name().unwrap().to_str(), until_ms), (Some("who.yml"), 300_000));
        let fired = evaluations.iter().find(|evaluation| !evaluation.notices.is_empty()).unwrap();
        let told = |at_ms: i64, receiver: &str| Told {
            at_ms,
            receiver: receiver.into(),
            channel: "slack".into(),
            title: "Down".into(),
            text: "a quick fox".into(),
        };
        Ok(vec![told(fired.at_ms + 400, "team"), told(0, "others"), told(301_000, "team")])
    };
    assert_eq!(run(&tests("Down"), dir.path(), &tell), Ok(vec![]));
    let failed = run(&tests("Up"), dir.path(), &tell).unwrap();
    assert_eq!(
        failed[0].message,
        "team until 5m:\n  expected\n    2m slack Up with [\"fox\"]\n  is told\n    2m400ms slack a quick fox"
    );
    let no_file = tests("Down").replace("notify_file: who.yml\n", "");
    assert!(run(&no_file, dir.path(), &tell).unwrap_err().to_string().contains("notify_file"));
}

/// Native histograms are recorded and alerted on, as in Prometheus; names may be any text.
#[test]
fn rules_take_native_histograms() {
    let dir = tempfile::tempdir().unwrap();
    let rules = r#"
groups:
- name: g
  rules:
  - {record: all of them, expr: sum(h)}
  - {record: p50, expr: 'histogram_quantile(0.5, {"all of them"})'}
  - {alert: Any, expr: h, for: 1m, labels: {is: '{{ $value }}'}, annotations: {more: '{{ query "h" | first | value }}'}}
"#;
    std::fs::write(dir.path().join("r.yml"), rules).unwrap();
    let tests = r#"
rule_files: [r.yml]
evaluation_interval: 1m
tests:
- interval: 1m
  input_series:
  - {series: 'h{host="a"}', values: '{{schema:0 count:4 sum:5 buckets:[2 2]}}x3 stale'}
  - {series: 'h{host="b"}', values: '{{schema:0 count:4 sum:5 buckets:[2 2]}}x3 stale'}
  promql_expr_test:
  - expr: '{"all of them"}'
    eval_time: 1m
    exp_samples: [{labels: '{"all of them"}', histogram: '{{schema:0 count:8 sum:10 buckets:[4 4]}}'}]
  - {expr: p50, eval_time: 2m, exp_samples: [{labels: p50, value: 1}]}
  # With its source the series ends.
  - {expr: '{"all of them"}', eval_time: 4m, exp_samples: []}
  alert_rule_test:
  - {eval_time: 0m, alertname: Any}
  - eval_time: 1m
    alertname: Any
    exp_alerts:
    - {exp_labels: {host: a, is: '{count:4, sum:5, (0.5,1]:2, (1,2]:2}'}, exp_annotations: {more: '{count:4, sum:5, (0.5,1]:2, (1,2]:2}'}}
    - {exp_labels: {host: b, is: '{count:4, sum:5, (0.5,1]:2, (1,2]:2}'}, exp_annotations: {more: '{count:4, sum:5, (0.5,1]:2, (1,2]:2}'}}
  - {eval_time: 4m, alertname: Any}
"#;
    let failures = run(tests, dir.path(), &nobody).unwrap();
    assert_eq!(failures, []);
}
