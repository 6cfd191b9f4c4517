//! The pages of the gallery, each in every state of note.

use model::time::NS_PER_MS;
use model::{MetricKind, MetricMeta, NsRange, Sample};
use notify::{ChannelView, ReceiverView};
use query::QueryError;
use query::logs::{Facet, Partial};
use query::promql::Value;
use store::TenantStats;

use super::super::alert_view::Deliveries;
use super::super::metric_list::MetricList;
use super::super::{
    alert_logs, alert_trace, alerts, changes, dashboard, empty, entity, entity_panels, explore, history_view, ingest,
    ingest_refused, ingest_senders, log_around, log_facets, log_patterns, logs, notifications, overview, rule,
    rule_chart, rule_says, status, text, threshold, what_if,
};
use super::content::*;

/// Every page in every state of note, by the name of its file.
pub(super) fn all() -> Vec<(&'static str, String)> {
    let groups = groups();
    let html = |page: &dyn askama::DynTemplate| page.dyn_render().expect("a page of ready text renders");
    let mut out = Vec::new();

    let mut page = overview::OverviewPage::new(frame("/"), &groups, deliveries(), NOW_MS);
    page.show_ingest(&TenantStats { newest_sample_ms: Some(NOW_MS - 4_000), ..TenantStats::default() }, NOW_MS);
    page.show_tables(&hosts(), &services(), &groups, NOW_MS);
    page.changes = vec![changes::Change {
        at: text::Stamp::of_ms(NOW_MS, NOW_MS),
        state: None,
        name: text::one_line(HOSTILE, 120),
        href: entity::href(entity_panels::Subject::Service, HOSTILE),
        words: text::one_line(HOSTILE, 120),
    }];
    out.push(("index", html(&page)));
    let mut page = overview::OverviewPage::new(frame("/"), &[], Deliveries::new(&[], false, NOW_MS), NOW_MS);
    page.empty = Some(empty::Empty::new("127.0.0.1:4318", "127.0.0.1:4317", true));
    out.push(("empty", html(&page)));

    let parameters = |q: &str, view: &str| explore::Parameters { q: q.into(), view: view.into(), ..Default::default() };
    let mut page = explore_page(&parameters("rate(http_requests_total{service_name=\"api\"}[5m])", ""));
    page.show_graph(Ok(answer(matrix(6))), 10_000, NOW_MS);
    out.push(("explore", html(&page)));
    let mut page = explore_page(&parameters("rate(http_requests_total[5m])", ""));
    page.show_graph(Ok(answer(matrix(48))), 10_000, NOW_MS);
    out.push(("explore-many", html(&page)));
    let mut page = explore_page(&parameters("rate(request_duration_seconds_bucket[5m])", "heatmap"));
    page.show_graph(Ok(answer(classic_buckets())), 10_000, NOW_MS);
    assert!(page.heatmap.is_some());
    out.push(("explore-heatmap", html(&page)));
    let mut page = explore_page(&parameters("system_memory_usage_bytes", "table"));
    let elements = (0..600).map(|n| {
        (
            labels(&[("__name__", "system_memory_usage_bytes"), ("host_name", &format!("h{n}"))]),
            Sample { at_ms: NOW_MS, value: wave(n, 1) * 1e8 },
        )
    });
    page.show_table(Ok(answer(Value::Vector(elements.collect()))), NOW_MS);
    out.push(("explore-table", html(&page)));
    let mut page = explore_page(&explore::Parameters {
        from: "yesterday".into(),
        ..parameters("sum(rate(x[5m])\n  by (<b>)", "")
    });
    page.show_graph(
        Err(QueryError::Parse { start: 19, end: 22, line: 2, column: 7, reason: "unexpected character: '<'".into() }),
        10_000,
        NOW_MS,
    );
    out.push(("explore-error", html(&page)));
    let mut page = explore_page(&parameters("", ""));
    let names: Vec<String> = (0..40).map(|n| format!("app_component_{n}_operation_duration_seconds_bucket")).collect();
    let metadata: Vec<MetricMeta> = names
        .iter()
        .map(|name| MetricMeta {
            family: name.trim_end_matches("_bucket").into(),
            kind: MetricKind::Histogram,
            unit: "seconds".into(),
            help: format!("Duration of an operation. {HOSTILE}"),
        })
        .collect();
    page.metrics = Some(MetricList::from_names(&names, &metadata, "app"));
    out.push(("explore-list", html(&page)));

    let mut page = logs::LogsPage::new(
        frame("/logs"),
        &logs::Parameters { q: "severity:>=debug".into(), ..Default::default() },
        NOW_MS,
    );
    page.show_rows(&log_rows(50), NOW_MS);
    page.show_histogram(&buckets(), 60_000, NOW_MS);
    let facet = |field: &str, top: &[(&str, u64)]| Facet {
        field: field.into(),
        top: top.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect(),
        others: 7,
        without: 3,
        values: 2 + top.len(),
        overflows: false,
    };
    page.facets = log_facets::views(
        vec![
            facet("severity", &[("info", 18_000), ("error", 201)]),
            facet("service.name", &[("checkout", 18_201), ("api", 88), (HOSTILE, 1)]),
            facet(HOSTILE, &[("x", 1)]),
        ],
        true,
    );
    out.push(("logs", html(&page)));
    let mut page =
        logs::LogsPage::new(frame("/logs"), &logs::Parameters { limit: "200".into(), ..Default::default() }, NOW_MS);
    let mut answer = log_rows(200);
    let covered = NsRange { start_ns: (NOW_MS - 600_000) * NS_PER_MS, end_ns: NOW_MS * NS_PER_MS };
    answer.partial = Some(Partial { reason: HOSTILE.into(), covered });
    page.show_rows(&answer, NOW_MS);
    out.push(("logs-many", html(&page)));
    let mut page = logs::LogsPage::new(
        frame("/logs"),
        &logs::Parameters { view: "patterns".into(), ..Default::default() },
        NOW_MS,
    );
    let pattern = |n: u64| query::logs::WindowPattern {
        template: format!("<_> {HOSTILE} {n}"),
        count: 1_000 / (n + 1),
        before: n % 3,
        first_ns: NOW_MS * NS_PER_MS,
        last_ns: NOW_MS * NS_PER_MS,
        steps: vec![((NOW_MS - 600_000) / 60_000 * 60_000 * NS_PER_MS, 7)],
    };
    let found = query::logs::WindowPatterns {
        patterns: (0..120).map(pattern).collect(),
        other: 4,
        sampled_every: 3,
        partial: None,
    };
    let range = NsRange { start_ns: (NOW_MS - 3_600_000) * NS_PER_MS, end_ns: NOW_MS * NS_PER_MS };
    page.patterns = Some(log_patterns::view(&found, range, 60_000 * NS_PER_MS, NOW_MS));
    out.push(("logs-patterns", html(&page)));
    let mut page = log_around::AroundPage::new(frame("/logs"), "Lines around a record".into(), NOW_MS);
    page.show_rows(&log_rows(20).rows, Some(10), NOW_MS);
    out.push(("logs-context", html(&page)));
    let mut page =
        logs::LogsPage::new(frame("/logs"), &logs::Parameters { q: "conection".into(), ..Default::default() }, NOW_MS);
    page.show_nothing(18_211, Some(NOW_MS * NS_PER_MS), NOW_MS);
    out.push(("logs-none", html(&page)));

    for (name, tab) in [
        ("alerts", "active"),
        ("alerts-pending", "pending"),
        ("alerts-resolved", "resolved"),
        ("alerts-history", "history"),
        ("alerts-noise", "noise"),
        ("alerts-rules", "rules"),
    ] {
        let parameters = alerts::Parameters { tab: tab.into(), before: None };
        let page =
            alerts::AlertsPage::new(frame("/alerts"), &parameters, &groups, deliveries(), &transitions(), NOW_MS);
        out.push((name, html(&page)));
    }
    let page = alerts::AlertsPage::new(
        frame("/alerts"),
        &alerts::Parameters::default(),
        &[],
        Deliveries::new(&[], false, NOW_MS),
        &[],
        NOW_MS,
    );
    out.push(("alerts-none", html(&page)));

    let mut page = rule::RulePage::new(frame("/alerts"), &groups[0], &groups[0].rules[0], deliveries(), NOW_MS);
    let range = model::MsRange { start_ms: NOW_MS - 21_600_000, end_ms: NOW_MS };
    let rows = vec![(labels(&[("service_name", "checkout")]), line(range.start_ms, 60_000, 360, 4, 0.002))];
    let bands = rule_chart::bands_between(&transitions(), NOW_MS);
    page.show_chart(rule_chart::RuleChart::new(
        Ok(rows),
        threshold::threshold(&groups[0].rules[0].expr).as_ref(),
        crate::chart::Unit::Ratio,
        &rule::course(bands, NOW_MS),
    ));
    page.rows = history_view::transition_rows(&transitions(), &groups, NOW_MS);
    page.attempts = history_view::attempt_rows(&attempts(), NOW_MS);
    let typed = what_if::Parameters { limit: HOSTILE.into(), wait: HOSTILE.into() };
    page.what_if = Some(what_if::WhatIf::new(&groups[0].rules[0].expr, 30_000, &typed));
    let preview = |n: usize| notify::Preview {
        receiver: "oncall".into(),
        channel: format!("oncall/{HOSTILE}[{n}]"),
        title: HOSTILE.into(),
        text: HOSTILE.repeat(200),
        templates: (0..9).map(|field| (format!("{HOSTILE}{field}"), HOSTILE.repeat(200))).collect(),
        problems: vec![HOSTILE.into()],
    };
    let run = rules::DryRun { instances: groups[0].rules[0].instances.clone(), holds: true };
    let said = crate::dry_run::Said { run, messages: (0..9).map(preview).collect(), is_shadow: false };
    page.says = Some(rule_says::RuleSays::new(Ok(said)));
    out.push(("rule", html(&page)));

    let (fired, rule_of_it) = (&groups[0].rules[0].instances[0], &groups[0].rules[0]);
    let mut page = alert_trace::AlertTracePage::new(frame("/alerts"), rule_of_it, fired, &mut deliveries(), NOW_MS);
    page.chart = rule_chart::RuleChart::new(
        Ok(vec![(labels(&[("service_name", "checkout")]), line(range.start_ms, 60_000, 360, 4, 0.002))]),
        threshold::threshold(&rule_of_it.expr).as_ref(),
        crate::chart::Unit::Ratio,
        &rule::course(rule_chart::bands_of(fired, NOW_MS), NOW_MS),
    )
    .graph;
    let mut around = alert_logs::AlertLogs::new("service.name:checkout", fired, NOW_MS);
    around.show(&log_rows(12), true, NOW_MS);
    page.logs = Some(around);
    page.words = vec![text::one_line(&format!("oncall is not told: {HOSTILE}"), 500)];
    page.attempts = history_view::attempt_rows(&attempts(), NOW_MS);
    out.push(("alert", html(&page)));

    let mut page = entity::EntityPage::new(
        frame("/"),
        entity_panels::Subject::Service,
        HOSTILE,
        &entity::Parameters { from: "yesterday".into(), ..Default::default() },
        NOW_MS,
    );
    page.show_panels(Vec::new(), &["Latency of requests"]);
    out.push(("service", html(&page)));

    let dashboards = crate::Dashboards::default();
    let bad = crate::DashboardError { file: "dashboards/x.yml".into(), line: 7, reason: HOSTILE.into() };
    dashboards.replace(vec![Err(bad)]);
    let all = dashboards.all();
    out.push(("dashboards", html(&dashboard::DashboardsPage::new(frame("/d"), &all))));
    let first = all.iter().flatten().find(|dashboard| dashboard.name == "services").expect("it comes with the program");
    let chosen = [("service".to_owned(), HOSTILE.to_owned())].into();
    let mut page = dashboard::DashboardPage::new(frame("/d"), first, &chosen, NOW_MS);
    page.choices = vec![dashboard::Choice::new(&first.variables[0], vec!["api".into()], HOSTILE)];
    out.push(("dashboard", html(&page)));
    out.push(("status", html(&status::example(NOW_MS))));

    let mut page = ingest::IngestPage::new(frame("/ingest"));
    let key = |signal: &str, reason: &str| (signal.to_owned(), reason.to_owned());
    page.show_refused(ingest_refused::rows(
        &std::collections::BTreeMap::from([(key("logs", "too_old"), 12.0)]),
        vec![(key("logs", "too_old"), 4_711.0), (key(HOSTILE, HOSTILE), 1.0)],
    ));
    let sender = |seen_ms| ingest_senders::Sender {
        instance: HOSTILE.into(),
        version: "2.4.1".into(),
        metrics_seen_ms: Some(seen_ms),
        logs_seen_ms: Some(seen_ms),
        ..Default::default()
    };
    let senders = ingest_senders::Senders {
        by_name: [(key("api", "aurora"), sender(NOW_MS - 4_000)), (key(HOSTILE, HOSTILE), sender(NOW_MS - 900_000))]
            .into(),
    };
    page.show_senders(&senders, NOW_MS);
    let counts = |count: u64| store::Cardinality {
        series: 48_120 * count,
        metrics: (0..30)
            .map(|n| (format!("app_component_{n}_duration_seconds_bucket"), 9_240 * count / (n + 1)))
            .collect(),
        labels: vec![store::LabelCount { name: HOSTILE.into(), series: 40_000, values: 410, value_bytes: 9_000 }],
        pairs: Vec::new(),
    };
    page.show_counts(&counts(2), &counts(1), NOW_MS);
    out.push(("ingest", html(&page)));

    let channel = |name: &str, kind, success, failure, broken| ChannelView {
        name: name.into(),
        kind,
        last_success_ms: success,
        last_failure_ms: failure,
        last_error: if broken { HOSTILE.into() } else { String::new() },
        broken,
    };
    let receivers = [ReceiverView {
        name: "oncall".into(),
        channels: vec![
            channel("oncall/pagerduty[0]", "pagerduty", Some(NOW_MS - 715_000), None, false),
            channel("oncall/slack[0]", "slack", Some(NOW_MS - 90_000_000), Some(NOW_MS - 20_000), true),
            channel("mail/email[0]", "email", None, None, false),
        ],
    }];
    let mut page = notifications::NotificationsPage::new(
        frame("/notifications"),
        &receivers,
        &intents(&groups),
        &attempts(),
        NOW_MS,
    );
    let steps = notify::TestSteps { attempts: attempts(), done: false };
    page.test = Some(notifications::TestView::new("1f", &steps, NOW_MS));
    out.push(("notifications", html(&page)));
    out
}
