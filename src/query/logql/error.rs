//! What is wrong with a LogQL text, worded and placed as Loki words and places it.

use crate::QueryError;

/// A text that is not LogQL, or a query that cannot mean anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseError {
    /// From 1. 0 when the fault has no place of its own, and, as in Loki, when it is at a token that is read in two steps (`[5m]`, `>=`).
    pub line: usize,
    /// From 1, in characters; 0 when the fault has no place.
    pub column: usize,
    pub message: String,
}

impl ParseError {
    /// A fault of the query as a whole.
    pub(crate) fn whole(message: impl Into<String>) -> ParseError {
        ParseError { line: 0, column: 0, message: message.into() }
    }

    /// A stage that is written well and cannot be built.
    pub(crate) fn stage(stage: &str, reason: impl std::fmt::Display) -> ParseError {
        ParseError::whole(format!("stage '{stage}' : {reason}"))
    }
}

impl std::fmt::Display for ParseError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.line, self.column) {
            (0, 0) => write!(f, "parse error : {}", self.message),
            (line, column) => write!(f, "parse error at line {line}, col {column}: {}", self.message),
        }
    }
}

impl std::error::Error for ParseError {}

impl From<ParseError> for QueryError {
    fn from(error: ParseError) -> QueryError {
        // Not `Parse`: its wording is Prometheus', and clients of Loki read Loki's.
        QueryError::Evaluation { reason: error.to_string() }
    }
}
