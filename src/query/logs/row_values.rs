//! Fields of a record that was found.

use codec::block::ValueRef;
use codec::field;
use model::any::hex;
use model::{AnyValue, Key};

use super::Row;
use super::expr::Field;

impl Row {
    /// The first value of a field as a search names it, as text; `None` when the record has it not.
    pub fn value(&self, name: &str) -> Option<String> {
        let record = &self.record;
        let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let of = |attributes: &[(Key, AnyValue)], path: &str| {
            let pairs = attributes.iter().map(|(key, value)| (key, ValueRef::from(value)));
            first(|found| field::lookup(pairs, path, found))
        };
        let in_body = |path: &str| {
            first(|found| match &record.body {
                AnyValue::Str(text) => codec::body::lookup(text, path, found),
                other => field::within(other.into(), path, found, 0),
            })
        };
        match Field::of_name(name) {
            Field::Any(path) => of(&record.attributes, &path)
                .or_else(|| of(&self.scope.attributes, &path))
                .or_else(|| of(&self.resource.attributes, &path))
                .or_else(|| in_body(&path)),
            Field::Record(path) => of(&record.attributes, &path),
            Field::Scope(path) => of(&self.scope.attributes, &path),
            Field::Resource(path) => of(&self.resource.attributes, &path),
            Field::Body => text(&record.body.to_text()),
            Field::BodyPath(path) => in_body(&path),
            Field::SeverityName => text(record.severity().as_str()),
            Field::SeverityNumber => Some(record.severity_number.to_string()),
            Field::SeverityText => text(&record.severity_text),
            Field::TraceId => record.trace_id.map(|id| hex(&id)),
            Field::SpanId => record.span_id.map(|id| hex(&id)),
            Field::EventName => text(&record.event_name),
            Field::Time => Some(model::time::rfc3339_ns(record.time_ns)),
            Field::ScopeName => text(&self.scope.name),
            Field::ScopeVersion => text(&self.scope.version),
        }
    }
}

fn first(look: impl FnOnce(&mut dyn FnMut(ValueRef<'_>))) -> Option<String> {
    let mut out = None;
    look(&mut |value| {
        if out.is_none() {
            let mut text = String::new();
            value.write_text(&mut text);
            out = Some(text);
        }
    });
    out
}
