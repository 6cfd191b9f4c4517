//! One tenant: one directory, its intake, its data, its alerts.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::thread::JoinHandle;
use std::time::Instant;

use codec::intake::{Item, MetricRows};
use codec::otlp::KnownSeries;
use model::meter::Counter;
use model::time::Day;
use model::{LogBatch, MetricBatch, Rejected, TenantId};
use parking_lot::{Mutex, RwLock};
use roaring::RoaringBitmap;
use tokio::sync::{oneshot, watch};

use crate::alerts::{ALERTS_FILE, set_aside};
use crate::days::Days;
use crate::file::{Files, corrupt, disk_bytes, make_dir};
use crate::head::Head;
use crate::intake::{IntakeLog, Numbers};
use crate::logs::counts::{LogCounts, count};
use crate::logs::streams::DayStreams;
use crate::logs::{LogIntake, LogStore};
use crate::queue::{Job, Queue, Work, closed, metric_bytes};
use crate::rate::{LOG_BYTES, METRIC_SAMPLES, Rate};
use crate::root::Shared;
use crate::series::Catalogue;
use crate::settling::Settling;
use crate::upkeep::Upkeep;
use crate::view::View;
use crate::writer::{self, Writer};
use crate::{Alerts, Snapshot, StoreError, TenantStats};

static NAMELESS: Counter = Counter::new(
    "binnacle_store_nameless_samples_total",
    "Samples of intake logs that were lost at a start since the names of their series were damaged.",
    &[],
);

/// Log records from which encoding a batch is worth a thread of its own, so that no other request waits for it.
const ENCODE_APART_RECORDS: usize = 200;

/// A cheap handle to an open tenant.
#[derive(Clone)]
pub struct Tenant(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) id: TenantId,
    pub(crate) dir: PathBuf,
    pub(crate) shared: Arc<Shared>,
    pub(crate) catalogue: Catalogue,
    pub(crate) intake: IntakeLog,
    pub(crate) queue: Queue,
    pub(crate) days: Days,
    /// Days in steps of five minutes.
    pub(crate) rollups: Days,
    pub(crate) logs: Arc<LogStore>,
    /// Held while batches are committed and applied; so whoever holds it sees heads between two commits.
    pub(crate) writer: Mutex<Writer>,
    /// Why the writer cannot write; beside its lock, which is held for as long as a commit takes.
    pub(crate) trouble: Mutex<Option<String>>,
    /// Replaced in one step; never locked for longer than a clone or a replacement.
    pub(crate) view: RwLock<View>,
    /// Held by a flush and by retention: one at a time.
    pub(crate) upkeep: Mutex<Upkeep>,
    pub(crate) settling: Mutex<Settling>,
    /// A flush that the writer asked for; only the writer starts one.
    pub(crate) relief: Mutex<Option<JoinHandle<()>>>,
    /// Over its share of the disk with only the newest day left, so nothing more is taken.
    pub(crate) full: AtomicBool,
    /// Series in memory without samples in a head.
    pub(crate) idle_series: AtomicU64,
    alerts: Mutex<Option<Alerts>>,
    rate: Mutex<Rate>,
    log_rate: Mutex<Rate>,
    pub(crate) log_streams: Mutex<DayStreams>,
    pub(crate) log_counts: LogCounts,
}

/// Directory of rollups, below the day files.
const ROLLUPS: &str = "5m";

impl Tenant {
    /// Opens or makes the tenant's directory and replays its intake log.
    pub(crate) fn open(id: &TenantId, dir: &Path, shared: Arc<Shared>) -> Result<Tenant, StoreError> {
        let files = shared.files.clone();
        // Else the next try would find the files of this one in use, and say so in place of what is wrong.
        Tenant::try_open(id, dir, shared).inspect_err(|_| files.forget_under(dir))
    }

    fn try_open(id: &TenantId, dir: &Path, shared: Arc<Shared>) -> Result<Tenant, StoreError> {
        make_dir(dir)?;
        let files: Arc<Files> = shared.files.clone();
        let catalogue = Catalogue::default();
        crate::migrate::tenant(dir, &files)?;
        let (intake, loaded) = IntakeLog::open(dir, files.clone(), &catalogue)?;
        let days = Days::open(&dir.join("metrics"), files.clone())?;
        let rollups = Days::open(&dir.join("metrics").join(ROLLUPS), files.clone())?;
        let logs = Arc::new(LogStore::open(&dir.join("logs"), &files)?);
        // A copy of the folder that was made while it was in use may hold day files newer than its intake log. Numbers go on
        // above both, or new batches would be taken for some that are in those files.
        let mut numbers = Numbers { next_seq: loaded.next_seq, next_series: loaded.next_series };
        for day in days.days() {
            days.pack_names(day)?;
        }
        for summary in days
            .days()
            .into_iter()
            .map(|day| days.summary(day))
            .chain(rollups.days().into_iter().map(|day| rollups.summary(day)))
        {
            let summary = summary?;
            numbers.next_seq = numbers.next_seq.max(summary.covered_seq.saturating_add(1));
            let above = summary.present.max().map_or(0, |last| last.saturating_add(1));
            numbers.next_series = numbers.next_series.max(above);
        }
        numbers.next_seq = numbers.next_seq.max(logs.covered_seq().saturating_add(1));
        let applied_seq = numbers.next_seq - 1;
        let active = Arc::new(Head::new(loaded.trimmed_seq, shared.heads.clone()));
        let view = View { active, frozen: None, flushed_seq: applied_seq, applied_seq };
        let inner = Inner {
            id: id.clone(),
            dir: dir.to_owned(),
            shared,
            catalogue,
            intake,
            queue: Queue::default(),
            days,
            rollups,
            logs,
            writer: Mutex::new(Writer::new(numbers, loaded.day)),
            trouble: Mutex::new(None),
            view: RwLock::new(view),
            upkeep: Mutex::new(Upkeep::default()),
            settling: Mutex::default(),
            relief: Mutex::new(None),
            full: AtomicBool::new(false),
            idle_series: AtomicU64::new(0),
            alerts: Mutex::new(None),
            rate: Mutex::new(Rate::new(&METRIC_SAMPLES)),
            log_rate: Mutex::new(Rate::new(&LOG_BYTES)),
            log_streams: Mutex::default(),
            log_counts: LogCounts::default(),
        };
        inner.end_rolling_up()?;
        inner.replay(0, &loaded.renamed)?;
        Ok(Tenant(Arc::new(inner)))
    }

    pub fn id(&self) -> &TenantId {
        &self.0.id
    }

    /// Stores a batch and waits until it survives a power cut; batches of many callers share one commit.
    ///
    /// The rejected rows are those only the store can judge (series limit). Dropping the future does not undo the write.
    pub async fn submit_metrics(&self, batch: MetricBatch) -> Result<Rejected, StoreError> {
        let samples = batch.samples.len() + batch.histograms.len();
        self.0.rate.lock().take(samples, self.0.shared.options.samples_per_second_max, Instant::now())?;
        let bytes = metric_bytes(&batch);
        self.submit(Work::Metrics(batch), bytes).await
    }

    /// As [`Tenant::submit_metrics`], for log records.
    pub async fn submit_logs(&self, batch: LogBatch) -> Result<Rejected, StoreError> {
        let intake = if batch.records.len() < ENCODE_APART_RECORDS {
            LogIntake::of_batch(&batch)
        } else {
            tokio::task::spawn_blocking(move || LogIntake::of_batch(&batch))
                .await
                .map_err(|error| StoreError::Unavailable { reason: format!("encoding log records: {error}") })?
        };
        self.submit_log_intake(intake).await
    }

    /// As [`Tenant::submit_logs`], for records that are encoded already.
    pub async fn submit_log_intake(&self, intake: LogIntake) -> Result<Rejected, StoreError> {
        let (options, inner) = (&self.0.shared.options, &self.0);
        let raw_bytes = usize::try_from(intake.raw_bytes()).unwrap_or(usize::MAX);
        inner.log_rate.lock().take(raw_bytes, options.log_bytes_per_second_max, Instant::now())?;
        let mut rejected = Rejected::default();
        let left = inner.log_streams.lock().take(&intake.logs, options.log_streams_per_day_max, &mut rejected);
        let intake = match left {
            Some(left) if left.is_empty() => return Ok(rejected),
            Some(left) => LogIntake::new(left),
            None => intake,
        };
        let bytes = intake.memory_bytes();
        rejected.merge(self.submit(Work::Logs(intake), bytes).await?);
        Ok(rejected)
    }

    /// Stores how many log records came so far, by service, host and severity, as samples of `at_ms`; nothing when none came since
    /// the last call. One call at a time.
    pub async fn report_log_counts(&self, at_ms: i64) -> Result<(), StoreError> {
        let inner = self.0.clone();
        let report = tokio::task::spawn_blocking(move || inner.log_counts.report(&inner, at_ms))
            .await
            .map_err(|error| StoreError::Unavailable { reason: format!("counting log records: {error}") })??;
        let Some(batch) = report else { return Ok(()) };
        let bytes = metric_bytes(&batch);
        let stored = self.submit(Work::Metrics(batch), bytes).await;
        match stored {
            Ok(rejected) if rejected.is_empty() => Ok(()),
            Ok(rejected) => {
                tracing::warn!(tenant = %self.0.id, message = rejected.message(), "counts of log records refused");
                Ok(())
            }
            Err(error) => {
                self.0.log_counts.failed();
                Err(error)
            }
        }
    }

    async fn submit(&self, work: Work, bytes: usize) -> Result<Rejected, StoreError> {
        let (reply, answer) = oneshot::channel();
        if self.0.queue.push(Job { work, bytes, reply }, &self.0.shared.options)? {
            writer::start(&self.0);
        }
        // The sender goes unheard only when the writer thread died, and then nothing was acknowledged.
        answer.await.unwrap_or_else(|_| Err(closed()))
    }

    /// What the decoder asks, to spare building labels.
    pub fn known_series(&self) -> &(dyn KnownSeries + Sync) {
        &self.0.catalogue
    }

    /// The same for decoding one whole request, quicker: its lock is taken once. Whoever makes a series waits for its turn
    /// meanwhile, so `decode` must wait for nobody.
    pub fn with_known_series<T>(&self, decode: impl FnOnce(&dyn KnownSeries) -> T) -> T {
        decode(&self.0.catalogue.known())
    }

    /// One consistent view for a whole query.
    pub fn snapshot(&self) -> Result<Snapshot, StoreError> {
        Ok(Snapshot::new(self.0.clone()))
    }

    /// Why nothing can be stored for this tenant now; `None` when all is well.
    pub fn trouble(&self) -> Option<String> {
        self.0.shared.disk_low().or_else(|| self.0.trouble())
    }

    /// Told whenever log records became visible to snapshots; many requests may be told once.
    pub fn log_arrivals(&self) -> watch::Receiver<()> {
        self.0.logs.arrivals()
    }

    /// As [`Tenant::alerts`], where there is any; asking makes none.
    pub fn existing_alerts(&self) -> Result<Option<Alerts>, StoreError> {
        let is_there = self.0.alerts.lock().is_some() || self.0.dir.join(ALERTS_FILE).exists();
        if is_there { self.alerts().map(Some) } else { Ok(None) }
    }

    /// The tenant's alert state; its file is opened at first use. One that is damaged is set aside then, and another begun.
    pub fn alerts(&self) -> Result<Alerts, StoreError> {
        let mut alerts = self.0.alerts.lock();
        if let Some(open) = &*alerts {
            return Ok(open.clone());
        }
        let open = Alerts::of_tenant(&self.0.dir)?;
        *alerts = Some(open.clone());
        Ok(open)
    }

    pub fn stats(&self) -> TenantStats {
        self.0.stats()
    }
}

impl Inner {
    /// Files that could not be read, in words.
    pub(crate) fn set_aside(&self) -> Vec<String> {
        let mut files = set_aside(&self.dir);
        files.extend(self.days.set_aside_files());
        files.extend(self.rollups.set_aside_files());
        files.extend(self.logs.set_aside_files());
        files
    }

    /// Applies what the intake log holds above `after`. Samples that their day file holds already are left out. `renamed` are
    /// series whose label set has another number in memory.
    pub(crate) fn replay(&self, after: u64, renamed: &HashMap<u32, u32>) -> Result<(), StoreError> {
        let mut covered: HashMap<Day, u64> = HashMap::new();
        let mut known = self.catalogue.all();
        let active = self.view.read().active.clone();
        self.intake.replay(after, |seq, item| {
            match item {
                Item::Metrics(mut rows) => {
                    let floats = rows.samples.iter().map(|(_, sample)| sample.at_ms);
                    for at_ms in floats.chain(rows.histograms.iter().map(|(_, at_ms, _)| *at_ms)) {
                        if let Entry::Vacant(entry) = covered.entry(Day::of_ms(at_ms)) {
                            let day = *entry.key();
                            entry.insert(self.days.summary(day)?.covered_seq);
                        }
                    }
                    let missing = |at_ms| covered[&Day::of_ms(at_ms)] < seq;
                    rows.samples.retain(|(_, sample)| missing(sample.at_ms));
                    rows.histograms.retain(|(_, at_ms, _)| missing(*at_ms));
                    self.identify(&mut rows, renamed, &mut known)?;
                    active.apply(seq, rows);
                }
                Item::Exemplars(payload) => {
                    let decoded = codec::exemplar::decode_batch(&payload);
                    let mut rows = decoded.map_err(|error| corrupt(self.intake.path(), error.to_string()))?;
                    for (_, exemplar) in &rows {
                        if let Entry::Vacant(entry) = covered.entry(Day::of_ms(exemplar.at_ms)) {
                            let day = *entry.key();
                            entry.insert(self.days.summary(day)?.covered_seq);
                        }
                    }
                    rows.retain(|(_, exemplar)| covered[&Day::of_ms(exemplar.at_ms)] < seq);
                    for (number, _) in &mut rows {
                        *number = renamed.get(number).copied().unwrap_or(*number);
                    }
                    active.apply_exemplars(seq, rows);
                }
                Item::Logs(payload) => {
                    let logs = LogStore::decode(&payload)?;
                    self.log_counts.replay(seq, count(&logs));
                    self.logs.apply(seq, logs);
                }
            }
            Ok(())
        })
    }

    /// Gives rows of the log the numbers that their series have in memory, and fetches names that the log should have.
    fn identify(
        &self,
        rows: &mut MetricRows,
        renamed: &HashMap<u32, u32>,
        known: &mut RoaringBitmap,
    ) -> Result<(), StoreError> {
        let floats = rows.samples.iter_mut().map(|(number, _)| number);
        let mut unknown = RoaringBitmap::new();
        for number in floats.chain(rows.histograms.iter_mut().map(|(number, ..)| number)) {
            if let Some(other) = renamed.get(number) {
                *number = *other;
            }
            if !known.contains(*number) {
                unknown.insert(*number);
            }
        }
        if unknown.is_empty() {
            return Ok(());
        }
        for day in self.days.days().into_iter().rev() {
            let Some(found) = self.days.with_index(day, |index| index.labels_of(&unknown))? else { continue };
            unknown -= found.iter().map(|(number, _)| *number).collect::<RoaringBitmap>();
            let renamed: HashMap<u32, u32> = self.catalogue.insert(found).into_iter().collect();
            let floats = rows.samples.iter_mut().map(|(number, _)| number);
            for number in floats.chain(rows.histograms.iter_mut().map(|(number, ..)| number)) {
                *number = renamed.get(number).copied().unwrap_or(*number);
            }
            if unknown.is_empty() {
                *known = self.catalogue.all();
                return Ok(());
            }
        }
        let before = rows.samples.len() + rows.histograms.len();
        rows.samples.retain(|(number, _)| !unknown.contains(*number));
        rows.histograms.retain(|(number, ..)| !unknown.contains(*number));
        let lost = before - rows.samples.len() - rows.histograms.len();
        NAMELESS.add(&[], lost as u64);
        tracing::error!(
            tenant = %self.id, samples = lost, series = unknown.len(),
            "samples of the intake log are lost: the names of their series were damaged"
        );
        self.intake
            .note_damage(&format!("{lost} acknowledged samples are lost, the names of their series were damaged"));
        Ok(())
    }

    fn stats(&self) -> TenantStats {
        let view = self.view.read().clone();
        let logs = self.logs.stats();
        let spans: Vec<(i64, i64)> = view
            .heads()
            .filter_map(|head| head.span_ms())
            .chain(self.days.days().into_iter().filter_map(|day| self.days.summary(day).ok()?.span_ms))
            .chain(self.rollups.days().into_iter().filter_map(|day| self.rollups.summary(day).ok()?.span_ms))
            .collect();
        TenantStats {
            series: self.all_series(&view),
            active_series: view.active.series() as u64,
            head_samples: view.heads().map(|head| head.samples() as u64).sum(),
            head_log_records: logs.head_records,
            disk_bytes: dir_bytes(&self.dir),
            wal_bytes: self.intake.bytes(),
            intake_queue: self.queue.len() as u64,
            index_lag_ms: logs.index_lag_ms,
            oldest_sample_ms: spans.iter().map(|(first, _)| *first).min(),
            newest_sample_ms: spans.iter().map(|(_, last)| *last).max(),
            oldest_log_ns: logs.oldest_ns,
            newest_log_ns: logs.newest_ns,
            set_aside_files: self.set_aside().len() as u64,
            damaged_log_blocks: logs.damaged_blocks,
        }
    }
}

impl Inner {
    /// Series that a day file or a head has; one that was forgotten and came back may count once for each of its numbers.
    fn all_series(&self, view: &View) -> u64 {
        let mut all = RoaringBitmap::new();
        for days in [&self.days, &self.rollups] {
            for day in days.days() {
                // What cannot be read shows elsewhere.
                if let Ok(summary) = days.summary(day) {
                    all |= &summary.present;
                }
            }
        }
        for head in view.heads() {
            all |= head.numbers();
        }
        all.len()
    }
}

/// Bytes of all files below a directory, as the disk counts them; what vanishes meanwhile counts nothing.
fn dir_bytes(dir: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(dir) else { return 0 };
    entries
        .flatten()
        .map(|entry| match entry.file_type() {
            Ok(kind) if kind.is_dir() => dir_bytes(&entry.path()),
            Ok(_) => disk_bytes(&entry.path()),
            Err(_) => 0,
        })
        .sum()
}
