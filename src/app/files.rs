//! The files that `serve` reads again on SIGHUP, and `check` reads alone: rule files and notify.yml.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rules::{Group, RuleFileError};

use crate::config;

/// Largest rule or notification file read, in bytes.
const FILE_BYTES_MAX: u64 = 4 << 20;
/// Most files that one pattern may name.
const FILES_MAX: usize = 1_000;

/// Every rule file with its groups, or with why it cannot be used; one bad file does not stop the others.
pub fn rules(config: &config::Rules) -> Vec<(String, Result<Vec<Group>, RuleFileError>)> {
    let interval_ms = config.evaluation_interval.ms;
    let mut out = Vec::new();
    if config.builtin {
        for (name, text) in rules::pack::builtin() {
            out.push(((*name).to_owned(), rules::file::parse(text, name, interval_ms)));
        }
    }
    for pattern in &config.files {
        match matching_files(pattern) {
            Ok(files) => {
                for file in files {
                    let name = file.display().to_string();
                    let groups = read(&file)
                        .map_err(|reason| rule_error(&name, reason))
                        .and_then(|text| rules::file::parse(&text, &name, interval_ms));
                    out.push((name, groups));
                }
            }
            Err(reason) => {
                out.push((pattern.clone(), Err(rule_error(pattern, reason))));
            }
        }
    }
    out
}

/// The rule files as they were last good, so that one that breaks goes on with what it was.
#[derive(Default)]
pub(super) struct RuleFiles(BTreeMap<String, Vec<Group>>);

impl RuleFiles {
    /// Groups of every file as read now; of those that cannot be used, as they were last. Files that are gone are forgotten.
    pub(super) fn read(&mut self, config: &config::Rules) -> Vec<Group> {
        let mut read = BTreeMap::new();
        for (file, result) in rules(config) {
            match result {
                Ok(groups) => {
                    read.insert(file, groups);
                }
                Err(error) => {
                    let kept = self.0.remove(&file);
                    tracing::error!(%error, kept_last_good = kept.is_some(), "rule file not used");
                    if let Some(groups) = kept {
                        read.insert(file, groups);
                    }
                }
            }
        }
        self.0 = read;
        self.0.values().flatten().cloned().collect()
    }
}

/// notify.yml checked, or `None` when there is no such file.
pub fn notify(file: &Path) -> Result<Option<notify::Config>, notify::ConfigError> {
    let name = file.display().to_string();
    match file.try_exists() {
        Ok(false) => return Ok(None),
        Ok(true) => {}
        Err(error) => return Err(notify::ConfigError { file: name, line: 1, reason: error.to_string() }),
    }
    let text = read(file).map_err(|reason| notify::ConfigError { file: name.clone(), line: 1, reason })?;
    notify::Config::parse(&text, &name, file.parent().unwrap_or(Path::new("."))).map(Some)
}

/// Logs what notify.yml asks for and does not get.
pub fn warn_of(config: &notify::Config) {
    for warning in config.warnings() {
        tracing::warn!("{warning}");
    }
}

fn rule_error(file: &str, reason: String) -> RuleFileError {
    RuleFileError { file: file.into(), line: 1, reason, more: Vec::new() }
}

fn read(file: &Path) -> Result<String, String> {
    let size = std::fs::metadata(file).map_err(|error| error.to_string())?.len();
    if size > FILE_BYTES_MAX {
        return Err(format!("{size} bytes, at most {FILE_BYTES_MAX} are read"));
    }
    std::fs::read_to_string(file).map_err(|error| error.to_string())
}

/// Files of a path whose last part may hold `*`, by name. A folder that does not exist has none; a plain file must exist.
fn matching_files(pattern: &str) -> Result<Vec<PathBuf>, String> {
    let path = Path::new(pattern);
    let name = path.file_name().and_then(|name| name.to_str()).ok_or("the pattern names no file")?;
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
        // A pack's test stands beside it and is no rule file.
        let is_rule_file = |found: &str| glob(name, found) && !found.ends_with(".test.yml");
        if file.file_name().and_then(|found| found.to_str()).is_some_and(is_rule_file) {
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
