//! The doors: OTLP over gRPC and HTTP, the HTTP APIs, the pages. The only room that is called, and the only one with wire JSON.

mod alert_charts;
mod alertmanager;
mod api;
mod asked_metrics;
mod auth;
mod chart;
mod clock;
mod doors;
mod error;
mod face;
mod heartbeat;
mod host;
mod in_flight;
mod layers;
mod loki;
mod number;
mod ops;
mod otlp;
pub mod page;
mod queries;
mod remote_write;
mod rule_value;
mod serve;
pub mod state;
mod syslog;
mod tail;
pub mod targets;
mod tenant_ext;
pub mod time_param;

pub use alert_charts::AlertCharts;
pub use doors::{grpc_routes, http_router, otlp_http_router};
pub use ops::observe;
pub use otlp::count_scraped;
pub use serve::{ServeLimits, serve};
pub use state::{AuthMode, ServerSettings, State};
pub use syslog::{serve_tcp as serve_syslog_tcp, serve_udp as serve_syslog_udp};
