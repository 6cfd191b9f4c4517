//! The doors as callers see them: real sockets, a real store in a temporary directory.

mod alert_clients;
mod alertmanager;
mod auth;
mod client;
mod dry_run;
mod grafana;
mod grpc;
mod house;
mod listener;
mod log_intake;
mod log_tail;
mod logcli;
mod logs;
mod loki;
mod loki_push;
mod loki_rules;
mod ops;
mod otlp;
mod otlp_bad;
mod pages;
mod payload;
mod prometheus;
mod remote_write;
mod status;
mod suggest;
