//! Where a request could not be read. Boxed on its way up, so that the readers' results stay small on the hot path.

use model::Kind;

/// An undecodable request: nothing of it may be stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} at byte {offset}: {reason}")]
pub struct DecodeError {
    /// Path of the field: `resource_metrics[0].scope_metrics[1].metrics[7].gauge` (in JSON with JSON's names).
    pub what: String,
    pub offset: usize,
    pub reason: String,
}

impl DecodeError {
    /// Always the sender's fault: the same bytes can never be read.
    pub fn kind(&self) -> Kind {
        Kind::Invalid
    }
}

pub(crate) type Read<T> = Result<T, Box<DecodeError>>;

#[cold]
pub(crate) fn fail<T>(what: &str, offset: usize, reason: impl Into<String>) -> Read<T> {
    Err(Box::new(DecodeError { what: what.into(), offset, reason: reason.into() }))
}

/// Puts the enclosing field in front of an error's path, once per level while it unwinds.
pub(crate) trait Within<T> {
    fn within(self, name: &str) -> Read<T>;
    fn within_nth(self, name: &str, index: usize) -> Read<T>;
}

impl<T> Within<T> for Read<T> {
    #[inline]
    fn within(self, name: &str) -> Read<T> {
        self.map_err(|error| prefixed(error, name.into()))
    }

    #[inline]
    fn within_nth(self, name: &str, index: usize) -> Read<T> {
        self.map_err(|error| prefixed(error, format!("{name}[{index}]")))
    }
}

/// An error that reached the top: one outside all fields is in the request itself.
pub(crate) fn finished(error: DecodeError) -> DecodeError {
    let DecodeError { what, offset, reason } = error;
    DecodeError { what: if what.is_empty() { "request".into() } else { what }, offset, reason }
}

#[cold]
fn prefixed(mut error: Box<DecodeError>, mut path: String) -> Box<DecodeError> {
    if !error.what.is_empty() {
        if !error.what.starts_with('[') {
            path.push('.');
        }
        path.push_str(&error.what);
    }
    error.what = path;
    error
}
