//! Damaged files: what is left is read and is right, what is lost is told, and the other days and tenants serve.

#[path = "../common/mod.rs"]
mod common;
mod other_files;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use chance::Random;
use common::{Model, NOON_MS, block_on, histogram, mixed, read_all};
use model::time::MS_PER_DAY;
use model::{MsRange, SeriesId, TenantId};
use store::limits::{HEAD_IDLE_MS, SETTLE_QUIET_MS};
use store::{Options, ReadGuard, Store, StoreError, Tenant};

const BLOCK: usize = 4096;

fn options(dir: &Path) -> Options {
    Options { disk_free_min: 0, ..Options::new(dir) }
}

fn tenant(store: &Store) -> Tenant {
    store.tenant(&TenantId::default()).unwrap()
}

fn metrics(dir: &Path) -> PathBuf {
    dir.join("tenants/default/metrics")
}

/// Reads on without what is damaged, and remembers what it was told.
#[derive(Default)]
struct Tolerant(Vec<String>);

impl ReadGuard for Tolerant {
    fn spend(&mut self, _samples: u64, _bytes: u64) -> Result<(), StoreError> {
        Ok(())
    }

    fn damaged(&mut self, error: StoreError) -> Result<(), StoreError> {
        self.0.push(error.to_string());
        Ok(())
    }
}

/// What can be read, and what was told about the rest.
fn read(tenant: &Tenant) -> (Model, Vec<String>) {
    let snapshot = tenant.snapshot().unwrap();
    let series = snapshot.select(&[], MsRange::ALL, usize::MAX).unwrap();
    let ids: Vec<SeriesId> = series.iter().map(|series| series.id).collect();
    let mut guard = Tolerant::default();
    let mut found = Model::new();
    for (series, samples) in series.iter().zip(snapshot.read(&ids, MsRange::ALL, &mut guard).unwrap()) {
        let name = series.labels.value("name").to_string();
        let floats = samples.at_ms.iter().copied().zip(samples.values.iter().map(|value| value.to_bits()));
        let histograms = samples.histograms.iter().map(|(at_ms, one)| {
            assert_eq!(**one, histogram(-one.count));
            (*at_ms, (-one.count).to_bits())
        });
        found.extend(floats.chain(histograms).map(|(at_ms, bits)| ((name.clone(), at_ms), bits)));
    }
    (found, guard.0)
}

/// A store of two days, the first one settled when told, closed. Returns what it holds.
fn make(dir: &Path, settled: bool) -> Model {
    let store = Store::open(options(dir), NOON_MS).unwrap();
    let open = tenant(&store);
    let mut random = Random::new(11);
    let mut now_ms = NOON_MS;
    for _ in 0..3 {
        let mut rows = vec![("other".to_string(), NOON_MS, 2.0)];
        for n in 0..2_000 {
            let name = "x".repeat(1 + random.below(25) as usize);
            let value = if random.below(9) == 0 { -2.0 } else { random.below(1_u64 << 40) as f64 / 7.0 };
            rows.push((name, NOON_MS - MS_PER_DAY + n * 1_000 + random.below(900) as i64, value));
        }
        rows.sort_by_key(|(_, _, value)| *value < 0.0);
        block_on(open.submit_metrics(mixed(&open, &rows))).unwrap();
        store.maintain(now_ms).unwrap();
        now_ms += HEAD_IDLE_MS;
        store.maintain(now_ms).unwrap();
    }
    for _ in 0..if settled { 4 } else { 0 } {
        store.maintain(now_ms).unwrap();
        now_ms += SETTLE_QUIET_MS;
    }
    let all = read_all(&open, MsRange::ALL);
    if settled {
        store.close().unwrap();
    }
    all
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn a_flipped_byte_on_any_page_of_a_day_file_is_told_and_gives_no_wrong_sample() {
    let seed = chance::seed(1);
    let mut random = Random::new(seed);
    for settled in [true, false] {
        let origin = tempfile::tempdir().unwrap();
        let expected = make(origin.path(), settled);
        let bytes = std::fs::read(metrics(origin.path()).join("2026-11-20.redb")).unwrap();
        let (mut told_of, mut blocks) = (0, 0);
        for (number, block) in bytes.chunks(BLOCK).enumerate() {
            let Some(used) = block.iter().rposition(|byte| *byte != 0) else { continue };
            blocks += 1;
            let dir = tempfile::tempdir().unwrap();
            copy(origin.path(), dir.path());
            let mut damaged = bytes.clone();
            let at = number * BLOCK + random.below(used as u64 + 1) as usize;
            damaged[at] ^= 1 << random.below(8);
            std::fs::write(metrics(dir.path()).join("2026-11-20.redb"), damaged).unwrap();
            let store = match Store::open(options(dir.path()), NOON_MS) {
                Ok(store) => store,
                Err(StoreError::NewerStore { .. }) => continue,
                Err(error) => panic!("byte {at}: {error}"),
            };
            assert_eq!(store.trouble(), None, "byte {at}");
            let (found, told) = read(&tenant(&store));
            for (key, value) in &found {
                // Of a time that was written more than once an earlier value can show when the later is lost.
                assert!(!told.is_empty() || expected.get(key) == Some(value), "byte {at}: {key:?}");
            }
            assert!(found.contains_key(&("other".into(), NOON_MS)), "byte {at}: the other day is gone");
            let lost = expected.keys().filter(|key| !found.contains_key(*key)).count();
            let warnings = store.warnings();
            assert!(
                lost == 0 || !told.is_empty() || !warnings.is_empty(),
                "byte {at}: {lost} samples are lost silently"
            );
            assert!(told.iter().chain(&warnings).all(|text| text.contains("2026-11-20.redb")), "{told:?} {warnings:?}");
            told_of += usize::from(lost > 0);
        }
        assert!(told_of > 1, "{blocks} blocks with something in them, {told_of} of them told of");
    }
}

#[test]
fn a_file_that_cannot_be_opened_is_set_aside_and_its_day_goes_on() {
    for damage in ["empty", "garbage", "cut", "zeros"] {
        let dir = tempfile::tempdir().unwrap();
        let expected = make(dir.path(), true);
        let path = metrics(dir.path()).join("2026-11-20.redb");
        let bytes = std::fs::read(&path).unwrap();
        let bytes = match damage {
            "empty" => Vec::new(),
            "garbage" => b"not a database at all".repeat(1_000),
            "cut" => bytes[..bytes.len() / 2].to_vec(),
            _ => vec![0; bytes.len()],
        };
        std::fs::write(&path, bytes).unwrap();
        let store = Store::open(options(dir.path()), NOON_MS).unwrap();
        let open = tenant(&store);
        assert_eq!(store.trouble(), None, "{damage}");
        let warnings = store.warnings();
        assert!(warnings.len() == 1 && warnings[0].contains("set-aside/2026-11-20.redb"), "{damage}: {warnings:?}");
        assert_eq!((store.stats().tenants[0].1.set_aside_files, path.exists()), (1, false), "{damage}");
        let rest: Model = expected.into_iter().filter(|((_, at_ms), _)| *at_ms > NOON_MS - MS_PER_DAY / 2).collect();
        assert_eq!(read_all(&open, MsRange::ALL), rest, "{damage}");
        // New samples of the day have a new file.
        let late = vec![("x".to_string(), NOON_MS - MS_PER_DAY, 1.0)];
        block_on(open.submit_metrics(mixed(&open, &late))).unwrap();
        store.maintain(NOON_MS).unwrap();
        store.maintain(NOON_MS + HEAD_IDLE_MS).unwrap();
        assert!(path.exists(), "{damage}");
        assert_eq!(read_all(&open, MsRange::ALL).len(), rest.len() + 1, "{damage}");
        store.close().unwrap();
        drop((open, store));
        let store = Store::open(options(dir.path()), NOON_MS).unwrap();
        assert_eq!(store.warnings().len(), 1, "{damage}: it is told after a start, too");
        // It goes with its day.
        let aside = metrics(dir.path()).join("set-aside/2026-11-20.redb");
        assert!(aside.exists());
        let retention_ms = options(dir.path()).metrics_retention_ms;
        store.maintain(NOON_MS + retention_ms).unwrap();
        assert!(!aside.exists() && !path.exists(), "{damage}");
        assert_eq!(store.warnings(), Vec::<String>::new());
    }
}

#[test]
fn a_file_damaged_while_it_is_not_open_is_set_aside_when_it_is_needed() {
    let dir = tempfile::tempdir().unwrap();
    make(dir.path(), true);
    // So many tenants and days that the file is closed again.
    let store = Store::open(options(dir.path()), NOON_MS).unwrap();
    for number in 0..store::limits::FILES_OPEN_MAX + 1 {
        let id = TenantId::new(&format!("t{number}")).unwrap();
        store.tenant(&id).unwrap();
    }
    std::fs::write(metrics(dir.path()).join("2026-11-20.redb"), b"gone").unwrap();
    let (found, _) = read(&tenant(&store));
    assert_eq!(found.len(), 1);
    let warnings = store.warnings();
    assert!(warnings.len() == 1 && warnings[0].contains("2026-11-20.redb"), "{warnings:?}");
}

#[test]
fn a_tenant_that_cannot_be_opened_is_a_warning_while_others_serve() {
    let dir = tempfile::tempdir().unwrap();
    make(dir.path(), true);
    copy(&dir.path().join("tenants/default"), &dir.path().join("tenants/second"));
    std::fs::write(dir.path().join("tenants/second/intake.redb"), b"gone").unwrap();
    let store = Store::open(options(dir.path()), NOON_MS).unwrap();
    assert_eq!(store.trouble(), None);
    assert!(store.warnings()[0].contains("tenant second cannot be opened"), "{:?}", store.warnings());
    assert_eq!(store.stats().failed_tenants, 1);
    assert!(store.tenant(&TenantId::new("second").unwrap()).is_err());
    assert!(!read_all(&tenant(&store), MsRange::ALL).is_empty());
    store.close().unwrap();
    drop(store);
    std::fs::write(dir.path().join("tenants/default/intake.redb"), b"gone").unwrap();
    let store = Store::open(options(dir.path()), NOON_MS).unwrap();
    assert!(store.trouble().unwrap().contains("default"), "with no tenant left nothing can be stored");
}

#[test]
fn retention_gives_the_space_back_at_once_settled_or_not_and_under_readers() {
    for settled in [true, false] {
        let dir = tempfile::tempdir().unwrap();
        make(dir.path(), settled);
        let store = Store::open(options(dir.path()), NOON_MS).unwrap();
        let open = tenant(&store);
        let snapshot = open.snapshot().unwrap();
        let ids: BTreeSet<SeriesId> =
            snapshot.select(&[], MsRange::ALL, 99).unwrap().iter().map(|series| series.id).collect();
        let ids: Vec<SeriesId> = ids.into_iter().collect();
        assert!(!snapshot.read(&ids, MsRange::ALL, &mut Tolerant::default()).unwrap().is_empty());
        let path = metrics(dir.path()).join("2026-11-20.redb");
        let size = std::os::unix::fs::MetadataExt::blocks(&std::fs::metadata(&path).unwrap()) * 512;
        let before = open.stats().disk_bytes;
        store.maintain(NOON_MS + options(dir.path()).metrics_retention_ms - MS_PER_DAY / 2).unwrap();
        assert!(!path.exists());
        assert!(open.stats().disk_bytes <= before - size, "{} bytes, {before} before", open.stats().disk_bytes);
        // Nobody keeps the removed file open, so its blocks are free.
        let held = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
        let held = held.filter_map(|entry| std::fs::read_link(entry.path()).ok());
        assert_eq!(held.filter(|target| target.to_string_lossy().starts_with(path.to_str().unwrap())).count(), 0);
        let read = snapshot.read(&ids, MsRange::ALL, &mut Tolerant::default()).unwrap();
        assert_eq!(read.iter().map(|samples| samples.at_ms.len()).sum::<usize>(), 1, "the other day");
    }
}
