//! A value as `fmt` prints it by a verb and its flags, and what an action shows of it.

use crate::{Value, number};

/// What an action shows.
pub fn shown(value: &Value) -> String {
    match value {
        Value::Nil => "<no value>".into(),
        value => printed(value),
    }
}

/// As `fmt.Sprint` prints it, which an action alone calls no value where it is nil.
pub(crate) fn printed(value: &Value) -> String {
    match value {
        Value::Nil => "<nil>".into(),
        Value::Bool(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        Value::Float(value) => number::shortest(*value),
        Value::Text(text) => text.clone(),
        Value::List(list) => {
            let items: Vec<String> = list.iter().map(printed).collect();
            format!("[{}]", items.join(" "))
        }
        Value::Map(map) => {
            let pairs: Vec<String> = map.iter().map(|(name, value)| format!("{name}:{}", printed(value))).collect();
            format!("map[{}]", pairs.join(" "))
        }
        Value::Object(object) => object.show(),
        Value::Root => "{}".into(),
    }
}

/// The type's name, for errors.
pub fn kind(value: &Value) -> &'static str {
    match value {
        Value::Nil => "nil",
        Value::Bool(_) => "bool",
        Value::Int(_) => "int",
        Value::Float(_) => "float64",
        Value::Text(_) => "string",
        Value::List(_) => "[]interface {}",
        Value::Map(_) => "map[string]interface {}",
        Value::Object(object) => object.kind(),
        Value::Root => "data",
    }
}

/// What stands between a `%` and its verb.
#[derive(Default, Clone, Copy)]
pub(crate) struct Flags {
    pub(crate) plus: bool,
    pub(crate) minus: bool,
    pub(crate) space: bool,
    pub(crate) zero: bool,
    pub(crate) sharp: bool,
    /// `%#v`: texts in quotes.
    pub(crate) go_syntax: bool,
    pub(crate) width: Option<usize>,
    pub(crate) precision: Option<usize>,
}

/// A value behind its type, as where it fits no verb.
pub(crate) fn typed(value: &Value, flags: &Flags) -> String {
    match value {
        Value::Nil => "<nil>".into(),
        value => format!("{}={}", kind(value), verb_text('v', value, flags)),
    }
}

pub(crate) fn verb_text(verb: char, value: &Value, flags: &Flags) -> String {
    match (verb, value) {
        ('T' | 'v', Value::Nil) => padded("<nil>", flags),
        ('T', value) => padded(&cut(kind(value), flags), flags),
        // Each item is printed by itself, with its own width.
        (verb, Value::List(list)) => {
            format!("[{}]", list.iter().map(|item| inner(verb, item, flags)).collect::<Vec<_>>().join(" "))
        }
        (verb, Value::Map(map)) => {
            let pair = |(name, value): (&String, &Value)| {
                format!("{}:{}", inner(verb, &name.as_str().into(), flags), inner(verb, value, flags))
            };
            format!("map[{}]", map.iter().map(pair).collect::<Vec<_>>().join(" "))
        }
        ('v' | 't', Value::Bool(value)) => padded(&value.to_string(), flags),
        (verb, Value::Int(number)) => integer(verb, *number, flags).unwrap_or_else(|| unfit(verb, value, flags)),
        (verb, Value::Float(number)) => float(verb, *number, flags).unwrap_or_else(|| unfit(verb, value, flags)),
        (verb, Value::Text(text)) => string(verb, text, flags).unwrap_or_else(|| unfit(verb, value, flags)),
        ('v' | 's', Value::Object(object)) if object.is_plain() => match (verb, object.number()) {
            ('v', Some(number)) => integer('d', number, flags).unwrap_or_default(),
            _ => unfit(verb, value, flags),
        },
        ('v' | 's', Value::Object(object)) => padded(&cut(&object.show(), flags), flags),
        ('q', Value::Object(object)) if !object.is_plain() => padded(&quoted(&cut(&object.show(), flags)), flags),
        (verb, Value::Object(object)) => {
            let text = object.number().and_then(|number| integer(verb, number, flags));
            text.unwrap_or_else(|| unfit(verb, value, flags))
        }
        ('v', Value::Root) => padded(&printed(value), flags),
        (verb, value) => unfit(verb, value, flags),
    }
}

/// An item of a list or a map.
fn inner(verb: char, value: &Value, flags: &Flags) -> String {
    match value {
        Value::Nil => "<nil>".into(),
        value => verb_text(verb, value, flags),
    }
}

fn unfit(verb: char, value: &Value, flags: &Flags) -> String {
    format!("%!{verb}({})", typed(value, flags))
}

/// `None` for a verb that prints no whole number.
fn integer(verb: char, value: i64, flags: &Flags) -> Option<String> {
    let character = || u32::try_from(value).ok().and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER);
    let (digits, prefix) = match verb {
        'v' | 'd' => (value.unsigned_abs().to_string(), ""),
        'b' => (format!("{:b}", value.unsigned_abs()), "0b"),
        'o' => (format!("{:o}", value.unsigned_abs()), "0"),
        'O' => (format!("{:o}", value.unsigned_abs()), ""),
        'x' => (format!("{:x}", value.unsigned_abs()), "0x"),
        'X' => (format!("{:X}", value.unsigned_abs()), "0X"),
        'c' => return Some(padded(&character().to_string(), flags)),
        'q' => return Some(padded(&quoted_character(character(), flags.plus), flags)),
        'U' => {
            let code = format!("U+{value:0width$X}", width = flags.precision.unwrap_or(4).max(4));
            let shown = if flags.sharp { format!("{code} '{}'", character()) } else { code };
            return Some(padded(&shown, &Flags { zero: false, ..*flags }));
        }
        _ => return None,
    };
    let plain = Flags { zero: false, ..*flags };
    let has_sign = value < 0 || flags.plus || flags.space;
    // Digits to be, which zeros in front make up.
    let wanted = match (flags.precision, flags.width) {
        (Some(0), _) if value == 0 => return Some(padded("", &plain)),
        (Some(precision), _) => precision,
        (None, Some(width)) if flags.zero && !flags.minus => width.saturating_sub(usize::from(has_sign)),
        _ => 0,
    };
    let zeros = "0".repeat(wanted.saturating_sub(digits.len()));
    let digits = format!("{zeros}{digits}");
    let prefix = match verb {
        'O' => "0o",
        'o' if flags.sharp && digits.starts_with('0') => "",
        _ if flags.sharp => prefix,
        _ => "",
    };
    let sign = match value {
        ..0 => "-",
        _ if flags.plus => "+",
        _ if flags.space => " ",
        _ => "",
    };
    Some(padded(&format!("{sign}{prefix}{digits}"), &plain))
}

/// `None` for a verb that prints no float.
fn float(verb: char, value: f64, flags: &Flags) -> Option<String> {
    let (format, precision) = match verb {
        'v' => ('g', flags.precision),
        'g' | 'G' => (verb, flags.precision),
        'e' | 'E' | 'f' | 'F' => (verb, Some(flags.precision.unwrap_or(6))),
        _ => return None,
    };
    let text = number::format(value, format, precision);
    let plain = Flags { zero: false, ..*flags };
    let digits = text.strip_prefix(['+', '-']).unwrap_or(&text);
    let sign = match text.starts_with('-') {
        true => "-",
        false if flags.plus => "+",
        false if flags.space => " ",
        // An infinity has its sign always.
        false if text.starts_with('+') => "+",
        false => "",
    };
    if !value.is_finite() {
        return Some(padded(&format!("{sign}{digits}"), &plain));
    }
    let width = flags.width.unwrap_or(0).saturating_sub(sign.len());
    if flags.zero && !flags.minus && !sign.is_empty() && width > digits.len() {
        return Some(format!("{sign}{}{digits}", "0".repeat(width - digits.len())));
    }
    Some(padded(&format!("{sign}{digits}"), flags))
}

/// `None` for a verb that prints no text.
fn string(verb: char, text: &str, flags: &Flags) -> Option<String> {
    Some(match verb {
        'v' if flags.go_syntax => padded(&quoted(&cut(text, flags)), flags),
        'v' | 's' => padded(&cut(text, flags), flags),
        'q' => {
            let text = cut(text, flags);
            let is_plain = !text.chars().any(|c| c == '`' || c == '\u{feff}' || c.is_control() && c != '\t');
            match flags.sharp && is_plain {
                true => padded(&format!("`{text}`"), flags),
                false => padded(&quoted(&text), flags),
            }
        }
        'x' | 'X' => hexadecimal(verb, text.as_bytes(), flags),
        _ => return None,
    })
}

fn hexadecimal(verb: char, bytes: &[u8], flags: &Flags) -> String {
    let bytes = &bytes[..flags.precision.unwrap_or(bytes.len()).min(bytes.len())];
    let prefix = match (flags.sharp && !bytes.is_empty(), verb) {
        (false, _) => "",
        (true, 'x') => "0x",
        (true, _) => "0X",
    };
    let pairs = bytes.iter().map(|byte| if verb == 'x' { format!("{byte:02x}") } else { format!("{byte:02X}") });
    let text = match flags.space {
        true => pairs.map(|pair| format!("{prefix}{pair}")).collect::<Vec<_>>().join(" "),
        false => format!("{prefix}{}", pairs.collect::<String>()),
    };
    padded(&text, flags)
}

/// So many characters as the precision says.
fn cut(text: &str, flags: &Flags) -> String {
    text.chars().take(flags.precision.unwrap_or(usize::MAX)).collect()
}

/// Filled up to the width, on the left with zeros where a flag says so.
fn padded(text: &str, flags: &Flags) -> String {
    let missing = flags.width.unwrap_or(0).saturating_sub(text.chars().count());
    match (flags.minus, flags.zero) {
        (true, _) => format!("{text}{}", " ".repeat(missing)),
        (false, true) => format!("{}{text}", "0".repeat(missing)),
        (false, false) => format!("{}{text}", " ".repeat(missing)),
    }
}

/// `strconv.Quote` for what can be printed; controls are escaped.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            c => push_escaped(c, &mut out),
        }
    }
    out.push('"');
    out
}

/// `strconv.QuoteRune`, or with a plus in ASCII alone.
fn quoted_character(c: char, is_ascii: bool) -> String {
    let mut out = String::from("'");
    match c {
        '\'' => out.push_str("\\'"),
        c if is_ascii && !c.is_ascii() => match u32::from(c) {
            code @ ..0x1_0000 => out.push_str(&format!("\\u{code:04x}")),
            code => out.push_str(&format!("\\U{code:08x}")),
        },
        c => push_escaped(c, &mut out),
    }
    out.push('\'');
    out
}

fn push_escaped(c: char, out: &mut String) {
    match c {
        '\\' => out.push_str("\\\\"),
        '\x07' => out.push_str("\\a"),
        '\x08' => out.push_str("\\b"),
        '\x0c' => out.push_str("\\f"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '\x0b' => out.push_str("\\v"),
        c if c.is_control() && u32::from(c) < 0x80 => out.push_str(&format!("\\x{:02x}", u32::from(c))),
        c if c.is_control() => out.push_str(&format!("\\u{:04x}", u32::from(c))),
        c => out.push(c),
    }
}
