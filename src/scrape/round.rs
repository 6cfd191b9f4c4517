//! One scrape of one target, from the request to what is told of it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use model::meter::{Counter, Timing};
use model::{Kind, MetricBatch, MetricMeta, Rejected};
use server::targets::{self, TargetHealth};
use store::StoreError;

use super::Shared;
use super::batch::{Builder, Counts, Rules, refusals};
use super::cache::{Cache, Owner};
use super::fetch::{Answer, Client};
use super::target::Target;

static SCRAPES: Counter = Counter::new(
    "binnacle_scrapes_total",
    "Scrapes by how they ended: ok, failed (no usable answer), not_stored.",
    &["result"],
);
static TOOK: Timing = Timing::new("binnacle_scrape_duration_seconds", "From the request to its rows stored.", &[]);

/// How long to wait before the one more attempt at storing what was scraped.
const STORE_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// A target between its scrapes.
pub(super) struct Round {
    shared: Arc<Shared>,
    client: Arc<Client>,
    target: Arc<Target>,
    cache: Cache,
    shown: targets::Target,
}

/// What a scrape gives to store and to tell.
struct Rows {
    cache: Cache,
    tenant: store::Tenant,
    batch: MetricBatch,
    counts: Counts,
    rejected: Rejected,
    families: Vec<MetricMeta>,
    /// Why the answer was of no use.
    failure: Option<String>,
}

impl Round {
    pub(super) fn new(shared: Arc<Shared>, client: Arc<Client>, target: Target) -> Round {
        let shown = target.shown();
        Round { shared, client, target: Arc::new(target), cache: Cache::default(), shown }
    }

    pub(super) fn interval_ms(&self) -> i64 {
        self.target.job.interval.ms
    }

    pub(super) fn hash(&self) -> u64 {
        self.target.hash()
    }

    /// Scrapes at a slot whose timestamp is `at_ms`; `begun` measures from it.
    pub(super) async fn scrape(&mut self, at_ms: i64, begun: Instant) {
        let answer = self.client.fetch(&self.target.url, &self.shared.bodies).await;
        let Ok(slot) = self.shared.parsing.acquire().await else { return };
        let (shared, target) = (self.shared.clone(), self.target.clone());
        let cache = std::mem::take(&mut self.cache);
        // Parsing, and the first use of a tenant, are CPU and disk.
        let rows = tokio::task::spawn_blocking(move || rows(&shared, &target, cache, answer, at_ms, begun)).await;
        drop(slot);
        match rows {
            Ok(Ok(rows)) => self.store(rows, at_ms, begun).await,
            Ok(Err(given_back)) => {
                let (cache, error) = *given_back;
                self.cache = cache;
                self.tell(at_ms, begun, "not_stored", Some(not_stored(&error)), None);
            }
            // The panic itself was printed; the series begin anew.
            Err(_) => self.tell(at_ms, begun, "failed", Some("reading the answer ended in a panic".into()), None),
        }
    }

    async fn store(&mut self, rows: Rows, at_ms: i64, begun: Instant) {
        let Rows { cache, tenant, batch, counts, mut rejected, families, failure } = rows;
        self.cache = cache;
        let points = batch.points.len() as u64;
        let again = batch.clone();
        let mut stored = tenant.submit_metrics(batch).await;
        if stored.as_ref().is_err_and(|error| matches!(error.kind(), Kind::Busy | Kind::Unavailable)) {
            tokio::time::sleep(STORE_AGAIN_AFTER.min(self.target.job.interval.std())).await;
            stored = tenant.submit_metrics(again).await;
        }
        match stored {
            Ok(by_store) => {
                self.cache.commit(failure.is_some());
                let kept = points.saturating_sub(by_store.total());
                rejected.merge(by_store);
                server::count_scraped(kept, &rejected);
                let result = if failure.is_some() { "failed" } else { "ok" };
                let families = failure.is_none().then_some(families);
                let error = failure.or_else(|| refusals(&rejected, counts.duplicates));
                self.tell(at_ms, begun, result, error, families);
            }
            Err(error) => {
                self.tell(at_ms, begun, "not_stored", Some(failure.unwrap_or_else(|| not_stored(&error))), None)
            }
        }
    }

    fn tell(
        &mut self,
        at_ms: i64,
        begun: Instant,
        result: &'static str,
        error: Option<String>,
        families: Option<Vec<MetricMeta>>,
    ) {
        let took = begun.elapsed();
        SCRAPES.add(&[result], 1);
        TOOK.observe(&[], took);
        let error = error.unwrap_or_default();
        if error != self.shown.last_error && !error.is_empty() {
            tracing::warn!(job = self.shown.pool, url = self.shown.url, error, "scrape");
        }
        self.shown.health = if result == "failed" { TargetHealth::Down } else { TargetHealth::Up };
        self.shown.last_error = error;
        self.shown.last_scrape_ms = Some(at_ms);
        self.shown.last_scrape_duration = took;
        if let Some(families) = families.filter(|families| families[..] != self.shown.metadata[..]) {
            self.shown.metadata = families.into();
        }
        self.shared.targets.put(self.shown.clone());
    }
}

fn not_stored(error: &StoreError) -> String {
    format!("what was scraped is not stored: {error}")
}

/// Makes the batch of a scrape; with the cache given back when there is no tenant to store it for.
fn rows(
    shared: &Shared,
    target: &Target,
    mut cache: Cache,
    answer: Result<Answer, String>,
    at_ms: i64,
    begun: Instant,
) -> Result<Rows, Box<(Cache, StoreError)>> {
    let tenant = match shared.store.tenant(&target.tenant) {
        Ok(tenant) => tenant,
        Err(error) => return Err(Box::new((cache, error))),
    };
    let owner =
        Owner { labels: &target.labels, honor_labels: target.job.honor_labels, relabel: &target.metric_relabel };
    let rules = Rules {
        owner,
        honor_timestamps: target.job.honor_timestamps,
        sample_limit: target.job.sample_limit,
        label_limit: target.job.label_limit,
        metrics: &shared.metrics,
        accept: shared.accept(at_ms),
    };
    let mut builder = Builder::new(tenant.known_series());
    cache.begin();
    let read = answer.and_then(|mut answer| {
        let format = answer.format;
        builder.answer(answer.unpacked()?, format, at_ms, &rules, &mut cache)
    });
    let failure = read.err();
    if failure.is_some() {
        builder.clear();
    }
    builder.end(&cache.ended(failure.is_some()), owner, at_ms);
    let counts = builder.counts;
    let values = [
        if failure.is_some() { 0.0 } else { 1.0 },
        begun.elapsed().as_secs_f64(),
        counts.scraped as f64,
        counts.added as f64,
        counts.series_added as f64,
    ];
    for ((key, labels), value) in target.report.iter().zip(values) {
        builder.report(*key, labels, at_ms, value);
    }
    let rejected = std::mem::take(&mut builder.rejected);
    let (batch, families) = builder.finish();
    Ok(Rows { cache, batch, counts, rejected, families, failure, tenant: tenant.clone() })
}
