//! Syslog to log records: RFC 5424 and RFC 3164, told apart message by message, and their framing on a stream (RFC 6587).
//!
//! Fields go where OpenTelemetry's mapping puts them (specification, logs/data-model-appendix, "RFC5424 Syslog"). What is no syslog message
//! is kept whole, with a mark: nobody sends it again.

mod framing;
mod rfc3164;
mod rfc5424;

use jiff::tz::TimeZone;
use model::{AnyValue, Key, LogRecord, Resource};

pub use framing::{Frame, Framer};

/// Attribute of a record whose line could not be read as syslog: why.
pub const MALFORMED: &str = "binnacle.syslog_malformed";
/// Attribute of a record in whose text bytes that are no UTF-8 became U+FFFD: always true.
pub const REPLACED: &str = "binnacle.invalid_utf8";

/// One message: what sent it, and the record. Its event time is derived when the message named none.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    pub resource: Resource,
    pub record: LogRecord,
}

/// Fields of either format, still as text.
#[derive(Debug, Default)]
struct Fields<'a> {
    priority: u8,
    version: Option<i64>,
    time_ns: Option<i64>,
    host: &'a str,
    app: &'a str,
    process: &'a str,
    id: &'a str,
    /// Elements with their parameters, unescaped.
    data: Vec<(&'a str, Vec<(&'a str, String)>)>,
    message: &'a str,
}

/// Reads one message, received at `received_ns`: years that RFC 3164 leaves out are the latest ones that are not in the future, and its
/// times, which name no zone, are those of `zone`. Never fails.
pub fn parse(bytes: &[u8], received_ns: i64, zone: &TimeZone) -> Message {
    let line = bytes.trim_ascii_end();
    let line = line.strip_suffix(b"\0").unwrap_or(line);
    let text = String::from_utf8_lossy(line);
    let mut message = match fields(&text, received_ns, zone) {
        Ok(fields) => message(fields, received_ns),
        Err(reason) => Message {
            resource: Resource::default(),
            record: LogRecord {
                time_ns: received_ns,
                time_is_derived: true,
                body: AnyValue::Str(text.clone().into_owned()),
                attributes: vec![(MALFORMED.into(), AnyValue::Str(reason.into()))],
                ..LogRecord::default()
            },
        },
    };
    message.record.observed_time_ns = received_ns;
    if matches!(text, std::borrow::Cow::Owned(_)) {
        message.record.attributes.push((REPLACED.into(), AnyValue::Bool(true)));
    }
    message
}

fn fields<'a>(text: &'a str, received_ns: i64, zone: &TimeZone) -> Result<Fields<'a>, &'static str> {
    let (priority, rest) = priority(text).ok_or("it does not begin with a priority such as <34>")?;
    let fields = match rest.strip_prefix("1 ") {
        Some(rest) => rfc5424::fields(rest)?,
        None => rfc3164::fields(rest, received_ns, zone),
    };
    Ok(Fields { priority, ..fields })
}

/// `<34>`: facility times eight plus severity, 0 to 191.
fn priority(text: &str) -> Option<(u8, &str)> {
    let (number, rest) = text.strip_prefix('<')?.split_once('>')?;
    let digits = (1..=3).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit());
    let priority: u8 = number.parse().ok().filter(|priority| digits && *priority <= 191)?;
    Some((priority, rest))
}

fn message(fields: Fields<'_>, received_ns: i64) -> Message {
    let (severity_number, severity_text) = severity(fields.priority % 8);
    let mut resource = Resource::default();
    for (key, text) in [("host.name", fields.host), ("service.name", fields.app)] {
        if !text.is_empty() {
            resource.attributes.push((key.into(), AnyValue::Str(text.into())));
        }
    }
    let mut attributes: Vec<(Key, AnyValue)> =
        vec![("syslog.facility".into(), AnyValue::Int(i64::from(fields.priority / 8)))];
    if let Some(version) = fields.version {
        attributes.push(("syslog.version".into(), AnyValue::Int(version)));
    }
    for (key, text) in [("syslog.procid", fields.process), ("syslog.msgid", fields.id)] {
        if !text.is_empty() {
            attributes.push((key.into(), AnyValue::Str(text.into())));
        }
    }
    if !fields.data.is_empty() {
        let parameters = |list: Vec<(&str, String)>| {
            AnyValue::Map(list.into_iter().map(|(name, value)| (name.into(), AnyValue::Str(value))).collect())
        };
        let elements = fields.data.into_iter().map(|(id, list)| (id.into(), parameters(list))).collect();
        attributes.push(("syslog.structured_data".into(), AnyValue::Map(elements)));
    }
    let record = LogRecord {
        time_ns: fields.time_ns.unwrap_or(received_ns),
        time_is_derived: fields.time_ns.is_none(),
        severity_number,
        severity_text: severity_text.into(),
        body: AnyValue::Str(fields.message.into()),
        attributes,
        ..LogRecord::default()
    };
    Message { resource, record }
}

/// Severity numbers as OpenTelemetry maps syslog's (data-model-appendix, "Appendix B: SeverityNumber example mappings").
fn severity(level: u8) -> (i32, &'static str) {
    match level {
        0 => (21, "emerg"),
        1 => (19, "alert"),
        2 => (18, "crit"),
        3 => (17, "err"),
        4 => (13, "warning"),
        5 => (10, "notice"),
        6 => (9, "info"),
        _ => (5, "debug"),
    }
}

#[cfg(test)]
mod tests;
