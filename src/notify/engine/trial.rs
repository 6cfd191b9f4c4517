//! Test messages: a synthetic alert for one receiver, through everything that a real one passes.

use model::alert::{AlertState, Instance, Progress};
use model::{Labels, TenantId};

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

    /// Tests all receivers at whole multiples of the interval that the configuration gives, so that a restart neither doubles a test
    /// nor puts it off; one that falls into a time without us is left out. Tenants share their receivers: the default one tests.
    pub(super) fn begin_own_tests(&mut self, now_ms: i64) {
        let every_ms = self.config.x.self_test_ms.filter(|_| self.speaker.tenant == TenantId::default().as_str());
        let slot = every_ms.map(|every_ms| (every_ms, now_ms.div_euclid(every_ms)));
        let before = self.own_test.filter(|(every_before_ms, _)| Some(*every_before_ms) == every_ms);
        // A clock that was set back tests nothing again.
        self.own_test = slot.max(before);
        let (Some((_, now)), Some((_, last))) = (slot, before) else { return };
        if now <= last {
            return;
        }
        let told = self.config.receivers.iter().filter(|receiver| !receiver.channels.is_empty());
        let names: Vec<String> = told.map(|receiver| receiver.name.clone()).collect();
        for name in names {
            self.begin_test(&name, &format!("self-test-{now}"), now_ms);
        }
    }

    /// When the next of these is due.
    pub(super) fn own_test_ms(&self) -> i64 {
        self.own_test.map_or(i64::MAX, |(every_ms, slot)| (slot + 1).saturating_mul(every_ms))
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::Config;
    use crate::engine::Orders;
    use crate::notifier::NotifierOptions;

    const DAY: i64 = 86_400_000;

    #[tokio::test]
    async fn receivers_are_tested_once_at_each_multiple_of_the_interval() {
        let text = "route: {receiver: a}\nreceivers: [{name: a, webhook_configs: [{url: 'http://x/'}]}, {name: nobody}]\nx: {self_test: 30d}";
        let config = Config::parse(text, "notify.yml", Path::new(".")).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let alerts = store::Alerts::open(&dir.path().join("alerts.redb")).unwrap();
        let options = || NotifierOptions::new("http://here");
        let tested = || {
            let attempts = alerts.attempts(i64::MAX, 100).unwrap();
            attempts.iter().filter(|attempt| attempt.subject.starts_with("BinnacleTest")).count()
        };
        for (tenant, of_each) in [("default", [0, 0, 2, 2, 2, 4]), ("vessel-7", [4; 6])] {
            let mut engine = Engine::open(alerts.clone(), tenant, config.clone(), options(), 0).unwrap();
            engine.rehearse();
            // From day 31 on: not at the start, at day 60, not when the clock is set back, at day 90.
            for (day, expected) in [31, 59, 60, 58, 61, 90].into_iter().zip(of_each) {
                engine.turn(Orders::default(), day * DAY).await;
                while engine.finish_begun(day * DAY).await {
                    engine.turn(Orders::default(), day * DAY).await;
                }
                assert_eq!(tested(), expected, "{tenant}: day {day}");
            }
            if tenant == "default" {
                assert_eq!(engine.own_test_ms(), 120 * DAY);
            }
        }
        let error = Config::parse(&text.replace("30d", "1m"), "notify.yml", Path::new(".")).unwrap_err();
        assert!(error.reason.contains("at least 1h"), "{error}");
    }
}
