//! Searches over blocks that cannot be read: they are left out, and the answer says so.

use model::NsRange;
use store::{LogView, StoreError};

use super::Partial;
use crate::{Budget, QueryError};

/// Runs a query of a range. Where it fails since a block does not decode though its checksum holds, such blocks of the range are found,
/// which reads it whole once, and the query runs again without them.
pub(crate) fn around<T>(
    view: &LogView,
    range: NsRange,
    budget: &Budget,
    run: impl Fn() -> Result<T, QueryError>,
) -> Result<T, QueryError> {
    match run() {
        Err(QueryError::Store(StoreError::Corrupt { .. }))
            if view.find_damage(range, || budget.check()).is_ok_and(|found| found) =>
        {
            run()
        }
        other => other,
    }
}

/// What an answer lacks: what lies beyond where the budget ended it, and what could not be read.
pub(super) fn partial(cut: Option<(QueryError, NsRange)>, range: NsRange, budget: &Budget) -> Option<Partial> {
    let mut reasons = budget.damage.warnings();
    let covered = match cut {
        Some((error, covered)) => {
            reasons.insert(0, error.to_string());
            covered
        }
        None => range,
    };
    (!reasons.is_empty()).then(|| Partial { reason: reasons.join("; "), covered })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use model::{AnyValue, LogBatch, LogRecord, Resource, Scope, TenantId};
    use store::{Options, Store};

    use super::*;
    use crate::logql::{self, Expr};
    use crate::logs::{self, Direction};

    const NOON_MS: i64 = 1_795_262_400_000;

    /// Found as it is in the file of the day.
    fn trace_id(number: i64) -> [u8; 16] {
        (number as u128 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835).to_be_bytes()
    }

    fn batch(number: i64) -> LogBatch {
        let record = LogRecord {
            time_ns: NOON_MS * 1_000_000 + number,
            severity_number: 9,
            body: AnyValue::Str(format!("line {number}")),
            trace_id: Some(trace_id(number)),
            ..LogRecord::default()
        };
        let attributes = vec![("service.name".into(), AnyValue::Str("api".into()))];
        LogBatch {
            resources: vec![Resource { attributes, ..Resource::default() }],
            scopes: vec![Scope::default()],
            records: vec![(0, 0, record)],
        }
    }

    #[test]
    fn whatever_is_asked_the_rest_is_answered_and_the_damage_named() {
        let dir = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let open = || Store::open(Options::new(dir.path()), NOON_MS).unwrap();
        for number in 0..3 {
            let store = open();
            let tenant = store.tenant(&TenantId::default()).unwrap();
            runtime.block_on(tenant.submit_logs(batch(number))).unwrap();
            // Old enough at the second look to be sealed.
            store.maintain(NOON_MS).unwrap();
            store.maintain(NOON_MS + 3_600_000).unwrap();
            store.close().unwrap();
        }
        let path = dir.path().join("tenants/default/logs/2026-11-21.redb");
        let mut file = std::fs::read(&path).unwrap();
        let at = file.windows(16).position(|bytes| bytes == trace_id(1)).expect("ids stand in the file as they are");
        file[at] ^= 1;
        std::fs::write(&path, file).unwrap();
        let store = open();
        let tenant = store.tenant(&TenantId::default()).unwrap();
        let snapshot = tenant.snapshot().unwrap();
        let budget = || Budget::starting_now(Duration::from_secs(60));
        let named = |warnings: &[String]| {
            assert!(
                warnings.len() == 1
                    && warnings[0].contains("stored log records are missing")
                    && warnings[0].contains("2026-11-21.redb")
                    && warnings[0].contains("log block 1"),
                "{warnings:?}"
            );
        };
        let day = NsRange { start_ns: NOON_MS * 1_000_000 - 5, end_ns: NOON_MS * 1_000_000 + 5 };
        for (text, expected) in [("", "line 0, line 2"), ("line", "line 0, line 2"), ("1", "")] {
            let search = logs::parse(text).unwrap();
            let found =
                logs::search_in_part(&snapshot, &search, day, Direction::OldestFirst, 9, None, &budget()).unwrap();
            let bodies: Vec<String> = found.rows.iter().map(|row| row.record.body.to_text()).collect();
            assert_eq!(bodies.join(", "), expected, "{text:?}");
            let partial = found.partial.unwrap();
            assert_eq!(partial.covered, day);
            named(&[partial.reason]);
        }
        let search = logs::parse("line").unwrap();
        let (asked, names) = (budget(), ["service.name".to_owned()]);
        let counted: u64 = logs::histogram(&snapshot, &search, day, 1, &asked)
            .unwrap()
            .0
            .iter()
            .flat_map(|bucket| bucket.counts)
            .sum();
        assert_eq!(counted, 2);
        named(&asked.damage.warnings());
        let (facets, partial) = logs::facets(&snapshot, &search, day, &names, 9, &budget()).unwrap();
        assert_eq!(facets[0].top, [("api".to_owned(), 2)]);
        named(&[partial.unwrap().reason]);
        let asked = budget();
        let Expr::Log(log) = logql::parse(r#"{service_name="api"} |= "line""#).unwrap() else { panic!("a log query") };
        let found = logql::select(Some(&snapshot), &log, day, Direction::NewestFirst, 9, 0, &asked).unwrap();
        assert_eq!(found.entries.len(), 2);
        named(&asked.damage.warnings());
        let asked = budget();
        let Expr::Metric(metric) = logql::parse(r#"count_over_time({service_name="api"} |= "line" [1m])"#).unwrap()
        else {
            panic!("a metric query")
        };
        let found = logql::instant_of(Some(&snapshot), &metric, day.end_ns, logql::By::Ruler, &asked).unwrap();
        let logql::Value::Vector(samples) = found.value else { panic!("a vector") };
        assert_eq!(samples.iter().map(|(_, value)| *value).collect::<Vec<_>>(), [1.0, 1.0]);
        named(&asked.damage.warnings());
        assert!(store.warnings()[0].contains("log block"), "{:?}", store.warnings());
    }
}
