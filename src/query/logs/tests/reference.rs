//! Random searches and what they mean, written without regard to how searches are run.

use std::collections::BTreeMap;

use model::log::Attributes;

use super::records::{Rest, text, value};
use super::*;
use crate::logs::expr::Compare;

/// A search as a tree, with its text and its meaning, written without regard to how searches are run.
pub(super) enum Wanted {
    Word(&'static str, bool, bool),
    Phrase(String),
    Same(&'static str, String, bool, bool),
    Exactly(&'static str, String),
    Number(&'static str, Compare, f64),
    Exists(&'static str),
    Severity(Compare, Severity),
    /// Two parts of a run without space.
    Between(&'static str, &'static str),
    /// A pattern in a field, or in the body.
    Matches(&'static str, &'static str),
    Not(Box<Wanted>),
    Both(Box<Wanted>, Box<Wanted>),
    Either(Box<Wanted>, Box<Wanted>),
}

pub(super) const PATHS: [&str; 14] = [
    "http.status",
    "user",
    "ctx",
    "ctx.id",
    "ctx.deep.x",
    "tags",
    "tags.id",
    "service.name",
    "resource.service.name",
    "attributes.user",
    "scope.name",
    "body.n",
    "event_name",
    "severity_text",
];

pub(super) fn wanted(random: &mut Random, depth: usize) -> Wanted {
    const COMPARE: [Compare; 5] =
        [Compare::Less, Compare::LessOrEqual, Compare::Equal, Compare::GreaterOrEqual, Compare::Greater];
    let words =
        ["error", "REFUSED", "conn", "10.0.0.7", "user_42", "straße", "orders", "order-1", "7:5432", "接続", "i", "x"];
    let values = ["api", "payment-api", "500", "5E2", "/api/orders", "istanbul", "true", "say", "order.placed", "-5"];
    match random.below(if depth > 2 { 10 } else { 14 }) {
        0 | 1 => Wanted::Word(random.pick(&words), random.below(3) == 0, random.below(3) == 0),
        2 => {
            let of_text = text(random);
            let from = of_text.floor_char_boundary(random.below(6));
            Wanted::Phrase(of_text[from..of_text.ceil_char_boundary(from + 1 + random.below(14))].to_owned())
        }
        3 => Wanted::Same(
            random.pick(&PATHS),
            random.pick(&values).to_string(),
            random.below(4) == 0,
            random.below(4) == 0,
        ),
        4 => Wanted::Exactly(random.pick(&PATHS), value(random, 0).to_text()),
        5 => Wanted::Number(random.pick(&PATHS), random.pick(&COMPARE), random.pick(&[500.0, 0.25, 404.0])),
        6 => Wanted::Exists(random.pick(&PATHS)),
        7 => Wanted::Severity(random.pick(&COMPARE), random.pick(&Severity::ALL)),
        8 => {
            Wanted::Between(random.pick(&["conn", "user", "/api", "i"]), random.pick(&["42", "orders", "tion", "bul"]))
        }
        9 => {
            Wanted::Matches(random.pick(&["body", "user", "ctx.id"]), random.pick(&["^a", "[0-9]{3}", "err|tion", "ß"]))
        }
        10 | 11 => Wanted::Both(Box::new(wanted(random, depth + 1)), Box::new(wanted(random, depth + 1))),
        12 => Wanted::Either(Box::new(wanted(random, depth + 1)), Box::new(wanted(random, depth + 1))),
        _ => Wanted::Not(Box::new(wanted(random, depth + 1))),
    }
}

pub(super) fn stars(text: &str, start: bool, end: bool) -> String {
    format!("{}{text}{}", if start { "*" } else { "" }, if end { "*" } else { "" })
}

pub(super) fn quote(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

pub(super) fn sign(compare: Compare) -> &'static str {
    match compare {
        Compare::Less => "<",
        Compare::LessOrEqual => "<=",
        Compare::Equal => "=",
        Compare::GreaterOrEqual => ">=",
        Compare::Greater => ">",
    }
}

impl Wanted {
    pub(super) fn text(&self) -> String {
        match self {
            Wanted::Word(word, start, end) => stars(word, *start, *end),
            Wanted::Phrase(text) => quote(text),
            Wanted::Same(path, text, start, end) => format!("{path}:{}", stars(text, *start, *end)),
            Wanted::Exactly(path, text) => format!("{path}:{}", quote(text)),
            Wanted::Number(path, compare, number) => format!("{path}:{}{number}", sign(*compare)),
            Wanted::Exists(path) => format!("{path}:*"),
            Wanted::Severity(compare, severity) => format!("severity:{}{}", sign(*compare), severity.as_str()),
            Wanted::Between(first, last) => format!("{first}*{last}"),
            Wanted::Matches(path, pattern) => format!("{path}:/{pattern}/"),
            Wanted::Not(inner) => format!("NOT ({})", inner.text()),
            Wanted::Both(left, right) => format!("({}) ({})", left.text(), right.text()),
            Wanted::Either(left, right) => format!("(({}) OR {})", left.text(), right.text()),
        }
    }

    pub(super) fn holds(&self, row: &Rest) -> bool {
        let numeric = |value: &AnyValue| match value {
            AnyValue::Int(value) => Some(*value as f64),
            AnyValue::Double(value) => Some(*value),
            AnyValue::Str(text) if text.starts_with(|c: char| c.is_ascii_digit()) => text.parse().ok(),
            _ => None,
        };
        match self {
            Wanted::Word(word, start, end) => {
                body_texts(&row.2.body).iter().any(|text| has_word(text, word, *start, *end))
            }
            Wanted::Phrase(phrase) => body_texts(&row.2.body).iter().any(|text| text.contains(phrase)),
            Wanted::Same(path, wanted, start, end) => values(row, path).iter().any(|value| {
                let (text, wanted) = (lower(&value.to_text()), lower(wanted));
                match (start, end, wanted.parse::<f64>()) {
                    (false, false, Ok(wanted)) => numeric(value) == Some(wanted),
                    (false, false, _) => text == wanted,
                    (false, true, _) => text.starts_with(&wanted),
                    (true, false, _) => text.ends_with(&wanted),
                    (true, true, _) => text.contains(&wanted),
                }
            }),
            Wanted::Exactly(path, wanted) => values(row, path).iter().any(|value| value.to_text() == *wanted),
            Wanted::Number(path, compare, wanted) => values(row, path)
                .iter()
                .any(|value| numeric(value).is_some_and(|number| compare.holds(&number, wanted))),
            Wanted::Exists(path) => !values(row, path).is_empty(),
            Wanted::Severity(compare, wanted) => compare.holds(&row.2.severity(), wanted),
            Wanted::Between(first, last) => body_texts(&row.2.body).iter().any(|text| has_between(text, first, last)),
            Wanted::Matches(path, pattern) => {
                let pattern = regex::Regex::new(pattern).unwrap();
                match *path {
                    "body" => body_texts(&row.2.body).iter().any(|text| pattern.is_match(text)),
                    path => values(row, path).iter().any(|value| pattern.is_match(&value.to_text())),
                }
            }
            Wanted::Not(inner) => !inner.holds(row),
            Wanted::Both(left, right) => left.holds(row) && right.holds(row),
            Wanted::Either(left, right) => left.holds(row) || right.holds(row),
        }
    }
}

pub(super) fn lower(text: &str) -> String {
    text.chars().flat_map(char::to_lowercase).collect()
}

pub(super) fn body_texts(body: &AnyValue) -> Vec<String> {
    fn strings(value: &AnyValue, out: &mut Vec<String>) {
        match value {
            AnyValue::Str(text) => out.push(text.clone()),
            AnyValue::Array(values) => values.iter().for_each(|value| strings(value, out)),
            AnyValue::Map(entries) => entries.iter().for_each(|(_, value)| strings(value, out)),
            _ => {}
        }
    }
    let mut out = vec![body.to_text()];
    strings(body, &mut out);
    out
}

/// Character by character.
pub(super) fn has_word(text: &str, word: &str, open_start: bool, open_end: bool) -> bool {
    let text: Vec<char> = lower(text).chars().collect();
    let word: Vec<char> = lower(word).chars().collect();
    let in_word = |at: usize| text.get(at).is_some_and(|c| c.is_alphanumeric() || *c == '_');
    let cuts = |at: usize| at > 0 && in_word(at - 1) && in_word(at);
    (0..text.len())
        .any(|at| text[at..].starts_with(&word) && (open_start || !cuts(at)) && (open_end || !cuts(at + word.len())))
}

pub(super) fn has_between(text: &str, first: &str, last: &str) -> bool {
    let text = lower(text);
    let in_word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    text.split(char::is_whitespace).any(|run| {
        run.match_indices(first).any(|(start, _)| {
            let rest = &run[start + first.len()..];
            let starts = !in_word(run[..start].chars().next_back()) || !in_word(first.chars().next());
            starts && rest.match_indices(last).any(|(at, _)| !in_word(rest[at + last.len()..].chars().next()))
        })
    })
}

pub(super) fn values(row: &Rest, path: &str) -> Vec<AnyValue> {
    let (resource, scope, record) = row;
    let text = |text: &str| if text.is_empty() { Vec::new() } else { vec![AnyValue::Str(text.into())] };
    match path {
        "event_name" => text(&record.event_name),
        "severity_text" => text(&record.severity_text),
        "scope.name" => text(&scope.name),
        "body.n" if matches!(record.body, AnyValue::Str(_)) => in_text(&record.body, "n"),
        "body.n" => match &record.body {
            AnyValue::Map(entries) => at_path(entries, "n"),
            AnyValue::Array(values) => values
                .iter()
                .flat_map(|value| match value {
                    AnyValue::Map(entries) => at_path(entries, "n"),
                    _ => Vec::new(),
                })
                .collect(),
            _ => Vec::new(),
        },
        "resource.service.name" => at_path(&resource.attributes, "service.name"),
        "attributes.user" => at_path(&record.attributes, "user"),
        _ => [&record.attributes, &scope.attributes, &resource.attributes]
            .into_iter()
            .map(|attributes| at_path(attributes, path))
            .chain([in_body(&record.body, path)])
            .find(|found| !found.is_empty())
            .unwrap_or_default(),
    }
}

pub(super) fn in_body(body: &AnyValue, path: &str) -> Vec<AnyValue> {
    match body {
        AnyValue::Map(entries) => at_path(entries, path),
        AnyValue::Array(values) => values.iter().flat_map(|value| in_elements(value, path)).collect(),
        other => in_text(other, path),
    }
}

pub(super) fn in_elements(value: &AnyValue, path: &str) -> Vec<AnyValue> {
    if let AnyValue::Str(_) = value { Vec::new() } else { in_body(value, path) }
}

pub(super) fn in_text(body: &AnyValue, path: &str) -> Vec<AnyValue> {
    let mut found = Vec::new();
    if let AnyValue::Str(text) = body {
        codec::body::visit(text, &mut |at, value| {
            if at == path {
                found.push(value.to_value());
            }
        });
    }
    found
}

pub(super) fn at_path(attributes: &Attributes, path: &str) -> Vec<AnyValue> {
    fn all(prefix: &str, value: &AnyValue, out: &mut Vec<(String, AnyValue)>) {
        out.push((prefix.to_owned(), value.clone()));
        match value {
            AnyValue::Array(values) => values.iter().for_each(|value| all(prefix, value, out)),
            AnyValue::Map(entries) => {
                entries.iter().for_each(|(key, value)| all(&format!("{prefix}.{key}"), value, out))
            }
            _ => {}
        }
    }
    let last: BTreeMap<&str, &AnyValue> = attributes.iter().map(|(key, value)| (&**key, value)).collect();
    let mut found = Vec::new();
    last.iter().for_each(|(key, value)| all(key, value, &mut found));
    found.into_iter().filter(|(at, _)| at == path).map(|(_, value)| value).collect()
}
