//! Delta streams summed up: what is stored is the running sum, so that a counter is a counter however its sender counts.
//!
//! Rules (OpenTelemetry, metrics data model, "Sums: Delta-to-Cumulative"): a point that begins where the one before ended adds to the
//! sum; one without a start adds too; a gap or an overlap begins a new sum; a point that ends no later than the sum does is not added
//! again. The sum is durable with its sample: after a restart it goes on from the last sample in the store.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use model::meter::{Counter, Gauge};
use model::{Histogram, MsRange, Reason};

use crate::StoreError;
use crate::head::weight_of;
use crate::history::{History, Last, Stored};
use crate::limits::{DELTA_IDLE_MS, LATE_TIMES_MAX};
use crate::runs::shows_reset;

static POINTS: Counter = Counter::new(
    "binnacle_store_delta_points_total",
    "Delta points that did not simply add to their sum: repeated ones, gaps and overlaps that began a new sum, late ones (refused).",
    &["what"],
);
static STREAMS: Gauge = Gauge::new(
    "binnacle_store_delta_series",
    "Series that are summed up from deltas, of the tenant written last.",
    &[],
);

#[derive(Debug, Clone)]
struct Sum {
    /// When the sum began; `None` when that was before the server's start.
    start_ms: Option<i64>,
    /// Up to when it counts: the time of its last sample.
    end_ms: i64,
    value: Stored,
}

impl Sum {
    /// In floats, as the limit counts.
    fn weight(&self) -> usize {
        match &self.value {
            Stored::Histogram(histogram) => 1 + weight_of(histogram.positive.len() + histogram.negative.len()) / 2,
            _ => 1,
        }
    }
}

/// The deltas of one point, series by series.
pub(crate) struct Point<'p> {
    pub(crate) numbers: &'p [u32],
    pub(crate) values: &'p [Stored],
    pub(crate) at_ms: i64,
    pub(crate) start_ms: Option<i64>,
    pub(crate) monotonic: bool,
}

#[derive(Debug, PartialEq)]
pub(crate) enum Taken {
    /// Sums in the order of the point's series, and when samples of zero go before them.
    Sums {
        values: Vec<Stored>,
        zero_ms: Option<i64>,
    },
    /// Counted already.
    Repeated,
    Refused(Reason, String),
}

#[derive(Default)]
pub(crate) struct Deltas {
    sums: HashMap<u32, Sum, foldhash::fast::RandomState>,
    weight: usize,
    /// The newest end of all.
    newest_ms: i64,
    swept: bool,
    /// First series and time of late points of this request that are in the store, and of points taken in this commit.
    stored: HashSet<(u32, i64)>,
    taken: HashSet<(u32, i64)>,
}

impl Deltas {
    /// A commit begins.
    pub(crate) fn begin(&mut self) {
        self.swept = false;
        self.taken.clear();
    }

    /// Forgets everything: what reached the disk is not known.
    pub(crate) fn clear(&mut self) {
        *self = Deltas::default();
    }

    pub(crate) fn knows(&self, number: u32) -> bool {
        self.sums.contains_key(&number)
    }

    /// What the store says of a series that is not known. Over the limit it is not taken in, and its points are refused.
    pub(crate) fn load(&mut self, number: u32, last: &Last, series_max: usize) {
        let sum = Sum { start_ms: None, end_ms: last.at_ms, value: last.value.clone() };
        if self.has_room(sum.weight(), series_max) {
            self.put(number, sum);
        }
    }

    /// Looks up whether late points of a request are in the store: then they are repetitions. `late` are first series and times.
    pub(crate) fn look_up(
        &mut self,
        late: impl Iterator<Item = (u32, i64)>,
        history: &dyn History,
    ) -> Result<(), StoreError> {
        self.stored.clear();
        let mut by_time: HashMap<i64, Vec<u32>> = HashMap::new();
        for (number, at_ms) in late {
            // At the very end, too: it may come after a newer point of the same request.
            if self.sums.get(&number).is_some_and(|sum| at_ms <= sum.end_ms)
                && (by_time.len() < LATE_TIMES_MAX || by_time.contains_key(&at_ms))
            {
                by_time.entry(at_ms).or_default().push(number);
            }
        }
        for (at_ms, numbers) in by_time {
            let found = history.last_in(&numbers, MsRange { start_ms: at_ms, end_ms: at_ms })?;
            self.stored.extend(numbers.iter().zip(found).filter(|(_, last)| last.is_some()).map(|(n, _)| (*n, at_ms)));
        }
        Ok(())
    }

    /// Why `series` more cannot be summed up, if so.
    pub(crate) fn no_room(&mut self, series: usize, series_max: usize) -> Option<(Reason, String)> {
        if series == 0 || self.has_room(series, series_max) {
            return None;
        }
        let message = format!(
            "{series_max} series are summed up from deltas already (limits.delta_series); raise it, or have the SDK export cumulative"
        );
        Some((Reason::DeltaLimit, message))
    }

    /// Adds one point, for whose series there is room.
    pub(crate) fn take(&mut self, point: &Point<'_>) -> Taken {
        let Point { numbers, values, at_ms, start_ms, monotonic } = *point;
        let known: Vec<Option<&Sum>> = numbers.iter().map(|number| self.sums.get(number)).collect();
        let end_ms = known.iter().flatten().map(|sum| sum.end_ms).max();
        let mut sums = values.to_vec();
        let mut zero_ms = None;
        let mut began_ms = start_ms;
        if let Some(end_ms) = end_ms {
            if at_ms <= end_ms {
                return self.late(point, end_ms);
            }
            let stream_start_ms = known.iter().flatten().filter_map(|sum| sum.start_ms).max();
            if start_ms.zip(stream_start_ms).is_some_and(|(start_ms, of_stream)| start_ms < of_stream) {
                POINTS.add(&["late"], 1);
                return Taken::Refused(
                    Reason::OutOfOrder,
                    "a delta begins before its stream did; part of it was counted already".into(),
                );
            }
            // All series of the point must have come this far together, or its buckets would count from different times.
            let together = known.iter().all(|sum| sum.is_some_and(|sum| sum.end_ms == end_ms && !is_ended(&sum.value)));
            let zero_at = start_ms.unwrap_or(end_ms).max(end_ms + 1);
            if together && (start_ms.is_none_or(|start_ms| start_ms == end_ms) || zero_at >= at_ms) {
                sums = known.iter().flatten().zip(values).map(|(sum, delta)| add(&sum.value, delta)).collect();
                began_ms = stream_start_ms.or(start_ms);
            } else {
                POINTS.add(&[if start_ms.is_some_and(|start_ms| start_ms < end_ms) { "overlap" } else { "gap" }], 1);
                let shown = known.iter().zip(values).all(|(sum, value)| {
                    let last = sum.map(|sum| Last { at_ms: sum.end_ms, value: sum.value.clone() });
                    shows_reset(last.as_ref(), value)
                });
                zero_ms = (monotonic && !shown && zero_at < at_ms).then_some(zero_at);
            }
        }
        for (number, value) in numbers.iter().zip(&sums) {
            self.put(*number, Sum { start_ms: began_ms, end_ms: at_ms, value: value.clone() });
        }
        self.taken.extend(numbers.first().map(|first| (*first, at_ms)));
        Taken::Sums { values: sums, zero_ms }
    }

    /// A point that ends where the sum ends already, or before.
    fn late(&self, point: &Point<'_>, end_ms: i64) -> Taken {
        let first = point.numbers.first().copied().unwrap_or_default();
        let place = (first, point.at_ms);
        if point.at_ms == end_ms || self.stored.contains(&place) || self.taken.contains(&place) {
            POINTS.add(&["repeated"], 1);
            return Taken::Repeated;
        }
        POINTS.add(&["late"], 1);
        Taken::Refused(
            Reason::OutOfOrder,
            format!(
                "a delta up to {} came after its sum had reached {}; send deltas in order, or export cumulative",
                model::time::rfc3339_ms(point.at_ms),
                model::time::rfc3339_ms(end_ms)
            ),
        )
    }

    fn put(&mut self, number: u32, sum: Sum) {
        self.newest_ms = self.newest_ms.max(sum.end_ms);
        self.weight += sum.weight();
        if let Some(before) = self.sums.insert(number, sum) {
            self.weight -= before.weight();
        }
        STREAMS.set(&[], self.sums.len() as f64);
    }

    /// Makes room once a commit by forgetting streams that have been silent for an hour: the store knows where they stopped.
    fn has_room(&mut self, weight: usize, series_max: usize) -> bool {
        if self.weight + weight > series_max && !std::mem::replace(&mut self.swept, true) {
            let idle_ms = self.newest_ms.saturating_sub(DELTA_IDLE_MS);
            self.sums.retain(|_, sum| sum.end_ms >= idle_ms);
            self.weight = self.sums.values().map(Sum::weight).sum();
        }
        self.weight + weight <= series_max
    }
}

fn is_ended(value: &Stored) -> bool {
    *value == Stored::Ended
}

/// A float and a histogram of one series are of different metrics: the delta then begins anew.
fn add(sum: &Stored, delta: &Stored) -> Stored {
    match (sum, delta) {
        (Stored::Float(sum), Stored::Float(delta)) => Stored::Float(sum + delta),
        (Stored::Histogram(sum), Stored::Histogram(delta)) => {
            Stored::Histogram(Arc::new(codec::histogram_sum::added(sum, delta)))
        }
        (_, delta) => delta.clone(),
    }
}

/// Nothing counted yet, in the shape of what comes after.
pub(crate) fn zero_like(value: &Histogram) -> Histogram {
    Histogram { schema: value.schema, zero_threshold: value.zero_threshold, ..Histogram::default() }
}
