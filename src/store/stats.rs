//! Sizes and counts, for `/metrics`, `/status` and the pages.

#[derive(Debug, Clone, Default)]
pub struct TenantStats {
    pub series: u64,
    /// Series with a sample in the head.
    pub active_series: u64,
    pub head_samples: u64,
    pub head_log_records: u64,
    /// Bytes of the tenant's files, as the disk counts them.
    pub disk_bytes: u64,
    pub wal_bytes: u64,
    pub intake_queue: u64,
    /// Age of the oldest log record that the index does not hold yet.
    pub index_lag_ms: u64,
    pub oldest_sample_ms: Option<i64>,
    pub newest_sample_ms: Option<i64>,
    pub oldest_log_ns: Option<i64>,
    pub newest_log_ns: Option<i64>,
    /// Damaged files that wait for somebody to look at them.
    pub set_aside_files: u64,
    /// Log blocks that cannot be read, as far as they were met.
    pub damaged_log_blocks: u64,
}

#[derive(Debug, Clone, Default)]
pub struct StoreStats {
    pub tenants: Vec<(String, TenantStats)>,
    /// Tenants that cannot be opened.
    pub failed_tenants: u64,
    pub disk_free_bytes: u64,
    pub disk_total_bytes: u64,
}
