//! Escalation: who else is told when nobody acknowledged an alert in time.
//!
//! Every step is an intent of its own from the beginning, due at its time: the timer is a row, and a restart forgets none. A
//! step that became needless before its time is taken back unsent.

use model::alert::{Instance, Intent, IntentState, Progress};
use model::time::format_duration_ms;

use crate::config::{Config, Receiver, Target};

use super::{Key, Outbox, group_prefix, handle, is_acked, is_same_alert, mark, new_intent, position, set_handle};

impl Outbox {
    /// Plans the steps of a receiver for an alert that it is told of.
    pub(crate) fn plan_steps(
        &mut self,
        receiver: &Receiver,
        instance: &Instance,
        target: &Target,
        config: &Config,
        now_ms: i64,
    ) {
        let fired_ms = instance.fired_at_ms.unwrap_or(now_ms);
        for (at, step) in receiver.escalate.iter().enumerate() {
            let Some(to) = config.receiver(&step.to) else { continue };
            let prefix = format!("step{}-{}", at + 1, group_prefix(target, instance));
            let due_ms = fired_ms + step.after_ms;
            for channel in &to.channels {
                self.plan_step(&channel.name, &prefix, &receiver.name, step, instance, due_ms, now_ms);
            }
        }
    }

    #[allow(clippy::too_many_arguments)]
    fn plan_step(
        &mut self,
        channel: &str,
        prefix: &str,
        receiver: &str,
        step: &crate::config::Step,
        instance: &Instance,
        due_ms: i64,
        now_ms: i64,
    ) {
        let of_step: Vec<&Intent> = self
            .intents
            .range((channel.to_owned(), prefix.to_owned())..)
            .take_while(|(key, _)| key.0 == channel && key.1.starts_with(prefix))
            .map(|(_, intent)| intent)
            .collect();
        if of_step.iter().any(|intent| position(intent, instance).is_some()) {
            return;
        }
        let untold = |intent: &&&Intent| {
            intent.accepted.is_none()
                && intent.want == IntentState::Firing
                && matches!(intent.progress, Progress::Waiting { .. })
        };
        let joined = of_step.iter().find(untold).map(|intent| (*intent).clone());
        let intent = match joined {
            Some(mut intent) => {
                intent.instances.retain(|other| !is_same_alert(other, instance));
                intent.instances.push(instance.clone());
                intent.not_before_ms = intent.not_before_ms.min(due_ms);
                intent.rev += 1;
                let rev = intent.rev.to_string();
                set_handle(&mut intent, mark::LOUD, &rev);
                intent
            }
            None => {
                let scope = format!("{prefix}{}", instance.fired_at_ms.unwrap_or(now_ms));
                let mut intent = new_intent(channel, scope, vec![instance.clone()], now_ms, due_ms);
                set_handle(&mut intent, mark::STEP, if step.unless_acked { UNLESS_ACKED } else { "always" });
                if step.after_ms > 0 {
                    let waited = format_duration_ms(step.after_ms);
                    let why = if step.unless_acked {
                        format!("nobody acknowledged it within {waited} of its beginning (escalation of {receiver})")
                    } else {
                        format!("it goes on for {waited} (escalation of {receiver})")
                    };
                    set_handle(&mut intent, mark::WHY, &why);
                }
                intent
            }
        };
        self.put(intent);
    }

    /// Takes back steps that nobody needs: their alerts ended before their time, or somebody acknowledged them.
    pub(super) fn drop_steps(&mut self) {
        let mut needless: Vec<Key> = Vec::new();
        let mut fewer: Vec<Intent> = Vec::new();
        for (key, intent) in &self.intents {
            let step = handle(intent, mark::STEP);
            let untold = intent.accepted.is_none() && matches!(intent.progress, Progress::Waiting { attempts: 0, .. });
            if step.is_empty() || !untold {
                continue;
            }
            let acked = step == UNLESS_ACKED && is_acked(intent);
            let needed = |instance: &&Instance| {
                let over = instance.resolved_at_ms.is_some_and(|ended_ms| ended_ms < intent.not_before_ms);
                !over && !acked
            };
            let left: Vec<Instance> = intent.instances.iter().filter(needed).cloned().collect();
            if left.is_empty() {
                needless.push(key.clone());
            } else if left.len() < intent.instances.len() {
                fewer.push(Intent { instances: left, ..intent.clone() });
            }
        }
        needless.iter().for_each(|key| self.remove(key));
        fewer.into_iter().for_each(|intent| self.put(intent));
    }
}

/// Value of [`mark::STEP`].
const UNLESS_ACKED: &str = "unless acked";
