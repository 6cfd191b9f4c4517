//! One alert as every page shows it: what, since when, how bad, and who was told.

use std::collections::HashMap;

use model::alert::{Instance, Intent, Progress};
use model::{AlertState, IntentState};
use rules::RuleView;

use super::alert_held::{Held, Note};
use super::badge::Badge;
use super::entity::href as entity_href;
use super::entity_panels::Subject;
use super::link::link;
use super::text::{Stamp, one_line, span};
use super::window::frozen;
use crate::chart::Unit;

/// Characters of an annotation or a provider's answer that a list shows.
pub(super) const WORDS_MAX: usize = 400;
/// What links around an alert show of the time before it began, and after now or its end, in ms.
pub(crate) const AROUND_BEFORE_MS: i64 = 600_000;
pub(crate) const AROUND_AFTER_MS: i64 = 300_000;

pub(crate) struct AlertView {
    pub(crate) state: Badge,
    pub(crate) severity: String,
    pub(crate) name: String,
    /// Without the name of the alert and its severity.
    pub(crate) labels: Vec<Chip>,
    pub(crate) summary: String,
    pub(crate) description: String,
    pub(crate) value: String,
    pub(crate) since_word: &'static str,
    pub(crate) since: Stamp,
    /// The page of this very alert, where it has one; the rule's otherwise.
    pub(crate) href: String,
    /// Empty for what another program pushed.
    pub(crate) rule_href: String,
    /// Empty where there is nothing to draw.
    pub(crate) explore_href: String,
    pub(crate) logs_href: String,
    /// Of the rule, or of the annotation `runbook_url`; an address or a sentence.
    pub(crate) runbook: String,
    /// The runbook where it is an http(s) address; empty otherwise.
    pub(crate) runbook_href: String,
    pub(crate) owner: String,
    pub(crate) told: Vec<Told>,
    /// Why nobody is told, where that needs saying.
    pub(crate) untold: String,
    /// What holds messages back, and who looks after it.
    pub(crate) notes: Vec<Note>,
    /// Where it is acknowledged; empty unless it fires.
    pub(crate) take_href: String,
    pub(crate) silence_href: String,
}

/// A label as `name=value`, and the page of the service or host that it names.
pub(crate) struct Chip {
    pub(crate) text: String,
    /// Empty where there is none.
    pub(crate) href: String,
}

/// One receiver and what it knows of an alert.
pub(crate) struct Told {
    /// `yes`, `no` or `wait`.
    pub(crate) class: &'static str,
    pub(crate) word: String,
    pub(crate) receiver: String,
    pub(crate) detail: String,
}

/// Intents by the alerts they are about.
pub(crate) struct Deliveries {
    by_fingerprint: HashMap<String, Vec<Told>>,
    any_receiver: bool,
    /// What holds messages back, by the instance's fingerprint.
    notes: HashMap<String, Vec<Note>>,
}

impl Deliveries {
    pub(crate) fn new(intents: &[Intent], any_receiver: bool, now_ms: i64) -> Deliveries {
        let mut by_fingerprint: HashMap<String, Vec<Told>> = HashMap::new();
        for intent in intents {
            for instance in &intent.instances {
                by_fingerprint.entry(instance.fingerprint()).or_default().push(told(intent, now_ms));
            }
        }
        Deliveries { by_fingerprint, any_receiver, notes: HashMap::new() }
    }

    /// With what is known of silences, inhibitions, time intervals and acknowledgements.
    pub(crate) fn with_held(self, held: &Held, now_ms: i64) -> Deliveries {
        Deliveries { notes: held.notes(now_ms), ..self }
    }
}

/// How far the telling of one receiver is.
pub(crate) fn told(intent: &Intent, now_ms: i64) -> Told {
    let what = match intent.want {
        IntentState::Firing => "",
        IntentState::Resolved => " of the end",
    };
    let at = |at_ms: i64| Stamp::of_ms(at_ms, now_ms).text;
    let (class, word, detail) = match &intent.progress {
        Progress::Accepted { at_ms } => ("yes", format!("told{what} {}", at(*at_ms)), String::new()),
        Progress::Sending { started_ms, .. } => {
            ("wait", format!("telling{what}"), format!("since {}", at(*started_ms)))
        }
        Progress::Waiting { attempts: 0, next_attempt_ms, .. } => {
            let due_ms = (*next_attempt_ms).max(intent.not_before_ms) - now_ms;
            (
                "wait",
                format!("will be told{what}"),
                if due_ms > 0 { format!("in {}", span(due_ms)) } else { "now".into() },
            )
        }
        Progress::Waiting { attempts, next_attempt_ms, last_error } => (
            "wait",
            format!("not told{what} yet, {attempts} tried"),
            format!("next try {}: {}", at(*next_attempt_ms), one_line(last_error, WORDS_MAX)),
        ),
        Progress::Failed { at_ms, error } => {
            ("no", format!("could not be told{what} {}", at(*at_ms)), one_line(error, WORDS_MAX))
        }
    };
    let receiver = match &intent.fallback_for {
        Some(first) => format!("{} (in place of {first})", intent.receiver),
        None => intent.receiver.clone(),
    };
    Told { class, word, receiver, detail }
}

pub(crate) fn rule_href(id: &str) -> String {
    let mut href = String::from("/alerts/rule/");
    super::link::encode(id, &mut href);
    href
}

impl AlertView {
    pub(crate) fn new(instance: &Instance, rule: &RuleView, deliveries: &mut Deliveries, now_ms: i64) -> AlertView {
        let since_ms = since_ms(instance);
        let annotation = |name: &str| {
            let found = instance.annotations.iter().find(|(key, _)| key == name);
            found.map(|(_, text)| one_line(text, WORDS_MAX)).unwrap_or_default()
        };
        let runbook = match one_line(&rule.runbook, WORDS_MAX) {
            own if own.is_empty() => annotation("runbook_url"),
            own => own,
        };
        let is_address = ["https://", "http://"].iter().any(|scheme| runbook.starts_with(scheme));
        let told = deliveries.by_fingerprint.remove(&instance.fingerprint()).unwrap_or_default();
        let notes = deliveries.notes.get(&instance.fingerprint()).cloned().unwrap_or_default();
        let end_ms = instance.resolved_at_ms.unwrap_or(now_ms).min(now_ms);
        let around = frozen(instance.active_at_ms - AROUND_BEFORE_MS, end_ms + AROUND_AFTER_MS);
        let linked = |path: &str, query: &str| {
            let mut parameters = vec![("q", query)];
            parameters.extend(around.each());
            link(path, &parameters)
        };
        let logs_query = logs_query(&instance.labels);
        let is_pushed = rule.expr.is_empty();
        let page_href = why_href(&instance.labels);
        AlertView {
            state: Badge::of_alert(instance.state, now_ms - since_ms),
            severity: one_line(instance.labels.value("severity"), 40),
            name: one_line(&rule.name, 200),
            labels: labels(instance),
            summary: annotation("summary"),
            description: annotation("description"),
            value: value_unit(&rule.expr).text(instance.value),
            since_word: match instance.state {
                AlertState::Pending => "pending since",
                AlertState::Firing => "firing since",
                AlertState::Resolved => "ended",
            },
            since: Stamp::of_ms(since_ms, now_ms),
            // What another program pushes has no rule here, and nothing to draw.
            rule_href: if is_pushed { String::new() } else { rule_href(&rule.id) },
            explore_href: if is_pushed { String::new() } else { linked("/explore", &rule.expr) },
            logs_href: if logs_query.is_empty() { String::new() } else { linked("/logs", &logs_query) },
            runbook_href: if is_address { runbook.clone() } else { String::new() },
            runbook,
            owner: one_line(&rule.owner, 120),
            untold: if notes.is_empty() {
                untold(instance.state, told.is_empty(), deliveries.any_receiver)
            } else {
                String::new()
            },
            notes,
            take_href: if instance.state == AlertState::Firing { format!("{page_href}#take") } else { String::new() },
            href: page_href,
            silence_href: super::alert_trace::silence_href(&instance.labels),
            told,
        }
    }
}

pub(crate) fn why_href(labels: &model::Labels) -> String {
    format!("/alerts/why/{}", model::alert::label_fingerprint(labels))
}

fn untold(state: AlertState, nobody: bool, any_receiver: bool) -> String {
    match (state, nobody, any_receiver) {
        (AlertState::Firing, true, true) => {
            "Nobody is told: no route of notify.yml leads to a receiver, or routing is under way.".into()
        }
        (AlertState::Firing, true, false) => "Nobody is told: no receiver is configured in notify.yml.".into(),
        _ => String::new(),
    }
}

/// The time from which an instance is what it is.
pub(crate) fn since_ms(instance: &Instance) -> i64 {
    match instance.state {
        AlertState::Pending => instance.active_at_ms,
        AlertState::Firing => instance.began_ms(),
        AlertState::Resolved => instance.resolved_at_ms.unwrap_or(instance.evaluated_at_ms),
    }
}

fn labels(instance: &Instance) -> Vec<Chip> {
    instance
        .labels
        .iter()
        .filter(|(name, _)| !matches!(*name, "alertname" | "severity"))
        .map(|(name, value)| Chip {
            text: one_line(&format!("{name}={value}"), 200),
            href: match name {
                "service_name" => entity_href(Subject::Service, value),
                "host_name" => entity_href(Subject::Host, value),
                _ => String::new(),
            },
        })
        .collect()
}

/// The search for log records of what these labels name; empty when they name nothing that logs have.
pub(crate) fn logs_query(labels: &model::Labels) -> String {
    let mut terms = Vec::new();
    for (label, field) in [("service_name", "service.name"), ("host_name", "host.name")] {
        if let Some(value) = labels.get(label) {
            terms.extend(super::log_term::term(field, value));
        }
    }
    terms.join(" ")
}

/// Unit of an expression's values, as far as its text tells: that of its first metric, unless something is computed from it.
pub(crate) fn value_unit(expr: &str) -> Unit {
    if expr.contains("histogram_quantile") {
        return if expr.contains("_seconds") { Unit::Seconds } else { Unit::Number };
    }
    let computed = [
        "/",
        "*",
        "rate(",
        "increase(",
        "delta(",
        "deriv(",
        "count(",
        "count_over_time(",
        "changes(",
        "resets(",
        "timestamp(",
        "time()",
        "predict_linear(",
    ];
    if computed.iter().any(|sign| expr.contains(sign)) {
        return Unit::Number;
    }
    let words = expr.split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != ':');
    let mut names = words.filter(|word| word.contains(['_', ':']) && !word.ends_with("_over_time"));
    names.next().map_or(Unit::Number, Unit::of_metric)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_come_from_the_first_metric_unless_computed() {
        for (expr, unit) in [
            ("binnacle:http_err:ratio5m > 0.05 and binnacle:http_req:rate5m > 0.2", Unit::Ratio),
            ("max_over_time(system_memory_usage_bytes[5m]) > 1e9", Unit::Bytes),
            ("rate(process_cpu_seconds_total[5m])", Unit::Number),
            ("histogram_quantile(0.99, sum by (le) (rate(x_seconds_bucket[5m])))", Unit::Seconds),
            ("up == 0", Unit::Number),
        ] {
            assert_eq!(value_unit(expr), unit, "{expr}");
        }
    }
}
