//! What a query reads: a tenant's snapshot, or nothing at all for a tenant that does not exist (yet).
//!
//! A tenant without data is no error: dashboards come before the first push, and `1+1` needs no data.

use model::{Matcher, MetricMeta, MsRange, TenantId};
use query::promql::Source;
use store::{ReadGuard, Samples, Series, Snapshot, Store, StoreError};

pub(crate) struct View(Option<Snapshot>);

impl View {
    pub(crate) fn of(store: &Store, tenant: &TenantId) -> Result<View, StoreError> {
        Ok(View(store.existing_tenant(tenant)?.map(|tenant| tenant.snapshot()).transpose()?))
    }

    /// `None` for a tenant that does not exist.
    pub(crate) fn snapshot(&self) -> Option<&Snapshot> {
        self.0.as_ref()
    }

    pub(crate) fn label_names(&self) -> Result<Vec<String>, StoreError> {
        self.0.as_ref().map_or(Ok(Vec::new()), Snapshot::label_names)
    }

    pub(crate) fn label_values(&self, name: &str) -> Result<Vec<String>, StoreError> {
        self.0.as_ref().map_or(Ok(Vec::new()), |snapshot| snapshot.label_values(name))
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
}
