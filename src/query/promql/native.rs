//! Arithmetic of native histograms: bounds, resolutions, zero buckets, sums and differences.
//!
//! Two histograms meet at the coarser of their resolutions and at the wider of their zero buckets, as in Prometheus.
//! Resolutions and indexes come from disk and may be anything; nothing here panics or loops on them.

use model::Histogram;

use super::number::general;

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
    /// `[lower, upper]`
    Zero,
    /// `(lower, upper]`
    Positive,
}

/// Buckets that hold anything, from the lowest value to the highest.
pub fn buckets(histogram: &Histogram) -> Vec<Bucket> {
    let schema = histogram.schema;
    let mut all = Vec::with_capacity(histogram.negative.len() + histogram.positive.len() + 1);
    for (index, count) in histogram.negative.iter().rev() {
        let (lower, upper) = (-bound(*index, schema), -bound(index.saturating_sub(1), schema));
        all.push(Bucket { lower, upper, count: *count, side: Side::Negative });
    }
    let threshold = histogram.zero_threshold;
    all.push(Bucket { lower: -threshold, upper: threshold, count: histogram.zero_count, side: Side::Zero });
    for (index, count) in &histogram.positive {
        let (lower, upper) = (bound(index.saturating_sub(1), schema), bound(*index, schema));
        all.push(Bucket { lower, upper, count: *count, side: Side::Positive });
    }
    all.retain(|bucket| bucket.count != 0.0);
    all
}

/// The upper bound of a positive bucket. The last one that a float can reach ends at the largest float.
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
    fraction.exp2() * (exponent as f64).exp2()
}

/// Buckets merged by twos until the resolution is no finer than this.
pub(crate) fn to_schema(histogram: &Histogram, schema: i32) -> Histogram {
    let mut coarse = histogram.clone();
    let finer_by = i64::from(histogram.schema) - i64::from(schema);
    if finer_by <= 0 {
        return coarse;
    }
    coarse.schema = schema;
    for side in [&mut coarse.positive, &mut coarse.negative] {
        let mut merged: Vec<(i32, f64)> = Vec::with_capacity(side.len());
        for (index, count) in side.iter() {
            let index = (index.saturating_sub(1) >> finer_by.min(31)) + 1;
            match merged.last_mut() {
                Some((last, total)) if *last == index => *total += count,
                _ => merged.push((index, *count)),
            }
        }
        *side = merged;
    }
    coarse
}

/// Widens the zero bucket to at least `threshold`; further where that falls inside a bucket that holds anything.
fn widen_zero(histogram: &mut Histogram, mut threshold: f64) {
    let schema = histogram.schema;
    let sides = [&histogram.positive, &histogram.negative];
    loop {
        let mut all = sides.iter().flat_map(|side| side.iter());
        let split = all.find(|(index, count)| {
            *count != 0.0 && bound(index.saturating_sub(1), schema) < threshold && threshold < bound(*index, schema)
        });
        match split {
            Some((index, _)) => threshold = bound(*index, schema),
            None => break,
        }
    }
    let mut swallowed = 0.0;
    for side in [&mut histogram.positive, &mut histogram.negative] {
        side.retain(|(index, count)| {
            let inside = bound(index.saturating_sub(1), schema) < threshold;
            swallowed += if inside { *count } else { 0.0 };
            !inside
        });
    }
    histogram.zero_count += swallowed;
    histogram.zero_threshold = threshold;
}

/// Brings both to one resolution and one zero bucket.
fn reconcile(a: &Histogram, b: &Histogram) -> (Histogram, Histogram) {
    let schema = a.schema.min(b.schema);
    let (mut a, mut b) = (to_schema(a, schema), to_schema(b, schema));
    // Each round swallows a bucket of one side; a threshold that is no number ends at once.
    loop {
        if a.zero_threshold < b.zero_threshold {
            widen_zero(&mut a, b.zero_threshold);
        } else if b.zero_threshold < a.zero_threshold {
            widen_zero(&mut b, a.zero_threshold);
        } else {
            return (a, b);
        }
    }
}

/// `a + b`, or with `sign` -1 `a - b`.
pub(crate) fn plus(a: &Histogram, b: &Histogram, sign: f64) -> Histogram {
    let (mut sum, b) = reconcile(a, b);
    sum.count += sign * b.count;
    sum.sum += sign * b.sum;
    sum.zero_count += sign * b.zero_count;
    sum.positive = merge(&sum.positive, &b.positive, sign);
    sum.negative = merge(&sum.negative, &b.negative, sign);
    sum
}

/// The sum of all, if there are any.
pub(crate) fn sum<'h>(all: impl IntoIterator<Item = &'h Histogram>) -> Option<Histogram> {
    let mut all = all.into_iter();
    let first = all.next()?.clone();
    Some(all.fold(first, |sum, next| plus(&sum, next, 1.0)))
}

/// Prometheus' notation: `{count:2, sum:3, [-2,-1):1, (1,2]:1}`.
pub(crate) fn text(histogram: &Histogram) -> String {
    let mut text = format!("{{count:{}, sum:{}", general(histogram.count), general(histogram.sum));
    for Bucket { lower, upper, count, side } in buckets(histogram) {
        let open = if side == Side::Positive { '(' } else { '[' };
        let close = if side == Side::Negative { ')' } else { ']' };
        text += &format!(", {open}{},{}{close}:{}", general(lower), general(upper), general(count));
    }
    text + "}"
}

fn merge(a: &[(i32, f64)], b: &[(i32, f64)], sign: f64) -> Vec<(i32, f64)> {
    let mut merged = Vec::with_capacity(a.len().max(b.len()));
    let (mut a, mut b) = (a.iter().peekable(), b.iter().peekable());
    loop {
        let (index, count) = match (a.peek(), b.peek()) {
            (Some((i, x)), Some((j, y))) if i == j => {
                let both = (*i, x + sign * y);
                a.next();
                b.next();
                both
            }
            (Some((i, x)), other) if other.is_none_or(|(j, _)| i < j) => {
                let one = (*i, *x);
                a.next();
                one
            }
            (_, Some((j, y))) => {
                let one = (*j, sign * y);
                b.next();
                one
            }
            _ => return merged,
        };
        if count != 0.0 {
            merged.push((index, count));
        }
    }
}

/// Every count and the sum, changed alike.
pub(crate) fn each(histogram: &Histogram, change: impl Fn(f64) -> f64) -> Histogram {
    let mut changed = histogram.clone();
    for value in [&mut changed.zero_count, &mut changed.count, &mut changed.sum] {
        *value = change(*value);
    }
    for (_, count) in changed.positive.iter_mut().chain(&mut changed.negative) {
        *count = change(*count);
    }
    changed
}

/// Division by zero leaves no buckets, as in Prometheus: their share of nothing is unknown.
pub(crate) fn divide(histogram: &Histogram, divisor: f64) -> Histogram {
    let mut divided = each(histogram, |value| value / divisor);
    if divisor == 0.0 {
        divided.positive.clear();
        divided.negative.clear();
    }
    divided
}

/// Bit by bit, empty buckets aside.
pub(crate) fn equal(a: &Histogram, b: &Histogram) -> bool {
    let same = |a: f64, b: f64| a.to_bits() == b.to_bits();
    let filled = |side: &[(i32, f64)]| -> Vec<(i32, u64)> {
        side.iter().filter(|(_, count)| *count != 0.0).map(|(index, count)| (*index, count.to_bits())).collect()
    };
    a.schema == b.schema
        && same(a.count, b.count)
        && same(a.sum, b.sum)
        && same(a.zero_threshold, b.zero_threshold)
        && same(a.zero_count, b.zero_count)
        && filled(&a.positive) == filled(&b.positive)
        && filled(&a.negative) == filled(&b.negative)
}

/// Whether a counter must have been reset between the two: something shrank, or a finer shape appeared.
pub(crate) fn is_reset(before: &Histogram, after: &Histogram) -> bool {
    if after.count < before.count || after.schema > before.schema || after.zero_threshold < before.zero_threshold {
        return true;
    }
    let mut before = to_schema(before, after.schema);
    if before.zero_threshold < after.zero_threshold {
        widen_zero(&mut before, after.zero_threshold);
    }
    if before.zero_threshold > after.zero_threshold || after.zero_count < before.zero_count {
        return true;
    }
    let shrank = |before: &[(i32, f64)], after: &[(i32, f64)]| {
        before.iter().any(|(index, count)| {
            let now = after.binary_search_by_key(index, |(index, _)| *index).map_or(0.0, |at| after[at].1);
            now < *count
        })
    };
    shrank(&before.positive, &after.positive) || shrank(&before.negative, &after.negative)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_powers_and_end_at_the_largest_float() {
        for (index, schema, expected) in [
            (0, 0, 1.0),
            (3, 0, 8.0),
            (-2, 0, 0.25),
            (1, 1, 2_f64.sqrt()),
            (-4, 2, 0.5),
            (1, -2, 16.0),
            (1024, 0, f64::MAX),
            (1025, 0, f64::INFINITY),
            (256, -2, f64::MAX),
            (-1074, 0, 5e-324),
            (-1075, 0, 0.0),
            (i32::MAX, -4, f64::INFINITY),
            (i32::MIN, 8, 0.0),
        ] {
            assert_eq!(bound(index, schema), expected, "{index} {schema}");
        }
    }

    #[test]
    fn whatever_a_disk_holds_is_computed_with() {
        let odd = |schema, zero_threshold, positive: &[(i32, f64)]| Histogram {
            schema,
            zero_threshold,
            zero_count: 1.0,
            count: f64::NAN,
            sum: f64::INFINITY,
            positive: positive.to_vec(),
            negative: positive.to_vec(),
        };
        let all = [
            odd(0, f64::NAN, &[(i32::MIN, 1.0), (i32::MAX, 2.0)]),
            odd(i32::MAX, f64::INFINITY, &[(0, -1.0)]),
            odd(i32::MIN, -1.0, &[(5, f64::NAN), (-5, 1.0), (5, 1.0)]),
            odd(8, 1e300, &[(0, 1.0), (1, 0.0), (i32::MAX, 1.0)]),
            Histogram::stale(),
        ];
        for a in &all {
            for b in &all {
                let sum = plus(a, b, 1.0);
                assert_eq!(sum.schema, a.schema.min(b.schema));
                is_reset(a, b);
                assert!(buckets(&sum).iter().all(|bucket| bucket.count != 0.0));
                assert!(text(&sum).starts_with("{count:"));
            }
            assert!(equal(a, a));
        }
    }
}
