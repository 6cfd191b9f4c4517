//! Which heads and which day files belong together: replaced in one step, cloned by every snapshot.

use std::sync::Arc;

use crate::head::Head;

/// All of one tenant's samples: day files up to `flushed_seq`, then the frozen head, then the active one up to `applied_seq`.
#[derive(Clone)]
pub(crate) struct View {
    pub(crate) active: Arc<Head>,
    /// A head on its way to the day files.
    pub(crate) frozen: Option<Frozen>,
    /// Chunks that a later flush wrote are not part of this view: their samples are in its heads.
    pub(crate) flushed_seq: u64,
    /// The last batch acknowledged.
    pub(crate) applied_seq: u64,
}

/// A head that takes no more samples.
#[derive(Clone)]
pub(crate) struct Frozen {
    pub(crate) head: Arc<Head>,
    /// It and the day files hold everything up to here.
    pub(crate) seq: u64,
}

impl View {
    pub(crate) fn heads(&self) -> impl Iterator<Item = &Arc<Head>> {
        self.frozen.iter().map(|frozen| &frozen.head).chain([&self.active])
    }
}
