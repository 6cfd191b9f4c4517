//! The writer of one tenant: takes waiting requests together, makes them durable in one commit, applies them, and only then
//! acknowledges.
//!
//! After a failed commit nothing is known of the file: it is opened and read again before the next attempt, and whatever did
//! reach the disk is applied then, as after a crash.

mod naming;
mod relief;
mod trouble;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use codec::intake::{Item, encode_record};
use model::meter::{Counter, Timing};
use model::time::Day;
use model::{Labels, Rejected};
use roaring::RoaringBitmap;

use crate::StoreError;
use crate::accept::{Accepted, Accepting, Fresh, Room, accept};
use crate::exemplars::OfDay;
use crate::history::Acknowledged;
use crate::intake::Numbers;
use crate::limits::COMMIT_GATHER;
use crate::logs::LogIntake;
use crate::queue::{Job, Work};
use crate::streams::Streams;
use crate::tenant::Inner;

use naming::{Returned, unnamed};
use relief::relieve;
use trouble::Broken;

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
