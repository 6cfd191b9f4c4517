//! Reading: selectors and windows. Each selector is selected once and its series are read once, in batches, over the
//! whole span that the grid looks at; steps then move two pointers.

use model::{Labels, MsRange};
use store::{Samples, Series};

use super::ast::{At, Edges, Kind, Node, Selector, Subquery};
use super::engine::{Engine, wrong};
use super::functions::window::Window;
use super::meter::Meter;
use super::notes::Notes;
use super::value::{Column, Grid, Point, TIME_MS_MAX, Val, bytes_of_histogram, is_absent};
use crate::QueryError;

/// Most series read at a time: enough to share the store's work.
const BATCH_SERIES: usize = 256;
/// Raw samples to have in hand at a time, about 64 MiB of them, if they are ten seconds apart.
const BATCH_SAMPLES: i64 = 4 << 20;
/// Samples walked between two looks at the clock: about a millisecond.
const WALK_SAMPLES: usize = 1 << 20;
/// A histogram takes about as long as this many floats.
const HISTOGRAM_WALK: usize = 64;
/// The step of a subquery that names none: Prometheus' default evaluation interval.
const SUBQUERY_STEP_MS: i64 = 60_000;

/// Where the steps of a grid look: each at `reference - offset`, and back from there.
#[derive(Clone, Copy)]
struct Looks {
    grid: Grid,
    pinned_ms: Option<i64>,
    offset_ms: i64,
    back_ms: i64,
    /// How far samples are taken from before the start and after the end, for ranges that know their ends.
    before_ms: i64,
    after_ms: i64,
}

impl Looks {
    fn end_ms(&self, step: usize) -> i64 {
        let reference = self.pinned_ms.unwrap_or_else(|| self.grid.at(step));
        reference.clamp(-TIME_MS_MAX, TIME_MS_MAX) - self.offset_ms
    }

    /// The left end is outside.
    fn start_ms(&self, step: usize) -> i64 {
        self.end_ms(step) - self.back_ms
    }

    fn span(&self) -> MsRange {
        MsRange {
            start_ms: self.start_ms(0) - self.before_ms + 1,
            end_ms: self.end_ms(self.grid.count - 1) + self.after_ms,
        }
    }

    /// The samples of every step's window, found by moving two pointers. Asks the clock now and then: a function walks
    /// each window from end to end, and a long one at many steps takes long.
    fn each<'s>(
        &self,
        meter: &Meter<'_>,
        samples: &'s Samples,
        mut visit: impl FnMut(usize, &Window<'s>),
    ) -> Result<(), QueryError> {
        let Samples { at_ms, values, histograms } = samples;
        let (mut from, mut to, mut walked) = (0, 0, 0);
        let (mut first, mut last) = (0, 0);
        for step in 0..self.grid.count {
            let (start_ms, end_ms) = (self.start_ms(step), self.end_ms(step));
            while to < at_ms.len() && at_ms[to] <= end_ms + self.after_ms {
                to += 1;
            }
            while from < to && at_ms[from] <= start_ms - self.before_ms {
                from += 1;
            }
            while last < histograms.len() && histograms[last].0 <= end_ms + self.after_ms {
                last += 1;
            }
            while first < last && histograms[first].0 <= start_ms - self.before_ms {
                first += 1;
            }
            walked += to - from + HISTOGRAM_WALK * (last - first);
            if walked > WALK_SAMPLES {
                meter.check()?;
                walked = 0;
            }
            let window = Window {
                at_ms: &at_ms[from..to],
                values: &values[from..to],
                histograms: &histograms[first..last],
                start_ms,
                end_ms,
                eval_ms: self.grid.at(step),
            };
            visit(step, &window);
        }
        Ok(())
    }
}

/// How many series to read at a time over a span, so that a long one does not need all memory for raw samples.
fn batch_series(span: MsRange) -> usize {
    let samples = span.end_ms.saturating_sub(span.start_ms) / 10_000 + 1;
    usize::try_from(BATCH_SAMPLES / samples).unwrap_or(BATCH_SERIES).clamp(1, BATCH_SERIES)
}

impl Engine<'_> {
    fn looks(&self, grid: Grid, at: Option<At>, offset_ms: i64, back_ms: i64) -> Looks {
        Looks { grid, pinned_ms: self.pinned_ms(at), offset_ms, back_ms, before_ms: 0, after_ms: 0 }
    }

    fn find(&mut self, selector: &Selector, span: MsRange) -> Result<Vec<Series>, QueryError> {
        let found = self.source.select(&selector.matchers, span, self.meter.series_left());
        let found = found.map_err(|error| self.meter.select_error(error))?;
        self.meter.take_series(found.len());
        Ok(found)
    }

    fn read(&mut self, batch: &[Series], span: MsRange) -> Result<Vec<Samples>, QueryError> {
        self.meter.check()?;
        let read = self.source.read(batch, span, &mut self.meter).map_err(|error| self.meter.read_error(error))?;
        if read.len() != batch.len() {
            return Err(wrong("the store answered for another number of series"));
        }
        let histograms = read.iter().flat_map(|samples| &samples.histograms);
        self.meter.hold(histograms.map(|(_, histogram)| bytes_of_histogram(histogram)).sum())?;
        Ok(read)
    }

    pub(crate) fn select(&mut self, selector: &Selector, grid: Grid) -> Result<Val, QueryError> {
        Ok(Val::Vector(self.instants(selector, grid, |_, point| point)?))
    }

    /// The newest sample of each series within the lookback of each step, turned into a value by `pick(at_ms, point)`.
    pub(crate) fn instants(
        &mut self,
        selector: &Selector,
        grid: Grid,
        pick: impl Fn(i64, Point) -> Point,
    ) -> Result<Vec<Column>, QueryError> {
        let offset_ms = self.offset_ms(selector.offset.as_ref())?;
        let looks = self.looks(grid, selector.at, offset_ms, self.lookback_ms);
        let span = looks.span();
        let found = self.find(selector, span)?;
        let mut columns = Vec::with_capacity(found.len());
        for batch in found.chunks(batch_series(span)) {
            for (series, samples) in batch.iter().zip(self.read(batch, span)?) {
                let mut column = self.column(series.labels.clone(), false, grid.count)?;
                let mut any = false;
                looks.each(&self.meter, &samples, |step, window| {
                    let Some((at_ms, point)) = window.last() else { return };
                    let is_stale = match &point {
                        Point::Float(value) => is_absent(*value),
                        Point::Histogram(histogram) => histogram.is_stale(),
                    };
                    if !is_stale {
                        column.steps.put(step, Some(pick(at_ms, point)));
                        any = true;
                    }
                })?;
                if any {
                    columns.push(column);
                }
            }
            self.meter.release_samples();
        }
        Ok(columns)
    }

    /// Calls `visit(labels, drop_name, samples, each)` for every series of a range vector; `each` walks its windows.
    fn series_of(
        &mut self,
        node: &Node,
        grid: Grid,
        mut visit: impl FnMut(&mut Self, &Labels, bool, Looks, Samples) -> Result<(), QueryError>,
    ) -> Result<(), QueryError> {
        match &node.bare().kind {
            Kind::Range { selector, range, edges } => {
                let offset_ms = self.offset_ms(selector.offset.as_ref())?;
                let mut looks = self.looks(grid, selector.at, offset_ms, self.positive_ms(range)?);
                if *edges != Edges::Plain {
                    looks.before_ms = self.lookback_ms;
                }
                let floats_only = *edges != Edges::Plain;
                if *edges == Edges::Smoothed {
                    looks.after_ms = self.lookback_ms;
                }
                let span = looks.span();
                let found = self.find(selector, span)?;
                for batch in found.chunks(batch_series(span)) {
                    for (series, samples) in batch.iter().zip(self.read(batch, span)?) {
                        if floats_only && !samples.histograms.is_empty() {
                            return Err(wrong("smoothed and anchored modifiers do not work with native histograms"));
                        }
                        visit(self, &series.labels, false, looks, without_markers(samples))?;
                    }
                    self.meter.release_samples();
                }
                Ok(())
            }
            Kind::Subquery(subquery) => {
                let (looks, columns, inner) = self.subquery(subquery, grid)?;
                for column in columns {
                    self.meter.check()?;
                    let present = (0..inner.count).filter(|step| !is_absent(column.steps[*step]));
                    let at_ms: Vec<i64> = present.clone().map(|step| inner.at(step)).collect();
                    let values: Vec<f64> = present.map(|step| column.steps[step]).collect();
                    let all = (0..inner.count)
                        .filter_map(|step| Some((inner.at(step), column.steps.histogram(step)?.clone())));
                    let histograms: Vec<_> = if column.steps.has_histograms() { all.collect() } else { Vec::new() };
                    self.meter.take_samples((values.len() + histograms.len()) as u64)?;
                    let samples = Samples { at_ms, values, histograms };
                    visit(self, &column.labels, column.drop_name, looks, samples)?;
                }
                Ok(())
            }
            _ => Err(wrong("expected a range vector")),
        }
    }

    /// The inner expression at the multiples of the step that any window covers.
    fn subquery(&mut self, subquery: &Subquery, grid: Grid) -> Result<(Looks, Vec<Column>, Grid), QueryError> {
        let step_ms = match &subquery.step {
            Some(step) => self.positive_ms(step)?,
            None => SUBQUERY_STEP_MS,
        };
        let offset_ms = self.offset_ms(subquery.offset.as_ref())?;
        let looks = self.looks(grid, subquery.at, offset_ms, self.positive_ms(&subquery.range)?);
        let span = looks.span();
        // Absolute multiples, so that neighbouring queries see the same inner steps.
        let start_ms = (span.start_ms - 1).div_euclid(step_ms) * step_ms + step_ms;
        let count = if start_ms > span.end_ms { 0 } else { (span.end_ms - start_ms) / step_ms + 1 };
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        let inner = Grid { start_ms, step_ms, count };
        if count == 0 {
            return Ok((looks, Vec::new(), inner));
        }
        // Before anything is read: a year by the millisecond is refused here.
        self.meter.room_for((count as u64).saturating_mul(8))?;
        let columns = self.vector(&subquery.expr, inner)?;
        Ok((looks, columns, inner))
    }

    /// One float a window that has floats; histograms are not seen.
    pub(crate) fn windows(
        &mut self,
        node: &Node,
        grid: Grid,
        keep_name: bool,
        mut compute: impl FnMut(usize, &Window<'_>) -> Option<f64>,
    ) -> Result<Vec<Column>, QueryError> {
        self.points(node, grid, keep_name, |_, _, step, window| {
            if window.values.is_empty() { None } else { compute(step, window).map(Point::Float) }
        })
    }

    /// One value a window: the engine under all `*_over_time` functions and rates. `compute(notes, labels, step, window)`.
    pub(crate) fn points(
        &mut self,
        node: &Node,
        grid: Grid,
        keep_name: bool,
        mut compute: impl FnMut(&mut Notes<'_>, &Labels, usize, &Window<'_>) -> Option<Point>,
    ) -> Result<Vec<Column>, QueryError> {
        let mut columns = Vec::new();
        self.series_of(node, grid, |engine, labels, drop_name, looks, samples| {
            let mut column = engine.column(labels.clone(), drop_name || !keep_name, grid.count)?;
            let mut any = false;
            let (meter, notes) = (&engine.meter, &mut engine.notes);
            looks.each(meter, &samples, |step, window| {
                if window.values.is_empty() && window.histograms.is_empty() {
                    return;
                }
                if let Some(point) = compute(notes, labels, step, window) {
                    column.steps.put(step, Some(point));
                    any = true;
                }
            })?;
            if any {
                columns.push(column);
            }
            Ok(())
        })?;
        Ok(columns)
    }

    /// A range vector as the answer itself: the samples of one window.
    pub(crate) fn matrix(&mut self, node: &Node, grid: Grid) -> Result<Vec<(Labels, bool, Samples)>, QueryError> {
        if let Kind::Range { edges, .. } = &node.bare().kind
            && *edges != Edges::Plain
        {
            return Err(wrong(format!(
                "a range that is {} has no samples of its own; give it to rate()",
                edges.text()
            )));
        }
        let mut rows = Vec::new();
        self.series_of(node, grid, |engine, labels, drop_name, looks, samples| {
            let mut row = Samples::default();
            looks.each(&engine.meter, &samples, |_, window| {
                row.at_ms.extend_from_slice(window.at_ms);
                row.values.extend_from_slice(window.values);
                row.histograms.extend_from_slice(window.histograms);
            })?;
            // Nothing shrinks the answer here, so what is kept counts.
            engine.meter.room_for((row.values.len() + row.histograms.len()) as u64 * 16)?;
            if !row.values.is_empty() || !row.histograms.is_empty() {
                rows.push((labels.clone(), drop_name, row));
            }
            Ok(())
        })?;
        Ok(rows)
    }
}

/// A range vector ignores stale markers.
fn without_markers(mut samples: Samples) -> Samples {
    samples.histograms.retain(|(_, histogram)| !histogram.is_stale());
    if samples.values.iter().any(|value| is_absent(*value)) {
        let kept = samples.at_ms.into_iter().zip(samples.values).filter(|(_, value)| !is_absent(*value));
        (samples.at_ms, samples.values) = kept.unzip();
    }
    samples
}
