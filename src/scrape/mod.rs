//! Asks targets for their metrics (`[[scrape]]`): one task a target, each scrape one batch through the same intake as everything else.
//!
//! What Prometheus does is done here: slots spread by the target's hash, `up` and the `scrape_*` series, stale markers for series that are
//! gone, for all of them when a target is down, and when it is not asked any more. A stop of the appliance writes no markers, so that a
//! restart leaves no gap.

mod batch;
mod cache;
mod discovery;
mod fetch;
mod fleet;
mod jobs;
mod labels;
mod resolution;
mod round;
mod target;
#[cfg(test)]
mod tests;
mod timing;

use std::sync::Arc;
use std::time::Duration;

use codec::otlp::MetricsSettings;
use model::MsRange;
use server::targets::Targets;
use store::Store;
use tokio::sync::{Semaphore, mpsc, watch};

use crate::config;
use discovery::Discovery;
use fleet::Fleet;
pub use jobs::Jobs;

/// Memory of answers in work together, in KiB; a scrape that gets none fails, and says so.
const BODIES_KIB_MAX: usize = 128 << 10;
/// Answers that are parsed at once: parsing is CPU.
const PARSED_AT_ONCE: usize = 2;
/// Between two looks at the files of targets: soon for whoever edits one, and no cost where little changes.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// A job that cannot be scraped as configured.
#[derive(Debug, thiserror::Error)]
#[error("scrape {job:?}: {reason}")]
pub struct ScrapeError {
    pub job: String,
    pub reason: String,
}

/// Whether a job can be scraped as configured, asking nobody: its certificates, secrets from the environment, URLs, and its files of
/// targets. How many targets it has.
pub fn check(job: &config::Scrape) -> Result<usize, ScrapeError> {
    let jobs = Jobs::new(std::slice::from_ref(job))?;
    let failed = |reason: String| ScrapeError { job: job.job.clone(), reason };
    let mut count = job.targets.len();
    for pattern in jobs.files() {
        for path in crate::files::matching(pattern, |_| true).map_err(failed)?.iter().filter(|path| path.is_file()) {
            count += discovery::read(path).map_err(failed)?.iter().map(|group| group.targets.len()).sum::<usize>();
        }
    }
    Ok(count)
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
    jobs: Arc<Jobs>,
    reloads: mpsc::Receiver<Jobs>,
}

/// Hands new jobs to a running [`Scraper`]; a cheap handle.
#[derive(Clone)]
pub struct Reloader(mpsc::Sender<Jobs>);

impl Reloader {
    /// From now on these jobs hold. Waits until the scraper has taken them over from whoever came before.
    pub async fn reload(&self, jobs: Jobs) {
        // The scraper is gone only when all stops.
        drop(self.0.send(jobs).await);
    }
}

impl Scraper {
    pub fn new(
        jobs: Jobs,
        store: Store,
        shown: Targets,
        metrics: MetricsSettings,
        future: Duration,
    ) -> (Scraper, Reloader) {
        let shared = Arc::new(Shared {
            retention_ms: store.options().metrics_retention_ms,
            future_ms: i64::try_from(future.as_millis()).unwrap_or(i64::MAX),
            store,
            targets: shown,
            metrics,
            bodies: Arc::new(Semaphore::new(BODIES_KIB_MAX)),
            parsing: Semaphore::new(PARSED_AT_ONCE),
        });
        let (tell, reloads) = mpsc::channel(1);
        (Scraper { shared, jobs: Arc::new(jobs), reloads }, Reloader(tell))
    }

    /// Scrapes until told to stop. A scrape under way then is given up.
    pub async fn run(self, stop: watch::Receiver<bool>) {
        let Scraper { shared, mut jobs, mut reloads } = self;
        let mut fleet = Fleet::new(shared, stop.clone());
        let mut stopped = stop;
        let mut discovery = Discovery::default();
        let mut is_new = true;
        'running: loop {
            let (looked, own) = (discovery, jobs.clone());
            let looking = tokio::task::spawn_blocking(move || look(looked, &own, is_new));
            // A panic there was printed; what it knew is read again.
            let (known, plan) = looking.await.unwrap_or_default();
            discovery = known;
            if let Some(plan) = plan {
                fleet.follow(plan);
            }
            is_new = false;
            let has_files = jobs.files().next().is_some();
            let look_at = tokio::time::Instant::now() + LOOK_EVERY;
            loop {
                tokio::select! {
                    _ = stopped.wait_for(|stop| *stop) => break 'running,
                    Some(reloaded) = reloads.recv() => {
                        jobs = Arc::new(reloaded);
                        is_new = true;
                        break;
                    }
                    () = tokio::time::sleep_until(look_at), if has_files => break,
                    () = fleet.ended() => {}
                }
            }
        }
        fleet.all_ended().await;
    }
}

/// Reads files of targets that changed; the plan, if it may be another than before.
fn look(mut discovery: Discovery, jobs: &Jobs, is_new: bool) -> (Discovery, Option<jobs::Plan>) {
    let has_changed = discovery.look(jobs.files());
    let plan = (is_new || has_changed).then(|| jobs.plan(&discovery));
    (discovery, plan)
}

impl Shared {
    /// The times at which samples are taken, seen from a scrape's own.
    fn accept(&self, at_ms: i64) -> MsRange {
        MsRange { start_ms: at_ms.saturating_sub(self.retention_ms), end_ms: at_ms.saturating_add(self.future_ms) }
    }
}
