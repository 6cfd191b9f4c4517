//! Rules and notifications of each tenant that has some: its own engine over its own data, and its own notifier, so that its states,
//! silences and history are in its own directory.

use model::TenantId;
use model::alert::{AlertState, Intent, IntentState};
use rules::{Engine, EngineOptions, Group, RuleKind};
use server::Alerting;
use store::{Store, StoreError, Tenant};
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
        let groups = theirs(self.groups, &tenant);
        self.open_with(tenant, groups).await
    }

    async fn open_with(&self, tenant: TenantId, groups: Vec<Group>) -> Result<Alerting, AppError> {
        let (config, store, limits) = (self.config.clone(), self.store.clone(), self.limits.clone());
        let (told, options) = (self.told.clone(), self.options.clone());
        let id = tenant.clone();
        let opened = blocking(move || -> Result<_, StoreError> {
            let tenant = store.tenant(&id)?;
            let rules = Engine::new(tenant.clone(), groups, options)?;
            let told_as = settings::notifier(&config, &rules, &tenant, &limits);
            Ok((rules, notify::Notifier::new(tenant, told, told_as)?))
        });
        let (rules, notifier) = opened.await.map_err(|source| self.open_error(source))?;
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

    /// Those that `rules.tenants` named once and names no more, without any rules: what still fires of theirs ends as that of a
    /// removed rule does, and whoever was told of it is told so.
    pub(super) async fn left(&self) -> Result<Vec<Alerting>, AppError> {
        let is_named = |id: &TenantId| self.config.rules.tenants.iter().any(|name| name == id.as_str());
        let mut out = Vec::new();
        for tenant in self.store.open_tenants() {
            let id = tenant.id().clone();
            if id == TenantId::default() || is_named(&id) {
                continue;
            }
            if blocking(move || is_owed(&tenant)).await.map_err(|source| self.open_error(source))? {
                tracing::warn!(tenant = %id, "not in rules.tenants any more: its alerts are ended");
                out.push(self.open_with(id, Vec::new()).await?);
            }
        }
        Ok(out)
    }

    fn open_error(&self, source: StoreError) -> AppError {
        AppError::Open { path: self.config.data.display().to_string(), source }
    }
}

/// Whether alerts of a tenant fire, or somebody who was told of one was not told its end.
fn is_owed(tenant: &Tenant) -> Result<bool, StoreError> {
    let Some(alerts) = tenant.existing_alerts()? else { return Ok(false) };
    let fires = alerts.instances()?.iter().any(|instance| instance.state == AlertState::Firing);
    let is_told = |intent: &Intent| matches!(intent.accepted, Some((_, IntentState::Firing)));
    Ok(fires || alerts.intents()?.iter().any(is_told))
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
