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

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use codec::otlp::{Delta, Encoding, KnownSeries, MetricsSettings, Promote, Translation, decode_metrics};
    use model::{MsRange, SeriesId};

    use super::*;

    /// Says that every key is of one series, and takes what is offered.
    struct Offered(u64, RefCell<Option<Arc<Layout>>>);

    impl KnownSeries for Offered {
        fn lookup(&self, _key: u128) -> Option<SeriesId> {
            Some(SeriesId(self.0))
        }

        fn knows_metadata(&self, _hash: u64) -> bool {
            true
        }

        fn learn_layout(&self, _key: u128, layout: Arc<Layout>) {
            *self.1.borrow_mut() = Some(layout);
        }
    }

    /// Of a gauge whose name has so many bytes.
    fn layout(series: u64, name_bytes: usize) -> Arc<Layout> {
        let field = |number: u8, content: &[u8]| {
            let length = content.len();
            let length =
                [length | 0x80, length >> 7 | 0x80, length >> 14 | 0x80, length >> 21 & 0x7f].map(|byte| byte as u8);
            [&[number << 3 | 2], &length[..], content].concat()
        };
        let point = [&[0x19][..], &1_700_000_000_000_000_000u64.to_le_bytes(), &[0x21], &1f64.to_le_bytes()].concat();
        let metric = [field(1, &vec![b'm'; name_bytes]), field(5, &field(1, &point))].concat();
        let body = field(1, &field(2, &field(2, &metric)));
        let settings = MetricsSettings {
            promote: Promote::All,
            ignore: Vec::new(),
            translation: Translation::NoTranslation,
            delta: Delta::Cumulative,
            promote_scope: false,
            keep_identifying: false,
            labels_max: 9,
            label_name_bytes_max: 1 << 20,
            label_value_bytes_max: 1 << 20,
        };
        let known = Offered(series, RefCell::default());
        decode_metrics(&body, Encoding::Protobuf, &settings, &known, MsRange::ALL).unwrap();
        known.1.take().expect("a plain gauge of a known series has a layout")
    }

    #[test]
    fn layouts_go_with_their_series_and_when_nobody_uses_them() {
        let mut layouts = Layouts::default();
        (0..4).for_each(|key| layouts.insert(key, layout(10 + key as u64, 5)));
        layouts.forget(&RoaringBitmap::from([11, 13, 99]));
        let held = |layouts: &mut Layouts| (0..9).filter(|key| layouts.get(*key).is_some()).collect::<Vec<_>>();
        assert_eq!(held(&mut layouts), [0, 2]);
        assert_eq!(layouts.young.bytes, 2 * layout(10, 5).memory_bytes());

        // Half a generation each.
        let large = layout(7, LAYOUT_BYTES_MAX / 5);
        assert!((LAYOUT_BYTES_MAX / 3..LAYOUT_BYTES_MAX / 2).contains(&large.memory_bytes()));
        (4..7).for_each(|key| layouts.insert(key, large.clone()));
        // What is used stays, as in its place comes what is not.
        assert!(layouts.get(2).is_some());
        (7..9).for_each(|key| layouts.insert(key, large.clone()));
        assert_eq!(held(&mut layouts), [2, 6, 7, 8]);
        layouts.insert(6, layout(7, LAYOUT_BYTES_MAX / 2));
        assert_eq!(held(&mut layouts), [2, 7, 8], "one that is over the limit alone is not kept");
        let all = layouts.young.layouts.values().chain(layouts.old.layouts.values());
        assert_eq!(layouts.young.bytes + layouts.old.bytes, all.map(|layout| layout.memory_bytes()).sum::<usize>());
    }
}
