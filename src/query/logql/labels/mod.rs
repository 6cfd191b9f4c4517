//! A stored record as Loki shows it: stream labels, structured metadata, line, level.
//!
//! What Loki 3.7 makes of OTLP, observed over its API. What is the same for all records of a resource and scope is made once for
//! each such pair of a block or part of the head.

pub(crate) mod level;
pub(crate) mod name;
mod record;
pub(crate) mod text;
mod weight;

use std::sync::Arc;

use codec::block::ValueRef;
use model::log::{STREAM_ATTRIBUTES, STREAM_LABELS};
use model::{AnyValue, Labels, Resource, Scope};

pub(crate) use name::{SERVICE_NAME, UNKNOWN_SERVICE};
pub(crate) use record::{Kinds, Names, Need, PairRef};

/// Name and value.
pub(crate) type Pair = (Arc<str>, Arc<str>);

/// What the records of one resource and scope have in common.
#[derive(Debug)]
pub(crate) struct Stream {
    /// The stream labels.
    pub(crate) labels: Labels,
    /// Of the stream labels: equal streams have equal ones. The streams of one time come in its order.
    pub(crate) hash: u64,
    /// Structured metadata of the resource, then of the scope; of two of one name the later counts.
    around: Vec<Pair>,
    /// The level that a stream label tells.
    level: Option<Arc<str>>,
}

impl Stream {
    pub(crate) fn new(resource: &Resource, scope: &Scope) -> Stream {
        let pushed = resource.schema_url == STREAM_LABELS;
        let mut around = Vec::new();
        let labels = stream_labels(resource, |key, value| flatten(&name::label_name(key), value, &mut around));
        if !pushed {
            scope.attributes.iter().for_each(|(key, value)| flatten(&name::label_name(key), value.into(), &mut around));
            for (name, value) in [("scope_name", &scope.name), ("scope_version", &scope.version)] {
                if !value.is_empty() {
                    around.push((name.into(), value.as_str().into()));
                }
            }
            if scope.dropped_attributes_count != 0 {
                let count = scope.dropped_attributes_count.to_string();
                around.push(("scope_dropped_attributes_count".into(), count.into()));
            }
        }
        let named = level::LEVEL_NAMES.iter().find_map(|name| labels.get(name));
        let level = named.map(|value| Arc::from(&*level::of_label(value)));
        Stream { hash: hash_of(&labels), labels, around, level }
    }
}

/// Prometheus' `labels.StableHash`, by which Loki orders the entries of different streams that have one time.
pub(crate) fn hash_of(labels: &Labels) -> u64 {
    let mut hasher = xxhash_rust::xxh64::Xxh64::new(0);
    for text in labels.iter().flat_map(|(name, value)| [name, value]) {
        hasher.update(text.as_bytes());
        hasher.update(&[0xff]);
    }
    hasher.digest()
}

/// The stream labels of a resource; `other` is shown the attributes that are none.
pub(crate) fn stream_labels<'a>(resource: &'a Resource, mut other: impl FnMut(&'a str, ValueRef<'a>)) -> Labels {
    let pushed = resource.schema_url == STREAM_LABELS;
    let mut pairs: Vec<Pair> = Vec::new();
    for (key, value) in &resource.attributes {
        let known = STREAM_ATTRIBUTES.contains(&&**key);
        if known {
            flatten(&name::label_name(key), value.into(), &mut pairs);
        } else if pushed {
            flatten(key, value.into(), &mut pairs);
        } else {
            other(key, value.into());
        }
    }
    if pairs.iter().any(|(name, _)| **name == *SERVICE_NAME) {
        return Labels::from_pairs(pairs);
    }
    // Loki's push door asks for one name after the other, its OTLP door takes the first attribute that has any of the names.
    let named = |wanted: &str| pairs.iter().find(|(name, _)| **name == *wanted);
    let found = match pushed {
        true => name::SERVICE_LABELS.iter().find_map(|name| named(name)),
        false => pairs.iter().find(|(name, _)| name::SERVICE_LABELS.contains(&&**name)),
    };
    let found = found.map_or_else(|| UNKNOWN_SERVICE.into(), |(_, value)| value.clone());
    pairs.push((SERVICE_NAME.into(), found));
    Labels::from_pairs(pairs)
}

/// A value as labels: a map's entries each under its own name, all else as text; what is empty is left out.
fn flatten(name: &str, value: ValueRef<'_>, out: &mut Vec<Pair>) {
    match value {
        ValueRef::Other(AnyValue::Map(entries)) => {
            for (key, inner) in entries {
                flatten(&name::label_name(&format!("{name}_{key}")), inner.into(), out);
            }
        }
        value => {
            let mut text = String::new();
            text::write(value, &mut text);
            if !text.is_empty() {
                out.push((name.into(), text.into()));
            }
        }
    }
}

#[cfg(test)]
mod tests;
