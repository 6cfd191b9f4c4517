//! Alerts and silences as Alertmanager's JSON, and back.

use model::any::json_string;
use model::time::rfc3339_ms;
use model::{MatchOp, Silence};
use notify::AlertStatus;

use crate::api::envelope::{push_array, push_object, push_strings, push_time};

/// `gettableAlert`. `muted_by` are time intervals that close the group's route.
pub(super) fn push_alert(alert: &AlertStatus, receivers: &[String], muted_by: &[String], out: &mut String) {
    out.push_str("{\"annotations\":");
    push_object(alert.instance.annotations.iter().map(|(name, value)| (&**name, &**value)), out);
    push_time(",\"endsAt\":", Some(alert.ends_ms), out);
    out.push_str(",\"fingerprint\":");
    json_string(&alert.fingerprint, out);
    out.push_str(",\"receivers\":");
    push_array(receivers, out, |name, out| push_receiver(name, out));
    push_time(",\"startsAt\":", Some(alert.starts_ms), out);
    out.push_str(",\"status\":{\"inhibitedBy\":");
    push_strings(alert.inhibited_by.iter().map(String::as_str), out);
    out.push_str(",\"mutedBy\":");
    push_strings(muted_by.iter().map(String::as_str), out);
    out.push_str(",\"silencedBy\":");
    push_strings(alert.silenced_by.iter().map(String::as_str), out);
    out.push_str(",\"state\":\"");
    out.push_str(if muted_by.is_empty() { alert.state() } else { "suppressed" });
    out.push_str("\"}");
    push_time(",\"updatedAt\":", Some(alert.updated_ms), out);
    if !alert.generator_url.is_empty() {
        out.push_str(",\"generatorURL\":");
        json_string(&alert.generator_url, out);
    }
    out.push_str(",\"labels\":");
    push_object(alert.instance.labels.iter(), out);
    out.push('}');
}

pub(super) fn push_receiver(name: &str, out: &mut String) {
    out.push_str("{\"name\":");
    json_string(name, out);
    out.push('}');
}

/// `gettableSilence`; `schedule` stands only where there is one.
pub(super) fn push_silence(silence: &Silence, now_ms: i64, out: &mut String) {
    out.push_str("{\"id\":");
    json_string(&silence.id, out);
    out.push_str(",\"status\":{\"state\":\"");
    out.push_str(silence.state(now_ms).as_str());
    out.push_str("\"}");
    push_time(",\"updatedAt\":", Some(silence.updated_ms), out);
    out.push_str(",\"comment\":");
    json_string(&silence.comment, out);
    out.push_str(",\"createdBy\":");
    json_string(&silence.created_by, out);
    push_time(",\"endsAt\":", Some(silence.ends_ms), out);
    out.push_str(",\"matchers\":");
    push_array(&silence.matchers, out, |matcher, out| {
        let equal = matches!(matcher.op, MatchOp::Equal | MatchOp::Regex);
        let regex = matches!(matcher.op, MatchOp::Regex | MatchOp::NotRegex);
        out.push_str(&format!("{{\"isEqual\":{equal},\"isRegex\":{regex},\"name\":"));
        json_string(&matcher.name, out);
        out.push_str(",\"value\":");
        json_string(&matcher.value, out);
        out.push('}');
    });
    if !silence.schedule.is_empty() {
        out.push_str(",\"schedule\":");
        json_string(&silence.schedule, out);
    }
    if !silence.annotations.is_empty() {
        out.push_str(",\"annotations\":");
        push_object(silence.annotations.iter().map(|(key, value)| (key.as_str(), value.as_str())), out);
    }
    push_time(",\"startsAt\":", Some(silence.starts_ms), out);
    out.push('}');
}

/// A time of a request in ms; `None` for none, and for Go's zero time, which stands for none.
pub(super) fn time_ms(text: Option<&str>, name: &str) -> Result<Option<i64>, String> {
    let Some(text) = text.filter(|text| !text.is_empty() && !text.starts_with("0001-01-01T00:00:00")) else {
        return Ok(None);
    };
    let parsed: Result<jiff::Timestamp, _> = text.parse();
    parsed.map(|at| Some(at.as_millisecond())).map_err(|_| format!("{name} is no RFC 3339 time: {text:?}"))
}

/// Go's zero-padded form, for `amtool`.
pub(super) fn time_text(at_ms: i64) -> String {
    rfc3339_ms(at_ms)
}
