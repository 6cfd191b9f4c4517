//! The pieces of Go's layouts.

pub(super) const MONTHS: [&str; 12] = [
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
pub(super) const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// A piece of a layout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Piece<'a> {
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

pub(super) fn pieces(layout: &str) -> Vec<Piece<'_>> {
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
