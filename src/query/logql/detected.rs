//! Fields that the entries of a query have: structured metadata, and what a JSON or logfmt parser finds in their lines.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use model::NsRange;
use store::Snapshot;

use super::ast::{LogExpr, Parser, Stage};
use super::pipeline::json_label;
use super::sampler::Runner;
use super::select::select;
use super::units;
use crate::logs::Direction;
use crate::{Budget, QueryError};

/// Values of one field that are told apart; further ones are not counted.
const VALUES_MAX: usize = 10_000;

/// A field, and what was seen of it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DetectedField {
    /// `string`, `int`, `float`, `boolean`, `duration` or `bytes`, by the value seen last.
    pub kind: &'static str,
    /// Parsers that find it, in the order in which they did; none for structured metadata.
    pub parsers: Vec<&'static str>,
    /// The keys that lead to it in the first JSON line that has it; empty for what no JSON has.
    pub json_path: Vec<String>,
    pub values: BTreeSet<String>,
    /// The values as a query would name them: as they are, but that a parsed one that is a size is written as Loki writes sizes, so that
    /// `1m` is `1.0MB`.
    pub named: BTreeSet<String>,
}

/// The first `fields_max` fields of the newest `lines` entries, by name. As in Loki entries are looked at stream after stream, in falling
/// order of their labels.
///
/// # Errors
/// As [`select`].
pub fn detected_fields(
    snapshot: Option<&Snapshot>,
    log: &LogExpr,
    range: NsRange,
    lines: usize,
    fields_max: usize,
    budget: &Budget,
) -> Result<BTreeMap<String, DetectedField>, QueryError> {
    let mut entries = select(snapshot, log, range, Direction::NewestFirst, lines, 0, budget)?.entries;
    entries.sort_by_cached_key(|entry| Reverse(entry.all().to_string()));
    let only = |parser: Parser| LogExpr { matchers: Vec::new(), stages: vec![Stage::Parser(parser)] };
    let mut json = Runner::new(&only(Parser::Json), range.end_ns)?;
    let mut logfmt = Runner::new(&only(Parser::Logfmt { strict: false, keep_empty: false }), range.end_ns)?;
    let mut found = Found { fields: BTreeMap::new(), max: fields_max };
    for entry in &entries {
        budget.check()?;
        for (name, value) in entry.metadata.iter() {
            found.add(name, value, Origin::Metadata);
        }
        let parsed = json.parsed(&entry.line).map(|labels| ("json", labels));
        let parsed = parsed.or_else(|| logfmt.parsed(&entry.line).map(|labels| ("logfmt", labels)));
        let parser = parsed.as_ref().map(|(parser, _)| *parser);
        for (name, value) in entry.parsed.iter().filter(|(name, _)| !name.starts_with("__")) {
            found.add(name, value, Origin::Parsed(parser));
        }
        let Some((parser, labels)) = parsed else { continue };
        let mut paths = None;
        for (name, value) in labels.iter() {
            // As a parser in the query would name it.
            let collides = entry.stream.get(name).is_some() || entry.metadata.get(name).is_some();
            let shown = if collides { format!("{name}{}", super::pipeline::DUPLICATE_SUFFIX) } else { name.to_owned() };
            let Some(field) = found.add(&shown, value, Origin::Parsed(Some(parser))) else { continue };
            if parser == "json" && field.json_path.is_empty() {
                let paths = paths.get_or_insert_with(|| json_paths(&entry.line));
                field.json_path = paths.get(name).cloned().unwrap_or_default();
            }
        }
    }
    Ok(found.fields)
}

/// Where a value was seen.
#[derive(Clone, Copy)]
enum Origin {
    Metadata,
    /// By a parser of the line, or by a stage of the query over a line that none can parse.
    Parsed(Option<&'static str>),
}

struct Found {
    fields: BTreeMap<String, DetectedField>,
    max: usize,
}

impl Found {
    /// `None` for a field beyond those that are told.
    fn add(&mut self, name: &str, value: &str, origin: Origin) -> Option<&mut DetectedField> {
        if !self.fields.contains_key(name) {
            if self.fields.len() >= self.max {
                return None;
            }
            self.fields.insert(name.to_owned(), DetectedField::default());
        }
        let field = self.fields.get_mut(name)?;
        field.kind = kind(value);
        if let Origin::Parsed(Some(parser)) = origin
            && !field.parsers.contains(&parser)
        {
            field.parsers.push(parser);
        }
        if field.values.len() < VALUES_MAX && !field.values.contains(value) {
            field.values.insert(value.to_owned());
        }
        let size = match origin {
            Origin::Metadata => None,
            Origin::Parsed(_) => size_text(value),
        };
        let named = size.as_deref().unwrap_or(value);
        if field.named.len() < VALUES_MAX && !field.named.contains(named) {
            field.named.insert(named.to_owned());
        }
        Some(field)
    }
}

/// A size with a unit as Loki writes it.
fn size_text(value: &str) -> Option<String> {
    let has_unit = value.ends_with(|c: char| "bkmgtpei".contains(c.to_ascii_lowercase()));
    if !has_unit {
        return None;
    }
    units::bytes(value).ok().map(units::bytes_text)
}

/// The keys that lead to each label that the JSON parser makes of a line.
fn json_paths(line: &str) -> HashMap<String, Vec<String>> {
    let mut paths = HashMap::new();
    let mut lines = serde_json::Deserializer::from_str(line).into_iter::<serde_json::Value>();
    if let Some(Ok(serde_json::Value::Object(fields))) = lines.next() {
        walk(&fields, &mut Vec::new(), &mut paths);
    }
    paths
}

/// `serde_json` bounds the depth.
fn walk(
    fields: &serde_json::Map<String, serde_json::Value>,
    path: &mut Vec<String>,
    paths: &mut HashMap<String, Vec<String>>,
) {
    for (key, value) in fields {
        path.push(key.clone());
        match value {
            serde_json::Value::Object(inner) => walk(inner, path, paths),
            _ => {
                paths.entry(json_label(path)).or_insert_with(|| path.clone());
            }
        }
        path.pop();
    }
}

fn kind(value: &str) -> &'static str {
    let is_bool =
        matches!(value, "1" | "t" | "T" | "TRUE" | "true" | "True" | "0" | "f" | "F" | "FALSE" | "false" | "False");
    match value {
        _ if value.parse::<i64>().is_ok() => "int",
        _ if value.parse::<f64>().is_ok() => "float",
        _ if is_bool => "boolean",
        _ if units::go_duration(value).is_ok() => "duration",
        _ if units::bytes(value).is_ok() => "bytes",
        _ => "string",
    }
}
