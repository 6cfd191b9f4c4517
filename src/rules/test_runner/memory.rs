//! Series of a rule test, in memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use model::{Labels, Matcher, MsRange, SeriesId};
use query::promql::Source;
use store::{ReadGuard, Samples, Series, StoreError, Tenant};

use crate::ground::{Ground, Point, Written};

/// Samples by time, of each series.
type SeriesMap = BTreeMap<Labels, BTreeMap<i64, Point>>;

/// A cheap handle; all see the same series.
#[derive(Clone, Default)]
pub(crate) struct Memory {
    series: Arc<Mutex<SeriesMap>>,
    logs: Option<Tenant>,
}

impl Memory {
    pub(crate) fn with_logs(logs: Option<Tenant>) -> Memory {
        Memory { logs, ..Memory::default() }
    }

    #[cfg(test)]
    pub(crate) fn add(&self, labels: &Labels, sample: model::Sample) {
        self.put(labels, sample.at_ms, Point::Float(sample.value));
    }

    pub(crate) fn put(&self, labels: &Labels, at_ms: i64, point: Point) {
        self.series().entry(labels.clone()).or_default().insert(at_ms, point);
    }

    fn series(&self) -> MutexGuard<'_, SeriesMap> {
        self.series.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ground for Memory {
    fn source(&self) -> Result<Box<dyn Source>, StoreError> {
        Ok(Box::new(self.clone()))
    }

    fn logs(&self) -> Result<Option<store::Snapshot>, StoreError> {
        self.logs.as_ref().map(Tenant::snapshot).transpose()
    }

    fn write(&self, values: &[Written]) -> Result<(), String> {
        values.iter().for_each(|written| self.put(&written.labels, written.at_ms, written.point.clone()));
        Ok(())
    }
}

impl Source for Memory {
    fn select(&self, matchers: &[Matcher], range: MsRange, series_max: usize) -> Result<Vec<Series>, StoreError> {
        let mut found = Vec::new();
        for (id, (labels, samples)) in (0..).zip(self.series().iter()) {
            let inside = samples.range(range.start_ms..=range.end_ms).next().is_some();
            if inside && matchers.iter().all(|matcher| matcher.matches_labels(labels)) {
                found.push(Series { id: SeriesId(id), labels: labels.clone() });
            }
        }
        if found.len() > series_max {
            return Err(StoreError::TooMuch { message: format!("more than {series_max} series match") });
        }
        Ok(found)
    }

    fn read(&self, series: &[Series], range: MsRange, guard: &mut dyn ReadGuard) -> Result<Vec<Samples>, StoreError> {
        let all = self.series();
        let mut out = Vec::with_capacity(series.len());
        for wanted in series {
            let samples =
                all.get(&wanted.labels).into_iter().flat_map(|samples| samples.range(range.start_ms..=range.end_ms));
            let mut read = Samples::default();
            for (at_ms, point) in samples {
                match point {
                    Point::Float(value) => {
                        read.at_ms.push(*at_ms);
                        read.values.push(*value);
                    }
                    Point::Histogram(histogram) => read.histograms.push((*at_ms, histogram.clone())),
                }
            }
            let count = (read.at_ms.len() + read.histograms.len()) as u64;
            guard.spend(count, 16 * count)?;
            out.push(read);
        }
        Ok(out)
    }
}
