//! The sum of two exponential histograms, as a delta is added to what was counted before it.
//!
//! Two histograms meet at the coarser of their resolutions and at the wider of their zero buckets (OpenTelemetry, metrics data model,
//! "ExponentialHistogram: merging"; Prometheus, `FloatHistogram.Add`). The sum stays within what can be stored.

use model::Histogram;
use model::histogram::SCHEMA_MIN;

use crate::histogram::BUCKETS_MAX;

/// `sum + delta`. Both have exponential buckets, in order of index, as the decoder makes them.
pub fn added(sum: &Histogram, delta: &Histogram) -> Histogram {
    let schema = sum.schema.min(delta.schema);
    let (mut sum, mut delta) = (coarser(sum, schema), coarser(delta, schema));
    // Each round swallows a bucket of one side or ends.
    while sum.zero_threshold != delta.zero_threshold {
        if sum.zero_threshold < delta.zero_threshold {
            widen_zero(&mut sum, delta.zero_threshold);
        } else if delta.zero_threshold < sum.zero_threshold {
            widen_zero(&mut delta, sum.zero_threshold);
        } else {
            break;
        }
    }
    sum.count += delta.count;
    sum.sum += delta.sum;
    sum.zero_count += delta.zero_count;
    sum.positive = merged(&sum.positive, &delta.positive);
    sum.negative = merged(&sum.negative, &delta.negative);
    while sum.positive.len().max(sum.negative.len()) > BUCKETS_MAX && sum.schema > SCHEMA_MIN {
        sum = coarser(&sum, sum.schema - 1);
    }
    sum
}

/// Buckets merged by twos until the resolution is no finer than `schema`; exponential buckets in order of index.
pub fn coarser(histogram: &Histogram, schema: i32) -> Histogram {
    let mut out = histogram.clone();
    let steps = i64::from(histogram.schema) - i64::from(schema);
    if steps <= 0 {
        return out;
    }
    out.schema = schema;
    for side in [&mut out.positive, &mut out.negative] {
        let mut coarse: Vec<(i32, f64)> = Vec::with_capacity(side.len());
        for (index, count) in side.iter() {
            let index = (index.saturating_sub(1) >> steps.min(31)) + 1;
            match coarse.last_mut() {
                Some((last, total)) if *last == index => *total += count,
                _ => coarse.push((index, *count)),
            }
        }
        *side = coarse;
    }
    out
}

/// Widens the zero bucket to `threshold`, or to the end of the bucket that it falls into.
fn widen_zero(histogram: &mut Histogram, mut threshold: f64) {
    let schema = histogram.schema;
    let upper = |index: i32| 2f64.powf(f64::from(index) * 2f64.powi(-schema));
    let mut swallowed = 0.0;
    for (index, count) in histogram.positive.iter().chain(&histogram.negative) {
        if *count != 0.0 && upper(index.saturating_sub(1)) < threshold {
            threshold = threshold.max(upper(*index));
        }
    }
    for side in [&mut histogram.positive, &mut histogram.negative] {
        side.retain(|(index, count)| {
            let inside = upper(index.saturating_sub(1)) < threshold;
            swallowed += if inside { *count } else { 0.0 };
            !inside
        });
    }
    histogram.zero_count += swallowed;
    histogram.zero_threshold = threshold;
}

fn merged(one: &[(i32, f64)], other: &[(i32, f64)]) -> Vec<(i32, f64)> {
    let mut out: Vec<(i32, f64)> = one.iter().chain(other).copied().collect();
    out.sort_by_key(|(index, _)| *index);
    out.dedup_by(|later, kept| {
        let same = later.0 == kept.0;
        if same {
            kept.1 += later.1;
        }
        same
    });
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn histogram(schema: i32, zero: (f64, f64), positive: &[(i32, f64)], negative: &[(i32, f64)]) -> Histogram {
        let (zero_threshold, zero_count) = zero;
        let count = zero_count + positive.iter().chain(negative).map(|(_, count)| count).sum::<f64>();
        let (positive, negative) = (positive.to_vec(), negative.to_vec());
        Histogram { schema, zero_threshold, zero_count, count, sum: 0.5, positive, negative, ..Histogram::default() }
    }

    #[test]
    fn sums_meet_at_the_coarser_shape() {
        let check = |one: &Histogram, other: &Histogram, expected: Histogram| {
            let expected = Histogram { sum: 1.0, ..expected };
            assert_eq!(added(one, other), expected);
            assert_eq!(added(other, one), expected);
        };
        let plain = histogram(0, (0.0, 1.0), &[(0, 1.0), (3, 2.0)], &[(1, 5.0)]);
        check(
            &plain,
            &histogram(0, (0.0, 2.0), &[(-1, 7.0), (3, 1.0)], &[]),
            histogram(0, (0.0, 3.0), &[(-1, 7.0), (0, 1.0), (3, 3.0)], &[(1, 5.0)]),
        );
        // Buckets 5 and 6 of schema 1 are bucket 3 of schema 0; 4 is in bucket 2.
        check(
            &plain,
            &histogram(1, (0.0, 0.0), &[(4, 1.0), (5, 1.0), (6, 1.0)], &[]),
            histogram(0, (0.0, 1.0), &[(0, 1.0), (2, 1.0), (3, 4.0)], &[(1, 5.0)]),
        );
        // A zero bucket up to 3 swallows what lies below, and reaches to the end of (2, 4] where something is.
        check(
            &plain,
            &histogram(0, (3.0, 1.0), &[(4, 1.0)], &[]),
            histogram(0, (3.0, 8.0), &[(3, 2.0), (4, 1.0)], &[]),
        );
        check(
            &histogram(0, (0.0, 0.0), &[(2, 1.0)], &[]),
            &histogram(0, (3.0, 0.0), &[(2, 1.0), (3, 1.0)], &[]),
            histogram(0, (4.0, 2.0), &[(3, 1.0)], &[]),
        );
    }

    #[test]
    fn a_sum_can_be_stored() {
        let side = |first: i32| (0..BUCKETS_MAX as i32).map(|n| (first + n, 1.0)).collect::<Vec<_>>();
        let sum = added(&histogram(8, (0.0, 0.0), &side(0), &[]), &histogram(8, (0.0, 0.0), &side(9_000), &[]));
        assert_eq!((sum.schema, sum.count), (7, 2.0 * BUCKETS_MAX as f64));
        assert!(crate::histogram::is_storable(&sum));
    }
}
