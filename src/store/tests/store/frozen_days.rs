//! Days of logs and rolled up days of metrics that an earlier release wrote, frozen in `tests/stores`. A log index is derived and made anew
//! from its day, so that none is frozen.

use model::log::Attributes;
use model::{AnyValue, LogBatch, LogRecord, NsRange, Resource, Scope};
use store::limits::{HEAD_IDLE_MS, SETTLE_QUIET_MS};
use store::logs::{IndexQuery, terms};
use store::{ROLLUP_STEP_MS, Rollup};

use super::frozen::frozen;
use super::*;

const VERSION: &str = "v2";

/// A settled day, with blocks behind that came later, and one that is only sealed.
const LOG_DAYS: [&str; 2] = ["logs/2026-11-20.redb", "logs/2026-11-21.redb"];
/// A day whose samples are gone, and one whose samples are there.
const ROLLED_DAYS: [&str; 3] = ["metrics/5m/2026-11-19.redb", "metrics/5m/2026-11-20.redb", "metrics/2026-11-20.redb"];

/// Days are quiet, settled and rolled up after some rounds of upkeep.
const ROUNDS: i64 = 12;

fn upkeep(store: &Store, now_ms: &mut i64) {
    for _ in 0..ROUNDS {
        *now_ms += HEAD_IDLE_MS.max(SETTLE_QUIET_MS);
        store.maintain(*now_ms).unwrap();
    }
}

/// Writes files of the tenant's folder down as `tests/stores` has them, in the directory `of`.
fn freeze(dir: &Path, of: &str, names: &[&str]) {
    for name in names {
        let bytes = std::fs::read(dir.join("tenants/default").join(name)).unwrap();
        let target = frozen(VERSION).join(of).join(format!("{name}.zst"));
        std::fs::create_dir_all(target.parent().unwrap()).unwrap();
        std::fs::write(target, zstd::bulk::compress(&bytes, 19).unwrap()).unwrap();
    }
}

/// Lays them out again.
fn thaw(dir: &Path, of: &str, names: &[&str]) {
    for name in names {
        let bytes = std::fs::read(frozen(VERSION).join(of).join(format!("{name}.zst"))).unwrap();
        let target = dir.join("tenants/default").join(name);
        std::fs::create_dir_all(target.parent().unwrap()).unwrap();
        std::fs::write(target, zstd::bulk::decompress(&bytes, 1 << 26).unwrap()).unwrap();
    }
}

/// Every kind of value and column: records numbered by their observed times, of two resources.
fn records(numbers: std::ops::Range<i64>, day_ms: i64) -> LogBatch {
    let resource = |name: &str| Resource {
        attributes: vec![("service.name".into(), AnyValue::Str(name.into())), ("shard".into(), AnyValue::Int(7))],
        dropped_attributes_count: 1,
        schema_url: "https://opentelemetry.io/schemas/1.37.0".into(),
    };
    let scope = Scope {
        name: "frozen".into(),
        version: "1".into(),
        attributes: vec![("part".into(), AnyValue::Bool(true))],
        ..Scope::default()
    };
    let record = |number: i64| {
        let nested =
            AnyValue::Map(vec![("deep".into(), AnyValue::Array(vec![AnyValue::Empty, AnyValue::Double(0.5)]))]);
        let attributes: Attributes = vec![
            ("http.status".into(), AnyValue::Int([200, 404, 500][number as usize % 3])),
            ("request".into(), AnyValue::Str(format!("{:016x}", number * 0x9e37_79b9))),
            ("nested".into(), nested),
            ("bytes".into(), AnyValue::Bytes(vec![0, 255, number as u8])),
        ];
        let body = match number % 7 {
            0 => AnyValue::Map(vec![("number".into(), AnyValue::Int(number))]),
            _ => AnyValue::Str(format!("job_{number} ended with status {} after {} ms", number % 3, number * 37 % 911)),
        };
        LogRecord {
            time_ns: (day_ms + number * 1_000) * 1_000_000 + number,
            observed_time_ns: number,
            severity_number: [9, 13, 17][number as usize % 3],
            severity_text: ["INFO", "WARN", "ERROR"][number as usize % 3].into(),
            body,
            attributes,
            dropped_attributes_count: (number % 5) as u32,
            flags: 1,
            trace_id: (number % 4 == 0).then(|| (number as u128 + 1).to_be_bytes()),
            span_id: (number % 4 == 0).then(|| (number as u64 + 1).to_be_bytes()),
            event_name: if number % 6 == 0 { "job.ended".into() } else { String::new() },
            ..LogRecord::default()
        }
    };
    LogBatch {
        resources: vec![resource("api"), resource("worker")],
        scopes: vec![scope],
        records: numbers.map(|number| ((number % 2) as u32, 0, record(number))).collect(),
    }
}

const SETTLED: std::ops::Range<i64> = 0..180;
const LATE: std::ops::Range<i64> = 180..200;
const SEALED: std::ops::Range<i64> = 200..260;

fn frozen_logs() -> [LogBatch; 3] {
    let yesterday = NOON_MS - MS_PER_DAY;
    [records(SETTLED, yesterday), records(LATE, yesterday), records(SEALED, NOON_MS)]
}

/// As `freeze_a_store`: `cargo test -p store --test store freeze_log_days -- --ignored`.
#[test]
#[ignore = "writes the frozen store"]
fn freeze_log_days() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(options(dir.path()), NOON_MS).unwrap();
    let [settled, late, sealed] = frozen_logs();
    let mut now_ms = NOON_MS;
    block_on(tenant(&store).submit_logs(settled)).unwrap();
    upkeep(&store, &mut now_ms);
    for batch in [late, sealed] {
        block_on(tenant(&store).submit_logs(batch)).unwrap();
    }
    upkeep(&store, &mut now_ms);
    store.close().unwrap();
    drop(store);
    freeze(dir.path(), "", &LOG_DAYS);
}

/// Records with what they came from, by their numbers.
fn all_records(tenant: &Tenant) -> Vec<(i64, String)> {
    let snapshot = tenant.snapshot().unwrap();
    let never = || Ok::<(), StoreError>(());
    let mut found = Vec::new();
    for block in snapshot.logs().blocks(NsRange::ALL, &IndexQuery::All, never).unwrap().0 {
        found.extend(described(&block.read().unwrap().unwrap().batch().unwrap()));
    }
    found.sort();
    found
}

fn described(batch: &LogBatch) -> Vec<(i64, String)> {
    let described = |(resource, scope, record): &(u32, u32, LogRecord)| {
        let around = (&batch.resources[*resource as usize], &batch.scopes[*scope as usize]);
        (record.observed_time_ns, format!("{around:?} {record:?}"))
    };
    batch.records.iter().map(described).collect()
}

#[test]
fn frozen_log_days_are_read_indexed_and_settled() {
    let dir = tempfile::tempdir().unwrap();
    thaw(dir.path(), "", &LOG_DAYS);
    let table = redb::TableDefinition::<&str, u64>::new("state");
    let settled = |name: &str| {
        let database = redb::Database::open(dir.path().join("tenants/default").join(name)).unwrap();
        let state = database.begin_read().unwrap().open_table(table).unwrap();
        state.get("settled").unwrap().map(|blocks| blocks.value())
    };
    assert_eq!(LOG_DAYS.map(|name| settled(name).is_some()), [true, false]);
    let mut expected: Vec<_> = frozen_logs().iter().flat_map(described).collect();
    expected.sort();
    let mut now_ms = NOON_MS;
    let store = Store::open(options(dir.path()), now_ms).unwrap();
    assert_eq!(all_records(&tenant(&store)), expected);
    upkeep(&store, &mut now_ms);
    assert_eq!(all_records(&tenant(&store)), expected);
    // The index that was made of them finds each, and rules blocks out.
    let found = |word: &str| {
        let snapshot = tenant(&store).snapshot().unwrap();
        let query = IndexQuery::Term(terms::word(word));
        snapshot.logs().blocks(NsRange::ALL, &query, || Ok::<(), StoreError>(())).unwrap().0.len()
    };
    let numbers: Vec<i64> = SETTLED.chain(LATE).chain(SEALED).filter(|number| number % 7 != 0).collect();
    let candidates: Vec<usize> = numbers.iter().map(|number| found(&format!("job_{number}"))).collect();
    assert!(!candidates.contains(&0), "{candidates:?}");
    // A filter may err in one of 256.
    assert!(candidates.iter().sum::<usize>() < numbers.len() + 10, "{candidates:?}");
    assert_eq!(found("zzyzx"), 0);
    assert_eq!(store.warnings(), Vec::<String>::new());
}

fn rolling(dir: &Path) -> Options {
    Options { downsample_after_ms: Some(MS_PER_DAY), raw_retention_ms: 3 * MS_PER_DAY + MS_PER_DAY / 2, ..options(dir) }
}

/// A gauge and native histograms over two days, every two minutes.
fn rolled_rows() -> Vec<(String, i64, f64)> {
    let from_ms = NOON_MS - 2 * MS_PER_DAY;
    let at_ms = |n: i64| from_ms + n * 120_000;
    let gauge = (0..900).map(|n| ("gauge".to_string(), at_ms(n), 1.0 + (n * 7 % 50) as f64 / 4.0));
    let histograms = (0..900).filter(|n| n % 9 == 0).map(|n| ("histogram".to_string(), at_ms(n), -1.0 - n as f64));
    gauge.chain(histograms).collect()
}

/// Long enough after the rows that the first of their days is past `raw_retention_ms`, and the second is not.
const ROLLED_MS: i64 = NOON_MS + 2 * MS_PER_DAY + MS_PER_DAY / 2;

/// As `freeze_a_store`: `cargo test -p store --test store freeze_rolled_days -- --ignored`.
#[test]
#[ignore = "writes the frozen store"]
fn freeze_rolled_days() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(rolling(dir.path()), NOON_MS).unwrap();
    block_on(tenant(&store).submit_metrics(mixed(&tenant(&store), &rolled_rows()))).unwrap();
    flush(&store, NOON_MS);
    let mut now_ms = ROLLED_MS;
    upkeep(&store, &mut now_ms);
    store.close().unwrap();
    drop(store);
    freeze(dir.path(), "rolled", &ROLLED_DAYS);
}

/// Each step of the gauge with its column's value.
fn steps(tenant: &Tenant, column: Rollup) -> Vec<(i64, f64)> {
    let snapshot = tenant.snapshot().unwrap();
    let series = snapshot.select(&[Matcher::equal("name", "gauge")], MsRange::ALL, 10).unwrap();
    let read = snapshot.read_rollup(&[series[0].id], MsRange::ALL, (column, true), &mut NoLimit).unwrap().remove(0);
    let step = |at_ms: i64| (at_ms - 1).div_euclid(ROLLUP_STEP_MS);
    read.at_ms.into_iter().map(step).zip(read.values).collect()
}

#[test]
fn frozen_rollups_answer_with_and_without_their_samples() {
    let dir = tempfile::tempdir().unwrap();
    thaw(dir.path(), "rolled", &ROLLED_DAYS);
    let store = Store::open(rolling(dir.path()), ROLLED_MS).unwrap();
    let open = tenant(&store);
    let gauge: Vec<(i64, f64)> =
        rolled_rows().into_iter().filter(|row| row.0 == "gauge").map(|(_, at_ms, value)| (at_ms, value)).collect();
    // Two days have a part each of the step over midnight.
    type Part = (i64, i64);
    let part = |at_ms: i64| -> Part { ((at_ms - 1).div_euclid(ROLLUP_STEP_MS), at_ms.div_euclid(MS_PER_DAY)) };
    let mut parts: std::collections::BTreeMap<Part, Vec<f64>> = std::collections::BTreeMap::new();
    for (at_ms, value) in &gauge {
        parts.entry(part(*at_ms)).or_default().push(*value);
    }
    let expected = |of: fn(&[f64]) -> f64| -> Vec<(i64, f64)> {
        parts.iter().map(|((step, _), values)| (*step, of(values))).collect()
    };
    let least = |values: &[f64]| values.iter().copied().fold(f64::INFINITY, f64::min);
    let greatest = |values: &[f64]| values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    assert!(steps(&open, Rollup::Min) == expected(least));
    assert!(steps(&open, Rollup::Max) == expected(greatest));
    assert!(steps(&open, Rollup::Sum) == expected(|values| values.iter().sum()));
    assert!(steps(&open, Rollup::Count) == expected(|values| values.len() as f64));
    // Histograms are kept with the first and last of each step, and here a step has one at most.
    let histograms = |rows: Vec<(String, i64, f64)>| -> BTreeSet<(i64, u64)> {
        let of = rows.into_iter().filter(|(name, ..)| name == "histogram");
        of.map(|(_, at_ms, value)| (at_ms, value.to_bits())).collect()
    };
    let read = values(&open);
    assert_eq!(histograms(read), histograms(rolled_rows()));
    assert!(open.snapshot().unwrap().is_rolled_up(MsRange::ALL, false).unwrap(), "a day stands alone");
    assert_eq!(store.warnings(), Vec::<String>::new());
}
