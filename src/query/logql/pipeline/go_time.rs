//! Times in templates: Go's layouts (`2006-01-02 15:04:05`) written and read, and Go's `time.Time`.

use std::any::Any;

use jiff::civil::{Date, DateTime, Time as Clock, Weekday};
use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Span, Timestamp, Zoned};
use template::{Object, Value};

use super::go_types::{Duration, Location, Named};

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// A piece of a layout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Piece<'a> {
    Text(&'a str),
    LongMonth,
    Month,
    NumMonth,
    ZeroMonth,
    LongWeekday,
    Weekday,
    Day,
    UnderDay,
    ZeroDay,
    UnderYearDay,
    ZeroYearDay,
    Hour,
    Hour12,
    ZeroHour12,
    Minute,
    ZeroMinute,
    Second,
    ZeroSecond,
    LongYear,
    Year,
    Pm,
    LowerPm,
    Zone,
    /// Digits groups (1 hours, 2 minutes, 3 seconds), whether colons stand between, whether UTC is `Z`.
    Offset {
        groups: u8,
        colons: bool,
        z: bool,
    },
    /// The separator, the count of digits, whether trailing zeros are left out.
    Fraction {
        point: char,
        digits: usize,
        trimmed: bool,
    },
}

/// The fixed pieces, the longer of two that begin alike first.
const FIXED: [(&str, Piece<'_>); 32] = [
    ("January", Piece::LongMonth),
    ("Monday", Piece::LongWeekday),
    ("MST", Piece::Zone),
    ("002", Piece::ZeroYearDay),
    ("01", Piece::ZeroMonth),
    ("02", Piece::ZeroDay),
    ("03", Piece::ZeroHour12),
    ("04", Piece::ZeroMinute),
    ("05", Piece::ZeroSecond),
    ("06", Piece::Year),
    ("15", Piece::Hour),
    ("1", Piece::NumMonth),
    ("2006", Piece::LongYear),
    ("2", Piece::Day),
    ("__2", Piece::UnderYearDay),
    ("_2006", Piece::Text("_")),
    ("_2", Piece::UnderDay),
    ("3", Piece::Hour12),
    ("4", Piece::Minute),
    ("5", Piece::Second),
    ("PM", Piece::Pm),
    ("pm", Piece::LowerPm),
    ("-070000", Piece::Offset { groups: 3, colons: false, z: false }),
    ("-07:00:00", Piece::Offset { groups: 3, colons: true, z: false }),
    ("-0700", Piece::Offset { groups: 2, colons: false, z: false }),
    ("-07:00", Piece::Offset { groups: 2, colons: true, z: false }),
    ("-07", Piece::Offset { groups: 1, colons: false, z: false }),
    ("Z070000", Piece::Offset { groups: 3, colons: false, z: true }),
    ("Z07:00:00", Piece::Offset { groups: 3, colons: true, z: true }),
    ("Z0700", Piece::Offset { groups: 2, colons: false, z: true }),
    ("Z07:00", Piece::Offset { groups: 2, colons: true, z: true }),
    ("Z07", Piece::Offset { groups: 1, colons: false, z: true }),
];

fn pieces(layout: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut text_from = 0;
    let mut at = 0;
    while at < layout.len() {
        let Some((piece, length)) = piece(&layout[at..]) else {
            at += layout[at..].chars().next().map_or(1, char::len_utf8);
            continue;
        };
        if text_from < at {
            pieces.push(Piece::Text(&layout[text_from..at]));
        }
        pieces.push(piece);
        at += length;
        text_from = at;
    }
    if text_from < layout.len() {
        pieces.push(Piece::Text(&layout[text_from..]));
    }
    pieces
}

/// The piece that a layout begins with, and its length.
fn piece(rest: &str) -> Option<(Piece<'_>, usize)> {
    if let Some((text, piece)) = FIXED.iter().find(|(text, _)| rest.starts_with(text)) {
        // `_2006` is an underscore before a year.
        return Some((*piece, if *text == "_2006" { 1 } else { text.len() }));
    }
    for (short, piece) in [("Jan", Piece::Month), ("Mon", Piece::Weekday)] {
        let alone = |after: &str| !after.starts_with(|c: char| c.is_ascii_lowercase());
        if rest.strip_prefix(short).is_some_and(alone) {
            return Some((piece, 3));
        }
    }
    let mut chars = rest.chars();
    let point = chars.next().filter(|c| matches!(c, '.' | ','))?;
    let digit = chars.next().filter(|c| matches!(c, '0' | '9'))?;
    let digits = rest[1..].chars().take_while(|c| *c == digit).count();
    let ends = !rest[1 + digits..].starts_with(|c: char| c.is_ascii_digit());
    ends.then_some((Piece::Fraction { point, digits, trimmed: digit == '9' }, 1 + digits))
}

/// A time as a layout says.
pub(super) fn format(at: &Zoned, layout: &str) -> String {
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

fn weekday(day: Weekday) -> &'static str {
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

/// Reads a time as a layout says; in `zone` unless the text says which.
pub(super) fn parse(layout: &str, text: &str, zone: &TimeZone) -> Option<Zoned> {
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

/// Go's `time.Time` in a template.
#[derive(Debug, Clone)]
pub(super) struct Time(pub(super) Zoned);

impl Time {
    /// The time of nanoseconds since 1970, in UTC.
    pub(super) fn of_ns(ns: i64) -> Time {
        Time(Timestamp::from_nanosecond(i128::from(ns)).unwrap_or_default().to_zoned(TimeZone::UTC))
    }

    /// The time of seconds since 1970, in UTC; `None` beyond the year 9999.
    pub(super) fn of_seconds(seconds: i64) -> Option<Time> {
        Some(Time(Timestamp::from_second(seconds).ok()?.to_zoned(TimeZone::UTC)))
    }

    /// Go's zero: the first instant of year 1.
    pub(super) fn zero() -> Time {
        Time::of_seconds(-62_135_596_800).unwrap_or_else(|| Time::of_ns(0))
    }

    /// `AddDate`: what a month has not of its days goes to the next one.
    fn add_date(&self, years: i64, months: i64, days: i64) -> Option<Time> {
        let at = &self.0;
        let months = (i64::from(at.year()).checked_add(years)?).checked_mul(12)?.checked_add(months)?;
        let months = months.checked_add(i64::from(at.month()) - 1)?;
        let (year, month) = (i16::try_from(months.div_euclid(12)).ok()?, months.rem_euclid(12) + 1);
        let first = Date::new(year, i8::try_from(month).ok()?, 1).ok()?;
        let days = days.checked_add(i64::from(at.day()) - 1)?;
        let date = first.checked_add(Span::new().try_days(days).ok()?).ok()?;
        Some(Time(date.to_datetime(at.time()).to_zoned(at.time_zone().clone()).ok()?))
    }

    /// Nanoseconds to the multiple of `unit` since year 1 that is before it, or nearest to it; 0 where there is no unit.
    fn to_multiple(&self, unit: i64, nearest: bool) -> i128 {
        if unit <= 0 {
            return 0;
        }
        let unit = i128::from(unit);
        let since = self.0.timestamp().as_nanosecond() - Time::zero().0.timestamp().as_nanosecond();
        let rest = since.rem_euclid(unit);
        if nearest && rest * 2 >= unit { unit - rest } else { -rest }
    }

    pub(super) fn value(self) -> Value {
        Value::object(self)
    }
}

impl Object for Time {
    fn kind(&self) -> &'static str {
        "time.Time"
    }

    fn show(&self) -> String {
        format(&self.0, "2006-01-02 15:04:05.999999999 -0700 MST")
    }

    fn field(&self, name: &str) -> Result<Value, String> {
        let at = &self.0;
        Ok(match name {
            "Unix" => Value::Int(at.timestamp().as_second()),
            "UnixMilli" => Value::Int(at.timestamp().as_millisecond()),
            "UnixMicro" => Value::Int(at.timestamp().as_microsecond()),
            "UnixNano" => Value::Int(i64::try_from(at.timestamp().as_nanosecond()).unwrap_or(i64::MAX)),
            "Year" => Value::Int(at.year().into()),
            "Month" => Value::object(Named {
                kind: "time.Month",
                name: MONTHS.get(usize::try_from(at.month() - 1).unwrap_or(0)).copied().unwrap_or_default(),
                number: at.month().into(),
            }),
            "Day" => Value::Int(at.day().into()),
            "Hour" => Value::Int(at.hour().into()),
            "Minute" => Value::Int(at.minute().into()),
            "Second" => Value::Int(at.second().into()),
            "Nanosecond" => Value::Int(at.subsec_nanosecond().into()),
            "YearDay" => Value::Int(at.day_of_year().into()),
            "Weekday" => Value::object(Named {
                kind: "time.Weekday",
                name: weekday(at.weekday()),
                number: at.weekday().to_sunday_zero_offset().into(),
            }),
            "IsDST" => Value::Bool(at.time_zone().to_offset_info(at.timestamp()).dst().is_dst()),
            "Location" => Value::object(Location(at.time_zone().clone())),
            "IsZero" => Value::Bool(at.timestamp() == Time::zero().0.timestamp()),
            // The server's own zone is UTC.
            "UTC" | "Local" => Time(at.timestamp().to_zoned(TimeZone::UTC)).value(),
            "String" => Value::Text(self.show()),
            _ => return Err(format!("can't evaluate field {name} in type time.Time")),
        })
    }

    fn call(&self, name: &str, arguments: &[Value]) -> Result<Value, String> {
        match (name, arguments) {
            ("Format", [Value::Text(layout)]) => Ok(Value::Text(format(&self.0, layout))),
            ("AddDate", [Value::Int(years), Value::Int(months), Value::Int(days)]) => {
                let time = self.add_date(*years, *months, *days).ok_or("the time is beyond the year 9999")?;
                Ok(time.value())
            }
            ("Add" | "Truncate" | "Round", [duration]) => {
                let ns = Duration::ns(duration).ok_or("wrong type for value; expected time.Duration")?;
                let more = match name {
                    "Add" => i128::from(ns),
                    _ => self.to_multiple(ns, name == "Round"),
                };
                let at = self.0.checked_add(SignedDuration::from_nanos_i128(more));
                Ok(Time(at.map_err(|_| "the time is beyond the year 9999")?).value())
            }
            ("Sub", [other]) => {
                let Some(Time(other)) = other.downcast() else {
                    return Err("wrong type for value; expected time.Time".into());
                };
                let ns = self.0.timestamp().as_nanosecond() - other.timestamp().as_nanosecond();
                let far = if ns < 0 { i64::MIN } else { i64::MAX };
                Ok(Value::object(Duration(i64::try_from(ns).unwrap_or(far))))
            }
            ("In", [zone]) => match zone.downcast::<Location>() {
                Some(Location(zone)) => Ok(Time(self.0.with_time_zone(zone.clone())).value()),
                None => Err("wrong type for value; expected *time.Location".into()),
            },
            ("Before" | "After" | "Equal" | "Compare", [other]) => {
                let Some(Time(other)) = other.downcast() else {
                    return Err("wrong type for value; expected time.Time".into());
                };
                let order = self.0.timestamp().cmp(&other.timestamp());
                Ok(match name {
                    "Before" => Value::Bool(order.is_lt()),
                    "After" => Value::Bool(order.is_gt()),
                    "Equal" => Value::Bool(order.is_eq()),
                    _ => Value::Int(order as i64),
                })
            }
            (_, []) => self.field(name),
            _ => Err(format!("{name} of time.Time is no method with these arguments")),
        }
    }

    fn truth(&self) -> bool {
        true
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
