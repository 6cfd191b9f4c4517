//! The index of a day file as it is read: parts of it, as they are needed, through a cache.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use codec::series::{Group, ValueBlock};
use model::Labels;
use redb::{ReadOnlyTable, ReadableDatabase};
use roaring::RoaringBitmap;

use super::cache::{IndexCache, Parsed, Part, PartKey};
use super::find::Finder;
use super::matching::{GoOn, Numbers, Postings};
use super::write::{GROUP, HASHES, INDEX, Key, VALUES, bad, read_whole, segments};
use crate::StoreError;
use crate::file::{OpenFile, redb_error};

/// One consistent view of it. Holds the file open.
pub(crate) struct DayIndex<'a> {
    path: PathBuf,
    /// Of the open file, for the cache.
    file: u64,
    cache: &'a IndexCache,
    table: ReadOnlyTable<Key, &'static [u8]>,
    segments: Vec<(u32, RoaringBitmap)>,
    _database: Arc<OpenFile>,
}

impl<'a> DayIndex<'a> {
    /// `None` before the first series.
    pub(crate) fn open(
        database: Arc<OpenFile>,
        path: &Path,
        file: u64,
        cache: &'a IndexCache,
    ) -> Result<Option<DayIndex<'a>>, StoreError> {
        let open = || -> Result<_, redb::Error> {
            let txn = database.begin_read()?;
            let table = match txn.open_table(INDEX) {
                Ok(table) => table,
                Err(redb::TableError::TableDoesNotExist(_)) => return Ok(None),
                Err(error) => return Err(error.into()),
            };
            let segments = segments(&table)?;
            Ok(Some((table, segments)))
        };
        let opened = open().map_err(|error| redb_error("reading a day's index", path, error))?;
        Ok(opened.map(|(table, segments)| DayIndex {
            path: path.to_owned(),
            file,
            cache,
            table,
            segments,
            _database: database,
        }))
    }

    fn wrap<T>(&self, read: Result<T, redb::Error>) -> Result<T, StoreError> {
        read.map_err(|error| redb_error("reading a day's index", &self.path, error))
    }

    fn group(&self, segment: u32, first: u32) -> Result<Arc<Group>, StoreError> {
        let key = PartKey { file: self.file, segment, part: Part::Group(first) };
        if let Some(Parsed::Group(group)) = self.cache.get(&key) {
            return Ok(group);
        }
        let read = read_whole(&self.table, (segment, GROUP, "", "", first));
        let group = self.wrap(read.and_then(|bytes| Group::decode(&bytes).map_err(bad)))?;
        let group = Arc::new(group);
        self.cache.put(key, &Parsed::Group(group.clone()));
        Ok(group)
    }

    fn block(&self, segment: u32, name: &str, first: &str) -> Result<Arc<ValueBlock>, StoreError> {
        let key = PartKey { file: self.file, segment, part: Part::Values(name.into(), first.into()) };
        if let Some(Parsed::Values(block)) = self.cache.get(&key) {
            return Ok(block);
        }
        let read = read_whole(&self.table, (segment, VALUES, name, first, 0));
        let block = self.wrap(read.and_then(|bytes| ValueBlock::decode(&bytes).map_err(bad)))?;
        let block = Arc::new(block);
        self.cache.put(key, &Parsed::Values(block.clone()));
        Ok(block)
    }

    /// The first value of the block in which a value stands if it is there at all.
    fn block_of(&self, segment: u32, name: &str, value: &str) -> Result<Option<String>, redb::Error> {
        let to = (segment, VALUES, name, value, u32::MAX, u32::MAX);
        let Some(row) = self.table.range((segment, VALUES, name, "", 0, 0)..=to)?.next_back() else { return Ok(None) };
        Ok(Some(row?.0.value().3.to_owned()))
    }

    /// First values of a label's blocks, in order, from the block of a value on.
    fn blocks(&self, segment: u32, name: &str, from: &str) -> Result<Vec<String>, redb::Error> {
        let first = self.block_of(segment, name, from)?.unwrap_or_default();
        let mut firsts = Vec::new();
        for row in self.table.range((segment, VALUES, name, first.as_str(), 0, 0)..)? {
            let row = row?;
            let (of, kind, label, first, _, piece) = row.0.value();
            if of != segment || kind != VALUES || label != name {
                break;
            }
            if piece == 0 {
                firsts.push(first.to_owned());
            }
        }
        Ok(firsts)
    }

    fn names(&self, segment: u32) -> Result<Vec<String>, redb::Error> {
        let mut names: Vec<String> = Vec::new();
        for row in self.table.range((segment, VALUES, "", "", 0, 0)..(segment, VALUES + 1, "", "", 0, 0))? {
            let row = row?;
            let name = row.0.value().2;
            if names.last().is_none_or(|last| last != name) {
                names.push(name.to_owned());
            }
        }
        Ok(names)
    }

    /// Hands out each of some series: its group and its place in it.
    fn each_series(&self, among: &RoaringBitmap, take: &mut dyn FnMut(&Group, usize)) -> Result<(), StoreError> {
        for (segment, numbers) in &self.segments {
            let mut group: Option<Arc<Group>> = None;
            for number in among & numbers {
                let found = group.as_ref().and_then(|group| group.numbers().binary_search(&number).ok());
                if let (Some(group), Some(at)) = (&group, found) {
                    take(group, at);
                    continue;
                }
                let first = self.wrap(self.group_of(*segment, number))?;
                let Some(first) = first else { continue };
                let next = self.group(*segment, first)?;
                if let Ok(at) = next.numbers().binary_search(&number) {
                    take(&next, at);
                }
                group = Some(next);
            }
        }
        Ok(())
    }

    fn group_of(&self, segment: u32, number: u32) -> Result<Option<u32>, redb::Error> {
        let to = (segment, GROUP, "", "", number, u32::MAX);
        let Some(row) = self.table.range((segment, GROUP, "", "", 0, 0)..=to)?.next_back() else { return Ok(None) };
        Ok(Some(row?.0.value().4))
    }

    /// Label sets of some series, as far as they are here.
    pub(crate) fn labels_of(&self, among: &RoaringBitmap) -> Result<Vec<(u32, Labels)>, StoreError> {
        let mut found = Vec::new();
        self.each_series(among, &mut |group, at| found.push((group.numbers()[at], group.labels(at))))?;
        Ok(found)
    }

    /// The number of a label set on this day.
    pub(crate) fn find(&self, hash: u64, labels: &Labels) -> Result<Option<u32>, StoreError> {
        let candidates: RoaringBitmap = self.finder()?.candidates(hash).collect();
        if candidates.is_empty() {
            return Ok(None);
        }
        let found = self.labels_of(&candidates)?;
        Ok(found.into_iter().find(|(_, known)| known == labels).map(|(number, _)| number))
    }

    /// How many series the index names.
    pub(crate) fn len(&self) -> u64 {
        self.segments.iter().map(|(_, numbers)| numbers.len()).sum()
    }

    /// Where [`DayIndex::find`] looks; kept in the cache.
    pub(crate) fn finder(&self) -> Result<Arc<Finder>, StoreError> {
        let newest = self.segments.last().map_or(0, |(segment, _)| *segment);
        let key = PartKey { file: self.file, segment: newest, part: Part::Finder };
        if let Some(Parsed::Finder(finder)) = self.cache.get(&key) {
            return Ok(finder);
        }
        let mut rows = Vec::with_capacity(self.segments.len());
        for (segment, numbers) in &self.segments {
            let bytes = self.wrap(read_whole(&self.table, (*segment, HASHES, "", "", 0)))?;
            let hashes = bytes.as_chunks::<4>().0.iter().map(|hash| u32::from_le_bytes(*hash)).collect();
            rows.push((numbers.clone(), hashes));
        }
        let finder = Arc::new(Finder::new(&rows));
        self.cache.put(key, &Parsed::Finder(finder.clone()));
        Ok(finder)
    }

    /// Names of labels that any of some series has.
    pub(crate) fn label_names(&self, among: &RoaringBitmap, out: &mut BTreeSet<String>) -> Result<(), StoreError> {
        for (segment, numbers) in &self.segments {
            let here = numbers & among;
            if here.is_empty() {
                continue;
            }
            for name in self.wrap(self.names(*segment))? {
                if out.contains(&name) {
                    continue;
                }
                let mut any = here.len() == numbers.len();
                if !any {
                    self.values_of(*segment, &name, "", &mut |_, found| {
                        any = found.any(&here);
                        !any
                    })?;
                }
                if any {
                    out.insert(name);
                }
            }
        }
        Ok(())
    }

    /// Values of a label that any of some series has.
    pub(crate) fn label_values(
        &self,
        name: &str,
        among: &RoaringBitmap,
        out: &mut BTreeSet<String>,
    ) -> Result<(), StoreError> {
        for (segment, numbers) in &self.segments {
            let here = numbers & among;
            if here.is_empty() {
                continue;
            }
            let all = here.len() == numbers.len();
            self.values_of(*segment, name, "", &mut |value, found| {
                if !out.contains(value) && (all || found.any(&here)) {
                    out.insert(value.to_owned());
                }
                true
            })?;
        }
        Ok(())
    }

    /// How many of some series it names.
    pub(crate) fn count(&self, among: &RoaringBitmap) -> u64 {
        self.segments.iter().map(|(_, numbers)| numbers.intersection_len(among)).sum()
    }

    fn values_of(
        &self,
        segment: u32,
        name: &str,
        from: &str,
        take: &mut dyn FnMut(&str, Numbers<'_>) -> GoOn,
    ) -> Result<(), StoreError> {
        for first in self.wrap(self.blocks(segment, name, from))? {
            let block = self.block(segment, name, &first)?;
            let values = block.values();
            for (value, runs) in &values[values.partition_point(|(value, _)| &**value < from)..] {
                if !take(value, Numbers::Packed(runs)) {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

impl Postings for DayIndex<'_> {
    fn value(&self, name: &str, value: &str, take: &mut dyn FnMut(Numbers<'_>)) -> Result<(), StoreError> {
        for (segment, _) in &self.segments {
            let Some(first) = self.wrap(self.block_of(*segment, name, value))? else { continue };
            if let Some(runs) = self.block(*segment, name, &first)?.get(value) {
                take(Numbers::Packed(runs));
            }
        }
        Ok(())
    }

    fn values(
        &self,
        name: &str,
        from: &str,
        take: &mut dyn FnMut(&str, Numbers<'_>) -> GoOn,
    ) -> Result<(), StoreError> {
        self.segments.iter().try_for_each(|(segment, _)| self.values_of(*segment, name, from, take))
    }

    fn filter(
        &self,
        name: &str,
        among: &RoaringBitmap,
        keep: &mut dyn FnMut(&str) -> bool,
    ) -> Result<Option<RoaringBitmap>, StoreError> {
        // A block and a group cost about the same to parse; each series may be in a group of its own.
        let mut blocks = 0;
        for (segment, _) in &self.segments {
            blocks += self.wrap(self.blocks(*segment, name, ""))?.len() as u64;
        }
        if among.len() >= blocks {
            return Ok(None);
        }
        let mut kept = RoaringBitmap::new();
        self.each_series(among, &mut |group, at| {
            let value = group.pairs(at).find(|(known, _)| &***known == name).map_or("", |(_, value)| value);
            if keep(value) {
                kept.insert(group.numbers()[at]);
            }
        })?;
        Ok(Some(kept))
    }
}
