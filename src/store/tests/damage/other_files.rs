//! Flipped bits in every file beside the day files: rollups, intake logs, alert state, accounts.

use model::alert::{AlertState, Instance};
use model::{Labels, Matcher, Silence};
use store::accounts::Scope;
use store::alerts::{Evaluation, SilenceChange};
use store::{Rollup, Samples};

use super::*;

const YESTERDAY_MS: i64 = NOON_MS - MS_PER_DAY;
/// More than a day after all samples.
const LATER_MS: i64 = NOON_MS + 2 * MS_PER_DAY;

fn rolling(dir: &Path) -> Options {
    Options { downsample_after_ms: Some(MS_PER_DAY), raw_retention_ms: 80 * MS_PER_DAY, ..options(dir) }
}

/// Flips a bit at some place of every page of a file that has something on it, and has `check` look at a copy of the store with each.
/// Returns of how many `check` said that the damage was noticed.
fn flip_every_page(
    origin: &Path,
    file: &str,
    random: &mut Random,
    mut check: impl FnMut(&Path, &str) -> bool,
) -> usize {
    let bytes = std::fs::read(origin.join(file)).unwrap();
    let mut noticed = 0;
    for (number, block) in bytes.chunks(BLOCK).enumerate() {
        let Some(used) = block.iter().rposition(|byte| *byte != 0) else { continue };
        let dir = tempfile::tempdir().unwrap();
        copy(origin, dir.path());
        let at = number * BLOCK + random.below(used as u64 + 1) as usize;
        let mut damaged = bytes.clone();
        damaged[at] ^= 1 << random.below(8);
        std::fs::write(dir.path().join(file), damaged).unwrap();
        noticed += usize::from(check(dir.path(), &format!("{file}, byte {at}")));
    }
    noticed
}

/// Every column of every series, and what was told.
fn columns(tenant: &Tenant) -> (Vec<Vec<Samples>>, Vec<String>) {
    let snapshot = tenant.snapshot().unwrap();
    let series = snapshot.select(&[], MsRange::ALL, usize::MAX).unwrap();
    let ids: Vec<SeriesId> = series.iter().map(|series| series.id).collect();
    let mut guard = Tolerant::default();
    let read = [Rollup::Samples, Rollup::Min, Rollup::Max, Rollup::Sum, Rollup::Count]
        .map(|column| snapshot.read_rollup(&ids, MsRange::ALL, (column, true), &mut guard).unwrap());
    (read.to_vec(), guard.0)
}

#[test]
fn a_damaged_rollup_is_told_and_gives_no_wrong_figure() {
    let mut random = Random::new(chance::seed(2));
    let mut noticed = 0;
    for alone in [false, true] {
        let origin = tempfile::tempdir().unwrap();
        make(origin.path(), true);
        let mut options = rolling(origin.path());
        if alone {
            options.raw_retention_ms = MS_PER_DAY;
        }
        let store = Store::open(options, LATER_MS).unwrap();
        for _ in 0..4 {
            store.maintain(LATER_MS).unwrap();
        }
        let (expected, told) = columns(&tenant(&store));
        assert_eq!(told, Vec::<String>::new());
        store.close().unwrap();
        drop(store);
        assert_eq!(metrics(origin.path()).join("2026-11-20.redb").exists(), !alone);
        let file = "tenants/default/metrics/5m/2026-11-20.redb";
        noticed += flip_every_page(origin.path(), file, &mut random, |dir, at| {
            let store = match Store::open(rolling(dir), LATER_MS) {
                Ok(store) => store,
                Err(StoreError::NewerStore { .. }) => return true,
                Err(error) => panic!("{at}: {error}"),
            };
            assert_eq!(store.trouble(), None, "{at}");
            let (found, told) = columns(&tenant(&store));
            let verified = tenant(&store).verify(false).unwrap().damage;
            assert!(told.is_empty() || !verified.is_empty(), "{at}: {told:?}, and verify finds nothing");
            let told: Vec<String> = told.into_iter().chain(store.warnings()).collect();
            assert!(found == expected || !told.is_empty(), "{at}: other figures, and nothing is told");
            assert!(told.iter().all(|text| text.contains("2026-11-20.redb")), "{told:?}");
            // What is beside its samples is made again.
            for _ in 0..4 {
                store.maintain(LATER_MS).unwrap();
            }
            !told.is_empty()
        });
    }
    assert!(noticed > 1, "{noticed} noticed");
}

/// These rows have no checksum, and what they say decides whether samples are looked for, and whether they go.
#[test]
fn counters_of_a_rollup_that_contradict_are_told() {
    const COUNTERS: redb::TableDefinition<'_, &str, i64> = redb::TableDefinition::new("counters");
    for (from, to) in [("alone", Some("alonf")), ("alone", None), ("covered", Some("covesed"))] {
        let dir = tempfile::tempdir().unwrap();
        make(dir.path(), true);
        let store = Store::open(Options { raw_retention_ms: MS_PER_DAY, ..rolling(dir.path()) }, LATER_MS).unwrap();
        for _ in 0..4 {
            store.maintain(LATER_MS).unwrap();
        }
        store.close().unwrap();
        drop(store);
        let database = redb::Database::open(metrics(dir.path()).join("5m/2026-11-20.redb")).unwrap();
        let txn = database.begin_write().unwrap();
        let mut table = txn.open_table(COUNTERS).unwrap();
        let value = table.remove(from).unwrap().unwrap().value();
        table.insert(to.unwrap_or(from), if to.is_some() { value } else { value ^ (1 << 40) }).unwrap();
        drop(table);
        txn.commit().unwrap();
        drop(database);
        let store = Store::open(rolling(dir.path()), LATER_MS).unwrap();
        let (_, told) = columns(&tenant(&store));
        assert!(told.is_empty() && store.warnings().len() == 1, "{from} {to:?}: {told:?} {:?}", store.warnings());
        assert!(store.warnings()[0].contains("5m/set-aside/2026-11-20.redb"), "{:?}", store.warnings());
    }
}

#[test]
fn a_damaged_intake_log_loses_nothing_silently() {
    let mut random = Random::new(chance::seed(3));
    let origin = tempfile::tempdir().unwrap();
    let store = Store::open(options(origin.path()), NOON_MS).unwrap();
    let open = tenant(&store);
    let mut expected = Model::new();
    for round in 0..6_i64 {
        let rows: Vec<(String, i64, f64)> = (0..400)
            .map(|n| {
                (
                    "x".repeat(1 + (n % 60) as usize),
                    YESTERDAY_MS + round * 1_000_000 + n * 1_000,
                    (n * round) as f64 / 7.0,
                )
            })
            .collect();
        expected.extend(rows.iter().map(|(name, at_ms, value)| ((name.clone(), *at_ms), value.to_bits())));
        block_on(open.submit_metrics(mixed(&open, &rows))).unwrap();
    }
    store.close().unwrap();
    drop((open, store));
    let noticed = flip_every_page(origin.path(), "tenants/default/intake.redb", &mut random, |dir, at| {
        let store = match Store::open(options(dir), NOON_MS) {
            Ok(store) => store,
            Err(StoreError::NewerStore { .. }) => return true,
            Err(error) => panic!("{at}: {error}"),
        };
        if let Some(trouble) = store.trouble() {
            assert!(trouble.contains("intake.redb"), "{at}: {trouble}");
            return true;
        }
        let open = tenant(&store);
        let (found, told) = read(&open);
        let told: Vec<String> = told.into_iter().chain(store.warnings()).collect();
        assert!(found.iter().all(|(key, value)| expected.get(key) == Some(value)), "{at}: a wrong sample");
        assert!(found == expected || !told.is_empty(), "{at}: {} of {}", found.len(), expected.len());
        // It takes more, or says why not.
        let more = block_on(open.submit_metrics(mixed(&open, &[("more".to_string(), NOON_MS, 1.0)])));
        assert!(more.is_ok() || store.trouble().is_some(), "{at}: {more:?}");
        found != expected
    });
    assert!(noticed > 1, "{noticed} noticed");
}

fn alert(number: usize) -> Instance {
    Instance {
        rule_id: "rule".into(),
        labels: Labels::from_pairs([("alertname", "HostDown"), ("host_name", &*format!("host-{number}"))]),
        annotations: vec![("summary".into(), format!("host {number} is gone"))],
        state: AlertState::Firing,
        active_at_ms: NOON_MS,
        fired_at_ms: Some(NOON_MS),
        keep_since_ms: None,
        resolved_at_ms: None,
        evaluated_at_ms: NOON_MS,
        value: number as f64,
        evidence: Default::default(),
    }
}

#[test]
fn damaged_alert_state_is_set_aside_and_alerting_begins_anew() {
    let mut random = Random::new(chance::seed(4));
    let origin = tempfile::tempdir().unwrap();
    let silence = Silence {
        id: "s".into(),
        matchers: vec![Matcher::equal("alertname", "HostDown")],
        starts_ms: NOON_MS,
        ends_ms: LATER_MS,
        updated_ms: NOON_MS,
        created_by: "me".into(),
        comment: "known".into(),
        annotations: Vec::new(),
        schedule: String::new(),
    };
    let store = Store::open(options(origin.path()), NOON_MS).unwrap();
    let alerts = tenant(&store).alerts().unwrap();
    let evaluation = Evaluation {
        group: "g".into(),
        at_ms: NOON_MS,
        upserts: (0..200).map(alert).collect(),
        ..Evaluation::default()
    };
    alerts.commit_evaluation(&evaluation).unwrap();
    alerts.change_silences(&SilenceChange { silences: vec![silence.clone()], ..SilenceChange::default() }).unwrap();
    let held = |alerts: &store::Alerts| (alerts.instances().unwrap(), alerts.silences().unwrap());
    let expected = held(&alerts);
    drop((alerts, store));
    let noticed = flip_every_page(origin.path(), "tenants/default/alerts.redb", &mut random, |dir, at| {
        let store = Store::open(options(dir), NOON_MS).unwrap();
        let open = tenant(&store);
        let alerts = match open.alerts() {
            Ok(alerts) => alerts,
            Err(StoreError::NewerStore { .. }) => return true,
            Err(error) => panic!("{at}: {error}"),
        };
        let found = held(&alerts);
        let told = store.warnings();
        assert!(told.is_empty() && found == expected || told.len() == 1 && found == (vec![], vec![]), "{at}: {told:?}");
        assert!(told.iter().all(|text| text.contains("set-aside/alerts.redb")), "{told:?}");
        assert_eq!(store.trouble(), None);
        alerts.commit_evaluation(&Evaluation { upserts: vec![alert(7)], ..evaluation.clone() }).unwrap();
        drop((alerts, open, store));
        // After a start, too, until somebody has looked.
        let store = Store::open(options(dir), NOON_MS).unwrap();
        assert_eq!(store.warnings().len(), told.len(), "{at}");
        assert!(tenant(&store).alerts().unwrap().instances().unwrap().contains(&alert(7)), "{at}");
        !told.is_empty()
    });
    assert!(noticed > 1, "{noticed} noticed");
}

#[test]
fn damaged_accounts_are_named_and_let_nobody_in() {
    let mut random = Random::new(chance::seed(5));
    let origin = tempfile::tempdir().unwrap();
    let store = Store::open(options(origin.path()), NOON_MS).unwrap();
    for number in 0..100 {
        let scope = if number % 2 == 0 { Scope::Read } else { Scope::Ingest };
        store.accounts().create_token(&format!("token {number}"), scope, &TenantId::default(), number).unwrap();
    }
    let expected = store.accounts().tokens().unwrap();
    drop(store);
    let noticed = flip_every_page(origin.path(), "node.redb", &mut random, |dir, at| {
        match Store::open(options(dir), NOON_MS).and_then(|store| store.accounts().tokens()) {
            Ok(found) => assert_eq!(found, expected, "{at}"),
            Err(error) => assert!(error.to_string().contains("node.redb"), "{at}: {error}"),
        }
        false
    });
    assert_eq!(noticed, 0);
    std::fs::write(origin.path().join("node.redb"), b"").unwrap();
    let refused = Store::open(options(origin.path()), NOON_MS).err().unwrap();
    assert!(refused.to_string().contains("node.redb is damaged: it is empty"), "{refused}");
}
