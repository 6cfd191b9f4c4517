//! Log records as OpenTelemetry defines them (specification/logs/data-model).

use crate::any::{AnyValue, Key};
use crate::severity;

/// Attributes in the order sent; of two of the same key the last one counts.
pub type Attributes = Vec<(Key, AnyValue)>;

/// The schema URL of a resource whose attributes are the labels of a stream that was pushed as one (Loki push): all of them are stream
/// labels, under their own names but for those that OpenTelemetry names (`service.name` for `service_name`).
pub const STREAM_LABELS: &str = "urn:binnacle:stream-labels";

/// The resource attributes that Loki makes labels of a stream (its default `otlp_config.resource_attributes`); of a resource that is no
/// pushed stream no other attribute is one.
pub const STREAM_ATTRIBUTES: [&str; 18] = [
    "service.name",
    "service.namespace",
    "service.instance.id",
    "deployment.environment",
    "deployment.environment.name",
    "cloud.region",
    "cloud.availability_zone",
    "container.name",
    "k8s.cluster.name",
    "k8s.namespace.name",
    "k8s.pod.name",
    "k8s.container.name",
    "k8s.replicaset.name",
    "k8s.deployment.name",
    "k8s.statefulset.name",
    "k8s.daemonset.name",
    "k8s.cronjob.name",
    "k8s.job.name",
];

/// What produced the record. Equal resources are one stream, together with equal scopes.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Resource {
    pub attributes: Attributes,
    pub dropped_attributes_count: u32,
    pub schema_url: String,
}

/// The instrumentation scope (logger) that emitted the record.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Scope {
    pub name: String,
    pub version: String,
    pub attributes: Attributes,
    pub dropped_attributes_count: u32,
    pub schema_url: String,
}

/// One record. Resource and scope stand beside it, by index into its batch or block.
#[derive(Debug, Clone, PartialEq)]
pub struct LogRecord {
    /// Event time in ns since the epoch: the sent one, else the observed one, else when it was received. Never zero
    /// unless it was sent so in all three.
    pub time_ns: i64,
    /// The sender gave no event time, so that `time_ns` is one of the other two.
    pub time_is_derived: bool,
    /// As sent; 0 when it was not.
    pub observed_time_ns: i64,
    /// As sent, 1..=24 by the specification; other numbers are kept.
    pub severity_number: i32,
    pub severity_text: String,
    pub body: AnyValue,
    pub attributes: Attributes,
    pub dropped_attributes_count: u32,
    /// The low 8 bits are the W3C trace flags.
    pub flags: u32,
    /// `None` unless 16 bytes, not all zero.
    pub trace_id: Option<[u8; 16]>,
    /// `None` unless 8 bytes, not all zero.
    pub span_id: Option<[u8; 8]>,
    pub event_name: String,
}

impl Default for LogRecord {
    fn default() -> Self {
        LogRecord {
            time_ns: 0,
            time_is_derived: false,
            observed_time_ns: 0,
            severity_number: 0,
            severity_text: String::new(),
            body: AnyValue::Empty,
            attributes: Vec::new(),
            dropped_attributes_count: 0,
            flags: 0,
            trace_id: None,
            span_id: None,
            event_name: String::new(),
        }
    }
}

/// The value of an attribute; of two of the same key the last one.
pub fn attribute<'a>(attributes: &'a Attributes, key: &str) -> Option<&'a AnyValue> {
    attributes.iter().rev().find(|(name, _)| &**name == key).map(|(_, value)| value)
}

/// The six ranges of OpenTelemetry's severity numbers, and their absence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    Unspecified,
    Trace,
    Debug,
    Info,
    Warn,
    Error,
    Fatal,
}

impl Severity {
    pub const ALL: [Severity; 7] = [
        Severity::Unspecified,
        Severity::Trace,
        Severity::Debug,
        Severity::Info,
        Severity::Warn,
        Severity::Error,
        Severity::Fatal,
    ];

    /// The range of a number; 0 and what is outside 1..=24 is unspecified.
    pub fn of_number(number: i32) -> Severity {
        match number {
            1..=4 => Severity::Trace,
            5..=8 => Severity::Debug,
            9..=12 => Severity::Info,
            13..=16 => Severity::Warn,
            17..=20 => Severity::Error,
            21..=24 => Severity::Fatal,
            _ => Severity::Unspecified,
        }
    }

    /// The range that a sender's own word means (`warning`, `ERR`, `Information`); `None` for an unknown word.
    pub fn of_text(text: &str) -> Option<Severity> {
        let mut lower = [0u8; 16];
        let trimmed = text.trim();
        // The specification's short names: INFO, INFO2, INFO3, INFO4.
        let trimmed = match trimmed.strip_suffix(['2', '3', '4']) {
            Some(name) if name.len() > 3 => name,
            _ => trimmed,
        };
        let word = lower.get_mut(..trimmed.len())?;
        word.copy_from_slice(trimmed.as_bytes());
        word.make_ascii_lowercase();
        Some(match &*word {
            b"trace" | b"trc" | b"verbose" | b"finest" => Severity::Trace,
            b"debug" | b"dbg" | b"fine" => Severity::Debug,
            b"info" | b"inf" | b"information" | b"informational" | b"notice" => Severity::Info,
            b"warn" | b"warning" | b"wrn" => Severity::Warn,
            b"error" | b"err" | b"eror" | b"severe" => Severity::Error,
            b"fatal" | b"critical" | b"crit" | b"alert" | b"emerg" | b"emergency" | b"panic" => Severity::Fatal,
            _ => return None,
        })
    }

    /// The lowest number of the range; 0 for unspecified.
    pub fn min_number(self) -> i32 {
        match self {
            Severity::Unspecified => 0,
            Severity::Trace => 1,
            Severity::Debug => 5,
            Severity::Info => 9,
            Severity::Warn => 13,
            Severity::Error => 17,
            Severity::Fatal => 21,
        }
    }

    /// Short lower-case name: `warn`.
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Unspecified => "unspecified",
            Severity::Trace => "trace",
            Severity::Debug => "debug",
            Severity::Info => "info",
            Severity::Warn => "warn",
            Severity::Error => "error",
            Severity::Fatal => "fatal",
        }
    }
}

impl Severity {
    /// The range of a record: from its number, else from its text; `None` when only its body can tell.
    pub fn of_sent(number: i32, text: &str) -> Option<Severity> {
        match Severity::of_number(number) {
            Severity::Unspecified => Severity::of_text(text),
            known => Some(known),
        }
    }
}

impl LogRecord {
    /// The record's range: from its number, else from its text, else from what its body says, else unspecified.
    pub fn severity(&self) -> Severity {
        Severity::of_sent(self.severity_number, &self.severity_text)
            .or_else(|| severity::of_body(&self.body))
            .unwrap_or(Severity::Unspecified)
    }

    /// The W3C trace flags: the low byte of `flags`, whose other bits are reserved (OTLP, `LogRecordFlags`).
    pub fn trace_flags(&self) -> u8 {
        self.flags as u8
    }

    /// Whether [`LogRecord::severity`] is ours: the sender gave no number that says it.
    pub fn severity_is_derived(&self) -> bool {
        Severity::of_number(self.severity_number) == Severity::Unspecified && self.severity() != Severity::Unspecified
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn severity_comes_from_the_number_then_from_the_text_then_from_the_body() {
        for (number, text, body, expected, derived) in [
            (9, "ERROR", "level=error", Severity::Info, false),
            (0, "warning", "level=error", Severity::Warn, true),
            (0, "INFO3", "", Severity::Info, true),
            (0, " ERR ", "", Severity::Error, true),
            (0, "something else entirely", "level=error", Severity::Error, true),
            (0, "something else entirely", "", Severity::Unspecified, false),
            (99, "", "", Severity::Unspecified, false),
            (-1, "crit", "", Severity::Fatal, true),
            (24, "", "", Severity::Fatal, false),
        ] {
            let record = LogRecord {
                severity_number: number,
                severity_text: text.into(),
                body: AnyValue::Str(body.into()),
                ..LogRecord::default()
            };
            let found = (record.severity(), record.severity_is_derived());
            assert_eq!(found, (expected, derived), "{number} {text:?} {body:?}");
        }
    }
}
