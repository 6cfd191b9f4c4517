//! What the pages of the gallery show: rules, alerts, deliveries, samples and log lines, all made up, hostile text among them.

use model::alert::{Attempt, Instance, Intent, Outcome, Progress, Transition};
use model::any::AnyValue;
use model::log::{LogRecord, Resource, Scope};
use model::time::NS_PER_MS;
use model::{AlertState, IntentState, Labels, Sample, Severity};
use query::logs::{Bucket, Row, SearchAnswer, SearchStats};
use query::promql::{Answer, Value};
use rules::{GroupView, Health, RuleKind, RuleView};

use super::super::alert_view::Deliveries;
use super::super::explore;
use super::super::frame::Frame;
use super::super::hosts::{Host, Hosts};
use super::super::services::{Service, Services};

pub(super) const NOW_MS: i64 = 1_795_230_760_000; // 2026-11-21T03:12:40Z
pub(in super::super) const HOSTILE: &str = "<script>alert(1)</script>\u{1b}[31m \"quoted\" 'x' & \u{202e}gnp.exe\u{7}";

pub(super) fn frame(path: &str) -> Frame {
    Frame::plain("vessel-7", "0.1.0", NOW_MS, path, 3)
}

pub(super) fn labels(pairs: &[(&str, &str)]) -> Labels {
    Labels::from_pairs(pairs.iter().copied())
}

pub(super) fn instance(rule_id: &str, state: AlertState, ago_ms: i64, value: f64, pairs: &[(&str, &str)]) -> Instance {
    let at_ms = NOW_MS - ago_ms;
    Instance {
        rule_id: rule_id.into(),
        labels: labels(pairs),
        annotations: vec![
            ("summary".into(), format!("{} needs a look", pairs[0].1)),
            ("description".into(), "More than 5 % of requests failed over the last two minutes.".into()),
            ("runbook_url".into(), "https://runbooks.example.com/errors".into()),
        ],
        state,
        active_at_ms: at_ms - 60_000,
        fired_at_ms: (state != AlertState::Pending).then_some(at_ms),
        keep_since_ms: None,
        resolved_at_ms: (state == AlertState::Resolved).then_some(at_ms + 60_000),
        evaluated_at_ms: NOW_MS - 5_000,
        value,
        evidence: Default::default(),
    }
}

pub(super) fn rule(id: &str, name: &str, expr: &str, severity: &str, instances: Vec<Instance>) -> RuleView {
    RuleView {
        id: id.into(),
        name: name.into(),
        kind: if severity.is_empty() {
            RuleKind::Recording
        } else {
            RuleKind::Alerting { for_ms: 30_000, keep_firing_for_ms: 60_000 }
        },
        expr: expr.into(),
        is_logs: false,
        labels: if severity.is_empty() { vec![] } else { vec![("severity".into(), severity.into())] },
        annotations: vec![("summary".into(), "{{ $labels.service_name }} answers with errors".into())],
        health: Health::Ok,
        last_error: String::new(),
        last_evaluation_ms: Some(NOW_MS - 5_000),
        evaluation_seconds: 0.004,
        unknown: "",
        empty_since_ms: None,
        dead_selectors: vec![],
        is_shadow: false,
        owner: String::new(),
        runbook: String::new(),
        instances,
    }
}

pub(super) fn groups() -> Vec<GroupView> {
    let errors = rule(
        "e1",
        "ErrorRateCritical",
        "binnacle:http_err:ratio5m > 0.05\n  and binnacle:http_req:rate5m > 0.2",
        "critical",
        vec![instance(
            "e1",
            AlertState::Firing,
            720_000,
            0.184,
            &[("alertname", "ErrorRateCritical"), ("service_name", "checkout"), ("severity", "critical")],
        )],
    );
    let disk = rule(
        "d1",
        "HostDiskWarning",
        "binnacle:fs_used:ratio > 0.70",
        "warning",
        vec![
            instance(
                "d1",
                AlertState::Firing,
                11_520_000,
                0.781,
                &[
                    ("alertname", "HostDiskWarning"),
                    ("host_name", "borea"),
                    ("mountpoint", "/var/lib"),
                    ("severity", "warning"),
                ],
            ),
            instance(
                "d1",
                AlertState::Firing,
                60_000,
                0.71,
                &[("alertname", HOSTILE), ("host_name", HOSTILE), ("severity", "warning")],
            ),
        ],
    );
    let latency = rule(
        "l1",
        "LatencyP99Warning",
        "binnacle:http_p99:seconds5m > 0.5",
        "warning",
        vec![
            instance(
                "l1",
                AlertState::Pending,
                60_000,
                0.612,
                &[("alertname", "LatencyP99Warning"), ("service_name", "search"), ("severity", "warning")],
            ),
            instance(
                "l1",
                AlertState::Resolved,
                400_000,
                0.4,
                &[("alertname", "LatencyP99Warning"), ("service_name", "api"), ("severity", "warning")],
            ),
        ],
    );
    let mut broken = rule(
        "b1",
        "QueueBacklog",
        "messaging_queue_depth > 1000 and deriv(messaging_queue_depth[10m]) >= 0",
        "warning",
        vec![],
    );
    broken.health = Health::Err;
    broken.last_error = format!("vector cannot contain metrics with the same labelset {HOSTILE}");
    let group = |name: &str, rules| GroupView {
        file: format!("alerts/{name}.yml"),
        name: format!("binnacle-{name}"),
        interval_ms: 30_000,
        limit: 0,
        last_evaluation_ms: Some(NOW_MS - 5_000),
        unseen_for: std::time::Duration::from_secs(5),
        evaluation_seconds: 0.02,
        missed_slots: 2,
        rules,
    };
    let record = rule(
        "r1",
        "binnacle:host_cpu_busy:ratio",
        "1 - sum by (host_name) (rate(system_cpu_time_seconds_total{state=~\"idle|wait\"}[5m]))",
        "",
        vec![],
    );
    vec![group("service", vec![errors, latency, broken]), group("host", vec![record, disk])]
}

pub(super) fn intents(groups: &[GroupView]) -> Vec<Intent> {
    let all: Vec<Instance> =
        super::super::asked::instances(groups).filter(|i| i.state == AlertState::Firing).cloned().collect();
    let intent = |receiver: &str, instance: &Instance, progress, fallback_for: Option<&str>| Intent {
        receiver: receiver.into(),
        scope: instance.episode().unwrap_or_default(),
        rev: 1,
        want: IntentState::Firing,
        instances: vec![instance.clone()],
        created_ms: NOW_MS - 300_000,
        not_before_ms: 0,
        progress,
        accepted: None,
        handle: vec![],
        fallback_for: fallback_for.map(String::from),
    };
    let waiting = Progress::Waiting {
        attempts: 3,
        next_attempt_ms: NOW_MS + 40_000,
        last_error: format!("connect timed out {HOSTILE}"),
    };
    vec![
        intent("oncall/pagerduty[0]", &all[0], Progress::Accepted { at_ms: NOW_MS - 715_000 }, None),
        intent("oncall/slack[0]", &all[0], waiting, None),
        intent(
            "mail/email[0]",
            &all[0],
            Progress::Sending { attempt: 1, started_ms: NOW_MS - 1_000 },
            Some("oncall/slack[0]"),
        ),
        intent(
            "ops/slack[0]",
            &all[1],
            Progress::Failed { at_ms: NOW_MS - 9_000, error: "channel_not_found".into() },
            None,
        ),
    ]
}

pub(super) fn deliveries() -> Deliveries {
    Deliveries::new(&intents(&groups()), true, NOW_MS)
}

pub(super) fn transitions() -> Vec<Transition> {
    let change = |n: i64, from, to, note: &str| Transition {
        at_ms: NOW_MS - n * 60_000,
        rule_id: "e1".into(),
        labels: labels(&[("alertname", "ErrorRateCritical"), ("service_name", "checkout"), ("severity", "critical")]),
        from,
        to,
        value: 0.184,
        note: note.into(),
    };
    vec![
        change(12, Some(AlertState::Pending), Some(AlertState::Firing), ""),
        change(13, None, Some(AlertState::Pending), ""),
        change(1_900, Some(AlertState::Firing), Some(AlertState::Resolved), "rule removed"),
    ]
}

pub(super) fn attempts() -> Vec<Attempt> {
    let outcomes = [
        (Outcome::Accepted, 202, "{\"status\":\"success\"}"),
        (Outcome::Transient, 0, "connect timed out after 5 s"),
        (Outcome::Throttled, 429, "rate_limited, retry after 30 s"),
        (Outcome::Permanent, 403, "invalid_auth"),
        (Outcome::Ambiguous, 0, HOSTILE),
    ];
    let attempt = |(n, (outcome, status, words)): (usize, (Outcome, u16, &str))| Attempt {
        at_ms: NOW_MS - 700_000 - n as i64 * 61_000,
        receiver: "oncall/slack[0]".into(),
        scope: "x".into(),
        rev: 1,
        want: IntentState::Firing,
        subject: "ErrorRateCritical {service_name=\"checkout\"}".into(),
        number: n as u32 + 1,
        outcome,
        took_ms: 840,
        status,
        words: words.into(),
    };
    outcomes.into_iter().enumerate().map(attempt).collect()
}

/// A repeatable stand-in for measurements.
pub(super) fn wave(n: usize, seed: usize) -> f64 {
    let t = n as f64 / 7.0 + seed as f64 * 1.7;
    20.0 + 10.0 * (t / 6.0).sin() + 3.0 * (t * 2.3).sin() + ((n * 7919 + seed * 104_729) % 17) as f64 / 8.0
}

pub(super) fn line(start_ms: i64, step_ms: i64, count: usize, seed: usize, scale: f64) -> Vec<Sample> {
    (0..count)
        .filter(|n| !(seed == 1 && (100..130).contains(n)))
        .map(|n| Sample { at_ms: start_ms + n as i64 * step_ms, value: wave(n, seed) * scale })
        .collect()
}

pub(super) fn answer(value: Value) -> Answer {
    Answer {
        histograms: Vec::new(),
        value,
        warnings: vec![],
        infos: vec!["metric might not be a counter: name does not end in _total".into()],
        samples_read: 72_110,
        series_read: 12,
        stats: query::promql::Stats::default(),
        explain: None,
    }
}

pub(super) fn explore_page(parameters: &explore::Parameters) -> explore::ExplorePage {
    explore::ExplorePage::new(frame("/explore"), parameters, NOW_MS)
}

pub(super) fn matrix(series: usize) -> Value {
    let start = (NOW_MS - 3_600_000).div_euclid(10_000) * 10_000;
    let row = |n: usize| {
        (
            labels(&[("host_name", &format!("host-{n:02}")), ("service_name", "api"), ("site", HOSTILE)]),
            line(start, 10_000, 360, n, 1.0),
        )
    };
    Value::Matrix((0..series).map(row).collect())
}

/// Of a histogram, as rates of its buckets.
pub(super) fn classic_buckets() -> Value {
    let start = (NOW_MS - 3_600_000).div_euclid(10_000) * 10_000;
    let row = |(n, le): (usize, &str)| (labels(&[("le", le)]), line(start, 10_000, 360, 2, (n + 1) as f64));
    Value::Matrix(["0.01", "0.05", "0.1", "0.5", "1", "+Inf"].into_iter().enumerate().map(row).collect())
}

pub(super) fn log_rows(count: usize) -> SearchAnswer {
    let resource = std::sync::Arc::new(Resource {
        attributes: vec![
            ("service.name".into(), AnyValue::Str("checkout".into())),
            ("host.name".into(), AnyValue::Str("borea".into())),
            ("deployment.environment.name".into(), AnyValue::Str("production".into())),
        ],
        ..Resource::default()
    });
    let scope = std::sync::Arc::new(Scope { name: "app.http".into(), version: "1.4.2".into(), ..Scope::default() });
    let numbers = [17, 9, 9, 13, 5, 9, 21, 9, 0];
    let bodies = [
        "payment provider refused the charge: card_declined (attempt 2 of 3), order 88121",
        "GET /api/v1/search 200 12ms",
        "cache warm: 1,204 entries in 31 ms",
        "queue depth 812 is above 80 % of its limit; slowing intake down to let the workers catch up before messages expire, as set by queue.high_water",
        HOSTILE,
        "position fix 3D, 11 satellites",
        "panicked at src/worker.rs:88: index out of bounds: the len is 4 but the index is 4\nstack backtrace:\n  0: rust_begin_unwind\n  1: core::panicking::panic_fmt",
        "äöü 船 🚢 unicode",
        "",
    ];
    let row = |n: usize| Row {
        record: LogRecord {
            time_ns: (NOW_MS - n as i64 * 1_733) * NS_PER_MS + 123_456,
            severity_number: numbers[n % numbers.len()],
            severity_text: if numbers[n % 9] == 0 { "notice".into() } else { String::new() },
            body: AnyValue::Str(bodies[n % bodies.len()].into()),
            attributes: vec![
                ("http.request.method".into(), AnyValue::Str("GET".into())),
                ("http.response.status_code".into(), AnyValue::Int(503)),
                ("url.path".into(), AnyValue::Str(format!("/api/v1/orders/{n}?page=2"))),
                ("host.name".into(), AnyValue::Str("inner".into())),
                (HOSTILE.into(), AnyValue::Str(HOSTILE.into())),
                ("nested".into(), AnyValue::Map(vec![("a".into(), AnyValue::Array(vec![AnyValue::Int(1)]))])),
            ],
            trace_id: Some([n as u8 + 1; 16]),
            span_id: Some([7; 8]),
            event_name: if bodies[n % bodies.len()].is_empty() { "device.boot".into() } else { String::new() },
            ..LogRecord::default()
        },
        resource: resource.clone(),
        scope: scope.clone(),
        cursor: format!("c{n}"),
    };
    SearchAnswer {
        rows: (0..count).map(row).collect(),
        more: true,
        stats: SearchStats { records_scanned: 18_211, ..SearchStats::default() },
        partial: None,
    }
}

pub(super) fn buckets() -> Vec<Bucket> {
    let bucket = |n: usize| {
        let mut counts = [0; Severity::ALL.len()];
        counts[Severity::Info as usize] = (wave(n, 3) * 9.0) as u64;
        counts[Severity::Debug as usize] = (wave(n, 1) * 3.0) as u64;
        counts[Severity::Warn as usize] = wave(n, 2) as u64 / 4;
        counts[Severity::Error as usize] = if (40..52).contains(&n) { 90 } else { u64::from(n.is_multiple_of(9)) };
        counts[Severity::Fatal as usize] = u64::from(n == 44);
        Bucket { start_ns: (NOW_MS - 3_600_000 + n as i64 * 60_000) * NS_PER_MS, counts }
    };
    (0..60).map(bucket).collect()
}

pub(super) fn hosts() -> Hosts {
    let host = |seed: usize, age_ms: i64, cpu: f64, disk: f64| Host {
        seen_ms: Some(NOW_MS - age_ms),
        cpu: Some(cpu),
        cpu_line: line(NOW_MS - 3_600_000, 90_000, 40, seed, 0.02),
        memory: Some(0.61),
        disk: Some(disk),
        mount: "/var/lib".into(),
    };
    let by_name = [
        ("aurora", host(2, 4_000, 0.22, 0.5)),
        ("borea", host(3, 9_000, 0.74, 0.781)),
        ("caspia", host(4, 840_000, 0.2, 0.3)),
        ("delta-with-a-rather-long-name.fleet.example.com", host(5, 3_000, 0.93, 0.2)),
    ];
    Hosts { by_name: by_name.map(|(name, host)| (name.to_string(), host)).into(), end_ms: NOW_MS }
}

pub(super) fn services() -> Services {
    let service = |seed: usize, age_ms: i64, errors: f64| Service {
        seen_ms: Some(NOW_MS - age_ms),
        rate: Some(31.4),
        errors: Some(errors),
        errors_line: line(NOW_MS - 3_600_000, 90_000, 40, seed, errors / 30.0),
        p99: Some(0.231),
        error_logs: Some(312),
    };
    let logs_only = Service { seen_ms: Some(NOW_MS - 2_000), error_logs: Some(0), ..Service::default() };
    let by_name = [
        ("checkout", service(2, 4_000, 0.184)),
        ("search", service(3, 2_000, 0.0)),
        ("api", service(4, 960_000, 0.002)),
        ("engine-mon", logs_only),
        (HOSTILE, Service::default()),
    ];
    Services { by_name: by_name.map(|(name, service)| (name.to_string(), service)).into(), end_ms: NOW_MS }
}
