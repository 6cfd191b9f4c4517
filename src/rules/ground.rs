//! Where a group's rules read and write series: a tenant, or the memory of a rule test.

use std::time::Duration;

use model::batch::{MetricBatch, SeriesEntry};
use model::{Labels, Matcher, MsRange, Sample};
use query::promql::Source;
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
    /// Writes samples, and returns when the next view sees them. An error in words, for the rule's health.
    fn write(&self, samples: &[(Labels, Sample)]) -> Result<(), String>;
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
        let snapshot = self.tenant.snapshot()?;
        Ok(match self.tenant.trouble() {
            None => Box::new(snapshot),
            Some(_) => Box::new(Stopped::new(snapshot, self.at_ms)),
        })
    }

    fn logs(&self) -> Result<Option<store::Snapshot>, StoreError> {
        self.tenant.snapshot().map(Some)
    }

    fn write(&self, samples: &[(Labels, Sample)]) -> Result<(), String> {
        let count = u32::try_from(samples.len()).map_err(|_| "too many samples in one rule".to_string())?;
        let batch = MetricBatch {
            series: samples
                .iter()
                .map(|(labels, _)| SeriesEntry::New { key: series_key(labels), labels: labels.clone() })
                .collect(),
            samples: samples.iter().zip(0..).map(|((_, sample), at)| (at, *sample)).collect(),
            points: (0..count).collect(),
            derived_from: count,
            metadata: Vec::new(),
            ..MetricBatch::default()
        };
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
