//! The samples of one series to its column, on whichever thread has read them.

use std::sync::Arc;

use model::{Histogram, Labels};
use store::Samples;

use super::ast::Selector;
use super::functions::columnar::Columnar;
use super::functions::window::Window;
use super::looks::{Looks, Plan};
use super::meter::Meter;
use super::native;
use super::notes::Notes;
use super::report::{Seen, Tally};
use super::value::{Column, Grid, Point, is_absent};
use crate::QueryError;

/// What one thread has at hand while it makes columns.
pub(crate) struct Worker<'m, 'a> {
    pub(crate) meter: &'m Meter<'a>,
    pub(crate) notes: Notes<'a>,
    pub(super) tally: Tally,
    plan: Plan,
}

/// A series that is about to become a column.
pub(super) struct Found<'s> {
    pub(super) labels: &'s Labels,
    pub(super) drop_name: bool,
    pub(super) samples: Samples,
}

impl Found<'_> {
    /// Where the statistics of histograms are asked for, each says whether a reset lies before it.
    pub(super) fn tell_resets(&mut self, selector: &Selector) {
        if selector.stats {
            native::tell_resets(&mut self.samples.histograms);
        }
    }
}

/// One value a window.
pub(crate) type Compute<'c> = dyn Fn(&mut Notes<'_>, &Labels, usize, &Window<'_>) -> Option<Point> + Sync + 'c;

/// What an instant selector gives of a sample.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pick {
    Value,
    /// Any number for a float: only that there is one counts.
    Presence,
    /// Seconds, of floats and histograms alike.
    Time,
    /// Milliseconds of a float; a histogram stays one.
    FloatTimeMs,
}

impl<'m, 'a> Worker<'m, 'a> {
    pub(super) fn new(meter: &'m Meter<'a>, notes: Notes<'a>, tally: Tally) -> Worker<'m, 'a> {
        Worker { meter, notes, tally, plan: Plan::default() }
    }

    fn column(&self, found: &Found<'_>, drop_name: bool, grid: Grid) -> Result<Column, QueryError> {
        Ok(Column { labels: found.labels.clone(), drop_name, steps: self.meter.steps(grid.count)? })
    }

    /// The newest sample of each window, unless it is a stale marker.
    pub(super) fn newest(
        &mut self,
        looks: &Looks,
        pick: Pick,
        found: &Found<'_>,
    ) -> Result<Option<Column>, QueryError> {
        let mut column = self.column(found, false, looks.grid)?;
        let mut present = 0;
        let Samples { at_ms, values, histograms } = &found.samples;
        if histograms.is_empty() && matches!(pick, Pick::Value | Pick::Presence) {
            self.plan.fit(looks, at_ms, self.meter)?;
            for (value, span) in column.steps.iter_mut().zip(self.plan.spans()) {
                if span.from < span.to {
                    *value = values[span.to as usize - 1];
                    present += u64::from(!is_absent(*value));
                }
            }
            if self.tally.by_step() {
                let seen = column.steps.iter().enumerate().filter(|(_, value)| !is_absent(**value));
                seen.for_each(|(step, _)| self.tally.add(step, Seen::first(1)));
            } else {
                self.tally.add(0, Seen::first(present));
            }
            return Ok((present > 0).then_some(column));
        }
        let tally = &mut self.tally;
        looks.each(self.meter, &found.samples, |step, window| {
            let Some((at_ms, point)) = window.last() else { return };
            let size = match &point {
                Point::Float(value) if is_absent(*value) => return,
                Point::Histogram(histogram) if histogram.is_stale() => return,
                Point::Histogram(histogram) if pick != Pick::Time => native::samples(histogram),
                _ => 1,
            };
            tally.add(step, Seen::first(size));
            present += 1;
            let point = match (pick, point) {
                (Pick::Time, _) => Point::Float(at_ms as f64 / 1e3),
                (Pick::FloatTimeMs, Point::Float(_)) => Point::Float(at_ms as f64),
                (_, point) => point,
            };
            column.steps.put(step, Some(point));
        })?;
        Ok((present > 0).then_some(column))
    }

    /// All windows of floats at once.
    pub(super) fn whole(
        &mut self,
        looks: &Looks,
        found: &Found<'_>,
        drop_name: bool,
        columnar: Columnar,
    ) -> Result<Option<Column>, QueryError> {
        let mut column = self.column(found, drop_name, looks.grid)?;
        self.plan.fit(looks, &found.samples.at_ms, self.meter)?;
        if self.tally.by_step() {
            for (step, span) in self.plan.spans().iter().enumerate() {
                let new_at_ms = &found.samples.at_ms[span.range()];
                self.tally.add(step, Seen { all: span.len() as u64, new: looks.count_new(step, new_at_ms) as u64 });
            }
        } else {
            self.tally.add(0, self.plan.looked());
        }
        columnar(looks, &mut self.plan, &found.samples.values, &mut column.steps);
        let is_empty = column.steps.iter().all(|value| is_absent(*value));
        Ok((!is_empty).then_some(column))
    }

    pub(super) fn each(
        &mut self,
        looks: &Looks,
        found: &Found<'_>,
        drop_name: bool,
        compute: &Compute<'_>,
    ) -> Result<Option<Column>, QueryError> {
        let mut column = self.column(found, drop_name, looks.grid)?;
        let mut any = false;
        let (tally, notes) = (&mut self.tally, &mut self.notes);
        looks.each(self.meter, &found.samples, |step, window| {
            if window.values.is_empty() && window.histograms.is_empty() {
                return;
            }
            tally.add(step, seen(looks, step, window));
            if let Some(point) = compute(notes, found.labels, step, window) {
                column.steps.put(step, Some(point));
                any = true;
            }
        })?;
        Ok(any.then_some(column))
    }
}

/// Samples in a window, as the statistics count them.
pub(super) fn seen(looks: &Looks, step: usize, window: &Window<'_>) -> Seen {
    let count = |histograms: &[(i64, Arc<Histogram>)]| -> u64 {
        histograms.iter().map(|(_, histogram)| native::samples(histogram)).sum()
    };
    let all = window.values.len() as u64 + count(window.histograms);
    let after_ms = looks.seen_until_ms(step);
    let first = window.histograms.partition_point(|(at_ms, _)| *at_ms <= after_ms);
    Seen { all, new: looks.count_new(step, window.at_ms) as u64 + count(&window.histograms[first..]) }
}

/// A range vector ignores stale markers.
pub(super) fn without_markers(mut samples: Samples) -> Samples {
    samples.histograms.retain(|(_, histogram)| !histogram.is_stale());
    // In pieces, each without a way out of its middle: so several values are compared at once.
    let has_marker = |piece: &[f64]| piece.iter().fold(false, |any, value| any | is_absent(*value));
    if samples.values.chunks(64).any(has_marker) {
        let kept = samples.at_ms.into_iter().zip(samples.values).filter(|(_, value)| !is_absent(*value));
        (samples.at_ms, samples.values) = kept.unzip();
    }
    samples
}
