//! What a number counts, and how it is written: three significant digits, the unit's own prefixes.

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
        if value.is_nan() {
            return "NaN".into();
        }
        if value.is_infinite() {
            return if value > 0.0 { "+Inf".into() } else { "-Inf".into() };
        }
        match self {
            Unit::Number => scaled(value, 1_000.0, &["", "k", "M", "G", "T", "P"]),
            Unit::Bytes => scaled(value, 1_024.0, &[" B", " KiB", " MiB", " GiB", " TiB", " PiB"]),
            Unit::Ratio => format!("{} %", significant(value * 100.0)),
            Unit::Seconds => seconds(value),
        }
    }
}

fn seconds(value: f64) -> String {
    let size = value.abs();
    if size == 0.0 {
        "0 s".into()
    } else if size < 0.000_999_5 {
        format!("{} µs", significant(value * 1e6))
    } else if size < 0.999_5 {
        format!("{} ms", significant(value * 1e3))
    } else if size < 120.0 {
        format!("{} s", significant(value))
    } else if size < 7_200.0 {
        format!("{} min", significant(value / 60.0))
    } else if size < 172_800.0 {
        format!("{} h", significant(value / 3_600.0))
    } else {
        format!("{} d", significant(value / 86_400.0))
    }
}

fn scaled(value: f64, base: f64, prefixes: &[&str]) -> String {
    let mut rest = value;
    let mut place = 0;
    // 999.5 would round to 1000, which is the next prefix's 1.
    while rest.abs() >= base * 0.9995 && place + 1 < prefixes.len() {
        rest /= base;
        place += 1;
    }
    format!("{}{}", significant(rest), prefixes[place])
}

/// Three significant digits without trailing zeros; exponents only where a plain number would be unreadable.
pub(crate) fn significant(value: f64) -> String {
    if value == 0.0 {
        return "0".into();
    }
    let size = value.abs();
    if !(1e-4..1e7).contains(&size) {
        return format!("{value:.2e}");
    }
    let digits = (2 - size.log10().floor() as i32).max(0) as usize;
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
