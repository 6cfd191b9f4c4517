//! Every constant limit of the store, with its unit and what happens there.

use std::time::Duration;

/// Idle redb files kept open, of all tenants together; further ones are closed, least recently used first. Bounds file
/// descriptors (1024 by default on Linux) and page caches.
pub const FILES_OPEN_MAX: usize = 64;

/// Page cache of an intake log, in bytes: it is written once and read at the start only.
pub const INTAKE_CACHE_BYTES: usize = 1 << 20;

/// How far an intake log is written ahead of its last page, in bytes: a quarter of what it is long, between these. A log of a busy tenant
/// then meets the file system's journal once in some hundred commits, and one of a quiet tenant stays small.
pub const PREWRITE_BYTES_MIN: u64 = 64 << 10;
pub const PREWRITE_BYTES_MAX: u64 = 1 << 20;

/// Page cache of a day file of metrics, in bytes; the system's own cache stands behind it.
pub const DAY_CACHE_BYTES: usize = 2 << 20;

/// The same of a tenant's newest day, which nearly every dashboard and rule asks again and again: it holds the newest run of about
/// 15,000 series.
pub const NEWEST_DAY_CACHE_BYTES: usize = 8 << 20;

/// Open files that have more than the usual cache at a time; further ones make do with that. With it bounds the page caches of all tenants.
pub const LARGE_CACHES_MAX: usize = 4;

/// Page cache of a file while it is migrated, in bytes.
pub const MIGRATION_CACHE_BYTES: usize = 8 << 20;

/// Requests and bytes taken into one commit; more wait for the next. Bounds the wait of the first of them.
pub const COMMIT_REQUESTS_MAX: usize = 512;
pub const COMMIT_BYTES_MAX: usize = 16 << 20;

/// How long a commit waits for requests of as many senders as were at work just before, at most: what a sender needs to make its next
/// request. The fsyncs of a busy tenant are half as many or fewer. Who is the only sender never waits.
pub const COMMIT_GATHER: Duration = Duration::from_millis(5);

/// How long a writer thread waits for work before it ends, in ms; the next request starts another.
pub const WRITER_IDLE_MS: u64 = 5_000;

/// Waits between attempts to write after a failed commit, in ms: doubled from the first to the last.
pub const RETRY_FIRST_MS: u64 = 100;
pub const RETRY_LAST_MS: u64 = 5_000;

/// Memory of a head, in bytes, at which it is written to the day files; the writer asks for it if upkeep is late, and waits for it at
/// twice as much. A series takes about 100 bytes, its last few samples 16 bytes each and those before 3.
pub const HEAD_BYTES_MAX: usize = 128 << 20;

/// The same for the heads of all tenants together: whoever writes then and has at least a hundredth of it, writes its head out.
pub const HEADS_BYTES_MAX: usize = 192 << 20;

/// Age of the head's first sample at which it is written, in ms: 480 samples a series at the usual 15 s.
pub const HEAD_AGE_MS: i64 = 2 * 3_600_000;

/// Bytes of records in an intake log at which head and logs are written out, so that a start has little to replay: about 18 million
/// samples. The writer waits for it at twice as much.
pub const INTAKE_BYTES_MAX: u64 = 64 << 20;

/// Bytes of records that may stay in a tenant's intake log when the store closes: about 300,000 samples to replay.
pub const REPLAY_BYTES_MAX: u64 = 1 << 20;

/// Bytes of records taken out of an intake log in one commit, about: what a request may have to wait for.
pub const TRIM_BYTES_MAX: u64 = 4 << 20;

/// Bytes written to an intake log after which its file is replaced by a fresh one, once little is left in it.
pub const LOOSE_BYTES: u64 = 2 << 20;

/// Samples of one chunk of a flush: what a flush has of a series at the usual 15 s. Longer ones make a short range read more.
pub const CHUNK_SAMPLES: usize = 480;

/// Samples of one chunk of a settled day: eight hours at 15 s. 8 % smaller than chunks of 480.
pub const SETTLED_CHUNK_SAMPLES: usize = 1_920;

/// Bytes of a page of chunks, largest first. redb gives a large value pages of 4 KiB × 2^k; 64 bytes of it are redb's own.
pub const PAGE_SIZES: &[usize] = &[65_536 - 64, 32_768 - 64, 16_384 - 64, 8_192 - 64, 4_096 - 64];

/// Age of a day file's last flush at which the day is settled, when no head has samples of it, in ms.
pub const SETTLE_QUIET_MS: i64 = 10 * 60_000;

/// Samples of one chunk of a rollup, at most: a day in steps of five minutes, and the first of each.
pub const ROLLUP_CHUNK_SAMPLES: usize = 576;

/// A settled day is settled again when what came later takes this share of its bytes (1 in so many), or when it is so old, in ms.
pub const SETTLE_AGAIN_SHARE: u64 = 8;
pub const SETTLE_AGAIN_MS: i64 = 6 * 3_600_000;

/// Flushes of one day at which it is settled although more is coming, so that a read looks at few pages for one series.
pub const FLUSHES_MAX: usize = 32;

/// Bytes of flushes in a day file from which it is settled when the store closes, and most bytes rewritten then: a second or two.
pub const SETTLE_AT_CLOSE_MIN_BYTES: u64 = 64 << 10;
pub const SETTLE_AT_CLOSE_MAX_BYTES: u64 = 64 << 20;

/// Blocks that came to a settled day of logs since, at which it is settled again however few their bytes are: each is one more to look at
/// for every search of the day.
pub const LOG_SETTLE_AGAIN_BLOCKS: usize = 256;

/// Bytes of records before encoding that settling a day of logs reads in one round of upkeep, at least: about a second.
pub const LOG_SETTLE_ROUND_RAW_BYTES: u64 = 32 << 20;

/// Bytes of records before encoding that settling groups in memory at a time, about; one stream may have twice as much.
pub const LOG_SETTLE_PASS_RAW_BYTES: u64 = 16 << 20;

/// Bytes of records before encoding that are grouped together, in several passes over them: each pass reads all of them.
pub const LOG_SETTLE_WINDOW_RAW_BYTES: u64 = 128 << 20;

/// Time that is grouped together, in ns, so that a search of an hour reads few blocks of others, and a block's counts by minute stay few;
/// and the bytes for the sake of which it may be longer.
pub const LOG_SETTLE_WINDOW_NS: i64 = 2 * 3_600_000_000_000;
pub const LOG_SETTLE_WINDOW_RAW_BYTES_MIN: u64 = 1 << 20;

/// Time without any new batch after which the head is written out although it is young, in ms.
pub const HEAD_IDLE_MS: i64 = 10 * 60_000;

/// Senders' keys remembered per tenant; when there are more all are forgotten and learnt anew. 60 to 90 bytes each.
pub const KNOWN_KEYS_MAX: usize = 1 << 20;

/// Memory of senders' layouts per tenant, in bytes, of each of two generations: those not used for a whole one are forgotten. About three
/// times the bytes of an export.
pub const LAYOUT_BYTES_MAX: usize = 8 << 20;

/// Metric families of one tenant whose metadata is kept; that of further ones is not.
pub const METADATA_FAMILIES_MAX: usize = 50_000;

/// Cumulative streams whose start is remembered, per tenant and generation of two; those not seen since the generation before are
/// looked up in the store when they come again. 48 bytes each.
pub const RUNS_REMEMBERED: usize = 1 << 18;

/// Look-ups of single streams that one commit makes to tell whether a changed start is a reset that needs a sample of zero. Further ones
/// get the sample when they are newer than all before, and none when they are late.
pub const STREAM_LOOKUPS_MAX: usize = 1_000;

/// Times of late deltas that one request has looked up: those found are repetitions. Deltas of further times are refused as late.
pub const LATE_TIMES_MAX: usize = 64;

/// Age against the newest delta, in ms, from which a stream's sum may be forgotten when there is no room.
pub const DELTA_IDLE_MS: i64 = 3_600_000;

/// Stale markers that one request may write to series it does not name (a histogram or summary that ends without its bounds).
pub const ENDED_SAMPLES_MAX: usize = 1 << 20;

/// How far back, in ms, a series must have had a sample to be ended by such a point: older ones are over anyway.
pub const ENDED_LATELY_MS: i64 = 3_600_000;

/// Targets (job and instance) whose live `target_info` is remembered, per tenant; when there are more all are looked up anew.
pub const TARGETS_REMEMBERED: usize = 100_000;

/// How far back, in ms, another `target_info` of the same target still counts as live: PromQL's look-back.
pub const TARGET_LIVE_MS: i64 = 300_000;

/// Exemplars of one series and day; further ones are left out and counted.
pub const EXEMPLARS_SERIES_MAX: usize = 1_000;

/// Exemplars in one tenant's head; further ones are left out until it is written out. About 300 bytes each.
pub const EXEMPLARS_HEAD_MAX: usize = 200_000;

/// Memory of an exemplar in the head, in bytes, roughly.
pub const EXEMPLAR_BYTES: usize = 300;

/// Days whose exemplars are counted in memory; when there are more all are counted anew.
pub const EXEMPLAR_DAYS_COUNTED: usize = 16;

/// Seconds of the limit on samples a second that may come at once: senders export every 10 to 60 s.
pub const RATE_BURST_S: f64 = 10.0;
/// Series of `binnacle_log_records_total` of one tenant; records of further services and hosts count as `other`.
pub const LOG_COUNT_SERIES_MAX: usize = 5_000;

/// Series of one segment of a day's index: more begin another. Bounds the memory of writing one, at about 500 bytes each.
pub const INDEX_SEGMENT_SERIES: usize = 1 << 16;

/// Series, and bytes of their labels, of one group of label sets in a day's index: what is read to name one series.
pub const INDEX_GROUP_SERIES: usize = 512;
pub const INDEX_GROUP_BYTES: usize = 256 << 10;

/// Values, and bytes of them with their series (two each), of one block in a day's index: what is read to find one value.
pub const INDEX_BLOCK_VALUES: usize = 1 << 10;
pub const INDEX_BLOCK_BYTES: usize = 32 << 10;

/// Parsed parts of day indexes kept for all tenants together, in bytes.
pub const INDEX_CACHE_BYTES: usize = 32 << 20;

/// Newest days in which a label set that is not in memory is sought before it gets a new number, and series of a day above which
/// it is not: 8 bytes each.
pub const FIND_DAYS: usize = 2;
pub const FIND_SERIES_MAX: u64 = 1 << 20;

/// Bytes of the log index that one round of upkeep reads after a start to see that they are whole: some 50 ms.
pub const INDEX_CHECK_ROUND_BYTES: u64 = 64 << 20;

/// How long a series stays in memory after its last sample was written out, in ms: most that pause come back within it.
pub const IDLE_MS: i64 = 3_600_000;

/// Series without samples in memory that stay there; over it those that are idle longest go first. About 300 bytes each.
pub const IDLE_SERIES_MAX: u64 = 100_000;

/// Values of one label that are held at a time while a day's series are counted; of labels with more, further ones are read in another
/// round. About 100 bytes each.
pub const COUNTED_VALUES_HELD: usize = 50_000;

/// Series named or forgotten in one go: some 300 bytes each where their labels are built, and a few microseconds under the writer's
/// lock where they are forgotten.
pub const SERIES_AT_ONCE: usize = 2_000;

/// Files of a tenant in a backup, and of a whole backup: a hundred tenants with all their days. More would be a mistake.
pub const BACKUP_FILES_MAX: usize = 200_000;

/// Bytes copied at a time for a backup.
pub const COPY_BYTES: usize = 1 << 20;
