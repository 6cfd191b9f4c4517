//! Sums, differences and means of native histograms, compensated number by number.
//!
//! Exponential histograms meet at the wider of their zero buckets and the coarser of their resolutions, those with
//! custom buckets at the bounds that both have; the two kinds do not meet. Rules are those of Prometheus'
//! `FloatHistogram.KahanAdd`.

use std::sync::Arc;

use model::{CounterReset, Histogram};

use super::{bound, is_custom};
use crate::promql::kahan::Kahan;

/// Histograms of exponential and of custom buckets have no sum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mixed;

/// What is worth saying of a sum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Remarks {
    /// One side was a reset for certain, the other one was none.
    pub(crate) collision: bool,
    /// Custom bounds differed, so that buckets were merged.
    pub(crate) reconciled: bool,
}

/// A histogram while others are added to it.
#[derive(Debug, Clone)]
pub(crate) struct Sum {
    pub(super) schema: i32,
    pub(super) zero_threshold: f64,
    pub(super) bounds: Arc<[f64]>,
    pub(crate) reset: CounterReset,
    count: Kahan,
    sum: Kahan,
    pub(super) zero: Kahan,
    pub(super) positive: Vec<(i32, Kahan)>,
    pub(super) negative: Vec<(i32, Kahan)>,
}

fn exact(value: f64) -> Kahan {
    Kahan { sum: value, lost: 0.0 }
}

fn join(a: Kahan, b: Kahan, sign: f64) -> Kahan {
    let sum = a.plus(sign * b.sum);
    if b.lost == 0.0 { sum } else { sum.plus(sign * b.lost) }
}

impl Sum {
    pub(crate) fn of(histogram: &Histogram) -> Sum {
        let side = |side: &[(i32, f64)]| side.iter().map(|(index, count)| (*index, exact(*count))).collect();
        Sum {
            schema: histogram.schema,
            zero_threshold: histogram.zero_threshold,
            bounds: histogram.custom_bounds.clone(),
            reset: histogram.reset,
            count: exact(histogram.count),
            sum: exact(histogram.sum),
            zero: exact(histogram.zero_count),
            positive: side(&histogram.positive),
            negative: side(&histogram.negative),
        }
    }

    /// Adds; with `sign` -1 subtracts.
    pub(crate) fn add(&mut self, other: &Histogram, sign: f64) -> Result<Remarks, Mixed> {
        let custom = is_custom(self.schema);
        if custom != is_custom(other.schema) {
            return Err(Mixed);
        }
        let mut remarks = Remarks { collision: self.adjust_reset(other.reset), reconciled: false };
        let mut other = Sum::of(other);
        if custom {
            if !same_bounds(&self.bounds, &other.bounds) {
                remarks.reconciled = true;
                let common = common_bounds(&self.bounds, &other.bounds);
                self.rebound(&common);
                other.rebound(&common);
            }
        } else {
            // Each round swallows a bucket of one side; a threshold that is no number ends at once.
            loop {
                if self.zero_threshold < other.zero_threshold {
                    self.widen_zero(other.zero_threshold);
                } else if other.zero_threshold < self.zero_threshold {
                    other.widen_zero(self.zero_threshold);
                } else {
                    break;
                }
            }
            let schema = self.schema.min(other.schema);
            self.coarsen(schema);
            other.coarsen(schema);
            self.zero = join(self.zero, other.zero, sign);
            self.negative = merge(&self.negative, &other.negative, sign);
        }
        self.count = join(self.count, other.count, sign);
        self.sum = join(self.sum, other.sum, sign);
        self.positive = merge(&self.positive, &other.positive, sign);
        Ok(remarks)
    }

    /// A gauge makes gauges, the unknown makes the unknown; whether a reset met a certain absence of one.
    fn adjust_reset(&mut self, other: CounterReset) -> bool {
        use CounterReset::{Gauge, Unknown};
        if other == self.reset || self.reset == Gauge {
            return false;
        }
        if other == Gauge {
            self.reset = Gauge;
            return false;
        }
        let collision = self.reset != Unknown && other != Unknown;
        self.reset = Unknown;
        collision
    }

    /// Buckets merged by twos until the resolution is no finer than this.
    pub(crate) fn coarsen(&mut self, schema: i32) {
        let finer_by = i64::from(self.schema) - i64::from(schema);
        if finer_by <= 0 || is_custom(schema) || is_custom(self.schema) {
            return;
        }
        self.schema = schema;
        for side in [&mut self.positive, &mut self.negative] {
            regroup(side, |index| (index.saturating_sub(1) >> finer_by.min(31)) + 1);
        }
    }

    /// Merges custom buckets into those between fewer bounds.
    pub(super) fn rebound(&mut self, bounds: &Arc<[f64]>) {
        let old = std::mem::replace(&mut self.bounds, bounds.clone());
        regroup(&mut self.positive, |index| {
            let upper = usize::try_from(index).ok().and_then(|index| old.get(index)).copied();
            let place = upper.map_or(bounds.len(), |upper| bounds.partition_point(|bound| *bound < upper));
            i32::try_from(place).unwrap_or(i32::MAX)
        });
    }

    /// Widens the zero bucket to at least `threshold`; further where that falls inside a bucket that holds anything.
    pub(super) fn widen_zero(&mut self, mut threshold: f64) {
        let schema = self.schema;
        loop {
            let mut all = self.positive.iter().chain(&self.negative);
            let split = all.find(|(index, count)| {
                count.total() != 0.0
                    && bound(index.saturating_sub(1), schema) < threshold
                    && threshold < bound(*index, schema)
            });
            match split {
                Some((index, _)) => threshold = bound(*index, schema),
                None => break,
            }
        }
        let mut zero = self.zero;
        for side in [&mut self.positive, &mut self.negative] {
            side.retain(|(index, count)| {
                let inside = bound(index.saturating_sub(1), schema) < threshold;
                if inside {
                    zero = join(zero, *count, 1.0);
                }
                !inside
            });
        }
        self.zero = zero;
        self.zero_threshold = threshold;
    }

    /// Every number, changed alike.
    pub(crate) fn scale(&mut self, change: impl Fn(f64) -> f64) {
        let both = |value: &mut Kahan| *value = Kahan { sum: change(value.sum), lost: change(value.lost) };
        [&mut self.count, &mut self.sum, &mut self.zero].into_iter().for_each(both);
        self.positive.iter_mut().chain(&mut self.negative).for_each(|(_, count)| both(count));
    }

    fn overflows(&self) -> bool {
        let buckets = self.positive.iter().chain(&self.negative).map(|(_, count)| count);
        [&self.count, &self.sum, &self.zero].into_iter().chain(buckets).any(|value| value.sum.is_infinite())
    }

    /// Without empty buckets.
    pub(crate) fn total(&self) -> Histogram {
        let side = |side: &[(i32, Kahan)]| -> Vec<(i32, f64)> {
            side.iter().map(|(index, count)| (*index, count.total())).filter(|(_, count)| *count != 0.0).collect()
        };
        Histogram {
            schema: self.schema,
            zero_threshold: self.zero_threshold,
            zero_count: self.zero.total(),
            count: self.count.total(),
            sum: self.sum.total(),
            positive: side(&self.positive),
            negative: side(&self.negative),
            custom_bounds: self.bounds.clone(),
            reset: self.reset,
        }
    }
}

fn regroup(side: &mut Vec<(i32, Kahan)>, place: impl Fn(i32) -> i32) {
    let mut merged: Vec<(i32, Kahan)> = Vec::with_capacity(side.len());
    for (index, count) in side.iter() {
        let index = place(*index);
        match merged.last_mut() {
            Some((last, total)) if *last == index => *total = join(*total, *count, 1.0),
            _ => merged.push((index, *count)),
        }
    }
    *side = merged;
}

fn merge(a: &[(i32, Kahan)], b: &[(i32, Kahan)], sign: f64) -> Vec<(i32, Kahan)> {
    let mut merged = Vec::with_capacity(a.len().max(b.len()));
    let (mut a, mut b) = (a.iter().peekable(), b.iter().peekable());
    loop {
        match (a.peek(), b.peek()) {
            (Some((i, x)), Some((j, y))) if i == j => {
                merged.push((*i, join(*x, *y, sign)));
                a.next();
                b.next();
            }
            (Some((i, x)), other) if other.is_none_or(|(j, _)| i < j) => {
                merged.push((*i, *x));
                a.next();
            }
            (_, Some((j, y))) => {
                merged.push((*j, join(Kahan::default(), *y, sign)));
                b.next();
            }
            _ => return merged,
        }
    }
}

pub(super) fn same_bounds(a: &Arc<[f64]>, b: &Arc<[f64]>) -> bool {
    Arc::ptr_eq(a, b) || a == b
}

pub(super) fn common_bounds(a: &[f64], b: &[f64]) -> Arc<[f64]> {
    a.iter().filter(|bound| b.binary_search_by(|other| other.total_cmp(bound)).is_ok()).copied().collect()
}

/// `a + b`, or with `sign` -1 `a - b`.
pub(crate) fn plus(a: &Histogram, b: &Histogram, sign: f64) -> Result<(Histogram, Remarks), Mixed> {
    let mut sum = Sum::of(a);
    let remarks = sum.add(b, sign)?;
    Ok((sum.total(), remarks))
}

/// Resets that were told, of all that are added.
#[derive(Default)]
struct Told {
    yes: bool,
    no: bool,
}

impl Told {
    fn hear(&mut self, histogram: &Histogram) {
        self.yes |= histogram.reset == CounterReset::Yes;
        self.no |= histogram.reset == CounterReset::No;
    }
}

/// The sum of all, if there are any. A collision is one among any two of them.
pub(crate) fn total<'h>(all: impl Iterator<Item = &'h Histogram>) -> Result<Option<(Histogram, Remarks)>, Mixed> {
    Ok(accumulate(all, None)?.map(|(sum, _, remarks)| (sum.total(), remarks)))
}

/// The mean of all, if there are any: of the sum while that does not overflow, step by step from where it would.
pub(crate) fn mean<'h>(
    all: impl Iterator<Item = &'h Histogram> + Clone,
) -> Result<Option<(Histogram, Remarks)>, Mixed> {
    let Some((mut sum, count, mut remarks)) = accumulate(all.clone(), None)? else { return Ok(None) };
    if !sum.overflows() {
        sum.scale(|value| value / count as f64);
        return Ok(Some((sum.total(), remarks)));
    }
    // Once more, up to the last sum that did not overflow.
    let mut plain = 1;
    let mut partial = None;
    for histogram in all.clone() {
        match &mut partial {
            None => partial = Some(Sum::of(histogram)),
            Some(sum) => {
                sum.add(histogram, 1.0)?;
                if sum.overflows() {
                    break;
                }
                plain += 1;
            }
        }
    }
    let Some((mut mean, ..)) = accumulate(all.clone(), Some(plain))? else { return Ok(None) };
    mean.scale(|value| value / plain as f64);
    for (before, histogram) in (plain..).zip(all.skip(plain)) {
        let (before, count) = (before as f64, (before + 1) as f64);
        mean.scale(|value| value * (before / count));
        remarks.reconciled |= mean.add(&super::each(histogram, |value| value / count), 1.0)?.reconciled;
    }
    Ok(Some((mean.total(), remarks)))
}

fn accumulate<'h>(
    all: impl Iterator<Item = &'h Histogram>,
    most: Option<usize>,
) -> Result<Option<(Sum, usize, Remarks)>, Mixed> {
    let (mut told, mut remarks) = (Told::default(), Remarks::default());
    let mut sum: Option<(Sum, usize)> = None;
    for histogram in all.take(most.unwrap_or(usize::MAX)) {
        told.hear(histogram);
        match &mut sum {
            None => sum = Some((Sum::of(histogram), 1)),
            Some((sum, count)) => {
                remarks.reconciled |= sum.add(histogram, 1.0)?.reconciled;
                *count += 1;
            }
        }
    }
    remarks.collision = told.yes && told.no;
    Ok(sum.map(|(sum, count)| (sum, count, remarks)))
}
