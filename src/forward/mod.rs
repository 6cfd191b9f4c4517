//! Sends what fires to Alertmanagers elsewhere (`[[alertmanagers]]`), as Prometheus does; beside what is told by `notify.yml`, which
//! neither knows of it nor waits for it.
//!
//! Nothing of it is stored. Rules' states are, ends for 15 minutes among them, so that a start sends all of them again, which
//! Alertmanager takes for what it knows. What ended so shortly before a stop that nobody was told ends there by itself: a firing is
//! sent with an end four evaluations or minutes ahead. Alerts that others push here are not sent on: whoever pushes them can.

mod due;
mod endpoint;
mod queue;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use model::TenantId;
use rules::Engine;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::{clock, config};
use due::Due;
use endpoint::Endpoint;

/// Between two looks at the rules: an alert waits no longer for its message, and a look at groups without news costs next to nothing.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// An entry of `[[alertmanagers]]` that cannot be used as configured.
#[derive(Debug, thiserror::Error)]
#[error("alertmanagers number {number}: {reason}")]
pub struct ForwardError {
    /// From 1.
    pub number: usize,
    pub reason: String,
}

/// All Alertmanagers of a configuration.
#[derive(Clone)]
pub struct Forwarder(Arc<Vec<Endpoint>>);

impl Forwarder {
    /// Reads what the entries name: certificates, secrets from the environment. Asks nobody.
    ///
    /// # Errors
    /// The first entry that cannot be used.
    pub fn new(entries: &[config::Alertmanagers]) -> Result<Forwarder, ForwardError> {
        let mut all = Vec::new();
        for (nth, entry) in entries.iter().enumerate() {
            all.extend(Endpoint::of(entry).map_err(|reason| ForwardError { number: nth + 1, reason })?);
        }
        Ok(Forwarder(Arc::new(all)))
    }

    /// The address of each, with the tenant whose alerts it is sent; `None` for everybody's.
    pub fn urls(&self) -> impl Iterator<Item = (&str, Option<&TenantId>)> {
        self.0.iter().map(|endpoint| (endpoint.url.as_str(), endpoint.tenant.as_ref()))
    }

    /// Sends the alerts of these rules until told to stop. Links begin with `external_url`, which has no slash at the end.
    pub async fn run(self, rules: Vec<(TenantId, Engine)>, external_url: String, mut stop: watch::Receiver<bool>) {
        if self.0.is_empty() {
            // The sender lives as long as the appliance.
            drop(stop.wait_for(|stop| *stop).await);
            return;
        }
        let mut senders = JoinSet::new();
        for at in 0..self.0.len() {
            let (all, stop) = (self.0.clone(), stop.clone());
            senders.spawn(async move {
                if let Some(endpoint) = all.get(at) {
                    endpoint.run(stop).await;
                }
            });
        }
        let of_tenant = |(tenant, rules)| (tenant, rules, Due::new(external_url.clone()));
        let mut sources: Vec<(TenantId, Engine, Due)> = rules.into_iter().map(of_tenant).collect();
        let mut ticks = tokio::time::interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        loop {
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => break,
                _ = ticks.tick() => {}
            }
            for (tenant, rules, due) in &mut sources {
                let alerts = due.step(&rules.alerts_after(due.seen()), clock::now_ms());
                if !alerts.is_empty() {
                    let takers = self.0.iter().filter(|one| one.tenant.as_ref().is_none_or(|only| only == tenant));
                    takers.for_each(|endpoint| endpoint.push(&alerts));
                }
            }
        }
        while senders.join_next().await.is_some() {}
    }
}
