//! What single native histograms tell: counts, averages, quantiles, shares. Formulas and their interpolation are
//! Prometheus': linear in the zero bucket, exponential in the others.

use model::Histogram;

use crate::promql::kahan::Kahan;
use crate::promql::native::{Bucket, buckets};

pub(crate) fn count(histogram: &Histogram) -> f64 {
    histogram.count
}

pub(crate) fn sum(histogram: &Histogram) -> f64 {
    histogram.sum
}

pub(crate) fn avg(histogram: &Histogram) -> f64 {
    histogram.sum / histogram.count
}

pub(crate) fn stddev(histogram: &Histogram) -> f64 {
    stdvar(histogram).sqrt()
}

/// Each observation taken for the geometric middle of its bucket.
pub(crate) fn stdvar(histogram: &Histogram) -> f64 {
    let mean = avg(histogram);
    let mut squares = Kahan::default();
    for Bucket { lower, upper, count, .. } in buckets(histogram) {
        let value = if lower <= 0.0 && upper >= 0.0 { 0.0 } else { (upper * lower).sqrt().copysign(upper) };
        squares = squares.plus(count * (value - mean) * (value - mean));
    }
    squares.total() / histogram.count
}

/// Buckets, the zero bucket cut at zero if all other observations are on one side of it.
fn cut(histogram: &Histogram) -> Vec<Bucket> {
    let mut all = buckets(histogram);
    let (negative, positive) = (!histogram.negative.is_empty(), !histogram.positive.is_empty());
    for bucket in all.iter_mut().filter(|bucket| bucket.lower <= 0.0 && bucket.upper >= 0.0) {
        if positive && !negative {
            bucket.lower = 0.0;
        } else if negative && !positive {
            bucket.upper = 0.0;
        }
    }
    all
}

/// The φ-quantile. Counted from the nearer end, so that rounding does least harm; from below if there are observations
/// that are no number, since those are in the count but in no bucket.
pub(crate) fn quantile(q: f64, histogram: &Histogram) -> f64 {
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    if q.is_nan() || histogram.count == 0.0 || histogram.count.is_nan() {
        return f64::NAN;
    }
    let mut all = cut(histogram);
    let from_below = histogram.sum.is_nan() || q < 0.5;
    if !from_below {
        all.reverse();
    }
    let mut rank = if from_below { q } else { 1.0 - q } * histogram.count;
    let (mut found, mut count) = (None, 0.0);
    for bucket in all {
        count += bucket.count;
        found = Some(bucket);
        if count >= rank {
            break;
        }
    }
    count = count.min(histogram.count);
    let Some(Bucket { lower, upper, count: inside, .. }) = found else {
        // Observations in no bucket at all.
        return if histogram.sum.is_nan() { f64::NAN } else { 0.0 };
    };
    if count < rank {
        return if histogram.sum.is_nan() { f64::NAN } else { upper };
    }
    rank = if from_below { rank - (count - inside) } else { count - rank };
    let share = rank / inside;
    if lower <= 0.0 && upper >= 0.0 {
        return lower + (upper - lower) * share;
    }
    let (log_lower, log_upper) = (lower.abs().log2(), upper.abs().log2());
    if lower > 0.0 {
        (log_lower + (log_upper - log_lower) * share).exp2()
    } else {
        -(log_upper + (log_lower - log_upper) * (1.0 - share)).exp2()
    }
}

/// The share of observations between two values.
pub(crate) fn fraction(lower: f64, upper: f64, histogram: &Histogram) -> f64 {
    if histogram.count == 0.0 || lower.is_nan() || upper.is_nan() {
        return f64::NAN;
    }
    if lower >= upper {
        return 0.0;
    }
    let all = cut(histogram);
    let in_buckets: f64 = all.iter().map(|bucket| bucket.count).sum();
    // What is no number is in the count but in no bucket, and so on neither side of any value.
    let most = if histogram.sum.is_nan() { in_buckets } else { histogram.count };
    let below = |value: f64| rank_of(value, &all).map_or(most, |rank| rank.min(most));
    (below(upper) - below(lower)) / histogram.count
}

/// How many observations are below `value`; `None` where no bucket reaches it.
fn rank_of(value: f64, all: &[Bucket]) -> Option<f64> {
    let mut rank = 0.0;
    for Bucket { lower, upper, count, .. } in all {
        if *lower >= value {
            return Some(rank);
        }
        if *upper > value {
            let share = if *lower <= 0.0 && *upper >= 0.0 {
                (value - lower) / (upper - lower)
            } else {
                let (log_lower, log_upper) = (lower.abs().log2(), upper.abs().log2());
                (value.abs().log2() - log_lower) / (log_upper - log_lower)
            };
            return Some(rank + count * share);
        }
        rank += count;
    }
    None
}
