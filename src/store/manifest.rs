//! The list of what is in a copy of the store, with what tells whether it is whole.

use std::path::{Component, Path, PathBuf};

use model::time::rfc3339_ms;

use crate::StoreError;
use crate::backup::Copied;
use crate::file::{corrupt, io_error, make_whole, sync_dir};
use crate::limits::BACKUP_FILES_MAX;
use crate::root::TENANTS;

/// Written last, so a folder without it is no copy.
pub(crate) const MANIFEST: &str = "MANIFEST";
const TITLE: &str = "binnacle backup 1";

/// A file of a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Below the copy's folder, and below the data folder.
    pub(crate) path: PathBuf,
    pub(crate) bytes: u64,
    /// xxh3-64.
    pub(crate) hash: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Manifest {
    made: String,
    pub(crate) entries: Vec<Entry>,
}

impl Manifest {
    pub(crate) fn new(now_ms: i64) -> Manifest {
        Manifest { made: rfc3339_ms(now_ms), entries: Vec::new() }
    }

    pub(crate) fn copied(&self) -> Copied {
        let tenant = |entry: &Entry| {
            let below = entry.path.strip_prefix(TENANTS).ok()?;
            Some(below.components().next()?.as_os_str().to_string_lossy().into_owned())
        };
        let mut tenants: Vec<String> = self.entries.iter().filter_map(tenant).collect();
        tenants.dedup();
        Copied { tenants, files: self.entries.len() as u64, bytes: self.entries.iter().map(|entry| entry.bytes).sum() }
    }

    /// As lines of text: the title, the time, and for each file its hash, its length and its path.
    fn text(&self) -> String {
        let mut out = format!("{TITLE}\nmade {}\n", self.made);
        for Entry { path, bytes, hash } in &self.entries {
            out.push_str(&format!("{hash:016x} {bytes} {}\n", path.display()));
        }
        out
    }

    fn parse(text: &str) -> Result<Manifest, String> {
        let mut lines = text.lines();
        if lines.next() != Some(TITLE) {
            return Err(format!("it does not begin with {TITLE:?}"));
        }
        let made = lines.next().and_then(|line| line.strip_prefix("made ")).ok_or("its second line is no time")?;
        let entries = lines.take(BACKUP_FILES_MAX + 1).map(entry).collect::<Result<Vec<Entry>, String>>()?;
        if entries.len() > BACKUP_FILES_MAX {
            return Err(format!("it names more than {BACKUP_FILES_MAX} files"));
        }
        Ok(Manifest { made: made.to_owned(), entries })
    }

    pub(crate) fn write(&self, into: &Path) -> Result<(), StoreError> {
        sync_dir(into)?;
        make_whole(&into.join(MANIFEST), |unfinished| {
            let write = || {
                std::fs::write(unfinished, self.text())?;
                std::fs::File::open(unfinished)?.sync_all()
            };
            write().map_err(|error| io_error("write", unfinished, error))
        })
    }

    /// When it was made, RFC 3339.
    pub(crate) fn made(&self) -> &str {
        &self.made
    }

    pub(crate) fn read(from: &Path) -> Result<Manifest, StoreError> {
        let path = from.join(MANIFEST);
        match std::fs::read_to_string(&path) {
            Ok(text) => Manifest::parse(&text).map_err(|reason| corrupt(&path, reason)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let reason = format!("there is no {MANIFEST} in it: it is no backup, or one that did not end");
                Err(corrupt(from, reason))
            }
            Err(error) => Err(io_error("read", &path, error)),
        }
    }
}

fn entry(line: &str) -> Result<Entry, String> {
    let read = || {
        let (hash, rest) = line.split_once(' ')?;
        let (bytes, path) = rest.split_once(' ')?;
        let path = PathBuf::from(path);
        // A list from elsewhere must not name files outside of its folder.
        let inside = path.components().all(|part| matches!(part, Component::Normal(_)));
        (inside && path.components().next().is_some()).then_some(Entry {
            path,
            bytes: bytes.parse().ok()?,
            hash: u64::from_str_radix(hash, 16).ok()?,
        })
    };
    read().ok_or_else(|| format!("a line of it is none of a file: {:?}", line.chars().take(200).collect::<String>()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_as_it_was_written_and_nothing_else_is() {
        let entry = |path: &str| Entry { path: path.into(), bytes: 7, hash: u64::MAX - 1 };
        let entries = vec![entry("node.redb"), entry("tenants/a b/x.redb"), entry("tenants/a b/y.redb")];
        let manifest = Manifest { entries, ..Manifest::new(0) };
        let text = manifest.text();
        assert_eq!(Manifest::parse(&text), Ok(manifest.clone()));
        assert_eq!(manifest.copied(), Copied { tenants: vec!["a b".into()], files: 3, bytes: 21 });
        for (from, to) in [
            (TITLE, "binnacle backup 2"),
            ("made", "baked"),
            ("tenants/", "../tenants/"),
            ("tenants/", "/tenants/"),
            (" 7 ", " x "),
            (" 7 ", ""),
            ("fffffffffffffffe", "nothing"),
        ] {
            assert!(Manifest::parse(&text.replace(from, to)).is_err(), "{from} -> {to}");
        }
    }
}
