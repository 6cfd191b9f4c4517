//! One scrape of one target, from the request to what is told of it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use model::meter::{Counter, Timing};
use model::metric::stale_marker;
use model::{Kind, MetricBatch, MetricMeta, Rejected};
use server::targets::{self, TargetHealth};
use store::StoreError;

use super::Shared;
use super::batch::{Builder, Counts, Rules, refusals};
use super::cache::Cache;
use super::fetch::{Answer, Client};
use super::jobs::Order;
use super::resolution::Resolution;
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
    /// It is not in the plan any more.
    is_leaving: bool,
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
    pub(super) fn new(shared: Arc<Shared>, order: Order) -> Round {
        let Order { client, target } = order;
        let shown = target.shown();
        Round { shared, client, target, cache: Cache::default(), shown, is_leaving: false }
    }

    /// Goes on as ordered from now on, with what it knows; or prepares to leave.
    pub(super) fn follow(&mut self, order: Option<Order>) {
        self.is_leaving = order.is_none();
        let Some(Order { client, target }) = order else {
            self.shared.targets.remove(&self.shown.key());
            return;
        };
        if !self.target.names_alike(&target) {
            self.cache = std::mem::take(&mut self.cache).taken_over(&self.target);
        }
        self.shown = targets::Target {
            health: self.shown.health,
            last_error: std::mem::take(&mut self.shown.last_error),
            last_scrape_ms: self.shown.last_scrape_ms,
            last_scrape_duration: self.shown.last_scrape_duration,
            metadata: self.shown.metadata.clone(),
            ..target.shown()
        };
        self.shared.targets.put(self.shown.clone());
        (self.client, self.target) = (client, target);
    }

    pub(super) fn is_leaving(&self) -> bool {
        self.is_leaving
    }

    /// Ends all its series, those about its scrapes included.
    pub(super) async fn end(&mut self, at_ms: i64) {
        if self.shown.last_scrape_ms.is_none() {
            return;
        }
        let (shared, target, cache) = (self.shared.clone(), self.target.clone(), std::mem::take(&mut self.cache));
        let made = tokio::task::spawn_blocking(move || ends(&shared, &target, &cache, at_ms)).await;
        let stored = match made {
            Ok(Ok((tenant, batch))) => submit(&tenant, batch, STORE_AGAIN_AFTER).await.map(drop),
            Ok(Err(error)) => Err(error),
            // The panic itself was printed.
            Err(_) => return,
        };
        if let Err(error) = stored {
            tracing::error!(job = self.shown.pool, url = self.shown.url, %error, "the end of a target is not stored");
        }
        // Called back, it begins anew.
        self.shown.last_scrape_ms = None;
    }

    pub(super) fn interval_ms(&self) -> i64 {
        self.target.job.interval.ms
    }

    pub(super) fn hash(&self) -> u64 {
        self.target.hash()
    }

    /// Scrapes at a slot whose timestamp is `at_ms`; `begun` measures from it.
    pub(super) async fn scrape(&mut self, at_ms: i64, begun: Instant) {
        let answer = self.client.fetch(&self.target.url, self.target.job.timeout().std(), &self.shared.bodies).await;
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
        match submit(&tenant, batch, STORE_AGAIN_AFTER.min(self.target.job.interval.std())).await {
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

/// Stores a batch; where there is no room just now, once more after a wait.
async fn submit(tenant: &store::Tenant, batch: MetricBatch, again_after: Duration) -> Result<Rejected, StoreError> {
    let again = batch.clone();
    let stored = tenant.submit_metrics(batch).await;
    if stored.as_ref().is_err_and(|error| matches!(error.kind(), Kind::Busy | Kind::Unavailable)) {
        tokio::time::sleep(again_after).await;
        return tenant.submit_metrics(again).await;
    }
    stored
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
    let owner = target.owner();
    let rules = Rules {
        owner,
        honor_timestamps: target.job.honor_timestamps,
        sample_limit: target.job.sample_limit,
        label_limit: target.job.label_limit,
        buckets: target.job.buckets(),
        resolution: Resolution::of(&target.job),
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
    end_all(&mut builder, &cache, target, failure.is_some(), at_ms);
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

/// Ends what is not there any more: all of it when the scrape `failed`, or none will follow.
fn end_all(builder: &mut Builder<'_>, cache: &Cache, target: &Target, failed: bool, at_ms: i64) {
    builder.end(&cache.ended(failed), target.owner(), at_ms);
    if let Some((former, ended)) = cache.former_ended(failed) {
        builder.end(&ended, former.owner(), at_ms);
    }
}

/// The batch that ends a target.
fn ends(
    shared: &Shared,
    target: &Target,
    cache: &Cache,
    at_ms: i64,
) -> Result<(store::Tenant, MetricBatch), StoreError> {
    let tenant = shared.store.tenant(&target.tenant)?;
    let mut builder = Builder::new(tenant.known_series());
    end_all(&mut builder, cache, target, true, at_ms);
    for (key, labels) in &target.report {
        builder.report(*key, labels, at_ms, stale_marker());
    }
    let (batch, _) = builder.finish();
    Ok((tenant.clone(), batch))
}
