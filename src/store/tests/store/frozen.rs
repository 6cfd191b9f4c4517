//! Stores that earlier releases wrote, frozen in `tests/stores`.

use super::*;

/// Where the frozen stores of every released version lie: one zstd file for each file of the store.
pub(super) fn frozen(version: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/stores").join(version)
}

const FROZEN_FILES: [&str; 3] = ["intake.redb", "metrics/2026-11-20.redb", "metrics/2026-11-21.redb"];

fn frozen_rows() -> Vec<(&'static str, i64, f64)> {
    let written = (0..600).map(|n| ("a", NOON_MS - 600 * 120_000 + n * 120_000, (n % 50) as f64 / 4.0));
    let odd = [("odd", NOON_MS, -0.0), ("odd", NOON_MS + 1, (2f64).sqrt()), ("odd", NOON_MS + 2, f64::INFINITY)];
    written.chain(odd).collect()
}

/// In the day files and, the last one, in the log only; as `mixed` takes them.
fn frozen_histograms() -> Vec<(String, i64, f64)> {
    let mut rows: Vec<_> =
        (0..300).map(|n| ("h".into(), NOON_MS - 300 * 120_000 + n * 120_000, -1.0 - (n % 40) as f64)).collect();
    rows.push(("h".into(), NOON_MS, -0.25));
    rows
}

/// Writes `tests/stores/v2`; run by hand when a version is released, never to make a test pass:
/// `cargo test -p store --test store freeze_a_store -- --ignored`.
#[test]
#[ignore = "writes the frozen store"]
fn freeze_a_store() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(options(dir.path()), NOON_MS).unwrap();
    let open = tenant(&store);
    put(&open, &frozen_rows()).unwrap();
    let meta = MetricMeta { family: "m".into(), kind: MetricKind::Gauge, unit: "bytes".into(), help: "Frozen.".into() };
    block_on(open.submit_metrics(MetricBatch { metadata: vec![meta], ..MetricBatch::default() })).unwrap();
    let histograms = frozen_histograms();
    block_on(open.submit_metrics(mixed(&open, &histograms[..300]))).unwrap();
    flush(&store, NOON_MS);
    put(&open, &[("only in the log", NOON_MS, 5.0), ("a", NOON_MS - 120_000, 99.0)]).unwrap();
    block_on(open.submit_metrics(mixed(&open, &histograms[300..]))).unwrap();
    let target = frozen("v2");
    std::fs::create_dir_all(target.join("metrics")).unwrap();
    for name in FROZEN_FILES {
        let bytes = std::fs::read(dir.path().join("tenants/default").join(name)).unwrap();
        std::fs::write(target.join(format!("{name}.zst")), zstd::bulk::compress(&bytes, 19).unwrap()).unwrap();
    }
}

#[test]
fn the_frozen_stores_of_every_version_open() {
    for version in ["v1", "v2"] {
        check_frozen(version);
    }
}

fn check_frozen(version: &str) {
    let dir = tempfile::tempdir().unwrap();
    let tenant_dir = dir.path().join("tenants/default");
    std::fs::create_dir_all(tenant_dir.join("metrics")).unwrap();
    for name in FROZEN_FILES {
        let bytes = std::fs::read(frozen(version).join(format!("{name}.zst"))).unwrap();
        std::fs::write(tenant_dir.join(name), zstd::bulk::decompress(&bytes, 1 << 26).unwrap()).unwrap();
    }
    let store = Store::open(options(dir.path()), NOON_MS).unwrap();
    let open = tenant(&store);
    let mut expected = frozen_rows();
    expected[599].2 = 99.0;
    expected.push(("only in the log", NOON_MS, 5.0));
    let expected: BTreeSet<_> = expected
        .into_iter()
        .map(|(name, at_ms, value)| (name.to_string(), at_ms, value.to_bits()))
        .chain(frozen_histograms().into_iter().map(|(name, at_ms, value)| (name, at_ms, value.to_bits())))
        .collect();
    let found = || -> BTreeSet<_> {
        read_all(&open, MsRange::ALL).into_iter().map(|((name, at_ms), bits)| (name, at_ms, bits)).collect()
    };
    assert_eq!(found(), expected);
    // Its chunks of version 1 are read until their day is settled.
    for round in 0..6 {
        store.maintain(NOON_MS + round * store::limits::SETTLE_QUIET_MS).unwrap();
    }
    assert_eq!(found(), expected);
    assert_eq!(open.snapshot().unwrap().metadata().unwrap()[0].help, "Frozen.");
    assert_eq!(labels("odd").len(), 3);
    put(&open, &[("a", NOON_MS + 60_000, 1.0)]).unwrap();
    // Once written out, nothing is left of the old layout, and nothing is lost.
    flush(&store, NOON_MS + 60_000);
    assert_eq!(values(&open).len(), expected.len() + 1, "{version}");
    store.close().unwrap();
    drop((open, store));
    for name in FROZEN_FILES {
        let database = redb::Database::open(tenant_dir.join(name)).unwrap();
        let tables: Vec<String> =
            database.begin_read().unwrap().list_tables().unwrap().map(|table| table.name().to_string()).collect();
        assert!(!tables.contains(&"series".to_string()), "{version} {name}: {tables:?}");
    }
    let store = Store::open(options(dir.path()), NOON_MS).unwrap();
    assert_eq!(values(&tenant(&store)).len(), expected.len() + 1, "{version}");
}
