//! The pages: a handler reads its parameters, asks a query, fills a struct of ready text, and a template shows it.
//!
//! Each page is shown whole without JavaScript, says all of its state in its address, and stays below 100 KB on the wire.

mod alert_view;
mod alerts;
mod asked;
mod assets;
mod badge;
mod empty;
mod explore;
mod failure;
mod frame;
mod graph;
mod history_view;
mod hosts;
mod link;
mod log_row;
mod log_term;
mod logs;
mod metric_list;
mod notifications;
mod overview;
mod rule;
mod services;
mod text;
mod threshold;
mod window;

#[cfg(test)]
mod contrast;
#[cfg(test)]
mod gallery;
#[cfg(test)]
mod memory;

use axum::Router;
use axum::routing::get;

use crate::State;

/// Every page and the assets they use.
pub fn router() -> Router<State> {
    Router::new()
        .route("/", get(overview::page))
        .route("/explore", get(explore::page))
        .route("/logs", get(logs::page))
        .route("/alerts", get(alerts::page))
        .route("/alerts/rule/{id}", get(rule::page))
        .route("/notifications", get(notifications::page))
        .merge(assets::router())
}
