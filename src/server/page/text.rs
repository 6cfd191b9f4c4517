//! How the pages write times, spans and foreign text. The only place that does, so that all pages agree.

use model::time::{MS_PER_DAY, NS_PER_MS, civil_from_days, rfc3339_ms, rfc3339_ns};

/// A moment: what `<time datetime>` wants, and what a reader wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) iso: String,
    pub(crate) text: String,
}

impl Stamp {
    /// `02:46:10` on the day of `now_ms`, `11-19 22:05` otherwise; UTC.
    pub(crate) fn of_ms(at_ms: i64, now_ms: i64) -> Stamp {
        Stamp { iso: rfc3339_ms(at_ms), text: clock(at_ms, now_ms) }
    }

    /// As [`Stamp::of_ms`], with seconds on other days too: for rows that may be less than a minute apart.
    pub(crate) fn to_the_second(at_ms: i64, now_ms: i64) -> Stamp {
        let time = time_of_day(at_ms);
        let text = if same_day(at_ms, now_ms) { time } else { format!("{} {time}", date(at_ms)) };
        Stamp { iso: rfc3339_ms(at_ms), text }
    }

    /// As [`Stamp::of_ms`], with milliseconds, as log lines need them.
    pub(crate) fn of_ns(at_ns: i64, now_ms: i64) -> Stamp {
        let at_ms = at_ns.div_euclid(NS_PER_MS);
        let (time, ms) = (time_of_day(at_ms), at_ms.rem_euclid(1_000));
        let text =
            if same_day(at_ms, now_ms) { format!("{time}.{ms:03}") } else { format!("{} {time}.{ms:03}", date(at_ms)) };
        Stamp { iso: rfc3339_ns(at_ns), text }
    }
}

fn same_day(a_ms: i64, b_ms: i64) -> bool {
    a_ms.div_euclid(MS_PER_DAY) == b_ms.div_euclid(MS_PER_DAY)
}

/// `02:46:10`.
pub(crate) fn time_of_day(at_ms: i64) -> String {
    let of_day_s = at_ms.rem_euclid(MS_PER_DAY) / 1_000;
    format!("{:02}:{:02}:{:02}", of_day_s / 3_600, of_day_s / 60 % 60, of_day_s % 60)
}

/// `11-19`.
fn date(at_ms: i64) -> String {
    let (_, month, day) = civil_from_days(at_ms.div_euclid(MS_PER_DAY));
    format!("{month:02}-{day:02}")
}

fn clock(at_ms: i64, now_ms: i64) -> String {
    if same_day(at_ms, now_ms) {
        return time_of_day(at_ms);
    }
    format!("{} {}", date(at_ms), &time_of_day(at_ms)[..5])
}

/// A span in at most two units: `12 s`, `4 min`, `3 h 12 min`, `9 d 4 h`. Negative spans count as none.
pub(crate) fn span(span_ms: i64) -> String {
    let s = span_ms.max(0) / 1_000;
    let two = |big: i64, big_name: &str, small: i64, small_name: &str| {
        if small == 0 { format!("{big} {big_name}") } else { format!("{big} {big_name} {small} {small_name}") }
    };
    match s {
        0..60 => format!("{s} s"),
        60..3_600 => format!("{} min", s / 60),
        3_600..86_400 => two(s / 3_600, "h", s / 60 % 60, "min"),
        _ => two(s / 86_400, "d", s / 3_600 % 24, "h"),
    }
}

/// `1 record`, `11,204 records`.
pub(crate) fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{} {}", grouped(count), if count == 1 { one } else { many })
}

/// `11,204`.
pub(crate) fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Text from outside, made safe to look at: control characters become pictures, what turns the direction of writing becomes its
/// code. New lines and tabs stay. HTML is escaped by the template, not here.
pub(crate) fn shown(text: &str, chars_max: usize) -> String {
    let mut out = String::with_capacity(text.len().min(chars_max + 16));
    for (place, c) in text.chars().enumerate() {
        if place == chars_max {
            out.push_str(&format!("… ({} bytes in all)", grouped(text.len() as u64)));
            break;
        }
        push_shown(c, &mut out);
    }
    out
}

/// As [`shown`], in one line and without the colours of terminals.
pub fn one_line(text: &str, chars_max: usize) -> String {
    let mut out = String::new();
    let mut chars = text.trim_end().chars().peekable();
    let mut length = 0;
    while let Some(c) = chars.next() {
        if length == chars_max {
            out.push('…');
            break;
        }
        if c == '\u{1b}' && chars.peek() == Some(&'[') {
            chars.next();
            // A control sequence ends with a letter (ECMA-48 5.4); what is cut off by the text's end is dropped with it.
            for c in chars.by_ref() {
                if ('@'..='~').contains(&c) {
                    break;
                }
            }
            continue;
        }
        match c {
            '\n' => out.push('⏎'),
            '\t' => out.push(' '),
            '\r' if chars.peek() == Some(&'\n') => continue,
            c => push_shown(c, &mut out),
        }
        length += 1;
    }
    out
}

fn push_shown(c: char, out: &mut String) {
    match c {
        '\n' | '\t' => out.push(c),
        // Unicode's pictures of control characters stand in the same order from U+2400 on.
        '\0'..='\u{1f}' => out.push(char::from_u32(0x2400 + u32::from(c)).unwrap_or('\u{fffd}')),
        '\u{7f}' => out.push('\u{2421}'),
        '\u{80}'..='\u{9f}'
        | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{2069}'
        | '\u{feff}'
        | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e007f}' => out.push_str(&format!("[U+{:04X}]", u32::from(c))),
        c => out.push(c),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_MS: i64 = 1_795_230_760_000; // 2026-11-21T03:12:40Z

    #[test]
    fn times_are_short_today_and_dated_otherwise() {
        assert_eq!(Stamp::of_ms(NOW_MS - 60_000, NOW_MS).text, "03:11:40");
        assert_eq!(Stamp::of_ms(NOW_MS - MS_PER_DAY, NOW_MS).text, "11-20 03:12");
        assert_eq!(Stamp::of_ns(NOW_MS * NS_PER_MS + 7_000_001, NOW_MS).text, "03:12:40.007");
        assert_eq!(Stamp::of_ns((NOW_MS - MS_PER_DAY) * NS_PER_MS, NOW_MS).text, "11-20 03:12:40.000");
        for (ms, text) in [
            (-5, "0 s"),
            (59_999, "59 s"),
            (840_000, "14 min"),
            (11_520_000, "3 h 12 min"),
            (10_800_000, "3 h"),
            (792_000_000, "9 d 4 h"),
        ] {
            assert_eq!(span(ms), text);
        }
        assert_eq!(counted(11_204, "line", "lines"), "11,204 lines");
        assert_eq!(counted(1, "line", "lines"), "1 line");
    }

    #[test]
    fn hostile_text_is_shown_not_obeyed() {
        for (text, chars_max, expected) in [
            ("\u{1b}[31mred\u{1b}[0m", 99, "red"),
            ("a\r\nb\tc\n", 99, "a⏎b c"),
            ("\u{202e}gnp.exe", 99, "[U+202E]gnp.exe"),
            ("bell\u{7}\0", 99, "bell␇␀"),
            ("\u{1b}[31", 99, ""),
            ("\u{1b}]0;title\u{7}", 99, "␛]0;title␇"),
            ("äöü", 2, "äö…"),
        ] {
            assert_eq!(one_line(text, chars_max), expected, "{text:?}");
        }
        assert_eq!(shown("a\u{1b}[0m\nb", 99), "a␛[0m\nb");
        assert_eq!(shown("abcdef", 3), "abc… (6 bytes in all)");
    }
}
