//! What tests begin with.

use model::Labels;
use model::alert::{AlertState, Instance};

/// An alert that began and fired at once, at this time.
pub(crate) fn firing(labels: Labels, at_ms: i64) -> Instance {
    Instance {
        rule_id: "r".into(),
        labels,
        annotations: Vec::new(),
        state: AlertState::Firing,
        active_at_ms: at_ms,
        fired_at_ms: Some(at_ms),
        keep_since_ms: None,
        resolved_at_ms: None,
        evaluated_at_ms: at_ms,
        value: 1.0,
        evidence: Default::default(),
    }
}
