//! Functions over the samples of one window, each from its definition alone.

/// `None` where the function has no value for so few samples.
pub(crate) fn compute(
    function: &str,
    number: Option<f64>,
    samples: &[(i64, f64)],
    start_ms: i64,
    end_ms: i64,
    at_ms: i64,
) -> Option<f64> {
    let values: Vec<f64> = samples.iter().map(|(_, value)| *value).collect();
    let (first, last) = (samples.first()?, samples.last()?);
    let pairs = || values.windows(2).map(|pair| (pair[0], pair[1]));
    Some(match function {
        "rate" => extrapolated(samples, start_ms, end_ms, true, (end_ms - start_ms) as f64 / 1000.0)?,
        "increase" => extrapolated(samples, start_ms, end_ms, true, 1.0)?,
        "delta" => extrapolated(samples, start_ms, end_ms, false, 1.0)?,
        "irate" | "idelta" => {
            let [.., before, last] = samples else { return None };
            if function == "idelta" {
                return Some(last.1 - before.1);
            }
            let change = if last.1 < before.1 { last.1 } else { last.1 - before.1 };
            change / ((last.0 - before.0) as f64 / 1000.0)
        }
        "sum_over_time" => precise_sum(&values),
        "avg_over_time" => average(&values),
        "min_over_time" => extreme(&values, |value, best| value < best),
        "max_over_time" => extreme(&values, |value, best| value > best),
        "count_over_time" => values.len() as f64,
        "present_over_time" => 1.0,
        "last_over_time" => last.1,
        "first_over_time" => first.1,
        "ts_of_last_over_time" => last.0 as f64 / 1000.0,
        "ts_of_first_over_time" => first.0 as f64 / 1000.0,
        "stdvar_over_time" => precise_variance(&values),
        "stddev_over_time" => precise_variance(&values).sqrt(),
        "quantile_over_time" => quantile(number?, &values),
        "changes" => pairs().filter(|(a, b)| a != b && !(a.is_nan() && b.is_nan())).count() as f64,
        "resets" => pairs().filter(|(a, b)| b < a).count() as f64,
        "mad_over_time" if values.iter().any(|value| value.is_nan()) => f64::NAN,
        "mad_over_time" => {
            let median = quantile(0.5, &values);
            quantile(0.5, &values.iter().map(|value| (value - median).abs()).collect::<Vec<_>>())
        }
        "deriv" => {
            if samples.len() < 2 {
                return None;
            }
            line(samples, first.0).0
        }
        "predict_linear" => {
            if samples.len() < 2 {
                return None;
            }
            let (slope, here) = line(samples, at_ms);
            slope * number? + here
        }
        other => panic!("no function {other}"),
    })
}

/// The increase (with resets undone) or difference over the window, stretched to its ends, divided by `per_s`.
fn extrapolated(samples: &[(i64, f64)], start_ms: i64, end_ms: i64, is_counter: bool, per_s: f64) -> Option<f64> {
    let [first, .., last] = samples else { return None };
    let mut change = last.1 - first.1;
    if is_counter {
        for pair in samples.windows(2) {
            if pair[1].1 < pair[0].1 {
                change += pair[0].1;
            }
        }
    }
    let seconds = |ms: i64| ms as f64 / 1000.0;
    let (mut to_start, mut to_end) = (seconds(first.0 - start_ms), seconds(end_ms - last.0));
    let sampled = seconds(last.0 - first.0);
    let interval = sampled / (samples.len() - 1) as f64;
    if to_start >= interval * 1.1 {
        to_start = interval / 2.0;
    }
    if is_counter && change > 0.0 && first.1 >= 0.0 {
        // A counter was never below zero.
        to_start = to_start.min(sampled * (first.1 / change));
    }
    if to_end >= interval * 1.1 {
        to_end = interval / 2.0;
    }
    Some(change * ((sampled + to_start + to_end) / sampled / per_s))
}

/// The least squares line: its slope a second, and its value at a time.
fn line(samples: &[(i64, f64)], at_ms: i64) -> (f64, f64) {
    if samples.iter().all(|(_, value)| *value == samples[0].1) {
        let value = samples[0].1;
        return if value.is_infinite() { (f64::NAN, f64::NAN) } else { (0.0, value) };
    }
    let x = |ms: i64| (ms - at_ms) as f64 / 1000.0;
    let sum = |of: &dyn Fn(i64, f64) -> f64| {
        precise_sum(&samples.iter().map(|(ms, value)| of(*ms, *value)).collect::<Vec<_>>())
    };
    let n = samples.len() as f64;
    let (sum_x, sum_y) = (sum(&|ms, _| x(ms)), sum(&|_, value| value));
    let (sum_xy, sum_xx) = (sum(&|ms, value| x(ms) * value), sum(&|ms, _| x(ms) * x(ms)));
    let slope = (sum_xy - sum_x * sum_y / n) / (sum_xx - sum_x * sum_x / n);
    (slope, sum_y / n - slope * sum_x / n)
}

/// With what rounding takes kept apart (Neumaier).
pub(crate) fn precise_sum(values: &[f64]) -> f64 {
    let (sum, lost) = parts(values);
    sum + lost
}

fn parts(values: &[f64]) -> (f64, f64) {
    let (mut sum, mut lost) = (0.0_f64, 0.0);
    for value in values {
        (sum, lost) = plus(sum, lost, *value);
    }
    (sum, lost)
}

fn plus(sum: f64, lost: f64, value: f64) -> (f64, f64) {
    let next = sum + value;
    let lost = if next.is_infinite() {
        0.0
    } else if sum.abs() >= value.abs() {
        lost + ((sum - next) + value)
    } else {
        lost + ((value - next) + sum)
    };
    (next, lost)
}

/// Of values whose sum does not overflow, as the generator makes them; an infinity in the sum makes it a mean from there on.
pub(crate) fn average(values: &[f64]) -> f64 {
    let (mut sum, mut lost, mut n) = (values[0], 0.0, 1.0);
    let mut rest = values[1..].iter();
    for value in rest.by_ref() {
        n += 1.0;
        let next = plus(sum, lost, *value);
        if next.0.is_infinite() {
            let mut mean = (sum / (n - 1.0), lost / (n - 1.0));
            for value in [value].into_iter().chain(rest) {
                let kept = (n - 1.0) / n;
                mean = plus(kept * mean.0, kept * mean.1, value / n);
                n += 1.0;
            }
            return mean.0 + mean.1;
        }
        (sum, lost) = next;
    }
    sum / n + lost / n
}

/// The first of the best; NaN only if all are.
pub(crate) fn extreme(values: &[f64], is_better: impl Fn(f64, f64) -> bool) -> f64 {
    let mut best = f64::NAN;
    for value in values {
        if best.is_nan() || is_better(*value, best) {
            best = *value;
        }
    }
    best
}

/// Welford's.
pub(crate) fn variance(values: &[f64]) -> f64 {
    let (mut mean, mut squares) = (0.0, 0.0);
    for (n, value) in (1..).zip(values) {
        let delta = value - mean;
        mean += delta / f64::from(n);
        squares += delta * (value - mean);
    }
    squares / values.len() as f64
}

/// Welford's, with what rounding takes kept apart.
fn precise_variance(values: &[f64]) -> f64 {
    let (mut mean, mut squares) = ((0.0, 0.0), (0.0, 0.0));
    for (n, value) in (1..).zip(values) {
        let delta = value - (mean.0 + mean.1);
        mean = plus(mean.0, mean.1, delta / f64::from(n));
        squares = plus(squares.0, squares.1, delta * (value - (mean.0 + mean.1)));
    }
    (squares.0 + squares.1) / values.len() as f64
}

/// Between the two values around the rank; NaN is below everything.
pub(crate) fn quantile(q: f64, values: &[f64]) -> f64 {
    if q.is_nan() || values.is_empty() {
        return f64::NAN;
    }
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    let mut values = values.to_vec();
    values.sort_by(|a, b| match (a.is_nan(), b.is_nan()) {
        (true, true) => std::cmp::Ordering::Equal,
        (true, false) => std::cmp::Ordering::Less,
        (false, true) => std::cmp::Ordering::Greater,
        _ => a.partial_cmp(b).unwrap(),
    });
    let rank = q * (values.len() - 1) as f64;
    let (below, weight) = (rank.floor() as usize, rank - rank.floor());
    let above = (below + 1).min(values.len() - 1);
    values[below] * (1.0 - weight) + values[above] * weight
}
