//! A whole set of doors over an empty store, on free ports.

use std::net::SocketAddr;
use std::time::Duration;

use codec::otlp::{LogsSettings, MetricsSettings, Promote, Translation};
use model::TenantId;
use serde_json::Value;
use server::{AuthMode, ServeLimits, ServerSettings, State};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::client::{self, Reply};

/// Small, so that tests reach it.
pub(crate) const REQUEST_BYTES_MAX: usize = 256 << 10;

pub(crate) struct House {
    pub(crate) state: State,
    pub(crate) second: server::Alerting,
    pub(crate) http: SocketAddr,
    pub(crate) otlp: SocketAddr,
    pub(crate) grpc: SocketAddr,
    // Their drop ends the listeners and removes the data, in this order.
    _stop: watch::Sender<bool>,
    _dir: tempfile::TempDir,
}

pub(crate) fn settings() -> ServerSettings {
    ServerSettings {
        auth: AuthMode::Off,
        check_host: true,
        request_bytes_max: REQUEST_BYTES_MAX,
        in_flight_bytes_max: 64 << 20,
        future_max: Duration::from_secs(600),
        query_limits: query::Limits { timeout: Duration::from_secs(20), ..query::Limits::default() },
        query_concurrency: 4,
        query_memory_all_max: 64 << 20,
        lookback: Duration::from_secs(300),
        metrics: MetricsSettings {
            promote: Promote::All,
            ignore: Vec::new(),
            translation: Translation::UnderscoreEscapingWithSuffixes,
            delta: codec::otlp::Delta::Cumulative,
            promote_scope: false,
            keep_identifying: false,
            labels_max: 40,
            label_name_bytes_max: 200,
            label_value_bytes_max: 2_000,
        },
        syslog_zone: jiff::tz::TimeZone::UTC,
        logs: LogsSettings {
            records_max: 200_000,
            body_bytes_max: 64 << 10,
            attributes_max: 128,
            attribute_bytes_max: 8 << 10,
            record_bytes_max: 256 << 10,
        },
        status: server::StatusSettings::default(),
        version: "0.0.0-test",
        otlp_http_addr: "127.0.0.1:4318".into(),
        otlp_grpc_addr: "127.0.0.1:4317".into(),
        external_url: "http://127.0.0.1:8080".into(),
        started_ms: 0,
    }
}

/// A tenant beside the default one that has rules as well.
pub(crate) const SECOND: &str = "second";

fn alerting(store: &store::Store, tenant: TenantId, rules: &str, settings: &ServerSettings) -> server::Alerting {
    let data = store.tenant(&tenant).unwrap();
    let options = rules::EngineOptions {
        external_url: settings.external_url.clone(),
        lookback_ms: 300_000,
        query_limits: settings.query_limits.into(),
        started_ms: 0,
    };
    let groups = rules::file::parse(rules, "rules/test.yml", 30_000).unwrap();
    let rules = rules::Engine::new(data.clone(), groups, options).unwrap();
    let options = notify::NotifierOptions::new(settings.external_url.clone());
    let notifier = notify::Notifier::new(data, notify::Config::silent(), options).unwrap();
    server::Alerting { tenant, rules, notifier }
}

impl House {
    pub(crate) async fn open(settings: ServerSettings) -> House {
        House::open_over(settings, |_| {}).await
    }

    /// Over a store with other options than the default ones.
    pub(crate) async fn open_over(settings: ServerSettings, change: impl FnOnce(&mut store::Options)) -> House {
        House::open_with(settings, change, RULES).await
    }

    /// With other rules than the default ones, in `rules/test.yml`.
    pub(crate) async fn open_with(
        settings: ServerSettings,
        change: impl FnOnce(&mut store::Options),
        rules: &str,
    ) -> House {
        let dir = tempfile::tempdir().unwrap();
        let mut options = store::Options::new(dir.path());
        change(&mut options);
        let store = store::Store::open(options, now_ms()).unwrap();
        let own = alerting(&store, TenantId::default(), rules, &settings);
        let second = alerting(&store, TenantId::new(SECOND).unwrap(), rules, &settings);
        let state = State::new(store, own, settings).with_others([second.clone()]);

        let (stop, stopped) = watch::channel(false);
        let listen = async |router| {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            tokio::spawn(server::serve(listener, router, stopped.clone(), ServeLimits::default()));
            address
        };
        House {
            http: listen(server::http_router(state.clone())).await,
            otlp: listen(server::otlp_http_router(state.clone())).await,
            grpc: listen(server::grpc_routes(state.clone())).await,
            state,
            second,
            _stop: stop,
            _dir: dir,
        }
    }

    /// GET on the query port.
    pub(crate) async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Reply {
        client::send("GET", &format!("http://{}{path}", self.http), headers, Vec::new()).await
    }

    /// POST on the OTLP/HTTP port.
    pub(crate) async fn post(&self, path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Reply {
        client::send("POST", &format!("http://{}{path}", self.otlp), headers, body).await
    }

    /// `data` of a successful answer of the Prometheus API.
    #[track_caller]
    pub(crate) fn data(reply: &Reply) -> Value {
        let json = reply.json();
        assert_eq!((reply.status, &json["status"]), (200, &Value::from("success")), "{json}");
        json["data"].clone()
    }

    /// Whether a tenant has no series, no log records, and was not even made.
    pub(crate) async fn assert_nothing_stored(&self, tenant: &str) {
        assert!(!self.state.store.tenants().iter().any(|known| known.as_str() == tenant), "{tenant} was made");
        let orgid = [("x-scope-orgid", tenant)];
        let names = House::data(&self.get("/api/v1/labels", &orgid).await);
        assert_eq!(names, Value::Array(Vec::new()), "{tenant}");
        assert_eq!(self.get("/api/v1/logs?from=0", &orgid).await.text(), "", "{tenant}");
    }
}

/// Whether something comes to hold within a deadline.
pub(crate) async fn until_ok(mut holds: impl AsyncFnMut() -> bool) -> bool {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    while tokio::time::Instant::now() < deadline {
        if holds().await {
            return true;
        }
        tokio::task::yield_now().await;
    }
    false
}

pub(crate) fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_millis()).unwrap()
}

const RULES: &str = "
groups:
- name: tests
  interval: 30s
  rules:
  - record: job:up:sum
    expr: sum by (job) (up)
  - alert: Down
    expr: up == 0
    for: 1m
    labels: {severity: critical}
    annotations: {summary: 'it is down'}
";
