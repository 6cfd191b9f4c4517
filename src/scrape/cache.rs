//! The series that a target had in its last scrapes: found again by their bytes, and ended when they are gone.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use codec::exposition::{Numbers, series_labels};
use model::Labels;
use model::labels::METRIC_NAME;
use xxhash_rust::xxh3::{xxh3_128, xxh3_128_with_seed};

use super::labels;
use super::target::Target;
use crate::relabel::Relabeler;

/// A series as its target writes it.
pub(super) struct Cached {
    /// Under which the store knows it.
    pub(super) key: u128,
    text: Box<[u8]>,
    numbers: Numbers,
    /// The round in which it came last.
    seen: u64,
    /// It came in that round without a timestamp of the target's: then its absence is its end.
    ends: bool,
    /// Its last stored sample is one that must be ended.
    live: bool,
}

#[derive(Default)]
pub(super) struct Cache {
    series: HashMap<u128, Cached>,
    /// What relabelling dropped, with the round in which it came last.
    dropped: HashMap<u128, u64>,
    round: u64,
    /// What the target had while its samples got other labels, until its next scrape tells what of it goes on.
    former: Option<Box<(Arc<Target>, Cache)>>,
}

/// Whose labels the series get.
#[derive(Clone, Copy)]
pub(super) struct Owner<'a> {
    pub(super) labels: &'a Labels,
    pub(super) honor_labels: bool,
    pub(super) relabel: &'a Relabeler,
}

impl Owner<'_> {
    /// The labels that a sample is stored with; `None` when relabelling drops it.
    ///
    /// # Errors
    /// When the sample has a label twice, or has no name any more.
    pub(super) fn stored(self, pairs: Vec<(String, String)>) -> Result<Option<Labels>, String> {
        let labels = labels::of_sample(pairs, self.labels, self.honor_labels)?;
        let stored = self.relabel.apply(&labels);
        match stored {
            Some(stored) if stored.get(METRIC_NAME).is_none() => {
                Err(format!("metric_relabel_configs leave no name (__name__) to {labels}"))
            }
            stored => Ok(stored),
        }
    }
}

impl Cached {
    /// The labels, read again from the text that was good once.
    pub(super) fn labels(&self, owner: Owner<'_>) -> Option<Labels> {
        let pairs = series_labels(&self.text, self.numbers).ok()?;
        owner.stored(pairs).ok()?
    }
}

/// The key of a label set at the store's doors.
pub(super) fn key_of(labels: &Labels) -> u128 {
    let mut bytes = b"scrape".to_vec();
    for text in labels.iter().flat_map(|(name, value)| [name, value]) {
        bytes.extend((text.len() as u64).to_le_bytes());
        bytes.extend(text.as_bytes());
    }
    xxh3_128(&bytes)
}

impl Cache {
    pub(super) fn begin(&mut self) {
        self.round += 1;
    }

    pub(super) fn place(text: &[u8], numbers: Numbers) -> u128 {
        xxh3_128_with_seed(text, numbers as u64)
    }

    pub(super) fn get(&self, place: u128) -> Option<&Cached> {
        self.series.get(&place)
    }

    /// Whether relabelling dropped it, as far as that is known; marks it as there in this round.
    pub(super) fn is_dropped(&mut self, place: u128) -> bool {
        let round = self.round;
        self.dropped.get_mut(&place).is_some_and(|seen| {
            *seen = round;
            true
        })
    }

    pub(super) fn drop_from_now_on(&mut self, place: u128) {
        self.dropped.insert(place, self.round);
    }

    pub(super) fn insert(&mut self, place: u128, text: &[u8], numbers: Numbers, key: u128) {
        let cached = Cached { key, text: text.into(), numbers, seen: 0, ends: false, live: false };
        self.series.insert(place, cached);
    }

    /// Marks a series as there in this round; false when it was there already.
    pub(super) fn see(&mut self, place: u128, ends: bool) -> bool {
        let Some(cached) = self.series.get_mut(&place) else { return true };
        let first = cached.seen != self.round;
        cached.seen = self.round;
        cached.ends = ends || !first && cached.ends;
        first
    }

    /// Series whose end is to be marked: those not seen in this round or, when the scrape failed, all.
    pub(super) fn ended(&self, failed: bool) -> Vec<&Cached> {
        let is_seen = |cached: &Cached| !failed && cached.seen == self.round;
        let mut ended: Vec<&Cached> = self.series.values().filter(|cached| cached.live && !is_seen(cached)).collect();
        if !failed && !ended.is_empty() {
            // The same series may have come in other words: labels in another order, say.
            let there: HashSet<u128> =
                self.series.values().filter(|cached| is_seen(cached)).map(|cached| cached.key).collect();
            ended.retain(|cached| !there.contains(&cached.key));
        }
        // In an order that a run repeats.
        ended.sort_by(|one, other| one.text.cmp(&other.text));
        ended.dedup_by_key(|cached| cached.key);
        ended
    }

    /// An empty one for a target whose samples get other labels from now on, which remembers what `former` still has to be ended.
    pub(super) fn taken_over(mut self, former: &Arc<Target>) -> Cache {
        // Nothing was scraped since the labels changed the last time.
        let former = match self.former.take() {
            Some(before) if self.series.is_empty() => before,
            _ => Box::new((former.clone(), self)),
        };
        Cache { former: Some(former), ..Cache::default() }
    }

    /// Series of the time before the labels changed whose end is to be marked, with whose they were.
    pub(super) fn former_ended(&self, failed: bool) -> Option<(&Target, Vec<&Cached>)> {
        let (target, cache) = &**self.former.as_ref()?;
        let mut ended = cache.ended(true);
        if !failed {
            let there: HashSet<u128> =
                self.series.values().filter(|cached| cached.seen == self.round).map(|cached| cached.key).collect();
            ended.retain(|cached| !there.contains(&cached.key));
        }
        Some((target, ended))
    }

    /// The round was stored: what was not in it is forgotten.
    pub(super) fn commit(&mut self, failed: bool) {
        let round = self.round;
        self.former = None;
        self.dropped.retain(|_, seen| *seen == round);
        self.series.retain(|_, cached| {
            cached.live = cached.ends;
            !failed && cached.seen == round
        });
    }
}
