//! Series in memory, as the store would give them: in order of id, samples in order of time.

use model::{Labels, Matcher, MsRange, SeriesId};
use query::promql::Source;
use store::{ReadGuard, Samples, Series, StoreError};

use crate::notation::Value;

#[derive(Default)]
pub(crate) struct Memory {
    series: Vec<(Labels, Samples)>,
}

impl Memory {
    /// Samples of a series already there follow its others.
    pub(crate) fn add(&mut self, labels: Labels, added: impl IntoIterator<Item = (i64, Value)>) {
        let place = self.series.iter().position(|(known, _)| *known == labels).unwrap_or_else(|| {
            self.series.push((labels, Samples::default()));
            self.series.len() - 1
        });
        let samples = &mut self.series[place].1;
        let known = std::mem::take(samples);
        let mut floats: Vec<(i64, f64)> = known.at_ms.into_iter().zip(known.values).collect();
        samples.histograms = known.histograms;
        for (at_ms, value) in added {
            match value {
                Value::Float(value) => floats.push((at_ms, value)),
                Value::Histogram(histogram) => samples.histograms.push((at_ms, histogram)),
            }
        }
        floats.sort_by_key(|(at_ms, _)| *at_ms);
        samples.histograms.sort_by_key(|(at_ms, _)| *at_ms);
        (samples.at_ms, samples.values) = floats.into_iter().unzip();
    }
}

impl Source for Memory {
    fn select(&self, matchers: &[Matcher], _range: MsRange, series_max: usize) -> Result<Vec<Series>, StoreError> {
        let found = self
            .series
            .iter()
            .enumerate()
            .filter(|(_, (labels, _))| matchers.iter().all(|matcher| matcher.matches_labels(labels)));
        let found: Vec<Series> =
            found.map(|(i, (labels, _))| Series { id: SeriesId(i as u64), labels: labels.clone() }).collect();
        if found.len() > series_max {
            let message = format!("more than {series_max} series");
            return Err(StoreError::TooMuch { message });
        }
        Ok(found)
    }

    fn read(&self, series: &[Series], range: MsRange, guard: &mut dyn ReadGuard) -> Result<Vec<Samples>, StoreError> {
        let mut out = Vec::with_capacity(series.len());
        for series in series {
            let Samples { at_ms, values, histograms } = &self.series[series.id.0 as usize].1;
            let from = at_ms.partition_point(|at_ms| *at_ms < range.start_ms);
            let to = at_ms.partition_point(|at_ms| *at_ms <= range.end_ms).max(from);
            let inside = |(at_ms, _): &&(i64, _)| (range.start_ms..=range.end_ms).contains(at_ms);
            let histograms: Vec<_> = histograms.iter().filter(inside).cloned().collect();
            let count = (to - from + histograms.len()) as u64;
            guard.spend(count, count * 2)?;
            out.push(Samples { at_ms: at_ms[from..to].to_vec(), values: values[from..to].to_vec(), histograms });
        }
        Ok(out)
    }
}
