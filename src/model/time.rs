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
