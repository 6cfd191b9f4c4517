//! Rules over logs: ten thousand records that come minutes late while the appliance is killed again and again.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use binnacle::otlp_out::{self, Pairs};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use prost::Message as _;

use crate::oracle::Counts;
use crate::table::Row;
use crate::world::{PATIENCE, World, now_ns};

const RECORDS: u64 = 10_000;
const BATCH: u64 = 50;
const KEYS: u64 = 400;
const LATE: Duration = Duration::from_secs(180);
/// Batches between two kills, at most.
const KILL_WITHIN: u64 = 20;

const EVENTS: &str = "groups:
- name: events
  type: events
  interval: 1s
  rules:
  - alert: Cve
    expr: '{service_name=\"scanner\"} |= \"found\"'
    labels: {severity: critical}
    x: {key: [cve_id], resolve_after: 24h, max_instances: 1000}
";
const COUNTS: &str = "groups:
- name: counts
  type: logs
  interval: 1s
  rules:
  - record: scanner:found:count
    expr: sum(count_over_time({service_name=\"scanner\"} |= \"found\" [5m]))
";

/// A request of one record of the scanner.
pub(crate) fn request_of(attributes: Pairs<'_>, body: &str, at_ns: u64) -> Vec<u8> {
    request(vec![record(attributes, body, at_ns)])
}

fn record(attributes: Pairs<'_>, body: &str, at_ns: u64) -> LogRecord {
    LogRecord {
        time_unix_nano: at_ns,
        severity_number: 17,
        body: otlp_out::text_attribute("", body).value,
        attributes: otlp_out::attributes(attributes),
        ..LogRecord::default()
    }
}

fn request(log_records: Vec<LogRecord>) -> Vec<u8> {
    let scope_logs = vec![ScopeLogs { scope: Some(otlp_out::scope("scanner")), log_records, ..ScopeLogs::default() }];
    let resource = Some(otlp_out::resource(&[("service.name", "scanner")]));
    let resource_logs = vec![ResourceLogs { resource, scope_logs, ..ResourceLogs::default() }];
    ExportLogsServiceRequest { resource_logs }.encode_to_vec()
}

pub(crate) async fn late_and_killed() -> Row {
    let mut random = crate::knobs::random();
    let mut world = World::new("  - {record: none, expr: vector(1)}").await;
    world.write("rules/events.yml", EVENTS);
    world.write("rules/counts.yml", COUNTS);
    world.receivers = crate::world::Receivers { slack: false, pagerduty: false, mail: false, hook: false };
    world.write_notify("{receiver: hook, group_by: [alertname], group_wait: 0s, group_interval: 1s}", "");
    world.start().await;
    let (mut next, mut kills, mut kill_in) = (0, 0, 10);
    while next < RECORDS {
        let of = next..next + BATCH;
        let at_ns = now_ns() - u64::try_from(LATE.as_nanos()).unwrap_or(0);
        let records = of.map(|number| {
            record(&[("cve_id", &format!("CVE-{:03}", number % KEYS))], &format!("found {number}"), at_ns + number)
        });
        let body = request(records.collect());
        let url = format!("{}/v1/logs", world.appliance().otlp_http);
        let client = world.appliance().client().clone();
        let sent = tokio::spawn(async move {
            let post = client.post(url).header("content-type", "application/x-protobuf").body(body);
            post.send().await.is_ok_and(|reply| reply.status().as_u16() == 200)
        });
        kill_in -= 1;
        if kill_in == 0 {
            // In the middle of the request, or of an evaluation.
            tokio::time::sleep(Duration::from_micros(random.below(20_000))).await;
            world.kill();
            (kills, kill_in) = (kills + 1, 10 + random.below(KILL_WITHIN));
        }
        let taken = sent.await.expect("no panic");
        if world.is_down() {
            world.start().await;
        }
        // What was not acknowledged is sent again: it may be there twice, and then counts twice.
        next += if taken { BATCH } else { 0 };
    }
    let (stored, fired) = until_counted(&world).await;
    let mut wrong = Vec::new();
    for (key, count) in &stored {
        if fired.get(key) != Some(count) {
            wrong.push(format!("{key}: {count} records, {:?} counted", fired.get(key)));
        }
    }
    assert!(wrong.is_empty() && fired.len() == stored.len(), "{wrong:?}");
    let transitions = fired_once(&world).await;
    let window = threshold(&world).await;
    Row {
        counts: Counts::default(),
        remark: format!(
            "{} records under {} keys through {kills} kills: each counted once, each key fired once ({transitions}); {window}",
            stored.values().sum::<u64>(),
            stored.len()
        ),
    }
}

/// Records by key as they are stored, and as the rule counted them; waits until it has seen all.
async fn until_counted(world: &World) -> (BTreeMap<String, u64>, BTreeMap<String, u64>) {
    let mut stored: BTreeMap<String, u64> = BTreeMap::new();
    for row in world.appliance().logs("service.name:scanner").await {
        *stored.entry(row["attributes"]["cve_id"].as_str().unwrap_or_default().into()).or_default() += 1;
    }
    assert!(stored.values().sum::<u64>() >= RECORDS, "acknowledged records are missing: {}", stored.len());
    let deadline = Instant::now() + PATIENCE;
    loop {
        let (_, body) = world.appliance().get("/api/v1/alerts").await;
        let body: serde_json::Value = serde_json::from_str(&body).expect("JSON");
        let alerts = body["data"]["alerts"].as_array().cloned().unwrap_or_default();
        let counted = |alert: &serde_json::Value| {
            let value: f64 = alert["value"].as_str()?.parse().ok()?;
            Some((alert["labels"]["cve_id"].as_str()?.to_owned(), value as u64))
        };
        let fired: BTreeMap<String, u64> = alerts.iter().filter_map(counted).collect();
        if fired.values().sum::<u64>() >= stored.values().sum() || Instant::now() > deadline {
            return (stored, fired);
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Every key began to fire once, by the receiver's account too; how many.
async fn fired_once(world: &World) -> usize {
    let told = |world: &World| {
        world.hook.seen.see(|seen| {
            let mut began: BTreeMap<String, std::collections::BTreeSet<String>> = BTreeMap::new();
            let alerts = seen.calls.iter().flat_map(|call| call.body["alerts"].as_array().cloned().unwrap_or_default());
            for alert in alerts {
                let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
                began.entry(text(&alert["labels"]["cve_id"])).or_default().insert(text(&alert["startsAt"]));
            }
            began
        })
    };
    world.until("every key is told", |world| told(world).len() as u64 >= KEYS).await;
    let told = told(world);
    let twice: Vec<_> = told.iter().filter(|(_, began)| began.len() != 1).collect();
    assert!(twice.is_empty(), "{twice:?}");
    told.len()
}

/// What the threshold rule recorded last, against a count by hand over the same window.
async fn threshold(world: &World) -> String {
    let rows = world.appliance().logs("service.name:scanner").await;
    let times: Vec<i64> = rows.iter().filter_map(|row| time_ns(row["time"].as_str()?)).collect();
    // Two evaluations later nothing is missing any more.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let mut compared = 0;
    for result in world.appliance().query("scanner:found:count[3s]").await {
        // The first ones may be from before the last record.
        let samples = result["values"].as_array().cloned().unwrap_or_default();
        for sample in samples.iter().rev().take(2) {
            let at_ns = (sample[0].as_f64().expect("a time") * 1e3).round() as i64 * 1_000_000;
            let counted: f64 = sample[1].as_str().and_then(|text| text.parse().ok()).expect("a number");
            let expected = times.iter().filter(|time| **time > at_ns - 300_000_000_000 && **time <= at_ns).count();
            assert_eq!(counted, expected as f64, "window up to {at_ns}");
            compared += 1;
        }
    }
    assert!(compared > 0, "nothing was recorded");
    format!("{compared} windows as counted by hand")
}

/// Of `2026-11-21T20:38:26.000000001Z`.
fn time_ns(text: &str) -> Option<i64> {
    model::time::parse_rfc3339_ns(text)
}
