//! What Loki's clients ask to know whom they talk to.

use axum::extract::State as Shared;
use axum::response::Response;
use model::any::json_string;
use model::log::STREAM_ATTRIBUTES;
use query::logql::units::prometheus_duration_text;
use query::logql::{LEVEL_NAMES, SERVICE_LABELS};

use super::index::SERIES_MAX;
use super::params::LIMIT_MAX;
use super::{answer, json, length_max_ns};
use crate::State;
use crate::api::envelope::push_strings;

/// The Loki whose API this is; clients choose features by it.
const LIKE_LOKI: &str = "3.7.6";

pub(super) async fn build_info(Shared(state): Shared<State>) -> Response {
    answer("loki_status", async {
        let mut revision = String::new();
        json_string(&format!("binnacle-{}", state.settings.version), &mut revision);
        Ok(json(format!(
            "{{\"version\":\"{LIKE_LOKI}\",\"revision\":{revision},\"branch\":\"\",\"buildUser\":\"\",\"buildDate\":\"\",\
             \"goVersion\":\"\"}}"
        )))
    })
    .await
}

/// What Logs Drilldown asks before it begins: a tenant's limits by Loki's names. Durations are Prometheus'; zero is no limit.
pub(super) async fn drilldown_limits(Shared(state): Shared<State>) -> Response {
    answer("loki_status", async {
        let retention_ms = state.store.options().logs_retention_ms;
        let retention = prometheus_duration_text(retention_ms.saturating_mul(1_000_000));
        let length = prometheus_duration_text(length_max_ns(&state));
        let timeout = state.settings.query_limits.timeout.as_nanos();
        let timeout = prometheus_duration_text(i64::try_from(timeout).unwrap_or(i64::MAX));
        let names = |names: &[&str]| {
            let mut out = String::new();
            push_strings(names.iter().copied(), &mut out);
            out
        };
        let (services, levels, labels) = (names(&SERVICE_LABELS), names(&LEVEL_NAMES), names(&STREAM_ATTRIBUTES));
        Ok(json(format!(
            "{{\"limits\":{{\"discover_log_levels\":true,\"discover_service_name\":{services},\"log_level_fields\":{levels},\
             \"max_entries_limit_per_query\":{LIMIT_MAX},\"max_line_size_truncate\":false,\"max_query_bytes_read\":\"0B\",\
             \"max_query_length\":\"{length}\",\"max_query_lookback\":\"0s\",\"max_query_range\":\"0s\",\"max_query_series\":500,\
             \"metric_aggregation_enabled\":false,\"otlp_config\":{{\"resource_attributes\":{{\"attributes_config\":[\
             {{\"action\":\"index_label\",\"attributes\":{labels}}}]}}}},\"pattern_persistence_enabled\":false,\
             \"query_timeout\":\"{timeout}\",\"retention_period\":\"{retention}\",\"volume_enabled\":true,\
             \"volume_max_series\":{SERIES_MAX}}},\
             \"pattern_ingester_enabled\":true,\"version\":\"{LIKE_LOKI}\",\"maxDetectedFields\":1000,\"maxLines\":1000}}"
        )))
    })
    .await
}
