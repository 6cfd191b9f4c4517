//! Time as Binnacle keeps it: UTC, `i64`; milliseconds for metrics (the Prometheus data model),
//! nanoseconds for log records (OTLP). The unit is the last word of every name.
//!
//! Nothing here reads a clock: the present is always an argument.

use std::fmt;

/// Nanoseconds in a millisecond.
pub const NS_PER_MS: i64 = 1_000_000;
/// Milliseconds in a day; partitions are UTC days.
pub const MS_PER_DAY: i64 = 86_400_000;
/// Nanoseconds in a day.
pub const NS_PER_DAY: i64 = MS_PER_DAY * NS_PER_MS;

/// Milliseconds since the epoch, both ends included, as Prometheus' storage selects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MsRange {
    pub start_ms: i64,
    pub end_ms: i64,
}

impl MsRange {
    /// Everything.
    pub const ALL: MsRange = MsRange { start_ms: i64::MIN, end_ms: i64::MAX };

    pub fn contains(&self, at_ms: i64) -> bool {
        self.start_ms <= at_ms && at_ms <= self.end_ms
    }
}

/// Nanoseconds since the epoch, half-open: the start is inside, the end is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NsRange {
    pub start_ns: i64,
    pub end_ns: i64,
}

impl NsRange {
    /// Everything (but the very last nanosecond).
    pub const ALL: NsRange = NsRange { start_ns: i64::MIN, end_ns: i64::MAX };

    pub fn contains(&self, at_ns: i64) -> bool {
        self.start_ns <= at_ns && at_ns < self.end_ns
    }

    /// Whether a span of `[min_ns, max_ns]` (both included) shares an instant with this range.
    pub fn overlaps(&self, min_ns: i64, max_ns: i64) -> bool {
        min_ns < self.end_ns && self.start_ns <= max_ns
    }
}

/// A UTC day, counted from 1970-01-01; the unit of partitions and of retention.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(pub i32);

impl Day {
    pub fn of_ms(at_ms: i64) -> Day {
        Day(i32::try_from(at_ms.div_euclid(MS_PER_DAY)).unwrap_or(if at_ms < 0 { i32::MIN } else { i32::MAX }))
    }

    pub fn of_ns(at_ns: i64) -> Day {
        Day::of_ms(at_ns.div_euclid(NS_PER_MS))
    }

    /// First millisecond of the day.
    pub fn start_ms(self) -> i64 {
        i64::from(self.0) * MS_PER_DAY
    }

    /// First nanosecond of the day; saturates outside the years 1678 to 2261.
    pub fn start_ns(self) -> i64 {
        self.start_ms().saturating_mul(NS_PER_MS)
    }

    /// `2026-11-21` back to a day; `None` for anything else.
    pub fn parse(text: &str) -> Option<Day> {
        let mut parts = text.splitn(3, '-');
        let year: i64 = parts.next()?.parse().ok()?;
        let month: i64 = parts.next()?.parse().ok()?;
        let day: i64 = parts.next()?.parse().ok()?;
        if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
            return None;
        }
        let found = Day(i32::try_from(days_from_civil(year, month, day)).ok()?);
        (found.to_string() == text).then_some(found)
    }
}

impl fmt::Display for Day {
    /// `2026-11-21`, the name of a day's files.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = civil_from_days(i64::from(self.0));
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

/// Days since 1970-01-01 of a proleptic Gregorian date (Hinnant, "chrono-Compatible Low-Level Date Algorithms").
pub fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year - era * 400;
    let day_of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// Year, month (1..=12), day (1..=31) of a count of days since 1970-01-01 (the inverse of [`days_from_civil`]).
pub fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days - era * 146_097;
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_index = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_index + 2) / 5 + 1;
    let month = if month_index < 10 { month_index + 3 } else { month_index - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// `2026-11-21T03:12:40.123456789Z`: RFC 3339, UTC, always nine digits so that text order is time order.
pub fn rfc3339_ns(at_ns: i64) -> String {
    let seconds = at_ns.div_euclid(1_000_000_000);
    let (year, month, day) = civil_from_days(seconds.div_euclid(86_400));
    let of_day = seconds.rem_euclid(86_400);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{:09}Z",
        of_day / 3_600,
        of_day / 60 % 60,
        of_day % 60,
        at_ns.rem_euclid(1_000_000_000)
    )
}

/// `2026-11-21T03:12:40.123Z`: RFC 3339 with milliseconds.
pub fn rfc3339_ms(at_ms: i64) -> String {
    let full = rfc3339_ns(at_ms.saturating_mul(NS_PER_MS));
    format!("{}Z", &full[..full.len() - 7])
}

/// A time as RFC 3339 writes it, with `T`, `t` or a space, any number of digits of a second (more than nine are cut), `Z` or an offset;
/// a leap second is the one after it. `None` for anything else, and outside the years 1678 to 2261.
pub fn parse_rfc3339_ns(text: &str) -> Option<i64> {
    let digits = |from: usize, to: usize| -> Option<i64> {
        let part = text.get(from..to)?;
        part.bytes().all(|byte| byte.is_ascii_digit()).then(|| part.parse().ok()).flatten()
    };
    let bytes = text.as_bytes();
    let is = |at: usize, allowed: &[u8]| bytes.get(at).is_some_and(|byte| allowed.contains(byte));
    if !(is(4, b"-") && is(7, b"-") && is(10, b"Tt ") && is(13, b":") && is(16, b":")) {
        return None;
    }
    let (year, month, day) = (digits(0, 4)?, digits(5, 7)?, digits(8, 10)?);
    let (hour, minute, second) = (digits(11, 13)?, digits(14, 16)?, digits(17, 19)?);
    let days = days_from_civil(year, month, day);
    if !(1..=12).contains(&month)
        || civil_from_days(days) != (year, month, day)
        || hour > 23
        || minute > 59
        || second > 60
    {
        return None;
    }
    let mut rest = text.get(19..)?;
    let mut fraction_ns = 0;
    if let Some(fraction) = rest.strip_prefix('.') {
        let count = fraction.bytes().take_while(u8::is_ascii_digit).count();
        let kept = &fraction[..count.min(9)];
        fraction_ns = kept.parse::<i64>().ok()? * 10i64.pow(9 - kept.len() as u32);
        rest = &fraction[count..];
    }
    let offset_minutes = match rest.as_bytes() {
        b"Z" | b"z" => 0,
        [sign @ (b'+' | b'-'), _, _, b':', _, _] => {
            let at = text.len() - 5;
            let (hours, minutes) = (digits(at, at + 2)?, digits(at + 3, at + 5)?);
            let offset = (hours < 24 && minutes < 60).then_some(hours * 60 + minutes)?;
            if *sign == b'-' { -offset } else { offset }
        }
        _ => return None,
    };
    let seconds = days * 86_400 + hour * 3_600 + (minute - offset_minutes) * 60 + second;
    seconds.checked_mul(1_000_000_000)?.checked_add(fraction_ns)
}

/// Parses a Prometheus duration (`1d2h30m`, `5m`, `1500ms`) to milliseconds.
///
/// Units must come largest first, each once, as in Prometheus' `model.ParseDuration`. `None` for anything else,
/// the empty text and what overflows included; `0` alone is zero.
pub fn parse_duration_ms(text: &str) -> Option<i64> {
    const UNITS: [(&str, i64); 7] = [
        ("y", 365 * MS_PER_DAY),
        ("w", 7 * MS_PER_DAY),
        ("d", MS_PER_DAY),
        ("h", 3_600_000),
        ("m", 60_000),
        ("s", 1_000),
        ("ms", 1),
    ];
    if text == "0" {
        return Some(0);
    }
    let mut rest = text;
    let mut next_unit = 0;
    let mut total_ms: i64 = 0;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let count: i64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let letters = rest.bytes().take_while(u8::is_ascii_lowercase).count();
        let unit = UNITS[next_unit..].iter().position(|(name, _)| *name == &rest[..letters])? + next_unit;
        total_ms = total_ms.checked_add(count.checked_mul(UNITS[unit].1)?)?;
        rest = &rest[letters..];
        next_unit = unit + 1;
    }
    (next_unit > 0).then_some(total_ms)
}

/// Writes milliseconds as Prometheus does: `1d2h`, `90s` becomes `1m30s`, zero is `0s`.
pub fn format_duration_ms(duration_ms: i64) -> String {
    if duration_ms == 0 {
        return "0s".into();
    }
    let mut out = String::new();
    if duration_ms < 0 {
        out.push('-');
    }
    let mut rest = duration_ms.unsigned_abs();
    // Years and weeks only when nothing is left over, so that `30d` is not `4w2d`.
    for (name, unit_ms, exact) in [
        ("y", 31_536_000_000, true),
        ("w", 604_800_000, true),
        ("d", 86_400_000, false),
        ("h", 3_600_000, false),
        ("m", 60_000, false),
        ("s", 1_000, false),
        ("ms", 1, false),
    ] {
        if exact && !rest.is_multiple_of(unit_ms) {
            continue;
        }
        if rest >= unit_ms {
            out.push_str(&format!("{}{name}", rest / unit_ms));
            rest %= unit_ms;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc_3339_is_read() {
        for (text, expected) in [
            ("1985-04-12T23:20:50.52Z", Some("1985-04-12T23:20:50.520000000Z")),
            ("1996-12-19T16:39:57-08:00", Some("1996-12-20T00:39:57.000000000Z")),
            ("1990-12-31T23:59:60Z", Some("1991-01-01T00:00:00.000000000Z")),
            ("1937-01-01t12:00:27.123456789987+00:20", Some("1937-01-01T11:40:27.123456789Z")),
            ("2026-02-29T00:00:00Z", None),
            ("2026-02-28T24:00:00Z", None),
            ("2026-02-28T00:00:00", None),
            ("2026-02-28T00:00:00.Z", None),
            ("2026-02-28T00:00:00+1:00", None),
            ("2026-02-28T00:00:00+99:00", None),
            ("9999-12-31T00:00:00Z", None),
            ("2026-02-2é T00:00:00Z", None),
            ("", None),
        ] {
            assert_eq!(parse_rfc3339_ns(text).map(rfc3339_ns).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn days_name_their_files_and_come_back() {
        for (ms, name) in
            [(0, "1970-01-01"), (-1, "1969-12-31"), (951_782_400_000, "2000-02-29"), (1_795_226_400_000, "2026-11-21")]
        {
            let day = Day::of_ms(ms);
            assert_eq!(day.to_string(), name);
            assert_eq!(Day::parse(name), Some(day));
        }
        for wrong in ["2026-02-30", "2026-1-1", "x", "2026-13-01", ""] {
            assert_eq!(Day::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn times_are_written_as_rfc_3339() {
        assert_eq!(rfc3339_ns(1_795_226_400_000_000_001), "2026-11-21T02:00:00.000000001Z");
        assert_eq!(rfc3339_ns(-1), "1969-12-31T23:59:59.999999999Z");
        assert_eq!(rfc3339_ms(1_795_226_400_120), "2026-11-21T02:00:00.120Z");
    }

    #[test]
    fn durations() {
        for (text, ms) in [
            ("5m", Some(300_000)),
            ("1d2h", Some(93_600_000)),
            ("1h30m", Some(5_400_000)),
            ("1500ms", Some(1_500)),
            ("0", Some(0)),
            ("0s", Some(0)),
            ("1y", Some(31_536_000_000)),
            ("", None),
            ("5", None),
            ("m", None),
            ("5m5m", None),
            ("5s1m", None),
            ("1.5h", None),
            ("-5m", None),
            ("99999999999999y", None),
        ] {
            assert_eq!(parse_duration_ms(text), ms, "{text}");
        }
        for (ms, text) in [
            (0, "0s"),
            (90_000, "1m30s"),
            (2_592_000_000, "30d"),
            (604_800_000, "1w"),
            (31_536_000_000, "1y"),
            (1, "1ms"),
            (-90_000, "-1m30s"),
        ] {
            assert_eq!(format_duration_ms(ms), text);
        }
    }
}
