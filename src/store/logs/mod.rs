//! Log records of one tenant: head, sealed blocks, index.
//!
//! Lives between the intake log and the disk: the core makes a batch durable in the intake log, then applies it here, then
//! acknowledges. Only when [`LogStore::flush`] says so may the intake log forget a batch.
//!
//! A day is sealed whole: its blocks and the sequence number up to which they hold the intake log's records of that day are one
//! commit. So at replay a record is known to be in a block or not, and none is doubled or lost.

mod aside;
mod block_terms;
pub(crate) mod counts;
mod damage;
mod day;
mod day_anew;
mod day_resources;
mod day_rows;
mod day_tables;
mod filter;
mod follow;
mod head;
mod index;
mod index_write;
mod intake;
mod regroup;
mod retention;
mod seal;
mod settle;
mod shared;
mod stream_retention;
pub(crate) mod streams;
mod summaries;
pub mod terms;
mod thin;
mod upkeep;
mod verify;
mod view;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use codec::block::Block;
use codec::packed::PackedLogs;
use model::meter::Counter;
use model::time::Day;
use parking_lot::Mutex;
use tokio::sync::watch;

pub use head::HeadPart;
pub use index::IndexQuery;
pub use intake::LogIntake;
pub use stream_retention::StreamRetention;
pub use summaries::Summary;
pub(crate) use summaries::SummaryCache;
pub use view::{BlockRef, LogView};

use day::{DayFile, Info, Loaded};
use follow::Seal;
use index::Segment;
use settle::Settling;
use shared::Shared;
use view::DayView;

use crate::StoreError;
use crate::file::{Files, corrupt, io_error};

/// Memory of the heads of all days at which the writer waits until they are sealed, when nobody else kept up.
const HEAD_BYTES_MAX: u64 = 56 << 20;
/// Counted by the writer, since a replay applies records again.
pub(crate) static RECORDS: Counter = Counter::new("binnacle_store_log_records_total", "Log records made durable.", &[]);

/// Open log data of one tenant; shared by its writer, its upkeep and its readers.
pub(crate) struct LogStore {
    dir: PathBuf,
    files: Arc<Files>,
    state: Mutex<State>,
    /// Day files that could not be read.
    aside: Mutex<Vec<crate::aside::Aside>>,
    /// Told after each request that was applied.
    arrivals: watch::Sender<()>,
    /// Held while segments are made or days dropped; before `writing`. Apart from it, since a segment takes seconds and intake
    /// must not wait for one.
    indexing: Mutex<()>,
    /// What settling remembers; after `indexing`, before `writing`.
    settling: Mutex<Settling>,
    /// Held while blocks are written or days dropped; before `state`, never after.
    writing: Mutex<()>,
    /// Sealing that the writer asked for.
    relief: Mutex<Option<JoinHandle<()>>>,
}

struct State {
    days: BTreeMap<Day, DayState>,
    /// The highest sequence number applied.
    applied_seq: u64,
    head_bytes: u64,
    /// What the heads' records have in common.
    shared: Shared,
    /// Clock of the last flush, for ages.
    now_ms: i64,
}

struct DayState {
    file: Arc<DayFile>,
    /// The day's records of requests up to this one are in its blocks.
    covered_seq: Option<u64>,
    /// How many of its blocks were grouped anew; `None` when none ever was.
    settled: Option<u64>,
    head: Arc<Vec<Arc<HeadPart>>>,
    head_bytes: u64,
    /// When a flush first saw the head not empty.
    head_since_ms: Option<i64>,
    blocks: Arc<Vec<Info>>,
    /// How far each run of blocks reaches in the order of intake.
    seals: Arc<Vec<Seal>>,
    segments: Arc<Vec<Arc<Segment>>>,
    /// When a flush first saw blocks outside the index.
    unindexed_since_ms: Option<i64>,
    /// How many blocks the look for unindexed ones saw last, and when it first saw so many.
    grown: (usize, i64),
    /// What it was looked through for last, by `retention.logs_streams`.
    looked: Option<thin::Looked>,
}

impl DayState {
    fn new(file: DayFile) -> DayState {
        DayState {
            file: Arc::new(file),
            covered_seq: None,
            settled: None,
            head: Arc::default(),
            head_bytes: 0,
            head_since_ms: None,
            blocks: Arc::default(),
            seals: Arc::default(),
            segments: Arc::default(),
            unindexed_since_ms: None,
            grown: (0, 0),
            looked: None,
        }
    }

    /// Takes what a file says of itself.
    fn take(&mut self, loaded: Loaded) {
        self.covered_seq = loaded.covered_seq;
        self.settled = loaded.settled;
        self.seals = Arc::new(Seal::of_opened(loaded.covered_seq));
        self.blocks = Arc::new(loaded.blocks);
        // What was there before the start is not being added to.
        self.grown = (self.blocks.len(), i64::MIN);
    }

    /// The first run of blocks that no segment covers and that can be read, and the bytes of all such blocks.
    fn unindexed(&self) -> Option<(std::ops::Range<u64>, u64)> {
        let end = self.blocks.len() as u64;
        let mut first = None;
        let mut bytes = 0;
        let mut at = 0;
        let covered = self.segments.iter().map(|segment| segment.blocks.clone());
        // A damaged block stays outside, so that searches meet it and say so.
        let damaged = self.file.damaged_blocks().into_iter().map(|id| id..id + 1);
        let mut bounds: Vec<_> = covered.chain(damaged).chain(std::iter::once(end..end)).collect();
        bounds.sort_unstable_by_key(|bound| bound.start);
        for bound in bounds {
            if at < bound.start {
                first = first.or(Some(at..bound.start));
                bytes += self.blocks[at as usize..bound.start as usize].iter().map(|info| info.raw_bytes).sum::<u64>();
            }
            at = at.max(bound.end);
        }
        first.map(|run| (run, bytes))
    }
}

/// Figures for [`crate::TenantStats`].
#[derive(Debug, Clone, Default)]
pub(crate) struct LogStats {
    pub(crate) head_records: u64,
    pub(crate) index_lag_ms: u64,
    pub(crate) oldest_ns: Option<i64>,
    pub(crate) newest_ns: Option<i64>,
    pub(crate) damaged_blocks: u64,
}

impl LogStore {
    /// Opens `dir` (it may not exist yet: an empty store makes no files). Takes day files from `files` whenever it needs them.
    pub(crate) fn open(dir: &Path, files: &Arc<Files>) -> Result<LogStore, StoreError> {
        let mut days = BTreeMap::new();
        let entries = match std::fs::read_dir(dir) {
            Ok(entries) => entries.collect::<Result<Vec<_>, _>>().map_err(|error| io_error("list", dir, error))?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(io_error("list", dir, error)),
        };
        let mut aside = aside::list(dir)?;
        let mut indexes = Vec::new();
        for entry in entries {
            let path = entry.path();
            let stem = path.file_stem().and_then(|stem| stem.to_str()).and_then(Day::parse);
            match (stem, path.extension().and_then(|extension| extension.to_str())) {
                (Some(day), Some("redb")) => {
                    let mut state = DayState::new(DayFile::new(path, files.clone()));
                    let loaded = match state.file.load() {
                        Ok(loaded) => loaded,
                        Err(error) => {
                            aside.push(aside::set_aside(dir, day, files, error)?);
                            continue;
                        }
                    };
                    state.take(loaded);
                    days.insert(day, state);
                }
                (Some(day), Some("idx")) => indexes.push((day, path)),
                // A file or an index that was being made when the program stopped.
                (None, Some("new")) if path.is_dir() => index::remove_dir(&path)?,
                (None, Some("new")) => std::fs::remove_file(&path).map_err(|error| io_error("remove", &path, error))?,
                _ => {}
            }
        }
        for (day, path) in indexes {
            match days.get_mut(&day) {
                Some(state) => {
                    let segments = index::open(&path, state.blocks.len() as u64)?;
                    state.segments = Arc::new(segments.into_iter().map(Arc::new).collect());
                }
                // Its blocks were dropped, and then the program stopped.
                None => index::remove_dir(&path)?,
            }
        }
        let state = State { days, applied_seq: 0, head_bytes: 0, shared: Shared::default(), now_ms: 0 };
        Ok(LogStore {
            dir: dir.to_owned(),
            files: files.clone(),
            state: Mutex::new(state),
            arrivals: watch::Sender::new(()),
            indexing: Mutex::new(()),
            settling: Mutex::default(),
            writing: Mutex::new(()),
            relief: Mutex::new(None),
            aside: Mutex::new(aside),
        })
    }

    /// The highest number of a request of which some day has everything in its blocks; 0 when none has.
    pub(crate) fn covered_seq(&self) -> u64 {
        self.state.lock().days.values().filter_map(|day| day.covered_seq).max().unwrap_or(0)
    }

    /// The records of an intake record's log part, at replay: packed, or a block as the first release wrote.
    pub(crate) fn decode(payload: &[u8]) -> Result<PackedLogs, StoreError> {
        let decoded = if PackedLogs::is_packed(payload) {
            PackedLogs::decode(payload)
        } else {
            Block::parse(payload.to_vec()).and_then(|block| block.batch()).map(|batch| PackedLogs::of_batch(&batch).0)
        };
        decoded.map_err(|error| corrupt(Path::new("intake record of logs"), error.to_string()))
    }

    /// Takes a durable batch into the head, so that the next snapshot sees it. Called by one thread at a time, with ever
    /// growing `seq`; at replay a `seq` that an earlier flush covered comes again and is ignored.
    pub(crate) fn apply(&self, seq: u64, mut logs: PackedLogs) {
        let mut state = self.state.lock();
        state.shared.take(&mut logs);
        state.applied_seq = state.applied_seq.max(seq);
        let covers = |day: Day| {
            let covered_seq = state.days.get(&day).and_then(|known| known.covered_seq);
            covered_seq.is_some_and(|covered_seq| seq <= covered_seq)
        };
        for (day, part) in head::split(seq, logs, |day| !covers(day)) {
            let file = || DayFile::new(self.dir.join(format!("{day}.redb")), self.files.clone());
            let known = state.days.entry(day).or_insert_with(|| DayState::new(file()));
            let bytes = part.memory_bytes();
            known.head_bytes += bytes;
            Arc::make_mut(&mut known.head).push(Arc::new(part));
            state.head_bytes += bytes;
        }
        drop(state);
        self.arrivals.send_replace(());
    }

    /// Has full heads sealed beside the writer when upkeep does not keep up; at the heads' limit the writer waits for it.
    pub(crate) fn relieve(self: &Arc<Self>) {
        let (full, over) = {
            let state = self.state.lock();
            (state.days.values().any(|day| day.head_bytes >= upkeep::HEAD_BYTES), state.head_bytes >= HEAD_BYTES_MAX)
        };
        if !full && !over {
            return;
        }
        let mut relief = self.relief.lock();
        let at_work = relief.as_ref().is_some_and(|relief| !relief.is_finished());
        if !over {
            if !at_work {
                let store = self.clone();
                let spawned = std::thread::Builder::new()
                    .name("seal-logs".into())
                    .spawn(move || store.seal_reported(|day| day.head_bytes >= upkeep::HEAD_BYTES));
                // Without a thread upkeep does it, or the writer at the limit.
                *relief = spawned.ok();
            }
            return;
        }
        drop(relief);
        self.seal_reported(|_| true);
    }

    /// The records of what fails stay in the head and in the intake log, and the next flush tries again and reports.
    fn seal_reported(&self, due: impl Fn(&DayState) -> bool) {
        let writing = self.writing.lock();
        if let Err(error) = self.seal(due) {
            tracing::warn!(%error, "cannot write log blocks");
        }
        drop(writing);
    }

    /// Day files that could not be read, in words.
    pub(crate) fn set_aside_files(&self) -> Vec<String> {
        let mut aside = self.aside.lock();
        crate::aside::look(&mut aside);
        aside.iter().map(crate::aside::Aside::describe).collect()
    }

    pub(crate) fn stats(&self) -> LogStats {
        let state = self.state.lock();
        let mut stats = LogStats::default();
        for day in state.days.values() {
            stats.damaged_blocks += day.file.damaged_blocks().len() as u64;
            let spans = day.head.iter().map(|part| (part.min_ns, part.max_ns));
            let known = day.blocks.iter().filter(|info| info.records > 0);
            for (min_ns, max_ns) in spans.chain(known.map(|info| (info.min_ns, info.max_ns))) {
                stats.oldest_ns = Some(stats.oldest_ns.map_or(min_ns, |known| known.min(min_ns)));
                stats.newest_ns = Some(stats.newest_ns.map_or(max_ns, |known| known.max(max_ns)));
            }
            stats.head_records += day.head.iter().map(|part| part.len() as u64).sum::<u64>();
            let since_ms = day.unindexed_since_ms.into_iter().chain(day.head_since_ms).min();
            let lag_ms = since_ms.map_or(0, |since_ms| state.now_ms.saturating_sub(since_ms));
            stats.index_lag_ms = stats.index_lag_ms.max(u64::try_from(lag_ms).unwrap_or(0));
        }
        stats
    }

    /// A consistent view of all that was applied before the call.
    pub(crate) fn view(self: &Arc<Self>) -> LogView {
        let state = self.state.lock();
        let days = state.days.iter().map(|(number, day)| DayView {
            day: *number,
            file: day.file.clone(),
            head: day.head.clone(),
            blocks: day.blocks.clone(),
            seals: day.seals.clone(),
            segments: day.segments.clone(),
        });
        let covered = state.days.values().filter_map(|day| day.covered_seq).max().unwrap_or(0);
        LogView { days: Arc::new(days.collect()), newest_seq: state.applied_seq.max(covered) }
    }
}

#[cfg(test)]
mod tests;
