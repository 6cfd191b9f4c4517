//! The room from notices to providers and back: real redb, real HTTP and SMTP, fakes at the far end.

#[path = "../../../../tests/fakes/mod.rs"]
mod fakes;

mod answers;
mod chaos;
mod charts;
mod email;
mod faults;
mod http_config;
mod journey;
mod reload;
mod restart;
mod webhook;
mod world;
