//! Log rows: records in, batch and refusals out. Both readers drive this, so a request means the same in either encoding.

use model::log::Attributes;
use model::{AnyValue, LogBatch, LogRecord, MsRange, Reason, Rejected, Resource, Scope, time};

use super::LogsSettings;
use super::label::{Refusal, shown};
use super::series::outside;

/// A record as sent: the record's own times are still to be chosen from these.
#[derive(Default)]
pub(crate) struct Sent {
    pub(crate) time_ns: u64,
    pub(crate) observed_time_ns: u64,
    pub(crate) record: LogRecord,
}

pub(crate) struct Records<'a> {
    settings: &'a LogsSettings,
    received_ns: i64,
    accept: MsRange,
    batch: LogBatch,
    rejected: Rejected,
    resource: Resource,
    scope: Scope,
    /// Why no record of the current resource or scope can be stored.
    resource_refusal: Option<Refusal>,
    scope_refusal: Option<Refusal>,
    /// Where the current resource and scope stand in the batch, once a record needed them.
    resource_at: Option<u32>,
    scope_at: Option<u32>,
}

impl<'a> Records<'a> {
    pub(crate) fn new(settings: &'a LogsSettings, received_ns: i64, accept: MsRange) -> Records<'a> {
        Records {
            settings,
            received_ns,
            accept,
            batch: LogBatch::default(),
            rejected: Rejected::default(),
            resource: Resource::default(),
            scope: Scope::default(),
            resource_refusal: None,
            scope_refusal: None,
            resource_at: None,
            scope_at: None,
        }
    }

    /// The records that follow come from this resource.
    pub(crate) fn resource(&mut self, resource: Resource) {
        self.resource_refusal = self.over_limit("resource", &resource.attributes);
        // One entry for equal neighbours: a sender that repeats its resource per record should not cost a copy each.
        self.resource_at = last_equal(&self.batch.resources, &resource);
        self.resource = resource;
    }

    /// The records that follow come from this scope.
    pub(crate) fn scope(&mut self, scope: Scope) {
        self.scope_refusal = self.over_limit("scope", &scope.attributes);
        self.scope_at = last_equal(&self.batch.scopes, &scope);
        self.scope = scope;
    }

    pub(crate) fn push(&mut self, sent: Sent) {
        match self.accepted(sent) {
            Ok(record) => {
                let resource = *self.resource_at.get_or_insert_with(|| {
                    self.batch.resources.push(std::mem::take(&mut self.resource));
                    self.batch.resources.len() as u32 - 1
                });
                let scope = *self.scope_at.get_or_insert_with(|| {
                    self.batch.scopes.push(std::mem::take(&mut self.scope));
                    self.batch.scopes.len() as u32 - 1
                });
                self.batch.records.push((resource, scope, record));
            }
            Err((reason, message)) => self.rejected.add(reason, 1, || message),
        }
    }

    pub(crate) fn finish(self) -> (LogBatch, Rejected) {
        (self.batch, self.rejected)
    }

    fn accepted(&self, sent: Sent) -> Result<LogRecord, Refusal> {
        if self.batch.records.len() >= self.settings.records_max {
            let records_max = self.settings.records_max;
            let message =
                format!("a request holds at most {records_max} records (limits.request_records); send smaller batches");
            return Err((Reason::RecordLimit, message));
        }
        if let Some(refusal) = self.resource_refusal.as_ref().or(self.scope_refusal.as_ref()) {
            return Err(refusal.clone());
        }
        let Sent { time_ns, observed_time_ns, mut record } = sent;
        let (Ok(time_ns), Ok(observed_time_ns)) = (i64::try_from(time_ns), i64::try_from(observed_time_ns)) else {
            return Err((Reason::BadTime, "a time of the record is past the year 2262".into()));
        };
        record.observed_time_ns = observed_time_ns;
        record.time_ns = match (time_ns, observed_time_ns) {
            (0, 0) => self.received_ns,
            (0, observed_ns) => observed_ns,
            (time_ns, _) => time_ns,
        };
        if let Some(refusal) = outside(self.accept, record.time_ns.div_euclid(time::NS_PER_MS)) {
            return Err(refusal);
        }
        if let Some(refusal) = self.over_limit("record", &record.attributes) {
            return Err(refusal);
        }
        for (what, text) in [("severity_text", &record.severity_text), ("event_name", &record.event_name)] {
            if text.len() > self.settings.attribute_bytes_max {
                return Err(self.too_large(what, text.len()));
            }
        }
        self.bound_body(&mut record.body)?;
        Ok(record)
    }

    fn over_limit(&self, of: &str, attributes: &Attributes) -> Option<Refusal> {
        let LogsSettings { attributes_max, .. } = *self.settings;
        if attributes.len() > attributes_max {
            let message = format!(
                "the {of} has {} attributes, the limit is {attributes_max} (limits.log_attributes)",
                attributes.len()
            );
            return Some((Reason::RecordLimit, message));
        }
        attributes.iter().find_map(|(key, value)| {
            let bytes = key.len() + size_bytes(value);
            (bytes > self.settings.attribute_bytes_max)
                .then(|| self.too_large(&format!("attribute {:?} of the {of}", shown(key)), bytes))
        })
    }

    fn too_large(&self, what: &str, bytes: usize) -> Refusal {
        let max = self.settings.attribute_bytes_max;
        (Reason::RecordLimit, format!("{what} has {bytes} bytes, the limit is {max} (limits.log_attribute_bytes)"))
    }

    /// Cuts a text that is too long and says in it how many bytes are gone; anything else too large is refused, since a cut
    /// would make another value of it.
    fn bound_body(&self, body: &mut AnyValue) -> Result<(), Refusal> {
        let max = self.settings.body_bytes_max;
        match body {
            AnyValue::Str(text) if text.len() > max => {
                let keep = text.floor_char_boundary(max);
                let cut = text.len() - keep;
                text.truncate(keep);
                text.push_str(&format!("…[cut, {cut} bytes]"));
                text.shrink_to_fit();
                Ok(())
            }
            AnyValue::Str(_) => Ok(()),
            structured => match size_bytes(structured) {
                bytes if bytes > max => Err((
                    Reason::RecordLimit,
                    format!("structured body of {bytes} bytes, the limit is {max} (limits.log_body_bytes)"),
                )),
                _ => Ok(()),
            },
        }
    }
}

fn last_equal<T: PartialEq>(entries: &[T], wanted: &T) -> Option<u32> {
    (entries.last() == Some(wanted)).then(|| entries.len() as u32 - 1)
}

/// Bytes of texts, keys and numbers, without what holds them together.
fn size_bytes(value: &AnyValue) -> usize {
    match value {
        AnyValue::Empty | AnyValue::Bool(_) => 1,
        AnyValue::Int(_) | AnyValue::Double(_) => 8,
        AnyValue::Str(text) => text.len(),
        AnyValue::Bytes(bytes) => bytes.len(),
        AnyValue::Array(values) => values.iter().map(|value| 1 + size_bytes(value)).sum(),
        AnyValue::Map(entries) => entries.iter().map(|(key, value)| 1 + key.len() + size_bytes(value)).sum(),
    }
}

/// An id of the right length that is not all zero; anything else is no id (logs data model, "TraceId").
pub(crate) fn id<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
    <[u8; N]>::try_from(bytes).ok().filter(|id| *id != [0; N])
}
