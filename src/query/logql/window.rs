//! Values of one window of samples: the range aggregations that look at each sample, with Loki's arithmetic.

use super::ast::RangeOp;
use super::units;

#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    pub(crate) time_ns: i64,
    /// The hash of its stream: samples of one time are in its order.
    pub(crate) stream: u64,
    pub(crate) value: f64,
}

/// The value of a window, which is never empty and in order of time and stream.
pub(crate) fn value(op: RangeOp, quantile: Option<f64>, window_ns: i64, samples: &[Sample]) -> f64 {
    let values = || samples.iter().map(|sample| sample.value);
    let seconds = units::seconds(window_ns);
    match op {
        RangeOp::Count => samples.len() as f64,
        RangeOp::Sum | RangeOp::Bytes => sum(values()),
        RangeOp::Rate | RangeOp::BytesRate => sum(values()) / seconds,
        RangeOp::RateCounter => rate_counter(samples, window_ns),
        RangeOp::Avg => mean(values()),
        RangeOp::Min => values()
            .reduce(|least, value| if value < least || least.is_nan() { value } else { least })
            .unwrap_or(f64::NAN),
        RangeOp::Max => {
            values().reduce(|most, value| if value > most || most.is_nan() { value } else { most }).unwrap_or(f64::NAN)
        }
        RangeOp::Stdvar => variance(values()),
        RangeOp::Stddev => variance(values()).sqrt(),
        RangeOp::Quantile => quantile_of(quantile.unwrap_or(f64::NAN), values().collect()),
        RangeOp::First => samples.first().map_or(f64::NAN, |sample| sample.value),
        RangeOp::Last => samples.last().map_or(f64::NAN, |sample| sample.value),
        RangeOp::Absent => 1.0,
    }
}

fn sum(values: impl Iterator<Item = f64>) -> f64 {
    values.fold(0.0, |sum, value| sum + value)
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (mut mean, mut count) = (0.0f64, 0.0f64);
    for value in values {
        count += 1.0;
        // Once infinite it stays so, but for the other infinity and NaN.
        let stays = mean.is_infinite() && (value.is_finite() || value == mean);
        if !stays {
            mean += value / count - mean / count;
        }
    }
    mean
}

fn variance(values: impl Iterator<Item = f64>) -> f64 {
    let (mut squares, mut count, mut mean) = (0.0f64, 0.0f64, 0.0f64);
    for value in values {
        count += 1.0;
        let delta = value - mean;
        mean += delta / count;
        squares += delta * (value - mean);
    }
    squares / count
}

/// NaN is smaller than every number.
fn quantile_of(quantile: f64, mut values: Vec<f64>) -> f64 {
    if values.is_empty() || quantile.is_nan() {
        return f64::NAN;
    }
    if quantile < 0.0 {
        return f64::NEG_INFINITY;
    }
    if quantile > 1.0 {
        return f64::INFINITY;
    }
    values.sort_by(|left, right| right.is_nan().cmp(&left.is_nan()).then(left.total_cmp(right)));
    let last = values.len() - 1;
    let rank = quantile * last as f64;
    let lower = (rank.floor() as usize).min(last);
    let upper = (lower + 1).min(last);
    let weight = rank - rank.floor();
    values[lower] * (1.0 - weight) + values[upper] * weight
}

/// Loki's `extrapolatedRate` (`pkg/logql/range_vector.go`), its units included: times of samples are nanoseconds there while it counts
/// in milliseconds, so that what it calls seconds are microseconds between samples and seconds of the window.
fn rate_counter(samples: &[Sample], window_ns: i64) -> f64 {
    let [first, .., last] = samples else { return 0.0 };
    let mut increase = last.value - first.value;
    let mut before = 0.0;
    for Sample { value, .. } in samples {
        if *value < before {
            increase += before;
        }
        before = *value;
    }
    let window_ms = window_ns / 1_000_000;
    let mut to_start = window_ms as f64 / 1000.0;
    let sampled = (last.time_ns - first.time_ns) as f64 / 1000.0;
    let between = sampled / (samples.len() - 1) as f64;
    if increase > 0.0 && first.value >= 0.0 {
        to_start = to_start.min(sampled * (first.value / increase));
    }
    let threshold = between * 1.1;
    let mut reached = sampled;
    reached += if to_start < threshold { to_start } else { between / 2.0 };
    reached += if 0.0 < threshold { 0.0 } else { between / 2.0 };
    increase * (reached / sampled) / units::seconds(window_ns)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counter_rates_are_lokis() {
        const S: i64 = 1_000_000_000;
        let of = |(at_s, value): &(i64, f64)| Sample { time_ns: at_s * S, stream: 0, value: *value };
        for (samples, window_s, expected) in [
            (&[(10, 5.0), (20, 10.0), (30, 15.0), (40, 20.0)][..], 60, 0.250_000_5),
            (&[(10, 10.0), (20, 20.0), (30, 3.0), (40, 8.0)], 60, 0.300_000_6),
            (&[(10, 5.0), (20, 2.0), (30, 9.0), (40, 1.0), (50, 6.0)], 60, 0.250_000_375),
            (&[(25, 100.0), (35, 160.0)], 60, 1.000_006),
            (&[(10, 5.0), (40, 65.0)], 120, 0.500_002),
            (&[(30, 5.0)], 60, 0.0),
        ] {
            let samples: Vec<Sample> = samples.iter().map(of).collect();
            let found = value(RangeOp::RateCounter, None, window_s * S, &samples);
            assert!((found - expected).abs() < 1e-12, "{samples:?}: {found}");
        }
    }

    #[test]
    fn windows_of_odd_lengths_divide_as_lokis_do() {
        for (window_ms, expected) in [
            (1_118, 0.894_454_382_826_475_9),
            (1_235, 0.809_716_599_190_283_5),
            (1_128, 0.886_524_822_695_035_4),
            (1_500, 0.666_666_666_666_666_6),
            (100, 10.0),
        ] {
            let one = [Sample { time_ns: 0, stream: 0, value: 1.0 }];
            assert_eq!(value(RangeOp::Rate, None, window_ms * 1_000_000, &one), expected, "{window_ms}");
        }
    }

    #[test]
    fn windows_have_lokis_values() {
        const S: i64 = 1_000_000_000;
        let of = |(time_ns, value)| Sample { time_ns, stream: 0, value };
        let samples = [(0, 1.0), (S, 5.0), (2 * S, 2.0), (3 * S, 4.0)].map(of);
        for (op, quantile, expected) in [
            (RangeOp::Count, None, 4.0),
            (RangeOp::Sum, None, 12.0),
            (RangeOp::Rate, None, 1.2),
            (RangeOp::Avg, None, 3.0),
            (RangeOp::Min, None, 1.0),
            (RangeOp::Max, None, 5.0),
            (RangeOp::Stdvar, None, 2.5),
            (RangeOp::First, None, 1.0),
            (RangeOp::Last, None, 4.0),
            (RangeOp::Quantile, Some(0.5), 3.0),
            (RangeOp::Quantile, Some(0.9), 4.7),
            (RangeOp::Quantile, Some(1.5), f64::INFINITY),
        ] {
            let found = value(op, quantile, 10 * S, &samples);
            assert!((found - expected).abs() < 1e-12 || found == expected, "{op:?}: {found}");
        }
        let odd = [(0, f64::NAN), (1, f64::INFINITY), (2, 3.0)].map(of);
        assert_eq!(value(RangeOp::Max, None, S, &odd), f64::INFINITY);
        assert_eq!(value(RangeOp::Min, None, S, &odd), 3.0);
        assert!(value(RangeOp::Sum, None, S, &odd).is_nan());
        assert_eq!(value(RangeOp::Avg, None, S, &odd[1..]), f64::INFINITY);
        assert_eq!(value(RangeOp::RateCounter, None, S, &samples[..1]), 0.0);
    }
}
