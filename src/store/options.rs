//! How a store is opened.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::StreamRetention;

/// Settings of a store. Ages are in ms, sizes in bytes.
#[derive(Debug, Clone)]
pub struct Options {
    pub dir: PathBuf,
    /// Samples older than this are refused, and days wholly older are dropped.
    pub metrics_retention_ms: i64,
    /// Days of samples that ended so long ago are rolled up into steps of five minutes; `None` rolls none up.
    pub downsample_after_ms: Option<i64>,
    /// Of days that ended so long ago the rollup alone is kept, once it is made.
    pub raw_retention_ms: i64,
    pub logs_retention_ms: i64,
    /// Log records of some streams that are kept for less; at most 64 rules.
    pub logs_streams: Vec<StreamRetention>,
    /// Data files of one tenant together, with its intake log; over it the oldest day goes.
    pub bytes_max: u64,
    /// Most tenants; further ones are refused.
    pub tenants_max: usize,
    /// Most active series of a tenant; further new ones are refused with `Reason::SeriesLimit`.
    pub series_max: usize,
    /// Metric samples a second of one tenant, averaged over ten seconds; over it requests are told to retry. 0 is no limit.
    pub samples_per_second_max: u64,
    /// Bytes of log records (texts and values) a second of one tenant, averaged over ten seconds; over it requests are told to retry.
    /// 0 is no limit.
    pub log_bytes_per_second_max: u64,
    /// Most log streams (distinct resource and scope) of a tenant on a UTC day; records of further ones are refused with
    /// `Reason::StreamLimit`. 0 is no limit.
    pub log_streams_per_day_max: usize,
    /// Series of one tenant that are summed up from deltas at a time; deltas of further ones are refused with `Reason::DeltaLimit`.
    /// 40 bytes each; a native histogram counts as many as its memory would hold.
    pub delta_series_max: usize,
    /// Exemplars of one tenant and day; further ones are left out. 0 stores none.
    pub exemplars_per_day_max: usize,
    /// Most new series of a tenant on a UTC day; further ones are refused with `Reason::SeriesPerDayLimit`.
    pub series_per_day_max: usize,
    /// Requests and bytes waiting in one tenant's intake queue; over either, further ones are told to retry.
    pub intake_queue_requests: usize,
    pub intake_queue_bytes: usize,
    /// Below this much free space on the data folder's disk, writes are refused and the oldest day goes.
    pub disk_free_min: u64,
    /// Where redb files live; `None` is the file system. Tests put disks in between that fill up or forget what was not synced.
    pub backend: Option<Backend>,
}

type OpenFile = dyn Fn(&redb::Builder, &Path) -> Result<redb::Database, redb::DatabaseError> + Send + Sync;

/// Opens the redb file of a path, by [`redb::Builder::create_with_backend`].
#[derive(Clone)]
pub struct Backend(pub Arc<OpenFile>);

impl fmt::Debug for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Backend")
    }
}

impl Options {
    /// Defaults of the product in a given directory.
    pub fn new(dir: impl Into<PathBuf>) -> Options {
        const DAY_MS: i64 = 86_400_000;
        Options {
            dir: dir.into(),
            metrics_retention_ms: 90 * DAY_MS,
            downsample_after_ms: None,
            raw_retention_ms: i64::MAX,
            logs_retention_ms: 30 * DAY_MS,
            logs_streams: Vec::new(),
            bytes_max: 10 << 30,
            tenants_max: 1_000,
            series_max: 1_000_000,
            samples_per_second_max: 0,
            log_bytes_per_second_max: 0,
            log_streams_per_day_max: 100_000,
            delta_series_max: 200_000,
            exemplars_per_day_max: 100_000,
            series_per_day_max: 5_000_000,
            intake_queue_requests: 1_024,
            intake_queue_bytes: 64 << 20,
            disk_free_min: 256 << 20,
            backend: None,
        }
    }
}
