//! Files that name targets (Prometheus' `file_sd_configs`): read when they appear or change, forgotten when they are gone.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::Deserialize;

use crate::files;

/// The label that tells a target's file, for relabelling.
const META_FILE: &str = "__meta_filepath";

/// Targets with labels in common.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Group {
    pub(super) targets: Vec<String>,
    pub(super) labels: BTreeMap<String, String>,
}

/// What tells that a file has changed.
type Stamp = (Option<SystemTime>, u64);

struct Known {
    stamp: Stamp,
    /// As they were when the file was last good.
    groups: Vec<Group>,
}

/// All files of all jobs as they were read last.
#[derive(Default)]
pub(super) struct Discovery {
    files: BTreeMap<PathBuf, Known>,
    patterns: BTreeMap<String, Vec<PathBuf>>,
}

impl Discovery {
    /// The groups of a pattern's files, in the order of their names.
    pub(super) fn groups(&self, pattern: &str) -> impl Iterator<Item = &Group> {
        let paths = self.patterns.get(pattern).into_iter().flatten();
        paths.filter_map(|path| self.files.get(path)).flat_map(|known| &known.groups)
    }

    /// Looks at the files of these patterns again and reads those that changed; whether any did. A file that cannot be used keeps its
    /// last good groups, and that is logged, once for each of its versions.
    pub(super) fn look<'p>(&mut self, patterns: impl Iterator<Item = &'p str>) -> bool {
        let mut now: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
        for pattern in patterns {
            let mut found = files::matching(pattern, |_| true).unwrap_or_else(|reason| {
                tracing::error!(pattern, "files of targets not found: {reason}");
                Vec::new()
            });
            found.retain(|path| path.is_file());
            now.insert(pattern.to_owned(), found);
        }
        let mut changed = now != self.patterns;
        self.patterns = now;
        let paths: BTreeSet<PathBuf> = self.patterns.values().flatten().cloned().collect();
        self.files.retain(|path, _| paths.contains(path));
        for path in paths {
            changed |= self.look_at(path);
        }
        changed
    }

    fn look_at(&mut self, path: PathBuf) -> bool {
        let stamp = std::fs::metadata(&path).map_or((None, 0), |found| (found.modified().ok(), found.len()));
        if self.files.get(&path).is_some_and(|known| known.stamp == stamp) {
            return false;
        }
        let read = read(&path);
        let known = self.files.entry(path).or_insert_with_key(|_| Known { stamp, groups: Vec::new() });
        known.stamp = stamp;
        match read {
            Ok(groups) => std::mem::replace(&mut known.groups, groups) != known.groups,
            Err(reason) => {
                tracing::error!("file of targets not used, its last good version stays: {reason}");
                false
            }
        }
    }
}

/// The groups of one file.
///
/// # Errors
/// With the file's name: what cannot be read, is no list of groups, or has unknown keys.
pub(super) fn read(path: &Path) -> Result<Vec<Group>, String> {
    let name = path.display().to_string();
    let text = files::read(path).map_err(|reason| format!("{name}: {reason}"))?;
    let is_json = path.extension().is_some_and(|extension| extension == "json");
    let parsed: Result<Vec<Group>, String> = if is_json {
        serde_json::from_str(&text).map_err(|error| error.to_string())
    } else if text.trim().is_empty() {
        Ok(Vec::new())
    } else {
        serde_saphyr::from_str(&text).map_err(|error| error.to_string())
    };
    let mut groups = parsed.map_err(|reason| format!("{name}: {reason}"))?;
    for group in &mut groups {
        group.labels.insert(META_FILE.into(), name.clone());
    }
    Ok(groups)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(discovery: &Discovery, pattern: &str) -> Vec<String> {
        let told = |group: &Group| {
            let labels = group.labels.iter().filter(|(name, _)| *name != META_FILE);
            format!("{} {:?}", group.targets.join(","), labels.collect::<Vec<_>>())
        };
        discovery.groups(pattern).map(told).collect()
    }

    #[test]
    fn files_come_change_break_and_go() {
        let home = tempfile::tempdir().unwrap();
        let path = |name: &str| home.path().join(name);
        let pattern = path("*.json").display().to_string();
        let yaml = path("b.yml").display().to_string();
        let patterns = [pattern.as_str(), yaml.as_str()];
        let mut discovery = Discovery::default();
        let look = |discovery: &mut Discovery| discovery.look(patterns.iter().copied());
        assert!(look(&mut discovery), "the patterns are new");
        assert!(!look(&mut discovery));

        std::fs::write(path("a.json"), r#"[{"targets": ["h:1", "h:2"], "labels": {"env": "x"}}, {"targets": []}]"#)
            .unwrap();
        std::fs::write(path("b.yml"), "- targets: [h:3]\n  labels:\n    port: 3\n- targets:\n    - 'h:4'\n").unwrap();
        assert!(look(&mut discovery));
        assert_eq!(shown(&discovery, &pattern), [r#"h:1,h:2 [("env", "x")]"#, " []"]);
        assert_eq!(shown(&discovery, &yaml), [r#"h:3 [("port", "3")]"#, "h:4 []"]);
        assert!(!look(&mut discovery), "nothing changed");

        // Broken: as it was. Good again: as it is.
        std::fs::write(path("a.json"), "[{").unwrap();
        assert!(!look(&mut discovery));
        assert_eq!(shown(&discovery, &pattern).len(), 2);
        std::fs::write(path("a.json"), r#"[{"targets": ["h:5"]}]"#).unwrap();
        assert!(look(&mut discovery));
        assert_eq!(shown(&discovery, &pattern), ["h:5 []"]);

        std::fs::remove_file(path("a.json")).unwrap();
        std::fs::write(path("b.yml"), "").unwrap();
        assert!(look(&mut discovery));
        assert_eq!(shown(&discovery, &pattern).len() + shown(&discovery, &yaml).len(), 0);
    }

    #[test]
    fn mistakes_name_the_file() {
        let home = tempfile::tempdir().unwrap();
        for (name, text, part) in [
            ("a.json", "{}", "expected a sequence"),
            ("a.json", r#"[{"target": ["h:1"]}]"#, "unknown field `target`"),
            ("a.yml", "- targets: h:1\n", "a.yml: "),
            ("gone.yml", "", ""),
        ] {
            let path = home.path().join(name);
            if !part.is_empty() {
                std::fs::write(&path, text).unwrap();
            }
            let error = read(&path).expect_err(text);
            assert!(error.contains(&path.display().to_string()) && error.contains(part), "{error}");
        }
    }
}
