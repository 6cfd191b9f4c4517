//! Random work on a disk whose power goes at random points.

use std::collections::BTreeSet;

use chance::Random;
use model::time::{Day, MS_PER_DAY};
use model::{LogBatch, LogRecord, MatchOp, Matcher, MsRange, TenantId};
use store::{Options, Store, Tenant};

use crate::common::disk::Disk;
use crate::common::{Model, NOON_MS, block_on, log_numbers, mixed, read_all};

const RETENTION_MS: i64 = 4 * MS_PER_DAY;

struct World {
    dir: tempfile::TempDir,
    disk: Disk,
    random: Random,
    now_ms: i64,
    acknowledged: Model,
    /// Everything ever submitted.
    sent: BTreeSet<((String, i64), u64)>,
    /// Batches whose answer was an error: the next reading tells what became of them.
    unknown: Vec<Vec<(String, i64, f64)>>,
    /// Log records bear numbers; those acknowledged, and those of each batch whose answer was an error.
    acknowledged_logs: BTreeSet<i64>,
    unknown_logs: Vec<Vec<i64>>,
    next_log: i64,
}

impl World {
    fn open(&self) -> Store {
        let options = Options {
            metrics_retention_ms: RETENTION_MS,
            logs_retention_ms: 1_000 * MS_PER_DAY,
            backend: Some(self.disk.backend()),
            disk_free_min: 0,
            ..Options::new(self.dir.path())
        };
        Store::open(options, self.now_ms).unwrap()
    }

    fn submit(&mut self, store: &Store) {
        let Ok(tenant) = store.tenant(&TenantId::default()) else { return };
        let series = 1 + self.random.below(12);
        let mut rows: Vec<_> = (0..1 + self.random.below(40))
            .map(|_| {
                let name = "x".repeat(1 + self.random.below(series) as usize);
                let back = match self.random.below(4) {
                    0 => self.random.below(3 * MS_PER_DAY as u64) as i64,
                    1 => self.random.below(20) as i64,
                    _ => self.random.below(600_000) as i64,
                };
                let sign = if self.random.below(3) == 0 { -1.0 } else { 1.0 };
                (name, self.now_ms - back, sign * (1 + self.random.below(5)) as f64 / 4.0)
            })
            .collect();
        // Of one batch histograms, written as negative values, come after floats.
        rows.sort_by_key(|(_, _, value)| *value < 0.0);
        self.sent.extend(rows.iter().map(|(name, at_ms, value)| ((name.clone(), *at_ms), value.to_bits())));
        let batch = mixed(&tenant, &rows);
        match block_on(tenant.submit_metrics(batch)) {
            Ok(rejected) => {
                assert!(rejected.is_empty());
                for (name, at_ms, value) in rows {
                    self.acknowledged.insert((name, at_ms), value.to_bits());
                }
            }
            Err(_) => self.unknown.push(rows),
        }
    }

    fn submit_logs(&mut self, store: &Store) {
        let Ok(tenant) = store.tenant(&TenantId::default()) else { return };
        let numbers: Vec<i64> = (0..1 + self.random.below(30) as i64).map(|n| self.next_log + n).collect();
        self.next_log += numbers.len() as i64;
        let record = |number: &i64| {
            let back_ms = self.random.below(3 * MS_PER_DAY as u64) as i64;
            let time_ns = (self.now_ms - back_ms) * 1_000_000;
            (0, 0, LogRecord { time_ns, observed_time_ns: *number, ..LogRecord::default() })
        };
        let batch = LogBatch {
            records: numbers.iter().map(record).collect(),
            resources: vec![Default::default()],
            scopes: vec![Default::default()],
        };
        match block_on(tenant.submit_logs(batch)) {
            Ok(_) => self.acknowledged_logs.extend(numbers),
            Err(_) => self.unknown_logs.push(numbers),
        }
    }

    /// Every acknowledged record once; an unacknowledged batch whole and once, or not at all.
    fn check_logs(&mut self, tenant: &Tenant) {
        let found = log_numbers(tenant);
        let once: BTreeSet<i64> = found.iter().copied().collect();
        assert_eq!(once.len(), found.len(), "a record is there twice");
        for numbers in std::mem::take(&mut self.unknown_logs) {
            let there = numbers.iter().filter(|number| once.contains(number)).count();
            assert!(there == 0 || there == numbers.len(), "{there} of {} records of one batch", numbers.len());
            if there > 0 {
                self.acknowledged_logs.extend(numbers);
            }
        }
        assert_eq!(once, self.acknowledged_logs);
    }

    /// Compares what the store says with what was acknowledged, on the days that retention certainly keeps.
    fn check(&mut self, store: &Store) {
        let Some(tenant) = store.existing_tenant(&TenantId::default()).unwrap() else {
            assert!(self.acknowledged.is_empty());
            return;
        };
        self.check_logs(&tenant);
        let found = read_all(&tenant, MsRange::ALL);
        check_index(&tenant, &found);
        // An unacknowledged batch is there whole or not at all; later ones may have been written over an earlier one.
        let mut expected = self.acknowledged.clone();
        for rows in std::mem::take(&mut self.unknown) {
            let mut with = expected.clone();
            with.extend(rows.iter().map(|(name, at_ms, value)| ((name.clone(), *at_ms), value.to_bits())));
            let last = rows.iter().rev().find(|(name, at_ms, _)| !expected.contains_key(&(name.clone(), *at_ms)));
            let there = last.is_some_and(|(name, at_ms, _)| found.contains_key(&(name.clone(), *at_ms)));
            let changes =
                with.iter().any(|(key, value)| expected.get(key) != Some(value) && found.get(key) == Some(value));
            if there || last.is_none() && changes {
                expected = with;
            }
        }
        let floor_ms = Day::of_ms(self.now_ms - RETENTION_MS).start_ms() + MS_PER_DAY;
        let kept = |model: &Model| -> Model {
            model
                .iter()
                .filter(|((_, at_ms), _)| *at_ms >= floor_ms)
                .map(|(key, value)| (key.clone(), *value))
                .collect()
        };
        assert_eq!(kept(&found), kept(&expected));
        // What retention dropped may come back from the intake log until the next upkeep, but nothing that was never sent.
        for (key, value) in &found {
            assert!(self.sent.contains(&(key.clone(), *value)), "{key:?} was never sent with {value}");
        }
        self.acknowledged = found;
    }
}

/// Labels lead to the series that have samples, whatever day they lie on and whether they are in memory.
fn check_index(tenant: &Tenant, found: &Model) {
    let snapshot = tenant.snapshot().unwrap();
    let names: BTreeSet<&str> = found.keys().map(|(name, _)| name.as_str()).collect();
    for odd in [true, false] {
        let matcher = Matcher::new("parity", MatchOp::Regex, if odd { "od.*" } else { "even|none" }).unwrap();
        let selected = snapshot.select(&[matcher, Matcher::equal("__name__", "m")], MsRange::ALL, 100).unwrap();
        let selected: BTreeSet<&str> = selected.iter().map(|series| series.labels.value("name")).collect();
        let expected: BTreeSet<&str> = names.iter().copied().filter(|name| (name.len() % 2 == 1) == odd).collect();
        // A day file may name a series whose samples others replaced or that lie in the head of a later batch.
        assert!(selected.is_superset(&expected), "{selected:?} {expected:?}");
    }
    let values = snapshot.label_values("name", &[], MsRange::ALL).unwrap();
    assert!(names.iter().all(|name| values.iter().any(|value| value == name)), "{values:?} {names:?}");
    assert!(values.is_sorted());
}

fn run(seed: u64) {
    let mut world = World {
        dir: tempfile::tempdir().unwrap(),
        disk: Disk::default(),
        random: Random::new(seed),
        now_ms: NOON_MS,
        acknowledged: Model::new(),
        sent: BTreeSet::new(),
        unknown: Vec::new(),
        acknowledged_logs: BTreeSet::new(),
        unknown_logs: Vec::new(),
        next_log: 0,
    };
    for _ in 0..12 {
        let store = world.open();
        world.check(&store);
        for _ in 0..world.random.below(4) {
            work(&mut world, &store);
        }
        world.check(&store);
        let operations = world.random.below(120);
        world.disk.cut_after(operations);
        for _ in 0..8 {
            work(&mut world, &store);
        }
        let after = world.disk.after_power_cut(&mut world.random);
        drop(store);
        world.disk = after;
    }
    let store = world.open();
    world.check(&store);
    store.close().unwrap();
    drop(store);
    let store = world.open();
    world.check(&store);
}

fn work(world: &mut World, store: &Store) {
    match world.random.below(11) {
        0..=4 => world.submit(store),
        5..=6 => world.submit_logs(store),
        7 => {
            // Two hours on: the head is old enough to be written out at the second look.
            drop(store.maintain(world.now_ms));
            world.now_ms += 2 * 3_600_000;
            drop(store.maintain(world.now_ms));
        }
        8 => drop(store.maintain(world.now_ms)),
        9 => {
            // The head idles and is written out, then its days are quiet and are settled, one a round.
            for _ in 0..5 {
                drop(store.maintain(world.now_ms));
                world.now_ms += store::limits::SETTLE_QUIET_MS;
            }
        }
        _ => world.now_ms += world.random.below(MS_PER_DAY as u64) as i64,
    }
}

#[test]
fn what_was_acknowledged_survives_power_cuts_once_and_whole() {
    let (first, count) = (chance::seed(1), chance::from_env("SEEDS").unwrap_or(6));
    for seed in first..first + count {
        println!("seed {seed} (SEED={seed} SEEDS=1 runs it alone)");
        run(seed);
    }
}
