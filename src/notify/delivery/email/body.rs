//! The two bodies of a mail: text first, and HTML of the plainest kind, with everything in it escaped.

use crate::message::{AlertText, Message};
use crate::picture::Chart;

pub(super) fn text(message: &Message) -> String {
    let mut out = format!("{}\n\n", message.headline());
    for note in &message.notes {
        out.push_str(&format!("{note}\n\n"));
    }
    for alert in message.firing.iter().chain(&message.ended) {
        out.push_str(&format!("{} {} {}\n", alert.name, alert.severity, alert.place));
        for line in lines(alert) {
            out.push_str(&format!("  {line}\n"));
        }
        out.push_str(&format!("  {}\n\n", alert.link));
    }
    if message.more > 0 {
        out.push_str(&format!("+{} more of {} alerts\n", message.more, message.count()));
    }
    out.push_str(&format!("{}\n", message.link));
    out
}

/// `chart`: the content id under which its picture is in the mail.
pub(super) fn html(message: &Message, chart: Option<(&str, &Chart)>) -> String {
    let mut out = String::from("<!DOCTYPE html><html><body style=\"font-family:sans-serif\">");
    out.push_str(&format!("<h2 style=\"font-size:1.1em\">{}</h2>", escape(&message.headline())));
    for note in &message.notes {
        out.push_str(&format!("<p><em>{}</em></p>", escape(note)));
    }
    if let Some((cid, chart)) = chart {
        let (cid, label) = (escape(cid), escape(&chart.label));
        out.push_str(&format!("<p><img src=\"cid:{cid}\" alt=\"{label}\" style=\"max-width:100%\"></p>"));
    }
    for alert in message.firing.iter().chain(&message.ended) {
        let title = format!("{} {} {}", alert.name, alert.severity, alert.place);
        out.push_str(&format!("<p><strong><a href=\"{}\">{}</a></strong>", escape(&alert.link), escape(title.trim())));
        for line in lines(alert) {
            out.push_str(&format!("<br>{}", escape(&line)));
        }
        out.push_str("</p>");
    }
    if message.more > 0 {
        out.push_str(&format!("<p>+{} more of {} alerts</p>", message.more, message.count()));
    }
    out.push_str(&format!("<p><a href=\"{0}\">{0}</a></p></body></html>", escape(&message.link)));
    out
}

fn lines(alert: &AlertText) -> Vec<String> {
    let mut lines: Vec<String> =
        [&alert.summary, &alert.description].into_iter().filter(|text| !text.is_empty()).cloned().collect();
    lines.push(format!("value {}, {}", alert.value, alert.when));
    lines.extend(alert.log_lines.iter().map(|line| format!("| {line}")));
    lines.extend(alert.labels.iter().map(|(name, value)| format!("{name}={value}")));
    if !alert.owner.is_empty() {
        lines.push(format!("owner {}", alert.owner));
    }
    if !alert.runbook.is_empty() {
        lines.push(format!("runbook {}", alert.runbook));
    }
    lines
}

/// For text and double-quoted attributes.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
