//! Test messages: a synthetic alert for one receiver, through everything that a real one passes.

use model::Labels;
use model::alert::{AlertState, Instance, Progress};

use crate::config::{GroupBy, Target};

use super::Engine;

/// Rule of test alerts; no hash in hex has this form.
pub const TEST_RULE: &str = "test";

impl Engine {
    pub(super) fn begin_test(&mut self, receiver: &str, id: &str, now_ms: i64) {
        let labels = [("alertname", "BinnacleTest"), ("severity", "info"), ("test_id", id)];
        let summary = "A test of this receiver: nothing is wrong, and its end follows at once.";
        let instance = Instance {
            rule_id: TEST_RULE.into(),
            labels: Labels::from_pairs(labels),
            annotations: vec![("summary".into(), summary.into())],
            state: AlertState::Firing,
            active_at_ms: now_ms,
            fired_at_ms: Some(now_ms),
            keep_since_ms: None,
            resolved_at_ms: None,
            evaluated_at_ms: now_ms,
            value: 1.0,
            evidence: Default::default(),
        };
        let target = Target { group_by: GroupBy::All, group_wait_ms: 0, ..Target::to(receiver) };
        self.outbox.tell(&instance, &target, &self.config, now_ms, &self.timing);
    }

    /// A test ends as soon as its firing is taken or refused.
    pub(super) fn end_tests(&mut self, now_ms: i64) {
        let firing = |instance: &Instance| instance.rule_id == TEST_RULE && instance.state == AlertState::Firing;
        let over: Vec<Instance> = self
            .outbox
            .iter()
            .filter(|(_, intent)| matches!(intent.progress, Progress::Accepted { .. } | Progress::Failed { .. }))
            .flat_map(|(_, intent)| intent.instances.iter().filter(|instance| firing(instance)))
            .cloned()
            .collect();
        for mut instance in over {
            instance.state = AlertState::Resolved;
            instance.resolved_at_ms = Some(now_ms);
            self.outbox.take(&instance, &self.config, now_ms, &self.timing);
        }
    }
}
