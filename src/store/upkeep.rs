//! Upkeep of one tenant: heads go to the day files, the intake log is trimmed, old days go, series without samples go.
//!
//! A flush covers everything up to one intake number: the head is frozen between two commits, written, and only then does the
//! log forget. Whatever step fails, the frozen head stays readable and is written again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use model::meter::Counter;
use model::time::Day;

use crate::days::{Kind, NewChunk, epoch_of};
use crate::head::Head;
use crate::limits::{CHUNK_SAMPLES, HEAD_AGE_MS, HEAD_SAMPLES_MAX, INTAKE_BYTES_MAX};
use crate::tenant::Inner;
use crate::view::Frozen;
use crate::writer::describe;
use crate::{Samples, StoreError};

static FLUSH_FAILURES: Counter =
    Counter::new("binnacle_store_flush_failures_total", "Flushes of heads to day files that failed.", &[]);
static DROPPED_DAYS: Counter =
    Counter::new("binnacle_store_dropped_days_total", "Days dropped, by why and of what.", &["why", "data"]);

/// What upkeep remembers between two rounds.
#[derive(Default)]
pub(crate) struct Upkeep {
    /// When the active head was first seen with samples.
    head_since_ms: Option<i64>,
    last_now_ms: i64,
    /// The intake log was trimmed up to here.
    trimmed_seq: u64,
}

/// Chunks of one day, and the times they span.
type DayChunks = (Vec<NewChunk>, (i64, i64));

impl Inner {
    /// One round at `now_ms`.
    pub(crate) fn maintain(&self, now_ms: i64) -> Result<(), StoreError> {
        self.retry();
        let flushed = self.flush(Some(now_ms), false);
        // Space must come back even when nothing can be written; that may be what writing waits for.
        self.retain(now_ms)?;
        self.logs.index_due(now_ms);
        flushed
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
        }
        let samples = self.view.read().active.weight();
        let since_ms = if samples == 0 { None } else { Some(upkeep.head_since_ms.unwrap_or(now_ms)) };
        upkeep.head_since_ms = since_ms;
        let old = since_ms.is_some_and(|since_ms| now_ms.saturating_sub(since_ms) >= HEAD_AGE_MS);
        let mut metrics_seq = None;
        if samples == 0 {
            metrics_seq = Some(applied_seq);
        } else if force || old || samples > HEAD_SAMPLES_MAX {
            let frozen = self.freeze();
            self.write_out(&frozen)?;
            upkeep.head_since_ms = None;
            metrics_seq = Some(frozen.seq);
        }
        let logs_seq = self.logs.flush(now_ms, force)?.unwrap_or(applied_seq);
        let seq = metrics_seq.map_or(0, |metrics_seq| metrics_seq.min(logs_seq));
        if seq > upkeep.trimmed_seq && self.intake.bytes() > 0 {
            // Under the writer's lock, so that a failed trim and a commit never meet in one file.
            let writer = self.writer.lock();
            self.intake.trim(seq).inspect_err(|_| self.shared.files.forget(self.intake.path()))?;
            drop(writer);
            upkeep.trimmed_seq = seq;
        }
        Ok(())
    }

    /// Puts an empty head in the place of the active one.
    fn freeze(&self) -> Frozen {
        let writer = self.writer.lock();
        let mut view = self.view.write();
        let seq = view.applied_seq;
        let frozen = Frozen {
            head: std::mem::replace(&mut view.active, Arc::new(Head::new(seq, self.shared.heads.clone()))),
            seq,
        };
        view.frozen = Some(frozen.clone());
        drop(view);
        drop(writer);
        frozen
    }

    /// Writes a frozen head to the day files, one commit a day; then readers take it from there.
    fn write_out(&self, frozen: &Frozen) -> Result<(), StoreError> {
        for (day, (chunks, span_ms)) in chunks_of(&frozen.head) {
            self.days.write(day, chunks, span_ms, frozen.seq)?;
        }
        let mut view = self.view.write();
        view.frozen = None;
        view.flushed_seq = frozen.seq;
        Ok(())
    }

    /// Drops what is past its age, then the oldest days while the tenant is over its bytes.
    fn retain(&self, now_ms: i64) -> Result<(), StoreError> {
        let upkeep = self.upkeep.lock();
        let options = &self.shared.options;
        let metrics_day = Day::of_ms(now_ms.saturating_sub(options.metrics_retention_ms));
        let logs_day = Day::of_ms(now_ms.saturating_sub(options.logs_retention_ms));
        let mut dropped = self.drop_metrics(metrics_day, "age")?;
        self.drop_logs(logs_day, "age")?;
        let today = Day::of_ms(now_ms);
        loop {
            let (metrics, logs) = (self.days.sizes(), self.logs.days());
            let bytes: u64 = metrics.iter().chain(&logs).map(|(_, bytes)| bytes).sum();
            let oldest = metrics.first().into_iter().chain(logs.first()).map(|(day, _)| *day).min();
            let over = bytes > options.bytes_max;
            // The newest day stays: who is over with one day alone must hear of it instead of losing it again and again.
            let droppable = oldest.filter(|day| *day < today);
            self.full.store(over && droppable.is_none(), Ordering::Relaxed);
            let Some(day) = droppable.filter(|_| over) else { break };
            dropped |= self.drop_metrics(Day(day.0 + 1), "bytes")?;
            self.drop_logs(Day(day.0 + 1), "bytes")?;
        }
        if dropped {
            self.remove_empty_series()?;
        }
        drop(upkeep);
        Ok(())
    }

    /// The oldest day before today that has files.
    pub(crate) fn oldest_day(&self, today: Day) -> Option<Day> {
        let logs = self.logs.days().first().map(|(day, _)| *day);
        self.days.days().first().copied().into_iter().chain(logs).min().filter(|day| *day < today)
    }

    /// Drops one day for the sake of the disk.
    pub(crate) fn drop_day(&self, day: Day) -> Result<(), StoreError> {
        let upkeep = self.upkeep.lock();
        self.drop_logs(Day(day.0 + 1), "disk")?;
        if self.drop_metrics(Day(day.0 + 1), "disk")? {
            self.remove_empty_series()?;
        }
        drop(upkeep);
        Ok(())
    }

    fn drop_metrics(&self, before: Day, why: &'static str) -> Result<bool, StoreError> {
        let dropped = self.days.drop_before(before)?;
        if !dropped.is_empty() {
            DROPPED_DAYS.add(&[why, "metrics"], dropped.len() as u64);
            tracing::info!(tenant = %self.id, days = dropped.len(), before = %before, why, "dropped old days of metrics");
        }
        Ok(!dropped.is_empty())
    }

    fn drop_logs(&self, before: Day, why: &'static str) -> Result<(), StoreError> {
        let old = self.logs.days().iter().filter(|(day, _)| *day < before).count();
        if old > 0 {
            self.logs.drop_before(before)?;
            DROPPED_DAYS.add(&[why, "logs"], old as u64);
            tracing::info!(tenant = %self.id, days = old, before = %before, why, "dropped old days of logs");
        }
        Ok(())
    }

    /// Removes series that are in no day file and in no head. Their numbers are never given again.
    fn remove_empty_series(&self) -> Result<(), StoreError> {
        // Between two commits: nobody is about to use one of them.
        let writer = self.writer.lock();
        let mut empty = self.catalogue.all();
        for day in self.days.days() {
            empty -= &self.days.summary(day)?.present;
        }
        for head in self.view.read().heads() {
            empty -= head.numbers();
        }
        if !empty.is_empty() {
            self.intake
                .remove_series(&empty, writer.next_series())
                .inspect_err(|_| self.shared.files.forget(self.intake.path()))?;
            self.catalogue.remove(&empty);
        }
        drop(writer);
        Ok(())
    }
}

/// A head cut into chunks: by day and epoch, at most [`CHUNK_SAMPLES`] floats each, and as many histograms as a chunk takes.
fn chunks_of(head: &Head) -> BTreeMap<Day, DayChunks> {
    let mut days: BTreeMap<Day, DayChunks> = BTreeMap::new();
    head.each_sorted(|series, Samples { at_ms, values, histograms }| {
        let floats = |from: usize, in_slot: usize| {
            let end = from + in_slot.min(CHUNK_SAMPLES);
            (end, codec::chunk::encode(&at_ms[from..end], &values[from..end]))
        };
        cut(&mut days, Kind::Floats, series, at_ms, floats);
        let times: Vec<i64> = histograms.iter().map(|(at_ms, _)| *at_ms).collect();
        let encoded = |from: usize, in_slot: usize| {
            let (taken, bytes) = codec::histogram_chunk::encode(&histograms[from..from + in_slot]);
            (from + taken, bytes)
        };
        cut(&mut days, Kind::Histograms, series, &times, encoded);
    });
    days
}

/// Cuts samples of one kind. `encode` gets the first of a run within one epoch and its length; it tells where its chunk ends.
fn cut(
    days: &mut BTreeMap<Day, DayChunks>,
    kind: Kind,
    series: u32,
    at_ms: &[i64],
    encode: impl Fn(usize, usize) -> (usize, Vec<u8>),
) {
    let mut start = 0;
    let mut part = 0u16;
    let mut last_slot = None;
    while start < at_ms.len() {
        let slot = (Day::of_ms(at_ms[start]), epoch_of(at_ms[start]));
        let in_slot = at_ms[start..].partition_point(|at| (Day::of_ms(*at), epoch_of(*at)) == slot);
        // An epoch has 14.4 million milliseconds, so 2^16 parts of 480 floats suffice; histograms fill the head before.
        part = if last_slot == Some(slot) { part + 1 } else { 0 };
        last_slot = Some(slot);
        let (end, bytes) = encode(start, in_slot);
        let span = (at_ms[start], at_ms[end - 1]);
        let (chunks, known) = days.entry(slot.0).or_insert_with(|| (Vec::new(), span));
        *known = (known.0.min(span.0), known.1.max(span.1));
        chunks.push(NewChunk { kind, epoch: slot.1, series, part, bytes });
        start = end;
    }
}
