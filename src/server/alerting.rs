//! Whose rules a request is about, and who is told of what they find: every tenant's are its own.

use std::collections::BTreeSet;

use model::{Kind, TenantId};

use crate::State;
use crate::error::Fault;

/// The rules over a tenant's data, and who tells people of what they find. Cheap handles.
#[derive(Clone)]
pub struct Alerting {
    pub tenant: TenantId,
    pub rules: rules::Engine,
    pub notifier: notify::Notifier,
}

impl State {
    /// Of every tenant that has rules.
    pub(crate) fn alertings(&self) -> impl Iterator<Item = &Alerting> {
        std::iter::once(&self.alerting).chain(self.alerting_others.values())
    }

    /// Whether people are not told of alerts. Without what the alerts or their channels say: anybody may ask whether we are ready.
    pub(crate) fn alerting_warnings(&self) -> Vec<String> {
        let undelivered: usize = self.alertings().map(|of| of.notifier.undelivered().len()).sum();
        let receivers = self.alertings().flat_map(|of| of.notifier.receivers());
        let channels = receivers.flat_map(|receiver| receiver.channels).filter(|channel| channel.broken);
        let broken: BTreeSet<String> = channels.map(|channel| channel.name).collect();
        let mut warnings = Vec::new();
        if undelivered > 0 {
            warnings.push(format!("messages about alerts reached nobody: {undelivered}; every page says why"));
        }
        if !broken.is_empty() {
            let names = broken.into_iter().collect::<Vec<_>>().join(", ");
            warnings.push(format!("channels of notify.yml that take nothing: {names}; /notifications says why"));
        }
        warnings
    }

    /// `None` for a tenant over whose data no rules are evaluated.
    pub(crate) fn alerting_of(&self, tenant: &TenantId) -> Option<&Alerting> {
        if *tenant == self.alerting.tenant { Some(&self.alerting) } else { self.alerting_others.get(tenant) }
    }
}

/// Why nothing can be changed for such a tenant.
pub(crate) fn none_for(tenant: &TenantId) -> Fault {
    let reason = format!("no rules are evaluated over the data of tenant {tenant}; name it in rules.tenants");
    Fault::new(Kind::Forbidden, reason)
}
