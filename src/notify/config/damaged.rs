//! Files with something wrong in them: none stops the reader, and each complaint names its place.

use std::time::{Duration, Instant};

use chance::{Random, damaged};
use model::Labels;

use super::*;

/// Most of what the format has, in a form that is good.
const GOOD: &str = r##"global:
  resolve_timeout: 5m
  slack_api_url: https://hooks.slack.com/services/T/B/x
  smtp_smarthost: 'mail.example.org:587'
  smtp_from: binnacle@example.org
  smtp_auth_username: u
  smtp_auth_password: p
  http_config: {follow_redirects: true, tls_config: {insecure_skip_verify: false}}
route:
  receiver: ops
  group_by: [alertname, host_name]
  group_wait: 30s
  group_interval: 5m
  repeat_interval: 4h
  routes:
  - matchers: ['severity="critical"', 'team=~"a|b"']
    receiver: page
    continue: true
    mute_time_intervals: [nights]
  - match: {service: db}
    match_re: {host: 'db-.*'}
    group_by: ['...']
    active_time_intervals: [nights, weekend]
    routes:
    - matchers: [a=b]
    - receiver: ops
inhibit_rules:
- name: down
  source_matchers: [alertname = HostDown]
  target_matchers: ['severity=~"warning|info"']
  equal: [host_name]
- source_match: {severity: critical}
  target_match_re: {severity: 'warn.*'}
time_intervals:
- name: nights
  time_intervals:
  - times: [{start_time: '22:00', end_time: '24:00'}, {start_time: '00:00', end_time: '06:00'}]
    weekdays: ['monday:friday', saturday]
    days_of_month: ['1:5', '-3:-1']
    months: ['january:march', '12']
    years: ['2024:2030']
    location: Europe/Berlin
- name: weekend
  time_intervals: [{weekdays: [saturday, sunday]}]
templates: []
receivers:
- name: ops
  slack_configs:
  - channel: '#ops'
    title: '{{ template "slack.default.title" . }}'
    text: '{{ range .Alerts }}{{ .Labels.alertname }} {{ .Annotations.summary | toUpper }}{{ end }}'
    fields: [{title: a, value: '{{ .Status }}', short: true}]
    actions: [{type: button, text: go, url: 'http://x/'}]
  email_configs:
  - to: 'a@example.org, B <b@example.org>'
    headers: {Subject: '{{ .CommonLabels.severity }}'}
    require_tls: true
  x: {fallback: {to: page, after: 2m, on: [config, breaker_open, deadline]}}
- name: page
  pagerduty_configs:
  - routing_key: 0123456789abcdef0123456789abcdef
    severity: '{{ if .CommonLabels.severity }}{{ .CommonLabels.severity }}{{ else }}error{{ end }}'
    details: {firing: '{{ .Alerts.Firing | len }}', deep: {a: [1, 'two']}}
    x: {dedup_scope: group}
  webhook_configs:
  - url: http://127.0.0.1:9/hook
    max_alerts: 5
    http_config: {basic_auth: {username: u, password: p}}
    x: {hmac_secret: s}
  x: {escalate: [{after: 5m, unless: acked, to: ops}]}
x:
  am_compat: false
  back_within: 10m
  self_test: 30d
  heartbeats: [{name: backup, token: 0123456789, every: 24h, grace: 1h}]
  undelivered_exec: [/bin/true, --loud]
"##;

const SIGNS: [&str; 30] = [
    "{",
    "}",
    "[",
    "]",
    ":",
    "-",
    ",",
    "'",
    "\"",
    "|",
    ">",
    "&a",
    "*a",
    "!!int",
    "#",
    "\t",
    "\n",
    "\u{0}",
    "é",
    "{{",
    "}}",
    "${HOME}",
    "null",
    "-1",
    "99999999999999999999",
    "1e309",
    "0s",
    "(",
    "\\",
    "<<: *a",
];

/// Far over what one takes, so that only a hang is found.
const LONG: Duration = Duration::from_secs(10);

fn firing(at_ms: i64) -> model::alert::Instance {
    let labels =
        [("alertname", "HostDown"), ("severity", "critical"), ("team", "a"), ("host_name", "h"), ("service", "db")];
    crate::fixtures::firing(Labels::from_pairs(labels), at_ms)
}

#[test]
fn a_damaged_file_is_used_or_refused_at_a_line_of_it() {
    let seed = chance::seed(20_261_123);
    let mut random = Random::new(seed);
    let dir = Path::new("/nonexistent");
    Config::parse(GOOD, "notify.yml", dir).unwrap_or_else(|error| panic!("{error}"));
    let (mut used, mut refused) = (0, 0);
    for _ in 0..600 {
        let text = damaged(GOOD, &SIGNS, &mut random);
        let began = Instant::now();
        match Config::parse(&text, "notify.yml", dir) {
            Ok(config) => {
                used += 1;
                let at_ms = 1_790_000_000_000 + random.below(40 * 86_400_000_i64);
                crate::preview::preview(&config, "http://b", &[firing(at_ms)], at_ms);
                for name in config.intervals.keys() {
                    config.interval_holds(name, at_ms);
                }
            }
            Err(error) => {
                refused += 1;
                let lines = text.lines().count().max(1);
                let is_placed = error.line >= 1 && error.line <= lines + 1 && !error.reason.trim().is_empty();
                assert!(is_placed, "SEED={seed}: {error} ({lines} lines)\n{text}");
                assert!(!error.reason.contains('\n'), "SEED={seed}: {error}");
            }
        }
        assert!(began.elapsed() < LONG, "SEED={seed}: {:?}\n{text}", began.elapsed());
    }
    assert!(used > 50 && refused > 50, "nothing was tested: {used} used, {refused} refused");
}

#[test]
fn damaged_matchers_and_schedules_are_taken_or_refused() {
    let seed = chance::seed(20_261_124);
    let mut random = Random::new(seed);
    let good = [
        "severity=critical",
        "{severity=\"critical\", host=~\"web-[0-9]+\"}",
        "host!~(a|b)+, team != \"x y\"",
        "{\"utf-8 ä\"=\"\\u00e9\"}",
        "a=~\"b{2}\"",
        "foo=\"a\\\"b\\n\", bar=",
    ];
    let schedules = [
        "times: [{start_time: '22:00', end_time: '24:00'}]\nweekdays: ['monday:friday']\nlocation: Europe/Berlin",
        "days_of_month: ['-3:-1', '31']\nmonths: [february]\nyears: ['2024:2030']",
    ];
    let labels = Labels::from_pairs([("severity", "critical"), ("host", "web-1"), ("a", "bb")]);
    let (mut used, mut refused) = (0, 0);
    for _ in 0..4_000 {
        let text = damaged(random.pick(&good), &SIGNS, &mut random);
        match parse_matchers(&text) {
            Ok(matchers) => {
                used += 1;
                for matcher in matchers {
                    matcher.matches_labels(&labels);
                }
            }
            Err(reason) => {
                refused += 1;
                assert!(!reason.trim().is_empty(), "SEED={seed}: {text:?}");
            }
        }
        let text = damaged(random.pick(&schedules), &SIGNS, &mut random);
        let at_ms = random.below(4_000_000_000_000_i64) - 2_000_000_000_000;
        match Interval::parse(&text) {
            Ok(interval) => {
                used += 1;
                interval.contains(at_ms);
            }
            Err(reason) => {
                refused += 1;
                assert!(reason.starts_with("line "), "SEED={seed}: {text:?}: {reason}");
            }
        }
    }
    assert!(used > 500 && refused > 500, "nothing was tested: {used} used, {refused} refused");
}
