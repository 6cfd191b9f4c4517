//! Alerting and recording rules in Prometheus' format: read, evaluated at a given time, their changes committed in one transaction.
//!
//! Pure where it can be: [`state`] and [`template`] take the time as an argument; only [`engine`] reads a clock.
//! Never imports `notify`: what people must be told is left as notices in the store.

pub mod condition;
pub mod engine;
pub mod export;
pub mod extension;
pub mod file;
pub mod lint;
pub mod pack;
pub mod replay;
pub mod state;
pub mod template;
pub mod test_runner;

mod alerting;
mod changes;
mod dry_run;
mod evaluate;
mod event_rules;
mod ground;
mod levels;
mod log_rules;
mod stopped;
mod touched;
mod watch;
mod written;

pub use condition::Condition;
pub use dry_run::DryRun;
pub use engine::{Engine, EngineOptions, GroupView, Health, RuleView};
pub use extension::Extension;
pub use file::{Group, Rule, RuleFileError, RuleKind};
pub use touched::Freshness;
