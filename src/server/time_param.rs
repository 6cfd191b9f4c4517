//! Times and durations as people and programs write them in a URL.
//!
//! Two dialects: Prometheus' (seconds, as its API documents) and ours for logs and pages, which also knows `now-1h`
//! and tells seconds from milliseconds, microseconds and nanoseconds by their size.

use model::time::{NS_PER_MS, parse_duration_ms};

/// What Prometheus' own clients send for "since ever" and "for ever" (web/api/v1, minTime and maxTime).
const PROMETHEUS_MIN: &str = "-292273086-05-16T16:47:06Z";
const PROMETHEUS_MAX: &str = "292277025-08-18T07:12:54.999999999Z";

/// Largest |seconds| taken, so that no later arithmetic on milliseconds overflows: some 292,000 years.
const SECONDS_MAX: f64 = 9.2e12;

/// 400 years of the calendar.
const FOUR_CENTURIES_MS: i64 = 146_097 * 86_400_000;

/// A time as Prometheus' API takes it: seconds since the epoch, with a fraction if need be, or RFC 3339. In milliseconds.
pub fn prometheus_ms(text: &str) -> Option<i64> {
    match text {
        PROMETHEUS_MIN => return Some(-(SECONDS_MAX as i64) * 1000),
        PROMETHEUS_MAX => return Some(SECONDS_MAX as i64 * 1000),
        _ => {}
    }
    if let Ok(seconds) = text.parse::<f64>() {
        // The fraction is rounded by itself, as Prometheus does: half a millisecond may be a bit less as the end of a number.
        let (whole, fraction) = (seconds.trunc(), seconds.fract());
        return (seconds.abs() <= SECONDS_MAX).then(|| whole as i64 * 1000 + (fraction * 1000.0).round() as i64);
    }
    rfc3339_ms(text)
}

/// The end of a range that is as good as open: what no sample's time reaches and 64 bits of milliseconds do. The ends of a client's own
/// times are there, cut off or rounded in many ways.
pub fn prometheus_far_ms(text: &str) -> Option<i64> {
    let seconds = text.parse::<f64>().ok()?;
    let is_far = SECONDS_MAX < seconds.abs() && seconds.abs() <= i64::MAX as f64 / 1e3;
    is_far.then_some(seconds.signum() as i64 * SECONDS_MAX as i64 * 1000)
}

/// Any date of four digits: nanoseconds since the epoch would end in the year 2262.
fn rfc3339_ms(text: &str) -> Option<i64> {
    let ms = |text: &str| {
        Some(text.parse::<jiff::Timestamp>().ok()?.as_nanosecond().div_euclid(i128::from(NS_PER_MS)) as i64)
    };
    // The calendar repeats every 400 years; a timestamp ends with the last but one day of the year 9999.
    ms(text).or_else(|| Some(ms(&format!("9599{}", text.strip_prefix("9999")?))? + FOUR_CENTURIES_MS))
}

/// A duration as Prometheus' API takes it: seconds, with a fraction if need be, or `1h30m`. In milliseconds; what is less than one is cut
/// off, after what is less than a nanosecond. `None` also for more nanoseconds than 64 bits hold.
pub fn prometheus_duration_ms(text: &str) -> Option<i64> {
    if let Ok(seconds) = text.parse::<f64>() {
        let ns = seconds * 1e9;
        return (ns.abs() < i64::MAX as f64).then_some(ns as i64 / NS_PER_MS);
    }
    match text.strip_prefix('-') {
        Some(positive) => parse_duration_ms(positive).map(|ms| -ms),
        None => parse_duration_ms(text),
    }
}

/// A time as the log search and the pages take it, in nanoseconds: RFC 3339; `now`, `now-1h30m`, `now+5m`; or a whole number
/// since the epoch, taken as seconds below 1e11, milliseconds below 1e14, microseconds below 1e17, else nanoseconds;
/// a number with a fraction is seconds.
pub fn time_ns(text: &str, now_ns: i64) -> Option<i64> {
    let text = text.trim();
    if let Some(shift) = text.strip_prefix("now") {
        let (sign, duration) = match shift.split_at_checked(1) {
            None => return Some(now_ns),
            Some(("-", duration)) => (-1, duration),
            // A plus reaches us as a space when the sender did not escape it.
            Some(("+" | " ", duration)) => (1, duration),
            Some(_) => return None,
        };
        let shift_ns = parse_duration_ms(duration)?.checked_mul(NS_PER_MS)?;
        return now_ns.checked_add(sign * shift_ns);
    }
    if let Ok(number) = text.parse::<i64>() {
        let unit_ns = match number.unsigned_abs() {
            0..100_000_000_000 => 1_000_000_000,
            100_000_000_000..100_000_000_000_000 => 1_000_000,
            100_000_000_000_000..100_000_000_000_000_000 => 1_000,
            _ => 1,
        };
        return number.checked_mul(unit_ns);
    }
    if let Ok(seconds) = text.parse::<f64>() {
        // Float seconds hold no more than microseconds at today's dates.
        return (seconds.abs() < 9.2e9).then(|| ((seconds * 1e6).round() as i64).checked_mul(1_000)).flatten();
    }
    rfc3339_ns(text)
}

/// As [`time_ns`], in milliseconds.
pub fn time_ms(text: &str, now_ms: i64) -> Option<i64> {
    time_ns(text, now_ms.checked_mul(NS_PER_MS)?).map(|ns| ns.div_euclid(NS_PER_MS))
}

fn rfc3339_ns(text: &str) -> Option<i64> {
    let at: jiff::Timestamp = text.parse().ok()?;
    i64::try_from(at.as_nanosecond()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_in_prometheus_dialect() {
        for (text, expected) in [
            ("0", Some(0)),
            ("1795226400", Some(1_795_226_400_000)),
            ("1795226400.123", Some(1_795_226_400_123)),
            ("-1.5", Some(-1_500)),
            ("1.0005", Some(1_000)),
            ("1.0015", Some(1_002)),
            ("-1.0006", Some(-1_001)),
            ("1.7952264e9", Some(1_795_226_400_000)),
            ("2026-11-21T02:00:00Z", Some(1_795_226_400_000)),
            ("2026-11-21T04:00:00.5+02:00", Some(1_795_226_400_500)),
            ("0000-01-01T00:00:00Z", Some(-62_167_219_200_000)),
            ("0001-01-01T00:00:00.0009Z", Some(-62_135_596_800_000)),
            ("1969-12-31T23:59:59.9999Z", Some(-1)),
            ("2262-04-12T00:00:00Z", Some(9_223_372_800_000)),
            ("9999-12-30T00:00:00Z", Some(253_402_128_000_000)),
            ("9999-12-31T23:59:59.999Z", Some(253_402_300_799_999)),
            ("9999-12-32T00:00:00Z", None),
            ("10000-01-01T00:00:00Z", None),
            ("now", None),
            ("", None),
            ("NaN", None),
            ("Inf", None),
            ("1e300", None),
            ("2026-13-21T02:00:00Z", None),
        ] {
            assert_eq!(prometheus_ms(text), expected, "{text}");
        }
        assert!(prometheus_ms(PROMETHEUS_MIN) < prometheus_ms("0"));
        assert!(prometheus_ms(PROMETHEUS_MAX) > prometheus_ms("9999999999"));
        for (text, expected) in [
            ("9200000000000", None),
            ("9200000000002", Some(1)),
            ("9223372036854775.807", Some(1)),
            ("9223372036854776", Some(1)),
            // The earliest of Go's times, in Thanos.
            ("-9223309901257974", Some(-1)),
            ("-9223372036854776", Some(-1)),
            ("9223372036854778", None),
            ("1e18", None),
            ("Inf", None),
            ("NaN", None),
            ("2026-11-21T02:00:00Z", None),
            ("", None),
        ] {
            assert_eq!(prometheus_far_ms(text).map(i64::signum), expected, "{text}");
        }
        assert_eq!(prometheus_far_ms("1e13"), prometheus_ms(PROMETHEUS_MAX));
        for (text, expected) in [
            ("15", Some(15_000)),
            ("0.5", Some(500)),
            ("7.3339", Some(7_333)),
            ("-0.0019", Some(-1)),
            ("0.0009", Some(0)),
            ("1m30s", Some(90_000)),
            ("-5m", Some(-300_000)),
            ("9e9", Some(9_000_000_000_000)),
            ("1e10", None),
            ("NaN", None),
            ("x", None),
        ] {
            assert_eq!(prometheus_duration_ms(text), expected, "{text}");
        }
    }

    #[test]
    fn times_in_our_dialect() {
        const NOW: i64 = 1_795_226_400_000_000_000;
        for (text, expected) in [
            ("now", Some(NOW)),
            ("now-1h", Some(NOW - 3_600_000_000_000)),
            ("now+5m", Some(NOW + 300_000_000_000)),
            ("now 5m", Some(NOW + 300_000_000_000)),
            ("now-", None),
            ("nowhere", None),
            ("now-99999y", None),
            ("1795226400", Some(NOW)),
            ("1795226400000", Some(NOW)),
            ("1795226400000000", Some(NOW)),
            ("1795226400000000001", Some(NOW + 1)),
            ("1795226400.25", Some(NOW + 250_000_000)),
            ("2026-11-21T02:00:00.000000001Z", Some(NOW + 1)),
            ("2026-11-21T02:00:00", None),
            ("yesterday", None),
            ("1e40", None),
            ("9223372036854775808", None),
        ] {
            assert_eq!(time_ns(text, NOW), expected, "{text}");
        }
    }
}
