//! Secrets of notify.yml: written in place, from the environment, or in a file of their own.
//!
//! A secret is never printed, not even by `Debug`.

use std::fmt;
use std::path::Path;

use super::fields::Fields;
use super::tree::Bad;

/// Largest file a secret is read from, in bytes: a key or a URL, not a disk image given by mistake.
pub(super) const SECRET_BYTES_MAX: u64 = 16 << 10;

#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(String);

impl Secret {
    pub(crate) fn new(text: impl Into<String>) -> Secret {
        Secret(text.into())
    }

    /// The secret itself, for the request that needs it.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

/// A secret given as `name` or as a file under `file_name` (relative paths start at `dir`), and its line.
pub(crate) fn take(
    fields: &mut Fields<'_>,
    name: &'static str,
    file_name: &'static str,
    dir: &Path,
) -> Result<Option<(Secret, usize)>, Bad> {
    take_up_to(fields, name, file_name, dir, SECRET_BYTES_MAX)
}

/// As [`take`], for what is longer than a key: its file may have so many bytes.
pub(super) fn take_up_to(
    fields: &mut Fields<'_>,
    name: &'static str,
    file_name: &'static str,
    dir: &Path,
    bytes_max: u64,
) -> Result<Option<(Secret, usize)>, Bad> {
    let direct = fields.text(name)?;
    let from_file = fields.text(file_name)?;
    match (direct, from_file) {
        (Some(_), Some((_, line))) => Err(Bad::new(line, format!("give {name} or {file_name}, not both"))),
        (Some((text, line)), None) => Ok(Some((Secret::new(text), line))),
        (None, Some((path, line))) => {
            let text = read_file(&dir.join(path), bytes_max);
            let text = text.map_err(|reason| Bad::new(line, format!("{file_name} {reason}")))?;
            Ok(Some((Secret::new(text), line)))
        }
        (None, None) => Ok(None),
    }
}

/// The text of a file, without the white space around it; errors name the file.
pub(super) fn read_file(path: &Path, bytes_max: u64) -> Result<String, String> {
    let complain = |reason: String| format!("{}: {reason}", path.display());
    let size = std::fs::metadata(path).map_err(|error| complain(error.to_string()))?.len();
    if size > bytes_max {
        return Err(complain(format!("{size} bytes are more than such a file can have ({bytes_max})")));
    }
    let text = std::fs::read_to_string(path).map_err(|error| complain(error.to_string()))?;
    match text.trim() {
        "" => Err(complain("the file is empty".into())),
        text => Ok(text.to_owned()),
    }
}
