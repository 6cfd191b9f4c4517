//! Durations, sizes and numbers, read and written as Go's `time`, Prometheus' `model`, `humanize` and `strconv` do.

pub use super::go_float::float;

const NANOSECOND: u64 = 1;
const MICROSECOND: u64 = 1_000;
const MILLISECOND: u64 = 1_000_000;
const SECOND: u64 = 1_000_000_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// Nanoseconds of `1h30m`, `-1.5s`, `100µs`; Go's `time.ParseDuration`.
///
/// # Errors
/// Go's own words.
pub fn go_duration(text: &str) -> Result<i64, String> {
    let invalid = || format!("time: invalid duration {}", time_quote(text));
    let (negative, mut rest) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    // Go counts in unsigned numbers up to 2^63, so that the least duration can be written.
    const MAX: u64 = 1 << 63;
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let mut whole: u64 = 0;
        for digit in rest[..digits].bytes() {
            whole = whole
                .checked_mul(10)
                .and_then(|whole| whole.checked_add(u64::from(digit - b'0')))
                .filter(|whole| *whole <= MAX)
                .ok_or_else(invalid)?;
        }
        rest = &rest[digits..];
        let (mut fraction, mut scale, mut fraction_digits) = (0_u64, 1.0_f64, 0);
        if let Some(after) = rest.strip_prefix('.') {
            fraction_digits = after.bytes().take_while(u8::is_ascii_digit).count();
            let mut full = false;
            for digit in after[..fraction_digits].bytes() {
                // Digits beyond what the number can hold say nothing more.
                let next = fraction.checked_mul(10).and_then(|next| next.checked_add(u64::from(digit - b'0')));
                match next.filter(|next| !full && *next <= MAX) {
                    Some(next) => {
                        fraction = next;
                        scale *= 10.0;
                    }
                    None => full = true,
                }
            }
            rest = &after[fraction_digits..];
        }
        if digits == 0 && fraction_digits == 0 {
            return Err(invalid());
        }
        let length = rest.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(rest.len());
        let (unit, after) = rest.split_at(length);
        let unit = match unit {
            "" => return Err(format!("time: missing unit in duration {}", time_quote(text))),
            "ns" => NANOSECOND,
            "us" | "µs" | "μs" => MICROSECOND,
            "ms" => MILLISECOND,
            "s" => SECOND,
            "m" => MINUTE,
            "h" => HOUR,
            _ => return Err(format!("time: unknown unit {} in duration {}", time_quote(unit), time_quote(text))),
        };
        rest = after;
        let mut part = whole.checked_mul(unit).filter(|part| *part <= MAX).ok_or_else(invalid)?;
        if fraction > 0 {
            part += (fraction as f64 * (unit as f64 / scale)) as u64;
        }
        total = total.checked_add(part).filter(|total| *total <= MAX).ok_or_else(invalid)?;
    }
    match negative {
        true => Ok((total as i64).wrapping_neg()),
        false => i64::try_from(total).map_err(|_| invalid()),
    }
}

/// A text in quotes as Go's `time` package shows it: what is not plain ASCII by its bytes.
fn time_quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => out.extend(['\\', char::from(byte)]),
            b' '..0x80 => out.push(char::from(byte)),
            byte => out.push_str(&format!("\\x{byte:02x}")),
        }
    }
    out.push('"');
    out
}

/// Seconds as Go's `Duration.Seconds` counts them: whole ones and the rest are rounded apart, so `1.118s` is 1.1179999999999999.
pub fn seconds(ns: i64) -> f64 {
    const NS_PER_S: i64 = 1_000_000_000;
    (ns / NS_PER_S) as f64 + (ns % NS_PER_S) as f64 / NS_PER_S as f64
}

/// Writes nanoseconds as Go does: `1h30m0s`, `1.5ms`, `0s`.
pub fn go_duration_text(ns: i64) -> String {
    if ns == 0 {
        return "0s".into();
    }
    let sign = if ns < 0 { "-" } else { "" };
    let total = ns.unsigned_abs();
    let decimal = |value: u64, unit: u64| {
        let (whole, part) = (value / unit, value % unit);
        let digits = unit.ilog10() as usize;
        let part = format!("{part:0digits$}");
        let part = part.trim_end_matches('0');
        if part.is_empty() { whole.to_string() } else { format!("{whole}.{part}") }
    };
    if total < SECOND {
        return match total {
            0..MICROSECOND => format!("{sign}{total}ns"),
            MICROSECOND..MILLISECOND => format!("{sign}{}µs", decimal(total, MICROSECOND)),
            _ => format!("{sign}{}ms", decimal(total, MILLISECOND)),
        };
    }
    let (hours, minutes) = (total / HOUR, total % HOUR / MINUTE);
    let seconds = decimal(total % MINUTE, SECOND);
    match (hours, minutes) {
        (0, 0) => format!("{sign}{seconds}s"),
        (0, _) => format!("{sign}{minutes}m{seconds}s"),
        _ => format!("{sign}{hours}h{minutes}m{seconds}s"),
    }
}

/// Prometheus' units, longest first. Each may stand once, in this order.
const UNITS: [(&str, u64); 7] =
    [("y", 365 * DAY), ("w", 7 * DAY), ("d", DAY), ("h", HOUR), ("m", MINUTE), ("s", SECOND), ("ms", MILLISECOND)];

/// Nanoseconds of `1d12h`: whole numbers of y, w, d, h, m, s, ms, in this order. Not negative.
///
/// # Errors
/// Prometheus' own words.
pub fn prometheus_duration(text: &str) -> Result<i64, String> {
    let invalid = || format!("not a valid duration string: {}", quote(text));
    match text {
        "0" => return Ok(0),
        "" => return Err("empty duration string".into()),
        _ => {}
    }
    let (mut total, mut rest, mut next_unit) = (0_u64, text, 0);
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        if digits == 0 {
            return Err(invalid());
        }
        let (number, after) = rest.split_at(digits);
        let length = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at(length);
        let place = UNITS.iter().position(|(name, _)| *name == unit).ok_or_else(|| match unit {
            "" => invalid(),
            _ => format!("unknown unit {} in duration {}", quote(unit), quote(text)),
        })?;
        if place < next_unit {
            return Err(invalid());
        }
        next_unit = place + 1;
        let out_of_range = || "duration out of range".to_string();
        let number: u64 = number.parse().map_err(|_| out_of_range())?;
        let part = number.checked_mul(UNITS[place].1).ok_or_else(out_of_range)?;
        total = total.checked_add(part).filter(|total| i64::try_from(*total).is_ok()).ok_or_else(out_of_range)?;
        rest = after;
    }
    i64::try_from(total).map_err(|_| invalid())
}

/// Writes nanoseconds as Prometheus does: `1d12h`, `5m`, `0s`. Cut to milliseconds.
pub fn prometheus_duration_text(ns: i64) -> String {
    let mut rest = ns.unsigned_abs() / MILLISECOND * MILLISECOND;
    if rest == 0 {
        return "0s".into();
    }
    let mut text = if ns < 0 { String::from("-") } else { String::new() };
    for (name, unit) in UNITS {
        // Years and weeks only when nothing is left over: they read badly beside days.
        let exact_only = matches!(name, "y" | "w");
        if rest >= unit && (!exact_only || rest.is_multiple_of(unit)) {
            text.push_str(&format!("{}{name}", rest / unit));
            rest %= unit;
        }
    }
    text
}

/// Bytes of `1.5KiB`, `20 MB`, `42`; `humanize.ParseBytes`.
///
/// # Errors
/// `humanize`'s own words.
pub fn bytes(text: &str) -> Result<u64, String> {
    let digits = text.find(|c: char| !(c.is_ascii_digit() || c == '.' || c == ',')).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number = float(&number.replace(',', ""))?;
    let unit = unit.trim().to_lowercase();
    let (base, power) = match unit.as_str() {
        "" | "b" => (1, 0),
        "ki" | "kib" => (1024, 1),
        "k" | "kb" => (1000, 1),
        "mi" | "mib" => (1024, 2),
        "m" | "mb" => (1000, 2),
        "gi" | "gib" => (1024, 3),
        "g" | "gb" => (1000, 3),
        "ti" | "tib" => (1024, 4),
        "t" | "tb" => (1000, 4),
        "pi" | "pib" => (1024, 5),
        "p" | "pb" => (1000, 5),
        "ei" | "eib" => (1024, 6),
        "e" | "eb" => (1000, 6),
        _ => return Err(format!("unhandled size name: {unit}")),
    };
    let total = number * u64::pow(base, power) as f64;
    if total >= u64::MAX as f64 {
        return Err(format!("too large: {text}"));
    }
    Ok(total as u64)
}

/// Writes a size as `humanize.Bytes` does, without its space: two digits at most, in thousands (`1.5kB`, `82MB`).
pub fn bytes_text(bytes: u64) -> String {
    if bytes < 10 {
        return format!("{bytes}B");
    }
    let power = ((bytes as f64).ln() / 1000_f64.ln()).floor();
    let name = ["B", "kB", "MB", "GB", "TB", "PB", "EB"].get(power as usize).copied().unwrap_or("EB");
    let value = (bytes as f64 / 1000_f64.powf(power) * 10.0 + 0.5).floor() / 10.0;
    if value < 10.0 { format!("{value:.1}{name}") } else { format!("{value:.0}{name}") }
}

/// A text in double quotes as `strconv.Quote` writes it.
pub fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\x07' => out.push_str("\\a"),
            '\x08' => out.push_str("\\b"),
            '\x0c' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\x0b' => out.push_str("\\v"),
            c if c < ' ' || c == '\x7f' => out.push_str(&format!("\\x{:02x}", c as u32)),
            c if c.is_control() || c == '\u{feff}' || c.is_whitespace() && c != ' ' => match c as u32 {
                code @ 0..0x10000 => out.push_str(&format!("\\u{code:04x}")),
                code => out.push_str(&format!("\\U{code:08x}")),
            },
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
