//! Entries in, batch and refusals out. Both readers drive this, so a request means the same in either form.

use std::borrow::Cow;

use model::log::{Attributes, STREAM_LABELS};
use model::time::{NS_PER_MS, rfc3339_ms};
use model::{AnyValue, LogBatch, LogRecord, MsRange, Reason, Rejected, Resource, Scope};

use super::labels::Pair;
use crate::otlp::{LogsSettings, TRUNCATED_BYTES};
use crate::packed::size_bytes;

/// An entry as sent.
#[derive(Debug, Default)]
pub(super) struct Entry<'a> {
    pub(super) time_ns: Option<i128>,
    pub(super) line: Cow<'a, str>,
    pub(super) metadata: Vec<Pair<'a>>,
}

pub(super) struct Rows<'s> {
    settings: &'s LogsSettings,
    received_ns: i64,
    accept: MsRange,
    batch: LogBatch,
    rejected: Rejected,
    /// The stream's labels as a person knows them.
    shown: String,
    /// Why no entry of the current stream can be stored.
    refusal: Option<(Reason, String)>,
    resource: Resource,
    /// Where the current stream stands in the batch, once an entry needed it.
    resource_at: Option<u32>,
}

impl<'s> Rows<'s> {
    pub(super) fn new(settings: &'s LogsSettings, received_ns: i64, accept: MsRange) -> Rows<'s> {
        Rows {
            settings,
            received_ns,
            accept,
            batch: LogBatch::default(),
            rejected: Rejected::default(),
            shown: String::new(),
            refusal: None,
            resource: Resource::default(),
            resource_at: None,
        }
    }

    /// The entries that follow belong to this stream.
    pub(super) fn stream(&mut self, labels: Result<Vec<Pair<'_>>, String>, shown: impl FnOnce() -> String) {
        self.shown = shown();
        self.resource_at = None;
        self.resource = Resource::default();
        self.refusal = None;
        match labels {
            Err(why) => self.refusal = Some((Reason::BadName, why)),
            Ok(labels) => {
                let attributes = attributes_of(labels, stream_attribute);
                self.refusal = self.over_limit(&attributes);
                self.resource = Resource { attributes, schema_url: STREAM_LABELS.into(), ..Resource::default() };
            }
        }
    }

    pub(super) fn push(&mut self, entry: Entry<'_>) {
        let record = match self.accepted(entry) {
            Ok(record) => record,
            Err((reason, message)) => return self.rejected.add(reason, 1, || message),
        };
        let resource = *self.resource_at.get_or_insert_with(|| {
            self.batch.resources.push(std::mem::take(&mut self.resource));
            self.batch.resources.len() as u32 - 1
        });
        if self.batch.scopes.is_empty() {
            self.batch.scopes.push(Scope::default());
        }
        self.batch.records.push((resource, 0, record));
    }

    pub(super) fn finish(self) -> (LogBatch, Rejected) {
        (self.batch, self.rejected)
    }

    fn accepted(&self, entry: Entry<'_>) -> Result<LogRecord, (Reason, String)> {
        let records_max = self.settings.records_max;
        if self.batch.records.len() >= records_max {
            let message =
                format!("a request holds at most {records_max} entries (limits.request_records); send smaller batches");
            return Err((Reason::RecordLimit, message));
        }
        if let Some(refusal) = &self.refusal {
            return Err(refusal.clone());
        }
        let time_ns = match entry.time_ns {
            None => self.received_ns,
            Some(time_ns) => i64::try_from(time_ns)
                .map_err(|_| (Reason::BadTime, format!("entry for stream '{}' has a time out of range", self.shown)))?,
        };
        let at_ms = time_ns.div_euclid(NS_PER_MS);
        if at_ms < self.accept.start_ms {
            let message = format!(
                "entry for stream '{}' has timestamp too old: {}, oldest acceptable timestamp is: {}",
                self.shown,
                rfc3339_ms(at_ms),
                rfc3339_ms(self.accept.start_ms)
            );
            return Err((Reason::TooOld, message));
        }
        if at_ms > self.accept.end_ms {
            let message = format!("entry for stream '{}' has timestamp too new: {}", self.shown, rfc3339_ms(at_ms));
            return Err((Reason::TooNew, message));
        }
        let mut attributes = attributes_of(entry.metadata, |name| name);
        if let Some(refusal) = self.over_limit(&attributes) {
            return Err(refusal);
        }
        let (line, cut_bytes) = self.bounded(entry.line);
        let bytes = |(name, value): &(model::Key, AnyValue)| name.len() + size_bytes(value);
        let record_bytes = line.len() + attributes.iter().map(bytes).sum::<usize>();
        let max = self.settings.record_bytes_max;
        if record_bytes > max {
            let message = format!(
                "entry for stream '{}' has {record_bytes} bytes with its structured metadata; limit {max} (limits.log_record_bytes)",
                self.shown
            );
            return Err((Reason::RecordLimit, message));
        }
        if cut_bytes > 0 {
            let cut_bytes = i64::try_from(cut_bytes).unwrap_or(i64::MAX);
            attributes.push((TRUNCATED_BYTES.into(), AnyValue::Int(cut_bytes)));
        }
        let time_is_derived = entry.time_ns.is_none();
        Ok(LogRecord { time_ns, time_is_derived, body: AnyValue::Str(line), attributes, ..LogRecord::default() })
    }

    fn over_limit(&self, attributes: &Attributes) -> Option<(Reason, String)> {
        let max = self.settings.attributes_max;
        if attributes.len() > max {
            let message = format!(
                "stream '{}' has {} labels or structured metadata labels; limit {max} (limits.log_attributes)",
                self.shown,
                attributes.len()
            );
            return Some((Reason::RecordLimit, message));
        }
        let max = self.settings.attribute_bytes_max;
        attributes.iter().find_map(|(name, value)| {
            let bytes = name.len() + if let AnyValue::Str(text) = value { text.len() } else { 0 };
            (bytes > max).then(|| {
                let name = &name[..name.floor_char_boundary(64)];
                let message = format!(
                    "stream '{}' has label {name:?} of {bytes} bytes; limit {max} (limits.log_attribute_bytes)",
                    self.shown
                );
                (Reason::RecordLimit, message)
            })
        })
    }

    /// A line without what is too long of it, and how many bytes are gone.
    fn bounded(&self, line: Cow<'_, str>) -> (String, usize) {
        let keep = line.floor_char_boundary(self.settings.body_bytes_max);
        (line[..keep].to_owned(), line.len() - keep)
    }
}

fn attributes_of<'a>(pairs: Vec<Pair<'a>>, key: impl Fn(&str) -> &str) -> Attributes {
    let owned = |(name, value): Pair<'a>| (key(&name).into(), AnyValue::Str(value.into_owned()));
    pairs.into_iter().filter(|(name, value)| !name.is_empty() && !value.is_empty()).map(owned).collect()
}

/// The attribute key under which a label is stored: OpenTelemetry's where it has one, so that the native search finds a pushed
/// `service_name` as `service.name`; else the label's name.
fn stream_attribute(label: &str) -> &str {
    let same = |key: &&&str| {
        key.len() == label.len()
            && key.bytes().zip(label.bytes()).all(|(key, label)| key == label || (key == b'.' && label == b'_'))
    };
    model::log::STREAM_ATTRIBUTES.iter().find(same).copied().unwrap_or(label)
}
