//! What a number counts, and how it is written: three significant digits, the unit's own prefixes.

/// Significant digits of a value by itself, and at most where values must differ.
const DIGITS: i32 = 3;
const DIGITS_MAX: i32 = 7;

/// Unit of a value, as far as the way of writing it differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    Number,
    /// Powers of 1024.
    Bytes,
    Seconds,
    /// 1 is 100 %.
    Ratio,
}

impl Unit {
    /// As the pages' script knows it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Unit::Number => "number",
            Unit::Bytes => "bytes",
            Unit::Seconds => "seconds",
            Unit::Ratio => "ratio",
        }
    }

    /// Guesses from a metric's name by the suffixes that OTLP translation appends.
    pub(crate) fn of_metric(name: &str) -> Unit {
        if name.ends_with("_bytes") || name.ends_with(":bytes") {
            Unit::Bytes
        } else if name.ends_with("_seconds") || name.contains(":seconds") {
            Unit::Seconds
        } else if name.ends_with("_ratio") || name.contains(":ratio") {
            Unit::Ratio
        } else {
            Unit::Number
        }
    }

    /// The value for a reader: `1.23k`, `4.5 MiB`, `250 ms`, `12.5 %`.
    pub(crate) fn text(self, value: f64) -> String {
        self.text_to(value, DIGITS)
    }

    /// Values beside each other, as on an axis: with as many digits as it takes to tell each from the next.
    pub(crate) fn texts(self, values: &[f64]) -> Vec<String> {
        let texts = |digits| values.iter().map(|value| self.text_to(*value, digits)).collect::<Vec<String>>();
        let differ = |texts: &Vec<String>| texts.windows(2).all(|pair| pair[0] != pair[1]);
        (DIGITS..DIGITS_MAX).map(texts).find(differ).unwrap_or_else(|| texts(DIGITS_MAX))
    }

    fn text_to(self, value: f64, digits: i32) -> String {
        if value.is_nan() {
            return "NaN".into();
        }
        if value.is_infinite() {
            return if value > 0.0 { "+Inf".into() } else { "-Inf".into() };
        }
        match self {
            Unit::Number => scaled(value, digits, 1_000.0, &["", "k", "M", "G", "T", "P"]),
            Unit::Bytes => scaled(value, digits, 1_024.0, &[" B", " KiB", " MiB", " GiB", " TiB", " PiB"]),
            Unit::Ratio => format!("{} %", rounded(value * 100.0, digits)),
            Unit::Seconds => seconds(value, digits),
        }
    }
}

fn seconds(value: f64, digits: i32) -> String {
    let size = value.abs();
    if size == 0.0 {
        "0 s".into()
    } else if size < 0.000_999_5 {
        format!("{} µs", rounded(value * 1e6, digits))
    } else if size < 0.999_5 {
        format!("{} ms", rounded(value * 1e3, digits))
    } else if size < 120.0 {
        format!("{} s", rounded(value, digits))
    } else if size < 7_200.0 {
        format!("{} min", rounded(value / 60.0, digits))
    } else if size < 172_800.0 {
        format!("{} h", rounded(value / 3_600.0, digits))
    } else {
        format!("{} d", rounded(value / 86_400.0, digits))
    }
}

fn scaled(value: f64, digits: i32, base: f64, prefixes: &[&str]) -> String {
    let mut rest = value;
    let mut place = 0;
    // What would round to 1000 is the next prefix's 1.
    while rest.abs() >= base * (1.0 - 0.5 * 10f64.powi(-digits)) && place + 1 < prefixes.len() {
        rest /= base;
        place += 1;
    }
    format!("{}{}", rounded(rest, digits), prefixes[place])
}

/// So many significant digits without trailing zeros; exponents only where a plain number would be unreadable.
fn rounded(value: f64, digits: i32) -> String {
    if value == 0.0 {
        return "0".into();
    }
    let size = value.abs();
    if !(1e-4..1e7).contains(&size) {
        return format!("{value:.2e}");
    }
    let digits = (digits - 1 - size.log10().floor() as i32).max(0) as usize;
    let mut text = format!("{value:.digits$}");
    if text.contains('.') {
        text.truncate(text.trim_end_matches('0').trim_end_matches('.').len());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_for_readers() {
        for (unit, value, text) in [
            (Unit::Number, 0.0, "0"),
            (Unit::Number, 1234.0, "1.23k"),
            (Unit::Number, 999.7, "1k"),
            (Unit::Number, -0.001234, "-0.00123"),
            (Unit::Number, 100.0, "100"),
            (Unit::Number, 1e-9, "1.00e-9"),
            (Unit::Bytes, 1536.0, "1.5 KiB"),
            (Unit::Bytes, 512.0, "512 B"),
            (Unit::Ratio, 0.1254, "12.5 %"),
            (Unit::Seconds, 0.25, "250 ms"),
            (Unit::Seconds, 0.000_25, "250 µs"),
            (Unit::Seconds, 5400.0, "90 min"),
            (Unit::Number, f64::NAN, "NaN"),
            (Unit::Number, f64::NEG_INFINITY, "-Inf"),
        ] {
            assert_eq!(unit.text(value), text, "{unit:?} {value}");
        }
    }

    #[test]
    fn values_beside_each_other_are_told_apart() {
        for (unit, values, texts) in [
            (Unit::Number, [0.0, 5.0, 10.0], ["0", "5", "10"]),
            (Unit::Number, [9_980.0, 9_985.0, 10_000.0], ["9.98k", "9.985k", "10k"]),
            (Unit::Ratio, [0.999, 0.999_5, 1.0], ["99.9 %", "99.95 %", "100 %"]),
            (Unit::Seconds, [0.1, 0.1, 0.1], ["100 ms", "100 ms", "100 ms"]),
        ] {
            assert_eq!(unit.texts(&values), texts, "{unit:?} {values:?}");
        }
    }

    #[test]
    fn units_follow_the_suffix() {
        for (name, unit) in [
            ("system_memory_usage_bytes", Unit::Bytes),
            ("binnacle:fs_used:ratio", Unit::Ratio),
            ("binnacle:http_err:ratio5m", Unit::Ratio),
            ("process_uptime_seconds", Unit::Seconds),
            ("http_requests_total", Unit::Number),
        ] {
            assert_eq!(Unit::of_metric(name), unit, "{name}");
        }
    }
}
