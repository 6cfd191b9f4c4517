//! What the points of each metric kind are as series, and which points contradict themselves.
//!
//! Sources: opentelemetry-proto metrics.proto (the consistency rules) and Prometheus' classic histograms (the series).

use super::limits::PARTS_MAX;
use super::part::Part;

/// The value of a gauge's or sum's point, as sent.
pub(crate) fn number(value: Option<f64>, ends: bool, out: &mut Vec<(Part, f64)>) -> Result<(), &'static str> {
    out.clear();
    match value {
        // A point that ends its series needs no value, and has none of its own if it carries one.
        _ if ends => out.push((Part::Plain, 0.0)),
        Some(value) => out.push((Part::Plain, value)),
        None => return Err("the point has no value"),
    }
    Ok(())
}

/// An explicit-bucket histogram's point, as sent. Kept by the readers from point to point for its buffers.
#[derive(Debug, Default)]
pub(crate) struct Histogram {
    pub(crate) count: u64,
    pub(crate) sum: Option<f64>,
    pub(crate) counts: Vec<u64>,
    pub(crate) bounds: Vec<f64>,
}

impl Histogram {
    pub(crate) fn clear(&mut self) {
        self.count = 0;
        self.sum = None;
        self.counts.clear();
        self.bounds.clear();
    }

    /// `_bucket` with cumulative counts, `_sum`, `_count`.
    pub(crate) fn parts(&self, ends: bool, out: &mut Vec<(Part, f64)>) -> Result<(), &'static str> {
        out.clear();
        let Histogram { count, sum, counts, bounds } = self;
        if bounds.len() > PARTS_MAX {
            return Err(
                "the histogram has more than 4096 buckets; have the SDK export an exponential histogram instead",
            );
        }
        if bounds.iter().any(|bound| bound.is_nan()) || !bounds.windows(2).all(|pair| pair[0] < pair[1]) {
            return Err("the histogram's bounds do not increase");
        }
        if !ends {
            if counts.len() != bounds.len() + 1 && !(counts.is_empty() && bounds.is_empty()) {
                return Err("the histogram needs one bucket count more than bounds, or none of either");
            }
            let total: u128 = counts.iter().map(|count| u128::from(*count)).sum();
            if !counts.is_empty() && total != u128::from(*count) {
                return Err("the histogram's bucket counts do not add up to its count");
            }
        }
        let mut below = 0u64;
        for (at, bound) in bounds.iter().enumerate() {
            // Some senders list +Inf as a bound: the last bucket says it already.
            if *bound == f64::INFINITY {
                continue;
            }
            // Cannot overflow: the sum of all was checked, and of one that ends the counts mean nothing.
            below = below.wrapping_add(counts.get(at).copied().unwrap_or(0));
            out.push((Part::Bucket(*bound), below as f64));
        }
        out.push((Part::Bucket(f64::INFINITY), *count as f64));
        if let Some(sum) = sum.or(ends.then_some(0.0)) {
            out.push((Part::Sum, sum));
        }
        out.push((Part::Count, *count as f64));
        Ok(())
    }
}

/// A summary's point, as sent.
#[derive(Debug, Default)]
pub(crate) struct Summary {
    pub(crate) count: u64,
    pub(crate) sum: f64,
    /// Quantile and value.
    pub(crate) quantiles: Vec<(f64, f64)>,
}

impl Summary {
    pub(crate) fn clear(&mut self) {
        self.count = 0;
        self.sum = 0.0;
        self.quantiles.clear();
    }

    /// One series a quantile, `_sum`, `_count`.
    pub(crate) fn parts(&self, out: &mut Vec<(Part, f64)>) -> Result<(), &'static str> {
        out.clear();
        if self.quantiles.len() > PARTS_MAX {
            return Err("the summary has more than 4096 quantiles");
        }
        if !self.quantiles.iter().all(|(quantile, _)| (0.0..=1.0).contains(quantile)) {
            return Err("a quantile of the summary is not between 0 and 1");
        }
        if !self.quantiles.windows(2).all(|pair| pair[0].0 < pair[1].0) {
            return Err("the summary's quantiles do not increase");
        }
        out.extend(self.quantiles.iter().map(|(quantile, value)| (Part::Quantile(*quantile), *value)));
        out.push((Part::Sum, self.sum));
        out.push((Part::Count, self.count as f64));
        Ok(())
    }
}
