//! Counter resets between two histograms of a series (Prometheus' `FloatHistogram.DetectReset`).

use std::sync::Arc;

use model::{CounterReset, Histogram};

use super::is_custom;
use super::sum::{Sum, common_bounds, same_bounds};

/// Whether the counter was reset between the two: as its sender says, or else if something shrank or a finer shape appeared.
pub(crate) fn is_reset(before: &Histogram, after: &Histogram) -> bool {
    match after.reset {
        CounterReset::Yes => return true,
        CounterReset::No => return false,
        CounterReset::Unknown | CounterReset::Gauge => {}
    }
    if after.count < before.count {
        return true;
    }
    if is_custom(after.schema) {
        return custom_is_reset(before, after);
    }
    if after.schema > before.schema || after.zero_threshold < before.zero_threshold {
        return true;
    }
    let mut before = Sum::of(before);
    if before.zero_threshold < after.zero_threshold {
        before.widen_zero(after.zero_threshold);
    }
    if before.zero_threshold > after.zero_threshold || after.zero_count < before.zero.total() {
        return true;
    }
    before.coarsen(after.schema);
    shrank(&before.positive_counts(), &after.positive) || shrank(&before.negative_counts(), &after.negative)
}

fn custom_is_reset(before: &Histogram, after: &Histogram) -> bool {
    if !is_custom(before.schema) {
        return true;
    }
    if same_bounds(&before.custom_bounds, &after.custom_bounds) {
        return shrank(&before.positive, &after.positive);
    }
    let common = common_bounds(&before.custom_bounds, &after.custom_bounds);
    let merged = |histogram: &Histogram| {
        let mut sum = Sum::of(histogram);
        sum.rebound(&common);
        sum.positive_counts()
    };
    shrank(&merged(before), &merged(after))
}

fn shrank(before: &[(i32, f64)], after: &[(i32, f64)]) -> bool {
    before.iter().any(|(index, count)| {
        let now = after.binary_search_by_key(index, |(index, _)| *index).map_or(0.0, |at| after[at].1);
        now < *count
    })
}

impl Sum {
    fn positive_counts(&self) -> Vec<(i32, f64)> {
        self.positive.iter().map(|(index, count)| (*index, count.total())).collect()
    }

    fn negative_counts(&self) -> Vec<(i32, f64)> {
        self.negative.iter().map(|(index, count)| (*index, count.total())).collect()
    }
}

/// Says of each histogram what comparing it with the one before it tells, unless its sender has.
///
/// Prometheus reads histograms so wherever an expression needs no more of them than count and sum, and warns of sums
/// over certain resets and certain absences of one.
pub(crate) fn tell_resets(rows: &mut [(i64, Arc<Histogram>)]) {
    let mut before: Option<Arc<Histogram>> = None;
    for (_, histogram) in rows {
        if histogram.is_stale() {
            continue;
        }
        let plain = histogram.clone();
        if let (Some(before), CounterReset::Unknown) = (&before, histogram.reset) {
            let reset = if is_reset(before, histogram) { CounterReset::Yes } else { CounterReset::No };
            Arc::make_mut(histogram).reset = reset;
        }
        before = Some(plain);
    }
}
