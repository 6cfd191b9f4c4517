//! What the decoder learned of how each sender writes its metrics (`codec::otlp::Layout`): kept in memory alone, learned anew after a
//! start, and bounded by forgetting.

use std::collections::HashMap;
use std::sync::Arc;

use codec::otlp::Layout;
use roaring::RoaringBitmap;

use crate::limits::LAYOUT_BYTES_MAX;
use crate::series::Hash;

/// Two generations: those that nobody used for a whole one go first.
#[derive(Default)]
pub(crate) struct Layouts {
    young: Generation,
    old: Generation,
}

#[derive(Default)]
struct Generation {
    layouts: HashMap<u128, Arc<Layout>, Hash>,
    bytes: usize,
}

impl Generation {
    fn insert(&mut self, key: u128, layout: Arc<Layout>) {
        self.bytes += layout.memory_bytes();
        if let Some(before) = self.layouts.insert(key, layout) {
            self.bytes -= before.memory_bytes();
        }
    }

    fn remove(&mut self, key: u128) -> Option<Arc<Layout>> {
        let layout = self.layouts.remove(&key)?;
        self.bytes -= layout.memory_bytes();
        Some(layout)
    }

    fn forget(&mut self, numbers: &RoaringBitmap) {
        let is_of = |layout: &Layout| {
            layout.series().any(|id| u32::try_from(id.0).is_ok_and(|number| numbers.contains(number)))
        };
        self.layouts.retain(|_, layout| !is_of(layout));
        self.bytes = self.layouts.values().map(|layout| layout.memory_bytes()).sum();
    }
}

impl Layouts {
    pub(crate) fn get(&mut self, key: u128) -> Option<Arc<Layout>> {
        if let Some(layout) = self.young.layouts.get(&key) {
            return Some(layout.clone());
        }
        let layout = self.old.remove(key)?;
        self.insert(key, layout.clone());
        Some(layout)
    }

    /// Keeps a layout, in the place of the one that the key has; one that alone is over the limit is not kept.
    pub(crate) fn insert(&mut self, key: u128, layout: Arc<Layout>) {
        self.old.remove(key);
        if layout.memory_bytes() > LAYOUT_BYTES_MAX {
            self.young.remove(key);
            return;
        }
        if self.young.bytes + layout.memory_bytes() > LAYOUT_BYTES_MAX {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, layout);
    }

    /// Forgets the layouts that one of some series is in.
    pub(crate) fn forget(&mut self, numbers: &RoaringBitmap) {
        self.young.forget(numbers);
        self.old.forget(numbers);
    }
}
