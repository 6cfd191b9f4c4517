//! Doubles that are short decimals, as integers times a power of ten: what chunks, runs and intake records make of values.

/// Powers of ten up to the largest that any of them tries; beyond 15 digits few values are decimals.
pub(crate) const POWERS: [f64; 16] =
    [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];

/// Largest power of ten where time counts more than bytes.
pub(crate) const QUICK_EXPONENT_MAX: usize = 12;

/// Integers up to here are exact in a double, so a division by a power of ten rounds once, as parsing the decimal does.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;

/// Doubles from here up have no fraction.
const WHOLE_MIN: f64 = 4_503_599_627_370_496.0;

/// `value * 10^exponent` where dividing it back gives the same bits.
///
/// # Panics
/// When the exponent is beyond [`POWERS`]: the caller's mistake.
#[inline]
pub(crate) fn integer(value: f64, exponent: usize) -> Option<i64> {
    let power = POWERS[exponent];
    let product = value * power;
    // NaN fails it too.
    if !(-EXACT_MAX..=EXACT_MAX).contains(&product) {
        return None;
    }
    // Rounded without the call that `round` is where the processor has no instruction for it. What this rounds otherwise, next to a half,
    // does not divide back anyway.
    let half = if product.abs() < WHOLE_MIN { 0.5f64.copysign(product) } else { 0.0 };
    let integer = (product + half) as i64;
    ((integer as f64 / power).to_bits() == value.to_bits()).then_some(integer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_integers_that_divide_back() {
        for (value, exponent, expected) in [
            (0.0, 0, Some(0)),
            (-0.0, 0, None),
            (12.5, 0, None),
            (12.5, 1, Some(125)),
            (-0.07, 2, Some(-7)),
            (0.1 + 0.2, 1, None),
            (f64::NAN, 3, None),
            (f64::INFINITY, 0, None),
            (9_007_199_254_740_992.0, 0, Some(1 << 53)),
            (9_007_199_254_740_994.0, 0, None),
            (1e300, 12, None),
            (9_007_199_254_740_991.0, 0, Some((1 << 53) - 1)),
            (-4_503_599_627_370_497.0, 0, Some(-(1 << 52) - 1)),
            (4_503_599_627_370_495.5, 0, None),
            (450_359_962_737_049.7, 1, Some(4_503_599_627_370_497)),
            (0.49999999999999994, 0, None),
        ] {
            assert_eq!(integer(value, exponent), expected, "{value} with {exponent}");
        }
    }
}
