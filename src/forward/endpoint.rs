//! One Alertmanager: what it is sent, how it answers, and what then. Each has a queue and a task of its own, so that one that is down
//! delays no other.
//!
//! What it refuses (4xx) is dropped and counted: the same alerts would be refused again, and what goes on is sent anew within two
//! minutes anyway. What did not reach it waits, with waits that double, until it does or newer word takes its place.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use model::meter::{Counter, Gauge, Timing};
use model::time::rfc3339_ms;
use model::{Labels, LabelsBuilder, TenantId};
use reqwest::{StatusCode, header};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::due::Alert;
use super::queue::{ALERTS_MAX, Queue};
use crate::config;
use crate::outgoing::credentials::Credentials;
use crate::outgoing::{plain_error, tls};
use crate::relabel::Relabeler;

/// Alerts of one request, as Prometheus 2 sent them; Alertmanager takes more.
const BATCH_MAX: usize = 64;
/// The first wait after a failure, which doubles up to the longest.
const WAIT_MIN: Duration = Duration::from_secs(1);
const WAIT_MAX: Duration = Duration::from_secs(30);
/// How much of an answer is read, for the log.
const ANSWER_BYTES_MAX: usize = 1 << 10;

static SENT: Counter = Counter::new(
    "binnacle_alertmanager_sent_total",
    "Alerts that an Alertmanager of [[alertmanagers]] took.",
    &["alertmanager"],
);
static ERRORS: Counter =
    Counter::new("binnacle_alertmanager_errors_total", "Requests to an Alertmanager that failed.", &["alertmanager"]);
static DROPPED: Counter = Counter::new(
    "binnacle_alertmanager_dropped_total",
    "Alerts that an Alertmanager refused, or that made way in its full queue.",
    &["alertmanager"],
);
static QUEUED: Gauge =
    Gauge::new("binnacle_alertmanager_queue_length", "Alerts that wait for an Alertmanager.", &["alertmanager"]);
static LATENCY: Timing =
    Timing::new("binnacle_alertmanager_duration_seconds", "How long requests to Alertmanagers take.", &[]);

pub(super) struct Endpoint {
    pub(super) url: String,
    /// Whose alerts it is sent; `None` for everybody's.
    pub(super) tenant: Option<TenantId>,
    http: reqwest::Client,
    credentials: Credentials,
    timeout: Duration,
    external_labels: BTreeMap<String, String>,
    relabeler: Relabeler,
    queue: Queue,
}

/// Why a batch was not taken.
enum Failure {
    /// It may be another time.
    Unreached(String),
    Refused(String),
}

impl Endpoint {
    /// One for each target of an entry.
    ///
    /// # Errors
    /// What is wrong with its certificates, secrets or steps.
    pub(super) fn of(entry: &config::Alertmanagers) -> Result<Vec<Endpoint>, String> {
        let make = |target: &String| {
            let http = reqwest::Client::builder()
                .tls_backend_preconfigured(tls::config(entry.ca_file.as_deref(), entry.insecure_skip_verify)?)
                // A redirect may turn a POST into a GET, whose 200 would pass for a yes.
                .redirect(reqwest::redirect::Policy::none())
                .no_proxy()
                .user_agent(concat!("binnacle/", env!("CARGO_PKG_VERSION")))
                .build()
                .map_err(|error| error.to_string())?;
            let prefix = entry.path_prefix.trim_end_matches('/');
            let endpoint = Endpoint {
                url: format!("{}://{target}{prefix}/api/v2/alerts", entry.scheme.as_str()),
                // They were found good when the configuration was.
                tenant: entry.tenant.as_ref().and_then(|tenant| TenantId::new(tenant).ok()),
                http,
                credentials: Credentials::new(&entry.basic_auth, &entry.bearer_token, &entry.bearer_token_file)?,
                timeout: entry.timeout.std(),
                external_labels: entry.external_labels.clone(),
                relabeler: Relabeler::new(&entry.alert_relabel_configs)?,
                queue: Queue::default(),
            };
            // So that their increase can be watched before the first failure.
            for counter in [&SENT, &ERRORS, &DROPPED] {
                counter.add(&[&endpoint.url], 0);
            }
            Ok(endpoint)
        };
        entry.targets.iter().map(make).collect()
    }

    /// Has alerts sent; waits for nobody.
    pub(super) fn push(&self, alerts: &[Arc<Alert>]) {
        let own: Vec<Arc<Alert>> = alerts.iter().filter_map(|alert| self.relabelled(alert)).collect();
        let dropped = self.queue.push(&own);
        if dropped > 0 {
            DROPPED.add(&[&self.url], dropped);
            tracing::warn!(alertmanager = self.url, dropped, "more than {ALERTS_MAX} alerts wait for an Alertmanager");
        }
        QUEUED.set(&[&self.url], self.queue.len() as f64);
    }

    /// The alert with the labels that this Alertmanager sees; `None` when a step drops it.
    fn relabelled(&self, alert: &Arc<Alert>) -> Option<Arc<Alert>> {
        if self.external_labels.is_empty() && self.relabeler.is_empty() {
            return Some(alert.clone());
        }
        let mut builder = LabelsBuilder::default();
        let missing = self.external_labels.iter().filter(|(name, _)| alert.labels.get(name).is_none());
        let missing = missing.map(|(name, value)| (name.as_str(), value.as_str()));
        for (name, value) in alert.labels.iter().chain(missing) {
            builder.push(name, value);
        }
        let labels: Labels = self.relabeler.apply(&builder.build())?;
        Some(Arc::new(Alert { labels, ..(**alert).clone() }))
    }

    /// Sends what is pushed until told to stop. What waits then is sent by the next start, as far as it still holds.
    pub(super) async fn run(&self, mut stop: watch::Receiver<bool>) {
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => {}
            () = self.send_all() => {}
        }
    }

    async fn send_all(&self) {
        let mut wait = WAIT_MIN;
        let mut is_failing = false;
        loop {
            let batch = self.queue.take(BATCH_MAX);
            if batch.is_empty() {
                self.queue.more().await;
                continue;
            }
            let began = Instant::now();
            let answered = self.post(body(&batch)).await;
            LATENCY.observe(&[], began.elapsed());
            match answered {
                Ok(()) => {
                    SENT.add(&[&self.url], batch.len() as u64);
                    if is_failing {
                        tracing::info!(alertmanager = self.url, "takes alerts again");
                    }
                    (wait, is_failing) = (WAIT_MIN, false);
                }
                Err(Failure::Refused(reason)) => {
                    ERRORS.add(&[&self.url], 1);
                    DROPPED.add(&[&self.url], batch.len() as u64);
                    tracing::error!(alertmanager = self.url, alerts = batch.len(), "alerts refused: {reason}");
                }
                Err(Failure::Unreached(reason)) => {
                    ERRORS.add(&[&self.url], 1);
                    // Once when it begins, not at each try.
                    if !is_failing {
                        tracing::warn!(alertmanager = self.url, "alerts wait: {reason}");
                    }
                    is_failing = true;
                    self.put_back(batch);
                    tokio::time::sleep(wait).await;
                    wait = (wait * 2).min(WAIT_MAX);
                }
            }
            QUEUED.set(&[&self.url], self.queue.len() as f64);
        }
    }

    /// Has alerts wait that did not reach it.
    fn put_back(&self, batch: Vec<Arc<Alert>>) {
        self.queue.put_back(batch);
        QUEUED.set(&[&self.url], self.queue.len() as f64);
    }

    async fn post(&self, body: String) -> Result<(), Failure> {
        let request = self.http.post(&self.url).timeout(self.timeout).header(header::CONTENT_TYPE, "application/json");
        let request = self.credentials.add_to(request.body(body)).await.map_err(Failure::Unreached)?;
        let mut response = request.send().await.map_err(|error| Failure::Unreached(plain_error(error)))?;
        let status = response.status();
        if status.is_success() {
            return Ok(());
        }
        let mut answer = Vec::new();
        while let Ok(Some(chunk)) = response.chunk().await {
            answer.extend_from_slice(&chunk);
            if answer.len() >= ANSWER_BYTES_MAX {
                break;
            }
        }
        answer.truncate(ANSWER_BYTES_MAX);
        let reason = format!("HTTP status {status}: {}", String::from_utf8_lossy(&answer).trim());
        let is_for_now = matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS);
        match status.is_client_error() && !is_for_now {
            true => Err(Failure::Refused(reason)),
            false => Err(Failure::Unreached(reason)),
        }
    }
}

/// The body of `POST /api/v2/alerts` (Alertmanager's `postableAlerts`).
fn body(alerts: &[Arc<Alert>]) -> String {
    let shown = |alert: &Arc<Alert>| {
        let Alert { labels, annotations, starts_ms, ends_ms, generator_url } = &**alert;
        json!({
            "labels": map(labels.iter()),
            "annotations": map(annotations.iter().map(|(name, value)| (name.as_str(), value.as_str()))),
            "startsAt": rfc3339_ms(*starts_ms),
            "endsAt": rfc3339_ms(*ends_ms),
            "generatorURL": generator_url,
        })
    };
    Value::Array(alerts.iter().map(shown).collect()).to_string()
}

fn map<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Value {
    Value::Object(pairs.map(|(name, value)| (name.to_owned(), value.into())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_again_is_counted_at_once() {
        let entry = toml::from_str("targets = ['queued.example:1']").expect("an entry");
        let endpoint = Endpoint::of(&entry).expect("an endpoint").remove(0);
        let alert = |host: &str| {
            Arc::new(Alert {
                labels: Labels::from_pairs([("host", host)]),
                annotations: Vec::new(),
                starts_ms: 0,
                ends_ms: 0,
                generator_url: String::new(),
            })
        };
        let length = || {
            let all = model::meter::gather().into_iter().filter(|family| family.name.ends_with("_queue_length"));
            let mut rows = all.flat_map(|family| family.series);
            rows.find(|(_, labels, _)| labels[0].1.contains("queued.example")).map(|(.., value)| value)
        };
        endpoint.push(&[alert("a"), alert("b")]);
        let sent = endpoint.queue.take(BATCH_MAX);
        endpoint.push(&[alert("b"), alert("c")]);
        assert_eq!(length(), Some(2.0));
        endpoint.put_back(sent);
        assert_eq!(length(), Some(3.0), "b has newer word");
    }
}
