//! What removed rules left: ended at the next evaluation, since only that has a time.

use std::collections::HashSet;

use model::alert::Transition;
use model::{AlertState, Instance, Labels};
use store::{Evaluation, StoreError};
use tokio::runtime::Handle;

use super::{Engine, Inner, lock};
use crate::evaluate;
use crate::ground::{Ground, TenantGround, Written};
use crate::state;

/// Slot key of the commit that resolves what removed rules left behind.
const REMOVED_RULES: &str = "(removed rules)";

#[derive(Default)]
pub(super) struct Orphans {
    pub(super) instances: Vec<Instance>,
    pub(super) series: HashSet<Labels>,
}

impl Orphans {
    pub(super) fn take(&mut self, instances: evaluate::Instances) {
        self.series.extend(instances.values().filter_map(evaluate::alert_labels).flatten());
        self.instances.extend(instances.into_values());
    }
}

impl Engine {
    /// Ends what removed rules left, where no group is there whose evaluation would.
    pub(super) async fn finish_removed(&self, at_ms: i64) {
        let inner = self.inner.clone();
        let ground = TenantGround { tenant: self.tenant.clone(), runtime: Handle::current(), at_ms };
        let finished = tokio::task::spawn_blocking(move || inner.resolve_orphans(at_ms, &ground));
        match finished.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "alerts of removed rules could not be resolved"),
            Err(error) => tracing::error!(%error, "alerts of removed rules could not be resolved"),
        }
    }
}

impl Inner {
    /// Ends what removed rules left: firing alerts are resolved and told, the rest is forgotten, their series end.
    pub(super) fn resolve_orphans(&self, at_ms: i64, ground: &dyn Ground) -> Result<(), StoreError> {
        let mut orphans = lock(&self.orphans);
        if orphans.instances.is_empty() && orphans.series.is_empty() {
            return Ok(());
        }
        let mut evaluation = Evaluation { group: REMOVED_RULES.into(), at_ms, ..Evaluation::default() };
        for instance in &orphans.instances {
            evaluation.removals.push((instance.rule_id.clone(), instance.fingerprint()));
            let to = (instance.state == AlertState::Firing).then_some(AlertState::Resolved);
            if to.is_some() {
                evaluation.notices.push(state::resolved(instance, at_ms));
            }
            if instance.state != AlertState::Resolved {
                evaluation.transitions.push(Transition {
                    at_ms,
                    rule_id: instance.rule_id.clone(),
                    labels: instance.labels.clone(),
                    from: Some(instance.state),
                    to,
                    value: instance.value,
                    note: "rule removed".into(),
                });
            }
        }
        self.alerts.commit_evaluation(&evaluation)?;
        orphans.instances.clear();
        let ended: Vec<Written> = orphans.series.drain().map(|labels| Written::end(labels, at_ms)).collect();
        if !ended.is_empty()
            && let Err(reason) = ground.write(&ended)
        {
            // They end by themselves after the lookback.
            tracing::warn!(reason, "series of removed rules are not marked as ended");
        }
        Ok(())
    }
}
