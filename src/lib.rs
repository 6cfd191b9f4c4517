//! The composition root: starts the rooms, wires them, stops them in order. A library so that tests can reach its parts.

pub mod app;
pub mod cli;
pub mod clock;
pub mod config;
pub mod control;
pub mod demo;
mod files;
pub mod forward;
pub mod host_metrics;
pub mod otlp_out;
mod outgoing;
pub mod own_metrics;
mod relabel;
pub mod scrape;
