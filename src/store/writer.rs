//! The writer of one tenant: takes waiting requests together, makes them durable in one commit, applies them, and only then
//! acknowledges.
//!
//! After a failed commit nothing is known of the file: it is opened and read again before the next attempt, and whatever did
//! reach the disk is applied then, as after a crash.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use codec::intake::{Item, encode_record};
use model::meter::{Counter, Timing};
use model::time::Day;
use model::{Labels, Rejected};
use roaring::RoaringBitmap;

use crate::StoreError;
use crate::accept::{Accepted, Accepting, Fresh, Room, accept};
use crate::exemplars::OfDay;
use crate::file::sync_parent;
use crate::history::Acknowledged;
use crate::index::day::DayIndex;
use crate::intake::Numbers;
use crate::limits::{
    COMMIT_GATHER, FIND_DAYS, FIND_SERIES_MAX, HEAD_BYTES_MAX, HEADS_BYTES_MAX, INTAKE_BYTES_MAX, RETRY_FIRST_MS,
    RETRY_LAST_MS,
};
use crate::logs::LogIntake;
use crate::queue::{Job, Work};
use crate::streams::Streams;
use crate::tenant::Inner;

static COMMITS: Counter =
    Counter::new("binnacle_store_commits_total", "Commits of intake logs, by how they ended.", &["result"]);
static COMMIT_TOOK: Timing = Timing::new(
    "binnacle_store_commit_duration_seconds",
    "Time that commits of intake logs took, fsync included.",
    &[],
);
static SAMPLES: Counter = Counter::new("binnacle_store_samples_total", "Metric samples made durable.", &[]);

/// Where the writer is; under the tenant's lock.
pub(crate) struct Writer {
    numbers: Numbers,
    broken: Option<Broken>,
    /// Series that the log names since the active head began: all in that head, and no other.
    named: RoaringBitmap,
    /// The day that last began, if one did since the store was made, and the series number that was next then.
    day: (Option<Day>, u32),
    streams: Streams,
}

struct Broken {
    reason: String,
    wait_ms: u64,
    retry_at: Instant,
}

impl Writer {
    pub(crate) fn new(numbers: Numbers, day: Option<(Day, u32)>) -> Writer {
        let day = day.map_or((None, numbers.next_series), |(day, series)| (Some(day), series));
        Writer { numbers, broken: None, named: RoaringBitmap::new(), day, streams: Streams::default() }
    }

    /// The head begins anew, and so do the names in the log.
    pub(crate) fn head_begins(&mut self) {
        self.named.clear();
    }

    pub(crate) fn next_series(&self) -> u32 {
        self.numbers.next_series
    }
}

/// Starts the thread that empties the tenant's queue; it ends by itself.
pub(crate) fn start(tenant: &Arc<Inner>) {
    let inner = tenant.clone();
    let name = format!("intake-{}", tenant.id);
    let spawned = std::thread::Builder::new().name(name).spawn(move || {
        while let Some(jobs) = inner.queue.next(COMMIT_GATHER) {
            inner.commit(jobs);
            inner.logs.relieve();
            relieve(&inner);
        }
    });
    if let Err(error) = spawned {
        let reason = format!("no thread for the intake of tenant {}: {error}", tenant.id);
        refuse(tenant.queue.abandon().into_iter().map(|job| job.reply), &reason);
    }
}

type Reply = tokio::sync::oneshot::Sender<Result<Rejected, StoreError>>;

/// Tells those who still wait.
fn answer(reply: Reply, answer: Result<Rejected, StoreError>) {
    if reply.send(answer).is_err() {
        tracing::debug!("a request was stored or refused after its sender had gone");
    }
}

fn refuse(replies: impl IntoIterator<Item = Reply>, reason: &str) {
    for reply in replies {
        answer(reply, Err(StoreError::Unavailable { reason: reason.into() }));
    }
}

impl Inner {
    /// One commit of many requests.
    fn commit(self: &Arc<Self>, jobs: Vec<Job>) {
        let mut writer = self.writer.lock();
        if let Err(reason) = self.writable(&mut writer) {
            refuse(jobs.into_iter().map(|job| job.reply), &reason);
            return;
        }
        let mut fresh = Fresh::default();
        let mut next_series = writer.numbers.next_series;
        let mut items = Vec::with_capacity(jobs.len());
        let mut batches = Vec::with_capacity(jobs.len());
        let mut replies = Vec::with_capacity(jobs.len());
        let mut metadata = Vec::new();
        let mut exemplars = Vec::new();
        writer.streams.begin();
        let room = self.room(&writer);
        let mut returned = Returned::default();
        let mut seek = |labels: &Labels| returned.seek(self, labels);
        for Job { work, reply, .. } in jobs {
            match work {
                Work::Metrics(mut batch) => {
                    metadata.append(&mut batch.metadata);
                    let mut accepting = Accepting {
                        catalogue: &self.catalogue,
                        fresh: &mut fresh,
                        next_series: &mut next_series,
                        streams: &mut writer.streams,
                        history: &Acknowledged(self),
                        room: &room,
                        seek: &mut seek,
                        delta_series_max: self.shared.options.delta_series_max,
                    };
                    match accept(batch, &mut accepting) {
                        Ok(accepted) => {
                            let accepted = self.with_room(&mut writer.streams, accepted, exemplars.len());
                            items.push(Item::Metrics(accepted.rows));
                            batches.push(None);
                            replies.push((reply, accepted.rejected));
                            exemplars.extend(accepted.exemplars);
                        }
                        Err(error) => answer(reply, Err(error)),
                    }
                }
                Work::Logs(LogIntake { logs, payload, counts }) => {
                    items.push(Item::Logs(payload));
                    batches.push(Some((logs, counts)));
                    replies.push((reply, Rejected::default()));
                }
            }
        }
        if items.is_empty() {
            return;
        }
        // Those of all requests are one batch of their own, behind the samples they stand with.
        if !exemplars.is_empty() {
            items.push(Item::Exemplars(codec::exemplar::encode_batch(&exemplars)));
            batches.push(None);
        }
        warn_of_overlaps(&self.id, writer.streams.runs.take_overlaps());
        let metadata = self.catalogue.new_metadata(metadata);
        let unnamed = unnamed(&items, &writer.named);
        let names = self.names_of(&unnamed, &fresh.series);
        let first_seq = writer.numbers.next_seq;
        let last_seq = first_seq + items.len() as u64 - 1;
        let started = Instant::now();
        let record = encode_record(first_seq, &items);
        let committed = self.intake.commit(last_seq, &record, &names, &metadata);
        COMMIT_TOOK.observe(&[], started.elapsed());
        if let Err(error) = committed {
            COMMITS.add(&["failed"], 1);
            let reason = self.broke(&mut writer, &error);
            refuse(replies.into_iter().map(|(reply, _)| reply), &reason);
            return;
        }
        COMMITS.add(&["ok"], 1);
        writer.numbers = Numbers { next_seq: last_seq + 1, next_series };
        writer.named |= unnamed;
        // Not for nothing: a change waits for the queries that look at them.
        if !fresh.series.is_empty() {
            self.catalogue.insert(fresh.series);
        }
        if !fresh.keys.is_empty() {
            self.catalogue.remember_keys(fresh.keys);
        }
        if !metadata.is_empty() {
            self.catalogue.remember_metadata(metadata);
        }
        let active = self.view.read().active.clone();
        for ((seq, item), batch) in (first_seq..).zip(items).zip(batches) {
            match (item, batch) {
                (Item::Metrics(rows), _) => {
                    SAMPLES.add(&[], (rows.samples.len() + rows.histograms.len()) as u64);
                    active.apply(seq, rows);
                }
                (Item::Exemplars(_), _) => active.apply_exemplars(seq, std::mem::take(&mut exemplars)),
                (Item::Logs(_), Some((logs, counts))) => {
                    crate::logs::RECORDS.add(&[], logs.len() as u64);
                    self.log_counts.add(seq, counts);
                    self.logs.apply(seq, logs);
                }
                (Item::Logs(_), None) => unreachable!("a log payload stands beside its batch"),
            }
        }
        self.view.write().applied_seq = last_seq;
        drop(writer);
        for (reply, rejected) in replies {
            answer(reply, Ok(rejected));
        }
    }

    /// Leaves out exemplars over the limits.
    fn with_room(&self, streams: &mut Streams, mut accepted: Accepted, waiting: usize) -> Accepted {
        if accepted.exemplars.is_empty() {
            return accepted;
        }
        let day_max = self.shared.options.exemplars_per_day_max;
        let view = self.view.read().clone();
        let in_head = waiting + view.heads().map(|head| head.exemplars.len()).sum::<usize>();
        let mut kept = Vec::with_capacity(accepted.exemplars.len());
        for (series, exemplar) in accepted.exemplars {
            let stored = |day| {
                let mut of_day = OfDay::default();
                self.days.count_exemplars(day, &mut of_day)?;
                view.heads().for_each(|head| head.exemplars.count(day, &mut of_day));
                Ok(of_day)
            };
            if streams.exemplars.take(series, &exemplar, day_max, in_head + kept.len(), stored) {
                kept.push((series, exemplar));
            }
        }
        accepted.exemplars = kept;
        accepted
    }

    fn room(&self, writer: &Writer) -> Room {
        let options = &self.shared.options;
        // Those that only stay in memory for a while are not active.
        let idle = self.idle_series.load(Ordering::Relaxed) as usize;
        let active = self.catalogue.len().saturating_sub(idle);
        let of_day = (writer.numbers.next_series - writer.day.1.min(writer.numbers.next_series)) as usize;
        Room {
            active: options.series_max.saturating_sub(active),
            active_max: options.series_max,
            of_day: options.series_per_day_max.saturating_sub(of_day),
            of_day_max: options.series_per_day_max,
        }
    }

    /// Names of some series, by number: from memory, or new ones.
    fn names_of(&self, numbers: &RoaringBitmap, fresh: &[(u32, Labels)]) -> Vec<(u32, Labels)> {
        if numbers.is_empty() {
            return Vec::new();
        }
        let mut names: BTreeMap<u32, Labels> = self.catalogue.labels_of(numbers).into_iter().collect();
        names.extend(fresh.iter().filter(|(number, _)| numbers.contains(*number)).cloned());
        names.into_iter().collect()
    }

    /// Starts the count of new series anew when a UTC day begins.
    pub(crate) fn begin_day(&self, now_ms: i64) -> Result<(), StoreError> {
        let day = Day::of_ms(now_ms);
        self.log_streams.lock().begin(day);
        let mut writer = self.writer.lock();
        // A clock that goes back counts on.
        if writer.broken.is_some() || writer.day.0.is_some_and(|known| known >= day) {
            return Ok(());
        }
        let next_series = if writer.day.0.is_some() { writer.numbers.next_series } else { writer.day.1 };
        self.intake.begin_day(day, next_series).inspect_err(|_| self.shared.files.forget(self.intake.path()))?;
        writer.day = (Some(day), next_series);
        Ok(())
    }

    /// Whether a commit can be tried now; if not, why.
    fn writable(&self, writer: &mut Writer) -> Result<(), String> {
        if let Some(reason) = self.shared.disk_low() {
            return Err(reason);
        }
        if self.full.load(Ordering::Relaxed) {
            return Err(format!(
                "the newest day of tenant {} alone is over its share of the disk (retention.max_bytes = {}); raise it",
                self.id, self.shared.options.bytes_max
            ));
        }
        let held = self.heads_bytes();
        if held > 3 * HEAD_BYTES_MAX {
            return Err(format!(
                "tenant {} holds {held} bytes of samples that cannot be written to its day files",
                self.id
            ));
        }
        match &writer.broken {
            Some(broken) if Instant::now() < broken.retry_at => Err(broken.reason.clone()),
            Some(_) => self.recover(writer).map_err(|error| self.broke(writer, &error)),
            None => Ok(()),
        }
    }

    /// Opens the intake log anew after a failed commit. What reached the disk though nobody was told is applied now.
    fn recover(&self, writer: &mut Writer) -> Result<(), StoreError> {
        self.shared.files.forget(self.intake.path());
        // A replacement may have failed before its name was certain.
        sync_parent(self.intake.path())?;
        let numbers = self.intake.load(&self.catalogue)?;
        let applied = self.view.read().applied_seq;
        self.replay(applied, &numbers.renamed)?;
        // Numbers only grow, also when the failed record never came to the disk.
        writer.numbers = Numbers {
            next_seq: writer.numbers.next_seq.max(numbers.next_seq),
            next_series: writer.numbers.next_series.max(numbers.next_series),
        };
        self.view.write().applied_seq = writer.numbers.next_seq - 1;
        writer.broken = None;
        *self.trouble.lock() = None;
        tracing::info!(tenant = %self.id, "the intake log is writable again");
        Ok(())
    }

    /// Remembers a failure and when to try again; returns it in words.
    fn broke(&self, writer: &mut Writer, error: &StoreError) -> String {
        // What they remember may not have come to the disk.
        writer.streams.clear();
        self.shared.files.forget(self.intake.path());
        let wait_ms = writer.broken.as_ref().map_or(RETRY_FIRST_MS, |broken| (broken.wait_ms * 2).min(RETRY_LAST_MS));
        let reason = describe(error);
        tracing::error!(tenant = %self.id, reason, retry_in_ms = wait_ms, "cannot write the intake log");
        let retry_at = Instant::now() + Duration::from_millis(wait_ms);
        *self.trouble.lock() = Some(reason.clone());
        writer.broken = Some(Broken { reason: reason.clone(), wait_ms, retry_at });
        reason
    }

    /// Tries again at once what failed; called by upkeep.
    pub(crate) fn retry(&self) {
        let mut writer = self.writer.lock();
        if writer.broken.is_some()
            && let Err(error) = self.recover(&mut writer)
        {
            self.broke(&mut writer, &error);
        }
    }

    /// Why the tenant cannot store now.
    pub(crate) fn trouble(&self) -> Option<String> {
        if self.full.load(Ordering::Relaxed) {
            return Some(format!("tenant {}: its newest day is over retention.max_bytes", self.id));
        }
        self.trouble.lock().as_ref().map(|reason| format!("tenant {}: {reason}", self.id))
    }

    /// Gives back the space of an intake log that was large and holds little now.
    pub(crate) fn tighten(&self) {
        if !self.intake.is_loose() {
            return;
        }
        let mut writer = self.writer.lock();
        if writer.broken.is_none()
            && let Err(error) = self.intake.replace()
        {
            self.broke(&mut writer, &error);
        }
    }

    /// Memory of the tenant's own heads.
    fn heads_bytes(&self) -> usize {
        self.view.read().heads().map(|head| head.bytes()).sum()
    }

    /// Waits for a flush that [`relieve`] began.
    pub(crate) fn await_relief(&self) {
        if let Some(relief) = self.relief.lock().take()
            && relief.join().is_err()
        {
            tracing::error!(tenant = %self.id, "writing out the head panicked; it is tried again");
        }
    }
}

/// Has the head written out beside the writer when upkeep does not keep up; at twice the limits intake waits for it, and memory stays.
fn relieve(tenant: &Arc<Inner>) {
    let (own, log) = (tenant.heads_bytes(), tenant.intake.bytes());
    let all = tenant.shared.heads_bytes();
    let over = |times: usize| {
        own > times * HEAD_BYTES_MAX
            || log > times as u64 * INTAKE_BYTES_MAX
            || all > times * HEADS_BYTES_MAX && own > HEADS_BYTES_MAX / 100
    };
    if !over(1) {
        return;
    }
    if over(2) {
        // Counted and logged where it failed; the next commit tries again.
        drop(tenant.flush(None, true));
        return;
    }
    let mut relief = tenant.relief.lock();
    if relief.as_ref().is_some_and(|relief| !relief.is_finished()) {
        return;
    }
    let inner = tenant.clone();
    let spawned = std::thread::Builder::new().name(format!("flush-{}", tenant.id)).spawn(move || {
        drop(inner.flush(None, true));
    });
    match spawned {
        Ok(thread) => *relief = Some(thread),
        Err(error) => {
            tracing::warn!(tenant = %tenant.id, %error, "no thread to write out the head; the writer does it");
            drop(relief);
            drop(tenant.flush(None, true));
        }
    }
}

/// Series of some items that the log does not name yet.
fn unnamed(items: &[Item], named: &RoaringBitmap) -> RoaringBitmap {
    let mut missing = RoaringBitmap::new();
    let mut look = |first: u32, last: u32| {
        if !named.contains_range(first..=last) {
            missing.insert_range(first..=last);
        }
    };
    for item in items {
        let Item::Metrics(rows) = item else { continue };
        let floats = rows.samples.iter().map(|(number, _)| *number);
        // A request's series mostly count up by one, and a run of them is one question.
        let mut run: Option<(u32, u32)> = None;
        for number in floats.chain(rows.histograms.iter().map(|(number, ..)| *number)) {
            run = match run {
                Some((first, last)) if last.checked_add(1) == Some(number) => Some((first, number)),
                Some((first, last)) => {
                    look(first, last);
                    Some((number, number))
                }
                None => Some((number, number)),
            };
        }
        if let Some((first, last)) = run {
            look(first, last);
        }
    }
    missing - named
}

/// Finds series that left memory, or were there before a start, by the indexes of the newest days.
#[derive(Default)]
struct Returned<'a> {
    /// Opened at the first question of a commit.
    indexes: Option<Vec<DayIndex<'a>>>,
}

impl<'a> Returned<'a> {
    fn seek(&mut self, tenant: &'a Inner, labels: &Labels) -> Option<u32> {
        let indexes = self.indexes.get_or_insert_with(|| {
            let days = tenant.days.days();
            let newest = days.iter().rev().take(FIND_DAYS).filter_map(|day| match tenant.days.index(*day) {
                Ok(index) => index.filter(|index| index.len() <= FIND_SERIES_MAX),
                Err(error) => {
                    // A new number does as well; the error shows where the day is read or written.
                    tracing::warn!(day = %day, reason = describe(&error), "a day's index cannot be searched");
                    None
                }
            });
            newest.collect()
        });
        let hash = codec::series::hash(labels.iter());
        indexes.iter().find_map(|index| index.find(hash, labels).ok().flatten())
    }
}

/// One line a commit, however many points it had.
fn warn_of_overlaps(tenant: &model::TenantId, points: u64) {
    if points > 0 {
        tracing::warn!(
            tenant = %tenant, points,
            "points of one series count since different times in turn: two senders share a service.instance.id or label set"
        );
    }
}

/// An error with its causes, in one line.
pub(crate) fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}
