//! Alerting and recording rules in Prometheus' format: read, evaluated at a given time, their changes committed in one transaction.
//!
//! Pure where it can be: [`state`] and [`template`] take the time as an argument; only [`engine`] reads a clock.
//! Never imports `notify`: what people must be told is left as notices in the store.

pub mod engine;
pub mod file;
pub mod pack;
pub mod state;
pub mod template;
pub mod test_runner;

mod evaluate;
mod ground;

pub use engine::{Engine, EngineOptions, GroupView, Health, RuleView};
pub use file::{Group, Rule, RuleFileError, RuleKind};
