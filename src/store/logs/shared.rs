//! Resources and scopes of the head, each in memory once: senders of few records name the same ones in every request, and a search looks
//! at each only once, known by its address.

use std::collections::HashMap;
use std::sync::Arc;

use codec::block::stream_key;
use codec::packed::PackedLogs;
use foldhash::fast::RandomState;
use model::{Resource, Scope};
use xxhash_rust::xxh3::xxh3_64;

/// By a hash of what they hold; of two with one hash the one that came last.
#[derive(Default)]
pub(super) struct Shared {
    resources: HashMap<u64, Arc<Resource>, RandomState>,
    scopes: HashMap<u64, Arc<Scope>, RandomState>,
}

impl Shared {
    /// Puts known ones in the place of equal ones.
    pub(super) fn take(&mut self, logs: &mut PackedLogs) {
        let (none, nowhere) = (Resource::default(), Scope::default());
        logs.share(
            |resource| share(&mut self.resources, xxh3_64(&stream_key(resource, &nowhere)), resource),
            |scope| share(&mut self.scopes, xxh3_64(&stream_key(&none, scope)), scope),
        );
    }

    /// Forgets those that nobody else holds.
    pub(super) fn forget_unused(&mut self) {
        self.resources.retain(|_, known| Arc::strong_count(known) > 1);
        self.scopes.retain(|_, known| Arc::strong_count(known) > 1);
    }
}

fn share<T: PartialEq>(known: &mut HashMap<u64, Arc<T>, RandomState>, hash: u64, one: &mut Arc<T>) {
    let first = known.entry(hash).or_insert_with(|| one.clone());
    if **first == **one {
        *one = first.clone();
    } else {
        *first = one.clone();
    }
}

#[cfg(test)]
mod tests {
    use model::{AnyValue, LogBatch, LogRecord};

    use super::*;

    #[test]
    fn equal_ones_are_one_while_somebody_holds_them() {
        let resource = |value: AnyValue| Resource { attributes: vec![("a".into(), value)], ..Resource::default() };
        let scope = |name: &str| Scope { name: name.into(), ..Scope::default() };
        let logs = |values: &[AnyValue]| {
            let batch = LogBatch {
                resources: values.iter().cloned().map(resource).collect(),
                scopes: vec![scope("one"), scope("other")],
                records: (0u32..).zip(values).map(|(at, _)| (at, at % 2, LogRecord::default())).collect(),
            };
            PackedLogs::of_batch(&batch).0
        };
        let values = [AnyValue::Int(1), AnyValue::Str("1".into()), AnyValue::Double(1.0), AnyValue::Double(f64::NAN)];
        let mut shared = Shared::default();
        let (mut first, mut second) = (logs(&values), logs(&values));
        let before: Vec<Resource> = second.resources().iter().map(|resource| Resource::clone(resource)).collect();
        shared.take(&mut first);
        shared.take(&mut second);
        let is_one: Vec<bool> =
            first.resources().iter().zip(second.resources()).map(|(one, other)| Arc::ptr_eq(one, other)).collect();
        // Not a number is not equal to itself: such ones stay apart.
        assert_eq!(is_one, [true, true, true, false]);
        assert!(Arc::ptr_eq(&first.scopes()[1], &second.scopes()[1]));
        let after: Vec<Resource> = second.resources().iter().map(|resource| Resource::clone(resource)).collect();
        assert_eq!(format!("{after:?}"), format!("{before:?}"));
        drop(first);
        shared.forget_unused();
        assert_eq!((shared.resources.len(), shared.scopes.len()), (4, 2));
        drop(second);
        shared.forget_unused();
        assert_eq!((shared.resources.len(), shared.scopes.len()), (0, 0));
    }
}
