//! Rules and notifications of tenants beside the default one: each has its own engine over its own data, and its own notifier, so
//! that its states, silences and history are in its own directory.

use model::TenantId;
use model::alert::{AlertState, Intent, IntentState};
use rules::{Engine, Group, RuleKind};
use server::Alerting;
use store::{Store, StoreError, Tenant};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::{AppError, blocking, files, settings};
use crate::config::Config;

/// The pack that watches the appliance itself; its metrics are stored for the default tenant alone, but for heartbeats, which have
/// a pack of their own.
const OWN_PACK: &str = "alerts/self.yml";

/// Alerts of these tenants say whose they are, so that routes can tell them apart and people too.
const TENANT_LABEL: &str = "tenant";

/// Opens what `rules.tenants` names, which the configuration has checked.
pub(super) async fn open(
    config: &Config,
    store: &Store,
    groups: &[Group],
    limits: &notify::ServiceLimits,
    options: &rules::EngineOptions,
) -> Result<Vec<Alerting>, AppError> {
    let mut out = Vec::new();
    for tenant in config.rules.tenants.iter().filter_map(|name| TenantId::new(name).ok()) {
        if tenant == TenantId::default() || out.iter().any(|known: &Alerting| known.tenant == tenant) {
            continue;
        }
        out.push(open_one(config, store, tenant.clone(), theirs(groups, &tenant), limits, options).await?);
    }
    Ok(out)
}

/// Opens, without any rules, the tenants whose alerts `rules.tenants` named once and does not name any more: what still fires of
/// theirs ends as that of a removed rule does, and whoever was told of it is told so.
pub(super) async fn open_left(
    config: &Config,
    store: &Store,
    limits: &notify::ServiceLimits,
    options: &rules::EngineOptions,
) -> Result<Vec<Alerting>, AppError> {
    let mut out = Vec::new();
    let is_named = |id: &TenantId| config.rules.tenants.iter().any(|name| name == id.as_str());
    for tenant in store.open_tenants() {
        let id = tenant.id().clone();
        if id == TenantId::default() || is_named(&id) {
            continue;
        }
        let path = config.data.display().to_string();
        if blocking(move || is_owed(&tenant)).await.map_err(|source| AppError::Open { path, source })? {
            tracing::warn!(tenant = %id, "not in rules.tenants any more: its alerts are ended");
            out.push(open_one(config, store, id, Vec::new(), limits, options).await?);
        }
    }
    Ok(out)
}

/// Whether alerts of a tenant fire, or somebody who was told of one was not told its end.
fn is_owed(tenant: &Tenant) -> Result<bool, StoreError> {
    let Some(alerts) = tenant.existing_alerts()? else { return Ok(false) };
    let fires = alerts.instances()?.iter().any(|instance| instance.state == AlertState::Firing);
    let is_told = |intent: &Intent| matches!(intent.accepted, Some((_, IntentState::Firing)));
    Ok(fires || alerts.intents()?.iter().any(is_told))
}

async fn open_one(
    config: &Config,
    store: &Store,
    tenant: TenantId,
    groups: Vec<Group>,
    limits: &notify::ServiceLimits,
    options: &rules::EngineOptions,
) -> Result<Alerting, AppError> {
    let told = files::notify(&config.notify.file)?.unwrap_or_else(notify::Config::silent);
    let path = config.data.display().to_string();
    let (config, store, limits) = (config.clone(), store.clone(), limits.clone());
    let (options, id) = (options.clone(), tenant.clone());
    let opened = blocking(move || -> Result<_, StoreError> {
        let tenant = store.tenant(&id)?;
        let rules = Engine::new(tenant.clone(), groups, options)?;
        let told_as = settings::notifier(&config, &rules, &tenant, &limits);
        Ok((rules, notify::Notifier::new(tenant, told, told_as)?))
    });
    let (rules, notifier) = opened.await.map_err(|source| AppError::Open { path, source })?;
    Ok(Alerting { tenant, rules, notifier })
}

/// Runs a tenant's rules and its notifier until told to stop.
pub(super) fn spawn(of: &Alerting, loops: &mut JoinSet<&'static str>, stopped: &watch::Receiver<bool>) {
    let (rules, until) = (of.rules.clone(), stopped.clone());
    loops.spawn(async move {
        rules.run(until).await;
        "rules of a tenant"
    });
    let (notifier, until) = (of.notifier.clone(), stopped.clone());
    loops.spawn(async move {
        notifier.run(until).await;
        "notifications of a tenant"
    });
}

/// The groups as they are evaluated over a tenant's data.
pub(super) fn theirs(groups: &[Group], tenant: &TenantId) -> Vec<Group> {
    let mut theirs: Vec<Group> = groups.iter().filter(|group| group.file != OWN_PACK).cloned().collect();
    let rules = theirs.iter_mut().flat_map(|group| &mut group.rules);
    for rule in rules.filter(|rule| rule.kind != RuleKind::Recording) {
        if rule.labels.iter().all(|(name, _)| name != TENANT_LABEL) {
            rule.labels.push((TENANT_LABEL.into(), tenant.to_string()));
        }
    }
    theirs
}
