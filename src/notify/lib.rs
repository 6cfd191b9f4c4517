//! Drains the outbox to Slack, PagerDuty and email: the only room that calls out.
//!
//! Never imports `rules`: it reads notices and writes intents, attempts and receipts in the store.

pub mod config;
pub mod notifier;
pub mod timing;

mod board;
mod delivery;
mod engine;
mod exec;
mod figures;
#[cfg(test)]
mod fixtures;
mod health;
mod limits;
mod message;
mod outbox;
mod picture;
mod present;
mod preview;
mod pushed;
mod reason;
mod rehearsal;
mod silences;
mod suppress;
mod tls;
mod watch;
mod words;

pub use board::{AlertGroup, AlertStatus, Board, Known, RouteTaken, known};
pub use config::{Config, ConfigError, parse_matchers};
pub use engine::TEST_RULE;
pub use limits::ServiceLimits;
pub use notifier::{ChannelView, Notifier, NotifierOptions, NotifyError, ReceiverView, TestSteps};
pub use outbox::Undelivered;
pub use picture::ChartSource;
pub use present::PresentSource;
pub use preview::{Preview, preview};
pub use pushed::PushDraft;
pub use rehearsal::{Told, rehearse};
pub use silences::{SilenceDraft, SilenceError};
pub use suppress::Suppressor;
pub use timing::Timing;
pub use tls::Trusted;
pub use watch::{Watched, watch};
