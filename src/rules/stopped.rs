//! What rules see of a store that takes nothing: a series that only they have, since it cannot be stored.
//!
//! While nothing comes in, everything looks silent. The rule packs fire on this series, and what it inhibits stays quiet.

use model::{Labels, Matcher, MsRange, SeriesId};
use query::promql::Source;
use store::{ReadGuard, Rollup, Samples, Series, Snapshot, StoreError};

/// 0 as the appliance's own metrics store it, 1 as it is seen here.
pub(crate) const NAME: &str = "binnacle_intake_stopped";

/// A store's view with that series at one time.
pub(crate) struct Stopped {
    inner: Snapshot,
    at_ms: i64,
    labels: Labels,
}

impl Stopped {
    pub(crate) fn new(inner: Snapshot, at_ms: i64) -> Stopped {
        Stopped { inner, at_ms, labels: Labels::from_pairs([(model::labels::METRIC_NAME, NAME)]) }
    }

    /// Reads the stored ones of some series, and puts ours in its place among them.
    fn among(
        &self,
        series: &[Series],
        range: MsRange,
        read: impl FnOnce(&[Series]) -> Result<Vec<Samples>, StoreError>,
    ) -> Result<Vec<Samples>, StoreError> {
        let Some(place) = series.iter().position(|series| series.labels == self.labels) else { return read(series) };
        let mut stored = series.to_vec();
        stored.remove(place);
        let mut samples = read(&stored)?;
        let ours = match range.contains(self.at_ms) {
            true => Samples { at_ms: vec![self.at_ms], values: vec![1.0], ..Samples::default() },
            false => Samples::default(),
        };
        samples.insert(place.min(samples.len()), ours);
        Ok(samples)
    }
}

impl Source for Stopped {
    fn select(&self, matchers: &[Matcher], range: MsRange, series_max: usize) -> Result<Vec<Series>, StoreError> {
        let mut found = Source::select(&self.inner, matchers, range, series_max)?;
        // One of the same name and nothing else cannot be stored: the appliance's own bears its instance.
        let is_wanted = matchers.iter().all(|matcher| matcher.matches_labels(&self.labels));
        if is_wanted && range.contains(self.at_ms) && found.iter().all(|series| series.labels != self.labels) {
            found.push(Series { id: SeriesId(u64::MAX), labels: self.labels.clone() });
        }
        Ok(found)
    }

    fn read(&self, series: &[Series], range: MsRange, guard: &mut dyn ReadGuard) -> Result<Vec<Samples>, StoreError> {
        self.among(series, range, |stored| Source::read(&self.inner, stored, range, guard))
    }

    fn is_rolled_up(&self, range: MsRange, wanted: bool) -> Result<bool, StoreError> {
        Source::is_rolled_up(&self.inner, range, wanted)
    }

    fn without_samples(&self, range: MsRange) -> Result<Option<MsRange>, StoreError> {
        Source::without_samples(&self.inner, range)
    }

    fn read_rollup(
        &self,
        series: &[Series],
        range: MsRange,
        column: (Rollup, bool),
        guard: &mut dyn ReadGuard,
    ) -> Result<Vec<Samples>, StoreError> {
        self.among(series, range, |stored| Source::read_rollup(&self.inner, stored, range, column, guard))
    }
}
