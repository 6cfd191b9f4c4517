//! Values that a query makes of labels: `label_replace` and `label_join` may each double what the one inside made.

use regex::Captures;

use crate::QueryError;

/// Longest value that is made, in bytes: far above any that means something.
const VALUE_BYTES_MAX: usize = 1 << 20;

/// A replacement with what a pattern captured of `source` put in.
///
/// # Errors
/// `TooMuch` when that could be longer than a value may be.
pub(crate) fn replaced(captures: &Captures<'_>, replacement: &str, source: &str) -> Result<String, QueryError> {
    // No capture is longer than what it was captured of.
    let references = replacement.bytes().filter(|byte| *byte == b'$').count();
    check("label_replace", references.saturating_mul(source.len()).saturating_add(replacement.len()))?;
    let mut value = String::new();
    captures.expand(replacement, &mut value);
    Ok(value)
}

/// Values with a separator between them.
///
/// # Errors
/// As [`replaced`].
pub(crate) fn joined(values: &[&str], separator: &str) -> Result<String, QueryError> {
    let texts: usize = values.iter().map(|value| value.len().saturating_add(separator.len())).sum();
    check("label_join", texts)?;
    Ok(values.join(separator))
}

fn check(function: &str, bytes: usize) -> Result<(), QueryError> {
    if bytes <= VALUE_BYTES_MAX {
        return Ok(());
    }
    Err(QueryError::TooMuch {
        message: format!(
            "{function} would make a label value of more than {VALUE_BYTES_MAX} bytes; use a shorter replacement"
        ),
    })
}
