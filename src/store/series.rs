//! The active series of one tenant in memory: those in a head, and those that were until lately; the senders' keys; metadata of
//! families. All other series are in the indexes of the day files alone.
//!
//! A number names one label set for ever. Only the writer adds, after the commit that made the name durable; only upkeep removes,
//! under the writer's lock.

use std::collections::{BTreeMap, HashSet};

use codec::otlp::KnownSeries;
use model::{Labels, MetricMeta, SeriesEntry, SeriesId};
use parking_lot::{Mutex, RwLock};
use roaring::RoaringBitmap;

use crate::index::Active;
use crate::keys::{Keys, Known};
use crate::layouts::Layouts;
use crate::limits::{KNOWN_KEYS_MAX, METADATA_FAMILIES_MAX};

pub(crate) type Hash = foldhash::fast::RandomState;

#[derive(Default)]
pub(crate) struct Catalogue {
    active: RwLock<Active>,
    /// Apart from the index: the decoders of all requests read it, whatever queries do.
    keys: RwLock<Keys>,
    layouts: Mutex<Layouts>,
    metadata: RwLock<Metadata>,
}

#[derive(Default)]
pub(crate) struct Metadata {
    families: BTreeMap<String, MetricMeta>,
    hashes: HashSet<u64, Hash>,
}

impl Metadata {
    pub(crate) fn knows(&self, hash: u64) -> bool {
        self.hashes.contains(&hash)
    }
}

impl Catalogue {
    pub(crate) fn len(&self) -> usize {
        self.active.read().len()
    }

    pub(crate) fn number_of(&self, labels: &Labels) -> Option<u32> {
        self.active.read().number_of(labels)
    }

    /// The first of some series that is known to the decoder but is here no more.
    pub(crate) fn first_gone(&self, series: &[SeriesEntry]) -> Option<SeriesId> {
        let active = self.active.read();
        let mut known = series
            .iter()
            .filter_map(|entry| match entry {
                SeriesEntry::Known(id) => Some(id.0),
                SeriesEntry::New { .. } => None,
            })
            .peekable();
        // A request's series mostly count up by one, and a run of them is one question.
        while let Some(first) = known.next() {
            let mut last = first;
            while let Some(next) = known.next_if(|id| last.checked_add(1) == Some(*id)) {
                last = next;
            }
            let numbers = u32::try_from(first).ok().zip(u32::try_from(last).ok());
            if !numbers.is_some_and(|(first, last)| active.all().contains_range(first..=last)) {
                let is_gone = |id: &u64| !u32::try_from(*id).is_ok_and(|number| active.holds(number));
                return (first..=last).find(is_gone).map(SeriesId);
            }
        }
        None
    }

    /// Whether a series is in memory.
    pub(crate) fn holds(&self, number: u32) -> bool {
        self.active.read().holds(number)
    }

    /// What the decoder of one request asks.
    pub(crate) fn known(&self) -> Known<'_> {
        Known::new(&self.keys, &self.layouts, &self.metadata)
    }

    /// Adds series; returns those whose label set has another number already, with that.
    pub(crate) fn insert(&self, series: impl IntoIterator<Item = (u32, Labels)>) -> Vec<(u32, u32)> {
        let mut active = self.active.write();
        let pairs = series.into_iter().map(|(number, labels)| (number, active.insert(number, &labels)));
        pairs.filter(|(number, known)| number != known).collect()
    }

    pub(crate) fn remember_keys(&self, keys: impl IntoIterator<Item = (u128, u32)>) {
        let mut known = self.keys.write();
        if known.len() >= KNOWN_KEYS_MAX {
            *known = Keys::default();
        }
        keys.into_iter().for_each(|(key, number)| known.learn(key, number));
    }

    /// From now on the senders of these series are asked for their labels again.
    pub(crate) fn forget_keys(&self, numbers: &RoaringBitmap) {
        let mut keys = self.keys.write();
        *keys = keys.without(numbers);
        drop(keys);
        self.layouts.lock().forget(numbers);
    }

    /// Forgets series that no head holds.
    pub(crate) fn remove(&self, numbers: impl IntoIterator<Item = u32>) {
        let mut active = self.active.write();
        numbers.into_iter().for_each(|number| active.remove(number));
    }

    pub(crate) fn shrink(&self) {
        self.active.write().shrink();
    }

    pub(crate) fn all(&self) -> RoaringBitmap {
        self.active.read().all().clone()
    }

    /// Label sets of those that are here.
    pub(crate) fn labels_of(&self, numbers: impl IntoIterator<Item = u32>) -> Vec<(u32, Labels)> {
        let active = self.active.read();
        numbers.into_iter().filter_map(|number| Some((number, active.labels_of(number)?))).collect()
    }

    /// A look at the index between two changes of it. Be quick: the writer waits.
    pub(crate) fn read<T>(&self, look: impl FnOnce(&Active) -> T) -> T {
        look(&self.active.read())
    }

    pub(crate) fn metadata(&self) -> Vec<MetricMeta> {
        self.metadata.read().families.values().cloned().collect()
    }

    /// Those that say something new, and for which there is room.
    pub(crate) fn new_metadata(&self, given: impl IntoIterator<Item = MetricMeta>) -> Vec<MetricMeta> {
        let known = self.metadata.read();
        let mut room = METADATA_FAMILIES_MAX.saturating_sub(known.families.len());
        let mut fresh = BTreeMap::new();
        for meta in given {
            match known.families.get(&meta.family) {
                Some(same) if *same == meta => continue,
                Some(_) => {}
                None if fresh.contains_key(&meta.family) => {}
                None if room == 0 => continue,
                None => room -= 1,
            }
            fresh.insert(meta.family.clone(), meta);
        }
        fresh.into_values().collect()
    }

    pub(crate) fn remember_metadata(&self, given: impl IntoIterator<Item = MetricMeta>) {
        let mut known = self.metadata.write();
        for meta in given {
            // Senders that disagree about a family would otherwise add hashes for ever.
            if known.hashes.len() >= 2 * METADATA_FAMILIES_MAX {
                known.hashes.clear();
            }
            known.hashes.insert(codec::otlp::metadata_hash(&meta));
            known.families.insert(meta.family.clone(), meta);
        }
    }
}

impl KnownSeries for Catalogue {
    fn lookup(&self, key: u128) -> Option<SeriesId> {
        self.keys.read().number_of(key).map(|number| SeriesId(u64::from(number)))
    }

    fn knows_metadata(&self, hash: u64) -> bool {
        self.metadata.read().knows(hash)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_go_before_their_series_and_a_label_set_keeps_its_number() {
        let catalogue = Catalogue::default();
        let known = |numbers: [u64; 3]| numbers.map(|number| SeriesEntry::Known(SeriesId(number)));
        let labels = |name: &str| Labels::from_pairs([("__name__", name)]);
        assert_eq!(catalogue.insert([(0, labels("a")), (1, labels("b")), (2, labels("a"))]), [(2, 0)]);
        catalogue.remember_keys([(5, 0), (6, 1)]);
        catalogue.forget_keys(&RoaringBitmap::from([0]));
        assert_eq!((catalogue.lookup(5), catalogue.known().lookup(6)), (None, Some(SeriesId(1))));
        assert_eq!(catalogue.number_of(&labels("a")), Some(0));
        catalogue.remove([0]);
        assert_eq!(
            (catalogue.number_of(&labels("a")), catalogue.first_gone(&known([1, 0, 7])), catalogue.len()),
            (None, Some(SeriesId(0)), 1)
        );
    }
}
