//! Rules and notifications of each tenant that has some: its own engine over its own data, and its own notifier, so that its states,
//! silences and history are in its own directory.

use model::TenantId;
use rules::{Engine, EngineOptions, Group, RuleKind};
use server::Alerting;
use store::{Store, StoreError};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::{AppError, blocking, settings};
use crate::config::Config;

/// The pack that watches the appliance itself; its metrics are stored for the default tenant alone, but for heartbeats, which have
/// a pack of their own.
const OWN_PACK: &str = "alerts/self.yml";

/// Alerts of tenants beside the default one say whose they are, so that routes can tell them apart and people too.
const TENANT_LABEL: &str = "tenant";

/// What the rules and notifications of any tenant are opened with.
pub(super) struct Opener<'a> {
    pub(super) config: &'a Config,
    pub(super) store: &'a Store,
    pub(super) groups: &'a [Group],
    pub(super) told: &'a notify::Config,
    pub(super) limits: &'a notify::ServiceLimits,
    pub(super) options: &'a EngineOptions,
}

impl Opener<'_> {
    pub(super) async fn open(&self, tenant: TenantId) -> Result<Alerting, AppError> {
        let (config, store, limits) = (self.config.clone(), self.store.clone(), self.limits.clone());
        let (told, options) = (self.told.clone(), self.options.clone());
        let (id, groups) = (tenant.clone(), theirs(self.groups, &tenant));
        let opened = blocking(move || -> Result<_, StoreError> {
            let tenant = store.tenant(&id)?;
            let rules = Engine::new(tenant.clone(), groups, options)?;
            let told_as = settings::notifier(&config, &rules, &tenant, &limits);
            Ok((rules, notify::Notifier::new(tenant, told, told_as)?))
        });
        let open_error = |source| AppError::Open { path: self.config.data.display().to_string(), source };
        let (rules, notifier) = opened.await.map_err(open_error)?;
        Ok(Alerting { tenant, rules, notifier })
    }

    /// Those that `rules.tenants` names beside the default one; the configuration has checked the names.
    pub(super) async fn named(&self) -> Result<Vec<Alerting>, AppError> {
        let mut out: Vec<Alerting> = Vec::new();
        for tenant in self.config.rules.tenants.iter().filter_map(|name| TenantId::new(name).ok()) {
            if tenant != TenantId::default() && out.iter().all(|known| known.tenant != tenant) {
                out.push(self.open(tenant).await?);
            }
        }
        Ok(out)
    }
}

/// Runs a tenant's rules and its notifier until told to stop.
pub(super) fn spawn(of: &Alerting, loops: &mut JoinSet<&'static str>, stopped: &watch::Receiver<bool>) {
    let (rules, until) = (of.rules.clone(), stopped.clone());
    loops.spawn(async move {
        rules.run(until).await;
        "rules"
    });
    let (notifier, until) = (of.notifier.clone(), stopped.clone());
    loops.spawn(async move {
        notifier.run(until).await;
        "notifications"
    });
}

/// The groups as they are evaluated over a tenant's data.
pub(super) fn theirs(groups: &[Group], tenant: &TenantId) -> Vec<Group> {
    if *tenant == TenantId::default() {
        return groups.to_vec();
    }
    let mut theirs: Vec<Group> = groups.iter().filter(|group| group.file != OWN_PACK).cloned().collect();
    let rules = theirs.iter_mut().flat_map(|group| &mut group.rules);
    for rule in rules.filter(|rule| rule.kind != RuleKind::Recording) {
        if rule.labels.iter().all(|(name, _)| name != TENANT_LABEL) {
            rule.labels.push((TENANT_LABEL.into(), tenant.to_string()));
        }
    }
    theirs
}
