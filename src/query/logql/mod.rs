//! LogQL: Loki's query language over log records.
//!
//! [`parse`] turns text into an [`Expr`]; [`pipeline`] runs a log expression's stages over one entry at a time. What is accepted, what is
//! refused and what comes out follow Loki 3.7, its quirks included, since the answers stand beside those of a Loki. `variants` is known, and
//! refused as by a Loki that was not told to allow it. Beyond Loki there is `| distinct a, b` in log queries: see `distinct`.
//!
//! [`select`] answers log queries, [`instant`] and [`range`] metric queries; [`volumes`] and [`detected_fields`] what browsers of logs ask.
//! Records are shown as Loki would have kept them: see `labels`.

mod aggregate;
pub mod ast;
mod averages;
mod binary;
mod collect;
mod collected;
mod context;
mod detected;
mod distinct;
mod error;
mod eval;
mod go_float;
pub(crate) mod labels;
mod lex;
pub(crate) mod narrow;
mod nodes;
mod parse;
pub mod pipeline;
mod plan;
mod pretty;
mod print;
mod range;
pub(crate) mod sampler;
mod scan;
mod select;
mod spans;
mod streams;
mod tail;
mod taken;
mod twins;
pub mod units;
mod value;
mod window;

pub use ast::Expr;
pub use detected::{DetectedField, detected_fields};
pub use error::ParseError;
pub use eval::{By, MetricAnswer, Points, Value, instant, instant_of, range};
pub use labels::level::LEVEL_NAMES;
pub use labels::name::SERVICE_LABELS;
pub use parse::{parse, parse_form, parse_log, parse_selector};
pub use select::{LogAnswer, LogEntry, select};
pub use streams::{Volume, streams, volumes};
pub use tail::{Look, Tail};
pub use taken::{Taken, TakenIn};

#[cfg(test)]
mod compared;
#[cfg(test)]
mod laws;
#[cfg(test)]
mod stored;
#[cfg(test)]
mod tests;
