//! Times read as a layout says.

use jiff::civil::{Date, DateTime, Time as Clock};
use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Timestamp, Zoned};

use super::layout::{DAYS, MONTHS, Piece, pieces};

/// Reads a time as a layout says; in `zone` unless the text says which.
pub(in super::super) fn parse(layout: &str, text: &str, zone: &TimeZone) -> Option<Zoned> {
    let mut rest = text;
    let (mut year, mut month, mut day, mut year_day) = (0_i16, 1_i8, 1_i8, None);
    let (mut hour, mut minute, mut second, mut nanos, mut pm) = (0_i8, 0_i8, 0_i8, 0_i32, None);
    let mut found_zone: Option<TimeZone> = None;
    let pieces = pieces(layout);
    for (at, piece) in pieces.iter().enumerate() {
        match *piece {
            Piece::Text(text) => rest = after_text(rest, text)?,
            Piece::LongMonth | Piece::Month => month = name(&mut rest, &MONTHS, *piece == Piece::Month)? + 1,
            Piece::LongWeekday | Piece::Weekday => {
                name(&mut rest, &DAYS, *piece == Piece::Weekday)?;
            }
            Piece::NumMonth => month = number(&mut rest, 1, 2)?,
            Piece::ZeroMonth => month = number(&mut rest, 2, 2)?,
            Piece::Day => day = number(&mut rest, 1, 2)?,
            Piece::UnderDay => {
                rest = rest.strip_prefix(' ').unwrap_or(rest);
                day = number(&mut rest, 1, 2)?;
            }
            Piece::ZeroDay => day = number(&mut rest, 2, 2)?,
            Piece::UnderYearDay => {
                rest = rest.trim_start_matches(' ');
                year_day = Some(number::<i16>(&mut rest, 1, 3)?);
            }
            Piece::ZeroYearDay => year_day = Some(number::<i16>(&mut rest, 3, 3)?),
            Piece::Hour | Piece::ZeroHour12 => hour = number(&mut rest, 2, 2)?,
            Piece::Hour12 => hour = number(&mut rest, 1, 2)?,
            Piece::Minute => minute = number(&mut rest, 1, 2)?,
            Piece::ZeroMinute => minute = number(&mut rest, 2, 2)?,
            Piece::Second | Piece::ZeroSecond => {
                second = number(&mut rest, if *piece == Piece::Second { 1 } else { 2 }, 2)?;
                // A fraction is read even if the layout has none.
                let has_own = matches!(pieces.get(at + 1), Some(Piece::Fraction { .. }));
                let follows = rest.starts_with(['.', ',']) && rest[1..].starts_with(|c: char| c.is_ascii_digit());
                if !has_own && follows {
                    nanos = fraction(&mut rest, None)?;
                }
            }
            Piece::LongYear => year = number(&mut rest, 4, 4)?,
            Piece::Year => {
                let short: i16 = number(&mut rest, 2, 2)?;
                year = if short >= 69 { 1900 + short } else { 2000 + short };
            }
            Piece::Pm | Piece::LowerPm => {
                let (word, after) = rest.split_at_checked(2)?;
                let (am, after_noon) = if *piece == Piece::Pm { ("AM", "PM") } else { ("am", "pm") };
                pm = Some(match word {
                    word if word == am => false,
                    word if word == after_noon => true,
                    _ => return None,
                });
                rest = after;
            }
            Piece::Zone => {
                let length = rest.bytes().take_while(u8::is_ascii_uppercase).count();
                if !(3..=5).contains(&length) {
                    return None;
                }
                // Go knows no other abbreviations than its own zone's either: they are read as UTC, and keep their name.
                let (name, _) = rest.split_at(length);
                found_zone =
                    TimeZone::posix(&format!("{name}0")).ok().filter(|_| name != "UTC").or(Some(TimeZone::UTC));
                rest = &rest[length..];
            }
            Piece::Offset { groups, colons, z } => {
                if let Some(after) = rest.strip_prefix('Z').filter(|_| z) {
                    found_zone = Some(TimeZone::UTC);
                    rest = after;
                } else {
                    found_zone = Some(TimeZone::fixed(read_offset(&mut rest, groups, colons)?));
                }
            }
            Piece::Fraction { digits, trimmed, .. } => {
                if !trimmed || rest.starts_with(['.', ',']) {
                    nanos = fraction(&mut rest, Some(digits).filter(|_| !trimmed))?;
                }
            }
        }
    }
    match pm {
        Some(true) if hour < 12 => hour += 12,
        Some(false) if hour == 12 => hour = 0,
        _ => {}
    }
    if !rest.is_empty() {
        return None;
    }
    let date = match year_day {
        Some(days) => Date::new(year, 1, 1).ok()?.with().day_of_year(days).build().ok()?,
        None => Date::new(year, month, day).ok()?,
    };
    let clock = Clock::new(hour, minute, second, nanos).ok()?;
    in_zone(date.to_datetime(clock), &found_zone.unwrap_or_else(|| zone.clone()))
}

/// What a clock shows in a zone, as Go finds it: of a time that is there twice the later one, of one that is not there the one after the gap.
fn in_zone(shown: DateTime, zone: &TimeZone) -> Option<Zoned> {
    let as_utc = shown.to_zoned(TimeZone::UTC).ok()?.timestamp();
    let without = |at: Timestamp| as_utc.checked_sub(SignedDuration::from(zone.to_offset(at))).ok();
    Some(without(without(as_utc)?)?.to_zoned(zone.clone()))
}

/// A blank in a layout stands for any number of them.
fn after_text<'t>(rest: &'t str, text: &str) -> Option<&'t str> {
    let (mut rest, mut text) = (rest, text);
    while let Some(c) = text.chars().next() {
        if c == ' ' {
            if !rest.is_empty() && !rest.starts_with(' ') {
                return None;
            }
            text = text.trim_start_matches(' ');
            rest = rest.trim_start_matches(' ');
        } else {
            rest = rest.strip_prefix(c)?;
            text = &text[c.len_utf8()..];
        }
    }
    Some(rest)
}

/// Which of the names, in any case; `short` for their first three letters.
fn name(rest: &mut &str, names: &[&str], short: bool) -> Option<i8> {
    let (at, length) = names.iter().enumerate().find_map(|(at, name)| {
        let name = if short { &name[..3] } else { *name };
        let starts = rest.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name));
        starts.then_some((at, name.len()))
    })?;
    *rest = &rest[length..];
    i8::try_from(at).ok()
}

fn number<T: std::str::FromStr>(rest: &mut &str, least: usize, most: usize) -> Option<T> {
    let digits = rest.bytes().take(most).take_while(u8::is_ascii_digit).count();
    if digits < least {
        return None;
    }
    let (number, after) = rest.split_at(digits);
    *rest = after;
    number.parse().ok()
}

/// Nanoseconds of `.123`; exactly so many digits, if told.
fn fraction(rest: &mut &str, exactly: Option<usize>) -> Option<i32> {
    let after = rest.strip_prefix(['.', ','])?;
    let digits = exactly.unwrap_or_else(|| after.bytes().take_while(u8::is_ascii_digit).count());
    let text = after.get(..digits).filter(|text| text.bytes().all(|b| b.is_ascii_digit()))?;
    let nanos: String = text.chars().chain(std::iter::repeat('0')).take(9).collect();
    *rest = &after[digits..];
    nanos.parse().ok()
}

fn read_offset(rest: &mut &str, groups: u8, colons: bool) -> Option<Offset> {
    let negative = rest.starts_with('-');
    *rest = rest.strip_prefix(['-', '+'])?;
    let mut seconds = 0_i32;
    for at in 0..groups {
        if at > 0 && colons {
            *rest = rest.strip_prefix(':')?;
        }
        let part: i32 = number(rest, 2, 2)?;
        seconds += part * 60_i32.pow(2 - u32::from(at));
    }
    Offset::from_seconds(if negative { -seconds } else { seconds }).ok()
}
