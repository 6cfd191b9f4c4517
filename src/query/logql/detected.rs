//! Fields that the entries of a query have: structured metadata, and what a JSON or logfmt parser finds in their lines.

use std::collections::{BTreeMap, BTreeSet};

use model::NsRange;
use store::Snapshot;

use super::ast::{LogExpr, Parser, Stage};
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
    /// `string`, `int`, `float`, `boolean`, `duration` or `bytes`, by its first value.
    pub kind: &'static str,
    /// Parsers that find it, sorted; none for structured metadata.
    pub parsers: BTreeSet<&'static str>,
    pub values: BTreeSet<String>,
}

/// The fields of the newest `lines` entries, by name.
///
/// # Errors
/// As [`select`].
pub fn detected_fields(
    snapshot: Option<&Snapshot>,
    log: &LogExpr,
    range: NsRange,
    lines: usize,
    budget: &Budget,
) -> Result<BTreeMap<String, DetectedField>, QueryError> {
    let found = select(snapshot, log, range, Direction::NewestFirst, lines, 0, budget)?;
    let only = |parser: Parser| LogExpr { matchers: Vec::new(), stages: vec![Stage::Parser(parser)] };
    let mut json = Runner::new(&only(Parser::Json), range.end_ns)?;
    let mut logfmt = Runner::new(&only(Parser::Logfmt { strict: false, keep_empty: false }), range.end_ns)?;
    let mut fields: BTreeMap<String, DetectedField> = BTreeMap::new();
    let mut add = |name: &str, value: &str, parser: Option<&'static str>| {
        let field = match fields.get_mut(name) {
            Some(field) => field,
            None => fields
                .entry(name.to_owned())
                .or_insert_with(|| DetectedField { kind: kind(value), ..DetectedField::default() }),
        };
        field.parsers.extend(parser);
        if field.values.len() < VALUES_MAX && !field.values.contains(value) {
            field.values.insert(value.to_owned());
        }
    };
    for entry in &found.entries {
        budget.check()?;
        entry.metadata.iter().for_each(|(name, value)| add(name, value, None));
        let parsed = json.parsed(&entry.line).map(|labels| ("json", labels));
        let parsed = parsed.or_else(|| logfmt.parsed(&entry.line).map(|labels| ("logfmt", labels)));
        if let Some((parser, labels)) = parsed {
            labels.iter().for_each(|(name, value)| {
                // As a parser in the query would name it.
                let collides = entry.stream.get(name).is_some() || entry.metadata.get(name).is_some();
                match collides {
                    true => add(&format!("{name}{}", super::pipeline::DUPLICATE_SUFFIX), value, Some(parser)),
                    false => add(name, value, Some(parser)),
                }
            });
        }
    }
    Ok(fields)
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
