//! One log record as a line for a terminal: nothing in a record can drive the terminal.

use serde_json::Value;
use server::page::one_line;

#[derive(Debug, Clone, Copy)]
pub(super) struct Style {
    pub(super) colors: bool,
}

/// Attributes shown behind the body, the longest of them cut.
const ATTRIBUTES_SHOWN: usize = 12;
const VALUE_CHARS_MAX: usize = 200;

/// `2026-11-21T02:00:00.123Z ERROR api connection refused http.status=500`.
pub(super) fn line(row: &Value, style: Style) -> String {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    };
    let time = row["time"].as_str().unwrap_or_default();
    // Milliseconds are enough to read; --json has all nine digits.
    let time = match time.split_once('.') {
        Some((whole, digits)) if digits.len() > 3 && digits.is_ascii() => format!("{whole}.{}Z", &digits[..3]),
        _ => time.to_owned(),
    };
    let severity = severity(row);
    let word = if severity.is_empty() { "-".to_owned() } else { severity.to_uppercase() };
    let mut out = String::new();
    paint(&format!("{time} "), "2", style, &mut out);
    paint(&format!("{word:<5}"), color(&severity), style, &mut out);
    let service = text(&row["resource"]["attributes"]["service.name"]);
    if !service.is_empty() {
        out.push(' ');
        paint(&one_line(&service, VALUE_CHARS_MAX), "36", style, &mut out);
    }
    out.push(' ');
    let body = text(&row["body"]);
    out.push_str(&one_line(
        if body.is_empty() { row["event_name"].as_str().unwrap_or_default() } else { &body },
        usize::MAX,
    ));
    let attributes = row["attributes"].as_object().into_iter().flatten();
    for (key, value) in attributes.take(ATTRIBUTES_SHOWN) {
        let pair = format!(" {}={}", one_line(key, VALUE_CHARS_MAX), one_line(&text(value), VALUE_CHARS_MAX));
        paint(&pair, "2", style, &mut out);
    }
    out
}

fn severity(row: &Value) -> String {
    let number = row["severity_number"].as_i64().and_then(|number| i32::try_from(number).ok()).unwrap_or(0);
    let sent = row["severity_text"].as_str().unwrap_or_default();
    let record = model::LogRecord { severity_number: number, severity_text: sent.into(), ..Default::default() };
    match record.severity() {
        model::Severity::Unspecified => one_line(sent, 8),
        known => known.as_str().into(),
    }
}

fn color(severity: &str) -> &'static str {
    match severity {
        "fatal" => "1;35",
        "error" => "1;31",
        "warn" => "33",
        "info" => "32",
        _ => "2",
    }
}

fn paint(text: &str, code: &str, style: Style, out: &mut String) {
    if style.colors {
        out.push_str(&format!("\u{1b}[{code}m{text}\u{1b}[0m"));
    } else {
        out.push_str(text);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn records_are_lines_that_drive_no_terminal() {
        let row = json!({
            "time": "2026-11-21T02:00:00.123456789Z", "severity_number": 17, "severity_text": "ERR",
            "body": "a\u{1b}]0;title\u{7}\r\nb\u{9b}31m\u{202e}c", "event_name": "",
            "resource": {"attributes": {"service.name": "a\u{1b}[31mpi"}},
            "attributes": {"k\u{8}": {"x": "\u{1b}[1m"}, "n": 5},
        });
        let plain = line(&row, Style { colors: false });
        assert_eq!(
            plain,
            "2026-11-21T02:00:00.123Z ERROR api a␛]0;title␇⏎b[U+009B]31m[U+202E]c k␈={\"x\":\"\\u001b[1m\"} n=5"
        );
        let painted = line(&row, Style { colors: true });
        let without: String = painted.replace("\u{1b}[0m", "").replace("\u{1b}[2m", "").replace("\u{1b}[36m", "");
        assert_eq!(without.replace("\u{1b}[1;31m", ""), plain);
        for (row, expected) in [
            (
                json!({"time": "2026-11-21T02:00:00.5Z", "body": null, "event_name": "order.placed"}),
                "2026-11-21T02:00:00.5Z -     order.placed",
            ),
            (json!({"time": "t", "severity_text": "Odd\u{7}", "body": {"a": 1}}), "t ODD␇  {\"a\":1}"),
            (json!({}), " -     "),
        ] {
            assert_eq!(line(&row, Style { colors: false }), expected);
        }
    }
}
