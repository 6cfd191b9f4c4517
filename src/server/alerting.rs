//! Whose rules a request is about, and who is told of what they find: every tenant's are its own.

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
