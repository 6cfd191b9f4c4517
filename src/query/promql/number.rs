//! Numbers as text, as Go writes them.

/// All digits, no exponent (`strconv.FormatFloat(value, 'f', -1, 64)`): the value of a label.
pub(crate) fn plain(value: f64) -> String {
    if value.is_infinite() { if value > 0.0 { "+Inf".into() } else { "-Inf".into() } } else { format!("{value}") }
}

/// With an exponent from 1e21 up and below 1e-4 (`%v`): a number in an expression or a message.
pub(crate) fn general(value: f64) -> String {
    if !value.is_finite() || value == 0.0 || (1e-4..1e21).contains(&value.abs()) {
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
    }
}
