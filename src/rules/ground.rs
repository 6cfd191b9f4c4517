//! Where a group's rules read and write series: a tenant, or the memory of a rule test.

use std::time::Duration;

use model::batch::{MetricBatch, SeriesEntry};
use model::{Labels, Matcher, MsRange, Sample, metric};
use query::promql::Source;
pub(crate) use query::promql::notation::Value as Point;
use store::{ReadGuard, Samples, Series, StoreError};
use tokio::runtime::Handle;
use xxhash_rust::xxh3::Xxh3;

use crate::stopped::Stopped;

/// How long a write may wait for its commit before the rule counts as failed.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

pub(crate) trait Ground {
    /// One consistent view, which sees everything written before.
    fn source(&self) -> Result<Box<dyn Source>, store::StoreError>;
    /// A view of the logs; `None` where there are none.
    fn logs(&self) -> Result<Option<store::Snapshot>, StoreError>;
    /// Writes values, and returns when the next view sees them. An error in words, for the rule's health.
    fn write(&self, values: &[Written]) -> Result<(), String>;
}

/// A value that a rule gives its series.
#[derive(Debug, Clone)]
pub(crate) struct Written {
    pub(crate) labels: Labels,
    pub(crate) at_ms: i64,
    pub(crate) point: Point,
}

impl Written {
    pub(crate) fn float(labels: Labels, at_ms: i64, value: f64) -> Written {
        Written { labels, at_ms, point: Point::Float(value) }
    }

    /// The end of a series, be it of numbers or of histograms.
    pub(crate) fn end(labels: Labels, at_ms: i64) -> Written {
        Written::float(labels, at_ms, metric::stale_marker())
    }
}

/// A source without series: what is left when the real one cannot be asked.
pub(crate) struct Nothing;

impl Source for Nothing {
    fn select(&self, _: &[Matcher], _: MsRange, _: usize) -> Result<Vec<Series>, StoreError> {
        Ok(Vec::new())
    }

    fn read(&self, series: &[Series], _: MsRange, _: &mut dyn ReadGuard) -> Result<Vec<Samples>, StoreError> {
        Ok(series.iter().map(|_| Samples::default()).collect())
    }
}

/// A tenant's store, from a blocking thread.
pub(crate) struct TenantGround {
    pub(crate) tenant: store::Tenant,
    /// The runtime to wait on for a commit.
    pub(crate) runtime: Handle,
    /// Time of what is asked.
    pub(crate) at_ms: i64,
}

impl Ground for TenantGround {
    fn source(&self) -> Result<Box<dyn Source>, store::StoreError> {
        newest(&self.tenant, self.at_ms)
    }

    fn logs(&self) -> Result<Option<store::Snapshot>, StoreError> {
        self.tenant.snapshot().map(Some)
    }

    fn write(&self, values: &[Written]) -> Result<(), String> {
        let mut batch = MetricBatch::default();
        for (written, at) in values.iter().zip(0_u32..) {
            let labels = written.labels.clone();
            batch.series.push(SeriesEntry::New { key: series_key(&labels), labels });
            match &written.point {
                Point::Float(value) => batch.samples.push((at, Sample { at_ms: written.at_ms, value: *value })),
                Point::Histogram(histogram) => batch.histograms.push((at, written.at_ms, (**histogram).clone())),
            }
        }
        let count = u32::try_from(batch.samples.len()).map_err(|_| "too many samples in one rule".to_string())?;
        batch.points = (0..count).collect();
        batch.derived_from = count;
        let submitted = self
            .runtime
            .block_on(async { tokio::time::timeout(WRITE_TIMEOUT, self.tenant.submit_metrics(batch)).await });
        match submitted {
            Ok(Ok(rejected)) if rejected.is_empty() => Ok(()),
            Ok(Ok(rejected)) => Err(format!("series were refused: {}", rejected.message())),
            Ok(Err(error)) => Err(format!("cannot write series: {error}")),
            Err(_) => Err(format!("cannot write series: no commit within {} s", WRITE_TIMEOUT.as_secs())),
        }
    }
}

/// What a tenant has, and while it can store nothing what is known of it otherwise.
pub(crate) fn newest(tenant: &store::Tenant, at_ms: i64) -> Result<Box<dyn Source>, StoreError> {
    let snapshot = tenant.snapshot()?;
    Ok(match tenant.trouble() {
        None => Box::new(snapshot),
        Some(_) => Box::new(Stopped::new(snapshot, at_ms)),
    })
}

/// What the store remembers a rule's series under; no sender's key begins like this.
fn series_key(labels: &Labels) -> u128 {
    let mut hash = Xxh3::new();
    hash.update(b"binnacle rule\0");
    for (name, value) in labels.iter() {
        for text in [name, value] {
            hash.update(&(text.len() as u64).to_le_bytes());
            hash.update(text.as_bytes());
        }
    }
    hash.digest128()
}
