//! What every door shares.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use codec::otlp::{LogsSettings, MetricsSettings};
use model::TenantId;

use crate::alerting::Alerting;
use crate::asked_metrics::AskedMetrics;
use crate::auth::KnownTokens;
use crate::dashboard::Dashboards;
use crate::in_flight::InFlight;
use crate::loki::tail::{ALL_TAILS_MAX, TAILS_MAX};
use crate::outages::StatusSettings;
use crate::page::LastStatus;
use crate::queries::Queries;
use crate::reloaded::Reloaded;
use crate::tail::{ALL_FOLLOWERS_MAX, FOLLOWERS_MAX};
use crate::tail_places::TailPlaces;
use crate::targets::Targets;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthMode {
    /// Loopback only: tenant from `X-Scope-OrgID`, no token asked.
    Off,
    /// A token at every door but `/health`, `/healthz`, `/ready` and assets.
    Token,
}

/// Settings of the doors.
#[derive(Debug, Clone)]
pub struct ServerSettings {
    pub auth: AuthMode,
    /// With auth off, refuse requests whose `Host` is no loopback name (DNS rebinding). Off only by `--insecure-listen`.
    pub check_host: bool,
    /// Largest OTLP request after decompression, in bytes.
    pub request_bytes_max: usize,
    /// Bytes of OTLP requests in work together; over it requests are answered as retryable.
    pub in_flight_bytes_max: usize,
    /// How far in the future a sample or record may lie.
    pub future_max: Duration,
    pub query_limits: query::Limits,
    pub query_concurrency: usize,
    /// Memory that all queries may hold together, in bytes.
    pub query_memory_all_max: u64,
    pub lookback: Duration,
    pub metrics: MetricsSettings,
    pub logs: LogsSettings,
    /// Of syslog's times that name none.
    pub syslog_zone: jiff::tz::TimeZone,
    pub status: StatusSettings,
    pub version: &'static str,
    /// As clients reach us, for the copy-paste settings of the empty state: host:port of each listener.
    pub otlp_http_addr: String,
    pub otlp_grpc_addr: String,
    pub external_url: String,
    pub started_ms: i64,
}

/// A cheap handle, axum's state for every router. Made by [`State::new`], once: its limits are shared by all listeners.
#[derive(Clone)]
pub struct State {
    pub store: store::Store,
    /// Of the tenant that always has rules (`default`), the appliance's own among them.
    pub alerting: Alerting,
    /// Of others that `rules.tenants` names.
    pub(crate) alerting_others: Arc<BTreeMap<TenantId, Alerting>>,
    /// What is scraped: the scraper puts it in, the API shows it.
    pub targets: Targets,
    /// Put here by whoever reads files.
    pub dashboards: Dashboards,
    /// Alertmanagers elsewhere, by address, with the tenant whose alerts they are sent (`None`: everybody's).
    pub(crate) alertmanagers: Arc<Vec<(String, Option<TenantId>)>>,
    /// Told by whoever reads the configuration again.
    pub reloaded: Reloaded,
    pub settings: Arc<ServerSettings>,
    pub(crate) in_flight: Arc<InFlight>,
    pub(crate) queries: Arc<Queries>,
    pub(crate) known_tokens: Arc<KnownTokens>,
    pub(crate) asked_metrics: Arc<AskedMetrics>,
    pub(crate) last_status: Arc<LastStatus>,
    /// A place for each live tail.
    pub(crate) tails: Arc<TailPlaces>,
    /// Live tails of the native API and of pages.
    pub(crate) followers: Arc<TailPlaces>,
}

impl State {
    pub fn new(store: store::Store, alerting: Alerting, settings: ServerSettings) -> State {
        State {
            store,
            alerting,
            alerting_others: Arc::default(),
            targets: Targets::default(),
            dashboards: Dashboards::default(),
            alertmanagers: Arc::default(),
            reloaded: Reloaded::new(settings.started_ms),
            in_flight: InFlight::new(settings.in_flight_bytes_max),
            queries: Arc::new(Queries::new(
                settings.query_concurrency,
                settings.query_limits,
                query::memory::Pool::new(settings.query_memory_all_max, "query.memory_all_max"),
            )),
            known_tokens: Arc::new(KnownTokens::default()),
            asked_metrics: Arc::default(),
            last_status: Arc::default(),
            tails: TailPlaces::new(TAILS_MAX, ALL_TAILS_MAX),
            followers: TailPlaces::new(FOLLOWERS_MAX, ALL_FOLLOWERS_MAX),
            settings: Arc::new(settings),
        }
    }

    /// With the rules of more tenants.
    pub fn with_others(self, others: impl IntoIterator<Item = Alerting>) -> State {
        let others = others.into_iter().map(|alerting| (alerting.tenant.clone(), alerting));
        State { alerting_others: Arc::new(others.collect()), ..self }
    }

    /// With Alertmanagers that alerts are sent to.
    pub fn with_alertmanagers(self, all: impl IntoIterator<Item = (String, Option<TenantId>)>) -> State {
        State { alertmanagers: Arc::new(all.into_iter().collect()), ..self }
    }

    /// How far back instant selectors look, in milliseconds.
    pub(crate) fn lookback_ms(&self) -> i64 {
        i64::try_from(self.settings.lookback.as_millis()).unwrap_or(i64::MAX)
    }
}
