//! Parameters of Loki's API: times, steps, limits, in its own dialect and with its own defaults and words.

use model::time::parse_duration_ms;
use query::logql::units::{float, go_duration_text, prometheus_duration_text, quote};
use query::logs::Direction;

use crate::api::params::Params;
use crate::error::Fault;

const NS_PER_S: i64 = 1_000_000_000;
const NS_PER_MS: i64 = 1_000_000;
const NS_PER_HOUR: i64 = 3_600 * NS_PER_S;
/// Longest range that a request may ask about, by default (Loki's `max_query_length`).
const LENGTH_DEFAULT_NS: i64 = 721 * NS_PER_HOUR;
/// How far back a request looks that does not say it.
const SINCE_DEFAULT_NS: i64 = 3_600 * NS_PER_S;
/// Lines of an answer by default.
pub(super) const LIMIT_DEFAULT: usize = 100;
/// Most lines of an answer (Loki's `max_entries_limit_per_query`).
pub(super) const LIMIT_MAX: usize = 5_000;
/// Most steps of one range query.
const STEPS_MAX: i64 = 11_000;
/// Points that a range query has about by default.
const STEPS_DEFAULT: i64 = 250;

/// From and to, in ns; the end is not included where records are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bounds {
    pub(super) start_ns: i64,
    pub(super) end_ns: i64,
}

/// Numbers above are nanoseconds, others seconds.
const SECONDS_MAX: i64 = 10_000_000_000;

/// A time as Loki takes it: RFC 3339, seconds with or without a fraction, or nanoseconds.
///
/// # Errors
/// Go's words for what is none of these.
pub(super) fn time_ns(text: &str) -> Result<i64, String> {
    if let Ok(at) = text.parse::<jiff::Timestamp>() {
        return i64::try_from(at.as_nanosecond()).map_err(|_| format!("the time {text:?} is out of range"));
    }
    if text.contains('.') {
        let number: f64 = float(text)?;
        return match number {
            _ if !number.is_finite() => Err("floating point timestamp is NaN or Inf".into()),
            _ if number.abs() >= i64::MAX as f64 => Err("floating point timestamp exceeds integer range".into()),
            // Milliseconds are what a float holds.
            _ if number.trunc() <= SECONDS_MAX as f64 => {
                let part_ns = (number.fract() * 1e3).round() as i64 * NS_PER_MS;
                of_seconds(number.trunc() as i64, text)?.checked_add(part_ns).ok_or_else(|| out_of_range(text))
            }
            _ => Ok(number as i64),
        };
    }
    let number: i64 = text.parse().map_err(|error: std::num::ParseIntError| {
        let too_large =
            matches!(error.kind(), std::num::IntErrorKind::PosOverflow | std::num::IntErrorKind::NegOverflow);
        let reason = if too_large { "value out of range" } else { "invalid syntax" };
        format!("strconv.ParseInt: parsing {}: {reason}", quote(text))
    })?;
    if number <= SECONDS_MAX { of_seconds(number, text) } else { Ok(number) }
}

fn of_seconds(seconds: i64, text: &str) -> Result<i64, String> {
    seconds.checked_mul(NS_PER_S).ok_or_else(|| out_of_range(text))
}

fn out_of_range(text: &str) -> String {
    format!("the time {text:?} is out of range")
}

fn named_time(params: &Params, name: &str, default_ns: i64) -> Result<i64, Fault> {
    let Some(text) = params.get(name) else { return Ok(default_ns) };
    time_ns(text).map_err(|reason| {
        Fault::invalid(format!(
            "could not parse '{name}' parameter: {reason}; a time is ns or seconds since 1970, or RFC 3339"
        ))
    })
}

/// `start`, `end` and `since`.
pub(super) fn bounds(params: &Params, now_ns: i64) -> Result<Bounds, Fault> {
    let since_ns = match params.get("since") {
        None => SINCE_DEFAULT_NS,
        Some(text) => parse_duration_ms(text).and_then(|ms| ms.checked_mul(NS_PER_MS)).ok_or_else(|| {
            Fault::invalid(format!("could not parse 'since' parameter: not a valid duration string: {text:?}"))
        })?,
    };
    let end_ns = named_time(params, "end", now_ns)?;
    // From an end in the future "the last hour" would be empty.
    let start_ns = named_time(params, "start", end_ns.min(now_ns).saturating_sub(since_ns))?;
    if end_ns < start_ns {
        return Err(Fault::invalid("end timestamp must not be before or equal to start time"));
    }
    Ok(Bounds { start_ns, end_ns })
}

/// Longest range that a request may ask about, in ns: Loki's, or what holds all that is kept, and an hour more as Loki's has beside its month.
pub(super) fn length_max_ns(logs_retention_ms: i64) -> i64 {
    logs_retention_ms.saturating_mul(NS_PER_MS).saturating_add(NS_PER_HOUR).max(LENGTH_DEFAULT_NS)
}

/// Whether a request may ask about so long a range; Loki counts whole milliseconds.
pub(super) fn check_length(bounds: Bounds, max_ns: i64) -> Result<(), Fault> {
    let length_ms = bounds.end_ns.div_euclid(NS_PER_MS) - bounds.start_ns.div_euclid(NS_PER_MS);
    let length_ns = length_ms.saturating_mul(NS_PER_MS);
    // Whoever begins with time itself asks for all there is, which retention bounds; Loki refuses that as well.
    if length_ns > max_ns && bounds.start_ns > 0 {
        return Err(Fault::invalid(format!(
            "the query time range exceeds the limit (query length: {}, limit: {})",
            go_duration_text(length_ns),
            prometheus_duration_text(max_ns)
        )));
    }
    Ok(())
}

/// `time` of an instant query.
pub(super) fn at(params: &Params, now_ns: i64) -> Result<i64, Fault> {
    named_time(params, "time", now_ns)
}

/// Seconds with or without a fraction, or a duration, in ns.
fn duration_ns(text: &str) -> Option<i64> {
    if let Ok(seconds) = text.parse::<f64>() {
        return (seconds.abs() < 9.2e9).then_some((seconds * 1e9) as i64);
    }
    match text.strip_prefix('-') {
        Some(positive) => parse_duration_ms(positive).and_then(|ms| ms.checked_mul(-NS_PER_MS)),
        None => parse_duration_ms(text).and_then(|ms| ms.checked_mul(NS_PER_MS)),
    }
}

fn named_duration(params: &Params, name: &str) -> Result<Option<i64>, Fault> {
    let parse = |text: &str| {
        duration_ns(text).ok_or_else(|| Fault::invalid(format!("cannot parse {text:?} to a valid duration")))
    };
    params.get(name).map(parse).transpose()
}

/// `step` in ns, whole milliseconds.
pub(super) fn step(params: &Params, bounds: Bounds) -> Result<i64, Fault> {
    let span_ns = bounds.end_ns.saturating_sub(bounds.start_ns);
    let step_ns = match named_duration(params, "step")? {
        None => (span_ns / NS_PER_S / STEPS_DEFAULT).max(1) * NS_PER_S,
        Some(step_ns) => step_ns,
    };
    if step_ns <= 0 {
        return Err(Fault::invalid(
            "zero or negative query resolution step widths are not accepted. Try a positive integer",
        ));
    }
    let step_ns = (step_ns - step_ns % NS_PER_MS).max(NS_PER_MS);
    if span_ns / step_ns > STEPS_MAX {
        return Err(Fault::invalid(
            "exceeded maximum resolution of 11,000 points per time series. Try increasing the value of the step parameter",
        ));
    }
    Ok(step_ns)
}

/// `interval` in ns: at most one line in each; 0 is none.
pub(super) fn interval(params: &Params) -> Result<i64, Fault> {
    let interval_ns = named_duration(params, "interval")?.unwrap_or(0);
    if interval_ns < 0 {
        return Err(Fault::invalid("interval must be >= 0"));
    }
    Ok(interval_ns)
}

/// A count that must be positive. Each is called a limit where it is refused, as by Loki.
pub(super) fn count(params: &Params, name: &str, default: usize) -> Result<usize, Fault> {
    let Some(text) = params.get(name) else { return Ok(default) };
    let number: i64 =
        text.parse().map_err(|_| Fault::invalid(format!("strconv.Atoi: parsing {text:?}: invalid syntax")))?;
    usize::try_from(number)
        .ok()
        .filter(|count| *count > 0)
        .ok_or_else(|| Fault::invalid("limit must be a positive value"))
}

/// `limit` of lines.
pub(super) fn limit(params: &Params) -> Result<usize, Fault> {
    count(params, "limit", LIMIT_DEFAULT)
}

/// Whether an answer may have so many lines.
pub(super) fn check_lines(limit: usize) -> Result<(), Fault> {
    if limit > LIMIT_MAX {
        return Err(Fault::invalid(format!(
            "max entries limit per query exceeded, limit > max_entries_limit_per_query ({limit} > {LIMIT_MAX})"
        )));
    }
    Ok(())
}

pub(super) fn direction(params: &Params) -> Result<Direction, Fault> {
    match params.get("direction").map(str::to_ascii_uppercase).as_deref() {
        None | Some("BACKWARD") => Ok(Direction::NewestFirst),
        Some("FORWARD") => Ok(Direction::OldestFirst),
        Some(_) => Err(Fault::invalid(format!("invalid direction '{}'", params.get("direction").unwrap_or_default()))),
    }
}

/// Start down and end up to multiples of the step, as Loki's query frontend moves them; at most to the ends of time.
pub(super) fn aligned(bounds: Bounds, step_ns: i64) -> Bounds {
    let start_ns = bounds.start_ns.saturating_sub(bounds.start_ns.rem_euclid(step_ns));
    let past = bounds.end_ns.rem_euclid(step_ns);
    let end_ns = if past == 0 { bounds.end_ns } else { bounds.end_ns.saturating_add(step_ns - past) };
    Bounds { start_ns, end_ns }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_seconds_or_nanoseconds_by_their_size() {
        for (text, expected) in [
            ("1700000000", Ok(1_700_000_000 * NS_PER_S)),
            ("0", Ok(0)),
            ("-5", Ok(-5 * NS_PER_S)),
            ("1700000000.5", Ok(1_700_000_000_500_000_000)),
            ("1700000000.0004", Ok(1_700_000_000 * NS_PER_S)),
            ("1.7e9", Ok(1_700_000_000 * NS_PER_S)),
            ("1.7e18", Ok(1_700_000_000 * NS_PER_S)),
            ("1700000000123456789", Ok(1_700_000_000_123_456_789)),
            ("10000000001", Ok(10_000_000_001)),
            ("2023-11-14T22:13:20Z", Ok(1_700_000_000 * NS_PER_S)),
            ("2023-11-14T22:13:20.000000001+00:00", Ok(1_700_000_000 * NS_PER_S + 1)),
            ("now", Err(r#"strconv.ParseInt: parsing "now": invalid syntax"#)),
            ("", Err(r#"strconv.ParseInt: parsing "": invalid syntax"#)),
            ("99999999999999999999", Err(r#"strconv.ParseInt: parsing "99999999999999999999": value out of range"#)),
            ("x.y", Err(r#"strconv.ParseFloat: parsing "x.y": invalid syntax"#)),
            ("1e30.", Err("strconv.ParseFloat")),
            ("1.e30", Err("floating point timestamp exceeds integer range")),
            ("-9999999999.5", Err("out of range")),
        ] {
            match (time_ns(text), expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{text}"),
                (Err(found), Err(expected)) => assert!(found.contains(expected), "{text}: {found}"),
                (found, expected) => panic!("{text}: {found:?}, expected {expected:?}"),
            }
        }
    }

    #[test]
    fn ranges_are_as_long_as_lokis_or_as_what_is_kept() {
        const DAY_MS: i64 = 86_400_000;
        let month = length_max_ns(30 * DAY_MS);
        for (retention_ms, text) in [(DAY_MS, "30d1h"), (30 * DAY_MS, "30d1h"), (90 * DAY_MS, "90d1h")] {
            assert_eq!(prometheus_duration_text(length_max_ns(retention_ms)), text, "{retention_ms}");
        }
        for (start_ns, end_ns, expected) in [
            (0, month, None),
            (0, month + NS_PER_MS - 1, None),
            (0, i64::MAX, None),
            (NS_PER_S, month + 2 * NS_PER_S, Some("(query length: 721h0m1s, limit: 30d1h)")),
            (1, month + NS_PER_MS, Some("(query length: 721h0m0.001s, limit: 30d1h)")),
            (1, i64::MAX, Some("(query length: 2562047h47m16.854s, limit: 30d1h)")),
        ] {
            let told = check_length(Bounds { start_ns, end_ns }, month).err().map(|fault| fault.message);
            let expected = expected.map(|expected| format!("the query time range exceeds the limit {expected}"));
            assert_eq!(told, expected, "{start_ns} {end_ns}");
        }
    }

    #[test]
    fn ranges_are_aligned_outwards() {
        let of = |start_ns, end_ns| Bounds { start_ns, end_ns };
        assert_eq!(aligned(of(11, 29), 10), of(10, 30));
        assert_eq!(aligned(of(10, 30), 10), of(10, 30));
        assert_eq!(aligned(of(i64::MIN + 1, i64::MAX - 1), 10), of(i64::MIN, i64::MAX));
    }
}
