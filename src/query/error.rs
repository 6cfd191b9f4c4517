//! What can be wrong with a query.

use model::Kind;

#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// `start..end` are byte offsets into the query's text; in an empty one there is no line 0, and no place.
    #[error("{}: parse error: {reason}", place(*line, *column))]
    Parse { start: usize, end: usize, line: usize, column: usize, reason: String },
    /// The query parses and cannot be answered: many-to-many matching, an invalid quantile, and the like.
    #[error("{reason}")]
    Evaluation { reason: String },
    /// An operation of LogQL that cannot be applied to what it is given: sides that do not match, a number where series are needed, steps
    /// where there must be one instant. Loki finds these only while it evaluates.
    #[error("{reason}")]
    Inapplicable { reason: String },
    /// A duration that is worked out once the query's times are known is none: at the caller's door a mistake in the query's text.
    #[error("{reason}")]
    Duration { reason: String },
    /// The query parses, but what it gives has no values over a range.
    #[error("invalid expression type {got:?} for range query, must be Scalar or instant Vector")]
    NoRange { got: &'static str },
    /// A limit of the budget; the message names it, its value and the way round it.
    #[error("{message}")]
    TooMuch { message: String },
    #[error("query timed out after {seconds} s (query.timeout); narrow the time range or add label matchers")]
    Timeout { seconds: f64 },
    #[error("query was cancelled")]
    Cancelled,
    #[error(transparent)]
    Store(#[from] store::StoreError),
}

impl QueryError {
    pub fn kind(&self) -> Kind {
        match self {
            QueryError::Parse { .. } => Kind::Invalid,
            QueryError::Evaluation { .. } | QueryError::Inapplicable { .. } => Kind::Invalid,
            QueryError::Duration { .. } | QueryError::NoRange { .. } => Kind::Invalid,
            QueryError::TooMuch { .. } => Kind::TooMuch,
            QueryError::Timeout { .. } => Kind::Timeout,
            QueryError::Cancelled => Kind::Cancelled,
            QueryError::Store(error) => error.kind(),
        }
    }
}

fn place(line: usize, column: usize) -> String {
    if line == 0 { "unknown position".into() } else { format!("{line}:{column}") }
}
