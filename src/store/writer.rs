//! The writer of one tenant: takes waiting requests together, makes them durable in one commit, applies them, and only then
//! acknowledges.
//!
//! After a failed commit nothing is known of the file: it is opened and read again before the next attempt, and whatever did
//! reach the disk is applied then, as after a crash.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use codec::intake::{Item, encode_record};
use model::Rejected;
use model::meter::{Counter, Timing};

use crate::StoreError;
use crate::accept::{Fresh, accept};
use crate::intake::Numbers;
use crate::limits::{HEAD_SAMPLES_MAX, HEADS_SAMPLES_MAX, INTAKE_BYTES_MAX, RETRY_FIRST_MS, RETRY_LAST_MS};
use crate::queue::{Job, Work};
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
}

struct Broken {
    reason: String,
    wait_ms: u64,
    retry_at: Instant,
}

impl Writer {
    pub(crate) fn new(numbers: Numbers) -> Writer {
        Writer { numbers, broken: None }
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
        while let Some(jobs) = inner.queue.next() {
            inner.commit(jobs);
            inner.relieve();
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
    fn commit(&self, jobs: Vec<Job>) {
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
        for Job { work, reply, .. } in jobs {
            match work {
                Work::Metrics(mut batch) => {
                    metadata.append(&mut batch.metadata);
                    let series_max = self.shared.options.series_max;
                    match accept(batch, &self.catalogue, &mut fresh, &mut next_series, series_max) {
                        Ok((rows, rejected)) => {
                            items.push(Item::Metrics(rows));
                            batches.push(None);
                            replies.push((reply, rejected));
                        }
                        Err(error) => answer(reply, Err(error)),
                    }
                }
                Work::Logs(batch, payload) => {
                    items.push(Item::Logs(payload));
                    batches.push(Some(batch));
                    replies.push((reply, Rejected::default()));
                }
            }
        }
        if items.is_empty() {
            return;
        }
        let metadata = self.catalogue.new_metadata(metadata);
        let first_seq = writer.numbers.next_seq;
        let last_seq = first_seq + items.len() as u64 - 1;
        let started = Instant::now();
        let committed = encode_record(first_seq, &items)
            .map_err(|source| StoreError::Io { doing: "compress an intake record".into(), source })
            .and_then(|record| self.intake.commit(last_seq, &record, &fresh.series, &metadata));
        COMMIT_TOOK.observe(&[], started.elapsed());
        if let Err(error) = committed {
            COMMITS.add(&["failed"], 1);
            let reason = self.broke(&mut writer, &error);
            refuse(replies.into_iter().map(|(reply, _)| reply), &reason);
            return;
        }
        COMMITS.add(&["ok"], 1);
        writer.numbers = Numbers { next_seq: last_seq + 1, next_series };
        self.catalogue.insert(fresh.series);
        self.catalogue.remember_keys(fresh.keys);
        self.catalogue.remember_metadata(metadata);
        let active = self.view.read().active.clone();
        for ((seq, item), batch) in (first_seq..).zip(items).zip(batches) {
            match (item, batch) {
                (Item::Metrics(rows), _) => {
                    SAMPLES.add(&[], (rows.samples.len() + rows.histograms.len()) as u64);
                    active.apply(seq, rows);
                }
                (Item::Logs(_), Some(batch)) => {
                    crate::logs::RECORDS.add(&[], batch.records.len() as u64);
                    self.logs.apply(seq, batch);
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
        let held: usize = self.view.read().heads().map(|head| head.weight()).sum();
        if held > 3 * HEAD_SAMPLES_MAX {
            return Err(format!("tenant {} holds {held} samples that cannot be written to its day files", self.id));
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
        let (numbers, _) = self.intake.load(&self.catalogue)?;
        let applied = self.view.read().applied_seq;
        self.replay(applied)?;
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

    /// Writes the head out from the writer's own thread when upkeep does not keep up: intake then waits, and memory stays.
    fn relieve(&self) {
        let own = self.view.read().heads().map(|head| head.weight()).sum::<usize>();
        let all = self.shared.heads_weight();
        let crowded = all > HEADS_SAMPLES_MAX && own > HEADS_SAMPLES_MAX / 100;
        if own > HEAD_SAMPLES_MAX || crowded || self.intake.bytes() > INTAKE_BYTES_MAX {
            // Counted and logged where it failed; the next commit tries again.
            drop(self.flush(None, true));
        }
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
