//! Stand-ins for the outside world: Slack, PagerDuty and a mail server, which check what they are sent and fail on request.
//!
//! Plain modules, included by the test binaries that need them (`#[path]`), not every one of which uses all.
#![allow(dead_code)]

pub(crate) mod http;
pub(crate) mod pagerduty;
pub(crate) mod slack;
pub(crate) mod smtp;
pub(crate) mod webhook;

mod mode;
mod watched;

pub(crate) use watched::Watched;
