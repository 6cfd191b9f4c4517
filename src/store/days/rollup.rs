//! Rollups: a day in steps of five minutes, in a file of its own (`metrics/5m/<day>.redb`) of the layout of day files.
//!
//! Its runs are the columns: of every series the samples that matter for what selects and counts (the first and last of each step, and
//! those around a counter's resets), and the least, the greatest, the sum and the number of each step's samples, at the time of
//! the step's last one. A step ends at a multiple of five minutes and holds it; so what looks back from such a multiple for multiples of five
//! minutes sees whole steps. Layout: `FORMAT.md`.

use std::path::Path;

use model::metric::is_stale;
use model::time::Day;
use model::{CounterReset, Histogram, Labels};
use redb::{Database, ReadableDatabase, WriteTransaction};
use roaring::RoaringBitmap;

use crate::file::{disk_bytes, guarded, io_error, redb_error, unfinished};
use crate::index::write::INDEX;
use crate::limits::{DAY_CACHE_BYTES, ROLLUP_CHUNK_SAMPLES, SERIES_AT_ONCE};
use crate::{Rollup, Samples, StoreError};

use super::runs::{NewRun, Run};
use super::settle::{carry, copy_samples};
use super::summary::{Summary, put_summary};
use super::{DayFile, Days, EXEMPLARS, put_pages};

/// Length of a step, in ms.
pub const STEP_MS: i64 = 300_000;

/// Native histograms: the first and last of each step, and those around a reset. A run beside the five columns.
pub(super) const HISTOGRAMS: u64 = 6;

impl Rollup {
    /// The column's run.
    pub(super) fn run(self) -> u64 {
        match self {
            Rollup::Samples | Rollup::Marks => 1,
            Rollup::Min => 2,
            Rollup::Max => 3,
            Rollup::Sum => 4,
            Rollup::Count => 5,
        }
    }
}

/// The step of an instant; its end is inside, its start is not.
pub(crate) fn step_of(at_ms: i64) -> i64 {
    at_ms.saturating_sub(1).div_euclid(STEP_MS)
}

/// One series' day in steps.
#[derive(Debug, Default, PartialEq)]
struct Rolled {
    samples: Samples,
    /// Of each step with samples that are no stale markers: its last one's time, and the four figures.
    at_ms: Vec<i64>,
    min: Vec<f64>,
    max: Vec<f64>,
    sum: Vec<f64>,
    count: Vec<f64>,
}

/// Rolls one series up. Of a counter the samples before and after each fall are kept, so that its increase stays what it was.
fn roll(samples: &Samples, is_counter: bool) -> Rolled {
    let mut rolled = Rolled::default();
    let Samples { at_ms, values, histograms } = samples;
    let mut start = 0;
    while start < at_ms.len() {
        let step = step_of(at_ms[start]);
        let end = start + at_ms[start..].partition_point(|at| step_of(*at) == step);
        for at in start..end {
            let is_marker = |at: usize| is_stale(values[at]);
            let falls = |at: usize| is_counter && at + 1 < values.len() && values[at + 1] < values[at];
            // What ends a series is kept with what it ends.
            let marks = is_marker(at) || at + 1 < end && is_marker(at + 1);
            if at == start || at + 1 == end || marks || falls(at) || at > 0 && falls(at - 1) {
                rolled.samples.at_ms.push(at_ms[at]);
                rolled.samples.values.push(values[at]);
            }
        }
        let live = || values[start..end].iter().copied().filter(|value| !is_stale(*value));
        let last = (start..end).rev().find(|at| !is_stale(values[*at]));
        if let Some(last) = last {
            // NaN only where there is nothing else, as in `min_over_time`.
            let least = |one: f64, other: f64| if other < one || one.is_nan() { other } else { one };
            let most = |one: f64, other: f64| if other > one || one.is_nan() { other } else { one };
            rolled.at_ms.push(at_ms[last]);
            rolled.min.push(live().fold(f64::NAN, least));
            rolled.max.push(live().fold(f64::NAN, most));
            rolled.sum.push(live().sum());
            rolled.count.push(live().count() as f64);
        }
        start = end;
    }
    for (at, (at_ms, histogram)) in histograms.iter().enumerate() {
        let new_step = |other: Option<&(i64, _)>| other.is_none_or(|(other, _)| step_of(*other) != step_of(*at_ms));
        let (before, after) = (at.checked_sub(1).and_then(|at| histograms.get(at)), histograms.get(at + 1));
        let near_reset =
            |one: &Histogram, next: &Histogram| next.is_stale() || one.is_stale() || may_be_reset(one, next);
        let marks = before.is_some_and(|(_, before)| near_reset(before, histogram))
            || after.is_some_and(|(_, after)| near_reset(histogram, after));
        if new_step(before) || new_step(after) || marks {
            rolled.samples.histograms.push((*at_ms, histogram.clone()));
        }
    }
    rolled
}

/// Whether a counter may have been reset between two histograms: anything that whoever compares the two could take for it. One kept too
/// many costs little, one missing would be an increase that is missing.
fn may_be_reset(one: &Histogram, next: &Histogram) -> bool {
    let falls = |one: &[(i32, f64)], next: &[(i32, f64)]| {
        one.iter().any(|(index, count)| {
            let now = next.binary_search_by_key(index, |(index, _)| *index).map_or(0.0, |at| next[at].1);
            now < *count
        })
    };
    let shape = |histogram: &Histogram| (histogram.schema, histogram.zero_threshold.to_bits());
    next.reset == CounterReset::Yes
        || shape(one) != shape(next)
        || one.custom_bounds != next.custom_bounds
        || next.count < one.count
        || next.zero_count < one.zero_count
        || falls(&one.positive, &next.positive)
        || falls(&one.negative, &next.negative)
}

/// The six runs in the making.
struct Runs([NewRun; 6]);

impl Runs {
    fn add(&mut self, series: u32, rolled: Rolled) {
        let Rolled { samples, at_ms, min, max, sum, count } = rolled;
        let [kept, mins, maxs, sums, counts, histograms] = &mut self.0;
        let Samples { at_ms: kept_ms, values, histograms: of_series } = samples;
        let add = |run: &mut NewRun, at_ms: Vec<i64>, values: Vec<f64>| {
            run.add(series, &Samples { at_ms, values, ..Samples::default() }, ROLLUP_CHUNK_SAMPLES);
        };
        add(kept, kept_ms, values);
        add(mins, at_ms.clone(), min);
        add(maxs, at_ms.clone(), max);
        add(sums, at_ms.clone(), sum);
        add(counts, at_ms, count);
        histograms.add(series, &Samples { histograms: of_series, ..Samples::default() }, ROLLUP_CHUNK_SAMPLES);
    }

    /// Puts pages that are full into the file, so that memory holds a few of each run.
    fn put_full(&mut self, txn: &WriteTransaction) -> Result<(), redb::Error> {
        (1..).zip(&mut self.0).try_for_each(|(number, run)| put_pages(txn, number, run.full_pages()))
    }

    fn finish(self, txn: &WriteTransaction) -> Result<Vec<Run>, redb::Error> {
        let mut made = Vec::new();
        for (number, run) in (1..).zip(self.0) {
            if let Some((pages, run, _)) = run.finish(number, true) {
                put_pages(txn, number, pages)?;
                made.push(run);
            }
        }
        Ok(made)
    }
}

impl Days {
    /// Writes the rollup of a settled day into `rollups`, in the place of an older one; the number of its samples there. `None`
    /// when the day has no file, or nothing in it. Takes about 60 ns a sample of the day and the memory of one series.
    pub(crate) fn roll_up(
        &self,
        day: Day,
        rollups: &Days,
        is_counter: &dyn Fn(&Labels) -> bool,
    ) -> Result<Option<u64>, StoreError> {
        let Some(file) = self.known.read().get(&day).cloned() else { return Ok(None) };
        let (before, database) = self.opened(&file)?;
        let mut counters = RoaringBitmap::new();
        self.with_index(day, |index| {
            let mut numbers = before.present.iter();
            loop {
                let part: RoaringBitmap = numbers.by_ref().take(SERIES_AT_ONCE).collect();
                if part.is_empty() {
                    return Ok(());
                }
                let named = index.labels_of(&part)?;
                counters.extend(named.iter().filter(|(_, labels)| is_counter(labels)).map(|(number, _)| *number));
            }
        })?;
        crate::file::make_dir(&rollups.dir)?;
        let path = rollups.dir.join(format!("{day}.redb"));
        let new_path = unfinished(&path);
        let write = || rollups.write_rollup((&database, &file.path, day, &before), &new_path, &counters);
        let Some(summary) = guarded(&file.path, write)? else { return Ok(None) };
        rollups.files.put_in_place(&path, &new_path)?;
        let samples = summary.runs.iter().map(|run| run.samples).sum();
        let rolled = DayFile::new(path);
        *rolled.summary.lock() = Some(std::sync::Arc::new(summary));
        rollups.known.write().insert(day, rolled);
        Ok(Some(samples))
    }

    fn write_rollup(
        &self,
        (database, path, day, before): (&Database, &Path, Day, &Summary),
        new_path: &Path,
        counters: &RoaringBitmap,
    ) -> Result<Option<Summary>, StoreError> {
        let failed = |error: redb::Error| redb_error("rolling a day up", path, error);
        let txn = database.begin_read().map_err(|error| failed(error.into()))?;
        match std::fs::remove_file(new_path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(io_error("remove", new_path, error));
            }
            _ => {}
        }
        let mut made = self.files.open_apart(new_path, DAY_CACHE_BYTES)?;
        let written = |error: redb::Error| redb_error("writing a day's rollup", new_path, error);
        let mut write = made.begin_write().map_err(|error| written(error.into()))?;
        write.set_quick_repair(true);
        let mut runs = Runs(Default::default());
        let read = copy_samples(&txn, path, day, before, &failed, &mut |series, columns| {
            runs.add(series, roll(&columns.settle(), counters.contains(series)));
            runs.put_full(&write).map_err(written)
        });
        if let Err(error) = read {
            // Left open it would be committed by nobody, but hold the file.
            drop(write.abort());
            return Err(error);
        }
        let finish = || -> Result<Summary, redb::Error> {
            let runs = runs.finish(&write)?;
            let summary = Summary { runs, rows: false, alone: None, ..before.clone() };
            carry(&txn, &write, INDEX)?;
            carry(&txn, &write, EXEMPLARS)?;
            put_summary(&write, &summary)?;
            write.commit()?;
            Ok(summary)
        };
        let summary = finish().map_err(written)?;
        made.compact().map_err(|error| match error {
            redb::CompactionError::Storage(error) => written(error.into()),
            other => StoreError::Unavailable { reason: format!("{}: {other}", new_path.display()) },
        })?;
        Ok((!summary.runs.is_empty()).then_some(summary))
    }

    /// Notes durably that the samples themselves are gone, up to the intake number that the rollup covers.
    pub(crate) fn stand_alone(&self, day: Day) -> Result<(), StoreError> {
        let Some(file) = self.known.read().get(&day).cloned() else { return Ok(()) };
        let (before, database) = self.opened(&file)?;
        let summary = Summary { alone: Some(before.covered_seq), ..(*before).clone() };
        let write = || -> Result<(), redb::Error> {
            let mut txn = database.begin_write()?;
            txn.set_quick_repair(true);
            put_summary(&txn, &summary)?;
            Ok(txn.commit()?)
        };
        write().map_err(|error| {
            self.files.forget(&file.path);
            redb_error("writing a day's rollup", &file.path, error)
        })?;
        *file.summary.lock() = Some(std::sync::Arc::new(summary));
        Ok(())
    }

    /// Removes the file of one day; its space is free at once, or when its last reader ends.
    pub(crate) fn drop_file(&self, day: Day) -> Result<u64, StoreError> {
        let Some(file) = self.known.write().remove(&day) else { return Ok(0) };
        let bytes = disk_bytes(&file.path);
        self.files.forget(&file.path);
        match std::fs::remove_file(&file.path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(io_error("remove", &file.path, error)),
            _ => Ok(bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seconds and values: `10=1.5`; `x` is a stale marker.
    fn samples(text: &str) -> Samples {
        let mut samples = Samples::default();
        for sample in text.split_whitespace() {
            let (at, value) = sample.split_once('=').unwrap();
            samples.at_ms.push(at.parse::<i64>().unwrap() * 1_000);
            samples.values.push(if value == "x" { model::metric::stale_marker() } else { value.parse().unwrap() });
        }
        samples
    }

    #[track_caller]
    fn check(text: &str, is_counter: bool, kept: &str, figures: &[(i64, [f64; 4])]) {
        let rolled = roll(&samples(text), is_counter);
        let bits = |samples: &Samples| samples.values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
        assert_eq!(
            (&rolled.samples.at_ms, bits(&rolled.samples)),
            (&samples(kept).at_ms, bits(&samples(kept))),
            "{text}"
        );
        let found: Vec<(i64, [f64; 4])> = (0..rolled.at_ms.len())
            .map(|at| (rolled.at_ms[at] / 1_000, [rolled.min[at], rolled.max[at], rolled.sum[at], rolled.count[at]]))
            .collect();
        assert_eq!(found, figures, "{text}");
    }

    #[test]
    fn a_step_keeps_its_ends_and_figures() {
        check("", false, "", &[]);
        check("10=1", false, "10=1", &[(10, [1.0, 1.0, 1.0, 1.0])]);
        check("10=1 20=5 30=2 40=3", false, "10=1 40=3", &[(40, [1.0, 5.0, 11.0, 4.0])]);
        // A step ends at its multiple and holds it.
        check(
            "290=1 300=2 301=3 600=4 601=5",
            false,
            "290=1 300=2 301=3 600=4 601=5",
            &[(300, [1.0, 2.0, 3.0, 2.0]), (600, [3.0, 4.0, 7.0, 2.0]), (601, [5.0, 5.0, 5.0, 1.0])],
        );
    }

    #[test]
    fn a_counter_keeps_what_lies_around_its_falls() {
        let text = "10=1 20=8 30=2 40=9 50=12";
        check(text, false, "10=1 50=12", &[(50, [1.0, 12.0, 32.0, 5.0])]);
        check(text, true, "10=1 20=8 30=2 50=12", &[(50, [1.0, 12.0, 32.0, 5.0])]);
        // Over the border of two steps.
        check(
            "290=7 299=9 310=1 320=2 330=3",
            true,
            "290=7 299=9 310=1 330=3",
            &[(299, [7.0, 9.0, 16.0, 2.0]), (330, [1.0, 3.0, 6.0, 3.0])],
        );
    }

    #[test]
    fn histograms_around_whatever_may_be_a_reset_are_kept() {
        let of = |change: fn(&mut Histogram)| {
            let mut histogram =
                Histogram { count: 9.0, zero_count: 1.0, positive: vec![(1, 3.0), (2, 5.0)], ..Histogram::default() };
            change(&mut histogram);
            std::sync::Arc::new(histogram)
        };
        let check = |change: fn(&mut Histogram), kept: &[i64]| {
            // Two before, the changed one, and two after it that begin with what it has.
            let rows = [of(|_| {}), of(|_| {}), of(|_| {}), of(change), of(change), of(change)];
            let histograms = (1..).zip(rows).map(|(at, histogram)| (at * 10_000, histogram)).collect();
            let rolled = roll(&Samples { histograms, ..Samples::default() }, false);
            let at: Vec<i64> = rolled.samples.histograms.iter().map(|(at_ms, _)| at_ms / 10_000).collect();
            assert_eq!(at, kept);
        };
        check(|_| {}, &[1, 6]);
        check(|histogram| histogram.positive[1].1 = 8.0, &[1, 6]);
        check(|histogram| histogram.count = 8.0, &[1, 3, 4, 6]);
        check(|histogram| histogram.positive = vec![(1, 2.0), (2, 6.0)], &[1, 3, 4, 6]);
        check(|histogram| histogram.positive = vec![(2, 9.0)], &[1, 3, 4, 6]);
        check(|histogram| histogram.zero_count = 0.0, &[1, 3, 4, 6]);
        check(|histogram| histogram.schema = 3, &[1, 3, 4, 6]);
        check(|histogram| histogram.zero_threshold = 0.5, &[1, 3, 4, 6]);
        // Each says so itself, whatever its counts are.
        check(|histogram| histogram.reset = CounterReset::Yes, &[1, 3, 4, 5, 6]);
        check(|histogram| histogram.sum = model::metric::stale_marker(), &[1, 3, 4, 5, 6]);
    }

    #[test]
    fn an_end_stays_an_end() {
        check("10=1 20=2 30=x 40=5 50=6", false, "10=1 20=2 30=x 50=6", &[(50, [1.0, 6.0, 14.0, 4.0])]);
        check("10=1 20=2 30=x", false, "10=1 20=2 30=x", &[(20, [1.0, 2.0, 3.0, 2.0])]);
        check("310=x", false, "310=x", &[]);
    }
}
