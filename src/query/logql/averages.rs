//! What a record of a stream weighs about, told by those that were weighed: a guess for blocks that hold several streams and are not read.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use model::Labels;

#[derive(Default, Clone, Copy)]
struct Seen {
    bytes: u64,
    records: u64,
}

impl Seen {
    fn add(&mut self, bytes: u64, records: u64) {
        self.bytes += bytes;
        self.records += records;
    }

    fn average(self) -> Option<u64> {
        self.bytes.checked_div(self.records).map(|bytes| bytes.max(1))
    }
}

#[derive(Default)]
pub(super) struct Averages {
    of: HashMap<Labels, Seen, RandomState>,
    all: Seen,
}

impl Averages {
    pub(super) fn learn(&mut self, stream: &Labels, bytes: u64, records: u64) {
        self.of.entry(stream.clone()).or_default().add(bytes, records);
        self.all.add(bytes, records);
    }

    /// Bytes of a record of the stream; of one that was not seen those of any, and before any was seen 1: all are alike then.
    pub(super) fn of(&self, stream: &Labels) -> u64 {
        self.of.get(stream).and_then(|seen| seen.average()).or_else(|| self.all.average()).unwrap_or(1)
    }
}
