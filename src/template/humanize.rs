//! Numbers for people, as Prometheus' templates write them (`template/template.go`).

use crate::number;

/// `%.4g`.
pub fn four_digits(value: f64) -> String {
    number::format(value, 'g', Some(4))
}

/// Metric prefixes, four digits: `1.235M`.
pub fn humanize(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return four_digits(value);
    }
    if value.abs() >= 1.0 {
        return scaled(value, 1_000.0, ["", "k", "M", "G", "T", "P", "E", "Z", "Y"]);
    }
    below_one(value)
}

/// Binary prefixes, four digits: `1.177Mi`.
pub fn humanize_1024(value: f64) -> String {
    if value.abs() <= 1.0 || !value.is_finite() {
        return four_digits(value);
    }
    scaled(value, 1_024.0, ["", "ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi"])
}

fn scaled(mut value: f64, step: f64, prefixes: [&str; 9]) -> String {
    let mut at = 0;
    while value.abs() >= step && at + 1 < prefixes.len() {
        value /= step;
        at += 1;
    }
    format!("{}{}", four_digits(value), prefixes[at])
}

fn below_one(mut value: f64) -> String {
    let mut prefix = "";
    for smaller in ["m", "u", "n", "p", "f", "a", "z", "y"] {
        if value.abs() >= 1.0 {
            break;
        }
        prefix = smaller;
        value *= 1_000.0;
    }
    format!("{}{prefix}", four_digits(value))
}

/// Seconds as days, hours, minutes and seconds: `1d 0h 0m 0s`.
pub fn humanize_duration(value: f64) -> String {
    if !value.is_finite() {
        return four_digits(value);
    }
    if value == 0.0 {
        return format!("{}s", four_digits(value));
    }
    if value.abs() < 1.0 {
        return format!("{}s", below_one(value));
    }
    let sign = if value < 0.0 { "-" } else { "" };
    let whole = value.abs() as u64;
    let (days, hours, minutes, seconds) = (whole / 86_400, whole / 3_600 % 24, whole / 60 % 60, whole % 60);
    // Whole seconds beside minutes and more, four digits alone.
    if days > 0 {
        format!("{sign}{days}d {hours}h {minutes}m {seconds}s")
    } else if hours > 0 {
        format!("{sign}{hours}h {minutes}m {seconds}s")
    } else if minutes > 0 {
        format!("{sign}{minutes}m {seconds}s")
    } else {
        format!("{sign}{}s", four_digits(value.abs()))
    }
}
