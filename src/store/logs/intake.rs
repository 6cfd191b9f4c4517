//! A request's records on their way to the writer.

use codec::packed::PackedLogs;
use model::LogBatch;

use super::counts::{Counts, count};

/// Records, and what the intake log will hold of them. Made off the writer's thread: encoding is the larger part of the work.
#[derive(Debug)]
pub struct LogIntake {
    pub(crate) logs: PackedLogs,
    pub(crate) payload: Vec<u8>,
    pub(crate) counts: Counts,
}

impl LogIntake {
    /// CPU-bound: about half a microsecond a record.
    pub fn new(logs: PackedLogs) -> LogIntake {
        let (payload, counts) = (logs.encode(), count(&logs));
        LogIntake { logs, payload, counts }
    }

    pub fn of_batch(batch: &LogBatch) -> LogIntake {
        // What does not fit into 4 GiB of text could not come through any door.
        LogIntake::new(PackedLogs::of_batch(batch).0)
    }

    /// Number of records.
    pub fn len(&self) -> usize {
        self.logs.len()
    }

    pub fn is_empty(&self) -> bool {
        self.logs.is_empty()
    }

    /// Bytes of the records as limits count them.
    pub fn raw_bytes(&self) -> u64 {
        self.logs.iter().map(|record| record.raw_bytes()).sum()
    }

    /// Memory while it waits, roughly.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.payload.len() + self.logs.memory_bytes()
    }
}
