//! Log rows: records in, packed rows and refusals out. Both readers drive this, so a request means the same in either encoding.

use model::log::Attributes;
use model::{AnyValue, LogRecord, MsRange, Reason, Rejected, Resource, Scope, time};

use super::LogsSettings;
use super::label::{Refusal, shown};
use super::series::outside;
use crate::packed::{Draft, DraftValue, PackedLogs, Packer, size_bytes};

/// Attribute of a record whose body was cut: how many bytes are gone.
pub const TRUNCATED_BYTES: &str = "binnacle.truncated_bytes";

/// Times as sent: the record's own are still to be chosen from these.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Times {
    pub(crate) time_ns: u64,
    pub(crate) observed_time_ns: u64,
}

/// A record as sent.
#[derive(Default)]
pub(crate) struct Sent {
    pub(crate) times: Times,
    pub(crate) record: LogRecord,
}

pub(crate) struct Records<'a> {
    settings: &'a LogsSettings,
    received_ns: i64,
    accept: MsRange,
    packer: Packer,
    rejected: Rejected,
    resource: Resource,
    scope: Scope,
    /// Why no record of the current resource or scope can be stored.
    resource_refusal: Option<Refusal>,
    scope_refusal: Option<Refusal>,
    /// The numbers of the current resource and scope, once a record needed them.
    resource_at: Option<u32>,
    scope_at: Option<u32>,
}

impl<'a> Records<'a> {
    /// `body_bytes` is how long the request is.
    pub(crate) fn new(settings: &'a LogsSettings, received_ns: i64, accept: MsRange, body_bytes: usize) -> Records<'a> {
        Records {
            settings,
            received_ns,
            accept,
            packer: Packer::for_text(body_bytes),
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
        self.resource_at = None;
        self.resource = resource;
    }

    /// The records that follow come from this scope.
    pub(crate) fn scope(&mut self, scope: Scope) {
        self.scope_refusal = self.over_limit("scope", &scope.attributes);
        self.scope_at = None;
        self.scope = scope;
    }

    /// Number of a key at this place of its record, for [`Draft::attributes`].
    #[inline]
    pub(crate) fn key(&mut self, text: &str, place: usize) -> u32 {
        self.packer.key(text, place)
    }

    /// The number of the key that is most likely at this place, if it is this one.
    #[inline]
    pub(crate) fn expected_key(&self, key: &[u8], place: usize) -> Option<u32> {
        self.packer.expected_key(key, place)
    }

    /// Whether a record of so many attributes is refused whatever they are, so that their keys need not be kept.
    pub(crate) fn has_too_many(&self, attributes: usize) -> bool {
        attributes > self.settings.attributes_max
    }

    /// Takes a record as it was read; its times are still to be chosen.
    pub(crate) fn push(&mut self, times: Times, draft: &mut Draft<'_>) {
        if let Err((reason, message)) = self.accept(times, draft) {
            self.rejected.add(reason, 1, || message);
        }
    }

    pub(crate) fn push_sent(&mut self, sent: &Sent) {
        let mut draft = Draft::default();
        self.packer.draft_of(&sent.record, &mut draft);
        self.push(sent.times, &mut draft);
    }

    pub(crate) fn finish(self) -> (PackedLogs, Rejected) {
        (self.packer.finish(), self.rejected)
    }

    fn accept(&mut self, times: Times, draft: &mut Draft<'_>) -> Result<(), Refusal> {
        if self.packer.len() >= self.settings.records_max {
            let records_max = self.settings.records_max;
            let message =
                format!("a request holds at most {records_max} records (limits.request_records); send smaller batches");
            return Err((Reason::RecordLimit, message));
        }
        if let Some(refusal) = self.resource_refusal.as_ref().or(self.scope_refusal.as_ref()) {
            return Err(refusal.clone());
        }
        let Times { time_ns, observed_time_ns } = times;
        let (Ok(time_ns), Ok(observed_time_ns)) = (i64::try_from(time_ns), i64::try_from(observed_time_ns)) else {
            return Err((Reason::BadTime, "a time of the record is past the year 2262".into()));
        };
        draft.observed_time_ns = observed_time_ns;
        draft.time_is_derived = time_ns == 0;
        draft.time_ns = match (time_ns, observed_time_ns) {
            (0, 0) => self.received_ns,
            (0, observed_ns) => observed_ns,
            (time_ns, _) => time_ns,
        };
        if let Some(refusal) = outside(self.accept, draft.time_ns.div_euclid(time::NS_PER_MS)) {
            return Err(refusal);
        }
        if let Some(refusal) = self.too_many("record", draft.attributes.len()) {
            return Err(refusal);
        }
        let mut record_bytes = draft.severity_text.len() + draft.event_name.len();
        for (key, value) in &draft.attributes {
            let key = self.packer.key_text(*key);
            let bytes = key.len() + value.size_bytes();
            if bytes > self.settings.attribute_bytes_max {
                return Err(self.too_large(&format!("attribute {:?} of the record", shown(key)), bytes));
            }
            record_bytes += bytes;
        }
        for (what, text) in [("severity_text", &draft.severity_text), ("event_name", &draft.event_name)] {
            if text.len() > self.settings.attribute_bytes_max {
                return Err(self.too_large(what, text.len()));
            }
        }
        self.bound_body(draft)?;
        record_bytes += draft.body.size_bytes();
        let max = self.settings.record_bytes_max;
        if record_bytes > max {
            let message = format!("the record has {record_bytes} bytes, the limit is {max} (limits.log_record_bytes)");
            return Err((Reason::RecordLimit, message));
        }
        let resource = *self.resource_at.get_or_insert_with(|| self.packer.resource(self.resource.clone()));
        let scope = *self.scope_at.get_or_insert_with(|| self.packer.scope(self.scope.clone()));
        if !self.packer.push(resource, scope, draft) {
            return Err((Reason::RecordLimit, "a request holds at most 4 GiB of texts; send smaller batches".into()));
        }
        Ok(())
    }

    fn over_limit(&self, of: &str, attributes: &Attributes) -> Option<Refusal> {
        if let Some(refusal) = self.too_many(of, attributes.len()) {
            return Some(refusal);
        }
        attributes.iter().find_map(|(key, value)| {
            let bytes = key.len() + size_bytes(value);
            (bytes > self.settings.attribute_bytes_max)
                .then(|| self.too_large(&format!("attribute {:?} of the {of}", shown(key)), bytes))
        })
    }

    fn too_many(&self, of: &str, attributes: usize) -> Option<Refusal> {
        let attributes_max = self.settings.attributes_max;
        (attributes > attributes_max).then(|| {
            let message =
                format!("the {of} has {attributes} attributes, the limit is {attributes_max} (limits.log_attributes)");
            (Reason::RecordLimit, message)
        })
    }

    fn too_large(&self, what: &str, bytes: usize) -> Refusal {
        let max = self.settings.attribute_bytes_max;
        (Reason::RecordLimit, format!("{what} has {bytes} bytes, the limit is {max} (limits.log_attribute_bytes)"))
    }

    /// Cuts a text that is too long and says in an attribute how many bytes are gone; anything else too large is refused, since a
    /// cut would make another value of it.
    fn bound_body(&mut self, draft: &mut Draft<'_>) -> Result<(), Refusal> {
        let max = self.settings.body_bytes_max;
        if draft.body.size_bytes() <= max {
            return Ok(());
        }
        let cut = match &mut draft.body {
            DraftValue::Str(text) => {
                let keep = text.floor_char_boundary(max);
                let cut = text.len() - keep;
                *text = &text[..keep];
                cut
            }
            DraftValue::Owned(AnyValue::Str(text)) => {
                let keep = text.floor_char_boundary(max);
                let cut = text.len() - keep;
                text.truncate(keep);
                cut
            }
            structured => {
                let bytes = structured.size_bytes();
                let message = format!("structured body of {bytes} bytes, the limit is {max} (limits.log_body_bytes)");
                return Err((Reason::RecordLimit, message));
            }
        };
        let mut cut = i64::try_from(cut).unwrap_or(i64::MAX);
        let key = self.packer.key(TRUNCATED_BYTES, draft.attributes.len());
        // A door that cut it before has said so.
        if let Some(at) = draft.attributes.iter().rposition(|(known, _)| *known == key)
            && let DraftValue::Int(before) = draft.attributes[at].1
        {
            cut = cut.saturating_add(before);
            draft.attributes.remove(at);
        }
        draft.attributes.push((key, DraftValue::Int(cut)));
        Ok(())
    }
}

/// Records of other doors than OTLP's, held to the same limits.
pub struct LogRows<'a>(Records<'a>);

impl<'a> LogRows<'a> {
    /// `received_ns` stands in where a record has no time of its own; `accept` bounds its time.
    pub fn new(settings: &'a LogsSettings, received_ns: i64, accept: MsRange) -> LogRows<'a> {
        LogRows(Records::new(settings, received_ns, accept, 0))
    }

    /// Takes a record, or counts why not. Its event time counts as sent unless `time_is_derived`.
    pub fn push(&mut self, resource: &Resource, scope: &Scope, record: LogRecord) {
        let rows = &mut self.0;
        if rows.resource != *resource || rows.resource_at.is_none() {
            rows.resource(resource.clone());
        }
        if rows.scope != *scope || rows.scope_at.is_none() {
            rows.scope(scope.clone());
        }
        let sent_ns = |time_ns: i64| u64::try_from(time_ns).unwrap_or(0);
        let times = Times {
            time_ns: if record.time_is_derived { 0 } else { sent_ns(record.time_ns) },
            observed_time_ns: sent_ns(record.observed_time_ns),
        };
        rows.push_sent(&Sent { times, record });
    }

    pub fn finish(self) -> (PackedLogs, Rejected) {
        self.0.finish()
    }
}

/// An id of the right length that is not all zero; anything else is no id (logs data model, "TraceId").
pub(crate) fn id<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
    <[u8; N]>::try_from(bytes).ok().filter(|id| *id != [0; N])
}
