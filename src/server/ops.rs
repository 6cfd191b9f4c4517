//! For those who run this appliance: alive, ready, metrics; the first two also where Prometheus has them.

use axum::extract::State as Shared;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use axum::{Extension, Router};
use http::{StatusCode, header};
use model::TenantId;
use model::meter::{self, Gathered, Gauge};
use std::fmt::Write as _;
use store::Scope;

use crate::State;
use crate::error::Fault;
use crate::face::Face;
use crate::number::push_value;

static DISK_FREE: Gauge = Gauge::new("binnacle_data_disk_free_bytes", "Free space where the data lies.", &[]);
static DISK_SIZE: Gauge = Gauge::new("binnacle_data_disk_size_bytes", "Size of the file system of the data.", &[]);
static DISK_FREE_RATIO: Gauge =
    Gauge::new("binnacle_data_disk_free_ratio", "Free space where the data lies, 0 to 1.", &[]);
/// Rules see it at 1 while it cannot be stored (`rules/stopped.rs`).
static INTAKE_STOPPED: Gauge =
    Gauge::new("binnacle_intake_stopped", "Whether nothing can be stored: 0, or 1 with the reason on /ready.", &[]);
static CONFIG_USED: Gauge = Gauge::new(
    "binnacle_config_last_reload_successful",
    "Whether all of the configuration that was read last is used: 1, or 0 with the reasons on /ready.",
    &[],
);
static CONFIG_USED_AT: Gauge = Gauge::new(
    "binnacle_config_last_reload_success_timestamp_seconds",
    "When all of the configuration that was read was used.",
    &[],
);
static TENANTS: Gauge = Gauge::new("binnacle_store_tenants", "Tenants.", &[]);
static FAILED_TENANTS: Gauge = Gauge::new("binnacle_store_failed_tenants", "Tenants that cannot be opened.", &[]);
static SET_ASIDE_FILES: Gauge =
    Gauge::new("binnacle_store_set_aside_files", "Damaged files that are set aside, all tenants.", &[]);
static DAMAGED_LOG_BLOCKS: Gauge = Gauge::new(
    "binnacle_store_damaged_log_blocks",
    "Log blocks that cannot be read, as far as they were met, all tenants.",
    &[],
);
static SERIES: Gauge = Gauge::new("binnacle_store_series", "Series of all tenants.", &[]);
static ACTIVE_SERIES: Gauge = Gauge::new("binnacle_store_active_series", "Series with a sample in the head.", &[]);
static HEAD_SAMPLES: Gauge = Gauge::new("binnacle_store_head_samples", "Samples in the head of all tenants.", &[]);
static HEAD_RECORDS: Gauge =
    Gauge::new("binnacle_store_head_log_records", "Log records in the head of all tenants.", &[]);
static DISK_BYTES: Gauge = Gauge::new("binnacle_store_disk_bytes", "Bytes of all tenants' files.", &[]);
static INTAKE_LOG_BYTES: Gauge = Gauge::new("binnacle_store_intake_log_bytes", "Bytes of all intake logs.", &[]);
static INTAKE_QUEUE: Gauge =
    Gauge::new("binnacle_intake_queue_requests", "Requests that wait to be stored, all tenants.", &[]);
static INDEX_LAG: Gauge = Gauge::new(
    "binnacle_index_lag_seconds",
    "Age of the oldest log record that no index holds yet, worst tenant.",
    &[],
);
static IN_FLIGHT: Gauge = Gauge::new("binnacle_ingest_in_flight_bytes", "Bytes of OTLP requests in work.", &[]);

pub(crate) fn router() -> Router<State> {
    Router::new()
        .route("/health", get(alive))
        .route("/healthz", get(alive))
        .route("/ready", get(ready))
        .route("/-/healthy", get(alive))
        .route("/-/ready", get(ready))
        .route("/-/reload", any(by_signal))
        .route("/-/quit", any(by_signal))
        .route("/metrics", get(metrics))
}

async fn alive() -> &'static str {
    "ok\n"
}

async fn ready(Shared(state): Shared<State>) -> Response {
    match state.store.trouble() {
        None => {
            let warnings = state.store.warnings().into_iter().chain(state.reloaded.wrong());
            let warnings = warnings.chain(state.alerting_warnings());
            let warnings = warnings.map(|warning| format!("warning: {warning}\n"));
            format!("ready\n{}", warnings.collect::<String>()).into_response()
        }
        Some(trouble) => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {trouble}\n")).into_response(),
    }
}

/// Whom Prometheus' lifecycle API is not enabled for is told the way that is.
async fn by_signal() -> Response {
    let way = "the lifecycle API is not enabled: SIGHUP reloads the configuration, SIGTERM stops\n";
    (StatusCode::FORBIDDEN, way).into_response()
}

/// What is labelled with a tenant's name is that tenant's to see, and an administrator's.
async fn metrics(
    Shared(state): Shared<State>,
    Extension(tenant): Extension<TenantId>,
    scope: Option<Extension<Scope>>,
) -> Response {
    // Sizes are asked of the file system.
    let observed = tokio::task::spawn_blocking(move || observe(&state)).await;
    if observed.is_err() {
        return Face::Page.refuse(&Fault::panicked("reading the store's sizes"), &http::HeaderMap::new());
    }
    let mut families = meter::gather();
    if scope.is_some_and(|Extension(scope)| !scope.includes(Scope::Admin)) {
        leave_out_others(&mut families, tenant.as_str());
    }
    let text = exposition(&families) + &crate::alertmanager::status::build_info();
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}

fn leave_out_others(families: &mut [Gathered], tenant: &str) {
    for family in families {
        family.series.retain(|(_, labels, _)| labels.iter().all(|(name, value)| *name != "tenant" || value == tenant));
    }
}

/// Brings the gauges of the store and the doors up to date, for whoever reads `meter::gather` next. Asks the file system.
pub fn observe(state: &State) {
    let stats = state.store.stats();
    let sum =
        |of: fn(&store::TenantStats) -> u64| stats.tenants.iter().map(|(_, tenant)| of(tenant)).sum::<u64>() as f64;
    INTAKE_STOPPED.set(&[], f64::from(u8::from(state.store.trouble().is_some())));
    let (is_used, at_ms) = state.reloaded.last();
    CONFIG_USED.set(&[], f64::from(u8::from(is_used)));
    CONFIG_USED_AT.set(&[], at_ms as f64 / 1000.0);
    DISK_FREE.set(&[], stats.disk_free_bytes as f64);
    DISK_SIZE.set(&[], stats.disk_total_bytes as f64);
    if stats.disk_total_bytes > 0 {
        DISK_FREE_RATIO.set(&[], stats.disk_free_bytes as f64 / stats.disk_total_bytes as f64);
    }
    TENANTS.set(&[], stats.tenants.len() as f64);
    FAILED_TENANTS.set(&[], stats.failed_tenants as f64);
    SET_ASIDE_FILES.set(&[], sum(|tenant| tenant.set_aside_files));
    DAMAGED_LOG_BLOCKS.set(&[], sum(|tenant| tenant.damaged_log_blocks));
    SERIES.set(&[], sum(|tenant| tenant.series));
    ACTIVE_SERIES.set(&[], sum(|tenant| tenant.active_series));
    HEAD_SAMPLES.set(&[], sum(|tenant| tenant.head_samples));
    HEAD_RECORDS.set(&[], sum(|tenant| tenant.head_log_records));
    DISK_BYTES.set(&[], sum(|tenant| tenant.disk_bytes));
    INTAKE_LOG_BYTES.set(&[], sum(|tenant| tenant.wal_bytes));
    INTAKE_QUEUE.set(&[], sum(|tenant| tenant.intake_queue));
    let lag_ms = stats.tenants.iter().map(|(_, tenant)| tenant.index_lag_ms).max().unwrap_or(0);
    INDEX_LAG.set(&[], lag_ms as f64 / 1000.0);
    IN_FLIGHT.set(&[], state.in_flight.used() as f64);
}

/// Prometheus' text format 0.0.4.
fn exposition(families: &[Gathered]) -> String {
    let mut out = String::new();
    for family in families {
        write!(out, "# HELP {} ", family.name).expect("a String takes everything");
        push_escaped(family.help, false, &mut out);
        writeln!(out, "\n# TYPE {} {}", family.name, family.kind.as_str()).expect("a String takes everything");
        for (suffix, labels, value) in &family.series {
            out.push_str(family.name);
            out.push_str(suffix);
            for (index, (name, value)) in labels.iter().enumerate() {
                out.push(if index == 0 { '{' } else { ',' });
                out.push_str(name);
                out.push_str("=\"");
                push_escaped(value, true, &mut out);
                out.push('"');
            }
            out.push_str(if labels.is_empty() { " " } else { "} " });
            push_value(*value, &mut out);
            out.push('\n');
        }
    }
    out
}

fn push_escaped(text: &str, in_quotes: bool, out: &mut String) {
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '"' if in_quotes => out.push_str("\\\""),
            c => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::MetricKind;

    #[test]
    fn series_of_other_tenants_are_left_out() {
        let row = |labels: &[(&'static str, &str)]| {
            ("", labels.iter().map(|(name, value)| (*name, (*value).to_owned())).collect::<Vec<_>>(), 1.0)
        };
        let (mine, theirs) = (row(&[("group", "g"), ("tenant", "a")]), row(&[("group", "g"), ("tenant", "b")]));
        let all = row(&[("code", "200")]);
        let series = vec![mine.clone(), theirs, all.clone()];
        let mut families = [Gathered { name: "x", help: "", kind: MetricKind::Gauge, series }];
        leave_out_others(&mut families, "a");
        assert_eq!(families[0].series, [mine, all]);
    }

    #[test]
    fn families_are_written_as_prometheus_reads_them() {
        let family = Gathered {
            name: "x_total",
            help: "A \"help\"\nof two lines.",
            kind: MetricKind::Counter,
            series: vec![("", vec![("a", "q\"\\\n".into()), ("b", String::new())], 3.0), ("_sum", vec![], 0.5)],
        };
        assert_eq!(
            exposition(&[family]),
            "# HELP x_total A \"help\"\\nof two lines.\n# TYPE x_total counter\nx_total{a=\"q\\\"\\\\\\n\",b=\"\"} 3\nx_total_sum 0.5\n"
        );
    }
}
