//! What a message says, before any channel's own format: the state, the alerts, the reason it came this way.
//!
//! Text first: the headline alone must tell what is wrong, where, and how bad, on a phone's lock screen. All text here is raw;
//! each channel escapes and cuts it for itself.

use std::collections::{BTreeMap, BTreeSet};

use model::alert::{AlertState, Instance, Intent, IntentState, PUSHED_RULE, Progress, label_fingerprint};
use model::any::double_text;
use model::time::{format_duration_ms, rfc3339_ms};

use crate::outbox::{handle, is_storm, mark, storm_total};

/// Among the context of a pushed alert: the page that its sender named as its source.
pub(crate) const GENERATOR_URL: &str = "generator_url";
/// Most alerts listed in one message; the rest are counted, and a link leads to them.
const LISTED_MAX: usize = 20;
/// Longest text of one annotation or label value in a message, in characters.
const TEXT_CHARS_MAX: usize = 1_000;
/// Most labels listed of one alert.
const LABELS_MAX: usize = 20;
/// Longest subject line, in characters.
const SUBJECT_CHARS_MAX: usize = 150;
/// How late a message must be to say so, in ms.
const LATE_MS: i64 = 60_000;
/// Names listed of a storm.
const STORM_NAMES_MAX: usize = 50;
/// Log lines shown of one alert, and the longest of them in characters.
pub(crate) const LOG_LINES_MAX: usize = 5;
const LOG_LINE_CHARS_MAX: usize = 300;
/// Labels that tell where an alert is, the most telling first.
const PLACE_LABELS: [&str; 8] =
    ["host_name", "instance", "host", "node", "container_name", "service_name", "job", "mountpoint"];

/// What a message is about as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mood {
    Firing,
    /// Told as firing before, now over.
    Resolved,
    /// Over before anyone was told that it fired.
    Ended,
}

impl Mood {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Mood::Firing => "FIRING",
            Mood::Resolved => "RESOLVED",
            Mood::Ended => "FIRED AND ENDED",
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Message {
    pub(crate) mood: Mood,
    /// The worst among what fires, or of what fired; may be empty.
    pub(crate) severity: String,
    /// `HostDiskFull web-1 (+3)`; the same while the episode lasts, so that mail programs thread it.
    pub(crate) title: String,
    pub(crate) firing: Vec<AlertText>,
    pub(crate) ended: Vec<AlertText>,
    /// Alerts not listed.
    pub(crate) more: usize,
    /// Why it came this way: a fallback, a possible repeat.
    pub(crate) notes: Vec<String>,
    pub(crate) link: String,
}

/// One alert in words.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct AlertText {
    pub(crate) name: String,
    pub(crate) severity: String,
    pub(crate) place: String,
    pub(crate) summary: String,
    pub(crate) description: String,
    pub(crate) runbook: String,
    /// Who answers for it; empty when nobody is named.
    pub(crate) owner: String,
    /// Newest log lines that it fired on, each one line.
    pub(crate) log_lines: Vec<String>,
    pub(crate) value: String,
    /// `firing since 2026-11-21 03:12:40 UTC`, `fired …, ended … (5m)`.
    pub(crate) when: String,
    /// Without the name, the severity and the place.
    pub(crate) labels: Vec<(String, String)>,
    pub(crate) link: String,
}

impl Message {
    /// Alerts that it is about, listed or not.
    pub(crate) fn count(&self) -> usize {
        self.firing.len() + self.ended.len() + self.more
    }

    /// `[FIRING critical] HostDiskFull web-1 (+3)`.
    pub(crate) fn headline(&self) -> String {
        let gap = if self.severity.is_empty() { "" } else { " " };
        one_line(&format!("[{}{gap}{}] {}", self.mood.word(), self.severity, self.title), SUBJECT_CHARS_MAX)
    }
}

/// Puts an intent into words. Links start with `external_url`.
pub(crate) fn compose(intent: &Intent, external_url: &str) -> Message {
    let base = external_url.trim_end_matches('/');
    let mood = match (intent.want, intent.accepted) {
        (IntentState::Firing, _) => Mood::Firing,
        (IntentState::Resolved, Some(_)) => Mood::Resolved,
        (IntentState::Resolved, None) => Mood::Ended,
    };
    let mut notes = Vec::new();
    let why = handle(intent, mark::WHY);
    if !why.is_empty() {
        notes.push(format!("You get this because {why}"));
    }
    if !handle(intent, mark::UNSURE).is_empty() {
        notes.push("Possible repeat: whether an earlier attempt arrived is not known".into());
    }
    let flapping = handle(intent, mark::FLAPPING);
    if !flapping.is_empty() {
        notes.push(format!("{flapping}; its end is told when it stays away"));
    }
    let back = handle(intent, mark::BACK);
    if !back.is_empty() && mood == Mood::Firing {
        notes.push(back.into());
    }
    if is_storm(intent) {
        notes.push(breakdown(intent));
        if !handle(intent, mark::STORM_OVER).is_empty() {
            notes.push("The storm is over: what comes now is told by itself again".into());
        }
    }
    if let Progress::Sending { started_ms, .. } = intent.progress
        && started_ms - intent.not_before_ms >= LATE_MS
    {
        notes.push(format!("Delivered late: this was due at {}", utc(intent.not_before_ms)));
    }
    let before = handle(intent, mark::BEFORE);
    if !before.is_empty() {
        notes.push(before.into());
    }
    let acked = handle(intent, mark::ACK);
    if !acked.is_empty() && intent.want == IntentState::Firing {
        notes.push(format!("Acknowledged by {acked}"));
    }
    let behind = handle(intent, mark::BEHIND);
    if !behind.is_empty() {
        notes.push(format!("Behind it: {behind}"));
    }
    let (firing, ended): (Vec<&Instance>, Vec<&Instance>) =
        worst_first(&intent.instances).into_iter().partition(|instance| instance.state == AlertState::Firing);
    let shown_firing = firing.len().min(LISTED_MAX);
    let shown_ended = ended.len().min(LISTED_MAX - shown_firing);
    // The beginning of this attempt; outside of one, as in a preview, nothing says how long it lasts by now.
    let now_ms = match intent.progress {
        Progress::Sending { started_ms, .. } => Some(started_ms),
        _ => None,
    };
    let words = |list: &[&Instance]| list.iter().map(|instance| alert_text(instance, base, now_ms)).collect::<Vec<_>>();
    Message {
        mood,
        severity: if firing.is_empty() { worst(&ended) } else { worst(&firing) },
        title: subject_of(intent),
        more: firing.len() - shown_firing + ended.len() - shown_ended,
        firing: words(&firing[..shown_firing]),
        ended: words(&ended[..shown_ended]),
        notes,
        link: match intent.instances.as_slice() {
            [only] => alert_link(base, only),
            _ => format!("{base}/alerts"),
        },
    }
}

/// Alerts of a storm that still fire, or all of them once none does.
fn of_storm(intent: &Intent) -> Vec<&Instance> {
    let fires = |instance: &&Instance| instance.state == AlertState::Firing;
    let firing: Vec<&Instance> = intent.instances.iter().filter(fires).collect();
    if firing.is_empty() { intent.instances.iter().collect() } else { firing }
}

/// How many alerts of a storm have each name: the most frequent names first.
fn breakdown(intent: &Intent) -> String {
    let mut names: BTreeMap<&str, usize> = BTreeMap::new();
    let of = of_storm(intent);
    for instance in &of {
        *names.entry(instance.labels.value("alertname")).or_default() += 1;
    }
    let mut names: Vec<(&str, usize)> = names.into_iter().collect();
    names.sort_by_key(|(name, count)| (std::cmp::Reverse(*count), *name));
    let shown = names.iter().take(STORM_NAMES_MAX).map(|(name, count)| match count {
        1 => clip(name, 60),
        count => format!("{} \u{d7}{count}", clip(name, 60)),
    });
    let fires = of.iter().any(|instance| instance.state == AlertState::Firing);
    let when = if fires { "Now firing" } else { "Just ended" };
    let mut words = format!("{when}: {}", shown.collect::<Vec<_>>().join(", "));
    if names.len() > STORM_NAMES_MAX {
        words.push_str(&format!(", and {} more names", names.len() - STORM_NAMES_MAX));
    }
    words
}

/// `Storm: 200 alerts, 7 hosts, top HostDown x40`.
fn storm_subject(intent: &Intent) -> String {
    let mut names: BTreeMap<&str, usize> = BTreeMap::new();
    let mut places = BTreeSet::new();
    let of = of_storm(intent);
    for instance in &of {
        *names.entry(instance.labels.value("alertname")).or_default() += 1;
        places.insert(place(instance));
    }
    let top = names.iter().max_by_key(|(name, count)| (**count, std::cmp::Reverse(**name)));
    let top = top.map(|(name, count)| format!(", top {name} \u{d7}{count}")).unwrap_or_default();
    let total = storm_total(intent);
    let fires = of.iter().filter(|instance| instance.state == AlertState::Firing).count();
    let left = if fires == total || fires == 0 { String::new() } else { format!(", {fires} of them firing") };
    let text = format!("Storm: {total} alerts{left}, {} places{top}", places.len());
    one_line(&text, SUBJECT_CHARS_MAX)
}

/// First alert's name and place, and how many more there are.
pub(crate) fn subject_of(intent: &Intent) -> String {
    if is_storm(intent) {
        return storm_subject(intent);
    }
    // By time of firing, not by state: the subject must not change when the first of a group ends.
    let Some(first) = intent.instances.first() else { return "no alert".into() };
    let mut subject = format!("{} {}", first.labels.value("alertname"), place(first));
    if intent.instances.len() > 1 {
        subject.push_str(&format!(" (+{})", intent.instances.len() - 1));
    }
    one_line(&subject, SUBJECT_CHARS_MAX)
}

/// `HostDisk web-1`.
pub(crate) fn name_of(instance: &Instance) -> String {
    one_line(&format!("{} {}", instance.labels.value("alertname"), place(instance)), SUBJECT_CHARS_MAX)
}

/// Then by time of firing.
pub(crate) fn worst_first(instances: &[Instance]) -> Vec<&Instance> {
    let mut sorted: Vec<&Instance> = instances.iter().collect();
    sorted.sort_by_key(|instance| (rank(instance.labels.value("severity")), instance.fired_at_ms));
    sorted
}

fn worst(instances: &[&Instance]) -> String {
    let severities = instances.iter().map(|instance| instance.labels.value("severity"));
    clip(severities.min_by_key(|severity| rank(severity)).unwrap_or_default(), 30)
}

/// 0 is the worst.
pub(crate) fn rank(severity: &str) -> u8 {
    match severity {
        "critical" => 0,
        "page" | "error" => 1,
        "warning" => 2,
        "info" | "none" => 4,
        _ => 3,
    }
}

fn place(instance: &Instance) -> &str {
    PLACE_LABELS.iter().map(|name| instance.labels.value(name)).find(|value| !value.is_empty()).unwrap_or_default()
}

/// Where an alert comes from: the page of its rule, or what its sender said. Our page of the alert where a sender said nothing.
pub(crate) fn generator_url(base: &str, instance: &Instance) -> String {
    if instance.rule_id == PUSHED_RULE {
        let said = instance.evidence.context.iter().find(|(name, _)| name == GENERATOR_URL);
        return said.map_or_else(|| alert_link(base, instance), |(_, url)| url.clone());
    }
    // A rule's id is hex of ours; anything else would not be a path.
    let id: String = instance.rule_id.chars().filter(char::is_ascii_alphanumeric).collect();
    format!("{base}/alerts/rule/{id}")
}

/// The page that tells all of one alert.
fn alert_link(base: &str, instance: &Instance) -> String {
    format!("{base}/alerts/why/{}", label_fingerprint(&instance.labels))
}

fn alert_text(instance: &Instance, base: &str, now_ms: Option<i64>) -> AlertText {
    let annotation = |name: &str| {
        let found = instance.annotations.iter().find(|(key, _)| key == name);
        clip(found.map_or("", |(_, value)| value.trim()), TEXT_CHARS_MAX)
    };
    let fired_ms = instance.began_ms();
    let context = |name: &str| {
        let found = instance.evidence.context.iter().find(|(key, _)| key == name);
        clip(found.map_or("", |(_, value)| value.trim()), TEXT_CHARS_MAX)
    };
    let when = match (instance.state, instance.resolved_at_ms) {
        (AlertState::Resolved, Some(ended_ms)) => {
            let lasted = format_duration_ms((ended_ms - fired_ms) / 1_000 * 1_000);
            format!("fired {}, ended {} ({lasted})", utc(fired_ms), utc(ended_ms))
        }
        _ => {
            let lasted_ms = now_ms.map_or(0, |now_ms| (now_ms - fired_ms) / 60_000 * 60_000);
            let lasted = if lasted_ms > 0 { format!(" ({})", format_duration_ms(lasted_ms)) } else { String::new() };
            format!("firing since {}{lasted}", utc(fired_ms))
        }
    };
    let place = place(instance);
    let labels = instance
        .labels
        .iter()
        .filter(|(name, value)| !matches!(*name, "alertname" | "severity") && *value != place)
        .take(LABELS_MAX)
        .map(|(name, value)| (clip(name, TEXT_CHARS_MAX), clip(value, TEXT_CHARS_MAX)))
        .collect();
    AlertText {
        name: clip(instance.labels.value("alertname"), SUBJECT_CHARS_MAX),
        severity: clip(instance.labels.value("severity"), 30),
        place: clip(place, SUBJECT_CHARS_MAX),
        summary: annotation("summary"),
        description: annotation("description"),
        runbook: match context("runbook") {
            own if own.is_empty() => annotation("runbook_url"),
            own => own,
        },
        owner: context("owner"),
        log_lines: instance
            .evidence
            .log_lines
            .iter()
            .take(LOG_LINES_MAX)
            .map(|line| one_line(line, LOG_LINE_CHARS_MAX))
            .collect(),
        value: double_text(instance.value),
        when,
        labels,
        link: alert_link(base, instance),
    }
}

/// `2026-11-21 03:12:40 UTC`.
pub(crate) fn utc(at_ms: i64) -> String {
    let full = rfc3339_ms(at_ms);
    format!("{} {} UTC", &full[..10], &full[11..19])
}

/// At most `chars_max` characters, the last of them an ellipsis when something was cut.
pub(crate) fn clip(text: &str, chars_max: usize) -> String {
    match text.char_indices().nth(chars_max) {
        None => text.into(),
        Some(_) => text.chars().take(chars_max.saturating_sub(1)).chain(['…']).collect(),
    }
}

/// Clipped, and with every control character (line breaks among them) a space: fit for a header line.
pub(crate) fn one_line(text: &str, chars_max: usize) -> String {
    let flat: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    clip(flat.trim(), chars_max)
}
