//! OpenTelemetry names to Prometheus names, for metrics and labels, in Prometheus' four strategies.
//!
//! Source of the rules: prometheus/otlptranslator (`metric_namer.go`, `label_namer.go`, `unit_namer.go`), with
//! Prometheus' defaults for labels: runs of underscores stay, a single leading one gets `key` in front.

use super::Translation;
use super::unit;

/// What decides about a metric's suffix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Suffix {
    /// Monotonic sums end in `_total`.
    Total,
    /// Gauges of unit `1` end in `_ratio`.
    Gauge,
    None,
}

impl Translation {
    fn escapes(self) -> bool {
        matches!(self, Translation::UnderscoreEscapingWithSuffixes | Translation::UnderscoreEscapingWithoutSuffixes)
    }
}

/// The family's name; `Err` says why there is none.
pub(crate) fn metric_name(strategy: Translation, name: &str, unit: &str, suffix: Suffix) -> Result<String, String> {
    if name.is_empty() {
        return Err("the metric has no name".into());
    }
    let translated = match strategy {
        Translation::UnderscoreEscapingWithSuffixes => tokens_with_suffixes(name, unit, suffix),
        Translation::UnderscoreEscapingWithoutSuffixes => {
            let tokens: Vec<&str> = name.split(|c: char| !is_name_char(c) && c != '_').filter(is_token).collect();
            not_a_digit_first(tokens.join("_"))
        }
        Translation::NoUtf8EscapingWithSuffixes => utf8_with_suffixes(name, unit, suffix),
        Translation::NoTranslation => name.to_owned(),
    };
    if translated.is_empty() {
        return Err(format!("metric name {name:?} has no character to keep"));
    }
    if translated != name && translated.bytes().all(|c| c == b'_') {
        return Err(format!("metric name {name:?} would become {translated:?}"));
    }
    Ok(translated)
}

/// The label's name; `Err` says why there is none.
pub(crate) fn label_name(strategy: Translation, key: &str) -> Result<String, String> {
    let translated = if strategy.escapes() { escaped_label(key) } else { key.to_owned() };
    if translated.bytes().all(|c| c == b'_') {
        return Err(format!("attribute key {key:?} has no character to keep in a label name"));
    }
    Ok(translated)
}

/// The unit's word for a family's metadata: `bytes_per_second`.
pub(crate) fn unit_name(strategy: Translation, unit: &str) -> String {
    let (mut main, mut per) = unit::words(unit);
    if strategy.escapes() {
        (main, per) = (clean_unit(&main), clean_unit(&per));
    }
    let joined = match (main.is_empty(), per.is_empty()) {
        (false, false) => format!("{main}_{per}"),
        (false, true) => main,
        _ => per,
    };
    let trimmed = joined.strip_prefix('_').unwrap_or(&joined);
    trimmed.strip_suffix('_').unwrap_or(trimmed).to_owned()
}

fn escaped_label(key: &str) -> String {
    let escaped: String = key.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    if escaped.starts_with(|c: char| c.is_ascii_digit()) {
        format!("key_{escaped}")
    } else if escaped.starts_with('_') && !escaped.starts_with("__") && escaped.len() > 1 {
        format!("key{escaped}")
    } else {
        escaped
    }
}

fn is_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == ':'
}

fn is_token(token: &&str) -> bool {
    !token.is_empty()
}

fn not_a_digit_first(name: String) -> String {
    if name.starts_with(|c: char| c.is_ascii_digit()) { format!("_{name}") } else { name }
}

fn tokens_with_suffixes(name: &str, unit: &str, suffix: Suffix) -> String {
    let (main, per) = unit::words(unit);
    let (main, per) = (clean_unit(&main), clean_unit(&per));
    let mut main = main.as_str();
    let mut per = if per == "per_" { "" } else { per.strip_suffix('_').unwrap_or(&per) };

    let mut tokens: Vec<&str> = name.split(|c: char| !is_name_char(c)).filter(is_token).collect();
    if tokens.contains(&main) {
        main = "";
    }
    if tokens.contains(&per) {
        per = "";
    }
    if !per.is_empty() {
        main = main.strip_suffix('_').unwrap_or(main);
    }
    tokens.extend([main, per].into_iter().filter(is_token));
    let last = match suffix {
        Suffix::Total => Some("total"),
        Suffix::Gauge if unit == "1" => Some("ratio"),
        _ => None,
    };
    if let Some(last) = last {
        tokens.retain(|token| *token != last);
        tokens.push(last);
    }
    not_a_digit_first(tokens.join("_"))
}

/// Sanitised, runs of underscores made one, a leading one taken off.
fn clean_unit(unit: &str) -> String {
    let mut out = String::with_capacity(unit.len());
    for c in unit.chars() {
        if is_name_char(c) {
            out.push(c);
        } else if !out.ends_with('_') {
            out.push('_');
        }
    }
    out.strip_prefix('_').map(str::to_owned).unwrap_or(out)
}

fn utf8_with_suffixes(name: &str, unit: &str, suffix: Suffix) -> String {
    let (main, per) = unit::words(unit);
    let ratio = suffix == Suffix::Gauge && unit == "1";
    let total = suffix == Suffix::Total;
    let mut out = name;
    for (wanted, word) in [(ratio, "ratio"), (total, "total"), (!per.is_empty(), per.as_str())] {
        if wanted {
            out = without_suffix(out, word);
        }
    }
    let mut out = out.to_owned();
    if !main.is_empty() && !out.ends_with(&main) {
        out = format!("{out}_{main}");
    }
    for (wanted, word) in [(!per.is_empty(), per.as_str()), (total, "total"), (ratio, "ratio")] {
        if wanted {
            out = format!("{out}_{word}");
        }
    }
    out
}

/// Without the word and the one character before it, whatever that delimiter is.
fn without_suffix<'a>(name: &'a str, word: &str) -> &'a str {
    let Some(rest) = name.strip_suffix(word) else { return name };
    let mut chars = rest.chars();
    match chars.next_back() {
        Some(_) if !chars.as_str().is_empty() => chars.as_str(),
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Translation::{
        NoTranslation, NoUtf8EscapingWithSuffixes, UnderscoreEscapingWithSuffixes, UnderscoreEscapingWithoutSuffixes,
    };

    #[test]
    fn metric_names_follow_the_strategy() {
        for (name, unit, suffix, escaped, utf8) in [
            (
                "http.server.request.duration",
                "s",
                Suffix::None,
                "http_server_request_duration_seconds",
                "http.server.request.duration_seconds",
            ),
            (
                "http.server.active_requests",
                "{request}",
                Suffix::None,
                "http_server_active_requests",
                "http.server.active_requests",
            ),
            (
                "process.cpu.time",
                "s",
                Suffix::Total,
                "process_cpu_time_seconds_total",
                "process.cpu.time_seconds_total",
            ),
            (
                "system.network.io",
                "By",
                Suffix::Total,
                "system_network_io_bytes_total",
                "system.network.io_bytes_total",
            ),
            (
                "system.cpu.utilization",
                "1",
                Suffix::Gauge,
                "system_cpu_utilization_ratio",
                "system.cpu.utilization_ratio",
            ),
            ("requests", "1/s", Suffix::Gauge, "requests_per_second", "requests_per_second"),
            ("throughput", "By/s", Suffix::Gauge, "throughput_bytes_per_second", "throughput_bytes_per_second"),
            ("total.requests", "", Suffix::Total, "requests_total", "total.requests_total"),
            ("response_time_seconds", "s", Suffix::Gauge, "response_time_seconds", "response_time_seconds"),
            ("custom_metric", "custom_unit", Suffix::Gauge, "custom_metric_custom_unit", "custom_metric_custom_unit"),
            ("123metric", "", Suffix::Gauge, "_123metric", "123metric"),
            ("metric@@##$$name", "", Suffix::Gauge, "metric_name", "metric@@##$$name"),
            ("a.total", "", Suffix::Total, "a_total", "a_total"),
            ("a__b", "{x}/{y}", Suffix::None, "a_b", "a__b"),
            ("speed", "km/h", Suffix::Gauge, "speed_km_per_hour", "speed_km_per_hour"),
            ("x_ratio", "1", Suffix::Gauge, "x_ratio", "x_ratio"),
            ("load", "1", Suffix::Total, "load_total", "load_total"),
            ("grüße", "", Suffix::None, "gr_e", "grüße"),
        ] {
            let run = |strategy| metric_name(strategy, name, unit, suffix);
            assert_eq!(run(UnderscoreEscapingWithSuffixes).as_deref(), Ok(escaped), "{name}");
            assert_eq!(run(NoUtf8EscapingWithSuffixes).as_deref(), Ok(utf8), "{name}");
            assert_eq!(run(NoTranslation).as_deref(), Ok(name), "{name}");
        }
        for (name, plain) in [("a__b.c-total", "a__b_c_total"), ("..a", "a"), ("1a", "_1a"), ("_a:b", "_a:b")] {
            assert_eq!(metric_name(UnderscoreEscapingWithoutSuffixes, name, "s", Suffix::Total).as_deref(), Ok(plain));
        }
        assert!(metric_name(UnderscoreEscapingWithSuffixes, "@#$%", "", Suffix::Gauge).is_err());
        assert!(metric_name(UnderscoreEscapingWithoutSuffixes, "@_#", "", Suffix::Gauge).is_err());
        assert!(metric_name(NoTranslation, "", "", Suffix::Gauge).is_err());
        assert!(metric_name(UnderscoreEscapingWithSuffixes, "", "s", Suffix::Total).is_err());
    }

    #[test]
    fn label_names_follow_the_strategy() {
        for (key, expected) in [
            ("http.method", Some("http_method")),
            ("123label", Some("key_123label")),
            (".foo", Some("key_foo")),
            ("_foo", Some("key_foo")),
            ("label__x", Some("label__x")),
            ("__x__", Some("__x__")),
            ("a:b", Some("a_b")),
            ("ようこそ", None),
            ("_", None),
            ("", None),
        ] {
            assert_eq!(label_name(UnderscoreEscapingWithSuffixes, key).ok().as_deref(), expected, "{key}");
        }
        for (key, expected) in
            [("http.method", Some("http.method")), ("ようこそ", Some("ようこそ")), ("__", None), ("", None)]
        {
            assert_eq!(label_name(NoTranslation, key).ok().as_deref(), expected, "{key}");
        }
    }

    #[test]
    fn units_have_one_word() {
        for (unit, expected) in [
            ("By/s", "bytes_per_second"),
            ("s", "seconds"),
            ("1", ""),
            ("{request}", ""),
            ("1/m", "per_minute"),
            ("", ""),
            ("Ω m", "m"),
            ("foo bar", "foo_bar"),
        ] {
            assert_eq!(unit_name(UnderscoreEscapingWithSuffixes, unit), expected, "{unit}");
        }
    }
}
