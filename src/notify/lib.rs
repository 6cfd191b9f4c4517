//! Drains the outbox to Slack, PagerDuty and email: the only room that calls out.
//!
//! Never imports `rules`: it reads notices and writes intents, attempts and receipts in the store.

pub mod config;
pub mod notifier;
pub mod timing;

mod delivery;
mod engine;
mod figures;
mod health;
mod message;
mod outbox;

pub use config::{Config, ConfigError};
pub use notifier::{ChannelView, Notifier, NotifierOptions, NotifyError, ReceiverView};
pub use timing::Timing;
