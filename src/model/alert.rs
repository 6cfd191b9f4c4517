//! Alerts: the state of a rule's instances, what changed, and what people must be told of it.
//!
//! All times are evaluation or delivery times in ms since the epoch, handed in by whoever runs the loop.

use crate::labels::Labels;

/// Stable name of a rule: hash of its group, its name and its static labels, in hex. Survives edits of the expression.
pub type RuleId = String;

/// Rule of alerts that others pushed; no hash in hex has this form.
pub const PUSHED_RULE: &str = "pushed";

/// State of one instance. Inactive is the absence of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AlertState {
    /// The condition holds, not yet for as long as the rule's `for`.
    Pending,
    Firing,
    /// It fired and ended; kept a while so that it can be shown and told.
    Resolved,
}

impl AlertState {
    pub fn as_str(self) -> &'static str {
        match self {
            AlertState::Pending => "pending",
            AlertState::Firing => "firing",
            AlertState::Resolved => "resolved",
        }
    }
}

/// One alert: a rule and one label set of its result.
#[derive(Debug, Clone, PartialEq)]
pub struct Instance {
    pub rule_id: RuleId,
    /// Final labels: the sample's without its name, the rule's own, and `alertname`.
    pub labels: Labels,
    /// Rendered at the last evaluation.
    pub annotations: Vec<(String, String)>,
    pub state: AlertState,
    /// When the condition began to hold.
    pub active_at_ms: i64,
    pub fired_at_ms: Option<i64>,
    /// Since when the condition no longer holds while `keep_firing_for` still runs.
    pub keep_since_ms: Option<i64>,
    pub resolved_at_ms: Option<i64>,
    /// The evaluation that wrote this.
    pub evaluated_at_ms: i64,
    pub value: f64,
    pub evidence: Evidence,
}

/// What stands behind an instance's state, besides its timers.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Evidence {
    /// Since when nobody can tell whether the condition holds; the state is held meanwhile ("unverified").
    pub unknown_since_ms: Option<i64>,
    /// Why it is unverified, or why it fires other than by its condition, in one word of [`reason`]; empty otherwise.
    pub reason: String,
    /// Time since `active_at_ms` that does not count towards `for`, in ms: nobody could tell then.
    pub uncounted_ms: i64,
    /// Of a rule with levels, the one it has reached; its `severity` label moves within one episode.
    pub level: Option<u32>,
    /// Since when each level's own condition holds, in the rule's order; empty for a rule without levels.
    pub levels_since_ms: Vec<Option<i64>>,
    /// Newest matching log lines of a log rule, at most five, each cut to a bound.
    pub log_lines: Vec<String>,
    /// For messages and pages: `runbook`, `owner`, `chart_expr`, `chart_range`, `logs_query`, by name.
    pub context: Vec<(String, String)>,
}

/// Words of [`Evidence::reason`].
pub mod reason {
    /// The expression could not be evaluated.
    pub const QUERY_ERROR: &str = "query_error";
    /// No selector of the expression found a series.
    pub const NO_DATA: &str = "no_data";
    /// The newest sample is too old to judge by.
    pub const STALE_DATA: &str = "stale_data";
    /// The series that this instance came from is gone.
    pub const MISSING_SERIES: &str = "missing_series";
    /// Everything of its host or service is gone.
    pub const RESOURCE_GONE: &str = "resource_gone";
    /// The process started, and data newer than that has not come.
    pub const RESTART: &str = "restart";
    /// There is too little traffic to judge by.
    pub const TOO_FEW_SAMPLES: &str = "too_few_samples";
    /// Logs are taken in but cannot be searched yet.
    pub const INDEXING_LAG: &str = "indexing_lag";
}

impl Instance {
    /// Stable id of the instance, 16 hex digits: rule and labels. The severity of a rule with levels moves and is left out.
    pub fn fingerprint(&self) -> String {
        match self.evidence.level {
            Some(_) => fingerprint(&self.rule_id, &self.labels.with("severity", "")),
            None => fingerprint(&self.rule_id, &self.labels),
        }
    }

    /// Whether it is only held in its state, since nobody can tell.
    pub fn is_unverified(&self) -> bool {
        self.evidence.unknown_since_ms.is_some()
    }

    /// When it began to fire, as people are told: what was pushed began when its sender says.
    pub fn began_ms(&self) -> i64 {
        match self.fired_at_ms {
            Some(fired_ms) if self.rule_id != PUSHED_RULE => fired_ms,
            _ => self.active_at_ms,
        }
    }

    /// Names this firing episode, so that a late resolve of an earlier one cannot end it. `None` before it fired.
    pub fn episode(&self) -> Option<String> {
        self.fired_at_ms.map(|fired| format!("{}-{fired}", self.fingerprint()))
    }
}

/// 16 hex digits over rule and labels: FNV-1a 64, the hash Alertmanager uses for label sets, here with the rule's id before them.
pub fn fingerprint(rule_id: &str, labels: &Labels) -> String {
    hash_of([rule_id].into_iter().chain(labels.iter().flat_map(|(name, value)| [name, value])))
}

/// 16 hex digits over labels alone: the fingerprint that Alertmanager's API shows (`LabelSet.Fingerprint` of
/// prometheus/common).
pub fn label_fingerprint(labels: &Labels) -> String {
    hash_of(labels.iter().flat_map(|(name, value)| [name, value]))
}

fn hash_of<'a>(texts: impl Iterator<Item = &'a str>) -> String {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for text in texts {
        for byte in text.bytes().chain([0xff]) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    format!("{hash:016x}")
}

/// A change of state, as the history keeps it. `from` or `to` of `None` is inactive.
#[derive(Debug, Clone, PartialEq)]
pub struct Transition {
    pub at_ms: i64,
    pub rule_id: RuleId,
    pub labels: Labels,
    pub from: Option<AlertState>,
    pub to: Option<AlertState>,
    pub value: f64,
    /// Why, in words, where it is not the condition itself: `rule removed`.
    pub note: String,
}

/// What people must be told: a firing or an end, written in the same transaction as the state that caused it.
#[derive(Debug, Clone, PartialEq)]
pub struct Notice {
    /// Order of writing within the tenant.
    pub seq: u64,
    pub instance: Instance,
    /// Name of the rule's group, for messages and links.
    pub group: String,
    pub at_ms: i64,
}

/// What a receiver should end up knowing of one scope (an alert's episode), and how far it is.
///
/// A row is a desired state, not an event: a newer revision replaces an unsent older one, so the queue is bounded by what
/// is firing.
#[derive(Debug, Clone, PartialEq)]
pub struct Intent {
    /// Receiver's name in notify.yml, and the channel within it: `oncall/slack[0]`.
    pub receiver: String,
    /// The episode this is about; with `receiver` the row's key.
    pub scope: String,
    /// Grows with each change of what is wanted.
    pub rev: u64,
    pub want: IntentState,
    /// The alerts the message is about.
    pub instances: Vec<Instance>,
    pub created_ms: i64,
    /// Nothing is sent before.
    pub not_before_ms: i64,
    pub progress: Progress,
    /// The revision and state that the receiver last accepted; a resolve is owed to whoever accepted a firing.
    pub accepted: Option<(u64, IntentState)>,
    /// What the channel needs to speak of the same thing again (Slack `channel`/`ts`, PagerDuty dedup and routing key, mail thread id).
    pub handle: Vec<(String, String)>,
    /// Why this receiver is told though the route names another: it stands in for `receiver` of that name.
    pub fallback_for: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum IntentState {
    Firing,
    Resolved,
}

impl IntentState {
    pub fn as_str(self) -> &'static str {
        match self {
            IntentState::Firing => "firing",
            IntentState::Resolved => "resolved",
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub enum Progress {
    /// Waits for its first attempt, or for the next.
    Waiting { attempts: u32, next_attempt_ms: i64, last_error: String },
    /// An attempt has begun; after a crash its outcome is unknown.
    Sending { attempt: u32, started_ms: i64 },
    /// The provider took this revision.
    Accepted { at_ms: i64 },
    /// Given up for good: a configuration error, or too old. Retried when the configuration changes.
    Failed { at_ms: i64, error: String },
}

/// One try at telling one receiver, as the history keeps it.
#[derive(Debug, Clone, PartialEq)]
pub struct Attempt {
    pub at_ms: i64,
    pub receiver: String,
    pub scope: String,
    pub rev: u64,
    pub want: IntentState,
    /// First alert's name and labels, to show without the intent.
    pub subject: String,
    /// Counting from 1 within a revision.
    pub number: u32,
    pub outcome: Outcome,
    pub took_ms: u32,
    /// The provider's status: HTTP or SMTP code, 0 when none was received.
    pub status: u16,
    /// The provider's own words, or the error's; cut to a bound, never a secret.
    pub words: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    Accepted,
    /// Told to wait.
    Throttled,
    /// Might work later.
    Transient,
    /// Will not work until somebody changes something.
    Permanent,
    /// Begun and never ended: the process stopped in between.
    Ambiguous,
    /// Not tried: a silence, an inhibition, a mute time or an acknowledgement says so.
    Suppressed,
    /// Given up unsent: too old to help anybody.
    Expired,
}

impl Outcome {
    pub fn as_str(self) -> &'static str {
        match self {
            Outcome::Accepted => "accepted",
            Outcome::Throttled => "throttled",
            Outcome::Transient => "transient",
            Outcome::Permanent => "permanent",
            Outcome::Ambiguous => "ambiguous",
            Outcome::Suppressed => "suppressed",
            Outcome::Expired => "expired",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_tell_rules_and_labels_apart() {
        let a = Labels::from_pairs([("alertname", "X"), ("host", "a")]);
        let b = Labels::from_pairs([("alertname", "X"), ("host", "b")]);
        assert_eq!(fingerprint("r", &a), fingerprint("r", &a.clone()));
        assert_ne!(fingerprint("r", &a), fingerprint("r", &b));
        assert_ne!(fingerprint("r", &a), fingerprint("s", &a));
        assert_eq!(fingerprint("r", &a).len(), 16);
        assert_eq!(label_fingerprint(&Labels::default()), "cbf29ce484222325", "the offset basis of FNV-1a");
        assert_ne!(label_fingerprint(&a), label_fingerprint(&b));
    }
}
