//! Files that the configuration names: by patterns, read whole within a limit.

use std::path::{Path, PathBuf};

/// Largest file read, in bytes: rules, notify.yml, lists of targets.
const FILE_BYTES_MAX: u64 = 4 << 20;
/// Most files that one pattern may name.
const FILES_MAX: usize = 1_000;

/// A whole file of text, within [`FILE_BYTES_MAX`].
pub(crate) fn read(file: &Path) -> Result<String, String> {
    let size = std::fs::metadata(file).map_err(|error| error.to_string())?.len();
    if size > FILE_BYTES_MAX {
        return Err(format!("{size} bytes, at most {FILE_BYTES_MAX} are read"));
    }
    std::fs::read_to_string(file).map_err(|error| error.to_string())
}

/// Files of a path whose last part may hold `*`, by name; of those that a `*` finds, the ones to `keep`. A folder that does not exist has none; a plain file must exist.
pub(crate) fn matching(pattern: &str, keep: impl Fn(&str) -> bool) -> Result<Vec<PathBuf>, String> {
    let path = Path::new(pattern);
    let name = path.file_name().and_then(|name| name.to_str()).ok_or("the pattern names no file")?;
    if path.parent().is_some_and(|folder| folder.as_os_str().as_encoded_bytes().contains(&b'*')) {
        return Err(
            "`*` may stand in the file's name, not in a folder's: name each folder by a pattern of its own".into()
        );
    }
    if !name.contains('*') {
        return Ok(vec![path.into()]);
    }
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error.to_string()),
    };
    let mut files = Vec::new();
    for entry in entries {
        let file = entry.map_err(|error| error.to_string())?.path();
        let is_meant = |found: &str| glob(name, found) && keep(found);
        if file.file_name().and_then(|found| found.to_str()).is_some_and(is_meant) {
            files.push(file);
        }
        if files.len() > FILES_MAX {
            return Err(format!("more than {FILES_MAX} files"));
        }
    }
    files.sort();
    Ok(files)
}

/// Whether `*` in the pattern, each standing for any text, can make it the name.
fn glob(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_of_folders_are_refused() {
        for pattern in ["rules/**/*.yml", "*/a.yml", "/etc/*/rules/*.yml"] {
            assert!(matching(pattern, |_| true).is_err_and(|reason| reason.contains("folder")), "{pattern}");
        }
    }

    #[test]
    fn stars_stand_for_any_text() {
        for (pattern, name, expected) in [
            ("*.yml", "a.yml", true),
            ("*.yml", ".yml", true),
            ("*.yml", "a.yaml", false),
            ("a*b*c", "aXbYc", true),
            ("a*b*c", "aXcYb", false),
            ("a", "a", true),
            ("a", "ab", false),
            ("ab*b", "ab", false),
            ("*", "", true),
        ] {
            assert_eq!(glob(pattern, name), expected, "{pattern} {name}");
        }
    }
}
