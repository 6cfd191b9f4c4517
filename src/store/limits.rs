//! Every constant limit of the store, with its unit and what happens there.

/// Idle redb files kept open, of all tenants together; further ones are closed, least recently used first. Bounds file
/// descriptors (1024 by default on Linux) and page caches.
pub const FILES_OPEN_MAX: usize = 64;

/// Page cache of an intake log, in bytes: it is written once and read at the start only.
pub const INTAKE_CACHE_BYTES: usize = 1 << 20;

/// Page cache of a day file of metrics, in bytes; the system's own cache stands behind it.
pub const DAY_CACHE_BYTES: usize = 2 << 20;

/// Requests and bytes taken into one commit; more wait for the next. Bounds the wait of the first of them.
pub const COMMIT_REQUESTS_MAX: usize = 512;
pub const COMMIT_BYTES_MAX: usize = 16 << 20;

/// How long a writer thread waits for work before it ends, in ms; the next request starts another.
pub const WRITER_IDLE_MS: u64 = 5_000;

/// Waits between attempts to write after a failed commit, in ms: doubled from the first to the last.
pub const RETRY_FIRST_MS: u64 = 100;
pub const RETRY_LAST_MS: u64 = 5_000;

/// Samples in the head at which it is written to the day files, by the writer itself if upkeep is late. 20 bytes each; a native
/// histogram counts as many as its memory would hold.
pub const HEAD_SAMPLES_MAX: usize = 2_500_000;

/// The same for the heads of all tenants together: whoever writes then and has at least a hundredth of it, writes its head out.
pub const HEADS_SAMPLES_MAX: usize = 4_000_000;

/// Age of the head's first sample at which it is written, in ms: 480 samples a series at the usual 15 s.
pub const HEAD_AGE_MS: i64 = 2 * 3_600_000;

/// Bytes of records in an intake log at which head and logs are written out, so that a start has little to replay.
pub const INTAKE_BYTES_MAX: u64 = 64 << 20;

/// Bytes of records that may stay in a tenant's intake log when the store closes: about 300,000 samples to replay.
pub const REPLAY_BYTES_MAX: u64 = 1 << 20;

/// Samples of one chunk. Longer ones save little (8 % from 240 to 1920) and make a short range read more.
pub const CHUNK_SAMPLES: usize = 480;

/// Senders' keys remembered per tenant; when there are more all are forgotten and learnt anew. 24 bytes each.
pub const KNOWN_KEYS_MAX: usize = 1 << 20;

/// Metric families of one tenant whose metadata is kept; that of further ones is not.
pub const METADATA_FAMILIES_MAX: usize = 50_000;
