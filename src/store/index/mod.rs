//! Which series have which labels: in memory for the active ones ([`active`]), in each day file for the series of that day
//! ([`day`]), and one way to search either ([`matching`]).

pub(crate) mod active;
pub(crate) mod cache;
pub(crate) mod day;
pub(crate) mod find;
pub(crate) mod matching;
pub(crate) mod write;

pub(crate) use active::Active;
pub(crate) use cache::IndexCache;
