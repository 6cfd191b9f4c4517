//! Values as Go prints them: `fmt.Sprint` and `fmt.Sprintf` for the kinds that templates hold.

use crate::{OUTPUT_BYTES_MAX, Value, number};

/// Widest field and longest precision of a verb; Go's own limit is a million, which would be output for nothing.
const WIDTH_MAX: usize = 1_000;

/// What an action shows.
pub fn shown(value: &Value) -> String {
    match value {
        Value::Nil => "<no value>".into(),
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

/// As `fmt` prints it: an action alone says of nil that it is no value.
fn printed(value: &Value) -> String {
    match value {
        Value::Nil => "<nil>".into(),
        value => shown(value),
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

/// `fmt.Sprintf`. A wrong verb or a missing argument is said in the output, as in Go; only a size is an error.
pub fn printf(format: &str, arguments: &[Value]) -> Result<String, String> {
    let mut out = String::new();
    let mut next = 0;
    let mut chars = format.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let mut flags = Flags::default();
        while let Some(flag) = chars.peek().copied() {
            match flag {
                '+' => flags.plus = true,
                '-' => flags.minus = true,
                ' ' => flags.space = true,
                '0' => flags.zero = true,
                '#' => flags.sharp = true,
                _ => break,
            }
            chars.next();
        }
        flags.width = digits(&mut chars)?;
        if chars.peek() == Some(&'.') {
            chars.next();
            flags.precision = Some(digits(&mut chars)?.unwrap_or(0));
        }
        let Some(verb) = chars.next() else {
            out.push_str("%!(NOVERB)");
            break;
        };
        if verb == '%' {
            out.push('%');
            continue;
        }
        match arguments.get(next) {
            Some(value) => out.push_str(&verb_text(verb, value, &flags)),
            None => out.push_str(&format!("%!{verb}(MISSING)")),
        }
        next += 1;
        if out.len() > OUTPUT_BYTES_MAX {
            return Err(format!("the output is longer than {OUTPUT_BYTES_MAX} bytes"));
        }
    }
    if next < arguments.len() {
        let extra: Vec<String> =
            arguments[next..].iter().map(|value| format!("{}={}", kind(value), shown(value))).collect();
        out.push_str(&format!("%!(EXTRA {})", extra.join(", ")));
    }
    Ok(out)
}

#[derive(Default)]
struct Flags {
    plus: bool,
    minus: bool,
    space: bool,
    zero: bool,
    sharp: bool,
    width: Option<usize>,
    precision: Option<usize>,
}

fn digits(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<Option<usize>, String> {
    let mut text = String::new();
    while let Some(c) = chars.peek().filter(|c| c.is_ascii_digit()) {
        text.push(*c);
        chars.next();
    }
    if text.is_empty() {
        return Ok(None);
    }
    match text.parse() {
        Ok(count) if count <= WIDTH_MAX => Ok(Some(count)),
        _ => Err(format!("a width or precision of printf is at most {WIDTH_MAX}")),
    }
}

fn verb_text(verb: char, value: &Value, flags: &Flags) -> String {
    let inner = |value: &Value| match value {
        Value::Nil => "<nil>".into(),
        value => verb_text(verb, value, flags),
    };
    let text = match (verb, value) {
        ('T', Value::Nil) => "<nil>".into(),
        ('T', value) => kind(value).into(),
        // Each item is printed by itself, with its own width.
        (_, Value::List(list)) => return format!("[{}]", list.iter().map(inner).collect::<Vec<_>>().join(" ")),
        (_, Value::Map(map)) => {
            let pair = |(name, value): (&String, &Value)| format!("{}:{}", inner(&name.as_str().into()), inner(value));
            return format!("map[{}]", map.iter().map(pair).collect::<Vec<_>>().join(" "));
        }
        ('v', Value::Float(value)) => signed(number::format(*value, 'g', flags.precision), flags),
        ('v', Value::Int(value)) => signed(value.to_string(), flags),
        ('v' | 's', Value::Text(text)) => cut(text, flags),
        ('v', value) => printed(value),
        ('t', Value::Bool(value)) => value.to_string(),
        ('d', Value::Int(value)) => signed(value.to_string(), flags),
        ('x', Value::Int(value)) => {
            signed(radix(*value, if flags.sharp { "0x" } else { "" }, |n| format!("{n:x}")), flags)
        }
        ('X', Value::Int(value)) => {
            signed(radix(*value, if flags.sharp { "0X" } else { "" }, |n| format!("{n:X}")), flags)
        }
        ('o', Value::Int(value)) => {
            signed(radix(*value, if flags.sharp { "0" } else { "" }, |n| format!("{n:o}")), flags)
        }
        ('b', Value::Int(value)) => {
            signed(radix(*value, if flags.sharp { "0b" } else { "" }, |n| format!("{n:b}")), flags)
        }
        ('c', Value::Int(value)) => u32::try_from(*value).ok().and_then(char::from_u32).unwrap_or('\u{fffd}').into(),
        ('q', Value::Text(text)) => quoted(&cut(text, flags)),
        ('x', Value::Text(text)) => text.bytes().map(|byte| format!("{byte:02x}")).collect(),
        ('X', Value::Text(text)) => text.bytes().map(|byte| format!("{byte:02X}")).collect(),
        ('e' | 'E' | 'f' | 'F', Value::Float(value)) => {
            signed(number::format(*value, verb, Some(flags.precision.unwrap_or(6))), flags)
        }
        ('g' | 'G', Value::Float(value)) => signed(number::format(*value, verb, flags.precision), flags),
        ('s', Value::Object(object)) => object.show(),
        ('q', Value::Object(object)) => quoted(&object.show()),
        (verb, Value::Object(object)) if let Some(number) = object.number() => {
            return verb_text(verb, &Value::Int(number), flags);
        }
        (verb, Value::Nil) => return format!("%!{verb}(<nil>)"),
        (verb, value) => return format!("%!{verb}({}={})", kind(value), shown(value)),
    };
    padded(text, matches!(value, Value::Int(_) | Value::Float(_)), flags)
}

fn radix(value: i64, prefix: &str, digits: impl Fn(u64) -> String) -> String {
    format!("{}{prefix}{}", if value < 0 { "-" } else { "" }, digits(value.unsigned_abs()))
}

/// `number` writes a plus only before an infinity; the flags may ask for one everywhere.
fn signed(text: String, flags: &Flags) -> String {
    match text.starts_with(['+', '-']) || text == "NaN" {
        true => text,
        false if flags.plus => format!("+{text}"),
        false if flags.space => format!(" {text}"),
        false => text,
    }
}

fn cut(text: &str, flags: &Flags) -> String {
    text.chars().take(flags.precision.unwrap_or(usize::MAX)).collect()
}

fn padded(text: String, number: bool, flags: &Flags) -> String {
    let missing = flags.width.unwrap_or(0).saturating_sub(text.chars().count());
    if missing == 0 {
        return text;
    }
    if flags.minus {
        return text + &" ".repeat(missing);
    }
    let finite = text.ends_with(|c: char| c.is_ascii_hexdigit()) && !text.ends_with("Inf");
    if flags.zero && (!number || finite) {
        let (sign, digits) = match text.strip_prefix(['+', '-']) {
            Some(digits) if number => text.split_at(text.len() - digits.len()),
            _ => ("", text.as_str()),
        };
        return format!("{sign}{}{digits}", "0".repeat(missing));
    }
    " ".repeat(missing) + &text
}

/// `strconv.Quote` for what can be printed; controls are escaped.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if c.is_control() && u32::from(c) < 0x80 => out.push_str(&format!("\\x{:02x}", u32::from(c))),
            c if c.is_control() => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
