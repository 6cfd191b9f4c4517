//! The pages: a handler reads its parameters, asks a query, fills a struct of ready text, and a template shows it.
//!
//! Each page is shown whole without JavaScript, says all of its state in its address, and stays below 100 KB on the wire.

mod alert_held;
mod alert_logs;
mod alert_trace;
mod alert_view;
mod alerts;
mod asked;
mod assets;
mod badge;
mod changes;
mod dashboard;
mod empty;
mod entity;
mod entity_panels;
mod explore;
mod failure;
mod form;
mod frame;
mod graph;
mod heatmap;
mod history_view;
mod hosts;
mod ingest;
mod ingest_refused;
mod ingest_senders;
mod ingest_targets;
mod link;
mod log_around;
mod log_facets;
mod log_histogram;
mod log_nothing;
mod log_patterns;
mod log_row;
mod log_tail;
mod log_term;
mod logs;
mod metric_list;
mod noise;
mod notifications;
mod overview;
mod panel;
mod pushed;
mod rule;
mod rule_chart;
mod rule_says;
mod services;
mod settings;
mod silences;
mod status;
mod suggest;
mod takers;
mod text;
mod threshold;
mod what_if;
mod window;

#[cfg(test)]
mod contrast;
#[cfg(test)]
mod gallery;
#[cfg(test)]
mod memory;

use axum::Router;
use axum::routing::{get, post};

use crate::State;

pub(crate) use alert_view::value_unit;
pub(crate) use frame::error_page;
pub(crate) use graph::{aligned, auto_step_ms, names as series_names};
pub(crate) use status::LastStatus;
pub use text::one_line;
pub(crate) use threshold::{Threshold, threshold};

/// Every page and the assets they use.
pub fn router() -> Router<State> {
    Router::new()
        .route("/", get(overview::page))
        .route("/explore", get(explore::page))
        .route("/explore/suggest", get(suggest::suggest))
        .route("/logs", get(logs::page))
        .route("/logs/context", get(log_around::context))
        .route("/logs/trace", get(log_around::trace))
        .route("/logs/tail", get(log_tail::tail))
        .route("/alerts", get(alerts::page))
        .route("/alerts/rule/{id}", get(rule::page))
        .route("/alerts/why/{fingerprint}", get(alert_trace::page))
        .route("/alerts/why/{fingerprint}/ack", post(alert_trace::acknowledge))
        .route("/alerts/why/{fingerprint}/unack", post(alert_trace::unacknowledge))
        .route("/d", get(dashboard::list))
        .route("/d/{name}", get(dashboard::page))
        .route("/status", get(status::page))
        .route("/status.json", get(status::as_json))
        .route("/silences", get(silences::page).post(silences::create))
        .route("/silences/{id}/expire", post(silences::expire))
        .route("/ingest", get(ingest::page))
        .route("/settings", get(settings::page))
        .route("/s/{name}", get(entity::service))
        .route("/h/{name}", get(entity::host))
        .route("/notifications", get(notifications::page))
        .route("/notifications/test", post(notifications::test))
        .merge(assets::router())
}
