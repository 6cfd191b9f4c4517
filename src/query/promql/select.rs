//! Reading: selectors and windows. Each selector is selected once and its series are read once, in batches, over the
//! whole span that the grid looks at; every series becomes its column at once, on whichever thread has read it.

use std::time::Instant;

use model::{Labels, MsRange};
use store::{Rollup, Samples, Series};

use super::Source;
use super::ast::{At, Edges, Kind, Node, Selector, Subquery};
use super::engine::{Engine, wrong};
use super::functions::columnar::Columnar;
use super::functions::window::Window;
use super::gone::Gone;
use super::looks::Looks;
use super::meter::{Meter, Reading};
use super::notes::Notes;
use super::parallel;
use super::report::Tally;
use super::value::{Column, Grid, Point, Val, bytes_of_histogram, is_absent};
use super::worker::{Compute, Found, Pick, Worker, without_markers};
use crate::QueryError;

/// Most series read at a time: enough to share the store's work.
const BATCH_SERIES: usize = 256;
/// Least of them, since neighbours share pages.
const BATCH_SERIES_MIN: usize = 8;
/// Samples to read at a time, by the guess below: 16 bytes of each, so that a processor's own cache still has them when they are looked at.
const BATCH_CACHED_SAMPLES: i64 = 1 << 15;
/// Raw samples to have in hand at a time, about 64 MiB of them, if they are ten seconds apart.
const BATCH_SAMPLES: i64 = 4 << 20;
/// The usual distance between samples, to guess by.
const USUAL_INTERVAL_MS: i64 = 10_000;
/// Samples, by that guess, below which a second thread costs more than it saves.
const PARALLEL_SAMPLES: i64 = 50_000;
/// Batches for each thread, so that none waits long for the others at the end.
const BATCHES_PER_THREAD: usize = 4;
/// The step of a subquery that names none: Prometheus' default evaluation interval.
const SUBQUERY_STEP_MS: i64 = 60_000;

/// Takes columns in the order of their series.
pub(crate) type Take<'t> = dyn FnMut(&Meter<'_>, Column) -> Result<(), QueryError> + 't;

/// What is read of days that are rolled up.
#[derive(Clone, Copy)]
pub(crate) struct Reads {
    pub(crate) column: Rollup,
    /// Whether the column will do where the samples are there too, if the windows are made of whole steps.
    pub(crate) will_do: bool,
}

impl Reads {
    /// Samples as far as they are there.
    pub(crate) const SAMPLES: Reads = Reads { column: Rollup::Samples, will_do: false };
    /// Samples; the first and last of each step will do.
    pub(crate) const ENDS: Reads = Reads { column: Rollup::Samples, will_do: true };

    fn of(self, looks: &Looks) -> (Rollup, bool) {
        (self.column, self.will_do && looks.are_whole_steps())
    }
}

/// How many series to read at a time over a span, so that a long one does not need all memory for raw samples.
fn batch_series(count: usize, span: MsRange, threads: usize) -> usize {
    let series_of = |samples: i64| usize::try_from(samples / usual_samples(span)).unwrap_or(BATCH_SERIES);
    let cached = series_of(BATCH_CACHED_SAMPLES).max(BATCH_SERIES_MIN);
    let most = series_of(BATCH_SAMPLES / threads as i64).min(cached).clamp(1, BATCH_SERIES);
    if threads == 1 { most } else { count.div_ceil(threads * BATCHES_PER_THREAD).clamp(1, most) }
}

fn usual_samples(span: MsRange) -> i64 {
    span.end_ms.saturating_sub(span.start_ms) / USUAL_INTERVAL_MS + 1
}

fn read<'m, 'a>(
    source: &dyn Source,
    meter: &'m Meter<'a>,
    batch: &[Series],
    (span, column): (MsRange, (Rollup, bool)),
) -> Result<(Vec<Samples>, Reading<'m, 'a>), QueryError> {
    meter.check()?;
    let mut reading = meter.reading();
    let read = source.read_rollup(batch, span, column, &mut reading).map_err(|error| reading.error(error))?;
    if read.len() != batch.len() {
        return Err(wrong("the store answered for another number of series"));
    }
    let histograms = read.iter().flat_map(|samples| &samples.histograms);
    reading.hold(histograms.map(|(_, histogram)| bytes_of_histogram(histogram)).sum())?;
    Ok((read, reading))
}

impl<'a> Engine<'a> {
    fn looks(&self, grid: Grid, at: Option<At>, offset_ms: i64, back_ms: i64) -> Looks {
        Looks { grid, pinned_ms: self.pinned_ms(at), offset_ms, back_ms, before_ms: 0, after_ms: 0 }
    }

    /// What to read: where resets are to be told, the first sample needs the one before it as well.
    fn told_span(&self, selector: &Selector, looks: Looks) -> MsRange {
        let span = looks.span();
        let before_ms = if selector.stats { self.lookback_ms } else { 0 };
        MsRange { start_ms: span.start_ms - before_ms, ..span }
    }

    fn find(&mut self, selector: &Selector, span: MsRange) -> Result<Vec<Series>, QueryError> {
        let begun = Instant::now();
        let found = self.source.select(&selector.matchers, span, self.meter.series_left());
        self.meter.add_select_time(begun.elapsed());
        let found = found.map_err(|error| self.meter.select_error(error))?;
        self.meter.take_series(found.len());
        Ok(found)
    }

    /// Reads the series of a selector, makes of each what `make` makes of it, and hands that to `take` in the order of the
    /// series.
    fn each_series<T: Send>(
        &mut self,
        selector: &Selector,
        (span, column): (MsRange, (Rollup, bool)),
        make: impl Fn(&mut Worker<'_, 'a>, Found<'_>) -> Result<Option<T>, QueryError> + Sync,
        mut take: impl FnMut(&Meter<'_>, T) -> Result<(), QueryError>,
    ) -> Result<(), QueryError> {
        let found = self.find(selector, span)?;
        let Engine { source, meter, notes, tally, explainer, .. } = self;
        let (source, meter, empty_notes, empty_tally) = (*source, &*meter, notes.fork(), tally.fork());
        let samples = usual_samples(span).saturating_mul(i64::try_from(found.len()).unwrap_or(i64::MAX));
        let threads = if samples < PARALLEL_SAMPLES { 1 } else { meter.threads() };
        let batches: Vec<&[Series]> = found.chunks(batch_series(found.len(), span, threads)).collect();
        parallel::in_order(
            threads,
            batches.len(),
            || Worker::new(meter, empty_notes.fork(), empty_tally.fork()),
            |worker, index| {
                let batch = batches[index];
                let mut made = Vec::with_capacity(batch.len());
                let (read, _reading) = read(source, meter, batch, (span, column))?;
                for (Series { labels, .. }, samples) in batch.iter().zip(read) {
                    made.extend(make(worker, Found { labels, drop_name: false, samples })?);
                }
                let (fresh_notes, fresh_tally) = (empty_notes.fork(), empty_tally.fork());
                let notes = std::mem::replace(&mut worker.notes, fresh_notes);
                Ok((made, notes, std::mem::replace(&mut worker.tally, fresh_tally)))
            },
            |(made, new_notes, new_tally)| {
                notes.join(new_notes);
                tally.join(&new_tally);
                let begun = Instant::now();
                made.into_iter().try_for_each(|made| take(meter, made))?;
                if let Some(explainer) = explainer {
                    explainer.elsewhere += begun.elapsed();
                }
                Ok(())
            },
        )
    }

    pub(crate) fn select(&mut self, selector: &Selector, grid: Grid) -> Result<Val, QueryError> {
        let mut columns = Vec::new();
        self.instants(selector, grid, Pick::Value, &mut |_, column| {
            columns.push(column);
            Ok(())
        })?;
        Ok(Val::Vector(columns))
    }

    /// The newest sample of each series within the lookback of each step.
    pub(crate) fn instants(
        &mut self,
        selector: &Selector,
        grid: Grid,
        pick: Pick,
        take: &mut Take<'_>,
    ) -> Result<(), QueryError> {
        let mut offset_ms = self.offset_ms(selector.offset.as_ref())?;
        let mut back_ms = self.lookback_ms;
        if pick == Pick::Time && selector.at.is_some() {
            // Prometheus' `timestamp()` forgets the offset beside `@` where it looks, though not where it reads: it sees what lies in both.
            back_ms -= offset_ms.abs();
            offset_ms = offset_ms.max(0);
            if back_ms <= 0 {
                return Ok(());
            }
        }
        let looks = self.looks(grid, selector.at, offset_ms, back_ms);
        let make = |worker: &mut Worker<'_, '_>, mut found: Found<'_>| {
            found.tell_resets(selector);
            worker.newest(&looks, pick, &found)
        };
        let column = if pick == Pick::Presence { Rollup::Marks } else { Rollup::Samples };
        let reads = Reads { column, will_do: matches!(pick, Pick::Value | Pick::Presence) && !selector.stats };
        self.each_series(selector, (self.told_span(selector, looks), reads.of(&looks)), make, take)
    }

    /// Where a range of samples looks. An instant between samples looks both ways.
    fn range_looks(&self, node: &Node, selector: &Selector, grid: Grid) -> Result<Looks, QueryError> {
        let offset_ms = self.offset_ms(selector.offset.as_ref())?;
        let (back_ms, edges) = match &node.kind {
            Kind::Range { range, edges, .. } => (self.positive_ms(range)?, *edges),
            _ => (self.lookback_ms, selector.edges),
        };
        let mut looks = self.looks(grid, selector.at, offset_ms, back_ms);
        if edges != Edges::Plain && matches!(node.kind, Kind::Range { .. }) {
            looks.before_ms = self.lookback_ms;
        }
        if edges == Edges::Smoothed {
            looks.after_ms = self.lookback_ms;
        }
        Ok(looks)
    }

    /// Whether a range vector's windows touch days that would be read from their rollups.
    pub(crate) fn is_rolled_up(&self, node: &Node, grid: Grid) -> Result<bool, QueryError> {
        let node = node.bare();
        let Kind::Range { selector, edges: Edges::Plain, .. } = &node.kind else { return Ok(false) };
        let looks = self.range_looks(node, selector, grid)?;
        let rolled_up = self.source.is_rolled_up(looks.span(), looks.are_whole_steps());
        rolled_up.map_err(|error| self.meter.select_error(error))
    }

    /// The series of a range vector, each turned into something by `make`.
    pub(super) fn ranges<T: Send>(
        &mut self,
        node: &Node,
        grid: Grid,
        reads: Reads,
        make: impl Fn(&mut Worker<'_, 'a>, &Looks, Found<'_>) -> Result<Option<T>, QueryError> + Sync,
        mut take: impl FnMut(&Meter<'_>, T) -> Result<(), QueryError>,
    ) -> Result<(), QueryError> {
        let node = node.bare();
        match &node.kind {
            Kind::Range { selector, .. } | Kind::Select(selector) => {
                let looks = self.range_looks(node, selector, grid)?;
                let gone = Gone::of(node, reads, || {
                    let days = self.source.without_samples(looks.span());
                    days.map_err(|error| self.meter.select_error(error))
                })?;
                let make = |worker: &mut Worker<'_, 'a>, mut found: Found<'_>| {
                    found.tell_resets(selector);
                    found.samples = without_markers(found.samples);
                    if let Some(gone) = &gone {
                        gone.note(&mut worker.notes, &found.samples);
                    }
                    make(worker, &looks, found)
                };
                let reads = (self.told_span(selector, looks), reads.of(&looks));
                self.explained(node, grid, |engine| engine.each_series(selector, reads, make, take))
            }
            Kind::Subquery(subquery) => {
                let (looks, columns, inner) = self.explained(node, grid, |engine| engine.subquery(subquery, grid))?;
                let (notes, tally) = (self.notes.fork(), self.tally.fork());
                let mut worker = Worker::new(&self.meter, notes, tally);
                for Column { labels, drop_name, steps } in columns {
                    self.meter.check()?;
                    let present = (0..inner.count).filter(|step| !is_absent(steps[*step]));
                    let at_ms: Vec<i64> = present.clone().map(|step| inner.at(step)).collect();
                    let values: Vec<f64> = present.map(|step| steps[step]).collect();
                    let all =
                        (0..inner.count).filter_map(|step| Some((inner.at(step), steps.histogram(step)?.clone())));
                    let histograms: Vec<_> = if steps.has_histograms() { all.collect() } else { Vec::new() };
                    self.meter.take_samples((values.len() + histograms.len()) as u64)?;
                    let samples = Samples { at_ms, values, histograms };
                    if let Some(made) = make(&mut worker, &looks, Found { labels: &labels, drop_name, samples })? {
                        take(&self.meter, made)?;
                    }
                }
                let Worker { notes, tally, .. } = worker;
                self.notes.join(notes);
                self.tally.join(&tally);
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
        let apart = Tally::new(grid.count > 1, count);
        let (columns, seen) = self.tallied(apart, |engine| engine.vector(&subquery.expr, inner))?;
        self.tally.add_subquery(&seen, inner, &looks);
        Ok((looks, columns, inner))
    }

    /// One value a window: `compute(notes, labels, step, window)`.
    pub(crate) fn points(
        &mut self,
        node: &Node,
        grid: Grid,
        keep_name: bool,
        compute: impl Fn(&mut Notes<'_>, &Labels, usize, &Window<'_>) -> Option<Point> + Sync,
    ) -> Result<Vec<Column>, QueryError> {
        let mut columns = Vec::new();
        self.each_point((node, Reads::SAMPLES), grid, keep_name, (None, &compute), &mut |_, column| {
            columns.push(column);
            Ok(())
        })?;
        Ok(columns)
    }

    /// As [`Engine::points`], each column handed on as it is made: the engine under all `*_over_time` functions and rates.
    /// The whole-column form computes where there are floats alone.
    pub(crate) fn each_point(
        &mut self,
        (node, reads): (&Node, Reads),
        grid: Grid,
        keep_name: bool,
        (columnar, compute): (Option<Columnar>, &Compute<'_>),
        take: &mut Take<'_>,
    ) -> Result<(), QueryError> {
        let make = |worker: &mut Worker<'_, '_>, looks: &Looks, found: Found<'_>| {
            let drop_name = found.drop_name || !keep_name;
            match columnar {
                Some(columnar) if found.samples.histograms.is_empty() => {
                    worker.whole(looks, &found, drop_name, columnar)
                }
                _ => worker.each(looks, &found, drop_name, compute),
            }
        };
        self.ranges(node, grid, reads, make, take)
    }
}
