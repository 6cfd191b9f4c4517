//! Attribute keys of one request: each distinct key is one allocation, however many records carry it.

use std::collections::HashSet;

use foldhash::fast::RandomState;
use model::Key;

/// Bounded by the request, and dropped with it. Seeded per process, so that no sender can aim at its buckets.
#[derive(Default)]
pub(crate) struct Keys(HashSet<Key, RandomState>);

impl Keys {
    pub(crate) fn intern(&mut self, text: &str) -> Key {
        if let Some(known) = self.0.get(text) {
            return known.clone();
        }
        let key: Key = text.into();
        self.0.insert(key.clone());
        key
    }
}
