//! The loops that own a clock: upkeep of the store, the appliance's own readings; and what a SIGHUP reads again.

use std::sync::Arc;
use std::time::Duration;

use codec::otlp::{Encoding, MetricsSettings, decode_metrics};
use model::{MsRange, TenantId};
use opentelemetry_proto::tonic::metrics::v1::ResourceMetrics;
use prost::Message as _;
use store::Store;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use super::blocking;
use super::files::{self, RuleFiles};
use super::tenants;
use crate::config::{Config, ConfigError};
use crate::scrape::{Jobs, Reloader};
use crate::{clock, host_metrics, otlp_out, own_metrics};

/// Between two rounds of upkeep: short against the age at which heads are sealed, long against the cost of looking.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

/// Seals, trims and drops old days until told to stop.
pub(super) async fn upkeep(store: Store, mut stop: watch::Receiver<bool>) -> &'static str {
    let mut ticks = tokio::time::interval(UPKEEP_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = stop.wait_for(|stop| *stop) => return "upkeep",
        }
        let store = store.clone();
        if let Err(error) = blocking(move || store.maintain(clock::now_ms())).await {
            tracing::error!(%error, "upkeep of the store");
        }
    }
}

/// Stores each tenant's counts of log records, the last time when told to stop.
pub(super) async fn log_counts(store: Store, interval: Duration, mut stop: watch::Receiver<bool>) -> &'static str {
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        let stopped = tokio::select! {
            _ = ticks.tick() => false,
            _ = stop.wait_for(|stop| *stop) => true,
        };
        for tenant in store.open_tenants() {
            if let Err(error) = tenant.report_log_counts(clock::now_ms()).await {
                tracing::warn!(%error, tenant = %tenant.id(), "storing counts of log records");
            }
        }
        if stopped {
            return "log counts";
        }
    }
}

/// What the appliance reads of itself and its host, and where it puts it.
pub(super) struct OwnReadings {
    pub(super) state: server::State,
    pub(super) tenant: TenantId,
    /// Those whose heartbeats are among their own series.
    pub(super) others: Vec<TenantId>,
    pub(super) settings: MetricsSettings,
    pub(super) hostname: String,
    pub(super) with_host: bool,
    pub(super) interval: Duration,
}

/// Stores the appliance's counters, and its host's metrics, until told to stop.
pub(super) async fn own_readings(own: OwnReadings, mut stop: watch::Receiver<bool>) -> &'static str {
    let started_ns = clock::now_ns();
    let mut ticks = tokio::time::interval(own.interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = stop.wait_for(|stop| *stop) => return "own readings",
        }
        let at_ns = clock::now_ns();
        let (hostname, with_host) = (own.hostname.clone(), own.with_host);
        let state = own.state.clone();
        // Reading /proc can block, on a dead network file system for one.
        let readings = blocking(move || {
            server::observe(&state);
            let mut itself = own_metrics::read(&hostname, at_ns, started_ns);
            if let Some(scope) = itself.scope_metrics.first_mut() {
                scope.metrics.extend(host_metrics::own_process(at_ns));
            }
            let mut readings = vec![itself];
            if with_host {
                readings.push(host_metrics::read(&hostname, at_ns));
            }
            readings
        })
        .await;
        if let Err(error) = submit(&own, &own.tenant, readings).await {
            tracing::warn!(%error, "storing the appliance's own metrics");
        }
        for tenant in &own.others {
            let Some(theirs) = own_metrics::of_tenant(tenant, &own.hostname, at_ns, started_ns) else { continue };
            if let Err(error) = submit(&own, tenant, vec![theirs]).await {
                tracing::warn!(%error, %tenant, "storing the ages of heartbeats");
            }
        }
    }
}

async fn submit(own: &OwnReadings, tenant: &TenantId, readings: Vec<ResourceMetrics>) -> Result<(), store::StoreError> {
    let body = otlp_out::request(readings).encode_to_vec();
    let tenant = own.state.store.tenant(tenant)?;
    match decode_metrics(&body, Encoding::Protobuf, &own.settings, tenant.known_series(), MsRange::ALL) {
        Ok((batch, rejected)) => {
            if !rejected.is_empty() {
                tracing::warn!(message = rejected.message(), "own metrics refused");
            }
            let refused = tenant.submit_metrics(batch).await?;
            if !refused.is_empty() {
                tracing::warn!(message = refused.message(), "own metrics refused");
            }
        }
        Err(error) => tracing::error!(%error, "own metrics do not decode"),
    }
    Ok(())
}

/// Reads rules and notify.yml again; what cannot be used keeps its last good version, and why it cannot is in the list.
pub(super) async fn reload(
    config: &Config,
    mut rule_files: RuleFiles,
    has_notify_file: &mut bool,
    alerting: &[server::Alerting],
) -> (RuleFiles, Vec<String>) {
    let (rules_config, notify_file, all) = (config.rules.clone(), config.notify.file.clone(), alerting.to_vec());
    let was_there = *has_notify_file;
    let (rule_files, mut wrong, told, is_there) = blocking(move || {
        let (groups, wrong) = rule_files.read(&rules_config);
        // Waits for evaluations under way.
        all.iter().for_each(|of| of.rules.reload(tenants::theirs(&groups, &of.tenant)));
        (rule_files, wrong, files::notify_again(&notify_file, was_there), notify_file.exists())
    })
    .await;
    *has_notify_file |= is_there;
    match told {
        Ok(told) => {
            files::warn_of(&told, &config.rules);
            alerting.iter().for_each(|of| of.notifier.reload(told.clone()));
        }
        Err(reason) => {
            tracing::error!(reason, "notify.yml not used, its last good version stays");
            wrong.push(format!("{reason}; its last good version stays"));
        }
    }
    tracing::info!("rules and notify.yml were read again");
    (rule_files, wrong)
}

/// Reads the configuration again.
pub(super) type Again = Arc<dyn Fn() -> Result<Config, ConfigError> + Send + Sync>;

/// Reads `[[scrape]]` again, the one section that a running appliance takes over; why it could not be used, where it could not.
pub(super) async fn reload_scraping(again: Again, scraping: &Reloader) -> Option<String> {
    let read = blocking(move || {
        let config = again().map_err(|error| error.to_string())?;
        Jobs::new(&config.scrape).map_err(|error| error.to_string())
    });
    match read.await {
        Ok(jobs) => {
            scraping.reload(jobs).await;
            tracing::info!("[[scrape]] was read again; other sections hold from a restart on");
            None
        }
        Err(reason) => {
            tracing::error!("configuration not used, [[scrape]] stays as it was: {reason}");
            Some(format!("{reason}; [[scrape]] stays as it was"))
        }
    }
}

/// A group may be so late beside twice its interval before alerts count as not watched over.
const LATE: Duration = Duration::from_secs(15);

/// What would keep an alert from being raised: nothing can be stored, or rules are not evaluated in time.
pub(super) fn illness(store: Store, rules: rules::Engine) -> impl Fn() -> Option<String> + Send + Sync {
    move || {
        if let Some(trouble) = store.trouble() {
            return Some(trouble.to_string());
        }
        let late = rules.view().into_iter().find(is_late);
        late.map(|group| format!("the rule group {:?} was not evaluated in time", group.name))
    }
}

/// Not by the clock on the wall: rules wait for one that was set back, and a start's time may lie ahead of it for long.
fn is_late(group: &rules::GroupView) -> bool {
    group.unseen_for > 2 * Duration::from_millis(group.interval_ms.unsigned_abs()) + LATE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_has_two_intervals_and_a_while() {
        // In seconds.
        let check = |interval: i64, unseen: u64, expected: bool| {
            let group = rules::GroupView {
                file: "f.yml".into(),
                name: "g".into(),
                interval_ms: interval * 1_000,
                limit: 0,
                // Whatever the clock says.
                last_evaluation_ms: Some(i64::MAX),
                unseen_for: Duration::from_secs(unseen),
                evaluation_seconds: 0.0,
                missed_slots: 0,
                rules: Vec::new(),
            };
            assert_eq!(is_late(&group), expected, "{interval} {unseen}");
        };
        check(30, 0, false);
        check(30, 75, false);
        check(30, 76, true);
        check(3_600, 7_215, false);
        check(3_600, 7_216, true);
        check(1, 17, false);
        check(1, 18, true);
    }
}
