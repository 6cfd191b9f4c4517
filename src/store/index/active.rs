//! The active series in memory: each label pair once, with its series; each series as the numbers of its pairs.
//!
//! About 150 bytes a series of ten labels, and about 150 more for each label value that no other series has.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::Arc;

use codec::series::hash;
use model::Labels;
use roaring::RoaringBitmap;

use super::matching::{GoOn, Numbers, Postings};
use crate::StoreError;

type Hash = foldhash::fast::RandomState;
type Values = BTreeMap<Arc<str>, u32>;

#[derive(Default)]
pub(crate) struct Active {
    names: BTreeMap<Arc<str>, Values>,
    /// By their numbers in `names`; free places are empty.
    pairs: Vec<Pair>,
    free: Vec<u32>,
    series: HashMap<u32, Box<[u32]>, Hash>,
    by_hash: HashMap<u64, u32, Hash>,
    /// Series whose hash another label set had first.
    collided: Vec<(u64, u32)>,
    all: RoaringBitmap,
}

struct Pair {
    name: Arc<str>,
    value: Arc<str>,
    series: Series,
}

enum Series {
    None,
    /// Many values, such as ids, belong to one series alone.
    One(u32),
    Many(Box<RoaringBitmap>),
}

impl Series {
    fn numbers(&self) -> Option<Numbers<'_>> {
        match self {
            Series::None => None,
            Series::One(number) => Some(Numbers::One(*number)),
            Series::Many(numbers) => Some(Numbers::Many(numbers)),
        }
    }

    fn insert(&mut self, number: u32) {
        match self {
            Series::None => *self = Series::One(number),
            Series::One(known) if *known == number => {}
            Series::One(known) => *self = Series::Many(Box::new([*known, number].into_iter().collect())),
            Series::Many(numbers) => {
                numbers.insert(number);
            }
        }
    }

    /// Whether none is left.
    fn remove(&mut self, number: u32) -> bool {
        match self {
            Series::None => true,
            Series::One(known) if *known == number => {
                *self = Series::None;
                true
            }
            Series::One(_) => false,
            Series::Many(numbers) => {
                numbers.remove(number);
                match numbers.len() {
                    0 => *self = Series::None,
                    1 => *self = Series::One(numbers.min().unwrap_or(number)),
                    _ => return false,
                }
                matches!(self, Series::None)
            }
        }
    }
}

impl Active {
    pub(crate) fn len(&self) -> usize {
        self.series.len()
    }

    pub(crate) fn all(&self) -> &RoaringBitmap {
        &self.all
    }

    pub(crate) fn holds(&self, number: u32) -> bool {
        self.series.contains_key(&number)
    }

    pub(crate) fn number_of(&self, labels: &Labels) -> Option<u32> {
        let hash = hash(labels.iter());
        let first = self.by_hash.get(&hash)?;
        let others = self.collided.iter().filter(|(known, _)| *known == hash).map(|(_, number)| number);
        std::iter::once(first).chain(others).copied().find(|number| self.is(*number, labels))
    }

    fn is(&self, number: u32, labels: &Labels) -> bool {
        let Some(pairs) = self.series.get(&number) else { return false };
        pairs.len() == labels.len()
            && pairs.iter().zip(labels.iter()).all(|(pair, (name, value))| {
                let pair = &self.pairs[*pair as usize];
                &*pair.name == name && &*pair.value == value
            })
    }

    pub(crate) fn labels_of(&self, number: u32) -> Option<Labels> {
        let pairs = self.series.get(&number)?.iter().map(|pair| {
            let pair = &self.pairs[*pair as usize];
            (pair.name.clone(), pair.value.clone())
        });
        Some(Labels::from_sorted(pairs))
    }

    /// Adds a series, unless its number or its label set is known; returns the number of the label set.
    pub(crate) fn insert(&mut self, number: u32, labels: &Labels) -> u32 {
        if let Some(known) = self.number_of(labels) {
            return known;
        }
        if self.series.contains_key(&number) {
            return number;
        }
        let pairs: Box<[u32]> = labels.pairs().iter().map(|(name, value)| self.pair(name, value)).collect();
        for pair in &pairs {
            self.pairs[*pair as usize].series.insert(number);
        }
        self.series.insert(number, pairs);
        let hash = hash(labels.iter());
        if *self.by_hash.entry(hash).or_insert(number) != number {
            self.collided.push((hash, number));
        }
        self.all.insert(number);
        number
    }

    fn pair(&mut self, name: &Arc<str>, value: &Arc<str>) -> u32 {
        let known = self.names.get(&**name).and_then(|values| values.get(&**value));
        if let Some(pair) = known {
            return *pair;
        }
        let name = self.names.get_key_value(&**name).map_or_else(|| name.clone(), |(known, _)| known.clone());
        let pair = Pair { name: name.clone(), value: value.clone(), series: Series::None };
        let at = match self.free.pop() {
            Some(at) => {
                self.pairs[at as usize] = pair;
                at
            }
            None => {
                self.pairs.push(pair);
                (self.pairs.len() - 1) as u32
            }
        };
        self.names.entry(name).or_default().insert(value.clone(), at);
        at
    }

    pub(crate) fn remove(&mut self, number: u32) {
        let Some(labels) = self.labels_of(number) else { return };
        let hash = hash(labels.iter());
        if self.by_hash.get(&hash) == Some(&number) {
            self.by_hash.remove(&hash);
            if let Some(next) = self.collided.iter().position(|(known, _)| *known == hash) {
                let (hash, other) = self.collided.swap_remove(next);
                self.by_hash.insert(hash, other);
            }
        } else {
            self.collided.retain(|(_, known)| *known != number);
        }
        self.all.remove(number);
        let empty: Arc<str> = Arc::from("");
        for at in self.series.remove(&number).unwrap_or_default() {
            let pair = &mut self.pairs[at as usize];
            if !pair.series.remove(number) {
                continue;
            }
            let name = std::mem::replace(&mut pair.name, empty.clone());
            let value = std::mem::replace(&mut pair.value, empty.clone());
            self.free.push(at);
            if let Some(values) = self.names.get_mut(&name) {
                values.remove(&value);
                if values.is_empty() {
                    self.names.remove(&name);
                }
            }
        }
    }

    /// Gives back the room of what was removed.
    pub(crate) fn shrink(&mut self) {
        fn loose(len: usize, capacity: usize) -> bool {
            capacity > 1 << 12 && len < capacity / 4
        }
        if loose(self.series.len(), self.series.capacity()) {
            self.series.shrink_to_fit();
            self.by_hash.shrink_to_fit();
        }
        while self.free.len() > 1 << 12 && matches!(self.pairs.last(), Some(Pair { series: Series::None, .. })) {
            // Free places at the end go; the list of them is cleaned below.
            self.pairs.pop();
            let len = self.pairs.len() as u32;
            if self.pairs.len() & 0xfff == 0 {
                self.free.retain(|at| *at < len);
            }
        }
        let len = self.pairs.len() as u32;
        self.free.retain(|at| *at < len);
        if loose(self.pairs.len(), self.pairs.capacity()) {
            self.pairs.shrink_to_fit();
            self.free.shrink_to_fit();
        }
    }

    /// Names of labels that any of some series has, in order.
    pub(crate) fn label_names(&self, among: &RoaringBitmap) -> Vec<String> {
        let any = |values: &Values| self.of(values.values()).any(|numbers| numbers.any(among));
        self.names.iter().filter(|(_, values)| any(values)).map(|(name, _)| (&**name).into()).collect()
    }

    /// Values of a label that any of some series has, in order.
    pub(crate) fn label_values(&self, name: &str, among: &RoaringBitmap) -> Vec<String> {
        let Some(values) = self.names.get(name) else { return Vec::new() };
        let any = |pair: &u32| self.pairs[*pair as usize].series.numbers().is_some_and(|numbers| numbers.any(among));
        values.iter().filter(|(_, pair)| any(pair)).map(|(value, _)| (&**value).into()).collect()
    }

    fn of<'a>(&'a self, pairs: impl Iterator<Item = &'a u32>) -> impl Iterator<Item = Numbers<'a>> {
        pairs.filter_map(|pair| self.pairs[*pair as usize].series.numbers())
    }
}

impl Postings for Active {
    fn value(&self, name: &str, value: &str, take: &mut dyn FnMut(Numbers<'_>)) -> Result<(), StoreError> {
        let pair = self.names.get(name).and_then(|values| values.get(value));
        self.of(pair.into_iter()).for_each(take);
        Ok(())
    }

    fn values(
        &self,
        name: &str,
        from: &str,
        take: &mut dyn FnMut(&str, Numbers<'_>) -> GoOn,
    ) -> Result<(), StoreError> {
        let Some(values) = self.names.get(name) else { return Ok(()) };
        for (value, pair) in values.range::<str, _>((Bound::Included(from), Bound::Unbounded)) {
            if let Some(numbers) = self.pairs[*pair as usize].series.numbers()
                && !take(value, numbers)
            {
                break;
            }
        }
        Ok(())
    }

    fn filter(
        &self,
        name: &str,
        among: &RoaringBitmap,
        keep: &mut dyn FnMut(&str) -> bool,
    ) -> Result<Option<RoaringBitmap>, StoreError> {
        let values = self.names.get(name).map_or(0, BTreeMap::len);
        if among.len() >= values as u64 {
            return Ok(None);
        }
        let value_of = |number: &u32| {
            let pairs = self.series.get(number)?;
            pairs
                .iter()
                .map(|pair| &self.pairs[*pair as usize])
                .find(|pair| &*pair.name == name)
                .map(|pair| &*pair.value)
        };
        Ok(Some(among.iter().filter(|number| keep(value_of(number).unwrap_or_default())).collect()))
    }
}

#[cfg(test)]
mod tests {
    use model::{MatchOp, Matcher};

    use super::super::matching::matching;
    use super::*;

    #[test]
    fn matchers_find_what_a_look_at_every_series_finds() {
        let mut active = Active::default();
        let sets = [
            Labels::from_pairs([("__name__", "up"), ("job", "api"), ("env", "prod")]),
            Labels::from_pairs([("__name__", "up"), ("job", "db")]),
            Labels::from_pairs([("__name__", "down"), ("job", "api"), ("env", "test")]),
            Labels::default(),
        ];
        for (number, labels) in (0..).zip(&sets) {
            assert_eq!(active.insert(number, labels), number);
            assert_eq!(active.insert(number + 10, labels), number, "a label set has one number");
        }
        let mut tried = 0;
        for name in ["__name__", "job", "env", "absent"] {
            for op in [MatchOp::Equal, MatchOp::NotEqual, MatchOp::Regex, MatchOp::NotRegex] {
                for value in ["", "up", "api", ".*", ".+", "prod|", "a.*|db", "api|db", "p.*", "nope"] {
                    let matchers =
                        [Matcher::new(name, op, value).unwrap(), Matcher::new("job", MatchOp::NotEqual, "db").unwrap()];
                    let expected: Vec<u32> = (0..4)
                        .filter(|number| matchers.iter().all(|matcher| matcher.matches_labels(&sets[*number as usize])))
                        .collect();
                    let found = matching(&active, &matchers, active.all()).unwrap();
                    assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{matchers:?}");
                    tried += 1;
                }
            }
        }
        assert_eq!(tried, 160);
        active.remove(0);
        active.remove(2);
        active.remove(77);
        let all = active.all().clone();
        assert_eq!(active.label_names(&all), ["__name__", "job"]);
        assert_eq!(active.label_values("job", &all), ["db"]);
        assert_eq!((active.number_of(&sets[0]), active.number_of(&sets[1])), (None, Some(1)));
        assert_eq!(active.insert(5, &sets[2]), 5);
        assert_eq!((active.labels_of(5).as_ref(), active.len()), (Some(&sets[2]), 3));
        active.shrink();
        assert_eq!(active.labels_of(1).as_ref(), Some(&sets[1]));
    }
}
