//! The file of an intake log gives its space back when little is left in it, and a power cut at any step of that loses nothing.

mod common;

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use chance::Random;
use common::disk::Disk;
use common::{NOON_MS, NoLimit, block_on, labels};
use model::{MetricBatch, MsRange, Sample, SeriesEntry, SeriesId, TenantId};
use store::{Options, Store, limits};

/// Full mantissas, so that a sample takes nine bytes in the log.
fn value(n: u64) -> f64 {
    (n as f64 + 2.0).sqrt()
}

/// Samples of one series, one a millisecond.
fn push(store: &Store, numbers: std::ops::Range<u64>) {
    let tenant = store.tenant(&TenantId::default()).unwrap();
    let samples: Vec<_> =
        numbers.map(|n| (0, Sample { at_ms: NOON_MS - 4_000_000 + n as i64, value: value(n) })).collect();
    let batch = MetricBatch {
        series: vec![SeriesEntry::New { key: 1, labels: labels("x") }],
        points: (0..samples.len() as u32).collect(),
        derived_from: samples.len() as u32,
        samples,
        ..MetricBatch::default()
    };
    assert!(block_on(tenant.submit_metrics(batch)).unwrap().is_empty());
}

#[track_caller]
fn check(store: &Store, samples: u64, when: &str) {
    let tenant = store.tenant(&TenantId::default()).unwrap();
    let found = tenant.snapshot().unwrap().read(&[SeriesId(0)], MsRange::ALL, &mut NoLimit).unwrap();
    assert_eq!(found[0].values.len() as u64, samples, "{when}");
    assert!((0..).zip(&found[0].values).all(|(n, found)| *found == value(n)), "{when}");
}

fn log_bytes(dir: &Path) -> u64 {
    std::fs::metadata(dir.join("tenants/default/intake.redb")).unwrap().blocks() * 512
}

#[test]
fn the_file_is_small_again_once_it_is_written_out() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(Options::new(dir.path()), NOON_MS).unwrap();
    push(&store, 0..600_000);
    let before = log_bytes(dir.path());
    assert!(before > 5_000_000, "{before}");
    store.maintain(NOON_MS).unwrap();
    store.maintain(NOON_MS + limits::HEAD_AGE_MS).unwrap();
    let after = log_bytes(dir.path());
    assert!(after < 2_000_000, "{after} bytes after {before}");
    push(&store, 600_000..600_010);
    store.close().unwrap();
    drop(store);
    check(&Store::open(Options::new(dir.path()), NOON_MS).unwrap(), 600_010, "after a restart");
}

/// Whether upkeep, which writes out and replaces, came to its end before the power went after so many operations.
fn survives(operations: u64) -> bool {
    let samples = limits::LOOSE_BYTES / 9 + 1_000;
    let dir = tempfile::tempdir().unwrap();
    let disk = Disk::default();
    let options = |disk: &Disk| Options { backend: Some(disk.backend()), disk_free_min: 0, ..Options::new(dir.path()) };
    let store = Store::open(options(&disk), NOON_MS).unwrap();
    push(&store, 0..samples);
    store.maintain(NOON_MS).unwrap();
    disk.cut_after(operations);
    let whole = store.maintain(NOON_MS + limits::HEAD_AGE_MS).is_ok() && store.trouble().is_none();
    let after = disk.after_power_cut(&mut Random::new(operations + 1));
    drop(store);
    let store = Store::open(options(&after), NOON_MS).unwrap();
    push(&store, samples..samples + 3);
    let when = format!("the power went after {operations} operations");
    check(&store, samples + 3, &when);
    // Numbers went on, or a start would take the last batch for one that was written out.
    drop(store);
    check(&Store::open(options(&after), NOON_MS).unwrap(), samples + 3, &when);
    whole
}

#[test]
fn a_power_cut_at_any_step_loses_nothing() {
    // Writing out takes the most operations; the file is replaced in the last ones.
    let end = (0..).step_by(16).find(|operations| survives(*operations)).unwrap();
    assert!(end > 16, "{end}");
    for operations in end - 15..end {
        survives(operations);
    }
}
