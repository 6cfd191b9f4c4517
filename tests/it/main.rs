//! The product tested through its public surfaces: the real binary, real sockets, real files. One test binary, since each
//! would link everything again.
//!
//! A new test belongs in the module of what it shows; `appliance` starts the binary, `otlp` builds requests, `until` waits for
//! an event with a deadline.

mod alertmanager;
mod alerts;
#[allow(dead_code)]
mod appliance;
mod auth;
mod bad_input;
mod cli;
mod collector;
mod crash;
mod forward;
mod nasty;
mod otlp;
mod ready;
mod reload;
mod remote_write;
mod rule_tests;
mod scrape;
mod scrape_native;
mod sdk;
mod senders;
mod tenants;
mod until;

#[path = "../peers/free_address.rs"]
mod free_address;
#[path = "../peers/mod.rs"]
mod peers;

#[path = "../fakes/mod.rs"]
mod fakes;
