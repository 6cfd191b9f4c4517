//! What selectors read: a snapshot of the store, or something that stands before one.

use model::{Matcher, MsRange};
use store::{ReadGuard, Rollup, Samples, Series, StoreError};

/// Where an expression's selectors read: a snapshot of the store.
pub trait Source: Sync {
    fn select(&self, matchers: &[Matcher], range: MsRange, series_max: usize) -> Result<Vec<Series>, StoreError>;
    fn read(&self, series: &[Series], range: MsRange, guard: &mut dyn ReadGuard) -> Result<Vec<Samples>, StoreError>;

    /// As [`Snapshot::is_rolled_up`](store::Snapshot::is_rolled_up); a source of samples alone has no rollups.
    fn is_rolled_up(&self, _range: MsRange, _wanted: bool) -> Result<bool, StoreError> {
        Ok(false)
    }

    /// As [`Snapshot::without_samples`](store::Snapshot::without_samples).
    fn without_samples(&self, _range: MsRange) -> Result<Option<MsRange>, StoreError> {
        Ok(None)
    }

    /// As [`Snapshot::read_rollup`](store::Snapshot::read_rollup). Asked for another column than the samples only where a rollup is.
    fn read_rollup(
        &self,
        series: &[Series],
        range: MsRange,
        _column: (Rollup, bool),
        guard: &mut dyn ReadGuard,
    ) -> Result<Vec<Samples>, StoreError> {
        self.read(series, range, guard)
    }
}

impl Source for store::Snapshot {
    fn select(&self, matchers: &[Matcher], range: MsRange, series_max: usize) -> Result<Vec<Series>, StoreError> {
        store::Snapshot::select(self, matchers, range, series_max)
    }

    fn read(&self, series: &[Series], range: MsRange, guard: &mut dyn ReadGuard) -> Result<Vec<Samples>, StoreError> {
        let ids: Vec<_> = series.iter().map(|series| series.id).collect();
        store::Snapshot::read(self, &ids, range, guard)
    }

    fn is_rolled_up(&self, range: MsRange, wanted: bool) -> Result<bool, StoreError> {
        store::Snapshot::is_rolled_up(self, range, wanted)
    }

    fn without_samples(&self, range: MsRange) -> Result<Option<MsRange>, StoreError> {
        store::Snapshot::without_samples(self, range)
    }

    fn read_rollup(
        &self,
        series: &[Series],
        range: MsRange,
        column: (Rollup, bool),
        guard: &mut dyn ReadGuard,
    ) -> Result<Vec<Samples>, StoreError> {
        let ids: Vec<_> = series.iter().map(|series| series.id).collect();
        store::Snapshot::read_rollup(self, &ids, range, column, guard)
    }
}
