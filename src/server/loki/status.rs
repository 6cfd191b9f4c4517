//! What Loki's clients ask to know whom they talk to.

use axum::extract::State as Shared;
use axum::response::Response;
use model::any::json_string;

use super::params::LIMIT_MAX;
use super::{answer, json};
use crate::State;

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

/// What Logs Drilldown asks before it begins.
pub(super) async fn drilldown_limits(Shared(state): Shared<State>) -> Response {
    answer("loki_status", async {
        let retention_s = state.store.options().logs_retention_ms / 1000;
        let timeout_s = state.settings.query_limits.timeout.as_secs();
        Ok(json(format!(
            "{{\"limits\":{{\"discover_log_levels\":true,\"max_entries_limit_per_query\":{LIMIT_MAX},\"max_query_series\":500,\
             \"metric_aggregation_enabled\":false,\"pattern_persistence_enabled\":false,\"query_timeout\":\"{timeout_s}s\",\
             \"retention_period\":\"{retention_s}s\",\"volume_enabled\":true,\"volume_max_series\":1000}},\
             \"pattern_ingester_enabled\":true,\"version\":\"{LIKE_LOKI}\",\"maxDetectedFields\":1000,\"maxLines\":1000}}"
        )))
    })
    .await
}
