//! Quantiles and shares of classic histograms: cumulative counts by upper bound.

use crate::promql::notes::Fall;

/// Relative difference between neighbouring counts that is noise of floating point and not a decrease.
const SMALL_DELTA: f64 = 1e-12;

#[derive(Debug, Clone, Copy)]
pub(crate) struct Bucket {
    pub(crate) bound: f64,
    pub(crate) count: f64,
}

/// The φ-quantile, linear inside its bucket (Prometheus' `BucketQuantile`); and what had to be repaired.
pub(crate) fn bucket_quantile(q: f64, buckets: &mut [Bucket]) -> (f64, Option<Fall>) {
    if q.is_nan() {
        return (f64::NAN, None);
    }
    if q < 0.0 {
        return (f64::NEG_INFINITY, None);
    }
    if q > 1.0 {
        return (f64::INFINITY, None);
    }
    // Without the bucket of everything the number of observations is unknown.
    if buckets.last().is_none_or(|last| last.bound != f64::INFINITY) {
        return (f64::NAN, None);
    }
    let repaired = make_monotonic(buckets);
    let last = buckets.len() - 1;
    let observations = buckets[last].count;
    if last < 1 || observations == 0.0 {
        return (f64::NAN, repaired);
    }
    let mut rank = q * observations;
    let reaches = |bucket: &Bucket| bucket.count >= rank;
    let found = buckets[..last].partition_point(|bucket| !reaches(bucket));
    if found == last {
        return (buckets[last - 1].bound, repaired);
    }
    if found == 0 && buckets[0].bound <= 0.0 {
        return (buckets[0].bound, repaired);
    }
    let Bucket { bound: end, mut count } = buckets[found];
    let mut start = 0.0;
    if found > 0 {
        start = buckets[found - 1].bound;
        count -= buckets[found - 1].count;
        rank -= buckets[found - 1].count;
    }
    (start + (end - start) * (rank / count), repaired)
}

/// Cumulative counts never fall: what falls by noise is evened silently, what falls by more is reported.
fn make_monotonic(buckets: &mut [Bucket]) -> Option<Fall> {
    let mut repaired: Option<Fall> = None;
    let mut before = buckets.first()?.count;
    for bucket in &mut buckets[1..] {
        if bucket.count == before {
            continue;
        }
        if almost_equal(before, bucket.count) {
            bucket.count = before;
        } else if bucket.count < before {
            let (bound, most) = (bucket.bound, before - bucket.count);
            let fall = repaired.get_or_insert(Fall {
                first_ms: 0,
                last_ms: 0,
                least_bound: bound,
                greatest_bound: bound,
                most,
                samples: 1,
            });
            fall.greatest_bound = fall.greatest_bound.max(bound);
            fall.most = fall.most.max(most);
            bucket.count = before;
        } else {
            before = bucket.count;
        }
    }
    repaired
}

fn almost_equal(a: f64, b: f64) -> bool {
    let (sum, difference) = (a.abs() + b.abs(), (a - b).abs());
    if a == 0.0 || b == 0.0 || sum < f64::MIN_POSITIVE {
        return difference < SMALL_DELTA * f64::MIN_POSITIVE;
    }
    difference / sum.min(f64::MAX) < SMALL_DELTA
}

/// The share of observations between two values (Prometheus' `BucketFraction`).
pub(crate) fn bucket_fraction(lower: f64, upper: f64, buckets: &[Bucket]) -> f64 {
    let Some(last) = buckets.last().filter(|last| last.bound == f64::INFINITY) else { return f64::NAN };
    let total = last.count;
    if total == 0.0 || lower.is_nan() || upper.is_nan() {
        return f64::NAN;
    }
    if lower >= upper {
        return 0.0;
    }
    let below = |value: f64| rank_of(value, buckets).filter(|rank| *rank <= total).unwrap_or(total);
    (below(upper) - below(lower)) / total
}

/// How many observations are at or below `value`, linear inside a bucket; `None` where no bucket reaches it. The first
/// bucket begins at zero if it ends above, and is not divided otherwise.
fn rank_of(value: f64, buckets: &[Bucket]) -> Option<f64> {
    let mut below = 0.0;
    let mut start = if buckets.first()?.bound > 0.0 { 0.0 } else { f64::NEG_INFINITY };
    for bucket in buckets {
        if start >= value {
            return Some(below);
        }
        if bucket.bound > value {
            if start == f64::NEG_INFINITY {
                return Some(bucket.count);
            }
            return Some(below + (bucket.count - below) * (value - start) / (bucket.bound - start));
        }
        below = bucket.count;
        start = bucket.bound;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buckets(counts: &[(f64, f64)]) -> Vec<Bucket> {
        counts.iter().map(|(bound, count)| Bucket { bound: *bound, count: *count }).collect()
    }

    #[test]
    fn quantiles_of_buckets() {
        let inf = f64::INFINITY;
        for (q, counts, expected, repaired) in [
            (0.5, vec![(1.0, 10.0), (2.0, 20.0), (inf, 20.0)], 1.0, false),
            (0.75, vec![(1.0, 10.0), (2.0, 20.0), (inf, 20.0)], 1.5, false),
            (0.99, vec![(1.0, 10.0), (2.0, 20.0), (inf, 40.0)], 2.0, false),
            (0.1, vec![(-1.0, 10.0), (2.0, 20.0), (inf, 20.0)], -1.0, false),
            (0.5, vec![(1.0, 10.0), (2.0, 5.0), (inf, 20.0)], 1.0, true),
            (2.0, vec![(1.0, 10.0), (inf, 20.0)], inf, false),
        ] {
            let (value, fall) = bucket_quantile(q, &mut buckets(&counts));
            assert_eq!((value, fall.is_some()), (expected, repaired), "{q} {counts:?}");
        }
        for counts in [vec![(1.0, 10.0)], vec![(inf, 10.0)], vec![(1.0, 0.0), (inf, 0.0)]] {
            assert!(bucket_quantile(0.5, &mut buckets(&counts)).0.is_nan(), "{counts:?}");
        }
    }
}
