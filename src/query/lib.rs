//! PromQL and log queries over a snapshot, under a budget. Reads no clock but the budget's deadline.

pub mod budget;
pub mod error;
pub mod logql;
pub mod logs;
mod made_label;
pub mod memory;
pub mod promql;

pub use budget::{Budget, Damage, Limits, Progress, SharedLimits};
pub use error::QueryError;
