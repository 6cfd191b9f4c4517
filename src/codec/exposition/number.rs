//! Numbers as Go reads and writes them, since that is what targets and Prometheus agree on.

use model::metric::NORMAL_NAN_BITS;

/// Reads a number as Go's `strconv.ParseFloat` does, without its hexadecimal and underscored forms. Every NaN is the ordinary one: only
/// we may write the stale marker.
pub(super) fn parse_float(text: &str) -> Result<f64, String> {
    let refused = || format!("{text:?} is no number");
    let value: f64 = text.parse().map_err(|_| refused())?;
    let unsigned = text.trim_start_matches(['+', '-']);
    if value.is_nan() {
        // Rust would take a sign before it.
        return if unsigned.len() == text.len() { Ok(f64::from_bits(NORMAL_NAN_BITS)) } else { Err(refused()) };
    }
    if value.is_infinite() && !unsigned.starts_with(['i', 'I']) {
        return Err(format!("{text:?} is out of range"));
    }
    Ok(value)
}

/// The canonical text of a bucket's bound or a quantile (OpenMetrics 1.0, "Canonical Numbers"; Prometheus `formatOpenMetricsFloat`):
/// shortest digits that read back the same, an exponent below 1e-4 and from 1e6 on, and always a point or an exponent.
pub fn float_text(value: f64) -> String {
    if value.is_nan() {
        return "NaN".into();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.into();
    }
    let scientific = format!("{value:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if value != 0.0 && !(-4..6).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{digits}e{sign}{:02}", exponent.abs());
    }
    let plain = value.to_string();
    if plain.contains('.') { plain } else { plain + ".0" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_go_reads_them() {
        for (text, expected) in [
            ("1", Some(1.0)),
            ("+1.5", Some(1.5)),
            ("-.5", Some(-0.5)),
            ("1.", Some(1.0)),
            ("1e5", Some(1e5)),
            ("1E-5", Some(1e-5)),
            ("Inf", Some(f64::INFINITY)),
            ("+inf", Some(f64::INFINITY)),
            ("-Infinity", Some(f64::NEG_INFINITY)),
            ("1e400", None),
            ("-1e400", None),
            ("-NaN", None),
            ("0x1p-3", None),
            ("1_2", None),
            ("true", None),
            ("", None),
            (".", None),
            ("1e", None),
            ("infinit", None),
            (" 1", None),
        ] {
            assert_eq!(parse_float(text).ok(), expected, "{text:?}");
        }
        for text in ["NaN", "nan", "NAN"] {
            assert_eq!(parse_float(text).unwrap().to_bits(), NORMAL_NAN_BITS, "{text}");
        }
    }

    #[test]
    fn bounds_are_written_in_one_way() {
        for (value, expected) in [
            (0.0, "0.0"),
            (1.0, "1.0"),
            (-1.0, "-1.0"),
            (0.25, "0.25"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (100_000.0, "100000.0"),
            (1_000_000.0, "1e+06"),
            (1_234_567.0, "1.234567e+06"),
            (1e100, "1e+100"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(float_text(value), expected);
        }
    }
}
