//! One live `target_info` for each job and instance: when a resource changes its attributes, or two resources claim one target, the
//! series seen before ends where the other begins. Else every `group_left` join on it would fail with "found duplicate series"
//! (OpenTelemetry, Prometheus compatibility, "Resource attributes": at most one for a pair).

use std::collections::HashMap;
use std::hash::BuildHasher as _;

use model::meter::Counter;
use model::{Labels, Matcher, MsRange};

use crate::StoreError;
use crate::history::{History, Stored};
use crate::limits::{TARGET_LIVE_MS, TARGETS_REMEMBERED};

static REPLACED: Counter = Counter::new(
    "binnacle_store_target_info_replaced_total",
    "target_info series ended because the same job and instance came with other attributes.",
    &[],
);

#[derive(Default)]
pub(crate) struct Targets {
    hasher: foldhash::fast::RandomState,
    /// Hash of job and instance, by series.
    pairs: HashMap<u32, u64, foldhash::fast::RandomState>,
    /// The live series of each pair, and its newest sample's time.
    live: HashMap<u64, (u32, i64), foldhash::fast::RandomState>,
}

impl Targets {
    /// Forgets everything: what reached the disk is not known.
    pub(crate) fn clear(&mut self) {
        *self = Targets::default();
    }

    /// Takes a sample of a `target_info` series; returns the series that end at its time, with their labels when they may not be in
    /// memory. `labels` is asked for at first sight only.
    pub(crate) fn take(
        &mut self,
        number: u32,
        at_ms: i64,
        labels: &dyn Fn() -> Option<Labels>,
        history: &dyn History,
    ) -> Result<Vec<(u32, Option<Labels>)>, StoreError> {
        if let Some((live, live_ms)) = self.pairs.get(&number).and_then(|pair| self.live.get_mut(pair)) {
            if *live == number {
                *live_ms = at_ms.max(*live_ms);
                return Ok(Vec::new());
            }
            if at_ms < *live_ms {
                return Ok(Vec::new());
            }
            let ended = std::mem::replace(live, number);
            *live_ms = at_ms;
            REPLACED.add(&[], 1);
            return Ok(vec![(ended, None)]);
        }
        let Some(labels) = labels() else { return Ok(Vec::new()) };
        let (job, instance) = (labels.value("job"), labels.value("instance"));
        let pair = self.hasher.hash_one((job, instance));
        if self.live.len() >= TARGETS_REMEMBERED || self.pairs.len() >= TARGETS_REMEMBERED {
            self.clear();
        }
        self.pairs.insert(number, pair);
        if self.live.contains_key(&pair) {
            return self.take(number, at_ms, &|| None, history);
        }
        self.live.insert(pair, (number, at_ms));
        // Not seen since the start: whoever else had a sample lately is live.
        let matchers = [("__name__", labels.metric_name()), ("job", job), ("instance", instance)]
            .map(|(name, value)| Matcher::equal(name, value));
        let range = MsRange { start_ms: at_ms.saturating_sub(TARGET_LIVE_MS), end_ms: at_ms };
        let mut others = history.select(&matchers, range)?;
        others.retain(|(other, with)| *other != number && *with != labels);
        let mut ended = Vec::new();
        if !others.is_empty() {
            let numbers: Vec<u32> = others.iter().map(|(other, _)| *other).collect();
            for ((other, labels), last) in others.into_iter().zip(history.last_in(&numbers, range)?) {
                if last.is_some_and(|last| last.value != Stored::Ended) {
                    ended.push((other, Some(labels)));
                }
            }
        }
        REPLACED.add(&[], ended.len() as u64);
        Ok(ended)
    }
}
