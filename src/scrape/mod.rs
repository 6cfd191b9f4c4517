//! Asks targets for their metrics (`[[scrape]]`): one task a target, each scrape one batch through the same intake as everything else.
//!
//! What Prometheus does is done here: slots spread by the target's hash, `up` and the `scrape_*` series, stale markers for series that are
//! gone and for all of them when a target is down. A stop of the appliance writes no markers, so that a restart leaves no gap.

mod batch;
mod cache;
mod fetch;
mod labels;
mod relabel;
mod round;
mod target;
#[cfg(test)]
mod tests;
mod timing;
mod tls;

use std::sync::Arc;
use std::time::{Duration, Instant};

use codec::otlp::MetricsSettings;
use model::MsRange;
use server::targets::Targets;
use store::Store;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use crate::clock;
use crate::config;
use fetch::Client;
use round::Round;
use target::{Labelled, Target};

/// Memory of answers in work together, in KiB; a scrape that gets none fails, and says so.
const BODIES_KIB_MAX: usize = 128 << 10;
/// Answers that are parsed at once: parsing is CPU.
const PARSED_AT_ONCE: usize = 2;

/// A job that cannot be scraped as configured.
#[derive(Debug, thiserror::Error)]
#[error("scrape {job:?}: {reason}")]
pub struct ScrapeError {
    pub job: String,
    pub reason: String,
}

/// Whether a job can be scraped as configured, asking nobody: its certificates, secrets from the environment, and URLs.
pub fn check(job: &config::Scrape) -> Result<(), ScrapeError> {
    let failed = |reason: String| ScrapeError { job: job.job.clone(), reason };
    Client::new(job).map_err(failed)?;
    relabel::Relabeler::new(&job.metric_relabel_configs).map_err(failed)?;
    job.targets.iter().try_for_each(|address| Target::relabelled(job, address).map(drop)).map_err(failed)
}

/// What all targets share.
pub(crate) struct Shared {
    store: Store,
    targets: Targets,
    metrics: MetricsSettings,
    retention_ms: i64,
    future_ms: i64,
    bodies: Arc<Semaphore>,
    parsing: Semaphore,
}

/// All configured targets, ready to run.
pub struct Scraper {
    shared: Arc<Shared>,
    targets: Vec<(Arc<Client>, Target)>,
}

impl Scraper {
    /// Reads what the jobs name (certificates, secrets from the environment) and shows their targets as not scraped yet.
    pub fn new(
        jobs: &[config::Scrape],
        store: Store,
        shown: Targets,
        metrics: MetricsSettings,
        future: Duration,
    ) -> Result<Scraper, ScrapeError> {
        let mut targets = Vec::new();
        for job in jobs {
            let failed = |reason: String| ScrapeError { job: job.job.clone(), reason };
            let client = Arc::new(Client::new(job).map_err(failed)?);
            for address in &job.targets {
                match Target::relabelled(job, address).map_err(failed)? {
                    Labelled::Kept(target) => {
                        shown.put(target.shown());
                        targets.push((client.clone(), *target));
                    }
                    Labelled::Dropped { tenant, discovered } => shown.put_dropped(tenant, job.job.clone(), discovered),
                }
            }
        }
        let shared = Arc::new(Shared {
            retention_ms: store.options().metrics_retention_ms,
            future_ms: i64::try_from(future.as_millis()).unwrap_or(i64::MAX),
            store,
            targets: shown,
            metrics,
            bodies: Arc::new(Semaphore::new(BODIES_KIB_MAX)),
            parsing: Semaphore::new(PARSED_AT_ONCE),
        });
        Ok(Scraper { shared, targets })
    }

    /// Scrapes until told to stop. A scrape under way then is given up.
    pub async fn run(self, stop: watch::Receiver<bool>) {
        let mut tasks = JoinSet::new();
        for (client, target) in self.targets {
            tasks.spawn(run_target(self.shared.clone(), client, target, stop.clone()));
        }
        let mut stopped = stop;
        // Where nothing is scraped too, the loop ends only when it is told to.
        drop(stopped.wait_for(|stop| *stop).await);
        while let Some(ended) = tasks.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "a scrape loop panicked");
            }
        }
    }
}

async fn run_target(shared: Arc<Shared>, client: Arc<Client>, target: Target, mut stop: watch::Receiver<bool>) {
    let mut round = Round::new(shared, client, target);
    loop {
        let slot_ms = timing::next_slot_ms(clock::now_ms(), round.interval_ms(), round.hash());
        let wait = Duration::from_millis(slot_ms.saturating_sub(clock::now_ms()).unsigned_abs());
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
        let at_ms = timing::aligned_ms(slot_ms, clock::now_ms(), round.interval_ms());
        let begun = Instant::now();
        tokio::select! {
            () = round.scrape(at_ms, begun) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}

impl Shared {
    /// The times at which samples are taken, seen from a scrape's own.
    fn accept(&self, at_ms: i64) -> MsRange {
        MsRange { start_ms: at_ms.saturating_sub(self.retention_ms), end_ms: at_ms.saturating_add(self.future_ms) }
    }
}
