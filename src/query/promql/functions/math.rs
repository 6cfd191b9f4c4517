//! Arithmetic that differs from Rust's own: Go's treatment of NaN and signs, rounding to multiples, quantiles.

pub(crate) fn sgn(value: f64) -> f64 {
    if value > 0.0 {
        1.0
    } else if value < 0.0 {
        -1.0
    } else {
        value
    }
}

/// Go's `math.Max`: +Inf wins, then NaN, and +0 is above -0.
pub(crate) fn max(a: f64, b: f64) -> f64 {
    if a == f64::INFINITY || b == f64::INFINITY {
        return f64::INFINITY;
    }
    if a.is_nan() || b.is_nan() {
        return f64::NAN;
    }
    let second = b > a || b == a && a.is_sign_negative();
    if second { b } else { a }
}

/// Go's `math.Min`: -Inf wins, then NaN, and -0 is below +0.
pub(crate) fn min(a: f64, b: f64) -> f64 {
    -max(-a, -b)
}

/// To the nearest multiple, halves up. The inverse is what is multiplied, as Prometheus does, for exact tenths.
pub(crate) fn round_to(value: f64, nearest: f64) -> f64 {
    let inverse = 1.0 / nearest;
    (value * inverse + 0.5).floor() / inverse
}

/// Ascending, NaN first: the order in which quantiles count.
pub(crate) fn nan_first(a: &f64, b: &f64) -> std::cmp::Ordering {
    a.partial_cmp(b).unwrap_or_else(|| b.is_nan().cmp(&a.is_nan()))
}

/// The φ-quantile, linear between neighbours; sorts `values`. NaN without values, ±Inf outside 0..=1.
pub(crate) fn quantile(q: f64, values: &mut [f64]) -> f64 {
    if values.is_empty() || q.is_nan() {
        return f64::NAN;
    }
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    values.sort_by(nan_first);
    let rank = q * (values.len() - 1) as f64;
    let lower = rank.floor() as usize;
    let upper = (lower + 1).min(values.len() - 1);
    let weight = rank - rank.floor();
    values[lower] * (1.0 - weight) + values[upper] * weight
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_greater_is_what_go_takes() {
        const INF: f64 = f64::INFINITY;
        for (a, b, least, most) in [
            (1.0, 2.0, 1.0, 2.0),
            (f64::NAN, 1.0, f64::NAN, f64::NAN),
            (f64::NAN, INF, f64::NAN, INF),
            (f64::NAN, -INF, -INF, f64::NAN),
            (INF, -INF, -INF, INF),
            (0.0, -0.0, -0.0, 0.0),
        ] {
            for (a, b) in [(a, b), (b, a)] {
                let found = (min(a, b), max(a, b));
                let same = |found: f64, expected: f64| {
                    found.to_bits() == expected.to_bits() || found.is_nan() && expected.is_nan()
                };
                assert!(same(found.0, least) && same(found.1, most), "{a} {b}: {found:?}");
            }
        }
    }
}
