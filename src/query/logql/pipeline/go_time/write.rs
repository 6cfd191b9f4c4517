//! Times written as a layout says.

use jiff::Zoned;
use jiff::civil::Weekday;
use jiff::tz::TimeZone;

use super::layout::{DAYS, MONTHS, Piece, pieces};

/// A time as a layout says.
pub(in super::super) fn format(at: &Zoned, layout: &str) -> String {
    let mut out = String::new();
    let month = MONTHS.get(usize::try_from(at.month() - 1).unwrap_or(0)).copied().unwrap_or_default();
    let day = weekday(at.weekday());
    let hour12 = (at.hour() + 11) % 12 + 1;
    for piece in pieces(layout) {
        match piece {
            Piece::Text(text) => out.push_str(text),
            Piece::LongMonth => out.push_str(month),
            Piece::Month => out.push_str(&month[..3]),
            Piece::NumMonth => out.push_str(&at.month().to_string()),
            Piece::ZeroMonth => out.push_str(&format!("{:02}", at.month())),
            Piece::LongWeekday => out.push_str(day),
            Piece::Weekday => out.push_str(&day[..3]),
            Piece::Day => out.push_str(&at.day().to_string()),
            Piece::UnderDay => out.push_str(&format!("{:2}", at.day())),
            Piece::ZeroDay => out.push_str(&format!("{:02}", at.day())),
            Piece::UnderYearDay => out.push_str(&format!("{:3}", at.day_of_year())),
            Piece::ZeroYearDay => out.push_str(&format!("{:03}", at.day_of_year())),
            Piece::Hour => out.push_str(&format!("{:02}", at.hour())),
            Piece::Hour12 => out.push_str(&hour12.to_string()),
            Piece::ZeroHour12 => out.push_str(&format!("{hour12:02}")),
            Piece::Minute => out.push_str(&at.minute().to_string()),
            Piece::ZeroMinute => out.push_str(&format!("{:02}", at.minute())),
            Piece::Second => out.push_str(&at.second().to_string()),
            Piece::ZeroSecond => out.push_str(&format!("{:02}", at.second())),
            Piece::LongYear => out.push_str(&format!("{:04}", at.year())),
            Piece::Year => out.push_str(&format!("{:02}", at.year().rem_euclid(100))),
            Piece::Pm => out.push_str(if at.hour() >= 12 { "PM" } else { "AM" }),
            Piece::LowerPm => out.push_str(if at.hour() >= 12 { "pm" } else { "am" }),
            Piece::Zone => abbreviation(&mut out, at),
            Piece::Offset { groups, colons, z } => offset(&mut out, at.offset().seconds(), groups, colons, z),
            Piece::Fraction { point, digits, trimmed } => {
                let nanos = format!("{:09}", at.subsec_nanosecond());
                let shown: String = nanos.chars().chain(std::iter::repeat('0')).take(digits).collect();
                let shown = if trimmed { shown.trim_end_matches('0') } else { &shown };
                if !trimmed || !shown.is_empty() {
                    out.push(point);
                    out.push_str(shown);
                }
            }
        }
    }
    out
}

/// An offset without a name shows as itself, with hours and minutes.
fn abbreviation(out: &mut String, at: &Zoned) {
    let zone = at.time_zone();
    match zone.to_fixed_offset() {
        Ok(of) if *zone != TimeZone::UTC && zone.iana_name().is_none() => offset(out, of.seconds(), 2, false, false),
        _ => out.push_str(zone.to_offset_info(at.timestamp()).abbreviation()),
    }
}

pub(super) fn weekday(day: Weekday) -> &'static str {
    DAYS.get(usize::try_from(day.to_sunday_zero_offset()).unwrap_or(0)).copied().unwrap_or_default()
}

fn offset(out: &mut String, seconds: i32, groups: u8, colons: bool, z: bool) {
    if z && seconds == 0 {
        out.push('Z');
        return;
    }
    out.push(if seconds < 0 { '-' } else { '+' });
    let seconds = seconds.unsigned_abs();
    let parts = [seconds / 3600, seconds / 60 % 60, seconds % 60];
    for (at, part) in parts.iter().take(usize::from(groups)).enumerate() {
        if at > 0 && colons {
            out.push(':');
        }
        out.push_str(&format!("{part:02}"));
    }
}
