//! RFC 3164 as it is spoken: `<34>Oct 11 22:14:15 host app[123]: text`, with an RFC 3339 timestamp instead, or without any of it.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use model::time::{NS_PER_DAY, civil_from_days, parse_rfc3339_ns};

use super::Fields;

const NS_PER_SECOND: i64 = 1_000_000_000;
/// Longest tag that is taken for one; RFC 3164 allows 32, services are named longer.
const TAG_BYTES_MAX: usize = 64;

/// What follows the priority. Without a timestamp all of it is the text (RFC 3164, 4.3.3).
pub(super) fn fields<'a>(rest: &'a str, received_ns: i64, zone: &TimeZone) -> Fields<'a> {
    let Some((time_ns, rest)) = timestamp(rest, received_ns, zone) else {
        let (app, process, message) = tag(rest).unwrap_or(("", "", rest));
        return Fields { app, process, message, ..Fields::default() };
    };
    // A host has no colon but in an address; a tag ends with one.
    let (host, rest) = match rest.split_once(' ') {
        Some((host, after)) if !host.ends_with(':') && !host.ends_with(']') => (host, after),
        _ => ("", rest),
    };
    let (app, process, message) = tag(rest).unwrap_or(("", "", rest));
    Fields { time_ns: Some(time_ns), host, app, process, message, ..Fields::default() }
}

fn timestamp<'a>(text: &'a str, received_ns: i64, zone: &TimeZone) -> Option<(i64, &'a str)> {
    let (first, after) = text.split_once(' ')?;
    if first.len() > 10
        && let Some(time_ns) = parse_rfc3339_ns(first)
    {
        return Some((time_ns, after));
    }
    // `Oct  1 22:14:15 `; the day may have one digit with a space before it.
    let stamp = text.get(..15)?;
    let after = text.get(15..)?.strip_prefix(' ')?;
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let month = MONTHS.iter().position(|month| stamp.starts_with(month))? as i8 + 1;
    let day: i8 = stamp.get(4..6)?.trim_start().parse().ok().filter(|day| (1..=31).contains(day))?;
    let clock = stamp.get(7..)?;
    let mut parts = clock.splitn(3, ':').map(|part| part.parse::<i8>().ok().filter(|_| part.len() == 2));
    let (hours, minutes, seconds) = (parts.next()??, parts.next()??, parts.next()??);
    if stamp.as_bytes()[3] != b' ' || stamp.as_bytes()[6] != b' ' || hours > 23 || minutes > 59 || seconds > 60 {
        return None;
    }
    let in_year = |year: i64| {
        // A leap second is the first one of the next minute, as Unix time has it.
        let whole = DateTime::new(i16::try_from(year).ok()?, month, day, hours, minutes, seconds.min(59), 0).ok()?;
        let at = i64::try_from(zone.to_timestamp(whole).ok()?.as_nanosecond()).ok()?;
        Some(at + i64::from(seconds / 60) * NS_PER_SECOND)
    };
    // The year is not sent: December's messages arrive in January. A clock may be ahead, or in a zone that is.
    let (year, _, _) = civil_from_days(received_ns.div_euclid(NS_PER_DAY));
    let possible = [year + 1, year, year - 1].into_iter().filter_map(in_year);
    let time_ns = possible.into_iter().find(|time_ns| *time_ns <= received_ns.saturating_add(NS_PER_DAY))?;
    Some((time_ns, after))
}

/// `app[123]: text` or `app: text`.
fn tag(text: &str) -> Option<(&str, &str, &str)> {
    let end = text.find(':').filter(|end| *end <= TAG_BYTES_MAX)?;
    let (tag, message) = (&text[..end], &text[end + 1..]);
    let (app, process) = match tag.strip_suffix(']').and_then(|tag| tag.split_once('[')) {
        Some((app, process)) => (app, process),
        None => (tag, ""),
    };
    let is_name = |c: char| c.is_ascii_alphanumeric() || "-_./@()".contains(c);
    let names = !app.is_empty() && app.chars().all(is_name) && process.chars().all(is_name);
    names.then(|| (app, process, message.strip_prefix(' ').unwrap_or(message)))
}
