//! The protobuf reader. Fields may come in any order and sub-messages in pieces, so a message whose parts need each other
//! is walked twice: lengths are skipped over, which costs little.

mod common;
pub(crate) mod logs;
pub(crate) mod metrics;
