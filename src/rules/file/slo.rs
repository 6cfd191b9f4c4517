//! A rule with `x.slo`: its error ratio over several windows, what is left of the error budget, and an alert for each pair of
//! windows over which the budget burns too fast (Google's SRE workbook, chapter 5, "Multiwindow, Multi-Burn-Rate Alerts").

use super::extension::slo;
use super::{Mistakes, yaml};

/// Windows over which the ratio is recorded.
const WINDOWS: [&str; 7] = ["5m", "30m", "1h", "2h", "6h", "1d", "3d"];

/// Part of the budget, the long window and its hours, the short window, `for`, severity.
const BURNS: [(f64, &str, f64, &str, &str, &str); 4] = [
    (0.02, "1h", 1.0, "5m", "2m", "critical"),
    (0.05, "6h", 6.0, "30m", "15m", "critical"),
    (0.10, "1d", 24.0, "2h", "1h", "warning"),
    (0.10, "3d", 72.0, "6h", "3h", "warning"),
];

/// The rule itself, or what its `x.slo` makes of it. The rule's expression is a ratio of errors from 0 to 1 over ranges of any one
/// length, which is replaced by each window.
pub(super) fn expanded(rule: yaml::Rule, mistakes: &mut Mistakes) -> Vec<yaml::Rule> {
    let Some(raw) = rule.extension.as_ref().and_then(|extension| extension.slo.clone()) else { return vec![rule] };
    let line = rule.line;
    let (Some(alert), Some(expr)) = (rule.alert.clone(), rule.expr.clone()) else {
        mistakes.add(line, "x: slo: is for a rule with \"alert\" and \"expr\"".into());
        return Vec::new();
    };
    let of = format!("rule {:?}: ", alert.text);
    let Some((objective, window_ms)) = slo(&raw, &of, mistakes) else { return Vec::new() };
    if with_window(&expr.text, "5m") == expr.text && !expr.text.contains("[5m]") {
        mistakes.add(expr.line, format!("{of}x: slo: the expression has no range as [5m] to put the windows into"));
        return Vec::new();
    }
    let text = |text: String| yaml::Text { text, line };
    let name = &alert.text;
    let own = format!("{{slo={name:?}}}");
    let labelled = |pairs: &[(&str, &str)]| {
        pairs.iter().map(|(name, value)| (text((*name).into()), text((*value).into()))).collect::<Vec<_>>()
    };
    let mut out = Vec::new();
    let mut record = |series: String, expr: String| {
        out.push(yaml::Rule {
            line,
            record: Some(text(series)),
            expr: Some(yaml::Text { text: expr, line: rule.expr.as_ref().map_or(line, |expr| expr.line) }),
            labels: labelled(&[("slo", name)]),
            ..yaml::Rule::default()
        });
    };
    for window in WINDOWS {
        record(format!("slo:error_ratio:rate{window}"), with_window(&expr.text, window));
    }
    // Rounded, since a difference of decimals shows its binary tail.
    let budget = ((100.0 - objective) * 1e10).round() / 1e12;
    let window = model::time::format_duration_ms(window_ms);
    record(
        "slo:error_budget:remaining_ratio".into(),
        format!("1 - avg_over_time(slo:error_ratio:rate5m{own}[{window}]) / {budget}"),
    );
    let window_hours = window_ms as f64 / 3_600_000.0;
    for (part, long, hours, short, wait, severity) in BURNS {
        let burn = part * window_hours / hours;
        let over = format!("{:.10}", burn * budget);
        let over = over.trim_end_matches('0').trim_end_matches('.');
        let mut labels: Vec<_> =
            rule.labels.iter().filter(|(label, _)| label.text != "severity" && label.text != "slo").cloned().collect();
        labels.extend(labelled(&[("severity", severity), ("slo", name), ("burn_window", long)]));
        out.push(yaml::Rule {
            line,
            alert: Some(alert.clone()),
            expr: Some(text(format!(
                "slo:error_ratio:rate{long}{own} > {over} and slo:error_ratio:rate{short}{own} > {over}"
            ))),
            for_: Some(text(wait.into())),
            keep_firing_for: rule.keep_firing_for.clone(),
            labels,
            annotations: rule.annotations.clone(),
            extension: rule.extension.clone(),
            ..yaml::Rule::default()
        });
    }
    out
}

/// The expression with each `[5m]` of it made `[window]`. Ranges of subqueries stay.
fn with_window(expr: &str, window: &str) -> String {
    let mut out = String::with_capacity(expr.len());
    let mut rest = expr;
    while let Some((before, after)) = rest.split_once('[') {
        out.push_str(before);
        out.push('[');
        let Some((range, after)) = after.split_once(']') else {
            rest = after;
            break;
        };
        let is_plain = model::time::parse_duration_ms(range.trim()).is_some();
        out.push_str(if is_plain { window } else { range });
        out.push(']');
        rest = after;
    }
    out.push_str(rest);
    out
}
