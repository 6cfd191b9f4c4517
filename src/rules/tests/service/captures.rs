//! The built-in packs over what real senders pushed: `tests/captures`, recorded, at the recorded times.

use std::collections::BTreeMap;
use std::path::Path;

use codec::otlp::{Delta, Encoding, KnownSeries, MetricsSettings, Promote, Translation, decode_metrics};
use model::{MsRange, SeriesId};

use super::*;

/// Slots of the packs' groups lie apart; every one of them is hit.
const STEP_MS: i64 = 5_000;

struct Nothing;

impl KnownSeries for Nothing {
    fn lookup(&self, _: u128) -> Option<SeriesId> {
        None
    }

    fn knows_metadata(&self, _: u64) -> bool {
        false
    }
}

/// The product's defaults.
fn settings() -> MetricsSettings {
    MetricsSettings {
        promote: Promote::All,
        ignore: ["telemetry.*", "process.*", "os.*", "host.arch", "*.uid"].map(str::to_owned).into(),
        translation: Translation::UnderscoreEscapingWithSuffixes,
        delta: Delta::Cumulative,
        promote_scope: false,
        keep_identifying: false,
        labels_max: 100,
        label_name_bytes_max: 1_024,
        label_value_bytes_max: 4_096,
    }
}

struct Played {
    tenant: Tenant,
    _store: Store,
    _dir: tempfile::TempDir,
    /// Alert, its service, state and second of the recording.
    told: Vec<(String, String, AlertState, i64)>,
    last_ms: i64,
}

/// Stores a recording and runs the packs over its time and some minutes more.
async fn played(name: &str, after_ms: i64) -> Played {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/captures").join(format!("{name}.binpb.zst"));
    let packed = std::fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let body = zstd::decode_all(packed.as_slice()).unwrap();
    let accept = MsRange { start_ms: 0, end_ms: i64::MAX / 2_000_000 };
    let (batch, rejected) = decode_metrics(&body, Encoding::Protobuf, &settings(), &Nothing, accept).unwrap();
    assert!(rejected.is_empty(), "{}", rejected.message());
    let times = batch.samples.iter().map(|(_, sample)| sample.at_ms);
    let (first_ms, last_ms) = (times.clone().min().unwrap(), times.max().unwrap());
    assert!(last_ms - first_ms > 180_000, "{name} is too short");
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(Options { disk_free_min: 0, ..Options::new(dir.path()) }, first_ms).unwrap();
    let tenant = store.tenant(&TenantId::default()).unwrap();
    assert!(tenant.submit_metrics(batch).await.unwrap().is_empty());
    let groups = rules::pack::builtin().iter().flat_map(|(name, text)| rules::file::parse(text, name, 30_000).unwrap());
    let groups: Vec<rules::Group> = groups.collect();
    let intervals: Vec<i64> = groups.iter().map(|group| group.interval_ms).collect();
    let options = EngineOptions {
        external_url: String::new(),
        lookback_ms: 300_000,
        query_limits: query::Limits::default().into(),
        started_ms: first_ms - 1,
    };
    let engine = Engine::new(tenant.clone(), groups, options).unwrap();
    let alerts = tenant.alerts().unwrap();
    let mut told = Vec::new();
    let mut at_ms = first_ms.div_euclid(30_000) * 30_000;
    while at_ms <= last_ms + after_ms {
        for (group, interval_ms) in intervals.iter().enumerate() {
            if at_ms % interval_ms == 0 {
                engine.evaluate(group, at_ms).await.unwrap();
            }
        }
        let notices = alerts.notices(1_000).unwrap();
        if let Some(last) = notices.last() {
            alerts.route_notices(last.seq, &[]).unwrap();
        }
        told.extend(notices.into_iter().map(|notice| {
            let labels = &notice.instance.labels;
            let of = ["service_name", "host_name"].iter().find_map(|name| labels.get(name)).unwrap_or_default();
            let second = (at_ms - first_ms) / 1_000;
            (labels.value("alertname").to_owned(), of.to_owned(), notice.instance.state, second)
        }));
        at_ms += STEP_MS;
    }
    Played { tenant, _store: store, _dir: dir, told, last_ms }
}

impl Played {
    fn values(&self, expr: &str) -> BTreeMap<String, f64> {
        let snapshot = self.tenant.snapshot().unwrap();
        let options = query::promql::Options::new(300_000, query::Limits::default().start());
        let parsed = query::promql::parse(expr).unwrap();
        let answer = query::promql::instant(&snapshot, &parsed, self.last_ms, &options).unwrap();
        let query::promql::Value::Vector(samples) = answer.value else { panic!("{expr}") };
        samples.into_iter().map(|(labels, sample)| (labels.to_string(), sample.value)).collect()
    }
}

/// A third of the requests fail from the first minute on.
async fn check_outage(name: &str) {
    let played = played(name, 60_000).await;
    let fired = played.told.iter().find(|(alert, ..)| alert == "ErrorRateCritical");
    let (_, service, state, second) = fired.unwrap_or_else(|| panic!("{name}: {:?}", played.told));
    assert_eq!((service.as_str(), *state), (name, AlertState::Firing));
    assert!((60..180).contains(second), "{name}: after {second} s");
    let ratio = played.values("binnacle:http_errors:ratio2m");
    assert_eq!(ratio.len(), 1, "{ratio:?}");
    assert!(ratio.values().all(|ratio| (0.3..0.37).contains(ratio)), "{ratio:?}");
    let p99 = played.values("binnacle:http_p99:seconds2m");
    assert!(p99.len() == 1 && p99.values().all(|seconds| (0.000_1..1.0).contains(seconds)), "{p99:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_of_a_flask_service_in_the_old_names_is_told() {
    check_outage("flask-old").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_of_a_flask_service_in_the_stable_names_is_told() {
    check_outage("flask").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_of_a_node_service_is_told() {
    check_outage("node-http").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_is_seen_and_its_silence_is_told() {
    let played = played("host", 6 * 60_000).await;
    for expr in ["binnacle:host_cpu_busy:ratio", "binnacle:host_memory_used:ratio"] {
        let found = played.values(expr);
        assert_eq!(found.len(), 1, "{expr}: {found:?}");
        assert!(
            found.iter().all(|(labels, ratio)| labels.contains("ship") && (0.01..=1.0).contains(ratio)),
            "{found:?}"
        );
    }
    let down: Vec<_> = played.told.iter().filter(|(alert, ..)| alert == "HostDown").collect();
    assert_eq!(down.len(), 1, "{:?}", played.told);
    assert_eq!((down[0].1.as_str(), down[0].2), ("ship", AlertState::Firing));
}

/// Its backend is away from the first minute to the fourth, and its queue holds 20 requests.
#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_loses_data_is_told() {
    let played = played("collector", 12 * 60_000).await;
    let first = |alert: &str, state: AlertState| {
        let found = played.told.iter().find(|(name, _, is, _)| name == alert && *is == state);
        found.unwrap_or_else(|| panic!("{alert}: {:?}", played.told)).3
    };
    assert!((70..120).contains(&first("CollectorLosesData", AlertState::Firing)), "{:?}", played.told);
    assert!((120..180).contains(&first("CollectorQueueFills", AlertState::Firing)), "{:?}", played.told);
    assert!((220..300).contains(&first("CollectorQueueFills", AlertState::Resolved)), "{:?}", played.told);
    assert!(first("CollectorLosesData", AlertState::Resolved) > 300, "{:?}", played.told);
    // Records and points, refused by a full queue and given up.
    let lost = played.values("binnacle:collector_lost_items:total");
    assert_eq!(lost.into_values().collect::<Vec<_>>(), [1_536.0]);
}
