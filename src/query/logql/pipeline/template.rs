//! Templates over an entry: Loki's functions for `line_format` and `label_format`, most of them of the `sprig` package.

use std::any::Any;
use std::collections::BTreeMap;

use base64::DecodeError;
use base64::prelude::{BASE64_STANDARD as STANDARD, Engine};
use foldhash::HashMap;
use jiff::tz::TimeZone;
use model::go_regex;
use regex::Regex;
use template::text::title;
use template::{
    CallError, Command, Language, OUTPUT_BYTES_MAX, Object, Set, Template, Value, kind, query_escape, truth,
};

use super::super::units;
use super::decimal::{self, Op};
use super::go_time::{self, Time};
use super::labels::{ERROR, ERROR_DETAILS, Labels};

/// Most patterns that are kept compiled; a query's templates have a handful.
const REGEXES_MAX: usize = 64;

/// All functions, by how many arguments they take at least, and whether they take more.
const FUNCTIONS: [(usize, bool, &[&str]); 8] = [
    (0, false, &["now", "__line__", "__timestamp__"]),
    (
        1,
        false,
        &[
            "ToLower",
            "ToUpper",
            "TrimSpace",
            "urldecode",
            "urlencode",
            "bytes",
            "duration",
            "duration_seconds",
            "unixEpochMillis",
            "unixEpochNanos",
            "unixToTime",
            "b64enc",
            "b64dec",
            "lower",
            "upper",
            "title",
            "trim",
            "int",
            "float64",
            "ceil",
            "floor",
            "fromJson",
            "unixEpoch",
        ],
    ),
    (
        2,
        false,
        &[
            "Trim",
            "TrimLeft",
            "TrimRight",
            "TrimPrefix",
            "TrimSuffix",
            "count",
            "alignLeft",
            "alignRight",
            "trunc",
            "contains",
            "hasPrefix",
            "hasSuffix",
            "indent",
            "nindent",
            "repeat",
            "trimAll",
            "trimSuffix",
            "trimPrefix",
            "sub",
            "div",
            "mod",
            "date",
            "toDate",
        ],
    ),
    (3, false, &["regexReplaceAll", "regexReplaceAllLiteral", "toDateInZone", "substr", "replace"]),
    (4, false, &["Replace"]),
    (0, true, &["add", "addf"]),
    (1, true, &["mul", "subf", "mulf", "divf", "max", "min", "maxf", "minf", "default"]),
    (2, true, &["round"]),
];

/// What a function takes; `None` when there is no such function.
fn takes(name: &str) -> Option<(usize, bool)> {
    let found = FUNCTIONS.iter().find(|(_, _, names)| names.contains(&name));
    found.map(|(least, takes_more, _)| (*least, *takes_more))
}

/// What Loki calls the templates of its stages, as it shows in errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Of {
    Line,
    Label,
}

impl Of {
    fn as_str(self) -> &'static str {
        match self {
            Of::Line => "line",
            Of::Label => "label",
        }
    }
}

/// Parses a template of a stage.
pub(super) fn parse(of: Of, text: &str) -> Result<Template, String> {
    let functions = |name: &str| takes(name).is_some();
    let language = Language { functions: &functions, variables: &[] };
    Template::parse(text, &language, &Set::default())
        .map_err(|error| format!("template: {}:{}: {}", of.as_str(), error.line, error.reason))
}

/// What a run needs beside the labels.
pub(super) struct Around<'a> {
    pub(super) line: &'a str,
    pub(super) ts_ns: i64,
    pub(super) now_ns: i64,
    pub(super) regexes: &'a mut Regexes,
}

/// Patterns that templates asked for, compiled.
#[derive(Debug, Default)]
pub(super) struct Regexes(HashMap<String, Regex>);

impl Regexes {
    fn get(&mut self, pattern: &str) -> Result<&Regex, String> {
        if !self.0.contains_key(pattern) {
            let regex = go_regex::compile(pattern)?;
            if self.0.len() >= REGEXES_MAX {
                self.0.clear();
            }
            self.0.insert(pattern.to_owned(), regex);
        }
        self.0.get(pattern).ok_or_else(|| "the pattern is not kept".to_string())
    }
}

/// Runs a template over labels. An error is worded as Go words it.
pub(super) fn run(of: Of, template: &Template, labels: &dyn Object, around: &mut Around<'_>) -> Result<String, String> {
    let mut functions = |name: &str, arguments: &[Value]| match takes(name) {
        Some((least, takes_more)) if arguments.len() < least || arguments.len() > least && !takes_more => {
            Err(CallError::Count { least, takes_more })
        }
        _ => call(name, arguments, around).map_err(CallError::from),
    };
    template.run(labels, Vec::new(), &mut functions).map_err(|error| {
        let name = of.as_str();
        match error.command {
            Some(Command { line, column, text }) => {
                format!("template: {name}:{line}:{column}: executing {name:?} at <{text}>: {}", error.reason)
            }
            None => format!("template: {name}:{}: {}", error.line, error.reason),
        }
    })
}

/// The labels as Go's `map[string]string`; an absent one is empty.
#[derive(Debug)]
pub(super) struct Live<'l, 'a>(pub(super) &'l Labels<'a>);

/// The labels as they were when a stage began.
#[derive(Debug)]
pub(super) struct Snapshot(pub(super) BTreeMap<String, String>);

impl Snapshot {
    pub(super) fn of(labels: &Labels<'_>) -> Snapshot {
        Snapshot(labels.all().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }
}

trait LabelMap: std::fmt::Debug {
    fn get(&self, name: &str) -> String;
    fn sorted(&self) -> BTreeMap<String, String>;
}

impl LabelMap for Live<'_, '_> {
    fn get(&self, name: &str) -> String {
        match name {
            ERROR => self.0.error(),
            ERROR_DETAILS => self.0.error_details(),
            _ => self.0.get(name).unwrap_or_default(),
        }
        .to_owned()
    }

    fn sorted(&self) -> BTreeMap<String, String> {
        Snapshot::of(self.0).0
    }
}

impl LabelMap for Snapshot {
    fn get(&self, name: &str) -> String {
        self.0.get(name).cloned().unwrap_or_default()
    }

    fn sorted(&self) -> BTreeMap<String, String> {
        self.0.clone()
    }
}

macro_rules! label_map {
    ($type:ty) => {
        impl Object for $type {
            fn kind(&self) -> &'static str {
                "map[string]string"
            }

            fn show(&self) -> String {
                let pairs: Vec<String> = self.sorted().iter().map(|(name, value)| format!("{name}:{value}")).collect();
                format!("map[{}]", pairs.join(" "))
            }

            fn field(&self, name: &str) -> Result<Value, String> {
                Ok(Value::Text(LabelMap::get(self, name)))
            }

            fn index(&self, key: &Value) -> Result<Value, String> {
                match key {
                    Value::Text(name) => self.field(name),
                    other => Err(format!("cannot index map with type {}", kind(other))),
                }
            }

            fn items(&self) -> Option<Vec<(Value, Value)>> {
                Some(self.sorted().into_iter().map(|(name, value)| (name.into(), value.into())).collect())
            }

            fn as_any(&self) -> &dyn Any {
                &()
            }
        }
    };
}
label_map!(Live<'_, '_>);
label_map!(Snapshot);

fn call(name: &str, arguments: &[Value], around: &mut Around<'_>) -> Result<Value, String> {
    let text = |text: String| Ok(Value::Text(text));
    use Value::{Int, Text};
    match (name, arguments) {
        ("__line__", []) => text(around.line.to_owned()),
        ("__timestamp__", []) => Ok(Time::of_ns(around.ts_ns).value()),
        ("now", []) => Ok(Time::of_ns(around.now_ns).value()),
        ("ToLower" | "lower", [Text(of)]) => text(one_by_one(of, |c| c.to_lowercase().next())),
        ("ToUpper" | "upper", [Text(of)]) => {
            text(one_by_one(of, |c| Some(c.to_uppercase()).filter(|all| all.len() == 1)?.next()))
        }
        ("title", [Text(of)]) => text(title(of)),
        ("Replace", [Text(of), Text(old), Text(new), Int(count)]) => text(replace(of, old, new, *count)?),
        ("replace", [Text(old), Text(new), Text(of)]) => text(replace(of, old, new, -1)?),
        ("Trim", [Text(of), Text(set)]) | ("trimAll", [Text(set), Text(of)]) => {
            text(of.trim_matches(|c| set.contains(c)).into())
        }
        ("TrimLeft", [Text(of), Text(set)]) => text(of.trim_start_matches(|c| set.contains(c)).into()),
        ("TrimRight", [Text(of), Text(set)]) => text(of.trim_end_matches(|c| set.contains(c)).into()),
        ("TrimPrefix", [Text(of), Text(start)]) | ("trimPrefix", [Text(start), Text(of)]) => {
            text(of.strip_prefix(start.as_str()).unwrap_or(of).into())
        }
        ("TrimSuffix", [Text(of), Text(end)]) | ("trimSuffix", [Text(end), Text(of)]) => {
            text(of.strip_suffix(end.as_str()).unwrap_or(of).into())
        }
        ("TrimSpace" | "trim", [Text(of)]) => text(of.trim().into()),
        ("contains", [Text(part), Text(of)]) => Ok(Value::Bool(of.contains(part.as_str()))),
        ("hasPrefix", [Text(start), Text(of)]) => Ok(Value::Bool(of.starts_with(start.as_str()))),
        ("hasSuffix", [Text(end), Text(of)]) => Ok(Value::Bool(of.ends_with(end.as_str()))),
        ("trunc", [Int(count), Text(of)]) => text(truncated(*count, of)),
        ("substr", [Int(start), Int(end), Text(of)]) => text(substring(*start, *end, of)?),
        ("indent", [Int(spaces), Text(of)]) => text(indent(*spaces, of)?),
        ("nindent", [Int(spaces), Text(of)]) => text(format!("\n{}", indent(*spaces, of)?)),
        ("repeat", [Int(count), Text(of)]) => text(repeat(*count, of)?),
        ("alignLeft", [Int(width), Text(of)]) => text(align(*width, of, false)?),
        ("alignRight", [Int(width), Text(of)]) => text(align(*width, of, true)?),
        ("regexReplaceAll", [Text(pattern), Text(of), Text(new)]) => {
            bounded(around.regexes.get(pattern)?.replace_all(of, new.as_str()).into_owned())
        }
        ("regexReplaceAllLiteral", [Text(pattern), Text(of), Text(new)]) => {
            let literal = regex::NoExpand(new);
            bounded(around.regexes.get(pattern)?.replace_all(of, literal).into_owned())
        }
        ("count", [Text(pattern), Text(of)]) => {
            let found = around.regexes.get(pattern)?.find_iter(of).count();
            Ok(Int(i64::try_from(found).unwrap_or(i64::MAX)))
        }
        ("urlencode", [Text(of)]) => text(query_escape(of)),
        ("urldecode", [Text(of)]) => text(query_unescape(of)?),
        ("b64enc", [Text(of)]) => text(STANDARD.encode(of)),
        ("b64dec", [Text(of)]) => text(base64_decoded(of)),
        ("bytes", [Text(of)]) => Ok(Value::Float(units::bytes(of)? as f64)),
        ("duration" | "duration_seconds", [Text(of)]) => Ok(Value::Float(units::go_duration(of)? as f64 / 1e9)),
        ("int", [of]) => Ok(Int(integer(of))),
        ("float64", [of]) => Ok(Value::Float(float(of))),
        ("add", all) => Ok(Int(all.iter().map(integer).fold(0, i64::wrapping_add))),
        ("mul", [first, rest @ ..]) => Ok(Int(rest.iter().map(integer).fold(integer(first), i64::wrapping_mul))),
        ("sub", [left, right]) => Ok(Int(integer(left).wrapping_sub(integer(right)))),
        ("div", [left, right]) => divided(integer(left), integer(right), i64::checked_div),
        ("mod", [left, right]) => divided(integer(left), integer(right), i64::checked_rem),
        ("max", [first, rest @ ..]) => Ok(Int(rest.iter().map(integer).fold(integer(first), i64::max))),
        ("min", [first, rest @ ..]) => Ok(Int(rest.iter().map(integer).fold(integer(first), i64::min))),
        ("maxf", [first, rest @ ..]) => {
            Ok(Value::Float(rest.iter().map(float).fold(float(first), |most, one| of_numbers(most, one, f64::max))))
        }
        ("minf", [first, rest @ ..]) => {
            Ok(Value::Float(rest.iter().map(float).fold(float(first), |least, one| of_numbers(least, one, f64::min))))
        }
        ("addf", all) => decimals(Op::Add, &[&[Int(0)], all].concat()),
        ("subf", all @ [_, ..]) => decimals(Op::Sub, all),
        ("mulf", all @ [_, ..]) => decimals(Op::Mul, all),
        ("divf", all @ [_, ..]) => decimals(Op::Div, all),
        ("ceil", [of]) => Ok(Value::Float(float(of).ceil())),
        ("floor", [of]) => Ok(Value::Float(float(of).floor())),
        ("round", [of, Int(places)]) => Ok(Value::Float(rounded(float(of), *places, 0.5))),
        ("round", [of, Int(places), up_from]) => Ok(Value::Float(rounded(float(of), *places, float(up_from)))),
        ("fromJson", [Text(of)]) => Ok(serde_json::from_str(of).map_or(Value::Nil, of_json)),
        ("default", [default, given @ ..]) => Ok(given.first().filter(|given| truth(given)).unwrap_or(default).clone()),
        ("date", [Text(layout), of]) => {
            let at = match of {
                Int(seconds) => Time::of_seconds(*seconds),
                of => of.downcast::<Time>().cloned(),
            };
            text(go_time::format(&at.unwrap_or_else(|| Time::of_ns(around.now_ns)).0, layout))
        }
        ("toDate", [Text(layout), Text(of)]) => Ok(read_time(layout, of, &TimeZone::UTC)),
        ("toDateInZone", [Text(layout), Text(zone), Text(of)]) => {
            Ok(read_time(layout, of, &TimeZone::get(zone).unwrap_or(TimeZone::UTC)))
        }
        ("unixToTime", [Text(of)]) => unix_to_time(of),
        ("unixEpoch" | "unixEpochMillis" | "unixEpochNanos", [of]) => {
            let at = of.downcast::<Time>().ok_or_else(|| wrong(name, arguments))?.0.timestamp();
            text(match name {
                "unixEpoch" => at.as_second().to_string(),
                "unixEpochMillis" => at.as_millisecond().to_string(),
                _ => at.as_nanosecond().to_string(),
            })
        }
        _ => Err(wrong(name, arguments)),
    }
}

fn wrong(name: &str, arguments: &[Value]) -> String {
    let kinds: Vec<&str> = arguments.iter().map(kind).collect();
    format!("wrong number or type of arguments for {name} ({})", kinds.join(", "))
}

fn bounded(text: String) -> Result<Value, String> {
    match text.len() > OUTPUT_BYTES_MAX {
        true => Err(too_long()),
        false => Ok(Value::Text(text)),
    }
}

fn too_long() -> String {
    format!("the text is longer than {OUTPUT_BYTES_MAX} bytes")
}

fn replace(of: &str, old: &str, new: &str, count: i64) -> Result<String, String> {
    let replaced = match usize::try_from(count) {
        Ok(count) => of.replacen(old, new, count),
        Err(_) => of.replace(old, new),
    };
    if replaced.len() > OUTPUT_BYTES_MAX.max(of.len()) { Err(too_long()) } else { Ok(replaced) }
}

/// Go maps each character to one other: what has no single counterpart stays.
fn one_by_one(of: &str, map: impl Fn(char) -> Option<char>) -> String {
    of.chars().map(|c| map(c).unwrap_or(c)).collect()
}

/// Bytes as text; each that is no UTF-8 becomes a replacement character, as when Go writes it as JSON.
fn lossy(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        out.push_str(chunk.valid());
        out.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
    }
    out
}

/// The first so many bytes, or the last for a negative number.
fn truncated(count: i64, of: &str) -> String {
    let length = i64::try_from(of.len()).unwrap_or(i64::MAX);
    let bytes = of.as_bytes();
    match usize::try_from(count) {
        Ok(count) => bytes.get(..count).map_or_else(|| of.to_owned(), lossy),
        Err(_) => {
            usize::try_from(length.saturating_add(count)).map_or_else(|_| of.to_owned(), |from| lossy(&bytes[from..]))
        }
    }
}

fn substring(start: i64, end: i64, of: &str) -> Result<String, String> {
    let bytes = of.as_bytes();
    let out_of_range = || {
        let wrong = match (start, end) {
            (..0, ..0) => format!("[:{end}]"),
            (..0, _) => format!("[:{end}] with length {}", bytes.len()),
            _ => format!("[{start}:{}]", usize::try_from(end).map_or(bytes.len(), |end| end.min(bytes.len()))),
        };
        format!("runtime error: slice bounds out of range {wrong}")
    };
    let end = usize::try_from(end).ok();
    let found = match usize::try_from(start) {
        Err(_) => end.and_then(|end| bytes.get(..end)),
        Ok(start) => match end.filter(|end| *end <= bytes.len()) {
            None => bytes.get(start..),
            Some(end) => bytes.get(start..end),
        },
    };
    found.map(lossy).ok_or_else(out_of_range)
}

fn repeat(count: i64, of: &str) -> Result<String, String> {
    let count = usize::try_from(count).map_err(|_| "strings: negative Repeat count".to_string())?;
    match of.len().checked_mul(count).filter(|length| *length <= OUTPUT_BYTES_MAX) {
        Some(_) => Ok(of.repeat(count)),
        None => Err(too_long()),
    }
}

fn indent(spaces: i64, of: &str) -> Result<String, String> {
    let pad = repeat(spaces, " ")?;
    let lines = of.matches('\n').count() + 1;
    match pad.len().checked_mul(lines).filter(|more| more + of.len() <= OUTPUT_BYTES_MAX.max(of.len())) {
        Some(_) => Ok(format!("{pad}{}", of.replace('\n', &format!("\n{pad}")))),
        None => Err(too_long()),
    }
}

/// A text of exactly so many characters: filled with spaces, or cut at its end (at its start when it is aligned right).
fn align(width: i64, of: &str, right: bool) -> Result<String, String> {
    let Ok(width) = usize::try_from(width) else { return Ok(of.to_owned()) };
    let length = of.chars().count();
    if width > length {
        let pad = repeat(i64::try_from(width - length).unwrap_or(i64::MAX), " ")?;
        return Ok(if right { format!("{pad}{of}") } else { format!("{of}{pad}") });
    }
    Ok(if right { of.chars().skip(length - width).collect() } else { of.chars().take(width).collect() })
}

fn divided(left: i64, right: i64, divide: impl Fn(i64, i64) -> Option<i64>) -> Result<Value, String> {
    match right {
        0 => Err("runtime error: integer divide by zero".into()),
        right => Ok(Value::Int(divide(left, right).unwrap_or(left))),
    }
}

fn decimals(op: Op, all: &[Value]) -> Result<Value, String> {
    let mut all = all.iter().map(float);
    let first = all.next().unwrap_or(0.0);
    all.try_fold(first, |sum, next| decimal::apply(op, sum, next)).map(Value::Float)
}

/// Unlike Rust's, Go's `math.Max` and `math.Min` are no number when either is none.
fn of_numbers(left: f64, right: f64, pick: impl Fn(f64, f64) -> f64) -> f64 {
    if left.is_nan() || right.is_nan() { f64::NAN } else { pick(left, right) }
}

fn rounded(of: f64, places: i64, up_from: f64) -> f64 {
    let scale = 10_f64.powi(i32::try_from(places).unwrap_or(i32::MAX));
    let shifted = scale * of;
    (if shifted.fract() >= up_from { shifted.ceil() } else { shifted.floor() }) / scale
}

/// `cast.ToInt64`: what is no number is 0.
fn integer(of: &Value) -> i64 {
    match of {
        Value::Int(value) => *value,
        Value::Float(value) => *value as i64,
        Value::Bool(value) => i64::from(*value),
        Value::Text(text) => integer_of_text(text).unwrap_or(0),
        _ => 0,
    }
}

/// A whole number in Go's notations; decimals behind the point are cut off.
fn integer_of_text(text: &str) -> Option<i64> {
    let is_digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let text = match text.split_once('.') {
        Some((whole, part)) if is_digits(part) && is_digits(whole.strip_prefix(['-', '+']).unwrap_or(whole)) => whole,
        _ => text,
    };
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let lower = digits.to_ascii_lowercase();
    let (radix, digits) = if let Some(hex) = lower.strip_prefix("0x") {
        (16, hex)
    } else if let Some(binary) = lower.strip_prefix("0b") {
        (2, binary)
    } else if let Some(octal) = lower.strip_prefix("0o") {
        (8, octal)
    } else if lower.len() > 1 && lower.starts_with('0') {
        (8, &lower[1..])
    } else {
        (10, lower.as_str())
    };
    if digits.starts_with(['-', '+']) {
        return None;
    }
    let value = i128::from_str_radix(digits, radix).ok()?;
    i64::try_from(if negative { -value } else { value }).ok()
}

/// `cast.ToFloat64`: what is no number is 0.
fn float(of: &Value) -> f64 {
    match of {
        Value::Int(value) => *value as f64,
        Value::Float(value) => *value,
        Value::Bool(value) => f64::from(*value),
        Value::Text(text) => units::float(text).unwrap_or(0.0),
        _ => 0.0,
    }
}

fn of_json(json: serde_json::Value) -> Value {
    match json {
        serde_json::Value::Null => Value::Nil,
        serde_json::Value::Bool(value) => Value::Bool(value),
        serde_json::Value::Number(value) => Value::Float(value.as_f64().unwrap_or(0.0)),
        serde_json::Value::String(text) => Value::Text(text),
        serde_json::Value::Array(items) => Value::List(items.into_iter().map(of_json).collect()),
        serde_json::Value::Object(fields) => {
            Value::Map(fields.into_iter().map(|(name, value)| (name, of_json(value))).collect())
        }
    }
}

fn read_time(layout: &str, text: &str, zone: &TimeZone) -> Value {
    go_time::parse(layout, text, zone).map_or_else(Time::zero, Time).value()
}

/// Days, seconds, milliseconds, microseconds or nanoseconds since 1970, told apart by the count of digits.
fn unix_to_time(text: &str) -> Result<Value, String> {
    // Loki formats an error that is not there.
    let unable = |reason: &str| format!("unable to parse time '{text}': {reason}");
    let number: i64 = text
        .parse()
        .map_err(|_| unable(&format!("strconv.ParseInt: parsing {}: invalid syntax", units::quote(text))))?;
    let at = match text.len() {
        5 => Time::of_seconds(number.saturating_mul(86_400)),
        10 => Time::of_seconds(number),
        13 => Some(Time::of_ns(number.saturating_mul(1_000_000))),
        16 => Some(Time::of_ns(number.saturating_mul(1_000))),
        19 => Some(Time::of_ns(number)),
        _ => None,
    };
    at.map(Time::value).ok_or_else(|| unable("%!w(<nil>)"))
}

/// `url.QueryUnescape`
fn query_unescape(text: &str) -> Result<String, String> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        at += 1;
        match byte {
            b'+' => out.push(b' '),
            b'%' => {
                let digits = text.get(at..at + 2).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
                let decoded = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
                let shown = &bytes[at - 1..(at + 2).min(bytes.len())];
                out.push(decoded.ok_or_else(|| format!("invalid URL escape {}", units::quote(&lossy(shown))))?);
                at += 2;
            }
            byte => out.push(byte),
        }
    }
    Ok(lossy(&out))
}

/// What is no Base64 becomes the reason for it, as in sprig.
fn base64_decoded(text: &str) -> String {
    let plain: String = text.chars().filter(|c| !matches!(c, '\n' | '\r')).collect();
    match STANDARD.decode(&plain) {
        Ok(bytes) => lossy(&bytes),
        Err(DecodeError::InvalidByte(at, _) | DecodeError::InvalidLastSymbol(at, _)) => illegal_base64(at),
        // Go tells where the last group of four begins, or the end when it lacks padding.
        Err(DecodeError::InvalidLength(_) | DecodeError::InvalidPadding) if plain.ends_with('=') => {
            illegal_base64(plain.len())
        }
        Err(DecodeError::InvalidLength(_) | DecodeError::InvalidPadding) => {
            illegal_base64(plain.len() - plain.len() % 4)
        }
    }
}

fn illegal_base64(at: usize) -> String {
    format!("illegal base64 data at input byte {at}")
}
