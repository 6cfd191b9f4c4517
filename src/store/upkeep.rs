//! Upkeep of one tenant: heads go to the day files, the intake log is trimmed, idle series leave memory. Days that are quiet are settled in
//! `settling.rs`, old ones go in `retention.rs`.
//!
//! A flush covers everything up to one intake number: the head is frozen between two commits, written, and only then does the
//! log forget. Whatever step fails, the frozen head stays readable and is written again.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use model::MsRange;
use model::meter::Counter;
use model::time::Day;
use roaring::RoaringBitmap;

use crate::columns::Columns;
use crate::days::{DayRows, NewRun};
use crate::error::describe;
use crate::exemplars::Row;
use crate::head::Head;
use crate::idle::Idle;
use crate::limits::{
    CHUNK_SAMPLES, FIND_DAYS, FIND_SERIES_MAX, HEAD_AGE_MS, HEAD_BYTES_MAX, HEAD_IDLE_MS, INTAKE_BYTES_MAX,
    SERIES_AT_ONCE,
};
use crate::tenant::Inner;
use crate::view::Frozen;
use crate::{Samples, StoreError};

static FLUSH_FAILURES: Counter =
    Counter::new("binnacle_store_flush_failures_total", "Flushes of heads to day files that failed.", &[]);

/// What upkeep remembers between two rounds.
#[derive(Default)]
pub(crate) struct Upkeep {
    /// When the active head was first seen with samples.
    head_since_ms: Option<i64>,
    last_now_ms: i64,
    /// The last batch applied, and when it was first seen to be that.
    newest: (u64, i64),
    /// The intake log was trimmed up to here.
    pub(crate) trimmed_seq: u64,
    idle: Idle,
}

impl Inner {
    /// One round at `now_ms`.
    pub(crate) fn maintain(&self, now_ms: i64) -> Result<(), StoreError> {
        self.retry();
        let begun = self.begin_day(now_ms);
        let mut flushed = self.flush(Some(now_ms), false);
        self.tighten();
        if self.is_over_with_intake_log(now_ms) {
            // What waits there is a fraction of it in day files: that may spare a day.
            flushed = flushed.and(self.flush(Some(now_ms), true));
            self.tighten();
        }
        self.forget_idle(&mut self.upkeep.lock());
        // Space must come back even when nothing can be written; that may be what writing waits for.
        self.retain(now_ms)?;
        at_low_priority(|| {
            let rules = &self.shared.options.logs_streams;
            self.logs.thin_due(rules, now_ms, |bytes| self.shared.has_room_for(bytes));
            self.logs.index_due(now_ms);
            self.logs.settle_due(now_ms, |bytes| self.shared.has_room_for(bytes));
        });
        if !self.shared.files.is_ending() {
            self.settle_due(now_ms);
            self.roll_up_due(now_ms);
        }
        flushed.and(begun)
    }

    /// Writes heads out: all with `force`, else what is full or old. Without `now_ms` the last known time stands in.
    pub(crate) fn flush(&self, now_ms: Option<i64>, force: bool) -> Result<(), StoreError> {
        let mut upkeep = self.upkeep.lock();
        upkeep.last_now_ms = now_ms.unwrap_or(upkeep.last_now_ms);
        let now_ms = upkeep.last_now_ms;
        let done = self.flush_locked(&mut upkeep, now_ms, force);
        if let Err(error) = &done {
            FLUSH_FAILURES.add(&[], 1);
            tracing::error!(tenant = %self.id, reason = describe(error), "writing out the head failed; it is tried again");
        }
        done
    }

    fn flush_locked(&self, upkeep: &mut Upkeep, now_ms: i64, force: bool) -> Result<(), StoreError> {
        let force = force || self.intake.bytes() > INTAKE_BYTES_MAX;
        // Everything up to here is in a head or further: the logs' own answer says nothing of batches not applied yet.
        let applied_seq = self.view.read().applied_seq;
        let frozen_before = self.view.read().frozen.clone();
        if let Some(frozen) = frozen_before {
            self.write_out(&frozen)?;
            self.see_idle(upkeep);
        }
        let bytes = self.view.read().active.bytes();
        let since_ms = if bytes == 0 { None } else { Some(upkeep.head_since_ms.unwrap_or(now_ms)) };
        upkeep.head_since_ms = since_ms;
        let old = since_ms.is_some_and(|since_ms| now_ms.saturating_sub(since_ms) >= HEAD_AGE_MS);
        if upkeep.newest.0 != applied_seq {
            upkeep.newest = (applied_seq, now_ms);
        }
        let idle = now_ms.saturating_sub(upkeep.newest.1) >= HEAD_IDLE_MS;
        let mut metrics_seq = None;
        if bytes == 0 {
            metrics_seq = Some(applied_seq);
        } else if force || old || idle || bytes > HEAD_BYTES_MAX {
            let frozen = self.freeze();
            self.write_out(&frozen)?;
            self.see_idle(upkeep);
            upkeep.head_since_ms = None;
            metrics_seq = Some(frozen.seq);
        }
        let logs_seq = self.logs.flush(now_ms, force)?.unwrap_or(applied_seq);
        let seq = metrics_seq.map_or(0, |metrics_seq| metrics_seq.min(logs_seq));
        if seq > upkeep.trimmed_seq && self.intake.bytes() > 0 {
            loop {
                // Under the writer's lock, so that a failed trim and a commit never meet in one file.
                let writer = self.writer.lock();
                let more = self
                    .intake
                    .trim_some(seq, writer.next_series())
                    .inspect_err(|_| self.shared.files.forget(self.intake.path()))?;
                drop(writer);
                if !more {
                    break;
                }
            }
            upkeep.trimmed_seq = seq;
        }
        Ok(())
    }

    /// Puts an empty head in the place of the active one.
    fn freeze(&self) -> Frozen {
        let mut writer = self.writer.lock();
        let mut view = self.view.write();
        let seq = view.applied_seq;
        let frozen = Frozen {
            head: std::mem::replace(&mut view.active, Arc::new(Head::new(seq, self.shared.heads.clone()))),
            seq,
        };
        view.frozen = Some(frozen.clone());
        drop(view);
        writer.head_begins();
        drop(writer);
        frozen
    }

    /// Writes a frozen head to the day files, one commit a day; then readers take it from there.
    fn write_out(&self, frozen: &Frozen) -> Result<(), StoreError> {
        let mut exemplars = frozen.head.exemplars.by_day();
        let labels_of = |numbers: &[u32]| self.catalogue.labels_of(numbers.iter().copied());
        for (day, run) in runs_of(&frozen.head) {
            let mut rows = exemplars.remove(&day).unwrap_or_default();
            if self.days.summary(day)?.covered_seq >= frozen.seq {
                // Written by an attempt that failed at a later day.
                continue;
            }
            let (run, fresh) = self.named_on(day, run, &mut rows, &frozen.head)?;
            self.days.write(day, DayRows { run, exemplars: rows }, frozen.seq, &fresh, &labels_of)?;
        }
        // Days on which there are exemplars of samples of another day.
        for (day, exemplars) in exemplars {
            if self.days.summary(day)?.covered_seq < frozen.seq {
                let rows = DayRows { run: NewRun::default(), exemplars };
                self.days.write(day, rows, frozen.seq, &RoaringBitmap::new(), &labels_of)?;
            }
        }
        // What the writer looks into for series that come back is read here, so that it does not wait for it.
        for day in self.days.days().into_iter().rev().take(FIND_DAYS) {
            self.days.with_index(day, |index| {
                if index.len() <= FIND_SERIES_MAX {
                    index.finder()?;
                }
                Ok(())
            })?;
        }
        let mut view = self.view.write();
        view.frozen = None;
        view.flushed_seq = frozen.seq;
        Ok(())
    }

    /// Of the series of a run, those that the day does not name yet. A label set that the day knows by another number keeps that
    /// there, so that it has one a day; then the run is made again, since its series stand in order of their numbers.
    fn named_on(
        &self,
        day: Day,
        run: NewRun,
        exemplars: &mut [Row],
        head: &Head,
    ) -> Result<(NewRun, RoaringBitmap), StoreError> {
        let present = &self.days.summary(day)?.present;
        let fresh = &run.present - present;
        if fresh.is_empty() {
            return Ok((run, fresh));
        }
        let mut renamed: HashMap<u32, u32> = HashMap::new();
        self.days.with_index(day, |index| {
            // A part at a time, for the memory of their labels.
            let mut numbers = fresh.iter();
            loop {
                let part: Vec<u32> = numbers.by_ref().take(SERIES_AT_ONCE).collect();
                if part.is_empty() {
                    return Ok(());
                }
                for (number, labels) in self.catalogue.labels_of(part) {
                    if let Some(other) = index.find(codec::series::hash(labels.iter()), &labels)? {
                        renamed.insert(number, other);
                    }
                }
            }
        })?;
        if renamed.is_empty() {
            return Ok((run, fresh));
        }
        for ((number, ..), _) in exemplars {
            *number = renamed.get(number).copied().unwrap_or(*number);
        }
        let run = renamed_run(head, day, &run.present, &renamed);
        let fresh = &run.present - present;
        Ok((run, fresh))
    }

    /// After a head was written out: which series have no samples in memory now.
    fn see_idle(&self, upkeep: &mut Upkeep) {
        let now_ms = upkeep.last_now_ms;
        // Before the heads: a series that comes back meanwhile is in a head.
        let mut idle = self.catalogue.all();
        for head in self.view.read().heads() {
            idle -= head.numbers();
        }
        upkeep.idle.see(idle, now_ms);
        self.forget_idle(upkeep);
    }

    /// Forgets series that are idle for long, or too many: their senders' keys first and they themselves a round later, so that
    /// no request under way names a series that is gone.
    fn forget_idle(&self, upkeep: &mut Upkeep) {
        let now_ms = upkeep.last_now_ms;
        let active = |numbers: &RoaringBitmap| {
            self.view
                .read()
                .heads()
                .fold(RoaringBitmap::new(), |all, head| all | head.known_among(numbers, MsRange::ALL))
        };
        let mut leaving: Vec<u32> = std::mem::take(&mut upkeep.idle.leaving).into_iter().collect();
        let any = !leaving.is_empty();
        while !leaving.is_empty() {
            let part = leaving.split_off(leaving.len().saturating_sub(SERIES_AT_ONCE));
            // Between two commits: nobody is about to use one of them.
            let writer = self.writer.lock();
            let back = active(&part.iter().copied().collect());
            self.catalogue.remove(part.into_iter().filter(|number| !back.contains(*number)));
            drop(writer);
        }
        if any {
            self.catalogue.shrink();
        }
        let mut due = upkeep.idle.due(now_ms);
        if !due.is_empty() {
            due -= active(&due);
            self.catalogue.forget_keys(&due);
            upkeep.idle.leaving = due;
        }
        self.idle_series.store(upkeep.idle.len(), Ordering::Relaxed);
    }
}

/// Work that takes seconds and for which nobody waits, on a thread that yields to all others.
fn at_low_priority(work: impl FnOnce() + Send) {
    const NICER: i32 = 10;
    std::thread::scope(|scope| {
        let quiet = || {
            // On Linux a thread has a priority of its own; without it the work is done all the same.
            if let Err(error) = rustix::process::nice(NICER) {
                tracing::debug!(%error, "no low priority");
            }
            work();
        };
        if let Err(error) = std::thread::Builder::new().name("index-logs".into()).spawn_scoped(scope, quiet) {
            tracing::warn!(%error, "no thread to index logs; the next round of upkeep tries again");
        }
    });
}

/// A head as runs of pages, one a day.
fn runs_of(head: &Head) -> BTreeMap<Day, NewRun> {
    let mut runs: BTreeMap<Day, NewRun> = BTreeMap::new();
    head.each_sorted(|series, samples| {
        let mut add = |day: Day, samples: &Samples| {
            runs.entry(day).or_default().add(series, samples, CHUNK_SAMPLES);
        };
        let days = days_of(samples);
        match days.as_slice() {
            [] => {}
            [day] => add(*day, samples),
            days => days.iter().for_each(|day| add(*day, &samples.of_day(*day))),
        }
    });
    runs
}

/// One day of a head, its series by the numbers that the day knows them by.
fn renamed_run(head: &Head, day: Day, present: &RoaringBitmap, renamed: &HashMap<u32, u32>) -> NewRun {
    let mut order: Vec<(u32, u32)> =
        present.iter().map(|number| (renamed.get(&number).copied().unwrap_or(number), number)).collect();
    order.sort_unstable();
    let range = MsRange { start_ms: day.start_ms(), end_ms: day.start_ms() + model::time::MS_PER_DAY - 1 };
    let mut run = NewRun::default();
    for same in order.chunk_by(|one, other| one.0 == other.0) {
        let mut columns = Columns::default();
        for (_, number) in same {
            head.read(*number, u64::MAX, range, &mut columns);
        }
        run.add(same[0].0, &columns.settle(), CHUNK_SAMPLES);
    }
    run
}

/// The days of samples in order of time.
fn days_of(samples: &Samples) -> Vec<Day> {
    let mut days = Vec::new();
    let mut at_floats = 0;
    while let Some(at_ms) = samples.at_ms.get(at_floats) {
        let day = Day::of_ms(*at_ms);
        days.push(day);
        at_floats += samples.at_ms[at_floats..].partition_point(|at_ms| Day::of_ms(*at_ms) == day);
    }
    days.extend(samples.histograms.iter().map(|(at_ms, _)| Day::of_ms(*at_ms)));
    days.sort_unstable();
    days.dedup();
    days
}

impl Samples {
    fn of_day(&self, day: Day) -> Samples {
        let floats = self.at_ms.partition_point(|at_ms| Day::of_ms(*at_ms) < day)
            ..self.at_ms.partition_point(|at_ms| Day::of_ms(*at_ms) <= day);
        let histograms = self.histograms.partition_point(|(at_ms, _)| Day::of_ms(*at_ms) < day)
            ..self.histograms.partition_point(|(at_ms, _)| Day::of_ms(*at_ms) <= day);
        Samples {
            at_ms: self.at_ms[floats.clone()].to_vec(),
            values: self.values[floats].to_vec(),
            histograms: self.histograms[histograms].to_vec(),
        }
    }
}
