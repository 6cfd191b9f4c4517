//! One consistent view of a tenant, for as long as a query takes.

use std::sync::Arc;

use model::time::Day;
use model::{Histogram, Labels, Matcher, MetricMeta, MsRange, SeriesId};
use roaring::RoaringBitmap;

use crate::columns::Columns;
use crate::head::SAMPLE_BYTES;
use crate::tenant::Inner;
use crate::view::View;
use crate::{LogView, StoreError};

/// A series that a selector found.
#[derive(Debug, Clone)]
pub struct Series {
    pub id: SeriesId,
    pub labels: Labels,
}

/// Samples of one series in order of time, one a millisecond; stale markers included.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Samples {
    pub at_ms: Vec<i64>,
    pub values: Vec<f64>,
    /// Native histograms in order of time, stale ones included. A time has a float or a histogram, never both.
    pub histograms: Vec<(i64, Arc<Histogram>)>,
}

/// Asked while reading, so that a query stops at its budget and not after it.
pub trait ReadGuard {
    /// `samples` more were decoded (a native histogram counts as many floats as take its memory), `bytes` more were read. An error ends the read and is handed through.
    fn spend(&mut self, samples: u64, bytes: u64) -> Result<(), StoreError>;
}

/// A view of one tenant: what was acknowledged before it was taken, all of it, and no sample that came later. It holds no
/// transaction open; days that retention drops meanwhile are gone from it too.
#[derive(Clone)]
pub struct Snapshot {
    tenant: Arc<Inner>,
    view: View,
    logs: LogView,
}

impl Snapshot {
    pub(crate) fn new(tenant: Arc<Inner>) -> Snapshot {
        let view = tenant.view.read().clone();
        let logs = tenant.logs.view();
        Snapshot { tenant, view, logs }
    }

    /// Series that satisfy all matchers and may have samples in the range, ordered by id. An empty list of matchers selects all.
    ///
    /// # Errors
    /// `TooMuch` when more than `series_max` match.
    pub fn select(&self, matchers: &[Matcher], range: MsRange, series_max: usize) -> Result<Vec<Series>, StoreError> {
        let mut found = self.tenant.catalogue.matching(matchers);
        if found.is_empty() {
            return Ok(Vec::new());
        }
        found &= self.present(range)?;
        if found.len() > series_max as u64 {
            return Err(StoreError::TooMuch {
                message: format!(
                    "the selector matches {} series, at most {series_max} are allowed; add a label matcher",
                    found.len()
                ),
            });
        }
        let named = self.tenant.catalogue.labels_of(found);
        Ok(named.into_iter().map(|(number, labels)| Series { id: SeriesId(u64::from(number)), labels }).collect())
    }

    /// Series with chunks on a day of the range, or in a head.
    fn present(&self, range: MsRange) -> Result<RoaringBitmap, StoreError> {
        let mut present = RoaringBitmap::new();
        for day in self.tenant.days.days() {
            if Day::of_ms(range.start_ms) <= day && day <= Day::of_ms(range.end_ms) {
                let summary = self.tenant.days.summary(day)?;
                if summary.span_ms.is_none_or(|(first, last)| first <= range.end_ms && range.start_ms <= last) {
                    present |= &summary.present;
                }
            }
        }
        for head in self.view.heads() {
            present |= head.numbers();
        }
        Ok(present)
    }

    /// Samples of these series within the range (both ends included), in the order of `ids`.
    pub fn read(
        &self,
        ids: &[SeriesId],
        range: MsRange,
        guard: &mut dyn ReadGuard,
    ) -> Result<Vec<Samples>, StoreError> {
        let numbers: Vec<u32> = ids.iter().map(|id| u32::try_from(id.0).unwrap_or(u32::MAX)).collect();
        let mut columns: Vec<Columns> = Vec::new();
        columns.resize_with(numbers.len(), Columns::default);
        if range.start_ms <= range.end_ms {
            self.tenant.days.read(&numbers, range, self.view.flushed_seq, guard, &mut columns)?;
            for (number, columns) in numbers.iter().zip(&mut columns) {
                for head in self.view.heads() {
                    let weight = head.read(*number, self.view.applied_seq, range, columns) as u64;
                    if weight > 0 {
                        guard.spend(weight, weight * SAMPLE_BYTES as u64)?;
                    }
                }
            }
        }
        Ok(columns.into_iter().map(Columns::settle).collect())
    }

    /// Names of labels on any series, sorted; `__name__` among them.
    pub fn label_names(&self) -> Result<Vec<String>, StoreError> {
        Ok(self.tenant.catalogue.label_names())
    }

    /// Values of one label on any series, sorted.
    pub fn label_values(&self, name: &str) -> Result<Vec<String>, StoreError> {
        Ok(self.tenant.catalogue.label_values(name))
    }

    /// What is known of metric families, by name.
    pub fn metadata(&self) -> Result<Vec<MetricMeta>, StoreError> {
        Ok(self.tenant.catalogue.metadata())
    }

    /// The log records of the same view.
    pub fn logs(&self) -> &LogView {
        &self.logs
    }
}
