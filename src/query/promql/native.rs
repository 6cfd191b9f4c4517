//! Native histograms: bounds of buckets, their text, and scaling. Sums, resets and cuts are in the files beside.
//!
//! Resolutions and indexes come from disk and may be anything; nothing here panics or loops on them.

pub(crate) mod reset;
pub(crate) mod sum;
pub(crate) mod trim;

use std::sync::LazyLock;

use model::histogram::{SCHEMA_CUSTOM, SCHEMA_MAX};
use model::{CounterReset, Histogram};

use super::number::compact;
pub(crate) use reset::{is_reset, tell_resets};
pub(crate) use sum::{Mixed, Remarks, Sum, mean, plus, total};
pub(crate) use trim::trim;

/// One bucket of a native histogram and the values it stands for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bucket {
    pub lower: f64,
    pub upper: f64,
    pub count: f64,
    pub side: Side,
}

/// Which bounds belong to a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// `[lower, upper)`
    Negative,
    /// `[lower, upper]`: the zero bucket, and the first of custom ones.
    Zero,
    /// `(lower, upper]`
    Positive,
}

/// Whether bounds are given one by one.
pub(crate) fn is_custom(schema: i32) -> bool {
    schema == SCHEMA_CUSTOM
}

/// How many float samples a histogram counts for in statistics: Prometheus' `HPoint.size`, by what its struct and slices
/// would take there.
pub(crate) fn samples(histogram: &Histogram) -> u64 {
    const STRUCT_BYTES: usize = 168;
    let side = |buckets: &[(i32, f64)]| {
        let gaps = buckets.windows(2).filter(|pair| i64::from(pair[1].0) != i64::from(pair[0].0) + 1).count();
        8 * (buckets.len() + if buckets.is_empty() { 0 } else { gaps + 1 })
    };
    let bounds = 8 * histogram.custom_bounds.len();
    let bytes = STRUCT_BYTES + side(&histogram.positive) + side(&histogram.negative) + bounds;
    (bytes as u64 + 8) / 16
}

/// Buckets that hold anything, from the lowest value to the highest; the zero bucket, as Prometheus has it, only if it holds more than
/// nothing. What reaches into the zero bucket, as a sender should not have it, ends there.
pub fn buckets(histogram: &Histogram) -> Vec<Bucket> {
    let mut all = buckets_with(histogram, histogram.zero_count > 0.0);
    let threshold = histogram.zero_threshold;
    for bucket in &mut all {
        if 0.0 < bucket.lower && bucket.lower < threshold {
            bucket.lower = threshold;
        } else if -threshold < bucket.upper && bucket.upper < 0.0 {
            bucket.upper = -threshold;
        }
    }
    all
}

fn buckets_with(histogram: &Histogram, zero: bool) -> Vec<Bucket> {
    let mut all = Vec::with_capacity(histogram.negative.len() + histogram.positive.len() + 1);
    for (index, count) in histogram.negative.iter().rev() {
        let (lower, upper) = limits(histogram, *index);
        all.push(Bucket { lower: -upper, upper: -lower, count: *count, side: Side::Negative });
    }
    let threshold = histogram.zero_threshold;
    if zero {
        all.push(Bucket { lower: -threshold, upper: threshold, count: histogram.zero_count, side: Side::Zero });
    }
    for (index, count) in &histogram.positive {
        let (lower, upper) = limits(histogram, *index);
        let side = if lower == f64::NEG_INFINITY { Side::Zero } else { Side::Positive };
        all.push(Bucket { lower, upper, count: *count, side });
    }
    all.retain(|bucket| bucket.count != 0.0);
    all
}

/// The bounds of a bucket of the positive side.
fn limits(histogram: &Histogram, index: i32) -> (f64, f64) {
    if !is_custom(histogram.schema) {
        return (bound(index.saturating_sub(1), histogram.schema), bound(index, histogram.schema));
    }
    let bound = |index: Option<i32>| index.and_then(|index| usize::try_from(index).ok());
    let lower = bound(index.checked_sub(1)).and_then(|at| histogram.custom_bounds.get(at));
    let upper = bound(Some(index)).and_then(|at| histogram.custom_bounds.get(at));
    (lower.copied().unwrap_or(f64::NEG_INFINITY), upper.copied().unwrap_or(f64::INFINITY))
}

/// The upper bound of an exponential bucket. The last one that a float can reach ends at the largest float.
fn bound(index: i32, schema: i32) -> f64 {
    let schema = schema.clamp(-31, 31);
    let (exponent, fraction) = if schema < 0 {
        (i64::from(index) << -schema, 0.0)
    } else {
        let per_power = 1_i64 << schema;
        (i64::from(index).div_euclid(per_power), i64::from(index).rem_euclid(per_power) as f64 / per_power as f64)
    };
    if exponent == 1024 && fraction == 0.0 {
        return f64::MAX;
    }
    // Apart, so that powers of two are exact.
    let fraction = match usize::try_from((fraction * BOUNDS as f64) as i64) {
        Ok(place) if schema <= SCHEMA_MAX => FRACTIONS[place],
        _ => fraction.exp2(),
    };
    fraction * (exponent as f64).exp2()
}

/// Buckets between two powers of two at the finest schema.
const BOUNDS: usize = 1 << SCHEMA_MAX;

/// The bounds from 1 up to 2 as Prometheus has them in a table (model/histogram/generic.go, `exponentialBounds`), to the last bit: each
/// schema's new ones are those of the schema before times one factor, 2^(2^-schema) as Go works it out.
static FRACTIONS: LazyLock<[f64; BOUNDS]> = LazyLock::new(|| {
    #[expect(clippy::approx_constant, reason = "the square root of 2 is one bit more")]
    const FACTORS: [f64; SCHEMA_MAX as usize] = [
        1.414213562373095,
        1.189207115002721,
        1.0905077326652577,
        1.0442737824274138,
        1.0218971486541166,
        1.0108892860517005,
        1.0054299011128027,
        1.0027112750502025,
    ];
    let mut bounds = [1.0; BOUNDS];
    let mut distance = BOUNDS;
    for factor in FACTORS {
        for place in (0..BOUNDS).step_by(distance) {
            bounds[place + distance / 2] = bounds[place] * factor;
        }
        distance /= 2;
    }
    bounds
});

/// Prometheus' notation: `{count:2, sum:3, [-2,-1):1, (1,2]:1}`.
pub fn text(histogram: &Histogram) -> String {
    let mut text = format!("{{count:{}, sum:{}", compact(histogram.count), compact(histogram.sum));
    for Bucket { lower, upper, count, side } in buckets_with(histogram, histogram.zero_count != 0.0) {
        let open = if side == Side::Positive { '(' } else { '[' };
        let close = if side == Side::Negative { ')' } else { ']' };
        text += &format!(", {open}{},{}{close}:{}", compact(lower), compact(upper), compact(count));
    }
    text + "}"
}

/// Every count and the sum, changed alike; buckets that become empty are left out.
pub(crate) fn each(histogram: &Histogram, change: impl Fn(f64) -> f64) -> Histogram {
    let mut changed = histogram.clone();
    for value in [&mut changed.zero_count, &mut changed.count, &mut changed.sum] {
        *value = change(*value);
    }
    for side in [&mut changed.positive, &mut changed.negative] {
        side.iter_mut().for_each(|(_, count)| *count = change(*count));
        side.retain(|(_, count)| *count != 0.0);
    }
    changed
}

/// A counter times less than zero is one no more.
pub(crate) fn multiply(histogram: &Histogram, factor: f64) -> Histogram {
    let mut product = each(histogram, |value| value * factor);
    if factor < 0.0 {
        product.reset = CounterReset::Gauge;
    }
    product
}

/// Division by zero leaves no buckets, as in Prometheus: their share of nothing is unknown.
pub(crate) fn divide(histogram: &Histogram, divisor: f64) -> Histogram {
    let mut divided = each(histogram, |value| value / divisor);
    if divisor == 0.0 {
        divided.positive.clear();
        divided.negative.clear();
    } else if divisor < 0.0 {
        divided.reset = CounterReset::Gauge;
    }
    divided
}

/// Bit by bit, empty buckets and what was said of resets aside.
pub(crate) fn equal(a: &Histogram, b: &Histogram) -> bool {
    let same = |a: f64, b: f64| a.to_bits() == b.to_bits();
    let filled = |side: &[(i32, f64)]| -> Vec<(i32, u64)> {
        side.iter().filter(|(_, count)| *count != 0.0).map(|(index, count)| (*index, count.to_bits())).collect()
    };
    a.schema == b.schema
        && a.custom_bounds == b.custom_bounds
        && same(a.count, b.count)
        && same(a.sum, b.sum)
        && same(a.zero_threshold, b.zero_threshold)
        && same(a.zero_count, b.zero_count)
        && filled(&a.positive) == filled(&b.positive)
        && filled(&a.negative) == filled(&b.negative)
}

#[cfg(test)]
mod tests;
