//! Which series an expression's selectors touched, and how fresh they are: what tells "it is over" from "nobody can tell".
//!
//! A source in front of another one that takes notes. The newest sample's age counts from the end of what was asked for, so
//! that an `offset` does not make data look old.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use model::alert::reason;
use model::{Instance, Labels, Matcher, MsRange, metric};
use query::promql::Source;
use store::{ReadGuard, Samples, Series, StoreError};

/// Age below which a sample is fresh whatever its series' interval: three pushes of the usual 30 s.
pub(crate) const FRESH_MS: i64 = 90_000;

/// How old a series' newest sample may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// As old as an instant selector looks back.
    Lookback,
    /// Twice the distance of its last two samples, and at least 90 s.
    Observed,
    AtMost {
        ms: i64,
    },
}

/// One series that was read.
#[derive(Debug, Clone)]
struct Touch {
    labels: Labels,
    newest_ms: i64,
    age_ms: i64,
    /// Distance of the last two samples.
    gap_ms: Option<i64>,
    /// Its newest sample is a stale marker.
    ended: bool,
}

/// How a series stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Standing {
    Gone,
    Old,
    Fresh,
}

impl Touch {
    fn standing(&self, freshness: Freshness, lookback_ms: i64) -> Standing {
        if self.ended || self.age_ms > lookback_ms {
            return Standing::Gone;
        }
        let most_ms = match freshness {
            Freshness::Lookback => lookback_ms,
            Freshness::Observed => FRESH_MS.max(self.gap_ms.unwrap_or(0).saturating_mul(2)),
            Freshness::AtMost { ms } => ms,
        };
        if self.age_ms > most_ms { Standing::Old } else { Standing::Fresh }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Touched {
    /// Selections made; an expression without selectors makes none.
    selections: usize,
    series: Vec<Touch>,
}

impl Touched {
    /// The newest sample's time of all, in ms.
    pub(crate) fn newest_ms(&self) -> Option<i64> {
        self.series.iter().filter(|touch| !touch.ended).map(|touch| touch.newest_ms).max()
    }

    /// Whether the expression reads series at all.
    pub(crate) fn has_selectors(&self) -> bool {
        self.selections > 0
    }

    /// Why the whole expression cannot be judged: it has selectors, and none of them found a fresh series.
    pub(crate) fn unknown(&self, freshness: Freshness, lookback_ms: i64) -> Option<&'static str> {
        if self.selections == 0 {
            return None;
        }
        match self.series.iter().map(|touch| touch.standing(freshness, lookback_ms)).max() {
            Some(Standing::Fresh) => None,
            Some(Standing::Old) => Some(reason::STALE_DATA),
            Some(Standing::Gone) | None => Some(reason::NO_DATA),
        }
    }

    /// Why one instance cannot be judged: of the labels it has of series, no series that was touched has them all and is fresh.
    /// `own` are the labels the rule gave it.
    pub(crate) fn unknown_instance(
        &self,
        instance: &Instance,
        own: impl Fn(&str) -> bool,
        freshness: Freshness,
        lookback_ms: i64,
    ) -> Option<&'static str> {
        if self.selections == 0 {
            return None;
        }
        let from: Vec<(&str, &str)> =
            instance.labels.iter().filter(|(name, _)| *name != "alertname" && !own(name)).collect();
        if from.is_empty() {
            return None;
        }
        let mut best: Option<Standing> = None;
        for touch in &self.series {
            let mut shared = 0;
            let fits = from.iter().all(|(name, value)| match touch.labels.get(name) {
                Some(has) => {
                    shared += 1;
                    has == *value
                }
                None => true,
            });
            if fits && shared > 0 {
                best = best.max(Some(touch.standing(freshness, lookback_ms)));
            }
        }
        match best {
            Some(Standing::Fresh) => None,
            Some(Standing::Old) => Some(reason::STALE_DATA),
            Some(Standing::Gone) => Some(reason::MISSING_SERIES),
            // Labels that no series has were made by the expression: then all that was touched speaks for it.
            None if self.knows_any(&from) => Some(reason::MISSING_SERIES),
            None => self.unknown(freshness, lookback_ms),
        }
    }

    fn knows_any(&self, from: &[(&str, &str)]) -> bool {
        let names: BTreeSet<&str> =
            self.series.iter().flat_map(|touch| touch.labels.iter().map(|(name, _)| name)).collect();
        self.series.is_empty() || from.iter().any(|(name, _)| names.contains(name))
    }
}

/// A source that notes what is read through it.
pub(crate) struct Watched<'a> {
    source: &'a dyn Source,
    touched: Mutex<Touched>,
}

impl<'a> Watched<'a> {
    pub(crate) fn new(source: &'a dyn Source) -> Watched<'a> {
        Watched { source, touched: Mutex::default() }
    }

    pub(crate) fn into_touched(self) -> Touched {
        self.touched.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    fn touched(&self) -> MutexGuard<'_, Touched> {
        // Notes are added whole; what a panic left is good.
        self.touched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Source for Watched<'_> {
    fn select(&self, matchers: &[Matcher], range: MsRange, series_max: usize) -> Result<Vec<Series>, StoreError> {
        self.touched().selections += 1;
        self.source.select(matchers, range, series_max)
    }

    fn read(&self, series: &[Series], range: MsRange, guard: &mut dyn ReadGuard) -> Result<Vec<Samples>, StoreError> {
        let read = self.source.read(series, range, guard)?;
        let mut touched = self.touched();
        for (series, samples) in series.iter().zip(&read) {
            touched.series.extend(touch(&series.labels, samples, range.end_ms));
        }
        drop(touched);
        Ok(read)
    }
}

fn touch(labels: &Labels, samples: &Samples, end_ms: i64) -> Option<Touch> {
    let float = samples.at_ms.last().copied().zip(samples.values.last().copied());
    let histogram = samples.histograms.last();
    let (newest_ms, ended) = match (float, histogram) {
        (Some((at_ms, value)), Some((histogram_ms, _))) if at_ms >= *histogram_ms => (at_ms, metric::is_stale(value)),
        (_, Some((at_ms, histogram))) => (*at_ms, histogram.is_stale()),
        (Some((at_ms, value)), None) => (at_ms, metric::is_stale(value)),
        (None, None) => return None,
    };
    let before_ms = match samples.at_ms.len() {
        0 | 1 => samples.histograms.len().checked_sub(2).and_then(|at| samples.histograms.get(at)).map(|(at, _)| *at),
        n => samples.at_ms.get(n - 2).copied(),
    };
    let age_ms = end_ms.saturating_sub(newest_ms);
    let gap_ms = before_ms.map(|before_ms| newest_ms.saturating_sub(before_ms));
    Some(Touch { labels: labels.clone(), newest_ms, age_ms, gap_ms, ended })
}
