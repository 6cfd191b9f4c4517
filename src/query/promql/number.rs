//! Numbers as text, as Go writes them.

/// All digits, no exponent (`strconv.FormatFloat(value, 'f', -1, 64)`): the value of a label.
pub(crate) fn plain(value: f64) -> String {
    if value.is_infinite() { if value > 0.0 { "+Inf".into() } else { "-Inf".into() } } else { format!("{value}") }
}

/// With an exponent from 1e21 up and below 1e-4: a number in an expression.
pub(crate) fn general(value: f64) -> String {
    below(value, 1e21)
}

/// With an exponent from a million up and below 1e-4 (`%g`, `%v`): a number in a message.
pub(crate) fn compact(value: f64) -> String {
    below(value, 1e6)
}

/// Six digits after the point (`%f`).
pub(crate) fn fixed(value: f64) -> String {
    if value.is_finite() { format!("{value:.6}") } else { plain(value) }
}

/// Two significant digits (`%.2g`).
pub(crate) fn short(value: f64) -> String {
    if !value.is_finite() || value == 0.0 {
        return plain(value);
    }
    // Rounded first: what becomes 100 has an exponent then.
    let rounded = format!("{value:.1e}").parse().unwrap_or(value);
    below(rounded, 1e2)
}

fn below(value: f64, exponent_from: f64) -> String {
    if !value.is_finite() || value == 0.0 || (1e-4..exponent_from).contains(&value.abs()) {
        return plain(value);
    }
    let written = format!("{value:e}");
    match written.split_once('e') {
        Some((digits, exponent)) => {
            let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |rest| ('-', rest));
            format!("{digits}e{sign}{exponent:0>2}")
        }
        None => written,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_go_writes_them() {
        for (value, shown) in [
            (0.0, "0"),
            (-2.5, "-2.5"),
            (1e20, "100000000000000000000"),
            (1e21, "1e+21"),
            (1.5e300, "1.5e+300"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (-1.25e-7, "-1.25e-07"),
            (f64::NEG_INFINITY, "-Inf"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(general(value), shown);
        }
        assert_eq!(plain(1e21), "1000000000000000000000");
        for (value, compacted, shortened) in [
            (1.0, "1", "1"),
            (12.34, "12.34", "12"),
            (99.6, "99.6", "1e+02"),
            (1234567.0, "1.234567e+06", "1.2e+06"),
            (999999.0, "999999", "1e+06"),
            (0.000_123_4, "0.0001234", "0.00012"),
            (0.0, "0", "0"),
        ] {
            assert_eq!((compact(value).as_str(), short(value).as_str()), (compacted, shortened));
        }
    }
}
