//! Series that end because of what a batch brings: former `target_info`, and those of points that ended without naming them.

use model::meter::Counter;
use model::metric::stale_marker;
use model::{Ended, Labels, Matcher, MsRange, Sample, SeriesEntry};

use super::Accepting;
use crate::StoreError;
use crate::limits::{ENDED_LATELY_MS, ENDED_SAMPLES_MAX};
use crate::streams::brought;

/// The series that the decoder derives from a resource.
const TARGET_INFO: &str = "target_info";

static NOT_ENDED: Counter = Counter::new(
    "binnacle_store_series_not_ended_total",
    "Series that a histogram's or summary's last point should have ended, over the limit of one request.",
    &[],
);

/// Ends the `target_info` that was live for the same job and instance.
pub(super) fn end_other_targets(
    number: u32,
    sample: Sample,
    entry: Option<&SeriesEntry>,
    cx: &mut Accepting<'_>,
    stored: &mut Vec<(u32, Sample)>,
) -> Result<(), StoreError> {
    let catalogue = cx.catalogue;
    let labels = || {
        let known = || catalogue.labels_of([number]).pop().map(|(_, labels)| labels);
        brought(entry).or_else(known).filter(|labels| labels.metric_name() == TARGET_INFO)
    };
    let ended = cx.streams.targets.take(number, sample.at_ms, &labels, cx.history)?;
    let marker = Sample { at_ms: sample.at_ms, value: stale_marker() };
    for (number, labels) in ended {
        let number = match labels {
            Some(labels) => cx.revive(number, &labels),
            None => number,
        };
        // One that left memory meanwhile is long over.
        let made_here = || cx.fresh.series.iter().any(|(fresh, _)| *fresh == number);
        if cx.catalogue.holds(number) || made_here() {
            stored.push((number, marker));
        }
    }
    Ok(())
}

/// Ends all series of a point that did not name them: those that had samples lately, and those that this commit makes.
pub(super) fn end_series(
    ended: &Ended,
    cx: &mut Accepting<'_>,
    sent: usize,
    stored: &mut Vec<(u32, Sample)>,
) -> Result<(), StoreError> {
    let fits = |labels: &Labels| {
        labels.len() == ended.labels.len() + 1
            && labels.get(ended.by).is_some()
            && ended.labels.iter().all(|(name, value)| labels.get(name) == Some(value))
    };
    let matchers: Vec<Matcher> = ended.labels.iter().map(|(name, value)| Matcher::equal(name, value)).collect();
    let range = MsRange { start_ms: ended.at_ms.saturating_sub(ENDED_LATELY_MS), end_ms: ended.at_ms };
    let mut found = cx.history.select(&matchers, range)?;
    found.extend(cx.fresh.series.iter().cloned());
    let marker = Sample { at_ms: ended.at_ms, value: stale_marker() };
    for (number, labels) in found.iter().filter(|(_, labels)| fits(labels)) {
        if stored.len() >= sent.saturating_add(ENDED_SAMPLES_MAX) {
            NOT_ENDED.add(&[], 1);
            continue;
        }
        stored.push((cx.revive(*number, labels), marker));
    }
    Ok(())
}
