//! A page that cannot be shown at all. What is wrong with one panel is shown in its place instead.

use axum::response::{IntoResponse, Response};
use model::Kind;
use query::QueryError;

use crate::error::Fault;

#[derive(Debug)]
pub(crate) struct Failure(Fault);

impl Failure {
    pub(crate) fn not_found(what: &str) -> Failure {
        Failure(Fault::new(Kind::NotFound, format!("{what} does not exist")))
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Failure {
        Failure(fault)
    }
}

impl From<store::StoreError> for Failure {
    fn from(error: store::StoreError) -> Failure {
        Failure(error.into())
    }
}

impl From<askama::Error> for Failure {
    fn from(error: askama::Error) -> Failure {
        Failure(Fault::new(Kind::Internal, format!("a template failed: {error}")))
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let status = self.0.status();
        if status.is_server_error() {
            tracing::warn!(error = self.0.message, "a page could not be shown");
        }
        let title = status.canonical_reason().unwrap_or("Error");
        (status, super::frame::error_page(title, &self.0.message)).into_response()
    }
}

/// What is wrong with one panel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Trouble {
    pub(crate) what: String,
    pub(crate) why: String,
    /// The query with a caret under the place; empty where there is none.
    pub(crate) caret: String,
}

impl Trouble {
    pub(crate) fn new(what: &str, why: impl Into<String>) -> Trouble {
        Trouble { what: what.into(), why: why.into(), caret: String::new() }
    }

    /// Of a query that was typed in, with the place pointed at.
    pub(crate) fn of_query(what: &str, text: &str, error: &QueryError) -> Trouble {
        match error {
            QueryError::Parse { start, end, line, column, reason } => Trouble {
                what: what.into(),
                why: format!("{reason} (line {line}, column {column})"),
                caret: caret(text, *start, *end),
            },
            error => Trouble::new(what, error.to_string()),
        }
    }
}

/// The line that holds byte `start`, and carets under `start..end` of it. Offsets past the text point at its end.
fn caret(text: &str, start: usize, end: usize) -> String {
    let start = text.floor_char_boundary(start.min(text.len()));
    let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
    let line_end = text[start..].find('\n').map_or(text.len(), |at| start + at);
    let end = text.ceil_char_boundary(end.clamp(start, line_end));
    let shown = super::text::one_line(&text[line_start..line_end], usize::MAX).replace('\t', " ");
    let blank = " ".repeat(text[line_start..start].chars().count());
    format!("{shown}\n{blank}{}", "^".repeat(text[start..end].chars().count().max(1)))
}

#[cfg(test)]
mod tests {
    use super::caret;

    #[test]
    fn carets_stand_under_the_place() {
        for (text, start, end, expected) in [
            ("sum(x", 5, 5, "sum(x\n     ^"),
            ("a +\nrte(b)", 4, 7, "rte(b)\n^^^"),
            ("äö xx", 5, 7, "äö xx\n   ^^"),
            ("ä", 1, 99, "ä\n^"),
            ("", 7, 9, "\n^"),
        ] {
            assert_eq!(caret(text, start, end), expected, "{text:?}");
        }
    }
}
