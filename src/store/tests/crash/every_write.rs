//! Each long work of upkeep of metrics, and the migration, under attack (`attack.rs`).

use std::collections::BTreeMap;
use std::path::PathBuf;

use chance::Random;
use model::time::{Day, MS_PER_DAY};
use model::{Labels, MatchOp, Matcher, MsRange};
use redb::{ReadableDatabase as _, TableHandle as _};
use store::limits::HEAD_IDLE_MS;
use store::{Options, ROLLUP_STEP_MS, Rollup, Tenant};

use crate::attack::{Attack, Scene, frozen};
use crate::common::{Model, NOON_MS, NoLimit, block_on, mixed, read_all};

const YESTERDAY_MS: i64 = NOON_MS - MS_PER_DAY;

impl Scene {
    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join("tenants/default/metrics").join(name)
    }

    /// The runs of a day file that nobody has open: whether each is settled.
    fn runs(&self, name: &str) -> Vec<bool> {
        const RUNS: redb::TableDefinition<'_, (), &[u8]> = redb::TableDefinition::new("runs");
        const PRESENT: redb::TableDefinition<'_, (), &[u8]> = redb::TableDefinition::new("present");
        let database = self.database(&self.file(name));
        let txn = database.begin_read().unwrap();
        let row = |table| txn.open_table::<(), &[u8]>(table).unwrap().get(()).unwrap().unwrap().value().to_vec();
        codec::day::decode(&row(RUNS), &row(PRESENT)).unwrap().1.iter().map(|run| run.settled).collect()
    }
}

fn put(tenant: &Tenant, rows: &[(String, i64, f64)]) {
    assert!(block_on(tenant.submit_metrics(mixed(tenant, rows))).unwrap().is_empty());
}

/// Rows of an hour, floats alone if `plain`; `names` tells how many series there are.
fn rows(random: &mut Random, from_ms: i64, names: std::ops::Range<usize>, plain: bool) -> Vec<(String, i64, f64)> {
    let mut rows = Vec::new();
    for name in names {
        for point in 0..60 {
            let sign = if !plain && random.below(5) == 0 { -1.0 } else { 1.0 };
            let value = sign * (1 + random.below(900)) as f64 / 4.0;
            rows.push(("x".repeat(1 + name), from_ms + point * 60_000 + random.below(9_000) as i64, value));
        }
    }
    rows.sort_by_key(|(_, _, value)| *value < 0.0);
    rows
}

/// Samples, and series as a label finds them.
fn samples(tenant: &Tenant) -> (Model, Vec<String>) {
    let odd = Matcher::new("parity", MatchOp::Regex, "od.+").unwrap();
    let found = tenant.snapshot().unwrap().select(&[odd], MsRange::ALL, 1_000).unwrap();
    let mut names: Vec<String> = found.iter().map(|series| series.labels.value("name").to_owned()).collect();
    names.sort_unstable();
    (read_all(tenant, MsRange::ALL), names)
}

/// Sum and count of each series' steps of five minutes, which are the same of samples, of a rollup, and of both side by side.
fn steps(tenant: &Tenant) -> BTreeMap<(Labels, i64), (f64, f64)> {
    let snapshot = tenant.snapshot().unwrap();
    let series = snapshot.select(&[], MsRange::ALL, 1_000).unwrap();
    let ids: Vec<_> = series.iter().map(|series| series.id).collect();
    let mut steps: BTreeMap<(Labels, i64), (f64, f64)> = BTreeMap::new();
    for column in [Rollup::Sum, Rollup::Count] {
        let read = snapshot.read_rollup(&ids, MsRange::ALL, (column, true), &mut NoLimit).unwrap();
        for (series, samples) in series.iter().zip(read) {
            for (at_ms, value) in samples.at_ms.iter().zip(samples.values) {
                let step = (at_ms - 1).div_euclid(ROLLUP_STEP_MS);
                let (sum, count) = steps.entry((series.labels.clone(), step)).or_default();
                // Quarters, which add up exactly in any order.
                *(if column == Rollup::Sum { sum } else { count }) += value;
            }
        }
    }
    steps
}

/// A day of several flushes, closed without being settled.
fn flushed(settings: fn(Options) -> Options, parts: &[std::ops::Range<usize>], plain: bool) -> Scene {
    let mut scene = Scene::new(settings);
    let (store, tenant) = scene.open().unwrap();
    let mut random = Random::new(11);
    for part in parts {
        put(&tenant, &rows(&mut random, YESTERDAY_MS, part.clone(), plain));
        store.maintain(scene.now_ms).unwrap();
        scene.now_ms += HEAD_IDLE_MS;
        store.maintain(scene.now_ms).unwrap();
        assert_eq!(tenant.stats().head_samples, 0);
    }
    drop((store, tenant));
    scene
}

#[test]
fn the_migration() {
    let scene = Scene::new(|options| options);
    let tenant = scene.dir.path().join("tenants/default");
    std::fs::create_dir_all(tenant.join("metrics")).unwrap();
    for name in ["intake.redb", "metrics/2026-11-20.redb", "metrics/2026-11-21.redb"] {
        scene.disk.put(&tenant.join(name), frozen(name));
    }
    let migrated = |scene: &Scene| {
        ["2026-11-20.redb", "2026-11-21.redb"].iter().all(|name| {
            let database = scene.database(&scene.file(name));
            let txn = database.begin_read().unwrap();
            txn.list_tables().unwrap().all(|table| table.name() != "series")
        })
    };
    Attack { rounds: 0, stride: 1, answers: samples, done: migrated, writes_min: 20 }.run(&scene);
}

#[test]
fn a_flush_that_joins_the_segments_of_the_index() {
    let mut scene = flushed(|options| options, &[0..3, 2..5], false);
    let (store, tenant) = scene.open().unwrap();
    put(&tenant, &rows(&mut Random::new(5), YESTERDAY_MS, 3..9, false));
    store.maintain(scene.now_ms).unwrap();
    scene.now_ms += 1;
    drop((store, tenant));
    // Or settled already.
    let flushed = |scene: &Scene| scene.runs("2026-11-20.redb") != [false, false];
    Attack { rounds: 2, stride: 1, answers: samples, done: flushed, writes_min: 10 }.run(&scene);
}

#[test]
fn settling_a_day() {
    let scene = flushed(|options| options, &[0..6, 2..8, 0..4], false);
    let settled = |scene: &Scene| scene.runs("2026-11-20.redb") == [true];
    Attack { rounds: 3, stride: 1, answers: samples, done: settled, writes_min: 20 }.run(&scene);
}

#[test]
fn rolling_a_day_up() {
    let mut scene =
        flushed(|options| Options { downsample_after_ms: Some(MS_PER_DAY), ..options }, &[0..4, 2..6], true);
    let (store, tenant) = scene.open().unwrap();
    scene.maintain(&store, 3);
    scene.now_ms = NOON_MS + 2 * MS_PER_DAY;
    drop((store, tenant));
    let rolled = |scene: &Scene| {
        let (_store, tenant) = scene.open().unwrap();
        tenant.snapshot().unwrap().is_rolled_up(MsRange::ALL, true).unwrap()
    };
    let answers = |tenant: &Tenant| (samples(tenant), steps(tenant));
    Attack { rounds: 2, stride: 1, answers, done: rolled, writes_min: 20 }.run(&scene);
}

#[test]
fn dropping_the_samples_of_a_day_that_is_rolled_up() {
    let mut scene = flushed(
        |options| Options { downsample_after_ms: Some(MS_PER_DAY), raw_retention_ms: 2 * MS_PER_DAY, ..options },
        &[0..4, 2..6],
        true,
    );
    let (store, tenant) = scene.open().unwrap();
    scene.maintain(&store, 3);
    scene.now_ms = NOON_MS + 3 * MS_PER_DAY;
    drop((store, tenant));
    let dropped = |scene: &Scene| !scene.file("2026-11-20.redb").exists() && scene.file("5m/2026-11-20.redb").exists();
    Attack { rounds: 3, stride: 1, answers: steps, done: dropped, writes_min: 20 }.run(&scene);
}

#[test]
fn dropping_old_days_while_the_head_is_written() {
    let mut scene =
        flushed(|options| Options { metrics_retention_ms: 3 * MS_PER_DAY, ..options }, &[0..4, 2..6], false);
    scene.now_ms = NOON_MS + 3 * MS_PER_DAY;
    let (store, tenant) = scene.open().unwrap();
    put(&tenant, &rows(&mut Random::new(5), NOON_MS + 2 * MS_PER_DAY, 1..5, false));
    drop((store, tenant));
    let kept = |tenant: &Tenant| -> Model {
        let start_ms = Day::of_ms(NOON_MS + 2 * MS_PER_DAY).start_ms();
        read_all(tenant, MsRange { start_ms, ..MsRange::ALL })
    };
    let dropped = |scene: &Scene| !scene.file("2026-11-20.redb").exists() && scene.runs("2026-11-23.redb").len() == 1;
    Attack { rounds: 2, stride: 1, answers: kept, done: dropped, writes_min: 10 }.run(&scene);
}
