//! What can go wrong in the store, and of which kind it is.

use model::Kind;

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The intake queue is full: nothing was stored, the caller may retry.
    #[error("the intake queue is full ({limit} {setting}); retry")]
    Busy { limit: usize, setting: &'static str },
    /// More a second than the tenant may send: nothing was stored, the caller may retry after a while.
    #[error("more than {limit} {what} a second ({setting}); retry in {} s", retry_after.as_secs() + 1)]
    TooFast { limit: u64, what: &'static str, setting: &'static str, retry_after: std::time::Duration },
    /// Nothing can be stored now: the disk is full, a commit failed, or the store is closing.
    #[error("cannot store now: {reason}")]
    Unavailable { reason: String },
    #[error("tenant {tenant} does not exist")]
    NoTenant { tenant: String },
    #[error("the limit of {limit} tenants is reached ({setting})")]
    TooManyTenants { limit: usize, setting: &'static str },
    /// A query asked for more than it may; the message names the limit.
    #[error("{message}")]
    TooMuch { message: String },
    #[error("{message}")]
    Stopped { kind: Kind, message: String },
    #[error(
        "the data in {path} was written by version {found} of the store, this program reads up to {supported}; use a newer release"
    )]
    NewerStore { path: String, found: u32, supported: u32 },
    #[error("{path} is in use by another binnacle: stop that one, or give this one a data folder of its own (--data)")]
    InUse { path: String },
    #[error("{path} is damaged: {reason}")]
    Corrupt { path: String, reason: String },
    #[error("{doing}: {source}")]
    Io {
        doing: String,
        #[source]
        source: std::io::Error,
    },
    #[error("{doing}: {source}")]
    Redb {
        doing: &'static str,
        #[source]
        source: Box<redb::Error>,
    },
}

impl StoreError {
    pub fn kind(&self) -> Kind {
        match self {
            StoreError::Busy { .. } | StoreError::TooFast { .. } => Kind::Busy,
            StoreError::Unavailable { .. }
            | StoreError::InUse { .. }
            | StoreError::Io { .. }
            | StoreError::Redb { .. } => Kind::Unavailable,
            StoreError::NoTenant { .. } => Kind::NotFound,
            StoreError::TooManyTenants { .. } | StoreError::TooMuch { .. } => Kind::TooMuch,
            StoreError::Stopped { kind, .. } => *kind,
            StoreError::NewerStore { .. } => Kind::Unsupported,
            StoreError::Corrupt { .. } => Kind::Corrupt,
        }
    }
}

/// An error with its causes, in one line.
pub(crate) fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}
