//! What a query reads: a tenant's snapshot, or nothing at all for a tenant that does not exist (yet).
//!
//! A tenant without data is no error: dashboards come before the first push, and `1+1` needs no data.

use std::collections::BTreeSet;

use model::time::Day;
use model::{Exemplar, Matcher, MetricMeta, MsRange, SeriesId, TenantId};
use query::promql::Source;
use store::{Cardinality, ReadGuard, Rollup, Samples, Series, Snapshot, Store, StoreError};

/// Metrics, labels and label values that are counted one by one, at most: as many as Prometheus lists.
pub(crate) const COUNTED_MAX: usize = 10_000;

pub(crate) struct View(Option<Snapshot>);

impl View {
    pub(crate) fn of(store: &Store, tenant: &TenantId) -> Result<View, StoreError> {
        Ok(View(store.existing_tenant(tenant)?.map(|tenant| tenant.snapshot()).transpose()?))
    }

    /// `None` for a tenant that does not exist.
    pub(crate) fn snapshot(&self) -> Option<&Snapshot> {
        self.0.as_ref()
    }

    /// As [`Snapshot::label_names`], of series that any of the selectors finds; of all when there are none.
    pub(crate) fn label_names(&self, selectors: &[Vec<Matcher>], range: MsRange) -> Result<Vec<String>, StoreError> {
        self.any(selectors, range, |snapshot, matchers| snapshot.label_names(matchers, range))
    }

    /// As [`Snapshot::label_values`], of series that any of the selectors finds; of all when there are none.
    pub(crate) fn label_values(
        &self,
        name: &str,
        selectors: &[Vec<Matcher>],
        range: MsRange,
    ) -> Result<Vec<String>, StoreError> {
        self.any(selectors, range, |snapshot, matchers| snapshot.label_values(name, matchers, range))
    }

    fn any(
        &self,
        selectors: &[Vec<Matcher>],
        range: MsRange,
        ask: impl Fn(&Snapshot, &[Matcher]) -> Result<Vec<String>, StoreError>,
    ) -> Result<Vec<String>, StoreError> {
        let Some(snapshot) = &self.0 else { return Ok(Vec::new()) };
        if range.end_ms < range.start_ms {
            return Ok(Vec::new());
        }
        match selectors {
            [] => ask(snapshot, &[]),
            [matchers] => ask(snapshot, matchers),
            several => {
                let mut found = BTreeSet::new();
                for matchers in several {
                    found.extend(ask(snapshot, matchers)?);
                }
                Ok(found.into_iter().collect())
            }
        }
    }

    /// A day's series by metric and label, the [`COUNTED_MAX`] largest of each.
    pub(crate) fn cardinality(&self, day: Day) -> Result<Cardinality, StoreError> {
        self.0.as_ref().map_or(Ok(Cardinality::default()), |snapshot| snapshot.cardinality(day, COUNTED_MAX))
    }

    /// As [`Snapshot::exemplars`].
    pub(crate) fn exemplars(&self, ids: &[SeriesId], range: MsRange) -> Result<Vec<Vec<Exemplar>>, StoreError> {
        self.0.as_ref().map_or(Ok(Vec::new()), |snapshot| snapshot.exemplars(ids, range))
    }

    pub(crate) fn metadata(&self) -> Result<Vec<MetricMeta>, StoreError> {
        self.0.as_ref().map_or(Ok(Vec::new()), Snapshot::metadata)
    }
}

impl Source for View {
    fn select(&self, matchers: &[Matcher], range: MsRange, series_max: usize) -> Result<Vec<Series>, StoreError> {
        self.0.as_ref().map_or(Ok(Vec::new()), |snapshot| snapshot.select(matchers, range, series_max))
    }

    fn read(&self, series: &[Series], range: MsRange, guard: &mut dyn ReadGuard) -> Result<Vec<Samples>, StoreError> {
        // Through the trait, which takes whole series; the snapshot's own method takes ids.
        self.0.as_ref().map_or(Ok(Vec::new()), |snapshot| Source::read(snapshot, series, range, guard))
    }

    fn is_rolled_up(&self, range: MsRange, wanted: bool) -> Result<bool, StoreError> {
        self.0.as_ref().map_or(Ok(false), |snapshot| snapshot.is_rolled_up(range, wanted))
    }

    fn without_samples(&self, range: MsRange) -> Result<Option<MsRange>, StoreError> {
        self.0.as_ref().map_or(Ok(None), |snapshot| snapshot.without_samples(range))
    }

    fn read_rollup(
        &self,
        series: &[Series],
        range: MsRange,
        column: (Rollup, bool),
        guard: &mut dyn ReadGuard,
    ) -> Result<Vec<Samples>, StoreError> {
        let read = |snapshot| Source::read_rollup(snapshot, series, range, column, guard);
        self.0.as_ref().map_or(Ok(Vec::new()), read)
    }
}
