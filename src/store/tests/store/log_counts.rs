//! Records counted as a metric of their own.

use super::*;

/// Samples of the counter, times and values, by service and severity.
fn log_samples(tenant: &Tenant) -> Vec<(String, Vec<(i64, f64)>)> {
    let snapshot = tenant.snapshot().unwrap();
    let matchers = [Matcher::equal("__name__", "binnacle_log_records_total")];
    let series = snapshot.select(&matchers, MsRange::ALL, 100).unwrap();
    let ids: Vec<_> = series.iter().map(|series| series.id).collect();
    let samples = snapshot.read(&ids, MsRange::ALL, &mut NoLimit).unwrap();
    let named = series.iter().zip(samples).map(|(series, samples)| {
        let name = format!("{} {}", series.labels.value("service_name"), series.labels.value("severity"));
        (name, samples.at_ms.iter().copied().zip(samples.values.iter().copied()).collect())
    });
    named.collect()
}

/// Records by service and severity, as the tenant's newest samples count them.
fn log_totals(tenant: &Tenant) -> Vec<(String, f64)> {
    let mut totals: Vec<(String, f64)> =
        log_samples(tenant).into_iter().filter_map(|(name, samples)| Some((name, samples.last()?.1))).collect();
    totals.sort_by(|one, other| one.0.cmp(&other.0));
    totals
}

/// Services with the newest of the times when their records came, in ms after [`NOON_MS`].
fn last_seen(tenant: &Tenant) -> Vec<(String, f64)> {
    let snapshot = tenant.snapshot().unwrap();
    let matchers = [Matcher::equal("__name__", "binnacle_log_records_last_seen_seconds")];
    let series = snapshot.select(&matchers, MsRange::ALL, 100).unwrap();
    let ids: Vec<_> = series.iter().map(|series| series.id).collect();
    let samples = snapshot.read(&ids, MsRange::ALL, &mut NoLimit).unwrap();
    let newest = series.iter().zip(samples).map(|(series, samples)| {
        let seen_ms = (samples.values.last().unwrap() * 1e3).round() - NOON_MS as f64;
        (series.labels.value("service_name").to_owned(), seen_ms)
    });
    let mut newest: Vec<(String, f64)> = newest.collect();
    newest.sort_by(|one, other| one.0.cmp(&other.0));
    newest
}

fn logs(service: &str, severities: &[i32]) -> model::LogBatch {
    let record = |number: &i32| model::LogRecord {
        time_ns: NOON_MS * 1_000_000,
        severity_number: *number,
        ..model::LogRecord::default()
    };
    let service = vec![("service.name".into(), model::AnyValue::Str(service.into()))];
    model::LogBatch {
        resources: vec![model::Resource { attributes: service, ..model::Resource::default() }],
        scopes: vec![model::Scope::default()],
        records: severities.iter().map(|number| (0, 0, record(number))).collect(),
    }
}

#[test]
fn a_sender_of_logs_that_ended_ages_though_its_totals_are_written_on() {
    let dir = tempfile::tempdir().unwrap();
    let push = |tenant: &Tenant, batch| block_on(tenant.submit_logs(batch)).unwrap();
    let report = |tenant: &Tenant, at_ms| block_on(tenant.report_log_counts(at_ms)).unwrap();
    let seen = |pairs: &[(&str, f64)]| pairs.iter().map(|(name, at)| ((*name).to_owned(), *at)).collect::<Vec<_>>();
    let store = Store::open(options(dir.path()), NOON_MS).unwrap();
    let first = tenant(&store);
    push(&first, logs("ends", &[9]));
    push(&first, logs("goes on", &[9]));
    report(&first, NOON_MS + 15_000);
    assert_eq!(last_seen(&first), seen(&[("ends", 15_000.0), ("goes on", 15_000.0)]));
    push(&first, logs("goes on", &[9, 17]));
    report(&first, NOON_MS + 30_000);
    // Nobody sends, and the totals are written again.
    report(&first, NOON_MS + 200_000);
    assert_eq!(log_totals(&first).len(), 3);
    assert_eq!(last_seen(&first), seen(&[("ends", 15_000.0), ("goes on", 30_000.0)]));
    drop((first, store));

    let store = Store::open(options(dir.path()), NOON_MS).unwrap();
    let second = tenant(&store);
    report(&second, NOON_MS + 300_000);
    assert_eq!(last_seen(&second), seen(&[("ends", 15_000.0), ("goes on", 30_000.0)]), "a restart is no sign of life");
}

#[test]
fn log_records_are_counted_once_over_restarts() {
    let dir = tempfile::tempdir().unwrap();
    let push = |tenant: &Tenant, batch| block_on(tenant.submit_logs(batch)).unwrap();
    let report = |tenant: &Tenant, at_ms| block_on(tenant.report_log_counts(at_ms)).unwrap();
    let expected = |a_info: f64, a_error: f64, b_info: f64| {
        let all = [("a error", a_error), ("a info", a_info), ("b info", b_info)];
        all.into_iter()
            .filter(|(_, count)| *count > 0.0)
            .map(|(name, count)| (name.to_owned(), count))
            .collect::<Vec<_>>()
    };

    let store = Store::open(options(dir.path()), NOON_MS).unwrap();
    let first = tenant(&store);
    report(&first, NOON_MS);
    assert_eq!(log_totals(&first), expected(0.0, 0.0, 0.0));
    push(&first, logs("a", &[9, 9, 17]));
    report(&first, NOON_MS + 1);
    push(&first, logs("b", &[9]));
    push(&first, logs("a", &[9]));
    assert_eq!(log_totals(&first), expected(2.0, 1.0, 0.0), "as of the last report");
    // Ends without another report; the intake log has all of it.
    drop((first, store));

    let store = Store::open(options(dir.path()), NOON_MS).unwrap();
    let second = tenant(&store);
    push(&second, logs("b", &[9]));
    report(&second, NOON_MS + 2);
    assert_eq!(log_totals(&second), expected(3.0, 1.0, 2.0));
    report(&second, NOON_MS + 3);
    flush(&store, NOON_MS + 4);
    store.close().unwrap();
    drop((second, store));

    let store = Store::open(options(dir.path()), NOON_MS).unwrap();
    let third = tenant(&store);
    push(&third, logs("a", &[17]));
    report(&third, NOON_MS + 5);
    assert_eq!(log_totals(&third), expected(3.0, 2.0, 2.0));

    // Every series begins with a zero, once, before its first total.
    for (name, samples) in log_samples(&third) {
        let zeros: Vec<i64> = samples.iter().filter(|(_, value)| *value == 0.0).map(|(at_ms, _)| *at_ms).collect();
        assert_eq!(zeros, [samples[1].0 - 15_000], "{name}: {samples:?}");
        assert_eq!(samples[0].0, zeros[0], "{name}");
    }
}
