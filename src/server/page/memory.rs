//! Series in memory, to ask the pages' own queries of.

use std::time::Duration;

use model::{Labels, Matcher, MsRange, SeriesId};
use query::Budget;
use query::promql::{Options, Source};
use store::{ReadGuard, Samples, Series, StoreError};

use super::asked::Metrics;

#[derive(Default)]
pub(crate) struct Memory(Vec<(Labels, Samples)>);

impl Memory {
    pub(crate) fn put(&mut self, name: &str, labels: &[(&str, &str)], samples: impl Iterator<Item = (i64, f64)>) {
        let labels = Labels::from_pairs(labels.iter().copied().chain([("__name__", name)]));
        let (at_ms, values) = samples.unzip();
        self.0.push((labels, Samples { at_ms, values, ..Samples::default() }));
    }

    pub(crate) fn metrics(&self) -> Metrics<'_> {
        let budget = Budget::starting_now(Duration::from_secs(20));
        Metrics { source: self, options: Options::new(300_000, budget), asked: None }
    }
}

impl Source for Memory {
    fn select(&self, matchers: &[Matcher], _range: MsRange, _series_max: usize) -> Result<Vec<Series>, StoreError> {
        let found =
            self.0.iter().enumerate().filter(|(_, (labels, _))| matchers.iter().all(|m| m.matches_labels(labels)));
        Ok(found.map(|(n, (labels, _))| Series { id: SeriesId(n as u64), labels: labels.clone() }).collect())
    }

    fn read(&self, series: &[Series], range: MsRange, _guard: &mut dyn ReadGuard) -> Result<Vec<Samples>, StoreError> {
        let read = |series: &Series| {
            let samples = &self.0[series.id.0 as usize].1;
            let inside = samples.at_ms.iter().zip(&samples.values).filter(|(at_ms, _)| range.contains(**at_ms));
            let (at_ms, values) = inside.map(|(at_ms, value)| (*at_ms, *value)).unzip();
            Samples { at_ms, values, ..Samples::default() }
        };
        Ok(series.iter().map(read).collect())
    }
}
