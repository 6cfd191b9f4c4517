//! What single native histograms tell: counts, averages, quantiles, shares. Formulas and their interpolation are
//! Prometheus': linear in the zero bucket and in custom buckets, exponential in the others.

use model::Histogram;

use crate::promql::kahan::Kahan;
use crate::promql::native::{Bucket, buckets, is_custom};

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

/// Each observation taken for the middle of its bucket: the geometric one, or of a custom bucket the arithmetic one.
pub(crate) fn stdvar(histogram: &Histogram) -> f64 {
    let mean = avg(histogram);
    let custom = is_custom(histogram.schema);
    let mut squares = Kahan::default();
    for Bucket { lower, upper, count, .. } in buckets(histogram) {
        let value = if custom {
            (lower + upper) / 2.0
        } else if lower <= 0.0 && upper >= 0.0 {
            0.0
        } else {
            (upper * lower).sqrt().copysign(upper)
        };
        squares = squares.plus(count * (value - mean) * (value - mean));
    }
    squares.total() / histogram.count
}

/// Observations that are no number: they are in the count and in no bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Nan {
    /// They decide the answer, which is none.
    Result,
    /// They push the answer up.
    Skew,
}

/// Ends of a bucket; the zero bucket is cut at zero if all other observations are on one side of it.
fn cut(histogram: &Histogram, lower: f64, upper: f64) -> (f64, f64) {
    match (histogram.negative.is_empty(), histogram.positive.is_empty()) {
        (true, false) => (0.0, upper),
        (false, true) => (lower, 0.0),
        _ => (lower, upper),
    }
}

/// The φ-quantile. Counted from the nearer end, so that rounding does least harm; from below if there are observations
/// that are no number.
pub(crate) fn quantile(q: f64, histogram: &Histogram) -> (f64, Option<Nan>) {
    if q < 0.0 {
        return (f64::NEG_INFINITY, None);
    }
    if q > 1.0 {
        return (f64::INFINITY, None);
    }
    if q.is_nan() || histogram.count == 0.0 {
        return (f64::NAN, None);
    }
    let custom = is_custom(histogram.schema);
    let mut all = buckets(histogram);
    let in_buckets: f64 = all.iter().map(|bucket| bucket.count).sum();
    let from_below = histogram.sum.is_nan() || q < 0.5;
    if !from_below {
        all.reverse();
    }
    let mut rank = if from_below { q } else { 1.0 - q } * histogram.count;
    let (mut found, mut count) = (None, 0.0);
    let mut all = all.into_iter();
    for bucket in all.by_ref() {
        count += bucket.count;
        found = Some(bucket);
        if count >= rank {
            break;
        }
    }
    // Without any bucket the one of nothing stands at zero.
    let (mut lower, mut upper, mut inside) = found.map_or((0.0, 0.0, 0.0), |b| (b.lower, b.upper, b.count));
    if !custom && lower < 0.0 && upper > 0.0 {
        (lower, upper) = cut(histogram, lower, upper);
    } else if custom && lower == f64::NEG_INFINITY {
        if upper <= 0.0 {
            return (upper, None);
        }
        lower = 0.0;
    } else if custom && upper == f64::INFINITY {
        return (lower, None);
    }
    count = count.min(histogram.count);
    if count < rank {
        return if histogram.sum.is_nan() { (f64::NAN, Some(Nan::Result)) } else { (upper, None) };
    }
    rank = if from_below { rank - (count - inside) } else { count - rank };
    let note = (histogram.sum.is_nan() && in_buckets < histogram.count).then_some(Nan::Skew);
    // Counting the rest Prometheus forgets which bucket it had found, and goes on with the last one: an answer too high, and its answer.
    if histogram.sum.is_nan()
        && let Some(last) = all.last()
    {
        (lower, upper, inside) = (last.lower, last.upper, last.count);
    }
    let share = rank / inside;
    if custom || lower <= 0.0 && upper >= 0.0 {
        return (lower + (upper - lower) * share, note);
    }
    let (log_lower, log_upper) = (lower.abs().log2(), upper.abs().log2());
    let value = if lower > 0.0 {
        (log_lower + (log_upper - log_lower) * share).exp2()
    } else {
        -(log_upper + (log_lower - log_upper) * (1.0 - share)).exp2()
    };
    (value, note)
}

/// The share of observations between two values, and whether there are observations that are no number.
pub(crate) fn fraction(from: f64, to: f64, histogram: &Histogram) -> (f64, bool) {
    if histogram.count == 0.0 || from.is_nan() || to.is_nan() {
        return (f64::NAN, false);
    }
    if from >= to {
        return (0.0, false);
    }
    let all = buckets(histogram);
    let has_nan = histogram.sum.is_nan();
    let most = if has_nan { all.iter().map(|bucket| bucket.count).sum() } else { histogram.count };
    let below = |value: f64| rank_of(value, &all, histogram).map_or(most, |rank| rank.min(most));
    ((below(to) - below(from)) / histogram.count, has_nan && most < histogram.count)
}

/// How many observations are below `value`; `None` where no bucket reaches it.
fn rank_of(value: f64, all: &[Bucket], histogram: &Histogram) -> Option<f64> {
    let custom = is_custom(histogram.schema);
    let mut rank = 0.0;
    for Bucket { lower, upper, count, .. } in all {
        let is_zero = *lower <= 0.0 && *upper >= 0.0;
        let (lower, upper) = if is_zero { cut(histogram, *lower, *upper) } else { (*lower, *upper) };
        if lower >= value {
            return Some(rank);
        }
        if upper > value {
            if (custom || is_zero) && lower == f64::NEG_INFINITY {
                return Some(*count);
            }
            let share = if custom || is_zero {
                (value - lower) / (upper - lower)
            } else {
                let (log_lower, log_upper, log) = (lower.abs().log2(), upper.abs().log2(), value.abs().log2());
                if value > 0.0 {
                    (log - log_lower) / (log_upper - log_lower)
                } else {
                    1.0 - (log - log_upper) / (log_lower - log_upper)
                }
            };
            return Some(rank + count * share);
        }
        rank += count;
    }
    None
}
