//! What is packed comes back exactly, by place and through bytes; bytes that are no records are an error.

use model::{LogBatch, LogRecord};
use proptest::prelude::*;

use super::*;
use crate::block::samples::batch;

fn there_and_back(batch: &LogBatch) -> LogBatch {
    let (packed, left_out) = PackedLogs::of_batch(batch);
    assert_eq!(left_out, 0);
    PackedLogs::decode(&packed.encode()).unwrap().to_batch()
}

/// Doubles by their bits, so that NaN equals NaN.
fn shown(batch: &LogBatch) -> String {
    let mut out = String::new();
    for (resource, scope, record) in &batch.records {
        let around = (&batch.resources[*resource as usize], &batch.scopes[*scope as usize]);
        out.push_str(&format!("{around:?} {record:?}\n"));
    }
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn batches_come_back(batch in batch()) {
        prop_assert_eq!(shown(&there_and_back(&batch)), shown(&batch));
        let (packed, _) = PackedLogs::of_batch(&batch);
        for (record, (_, _, sent)) in packed.iter().zip(&batch.records) {
            prop_assert_eq!(record.severity(), sent.severity());
        }
    }

    #[test]
    fn damage_never_panics(
        batch in batch(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<prop::sample::Index>(),
    ) {
        let (packed, _) = PackedLogs::of_batch(&batch);
        let mut plain = vec![0x81, 0];
        plain.extend(packed.plain());
        prop_assert_eq!(PackedLogs::decode(&plain).unwrap().len(), batch.records.len());
        for (at, byte) in changes {
            let at = at.index(plain.len());
            plain[at] = byte;
        }
        std::hint::black_box(PackedLogs::decode(&plain).is_ok());
        std::hint::black_box(PackedLogs::decode(&plain[..cut.index(plain.len())]).is_ok());
    }
}

#[test]
fn large_batches_shrink() {
    let record = |at: usize| LogRecord {
        body: AnyValue::Str(format!("request {at} of a customer was answered with some words")),
        ..LogRecord::default()
    };
    let batch = LogBatch {
        resources: vec![Resource::default()],
        scopes: vec![Scope::default()],
        records: (0..1_000).map(|at| (0, 0, record(at))).collect(),
    };
    let (packed, _) = PackedLogs::of_batch(&batch);
    let bytes = packed.encode();
    assert!(bytes.len() * 2 < packed.plain().len(), "{} of {}", bytes.len(), packed.plain().len());
    assert_eq!(there_and_back(&batch), batch);
}
