//! What every long work of upkeep is put through: the power goes at each of its writes in turn, and the disk is full at each of its
//! blocks. The answers stay what they were, and the work is done in the end.

use std::path::Path;

use chance::Random;
use model::TenantId;
use store::limits::{HEAD_IDLE_MS, SETTLE_QUIET_MS};
use store::{Options, Store, Tenant};

use crate::common::NOON_MS;
use crate::common::disk::Disk;

/// A store at rest, closed, on a disk of its own.
pub(crate) struct Scene {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) disk: Disk,
    pub(crate) now_ms: i64,
    settings: fn(Options) -> Options,
}

impl Scene {
    pub(crate) fn new(settings: fn(Options) -> Options) -> Scene {
        Scene { dir: tempfile::tempdir().unwrap(), disk: Disk::default(), now_ms: NOON_MS, settings }
    }

    pub(crate) fn copy(&self) -> Scene {
        let dir = tempfile::tempdir().unwrap();
        let disk = self.disk.copy(self.dir.path(), dir.path());
        Scene { dir, disk, now_ms: self.now_ms, settings: self.settings }
    }

    pub(crate) fn open(&self) -> Option<(Store, Tenant)> {
        let options = Options { backend: Some(self.disk.backend()), disk_free_min: 0, ..Options::new(self.dir.path()) };
        let store = Store::open((self.settings)(options), self.now_ms).ok()?;
        let tenant = store.tenant(&TenantId::default()).ok()?;
        Some((store, tenant))
    }

    /// Several rounds of upkeep, each after the next quiet while. Errors are the caller's to provoke.
    pub(crate) fn maintain(&mut self, store: &Store, rounds: usize) {
        for _ in 0..rounds {
            drop(store.maintain(self.now_ms));
            self.now_ms += SETTLE_QUIET_MS.max(HEAD_IDLE_MS);
        }
    }

    /// A redb file of it that nobody has open.
    pub(crate) fn database(&self, path: &Path) -> redb::Database {
        (self.disk.backend().0)(&redb::Builder::new(), path).unwrap()
    }
}

/// What a scene is put through.
pub(crate) struct Attack<A> {
    /// Rounds of upkeep that do the work, beside what opening does.
    pub(crate) rounds: usize,
    pub(crate) answers: fn(&Tenant) -> A,
    /// Whether the work is done; nobody has the files open.
    pub(crate) done: fn(&Scene) -> bool,
    /// Writes between two that are tried: 1 tries each.
    pub(crate) stride: u64,
    /// Writes of the work, at least: fewer were none.
    pub(crate) writes_min: u64,
}

impl<A: PartialEq + std::fmt::Debug> Attack<A> {
    pub(crate) fn run(&self, scene: &Scene) {
        let (_, tenant) = scene.copy().open().unwrap();
        let expected = (self.answers)(&tenant);
        let mut random = Random::new(0x9e37_79b9);
        let mut writes = 0;
        loop {
            let mut failed = false;
            for killed in [false, true] {
                let mut cut = scene.copy();
                cut.disk.cut_after(writes);
                let opened = cut.open();
                if let Some((store, _)) = &opened {
                    cut.maintain(store, self.rounds);
                }
                failed |= cut.disk.has_failed();
                // What was not synced is there by chance, or all of it.
                let disk = if killed { cut.disk.after_kill() } else { cut.disk.after_power_cut(&mut random) };
                drop(opened);
                cut.disk = disk;
                self.finish(cut, &expected, &format!("ended after {writes} writes, killed: {killed}"));
            }
            if !failed {
                break;
            }
            writes += self.stride;
        }
        assert!(writes >= self.writes_min, "the work has {writes} writes");
        let mut blocks = 0;
        loop {
            let mut full = scene.copy();
            full.disk.fill_up_after(Some(blocks));
            if let Some((store, tenant)) = &full.open() {
                full.maintain(store, self.rounds);
                assert_eq!((self.answers)(tenant), expected, "on a disk with room for {blocks} blocks");
            }
            let failed = full.disk.has_failed();
            full.disk.fill_up_after(None);
            self.finish(full, &expected, &format!("after a disk with room for {blocks} blocks"));
            if !failed {
                break;
            }
            // The first ones one by one, then as many as make a difference.
            blocks += 1 + blocks / 8;
        }
    }

    /// Once there is power and room: nothing is lost or doubled before the work, after it, and after another start.
    fn finish(&self, mut scene: Scene, expected: &A, when: &str) {
        for round in ["before the work", "after it"] {
            let (store, tenant) = scene.open().expect(when);
            assert_eq!((self.answers)(&tenant), *expected, "{when}: {round}");
            scene.maintain(&store, self.rounds + 1);
            assert_eq!((self.answers)(&tenant), *expected, "{when}: {round}, and upkeep");
            drop((tenant, store));
            assert!((self.done)(&scene), "{when}: it is done in the end");
        }
    }
}

/// Where the frozen stores lie.
pub(crate) fn frozen(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../tests/stores/v1/{name}.zst"));
    zstd::bulk::decompress(&std::fs::read(path).unwrap(), 1 << 26).unwrap()
}
