//! What the store holds of a series around a time: asked when a stream is seen for the first time since the start, and when it was reset.

use std::sync::Arc;

use model::metric::is_stale;
use model::time::{Day, MS_PER_DAY};
use model::{Histogram, Labels, Matcher, MsRange, SeriesId};

use crate::snapshot::{ReadGuard, Snapshot};
use crate::tenant::Inner;
use crate::{Samples, StoreError};

/// How far before a point the last sample of its series is sought, in ms, window by window: most are found in the first. A stream that
/// was silent for longer than all of them begins anew.
const WINDOWS_MS: [i64; 3] = [3_600_000, 25 * 3_600_000, 8 * 24 * 3_600_000];

/// A stored sample.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Last {
    pub(crate) at_ms: i64,
    pub(crate) value: Stored,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Stored {
    /// The stale marker, of either kind.
    Ended,
    Float(f64),
    Histogram(Arc<Histogram>),
}

pub(crate) trait History {
    /// The last sample of each series within the range.
    fn last_in(&self, series: &[u32], range: MsRange) -> Result<Vec<Option<Last>>, StoreError>;

    /// Series that satisfy all matchers and may have samples in the range, by one of their numbers each.
    fn select(&self, matchers: &[Matcher], range: MsRange) -> Result<Vec<(u32, Labels)>, StoreError>;

    /// The end of the newest day whose samples are gone and have figures of five minutes in their place; the least time if there is none.
    fn samples_gone_until_ms(&self) -> Result<i64, StoreError> {
        Ok(i64::MIN)
    }

    /// The times within the range at which such a day has figures of each series: of each step its last sample's.
    fn times_of_figures(&self, _day: Day, series: &[&Labels], _range: MsRange) -> Result<Vec<Vec<i64>>, StoreError> {
        Ok(vec![Vec::new(); series.len()])
    }

    /// The newest sample of each series; those older than eight days before `near_ms` are not found.
    fn newest(&self, series: &[u32], near_ms: i64) -> Result<Vec<Option<Last>>, StoreError> {
        let mut found = vec![None; series.len()];
        let mut end_ms = i64::MAX;
        for window_ms in WINDOWS_MS {
            let missing: Vec<usize> = (0..series.len()).filter(|at| found[*at].is_none()).collect();
            let numbers: Vec<u32> = missing.iter().map(|at| series[*at]).collect();
            if numbers.is_empty() {
                break;
            }
            let range = MsRange { start_ms: near_ms.saturating_sub(window_ms), end_ms };
            for (at, last) in missing.into_iter().zip(self.last_in(&numbers, range)?) {
                found[at] = last;
            }
            end_ms = range.start_ms.saturating_sub(1);
        }
        Ok(found)
    }
}

/// What was acknowledged before the commit that asks.
pub(crate) struct Acknowledged<'a>(pub(crate) &'a Arc<Inner>);

/// The writer answers for its own reads: they are bounded by the series of one request.
struct Unbounded;

impl ReadGuard for Unbounded {
    fn spend(&mut self, _samples: u64, _bytes: u64) -> Result<(), StoreError> {
        Ok(())
    }
}

impl History for Acknowledged<'_> {
    fn last_in(&self, series: &[u32], range: MsRange) -> Result<Vec<Option<Last>>, StoreError> {
        let ids: Vec<SeriesId> = series.iter().map(|number| SeriesId(u64::from(*number))).collect();
        let read = Snapshot::new(self.0.clone()).read(&ids, range, &mut Unbounded)?;
        Ok(read.iter().map(last_of).collect())
    }

    fn select(&self, matchers: &[Matcher], range: MsRange) -> Result<Vec<(u32, Labels)>, StoreError> {
        let found = Snapshot::new(self.0.clone()).select(matchers, range, usize::MAX)?;
        Ok(found.into_iter().filter_map(|series| Some((u32::try_from(series.id.0).ok()?, series.labels))).collect())
    }

    fn samples_gone_until_ms(&self) -> Result<i64, StoreError> {
        for day in self.0.rollups.days().into_iter().rev() {
            if self.0.rollups.summary(day)?.alone.is_some() {
                return Ok(day.start_ms().saturating_add(MS_PER_DAY));
            }
        }
        Ok(i64::MIN)
    }

    fn times_of_figures(&self, day: Day, series: &[&Labels], range: MsRange) -> Result<Vec<Vec<i64>>, StoreError> {
        if self.0.rollups.summary(day)?.alone.is_none() {
            return Ok(vec![Vec::new(); series.len()]);
        }
        self.0.rollups.times_of_figures(day, series, range, &mut Unbounded)
    }
}

fn last_of(samples: &Samples) -> Option<Last> {
    let float = samples.at_ms.last().zip(samples.values.last()).map(|(at_ms, value)| {
        let value = if is_stale(*value) { Stored::Ended } else { Stored::Float(*value) };
        Last { at_ms: *at_ms, value }
    });
    let histogram = samples.histograms.last().map(|(at_ms, histogram)| {
        let value = if histogram.is_stale() { Stored::Ended } else { Stored::Histogram(histogram.clone()) };
        Last { at_ms: *at_ms, value }
    });
    [float, histogram].into_iter().flatten().max_by_key(|last| last.at_ms)
}
