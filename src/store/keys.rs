//! Senders' fingerprints of series: which number each led to before, so that the decoder builds labels for new series alone.
//!
//! A sender names its series in one order time after time. So the keys stand in the order in which they were learned, and one that is
//! sought is looked for behind the one found before it first: memory is then read along instead of here and there, which is most
//! of what a look-up costs once a tenant has some thousands of series.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use codec::otlp::{KnownSeries, Layout};
use model::SeriesId;
use parking_lot::{Mutex, RwLock, RwLockReadGuard};
use roaring::RoaringBitmap;

use crate::layouts::Layouts;
use crate::series::{Hash, Metadata};

#[derive(Default)]
pub(crate) struct Keys {
    /// In the order in which they were learned; the series' numbers beside them.
    keys: Vec<u128>,
    numbers: Vec<u32>,
    /// Where each key stands, and its number once more, which a sender that changes its order would else wait for again.
    places: HashMap<u128, (u32, u32), Hash>,
}

impl Keys {
    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }

    /// The number of a key and the place where it stands, which is looked for at `guess` first.
    #[inline]
    fn find(&self, key: u128, guess: usize) -> Option<(u32, usize)> {
        match self.keys.get(guess) {
            Some(known) if *known == key => Some((*self.numbers.get(guess)?, guess)),
            _ => self.places.get(&key).map(|(place, number)| (*number, *place as usize)),
        }
    }

    pub(crate) fn number_of(&self, key: u128) -> Option<u32> {
        self.find(key, usize::MAX).map(|(number, _)| number)
    }

    pub(crate) fn learn(&mut self, key: u128, number: u32) {
        let next = self.keys.len() as u32;
        let (place, known) = self.places.entry(key).or_insert((next, number));
        *known = number;
        match self.numbers.get_mut(*place as usize) {
            Some(known) => *known = number,
            None => {
                self.keys.push(key);
                self.numbers.push(number);
            }
        }
    }

    /// All but those of some series, in their order.
    pub(crate) fn without(&self, numbers: &RoaringBitmap) -> Keys {
        let mut kept = Keys::default();
        for (key, number) in self.keys.iter().zip(&self.numbers).filter(|(_, number)| !numbers.contains(**number)) {
            kept.learn(*key, *number);
        }
        kept
    }
}

/// Keys looked up before a writer that waits for them gets its turn.
const LOOKUPS_A_TURN: u32 = 256;

/// What the decoder of one request asks. Holds the lock on the keys, since taking it for each look-up costs more than the look-up.
pub(crate) struct Known<'a> {
    reading: RefCell<Reading<'a>>,
    layouts: &'a Mutex<Layouts>,
    metadata: &'a RwLock<Metadata>,
}

struct Reading<'a> {
    keys: RwLockReadGuard<'a, Keys>,
    /// Behind the key found last.
    next: usize,
    /// Keys looked up in this turn.
    looked_up: u32,
}

impl<'a> Known<'a> {
    pub(crate) fn new(
        keys: &'a RwLock<Keys>,
        layouts: &'a Mutex<Layouts>,
        metadata: &'a RwLock<Metadata>,
    ) -> Known<'a> {
        Known { reading: RefCell::new(Reading { keys: keys.read(), next: 0, looked_up: 0 }), layouts, metadata }
    }
}

impl KnownSeries for Known<'_> {
    fn lookup(&self, key: u128) -> Option<SeriesId> {
        let Reading { keys, next, looked_up } = &mut *self.reading.borrow_mut();
        *looked_up += 1;
        if *looked_up >= LOOKUPS_A_TURN {
            *looked_up = 0;
            RwLockReadGuard::bump(keys);
        }
        let (number, place) = keys.find(key, *next)?;
        *next = place + 1;
        Some(SeriesId(u64::from(number)))
    }

    fn knows_metadata(&self, hash: u64) -> bool {
        self.metadata.read().knows(hash)
    }

    fn layout(&self, key: u128) -> Option<Arc<Layout>> {
        self.layouts.lock().get(key)
    }

    fn learn_layout(&self, key: u128, layout: Arc<Layout>) {
        self.layouts.lock().insert(key, layout);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_found_in_any_order() {
        // As those of one histogram's buckets: they differ in one half alone.
        let key = |of: u32| u128::from(of) << 64 | 3;
        let keys: RwLock<Keys> = RwLock::default();
        for of in 0..8 {
            keys.write().learn(key(of), 10 + of);
        }
        let (layouts, metadata) = (Mutex::default(), RwLock::default());
        let check = |sought: &[u32], expected: &[Option<u64>]| {
            let known = Known::new(&keys, &layouts, &metadata);
            let found: Vec<_> = sought.iter().map(|of| known.lookup(key(*of)).map(|id| id.0)).collect();
            assert_eq!(found, expected, "{sought:?}");
        };
        check(&[0, 1, 2, 9, 3], &[Some(10), Some(11), Some(12), None, Some(13)]);
        check(&[7, 0, 0, 6, 7], &[Some(17), Some(10), Some(10), Some(16), Some(17)]);
        keys.write().learn(key(5), 30);
        keys.write().learn(key(8), 18);
        check(&[4, 5, 6, 7, 8], &[Some(14), Some(30), Some(16), Some(17), Some(18)]);
        let kept = keys.read().without(&RoaringBitmap::from([10, 14, 30]));
        *keys.write() = kept;
        assert_eq!(keys.read().len(), 6);
        check(&[0, 1, 2, 4, 5, 6, 8, 7], &[None, Some(11), Some(12), None, None, Some(16), Some(18), Some(17)]);
    }
}
