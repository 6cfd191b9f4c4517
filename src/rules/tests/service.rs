//! Rules over a real store, run by their own clock: from a stored sample to a notice, and through a restart.

#[path = "service/captures.rs"]
mod captures;
#[path = "service/logs.rs"]
mod logs;

use std::collections::HashMap;
use std::time::Duration;

use model::batch::{MetricBatch, SeriesEntry};
use model::{AlertState, Histogram, Labels, Sample, TenantId};
use rules::engine::GroupAlerts;
use rules::{Engine, EngineOptions};
use store::{Options, Store, Tenant};

const RULES: &str = "
groups:
- name: hosts
  interval: 1s
  rules:
  - record: down:count
    expr: count(up == 0)
  - alert: Down
    expr: up == 0 and on() down:count > 0
    for: 1s
";

const DEADLINE: Duration = Duration::from_secs(60);

fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_millis()).unwrap()
}

fn open(dir: &std::path::Path) -> (Store, Tenant) {
    let store = Store::open(Options::new(dir), now_ms()).unwrap();
    let tenant = store.tenant(&TenantId::default()).unwrap();
    (store, tenant)
}

fn engine(tenant: &Tenant) -> Engine {
    engine_of(tenant, RULES)
}

fn engine_of(tenant: &Tenant, rules: &str) -> Engine {
    let options = EngineOptions {
        external_url: "http://127.0.0.1:8080".into(),
        lookback_ms: 300_000,
        query_limits: query::Limits::default().into(),
        started_ms: now_ms(),
    };
    Engine::new(tenant.clone(), rules::file::parse(rules, "t.yml", 30_000).unwrap(), options).unwrap()
}

async fn set(tenant: &Tenant, up: f64) {
    let labels = Labels::from_pairs([("__name__", "up"), ("host", "a")]);
    let batch = MetricBatch {
        series: vec![SeriesEntry::New { key: 1, labels }],
        samples: vec![(0, Sample { at_ms: now_ms(), value: up })],
        points: vec![0],
        derived_from: 1,
        ..MetricBatch::default()
    };
    assert!(tenant.submit_metrics(batch).await.unwrap().is_empty());
}

/// Waits for the next notice and takes it.
async fn told(tenant: &Tenant) -> AlertState {
    let alerts = tenant.alerts().unwrap();
    let wait = async {
        loop {
            if let Some(notice) = alerts.notices(1).unwrap().pop() {
                alerts.route_notices(notice.seq, &[]).unwrap();
                return notice.instance.state;
            }
            alerts.noticed().await;
        }
    };
    tokio::time::timeout(DEADLINE, wait).await.expect("no notice came")
}

#[tokio::test(flavor = "multi_thread")]
async fn from_a_stored_sample_to_a_notice_and_through_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let (store, tenant) = open(dir.path());
    let running = engine(&tenant);
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let task = tokio::spawn({
        let running = running.clone();
        async move { running.run(stopped).await }
    });
    set(&tenant, 0.0).await;
    assert_eq!(told(&tenant).await, AlertState::Firing);
    let view = running.view();
    assert_eq!(view[0].rules[1].instances[0].labels.to_string(), "{alertname=\"Down\",host=\"a\"}");
    assert_eq!(view[0].rules[0].last_error, "");
    stop.send(true).unwrap();
    tokio::time::timeout(DEADLINE, task).await.unwrap().unwrap();
    drop((running, tenant));
    store.close().unwrap();
    drop(store);

    let (store, tenant) = open(dir.path());
    let running = engine(&tenant);
    assert_eq!(running.view()[0].rules[1].instances[0].state, AlertState::Firing);
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let task = tokio::spawn({
        let running = running.clone();
        async move { running.run(stopped).await }
    });
    // The end is told, and the firing not a second time.
    set(&tenant, 1.0).await;
    assert_eq!(told(&tenant).await, AlertState::Resolved);
    stop.send(true).unwrap();
    tokio::time::timeout(DEADLINE, task).await.unwrap().unwrap();
    assert_eq!(tenant.alerts().unwrap().transitions(i64::MAX, 10).unwrap().len(), 3);
    store.close().unwrap();
}

/// Recorded histograms are in the store as the sender's are, and end as they do.
#[tokio::test(flavor = "multi_thread")]
async fn native_histograms_are_recorded() {
    let dir = tempfile::tempdir().unwrap();
    let (store, tenant) = open(dir.path());
    let running = engine_of(&tenant, "groups: [{name: g, rules: [{record: 'h:sum', expr: sum(h) * 2}]}]");
    let at_ms = now_ms();
    let buckets = vec![(0, 2.0), (1, 2.0)];
    let put = async |offset_ms: i64, histogram: Histogram| {
        let labels = Labels::from_pairs([("__name__", "h"), ("host", "a")]);
        let histograms = vec![(0, at_ms + offset_ms, histogram)];
        let series = vec![SeriesEntry::New { key: 1, labels }];
        let batch = MetricBatch { series, histograms, ..MetricBatch::default() };
        assert!(tenant.submit_metrics(batch).await.unwrap().is_empty());
    };
    let recorded = |offset_ms: i64| {
        let options = query::promql::Options::new(300_000, query::Limits::default().start());
        let expr = query::promql::parse("h:sum").unwrap();
        let answer = query::promql::instant(&tenant.snapshot().unwrap(), &expr, at_ms + offset_ms, &options).unwrap();
        let texts = answer.histograms.iter().flat_map(|(_, rows)| rows);
        texts.map(|(_, histogram)| query::promql::histogram_text(histogram)).collect::<Vec<_>>()
    };
    put(0, Histogram { count: 4.0, sum: 5.0, positive: buckets, ..Histogram::default() }).await;
    running.evaluate(0, at_ms + 1_000).await.unwrap();
    assert_eq!(recorded(1_000), ["{count:8, sum:10, (0.5,1]:4, (1,2]:4}"]);
    assert_eq!(running.view()[0].rules[0].last_error, "");
    put(2_000, Histogram::stale()).await;
    running.evaluate(0, at_ms + 3_000).await.unwrap();
    assert_eq!(recorded(3_000), [""; 0]);
    store.close().unwrap();
}

/// What fires, for who sends it on: once for each evaluation, and nothing that is only tried out.
#[tokio::test(flavor = "multi_thread")]
async fn what_fires_is_there_to_be_sent_on() {
    const RULES: &str = "
groups:
- name: g
  rules:
  - {record: 'up:sum', expr: sum(up)}
  - {alert: Down, expr: up == 0}
  - {alert: Waits, expr: up == 0, for: 1h}
  - {alert: Tried, expr: up == 0, x: {mode: shadow}}
";
    let dir = tempfile::tempdir().unwrap();
    let (store, tenant) = open(dir.path());
    let running = engine_of(&tenant, RULES);
    let mut seen = HashMap::new();
    // The evaluation's time and the alerts by name; the rules that were looked at.
    let look = |running: &Engine, seen: &HashMap<String, i64>| {
        let [group] = <[GroupAlerts; 1]>::try_from(running.alerts_after(seen)).unwrap();
        let name = |alert: &model::Instance| alert.labels.value("alertname").to_owned();
        let evaluated = group.evaluated.map(|of| (of.at_ms, of.alerts.iter().map(name).collect::<Vec<_>>()));
        (evaluated, group.rules.len())
    };
    assert_eq!(look(&running, &seen), (None, 2), "before the first evaluation");
    set(&tenant, 0.0).await;
    let at_ms = now_ms() + 1;
    running.evaluate(0, at_ms).await.unwrap();
    let found = |at_ms: i64| (Some((at_ms, vec!["Down".to_owned(), "Waits".to_owned()])), 2);
    assert_eq!(look(&running, &seen), found(at_ms));
    seen.insert("g".into(), at_ms);
    assert_eq!(look(&running, &seen), (None, 2), "looked at before");
    running.reload(rules::file::parse(RULES, "t.yml", 30_000).unwrap());
    assert_eq!(look(&running, &HashMap::new()), (None, 2), "not evaluated since the reload");
    running.evaluate(0, at_ms + 1_000).await.unwrap();
    assert_eq!(look(&running, &seen), found(at_ms + 1_000));
    store.close().unwrap();
}
