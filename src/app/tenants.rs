//! Rules and notifications of tenants beside the default one: each has its own engine over its own data, and its own notifier, so
//! that its states, silences and history are in its own directory.

use model::TenantId;
use rules::{Engine, Group};
use store::{Store, StoreError};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::{AppError, blocking, files, settings};
use crate::config::Config;

/// The pack that watches the appliance itself; its metrics are stored for the default tenant alone.
const OWN_PACK: &str = "alerts/self.yml";

#[derive(Clone)]
pub(super) struct Watched {
    pub(super) tenant: TenantId,
    rules: Engine,
    notifier: notify::Notifier,
}

/// Opens what `rules.tenants` names, which the configuration has checked.
pub(super) async fn open(
    config: &Config,
    store: &Store,
    groups: &[Group],
    started_ms: i64,
) -> Result<Vec<Watched>, AppError> {
    let mut out = Vec::new();
    for tenant in config.rules.tenants.iter().filter_map(|name| TenantId::new(name).ok()) {
        if tenant == TenantId::default() || out.iter().any(|known: &Watched| known.tenant == tenant) {
            continue;
        }
        let told = files::notify(&config.notify.file)?.unwrap_or_else(notify::Config::silent);
        let path = config.data.display().to_string();
        let (config, store) = (config.clone(), store.clone());
        let (options, id, groups) = (settings::rules(&config, started_ms), tenant.clone(), theirs(groups));
        let opened = blocking(move || -> Result<_, StoreError> {
            let tenant = store.tenant(&id)?;
            let rules = Engine::new(tenant.clone(), groups, options)?;
            let told_as = settings::notifier(&config, &rules, &tenant);
            Ok((rules, notify::Notifier::new(tenant, told, told_as)?))
        });
        let open_error = |source| AppError::Open { path, source };
        let (rules, notifier) = opened.await.map_err(open_error)?;
        out.push(Watched { tenant, rules, notifier });
    }
    Ok(out)
}

impl Watched {
    pub(super) fn engine(&self) -> (TenantId, Engine) {
        (self.tenant.clone(), self.rules.clone())
    }

    /// Runs its rules and its notifier until told to stop.
    pub(super) fn spawn(&self, loops: &mut JoinSet<&'static str>, stopped: &watch::Receiver<bool>) {
        let (rules, until) = (self.rules.clone(), stopped.clone());
        loops.spawn(async move {
            rules.run(until).await;
            "rules of a tenant"
        });
        let (notifier, until) = (self.notifier.clone(), stopped.clone());
        loops.spawn(async move {
            notifier.run(until).await;
            "notifications of a tenant"
        });
    }

    /// Takes other groups; waits for evaluations under way, so it belongs on a blocking thread.
    pub(super) fn reload_rules(&self, groups: &[Group]) {
        self.rules.reload(theirs(groups));
    }

    pub(super) fn reload_notify(&self, told: notify::Config) {
        self.notifier.reload(told);
    }
}

fn theirs(groups: &[Group]) -> Vec<Group> {
    groups.iter().filter(|group| group.file != OWN_PACK).cloned().collect()
}
