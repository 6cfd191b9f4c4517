//! Acknowledged means durable: `kill -9` under load, again and again, loses nothing and doubles nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::appliance::Appliance;
use crate::otlp;

const KILLS: u64 = 50;
const SENDERS: u64 = 4;
/// Rows of one request, so that half of one would show.
const ROWS: u64 = 7;

#[derive(Default)]
struct Acknowledged {
    /// By sender: time in ms and value.
    samples: BTreeMap<u64, BTreeMap<i64, f64>>,
    records: BTreeSet<String>,
    /// Sent with an unknown end: these may be there, whole, or not at all.
    unknown_records: BTreeSet<String>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_kills_under_load_lose_and_double_nothing() {
    let home = tempfile::tempdir().unwrap();
    let acknowledged = Arc::new(Mutex::new(Acknowledged::default()));
    let base_ns = now_ns() / 1_000_000_000 * 1_000_000_000 - 3_600_000_000_000;
    let mut next_request = 0;
    for round in 0..KILLS {
        let appliance = Arc::new(Appliance::start(home.path()));
        let mut senders = tokio::task::JoinSet::new();
        for sender in 0..SENDERS {
            let (appliance, acknowledged) = (appliance.clone(), acknowledged.clone());
            let first = next_request;
            senders.spawn(async move { send_until_cut(&appliance, sender, first, base_ns, &acknowledged).await });
        }
        // From almost at once to well under way, so that kills hit every phase of intake.
        tokio::time::sleep(Duration::from_millis(20 + round * 37 % 300)).await;
        appliance.signal(rustix::process::Signal::KILL);
        while let Some(sent) = senders.join_next().await {
            next_request = next_request.max(sent.unwrap());
        }
        next_request += 1;
    }
    let acknowledged = Arc::into_inner(acknowledged).expect("every sender has ended").into_inner().unwrap();
    let appliance = Appliance::start(home.path());
    check(&appliance, &acknowledged).await;
    appliance.terminate();
    // And once more from sealed data.
    let appliance = Appliance::start(home.path());
    check(&appliance, &acknowledged).await;
}

/// Sends metrics and logs by turns until the connection breaks; returns the number of the last request.
async fn send_until_cut(
    appliance: &Appliance,
    sender: u64,
    first: u64,
    base_ns: u64,
    acknowledged: &Mutex<Acknowledged>,
) -> u64 {
    let service = format!("sender-{sender}");
    for request in first.. {
        let at = |row: u64| base_ns + (request * ROWS + row) * 10_000_000;
        let points: Vec<(u64, f64)> = (0..ROWS).map(|row| (at(row), (request * ROWS + row) as f64 + 0.5)).collect();
        match appliance.push("/v1/metrics", otlp::gauge(&service, "crash.test", &points)).await {
            Ok(200) => {
                let mut acknowledged = acknowledged.lock().unwrap();
                let samples = acknowledged.samples.entry(sender).or_default();
                samples.extend(points.iter().map(|(at_ns, value)| (i64::try_from(at_ns / 1_000_000).unwrap(), *value)));
            }
            Ok(status) => panic!("status {status}: {}", appliance.log()),
            Err(_) => return request,
        }
        let records: Vec<(u64, String)> =
            (0..ROWS).map(|row| (at(row), format!("record {sender}-{request}-{row} of the crash test"))).collect();
        let bodies = records.iter().map(|(_, body)| body.clone());
        match appliance.push("/v1/logs", otlp::logs(&service, &records)).await {
            Ok(200) => acknowledged.lock().unwrap().records.extend(bodies),
            Ok(status) => panic!("status {status}: {}", appliance.log()),
            Err(_) => {
                acknowledged.lock().unwrap().unknown_records.extend(bodies);
                return request;
            }
        }
    }
    unreachable!("the range has no end")
}

async fn check(appliance: &Appliance, acknowledged: &Acknowledged) {
    let sent: usize = acknowledged.samples.values().map(BTreeMap::len).sum();
    // A run that acknowledged next to nothing would prove nothing.
    assert!(sent > 500 && acknowledged.records.len() > 500, "{sent} samples, {} records", acknowledged.records.len());
    for (sender, samples) in &acknowledged.samples {
        let found = appliance.query(&format!("crash_test{{service_name=\"sender-{sender}\"}}[2h]")).await;
        assert_eq!(found.len(), 1, "one series of sender {sender}");
        let mut stored = BTreeMap::new();
        for point in found[0]["values"].as_array().unwrap() {
            let at_ms = (point[0].as_f64().unwrap() * 1e3).round() as i64;
            let value: f64 = point[1].as_str().unwrap().parse().unwrap();
            assert_eq!(stored.insert(at_ms, value), None, "sample at {at_ms} stands twice");
        }
        for (at_ms, value) in samples {
            assert_eq!(stored.get(at_ms), Some(value), "acknowledged sample of sender {sender} at {at_ms}");
        }
    }
    let mut stored = BTreeSet::new();
    for row in appliance.logs("\"of the crash test\"").await {
        let body = row["body"].as_str().unwrap().to_owned();
        let known = acknowledged.records.contains(&body) || acknowledged.unknown_records.contains(&body);
        assert!(known, "never sent: {body}");
        assert!(stored.insert(body.clone()), "{body} stands twice");
    }
    let lost: Vec<&String> = acknowledged.records.difference(&stored).collect();
    assert!(
        lost.is_empty(),
        "{} of {} acknowledged records are lost: {lost:?}",
        lost.len(),
        acknowledged.records.len()
    );
    // A request is stored whole or not at all.
    let mut parts: BTreeMap<&str, u64> = BTreeMap::new();
    for body in stored.intersection(&acknowledged.unknown_records) {
        *parts.entry(body.rsplit_once('-').unwrap().0).or_default() += 1;
    }
    assert!(parts.values().all(|count| *count == ROWS), "requests stored by halves: {parts:?}");
}

fn now_ns() -> u64 {
    binnacle::clock::now_ns()
}
