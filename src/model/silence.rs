//! Why people are not told, or not told again, and who said so: silences, acknowledgements, the audit trail; and alerts that
//! other programs push.
//!
//! All times are ms since the epoch, handed in by whoever decides.

use crate::labels::Labels;
use crate::matcher::Matcher;

/// Alerts that match are not told while it is active.
#[derive(Debug, Clone, PartialEq)]
pub struct Silence {
    /// A UUID in text, as Alertmanager's.
    pub id: String,
    /// All must match.
    pub matchers: Vec<Matcher>,
    pub starts_ms: i64,
    /// Exclusive.
    pub ends_ms: i64,
    pub updated_ms: i64,
    pub created_by: String,
    pub comment: String,
    /// What other programs keep with it, by key.
    pub annotations: Vec<(String, String)>,
    /// When within its time it is active, as the YAML of one of Alertmanager's time intervals; empty for all of it.
    pub schedule: String,
}

/// Where a silence is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SilenceState {
    Pending,
    Active,
    Expired,
}

impl SilenceState {
    pub fn as_str(self) -> &'static str {
        match self {
            SilenceState::Pending => "pending",
            SilenceState::Active => "active",
            SilenceState::Expired => "expired",
        }
    }
}

impl Silence {
    /// By its beginning and its end alone; a schedule may leave an active one without effect at the moment.
    pub fn state(&self, now_ms: i64) -> SilenceState {
        if now_ms < self.starts_ms {
            SilenceState::Pending
        } else if now_ms < self.ends_ms {
            SilenceState::Active
        } else {
            SilenceState::Expired
        }
    }

    pub fn matches(&self, labels: &Labels) -> bool {
        self.matchers.iter().all(|matcher| matcher.matches_labels(labels))
    }
}

/// Somebody has seen an alert and looks after it: no repeats and no escalation until it ends, or until `until_ms`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ack {
    /// The firing episode, as [`crate::alert::Instance::episode`] names it.
    pub episode: String,
    pub by: String,
    pub comment: String,
    pub at_ms: i64,
    pub until_ms: Option<i64>,
}

/// An alert that another program pushed, as Alertmanager's API takes them.
#[derive(Debug, Clone, PartialEq)]
pub struct PushedAlert {
    pub labels: Labels,
    pub annotations: Vec<(String, String)>,
    /// As its senders say, the oldest of those that overlap.
    pub starts_ms: i64,
    /// When this episode was taken in, which names it: what senders say may move, and be said again of a later one.
    pub taken_ms: i64,
    /// It fires until then, unless it is pushed again.
    pub ends_ms: i64,
    pub updated_ms: i64,
    pub generator_url: String,
    /// Whether `ends_ms` is ours, as the sender named none.
    pub timeout: bool,
}

impl PushedAlert {
    /// Whether it fires at this time. One that was over when it was pushed does not, also by a clock that was set back since.
    pub fn fires(&self, now_ms: i64) -> bool {
        self.ends_ms > now_ms.max(self.updated_ms)
    }
}

/// Who did what to whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    pub at_ms: i64,
    pub who: String,
    /// `silence created`, `alert acknowledged`.
    pub action: String,
    /// A silence's id, an alert's fingerprint.
    pub subject: String,
    pub note: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silence_begins_and_ends_on_time() {
        let silence = Silence {
            id: "s".into(),
            matchers: vec![Matcher::equal("host", "a")],
            starts_ms: 10,
            ends_ms: 20,
            updated_ms: 0,
            created_by: "me".into(),
            comment: "work".into(),
            annotations: Vec::new(),
            schedule: String::new(),
        };
        for (now_ms, expected) in [(9, "pending"), (10, "active"), (19, "active"), (20, "expired")] {
            assert_eq!(silence.state(now_ms).as_str(), expected, "{now_ms}");
        }
        assert!(silence.matches(&Labels::from_pairs([("host", "a"), ("x", "y")])));
        assert!(!silence.matches(&Labels::from_pairs([("host", "b")])));
    }
}
