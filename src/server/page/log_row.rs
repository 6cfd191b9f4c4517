//! One log record as the page shows it: a line, and all its fields behind it.

use std::collections::HashMap;

use model::any::{AnyValue, hex};
use model::log::{Attributes, attribute};
use model::time::rfc3339_ns;
use query::logs::Row;

use super::link::link;
use super::log_term::term;
use super::text::{Stamp, one_line, shown};
use super::window::Window;

/// Characters of the body in the line.
const LINE_CHARS_MAX: usize = 320;
/// Characters of the body, and of one value, in the details.
const BODY_CHARS_MAX: usize = 4_000;
const VALUE_CHARS_MAX: usize = 1_000;
/// Text of all details on one page. Details past it are left out and say so: a page stays below 100 KB on the wire even if nothing compresses.
pub(crate) const DETAIL_BYTES_MAX: usize = 48 << 10;

pub(crate) struct LogRow {
    pub(crate) severity: &'static str,
    /// `ERR`, or the sender's own short word.
    pub(crate) word: String,
    pub(crate) at: Stamp,
    pub(crate) service: String,
    pub(crate) line: String,
    /// In full; empty when the line says it all.
    pub(crate) body: String,
    pub(crate) sections: Vec<Section>,
    pub(crate) note: String,
    pub(crate) trace_href: String,
    pub(crate) context_href: String,
    /// Values of the columns chosen.
    pub(crate) columns: Vec<String>,
    /// The record that the page is about.
    pub(crate) marked: bool,
}

/// What the rows of one page share.
pub(crate) struct Shown<'a> {
    pub(crate) window: &'a Window,
    /// Fields shown as columns.
    pub(crate) columns: &'a [String],
    pub(crate) now_ms: i64,
}

pub(crate) struct Section {
    pub(crate) name: &'static str,
    pub(crate) fields: Vec<Field>,
}

pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) value: String,
    /// What a filter button adds to the search; empty where the value cannot be searched for.
    pub(crate) term: String,
    /// What names it as a column; empty where it cannot be one.
    pub(crate) column: String,
}

impl LogRow {
    /// Takes the text of its details from `room`.
    pub(crate) fn new(row: &Row, shown_as: &Shown<'_>, room: &mut usize) -> LogRow {
        let Shown { window, columns, now_ms } = *shown_as;
        let record = &row.record;
        let severity = record.severity();
        let text = record.body.to_text();
        let text = if text.is_empty() { record.event_name.clone() } else { text };
        let line = one_line(&text, LINE_CHARS_MAX);
        let service = attribute(&row.resource.attributes, "service.name").map(AnyValue::to_text).unwrap_or_default();
        let mut out = LogRow {
            severity: severity.as_str(),
            word: word(severity.as_str(), &record.severity_text),
            at: Stamp::of_ns(record.time_ns, now_ms),
            service: one_line(&service, 60),
            body: if line == text { String::new() } else { shown(&text, BODY_CHARS_MAX) },
            line,
            sections: sections(row),
            note: String::new(),
            trace_href: record
                .trace_id
                .map(|id| link("/logs/trace", &[("id", &hex(&id)), ("from", &window.from), ("to", &window.to)]))
                .unwrap_or_default(),
            context_href: link("/logs/context", &[("cursor", &row.cursor)]),
            columns: columns.iter().map(|name| column(row, name)).collect(),
            marked: false,
        };
        let fields = out.sections.iter().flat_map(|section| &section.fields);
        let size =
            out.body.len() + fields.map(|field| field.name.len() + field.value.len() + field.term.len()).sum::<usize>();
        match room.checked_sub(size) {
            Some(left) => *room = left,
            None => {
                *room = 0;
                out.sections.clear();
                out.body.clear();
                out.note =
                    "Fields are left out to keep this page small: narrow the search or ask for fewer rows.".into();
            }
        }
        out
    }
}

fn column(row: &Row, name: &str) -> String {
    const CHARS_MAX: usize = 80;
    one_line(&row.value(name).unwrap_or_default(), CHARS_MAX)
}

fn word(severity: &str, sent: &str) -> String {
    match severity {
        "unspecified" => one_line(sent, 5),
        "error" => "ERR".into(),
        other => other.to_uppercase(),
    }
}

fn sections(row: &Row) -> Vec<Section> {
    let record = &row.record;
    // A key that stands in several places is pinned to the place it was clicked at.
    let mut seen: HashMap<&str, u8> = HashMap::new();
    for attributes in [&record.attributes, &row.scope.attributes, &row.resource.attributes] {
        let mut names: Vec<&str> = attributes.iter().map(|(key, _)| &**key).collect();
        names.sort_unstable();
        names.dedup();
        for name in names {
            *seen.entry(name).or_default() += 1;
        }
    }
    let several = |key: &str| seen.get(key).is_some_and(|count| *count > 1);
    let fields = |attributes: &Attributes, pin: &str| -> Vec<Field> {
        let field = |(key, value): &(model::Key, AnyValue)| {
            let text = value.to_text();
            let searched = if several(key) { format!("{pin}.{key}") } else { key.to_string() };
            let can_search =
                !matches!(value, AnyValue::Empty | AnyValue::Array(_) | AnyValue::Map(_) | AnyValue::Bytes(_));
            Field {
                name: one_line(key, 200),
                value: shown(&text, VALUE_CHARS_MAX),
                term: term(&searched, &text).filter(|_| can_search).unwrap_or_default(),
                // What cannot be typed as a field cannot be asked for as a column.
                column: Some(searched).filter(|name| term(name, "x").is_some()).unwrap_or_default(),
            }
        };
        attributes.iter().map(field).collect()
    };
    let plain = |name: &str, value: String, term: Option<String>| Field {
        name: name.into(),
        value: shown(&value, VALUE_CHARS_MAX),
        term: term.unwrap_or_default(),
        column: String::new(),
    };
    let mut about = vec![plain("time", rfc3339_ns(record.time_ns), None)];
    if record.observed_time_ns != 0 && record.observed_time_ns != record.time_ns {
        about.push(plain("observed", rfc3339_ns(record.observed_time_ns), None));
    }
    let severity = record.severity().as_str();
    about.push(plain(
        "severity",
        format!("{severity} (sent as {:?}, {})", one_line(&record.severity_text, 40), record.severity_number),
        Some(severity).filter(|severity| *severity != "unspecified").map(|severity| format!("severity:{severity}")),
    ));
    if !record.event_name.is_empty() {
        about.push(plain("event_name", record.event_name.clone(), term("event_name", &record.event_name)));
    }
    for (name, id) in [("trace_id", record.trace_id.map(|id| hex(&id))), ("span_id", record.span_id.map(|id| hex(&id)))]
    {
        about.extend(id.map(|id| plain(name, id.clone(), term(name, &id))));
    }
    let dropped = |fields: &mut Vec<Field>, count: u32| {
        if count > 0 {
            fields.push(plain("dropped by the sender", count.to_string(), None));
        }
    };
    let mut attributes = fields(&record.attributes, "attributes");
    dropped(&mut attributes, record.dropped_attributes_count);
    let mut scope = Vec::new();
    for (name, value) in [("name", &row.scope.name), ("version", &row.scope.version)] {
        if !value.is_empty() {
            scope.push(plain(name, value.clone(), None));
        }
    }
    scope.extend(fields(&row.scope.attributes, "scope"));
    dropped(&mut scope, row.scope.dropped_attributes_count);
    let mut resource = fields(&row.resource.attributes, "resource");
    dropped(&mut resource, row.resource.dropped_attributes_count);
    [("record", about), ("attributes", attributes), ("scope", scope), ("resource", resource)]
        .into_iter()
        .filter(|(_, fields)| !fields.is_empty())
        .map(|(name, fields)| Section { name, fields })
        .collect()
}
