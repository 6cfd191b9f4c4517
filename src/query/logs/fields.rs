//! The names of fields that records have.

use std::collections::BTreeMap;

use codec::block::{Body, ValueRef};
use codec::field;
use model::{AnyValue, Key, NsRange, spelling};
use store::Snapshot;

use super::Search;
use super::expr::{Expr, Field};
use super::guard::Guard;
use super::row::Rows;
use crate::{Budget, QueryError};

/// Most names of one list; what comes later is left out.
const NAMES_MAX: usize = 2_000;
/// Longest name listed, in bytes.
const NAME_BYTES_MAX: usize = 256;
/// Bodies of one block that are looked into: the shapes of a stream's lines repeat.
const BODIES_LOOKED_INTO: usize = 16;

/// Letters that a misspelt name may differ in, and misspelt names told at once.
const DISTANCE_MAX: usize = 3;
const UNKNOWN_MAX: usize = 3;

/// A field that some record has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenField {
    /// As a search names it, without the place.
    pub name: String,
    /// `attributes`, `scope`, `resource` or `body`.
    pub place: &'static str,
    /// Blocks and requests that have it, out of those read: how common it is.
    pub seen_in: u64,
}

/// The fields of records in the range, the most common first; of bodies, those that a few records of each block have. Reads the
/// newest blocks first and stops at the end of the budget's time; the flag says whether all were read.
///
/// # Errors
/// `Cancelled`, or of the store.
pub fn fields(snapshot: &Snapshot, range: NsRange, budget: &Budget) -> Result<(Vec<SeenField>, bool), QueryError> {
    let mut seen: BTreeMap<(&'static str, String), u64> = BTreeMap::new();
    let whole = match read(snapshot, range, &mut seen, budget) {
        // A block that could not be read was left out.
        Ok(()) => budget.damage.warnings().is_empty(),
        Err(QueryError::Timeout { .. } | QueryError::TooMuch { .. }) => false,
        Err(error) => return Err(error),
    };
    let mut out: Vec<SeenField> =
        seen.into_iter().map(|((place, name), seen_in)| SeenField { name, place, seen_in }).collect();
    out.sort_by(|left, right| right.seen_in.cmp(&left.seen_in).then_with(|| left.name.cmp(&right.name)));
    Ok((out, whole))
}

/// Fields that a search names and that are not among those seen, each with the seen one that its name is nearest to, if any is near.
pub fn unknown_fields(search: &Search, seen: &[SeenField]) -> Vec<(String, Option<String>)> {
    let mut named = Vec::new();
    names(&search.expr, &mut named);
    let mut out: Vec<(String, Option<String>)> = Vec::new();
    for name in named {
        let is_seen = |field: &SeenField| {
            field.name == name || name.strip_prefix(field.name.as_str()).is_some_and(|rest| rest.starts_with('.'))
        };
        if seen.iter().any(is_seen) || out.iter().any(|(known, _)| *known == name) {
            continue;
        }
        let nearest = same_end(&name, seen).or_else(|| nearest(&name, seen));
        out.push((name, nearest));
        if out.len() == UNKNOWN_MAX {
            break;
        }
    }
    out
}

/// The field whose name differs least, if it differs in a third of its letters at most.
fn nearest(name: &str, seen: &[SeenField]) -> Option<String> {
    let distance_max = DISTANCE_MAX.min(name.len() / 3);
    let far = |field: &&SeenField| spelling::distance(name, &field.name);
    let candidates = seen.iter().filter(|field| field.name.len().abs_diff(name.len()) <= distance_max);
    candidates.min_by_key(far).filter(|field| far(field) <= distance_max).map(|field| field.name.clone())
}

/// A field that has the name at its end: `status` stands for `http.response.status`.
fn same_end(name: &str, seen: &[SeenField]) -> Option<String> {
    let ends = |field: &&SeenField| field.name.strip_suffix(name).is_some_and(|before| before.ends_with('.'));
    seen.iter().find(ends).map(|field| field.name.clone())
}

fn names(expr: &Expr, out: &mut Vec<String>) {
    match expr {
        Expr::And(all) | Expr::Or(all) => all.iter().for_each(|inner| names(inner, out)),
        Expr::Not(inner) => names(inner, out),
        Expr::Field(Field::Any(name), _) if name.len() <= NAME_BYTES_MAX => out.push(name.clone()),
        _ => {}
    }
}

fn read(
    snapshot: &Snapshot,
    range: NsRange,
    seen: &mut BTreeMap<(&'static str, String), u64>,
    budget: &Budget,
) -> Result<(), QueryError> {
    let mut guard = Guard::new(budget);
    let mut sources = guard.sources(snapshot.logs(), &Expr::And(Vec::new()), range)?;
    sources.sort_by_key(|source| std::cmp::Reverse(source.max_ns()));
    for source in sources {
        let Some(rows) = guard.read(source)? else { continue };
        let mut here: std::collections::BTreeSet<(&'static str, String)> = Default::default();
        let mut note = |place, name: &str| {
            if name.len() <= NAME_BYTES_MAX && !name.is_empty() {
                here.insert((place, name.to_owned()));
            }
        };
        around(&rows, &mut note)?;
        for at in (0..rows.count()).take(BODIES_LOOKED_INTO) {
            guard.tick()?;
            match rows.body(at)? {
                Body::Text(text) => codec::body::visit(text, &mut |path, value| leaf("body", path, value, &mut note)),
                Body::Typed(AnyValue::Map(entries)) => nested("body", entries, &mut note),
                Body::Typed(_) => {}
            }
        }
        for name in here {
            if let Some(count) = seen.get_mut(&name) {
                *count += 1;
            } else if seen.len() < NAMES_MAX {
                seen.insert(name, 1);
            }
        }
    }
    Ok(())
}

/// Keys of attributes of records, scopes and resources.
fn around(rows: &Rows, note: &mut dyn FnMut(&'static str, &str)) -> Result<(), QueryError> {
    match rows {
        Rows::Block { block, .. } => {
            block.attributes()?.keys().iter().for_each(|key| note("attributes", key));
            block.resources()?.iter().for_each(|resource| nested("resource", &resource.attributes, note));
            block.scopes()?.iter().for_each(|scope| nested("scope", &scope.attributes, note));
        }
        Rows::Head(part) => {
            for record in part.records() {
                for (key, value) in record.attributes() {
                    field::visit(&mut key.to_string(), value, &mut |path, value| leaf("attributes", path, value, note));
                }
                nested("resource", &record.resource().attributes, note);
                nested("scope", &record.scope().attributes, note);
            }
        }
    }
    Ok(())
}

fn nested(place: &'static str, attributes: &[(Key, AnyValue)], note: &mut dyn FnMut(&'static str, &str)) {
    for (key, value) in attributes {
        field::visit(&mut key.to_string(), value.into(), &mut |path, value| leaf(place, path, value, note));
    }
}

/// A map is named by what is in it.
fn leaf(place: &'static str, path: &str, value: ValueRef<'_>, note: &mut dyn FnMut(&'static str, &str)) {
    if !matches!(value, ValueRef::Other(AnyValue::Map(_))) {
        note(place, path);
    }
}
