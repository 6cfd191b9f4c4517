//! The dead man's switch, and heartbeats: silence that means something, in both directions.
//!
//! Out: an address elsewhere is pinged as long as alerts would come through; whoever is behind it raises the alarm when the
//! pings stop. In: a job says that it ran, and its staying away is a metric that a rule fires on.

use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::sync::watch;

use crate::config::Way;
use crate::delivery::Clients;
use crate::figures;
use crate::notifier::{Notifier, NotifyError, now_ms};

/// Between two looks at what is due.
const TICK: Duration = Duration::from_secs(1);
/// Undelivered news that is critical holds the ping back after so long, in ms.
const UNDELIVERED_MAX_MS: i64 = 5 * 60_000;
/// Between two looks whether space for alert state is kept, in ms.
const RESERVE_EVERY_MS: i64 = 30_000;
/// For one ping.
const PING_WITHIN: Duration = Duration::from_secs(10);

impl Notifier {
    /// Pings the dead man's switch while all is well, and keeps the metrics of heartbeats. `ill` says what else, beside the outbox,
    /// would keep an alert from being raised. Until told to stop.
    pub async fn watch(&self, ill: impl Fn() -> Option<String> + Send, mut stop: watch::Receiver<bool>) {
        let client = match Clients::new(self.timing()).of(&Way::default()) {
            Ok(client) => client,
            Err(reason) => {
                tracing::error!(reason, "the dead man's switch has no client");
                return;
            }
        };
        let mut next_ping_ms = 0;
        let mut held_back: Option<String> = None;
        let mut next_reserve_ms = 0;
        loop {
            tokio::select! {
                () = tokio::time::sleep(TICK) => {}
                _ = stop.wait_for(|stop| *stop) => return,
            }
            let at_ms = now_ms();
            self.measure_heartbeats(at_ms).await;
            if at_ms >= next_reserve_ms {
                next_reserve_ms = at_ms + RESERVE_EVERY_MS;
                self.keep_reserve().await;
            }
            let Some(dead_man) = self.extensions().dead_man else { continue };
            // A clock that was set back must not keep the ping away for long.
            if at_ms < next_ping_ms && next_ping_ms - at_ms <= dead_man.interval_ms {
                continue;
            }
            next_ping_ms = at_ms + dead_man.interval_ms;
            let trouble = ill().or_else(|| self.outbox_trouble(at_ms));
            match (&trouble, &held_back) {
                (Some(reason), None) => tracing::error!("the dead man's ping is held back: {reason}"),
                (None, Some(_)) => tracing::info!("the dead man's ping goes out again"),
                _ => {}
            }
            held_back = trouble;
            if held_back.is_none() {
                let sent = client.get(dead_man.url.reveal()).timeout(PING_WITHIN).send().await;
                match sent.map(|answer| answer.status()) {
                    Ok(status) if status.is_success() => {}
                    Ok(status) => tracing::warn!("the dead man's switch answers {status}"),
                    Err(error) => tracing::warn!("the dead man's switch was not reached: {}", error.without_url()),
                }
            }
        }
    }

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

    fn outbox_trouble(&self, at_ms: i64) -> Option<String> {
        let undelivered = self.undelivered();
        let late = |since_ms: i64| at_ms - since_ms >= UNDELIVERED_MAX_MS;
        let stuck = undelivered.iter().find(|one| one.critical && late(one.since_ms))?;
        Some(format!("{} could not be told to anybody: {}", stuck.subject, stuck.reason))
    }

    /// Takes a heartbeat by its token; its name.
    ///
    /// # Errors
    /// That no heartbeat has this token, or that the store does not take it. Waits for the disk: to be called where that is no harm.
    pub fn heartbeat(&self, token: &str, at_ms: i64) -> Result<String, NotifyError> {
        let hash: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        let known = self.extensions().heartbeats;
        let heartbeat = known.iter().find(|heartbeat| heartbeat.token_hash == hash);
        let heartbeat = heartbeat.ok_or(NotifyError::NoHeartbeat)?;
        self.alerts()
            .put_heartbeat(&heartbeat.name, at_ms)
            .map_err(|error| NotifyError::NotNoted { reason: error.to_string() })?;
        Ok(heartbeat.name.clone())
    }

    /// Publishes how old each expected heartbeat is. One that never came counts from when it was first expected.
    async fn measure_heartbeats(&self, at_ms: i64) {
        let expected = self.extensions().heartbeats;
        if expected.is_empty() {
            return;
        }
        let alerts = self.alerts();
        let measured = tokio::task::spawn_blocking(move || {
            let came = alerts.heartbeats()?;
            for heartbeat in expected {
                let last_ms = match came.iter().find(|(name, _)| *name == heartbeat.name) {
                    Some((_, last_ms)) => *last_ms,
                    None => {
                        alerts.put_heartbeat(&heartbeat.name, at_ms)?;
                        at_ms
                    }
                };
                figures::set_heartbeat(&heartbeat.name, at_ms - last_ms, heartbeat.allowed_ms);
            }
            Ok::<_, store::StoreError>(())
        });
        match measured.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "heartbeats cannot be read"),
            Err(error) => tracing::error!(%error, "heartbeats cannot be read"),
        }
    }
}
