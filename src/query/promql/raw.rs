//! Samples as they are stored, for those who evaluate elsewhere.

use model::{Labels, Matcher, MsRange};
use store::Samples;

use super::Source;
use super::meter::Meter;
use crate::{Budget, QueryError};

/// All samples of the series that satisfy the matchers, stale markers included, within the range (both ends included); rows are sorted
/// by labels, and have at least one sample. A range that ends before it begins has none.
///
/// # Errors
/// Those of the budget, and of the store.
pub fn raw(
    source: &dyn Source,
    matchers: &[Matcher],
    range: MsRange,
    budget: &Budget,
) -> Result<Vec<(Labels, Samples)>, QueryError> {
    if range.end_ms < range.start_ms {
        return Ok(Vec::new());
    }
    let meter = Meter::new(budget);
    meter.check()?;
    let series = source.select(matchers, range, meter.series_left()).map_err(|error| meter.select_error(error))?;
    meter.take_series(series.len());
    let mut reading = meter.reading();
    let samples = source.read(&series, range, &mut reading).map_err(|error| reading.error(error))?;
    let mut rows: Vec<(Labels, Samples)> = series.into_iter().map(|one| one.labels).zip(samples).collect();
    rows.retain(|(_, samples)| !samples.at_ms.is_empty() || !samples.histograms.is_empty());
    rows.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(rows)
}
