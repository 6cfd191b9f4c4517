//! The series of one tenant in memory: label sets by number and back, postings, the senders' keys, metadata of families.
//!
//! A number is given once. Only the writer adds, after the commit that made the series durable; only upkeep removes, under the
//! writer's lock.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use codec::otlp::KnownSeries;
use model::{Labels, MatchOp, Matcher, MetricMeta, SeriesId};
use parking_lot::RwLock;
use roaring::RoaringBitmap;

use crate::limits::{KNOWN_KEYS_MAX, METADATA_FAMILIES_MAX};

type Hash = foldhash::fast::RandomState;
type Values = BTreeMap<Arc<str>, RoaringBitmap>;

#[derive(Default)]
pub(crate) struct Catalogue {
    index: RwLock<Index>,
    /// Apart from the index: the decoders of all requests read it, whatever queries do.
    keys: RwLock<HashMap<u128, u32, Hash>>,
    metadata: RwLock<Metadata>,
}

#[derive(Default)]
struct Index {
    by_labels: HashMap<Labels, u32, Hash>,
    labels: HashMap<u32, Labels, Hash>,
    postings: BTreeMap<Arc<str>, Values>,
    all: RoaringBitmap,
    /// One allocation for equal texts.
    texts: HashSet<Arc<str>, Hash>,
}

#[derive(Default)]
struct Metadata {
    families: BTreeMap<String, MetricMeta>,
    hashes: HashSet<u64, Hash>,
}

impl Catalogue {
    pub(crate) fn len(&self) -> usize {
        self.index.read().labels.len()
    }

    pub(crate) fn number_of(&self, labels: &Labels) -> Option<u32> {
        self.index.read().by_labels.get(labels).copied()
    }

    pub(crate) fn holds(&self, id: SeriesId) -> Option<u32> {
        let number = u32::try_from(id.0).ok()?;
        self.index.read().labels.contains_key(&number).then_some(number)
    }

    pub(crate) fn insert(&self, series: impl IntoIterator<Item = (u32, Labels)>) {
        let mut index = self.index.write();
        for (number, labels) in series {
            index.insert(number, &labels);
        }
    }

    pub(crate) fn remember_keys(&self, keys: impl IntoIterator<Item = (u128, u32)>) {
        let mut known = self.keys.write();
        if known.len() >= KNOWN_KEYS_MAX {
            known.clear();
        }
        known.extend(keys);
    }

    /// Forgets series whose last sample is gone.
    pub(crate) fn remove(&self, numbers: &RoaringBitmap) {
        let mut index = self.index.write();
        for number in numbers {
            index.remove(number);
        }
        index.texts.retain(|text| Arc::strong_count(text) > 1);
        drop(index);
        self.keys.write().retain(|_, number| !numbers.contains(*number));
    }

    pub(crate) fn all(&self) -> RoaringBitmap {
        self.index.read().all.clone()
    }

    pub(crate) fn labels_of(&self, numbers: impl IntoIterator<Item = u32>) -> Vec<(u32, Labels)> {
        let index = self.index.read();
        numbers.into_iter().filter_map(|number| Some((number, index.labels.get(&number)?.clone()))).collect()
    }

    /// Series that satisfy all matchers; all series when there are none.
    pub(crate) fn matching(&self, matchers: &[Matcher]) -> RoaringBitmap {
        let index = self.index.read();
        // Equalities first: they are one look-up each and narrow the most.
        let mut matchers: Vec<&Matcher> = matchers.iter().collect();
        matchers.sort_by_key(|matcher| (matcher.op != MatchOp::Equal, matcher.matches_empty()));
        let mut found: Option<RoaringBitmap> = None;
        for matcher in matchers {
            let next = index.matching(matcher, found.as_ref().unwrap_or(&index.all));
            if next.is_empty() {
                return next;
            }
            found = Some(next);
        }
        found.unwrap_or_else(|| index.all.clone())
    }

    pub(crate) fn label_names(&self) -> Vec<String> {
        self.index.read().postings.keys().map(|name| (&**name).into()).collect()
    }

    pub(crate) fn label_values(&self, name: &str) -> Vec<String> {
        let index = self.index.read();
        index
            .postings
            .get(name)
            .map(|values| values.keys().map(|value| (&**value).into()).collect())
            .unwrap_or_default()
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

    /// Shares equal texts while rows are read at the start.
    pub(crate) fn share(&self, text: &str) -> Arc<str> {
        self.index.write().share(text)
    }
}

impl KnownSeries for Catalogue {
    fn lookup(&self, key: u128) -> Option<SeriesId> {
        self.keys.read().get(&key).map(|number| SeriesId(u64::from(*number)))
    }

    fn knows_metadata(&self, hash: u64) -> bool {
        self.metadata.read().hashes.contains(&hash)
    }
}

impl Index {
    fn share(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.texts.get(text) {
            return known.clone();
        }
        let shared: Arc<str> = text.into();
        self.texts.insert(shared.clone());
        shared
    }

    fn insert(&mut self, number: u32, labels: &Labels) {
        let pairs: Vec<_> = labels.iter().map(|(name, value)| (self.share(name), self.share(value))).collect();
        for (name, value) in &pairs {
            self.postings.entry(name.clone()).or_default().entry(value.clone()).or_default().insert(number);
        }
        let labels = Labels::from_sorted(pairs);
        self.by_labels.insert(labels.clone(), number);
        self.labels.insert(number, labels);
        self.all.insert(number);
    }

    fn remove(&mut self, number: u32) {
        let Some(labels) = self.labels.remove(&number) else { return };
        self.by_labels.remove(&labels);
        self.all.remove(number);
        for (name, value) in labels.iter() {
            let Some(values) = self.postings.get_mut(name) else { continue };
            if let Some(numbers) = values.get_mut(value) {
                numbers.remove(number);
                if numbers.is_empty() {
                    values.remove(value);
                }
            }
            if values.is_empty() {
                self.postings.remove(name);
            }
        }
    }

    /// Of `among`, the series that satisfy one matcher. A series without the label counts as having it empty, so a matcher that
    /// accepts the empty text is answered by taking away the series whose value it refuses.
    fn matching(&self, matcher: &Matcher, among: &RoaringBitmap) -> RoaringBitmap {
        let none = Values::new();
        let values = self.postings.get(matcher.name.as_str()).unwrap_or(&none);
        if matcher.op == MatchOp::Equal && !matcher.value.is_empty() {
            return values.get(matcher.value.as_str()).map(|numbers| numbers & among).unwrap_or_default();
        }
        let accepts_empty = matcher.matches_empty();
        let mut named = RoaringBitmap::new();
        for (value, numbers) in values {
            if matcher.matches(value) != accepts_empty {
                named |= numbers;
            }
        }
        if accepts_empty { among - named } else { among & named }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matchers_find_what_a_look_at_every_series_finds() {
        let catalogue = Catalogue::default();
        let sets = [
            Labels::from_pairs([("__name__", "up"), ("job", "api"), ("env", "prod")]),
            Labels::from_pairs([("__name__", "up"), ("job", "db")]),
            Labels::from_pairs([("__name__", "down"), ("job", "api"), ("env", "test")]),
            Labels::default(),
        ];
        catalogue.insert(sets.iter().cloned().enumerate().map(|(number, labels)| (number as u32, labels)));
        let mut tried = 0;
        for name in ["__name__", "job", "env", "absent"] {
            for op in [MatchOp::Equal, MatchOp::NotEqual, MatchOp::Regex, MatchOp::NotRegex] {
                for value in ["", "up", "api", ".*", ".+", "prod|", "a.*|db", "nope"] {
                    let matchers =
                        [Matcher::new(name, op, value).unwrap(), Matcher::new("job", MatchOp::NotEqual, "db").unwrap()];
                    let expected: Vec<u32> = (0..4)
                        .filter(|number| matchers.iter().all(|matcher| matcher.matches_labels(&sets[*number as usize])))
                        .collect();
                    assert_eq!(catalogue.matching(&matchers).iter().collect::<Vec<_>>(), expected, "{matchers:?}");
                    tried += 1;
                }
            }
        }
        assert_eq!(tried, 128);
        catalogue.remember_keys([(5, 0), (6, 1)]);
        catalogue.remove(&RoaringBitmap::from([0, 2]));
        assert_eq!(catalogue.label_names(), ["__name__", "job"]);
        assert_eq!(catalogue.label_values("job"), ["db"]);
        assert_eq!((catalogue.lookup(5), catalogue.lookup(6)), (None, Some(SeriesId(1))));
        assert_eq!((catalogue.number_of(&sets[0]), catalogue.number_of(&sets[1])), (None, Some(1)));
    }
}
