//! Records in the order they came, for whoever watches them arrive: what lies after a request that was seen already.
//!
//! A block does not say which requests its records came with, but a day is sealed whole: what a seal wrote reaches up to the last
//! request applied before it. So whoever was here at the request `seq` reads the head, and blocks of later seals alone.

use std::sync::Arc;

use tokio::sync::watch;

use super::LogStore;
use super::head::HeadPart;
use super::view::{BlockRef, LogView};

/// Seals of one day told apart; with more of them the oldest are taken together, which only makes a late reader read more.
const SEALS_MAX: usize = 4_096;

/// The blocks from `first` on, up to the next seal's, hold records of requests up to `seq`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seal {
    first: u64,
    seq: u64,
}

impl Seal {
    /// Of a day that was just opened: which seal wrote what is not known any more.
    pub(super) fn of_opened(covered_seq: Option<u64>) -> Vec<Seal> {
        covered_seq.into_iter().map(|seq| Seal { first: 0, seq }).collect()
    }

    pub(super) fn note(seals: &mut Vec<Seal>, first: u64, seq: u64) {
        if seals.len() == SEALS_MAX {
            let joined = Seal { first: seals[0].first, seq: seals[SEALS_MAX / 2].seq };
            seals.splice(..=SEALS_MAX / 2, [joined]);
        }
        seals.push(Seal { first, seq });
    }
}

impl LogStore {
    pub(crate) fn arrivals(&self) -> watch::Receiver<()> {
        self.arrivals.subscribe()
    }
}

impl LogView {
    /// The number of the newest request whose records this view shows; 0 before the first.
    pub fn newest_seq(&self) -> u64 {
        self.newest_seq
    }

    /// The places that can hold records of the request `seq` or later ones: blocks, which may hold earlier ones too, and parts of
    /// the head, in order of their requests.
    pub fn arrived_since(&self, seq: u64) -> (Vec<BlockRef>, Vec<&Arc<HeadPart>>) {
        let mut blocks = Vec::new();
        for day in self.days.iter() {
            // Seals are in order of both numbers.
            let from = day.seals.partition_point(|seal| seal.seq < seq);
            let first = match day.seals.get(from) {
                Some(seal) => seal.first,
                None => continue,
            };
            let new = day.blocks.iter().filter(|info| info.id >= first);
            blocks.extend(new.map(|info| BlockRef { file: day.file.clone(), info: *info }));
        }
        let mut parts: Vec<&Arc<HeadPart>> = Vec::new();
        for day in self.days.iter() {
            let from = day.head.partition_point(|part| part.seq < seq);
            parts.extend(&day.head[from..]);
        }
        parts.sort_by_key(|part| part.seq);
        (blocks, parts)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use codec::packed::PackedLogs;
    use model::{AnyValue, LogBatch, LogRecord, Resource, Scope};

    use super::*;
    use crate::Options;
    use crate::file::Files;

    /// Records of a request: one late, one of today.
    fn batch(seq: u64) -> PackedLogs {
        let record = |time_ns| (0, 0, LogRecord { time_ns, body: AnyValue::Int(seq as i64), ..LogRecord::default() });
        let batch = LogBatch {
            resources: vec![Resource::default()],
            scopes: vec![Scope::default()],
            records: vec![record(1_795_000_000_000_000_000 - seq as i64), record(1_795_219_200_000_000_000)],
        };
        PackedLogs::of_batch(&batch).0
    }

    /// Requests that a view shows from `seq` on, with how many records of each; and the blocks read for it.
    fn since(store: &Arc<LogStore>, seq: u64) -> (Vec<(u64, usize)>, usize) {
        let view = store.view();
        let (blocks, parts) = view.arrived_since(seq);
        let mut found = std::collections::BTreeMap::new();
        for block in &blocks {
            for (of, _) in block.read().unwrap().unwrap().order().unwrap().iter().filter(|(of, _)| *of >= seq) {
                *found.entry(*of).or_insert(0) += 1;
            }
        }
        for part in parts {
            *found.entry(part.seq).or_default() += part.len();
        }
        (found.into_iter().collect(), blocks.len())
    }

    #[test]
    fn what_arrived_is_found_in_head_and_blocks_and_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let open = |dir: &Path| {
            let files = Arc::new(Files::new(Arc::new(Options::new(dir))));
            Arc::new(LogStore::open(&dir.join("logs"), &files).unwrap())
        };
        let store = open(dir.path());
        let arrivals = store.arrivals();
        for seq in 1..=3 {
            store.apply(seq, batch(seq));
        }
        assert!(arrivals.has_changed().unwrap());
        assert_eq!(since(&store, 2), (vec![(2, 2), (3, 2)], 0));
        store.flush(0, true).unwrap();
        store.apply(4, batch(4));
        assert_eq!(since(&store, 3), (vec![(3, 2), (4, 2)], 2));
        store.flush(0, true).unwrap();
        store.apply(5, batch(5));
        assert_eq!(since(&store, 4), (vec![(4, 2), (5, 2)], 2));
        assert_eq!(since(&store, 6), (vec![], 0));
        assert_eq!(store.view().newest_seq(), 5);
        drop(store);
        let store = open(dir.path());
        assert_eq!(store.view().newest_seq(), 4);
        store.apply(5, batch(5));
        assert_eq!(since(&store, 3), (vec![(3, 2), (4, 2), (5, 2)], 4));
    }

    #[test]
    fn many_seals_are_joined_and_stay_in_order() {
        let mut seals = Seal::of_opened(Some(5));
        for n in 0..3 * SEALS_MAX as u64 {
            Seal::note(&mut seals, n + 1, n + 6);
        }
        assert!(seals.len() <= SEALS_MAX);
        assert_eq!((seals[0].first, seals.last().unwrap().seq), (0, 3 * SEALS_MAX as u64 + 5));
        assert!(seals.is_sorted_by_key(|seal| seal.seq) && seals.is_sorted_by_key(|seal| seal.first));
    }
}
