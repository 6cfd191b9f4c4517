//! The dead man's switches, and heartbeats: silence that means something, in both directions.
//!
//! Out: an address elsewhere is pinged as long as alerts would come through; whoever is behind it raises the alarm when the
//! pings stop. In: a job says that it ran, and its staying away is a metric that a rule fires on.

use std::collections::BTreeMap;
use std::time::Duration;

use model::TenantId;
use sha2::{Digest, Sha256};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::config::{DeadMan, Way};
use crate::delivery::Clients;
use crate::figures;
use crate::notifier::{Notifier, NotifyError, now_ms};

/// Between two looks at what is due.
const TICK: Duration = Duration::from_secs(1);
/// Between two looks whether space for alert state is kept, in ms.
const RESERVE_EVERY_MS: i64 = 30_000;
/// For one ping.
const PING_WITHIN: Duration = Duration::from_secs(10);
/// An outbox that nobody looked at for so long delivers nothing. Its loop sleeps for seconds, and one turn may wait for a slow disk.
const STILL_MAX: Duration = Duration::from_secs(90);

/// A tenant whose alerts are watched over.
pub struct Watched {
    pub notifier: Notifier,
    /// What beside the outbox would keep an alert of it from being raised.
    pub ill: Box<dyn Fn() -> Option<String> + Send + Sync>,
}

/// Of one dead man's switch.
#[derive(Default)]
struct Pinging {
    next_ms: i64,
    held_back: Option<String>,
}

/// Pings the dead man's switches while all is well, and keeps the metrics of heartbeats and space for alert state, until told to
/// stop. The first tenant's configuration says whom to ping; all of them have the same.
pub async fn watch(tenants: Vec<Watched>, mut stop: watch::Receiver<bool>) {
    let Some(first) = tenants.first().map(|first| first.notifier.clone()) else { return };
    let client = match Clients::new(first.timing()).of(&Way::default()) {
        Ok(client) => client,
        Err(reason) => {
            tracing::error!(reason, "the dead man's switch has no client");
            return;
        }
    };
    let mut all: BTreeMap<(Option<TenantId>, String), Pinging> = BTreeMap::new();
    let mut pings = JoinSet::new();
    let mut next_reserve_ms = 0;
    loop {
        tokio::select! {
            () = tokio::time::sleep(TICK) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
        while pings.try_join_next().is_some() {}
        let at_ms = now_ms();
        for tenant in &tenants {
            tenant.notifier.measure_heartbeats(at_ms).await;
        }
        if at_ms >= next_reserve_ms || next_reserve_ms - at_ms > RESERVE_EVERY_MS {
            next_reserve_ms = at_ms + RESERVE_EVERY_MS;
            for tenant in &tenants {
                tenant.notifier.keep_reserve().await;
            }
        }
        let dead_men = first.extensions().dead_men;
        let key = |dead_man: &DeadMan| (dead_man.tenant.clone(), dead_man.url.reveal().to_owned());
        all.retain(|known, _| dead_men.iter().any(|dead_man| key(dead_man) == *known));
        for dead_man in &dead_men {
            let pinging = all.entry(key(dead_man)).or_default();
            if pinging.due(dead_man, trouble(dead_man, &tenants, at_ms), at_ms) {
                pings.spawn(ping(client.clone(), dead_man.url.reveal().to_owned()));
            }
        }
    }
}

impl Pinging {
    /// Whether to ping now; says when that begins and ends to be held back. `trouble` is looked for only when a ping is due.
    fn due(&mut self, dead_man: &DeadMan, trouble: impl FnOnce() -> Option<String>, at_ms: i64) -> bool {
        // A clock that was set back must not keep the ping away for long.
        if at_ms < self.next_ms && self.next_ms - at_ms <= dead_man.interval_ms {
            return false;
        }
        self.next_ms = at_ms + dead_man.interval_ms;
        let trouble = trouble();
        let of = dead_man.tenant.as_ref().map_or(String::new(), |tenant| format!(" of tenant {tenant}"));
        match (&trouble, &self.held_back) {
            (Some(reason), None) => tracing::error!("the dead man's ping{of} is held back: {reason}"),
            (None, Some(_)) => tracing::info!("the dead man's ping{of} goes out again"),
            _ => {}
        }
        self.held_back = trouble;
        self.held_back.is_none()
    }
}

/// Why an alert of those that a dead man's switch watches over would not come through.
fn trouble<'a>(dead_man: &'a DeadMan, tenants: &'a [Watched], at_ms: i64) -> impl FnOnce() -> Option<String> + use<'a> {
    move || {
        let watched = |one: &&Watched| dead_man.tenant.as_ref().is_none_or(|tenant| tenant == one.notifier.tenant());
        let mut of_it = tenants.iter().filter(watched).peekable();
        if of_it.peek().is_none() {
            return Some("no rules are evaluated over this tenant's data; name it in rules.tenants".into());
        }
        of_it.find_map(|one| {
            let reason = (one.ill)().or_else(|| one.notifier.outbox_trouble(dead_man.undelivered_ms, at_ms))?;
            let tenant = one.notifier.tenant().figure_label();
            Some(if tenant.is_empty() { reason } else { format!("tenant {tenant}: {reason}") })
        })
    }
}

async fn ping(client: reqwest::Client, url: String) {
    match client.get(url).timeout(PING_WITHIN).send().await.map(|answer| answer.status()) {
        Ok(status) if status.is_success() => {}
        Ok(status) => tracing::warn!("the dead man's switch answers {status}"),
        Err(error) => tracing::warn!("the dead man's switch was not reached: {}", error.without_url()),
    }
}

impl Notifier {
    /// Space for alert state is kept by those who have somebody to tell.
    async fn keep_reserve(&self) {
        if self.receivers().iter().all(|receiver| receiver.channels.is_empty()) {
            return;
        }
        let alerts = self.alerts();
        match tokio::task::spawn_blocking(move || alerts.keep_reserve()).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => tracing::warn!(%error, "no space is kept for alert state"),
            Err(error) => tracing::warn!(%error, "no space is kept for alert state"),
        }
    }

    fn outbox_trouble(&self, undelivered_ms: i64, at_ms: i64) -> Option<String> {
        if self.still_for() > STILL_MAX {
            return Some("notifications are not looked after".into());
        }
        let undelivered = self.undelivered();
        let late = |since_ms: i64| at_ms - since_ms >= undelivered_ms;
        let stuck = undelivered.iter().find(|one| one.critical && late(one.since_ms))?;
        Some(format!("{} could not be told to anybody: {}", stuck.subject, stuck.reason))
    }

    /// Takes a heartbeat of this tenant by its token; its name.
    ///
    /// # Errors
    /// That no heartbeat has this token, or that the store does not take it. Waits for the disk: to be called where that is no harm.
    pub fn heartbeat(&self, token: &str, at_ms: i64) -> Result<String, NotifyError> {
        let hash: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        let known = self.extensions().heartbeats;
        let mut ours = known.iter().filter(|heartbeat| heartbeat.tenant == *self.tenant());
        let heartbeat = ours.find(|heartbeat| heartbeat.token_hash == hash);
        let heartbeat = heartbeat.ok_or(NotifyError::NoHeartbeat)?;
        self.alerts()
            .put_heartbeat(&heartbeat.name, at_ms)
            .map_err(|error| NotifyError::NotNoted { reason: error.to_string() })?;
        Ok(heartbeat.name.clone())
    }

    /// Publishes how old each expected heartbeat is. One that never came counts from when it was first expected.
    async fn measure_heartbeats(&self, at_ms: i64) {
        let mut expected = self.extensions().heartbeats;
        expected.retain(|heartbeat| heartbeat.tenant == *self.tenant());
        if expected.is_empty() {
            figures::set_heartbeats(self.tenant(), &[]);
            return;
        }
        let alerts = self.alerts();
        let measured = tokio::task::spawn_blocking(move || {
            let came = alerts.heartbeats()?;
            let mut ages = Vec::with_capacity(expected.len());
            for heartbeat in expected {
                let last_ms = match came.iter().find(|(name, _)| *name == heartbeat.name) {
                    Some((_, last_ms)) => *last_ms,
                    None => {
                        alerts.put_heartbeat(&heartbeat.name, at_ms)?;
                        at_ms
                    }
                };
                ages.push((heartbeat.name, at_ms - last_ms, heartbeat.allowed_ms));
            }
            Ok::<_, store::StoreError>(ages)
        });
        match measured.await {
            Ok(Ok(ages)) => figures::set_heartbeats(self.tenant(), &ages),
            Ok(Err(error)) => tracing::error!(%error, "heartbeats cannot be read"),
            Err(error) => tracing::error!(%error, "heartbeats cannot be read"),
        }
    }
}
