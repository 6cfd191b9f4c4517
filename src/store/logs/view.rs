//! What a query sees of a tenant's logs: the head's records and the blocks, as they were when the view was taken.

use std::sync::Arc;

use codec::block::Block;
use model::time::Day;
use model::{NsRange, Severity};

use super::day::{DayFile, Info};
use super::follow::Seal;
use super::head::HeadPart;
use super::index::{IndexQuery, Segment};
use super::summaries::Summary;
use crate::StoreError;

/// One consistent view of a tenant's logs; cheap to clone.
#[derive(Clone)]
pub struct LogView {
    /// Oldest first.
    pub(super) days: Arc<Vec<DayView>>,
    /// The last request that was applied before the view was taken.
    pub(super) newest_seq: u64,
}

pub(super) struct DayView {
    pub(super) day: Day,
    pub(super) file: Arc<DayFile>,
    pub(super) head: Arc<Vec<Arc<HeadPart>>>,
    pub(super) blocks: Arc<Vec<Info>>,
    pub(super) seals: Arc<Vec<Seal>>,
    pub(super) segments: Arc<Vec<Arc<Segment>>>,
}

/// A block that may hold what is searched.
#[derive(Clone)]
pub struct BlockRef {
    pub(super) file: Arc<DayFile>,
    pub(super) info: Info,
}

impl BlockRef {
    /// Number of the block within its day.
    pub fn id(&self) -> u64 {
        self.info.id
    }

    /// Time of the oldest record.
    pub fn min_ns(&self) -> i64 {
        self.info.min_ns
    }

    /// Time of the newest record.
    pub fn max_ns(&self) -> i64 {
        self.info.max_ns
    }

    pub fn records(&self) -> u64 {
        self.info.records
    }

    /// Bytes read from the disk by [`BlockRef::read`].
    pub fn stored_bytes(&self) -> u64 {
        self.info.stored_bytes
    }

    /// Bytes of its records before encoding.
    pub fn raw_bytes(&self) -> u64 {
        self.info.raw_bytes
    }

    pub fn has_severity(&self, severity: Severity) -> bool {
        self.info.severities >> (severity as u8) & 1 != 0
    }

    /// Counts by minute and severity, and by resource; `None` when retention dropped the day since the view was taken, or they cannot be
    /// read: then [`BlockRef::read`] tells.
    pub fn meta(&self) -> Result<Option<Summary>, StoreError> {
        self.file.meta(self.info.id)
    }

    /// Reads the block; `None` when retention dropped the day since the view was taken.
    ///
    /// # Errors
    /// `Corrupt` when it is damaged: whoever reads on without it must say so.
    pub fn read(&self) -> Result<Option<Block>, StoreError> {
        self.file.block(self.info.id)
    }
}

impl LogView {
    /// The blocks that share an instant with the range and may satisfy the query, in no order of use; and how many of the range
    /// the index ruled out. Blocks that the index does not hold yet are all candidates. `look` is called before each segment of the
    /// index is asked; its error ends the call.
    pub fn blocks<E>(
        &self,
        range: NsRange,
        query: &IndexQuery,
        mut look: impl FnMut() -> Result<(), E>,
    ) -> Result<(Vec<BlockRef>, u64), E> {
        let mut out = Vec::new();
        let mut skipped = 0;
        for day in self.days.iter() {
            let inside = |info: &Info| range.overlaps(info.min_ns, info.max_ns);
            if !day.blocks.iter().any(inside) {
                continue;
            }
            let mut answers = Vec::new();
            for segment in day.segments.iter() {
                let touched = &day.blocks[segment.blocks.start as usize..segment.blocks.end as usize];
                if *query != IndexQuery::All && touched.iter().any(inside) {
                    look()?;
                    answers.push((segment.blocks.clone(), segment.ask(query)));
                }
            }
            let mut answer = 0;
            for info in day.blocks.iter() {
                while answers.get(answer).is_some_and(|(blocks, _)| blocks.end <= info.id) {
                    answer += 1;
                }
                if !inside(info) {
                    continue;
                }
                let ruled_out = match answers.get(answer) {
                    Some((blocks, Some(found))) if blocks.contains(&info.id) => {
                        !found.contains((info.id - blocks.start) as u32) && !day.file.is_damaged(info.id)
                    }
                    _ => false,
                };
                if ruled_out {
                    skipped += 1;
                } else {
                    out.push(BlockRef { file: day.file.clone(), info: *info });
                }
            }
        }
        Ok((out, skipped))
    }

    /// Parts of the head that share an instant with the range.
    pub fn head(&self, range: NsRange) -> impl Iterator<Item = &Arc<HeadPart>> {
        self.days
            .iter()
            .filter(move |day| range.overlaps(day.day.start_ns(), Day(day.day.0.saturating_add(1)).start_ns()))
            .flat_map(|day| day.head.iter())
            .filter(move |part| range.overlaps(part.min_ns, part.max_ns))
    }
}
