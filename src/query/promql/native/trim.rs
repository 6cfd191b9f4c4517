//! `histogram </ value` and `histogram >/ value`: what lies below or above a value, the bucket around it cut where the
//! value stands. Rules and the new sum, made of the middles of what remains, are those of Prometheus'
//! `FloatHistogram.TrimBuckets`.

use model::Histogram;

use super::{is_custom, limits};

/// One bucket and how to cut it.
#[derive(Clone, Copy)]
struct Cut {
    lower: f64,
    upper: f64,
    count: f64,
    positive: bool,
    /// Observations spread evenly, as in custom buckets; exponentially otherwise.
    linear: bool,
}

/// What remains of a bucket: how many, and the value that stands for each.
type Rest = (f64, f64);

pub(crate) fn trim(histogram: &Histogram, at: f64, keep_below: bool) -> Histogram {
    let mut trimmed = histogram.clone();
    let linear = is_custom(histogram.schema);
    let (mut count, mut sum, mut changed) = (0.0, 0.0, false);
    let mut holds = [false, false];
    for (side, positive) in [(&mut trimmed.positive, true), (&mut trimmed.negative, false)] {
        for (index, in_bucket) in side.iter_mut().filter(|(_, in_bucket)| *in_bucket != 0.0) {
            holds[usize::from(positive)] = true;
            let (low, high) = limits(histogram, *index);
            let (lower, upper) = if positive { (low, high) } else { (-high, -low) };
            let cut = Cut { lower, upper, count: *in_bucket, positive, linear };
            let (kept, middle) = cut.rest(at, keep_below);
            if kept != 0.0 {
                sum += middle * kept;
            }
            count += kept;
            changed |= kept != *in_bucket;
            *in_bucket = kept;
        }
        side.retain(|(_, in_bucket)| *in_bucket != 0.0);
    }
    if trimmed.zero_count > 0.0 {
        let threshold = histogram.zero_threshold;
        let [negative, positive] = holds;
        let lower = if positive && !negative { 0.0 } else { -threshold };
        let upper = if negative && !positive { 0.0 } else { threshold };
        let (kept, middle) = zero_rest(lower, upper, trimmed.zero_count, at, keep_below);
        changed |= kept != trimmed.zero_count;
        trimmed.zero_count = kept;
        sum += middle * kept;
        count += kept;
    }
    // Nothing cut: the sum that was measured is better than one of middles.
    if changed {
        (trimmed.count, trimmed.sum) = (count, sum);
        trimmed
    } else {
        histogram.clone()
    }
}

fn zero_rest(lower: f64, upper: f64, count: f64, at: f64, keep_below: bool) -> Rest {
    let all = (count, (lower + upper) / 2.0);
    match (keep_below, at <= lower, at >= upper) {
        (true, true, _) => (0.0, 0.0),
        (true, _, true) => all,
        (true, ..) => (count * ((at - lower) / (upper - lower)), (lower + at) / 2.0),
        (false, true, _) => all,
        (false, _, true) => (0.0, 0.0),
        (false, ..) => (count * ((upper - at) / (upper - lower)), (at + upper) / 2.0),
    }
}

impl Cut {
    fn rest(self, at: f64, keep_below: bool) -> Rest {
        let (whole, crossed) =
            if keep_below { (self.upper <= at, self.lower < at) } else { (self.lower >= at, self.upper > at) };
        if whole {
            (self.count, self.middle(self.lower, self.upper))
        } else if !crossed {
            (0.0, 0.0)
        } else if self.lower == f64::NEG_INFINITY || self.upper == f64::INFINITY {
            self.endless_rest(at, keep_below)
        } else {
            let below = self.below(at);
            if keep_below {
                (below, self.middle(self.lower, at))
            } else {
                (self.count - below, self.middle(at, self.upper))
            }
        }
    }

    /// Where observations are in an endless bucket is unknown, so it is dropped rather than guessed at; only if it ends
    /// above zero it counts as beginning there.
    fn endless_rest(self, at: f64, keep_below: bool) -> Rest {
        let Cut { lower, upper, count, .. } = self;
        let ends_above_zero = lower == f64::NEG_INFINITY && upper != f64::INFINITY && upper > 0.0;
        match (lower == f64::NEG_INFINITY, keep_below) {
            (true, true) if at >= upper => (count, 0.0),
            (true, true) if at > 0.0 && ends_above_zero => (count * at / upper, at / 2.0),
            (true, true) if upper <= 0.0 => (count, at),
            (true, false) if at <= lower => (count, 0.0),
            (true, false) if at >= 0.0 && ends_above_zero && upper > at => {
                (count * (1.0 - at / upper), (at + upper) / 2.0)
            }
            (false, false) if at >= lower => (count, at),
            _ => (0.0, 0.0),
        }
    }

    fn below(self, at: f64) -> f64 {
        let Cut { lower, upper, count, positive, linear } = self;
        if at <= lower {
            return 0.0;
        }
        if at >= upper {
            return count;
        }
        if linear {
            return count * ((at - lower) / (upper - lower));
        }
        let (low, high, at) = (lower.abs().log2(), upper.abs().log2(), at.abs().log2());
        count * if positive { (at - low) / (high - low) } else { 1.0 - (at - high) / (low - high) }
    }

    fn middle(self, lower: f64, upper: f64) -> f64 {
        match (lower.is_infinite(), upper.is_infinite()) {
            (true, true) => 0.0,
            (true, false) => {
                if upper > 0.0 {
                    upper / 2.0
                } else {
                    upper
                }
            }
            (false, true) => lower,
            (false, false) if self.linear => (lower + upper) / 2.0,
            (false, false) => (lower * upper).abs().sqrt() * if self.positive { 1.0 } else { -1.0 },
        }
    }
}

#[cfg(test)]
mod tests {
    use model::histogram::SCHEMA_CUSTOM;

    use super::*;

    #[test]
    fn custom_buckets_are_cut_evenly_and_endless_ones_dropped() {
        let histogram = Histogram {
            schema: SCHEMA_CUSTOM,
            count: 15.0,
            sum: 172.5,
            positive: vec![(0, 1.0), (1, 6.0), (2, 4.0), (3, 3.0), (4, 1.0)],
            custom_bounds: [5.0, 10.0, 15.0, 20.0].into(),
            ..Histogram::default()
        };
        for (at, keep_below, count, sum) in [
            (13.0, true, 9.4, 75.1),
            (13.0, false, 5.6, 94.9),
            (15.0, true, 11.0, 97.5),
            (50.0, true, 14.0, 150.0),
            (f64::NEG_INFINITY, true, 0.0, 0.0),
            (f64::INFINITY, false, 0.0, 0.0),
            (f64::INFINITY, true, 15.0, 172.5),
            (0.0, false, 15.0, 172.5),
            (f64::NAN, true, 0.0, 0.0),
        ] {
            let trimmed = trim(&histogram, at, keep_below);
            assert!((trimmed.count - count).abs() < 1e-9, "{at} {keep_below}: {trimmed:?}");
            assert!((trimmed.sum - sum).abs() < 1e-9, "{at} {keep_below}: {trimmed:?}");
        }
    }

    #[test]
    fn the_two_parts_of_an_exponential_histogram_make_the_whole() {
        let histogram = Histogram {
            schema: 2,
            zero_threshold: 0.001,
            zero_count: 1.0,
            count: 28.0,
            sum: 12.8,
            positive: vec![(0, 1.0), (1, 2.0), (2, 4.0), (3, 7.0), (4, 3.0)],
            negative: vec![(0, 1.0), (1, 5.0), (2, 3.0), (3, 1.0)],
            ..Histogram::default()
        };
        for at in [-3.0, -1.3, -1.0, -0.0005, 0.0, 0.0004, 1.0, 1.13, 2.0, 5.0] {
            let (below, above) = (trim(&histogram, at, true), trim(&histogram, at, false));
            assert!((below.count + above.count - 28.0).abs() < 1e-9, "{at}: {below:?} {above:?}");
        }
        assert!((trim(&histogram, 1.13, true).count - 13.410_582_181_123_704).abs() < 1e-9);
    }
}
