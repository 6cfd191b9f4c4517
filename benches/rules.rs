//! What do rules cost? 500 alerting rules over 200 series each, one in twenty firing, evaluated every 30 s; and a replay of two weeks.
//!
//! Goals: 1.5 s a cycle (5 % of a core) and 60 MB; a replay of 14 days over 200 series in 2 s.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use model::{Labels, MetricBatch, Sample, SeriesEntry, TenantId};
use query::Limits;
use rules::replay::{self, Span};
use rules::{Engine, EngineOptions};
use store::{Store, Tenant};

const RULES: usize = 500;
const GROUPS: usize = 25;
const HOSTS: usize = 200;
const INTERVAL_MS: i64 = 30_000;
const CYCLES: i64 = 10;
/// A noon.
const START_MS: i64 = 1_795_262_400_000;
const DAYS: i64 = 14;
const REPLAY_STEP_MS: i64 = 15_000;

fn main() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let dir = tempfile::tempdir().expect("a folder for the data");
    let options = || store::Options { disk_free_min: 0, ..store::Options::new(dir.path()) };
    let store = Store::open(options(), START_MS).expect("the store opens");
    let tenant = store.tenant(&TenantId::default()).expect("a tenant opens");
    runtime.block_on(evaluations(&tenant));
    runtime.block_on(replayed(&store, &tenant));
}

async fn evaluations(tenant: &Tenant) {
    // Every metric is looked at by ten rules.
    let metrics: Vec<String> = (0..RULES / 10).map(|n| format!("metric_{n}")).collect();
    for at in -10..=0 {
        push(tenant, &metrics, START_MS + at * INTERVAL_MS).await;
    }
    let before = resident_bytes();
    let groups = rules::file::parse(&rule_file(), "bench.yml", INTERVAL_MS).expect("rules");
    let options = EngineOptions {
        external_url: String::new(),
        lookback_ms: 300_000,
        query_limits: Limits::default().into(),
        started_ms: START_MS - 1,
    };
    let engine = Engine::new(tenant.clone(), groups, options).expect("an engine");
    let mut took = Vec::new();
    let mut cpu = Vec::new();
    for cycle in 1..=CYCLES {
        let at_ms = START_MS + cycle * INTERVAL_MS;
        push(tenant, &metrics, at_ms).await;
        let (begun, cpu_begun) = (Instant::now(), cpu_time());
        for group in 0..GROUPS {
            engine.evaluate(group, at_ms).await.expect("an evaluation");
        }
        took.push(begun.elapsed());
        cpu.push(cpu_time() - cpu_begun);
    }
    let firing: usize = engine.view().iter().flat_map(|group| &group.rules).map(|rule| rule.instances.len()).sum();
    let grown = resident_bytes().saturating_sub(before) / 1_000_000;
    took.sort_unstable();
    cpu.sort_unstable();
    let median = cpu[cpu.len() / 2];
    println!(
        "{RULES} rules x {HOSTS} series, {firing} instances: {:?} a cycle, {median:?} of CPU = {:.1} % of a core at 30 s; {grown} MB more resident",
        took[took.len() / 2],
        median.as_secs_f64() / 30.0 * 100.0,
    );
}

async fn replayed(store: &Store, tenant: &Tenant) {
    let end_ms = START_MS + DAYS * 86_400_000;
    let mut at_ms = START_MS;
    while at_ms < end_ms {
        let mut batch = MetricBatch::default();
        for host in 0..HOSTS {
            batch.series.push(entry("used", host));
            for step in 0..240 {
                let sample_ms = at_ms + step * REPLAY_STEP_MS;
                let value = 0.5 + 0.5 * ((sample_ms / 1_000) as f64 / (5_000.0 + 37.0 * host as f64)).sin();
                batch.samples.push((host as u32, Sample { at_ms: sample_ms, value }));
                batch.points.push(batch.points.len() as u32);
            }
        }
        batch.derived_from = batch.points.len() as u32;
        assert!(tenant.submit_metrics(batch).await.expect("stored").is_empty());
        at_ms += 3_600_000;
    }
    store.maintain(end_ms).expect("heads are written");
    store.maintain(end_ms + 6 * 3_600_000).expect("heads are written");
    let text = "groups: [{name: g, interval: 30s, rules: [{alert: A, expr: used > 0.9, for: 5m}]}]";
    let groups = rules::file::parse(text, "bench.yml", INTERVAL_MS).expect("rules");
    for _ in 0..3 {
        let snapshot = tenant.snapshot().expect("a snapshot");
        let span = Span {
            from_ms: START_MS,
            to_ms: end_ms,
            lookback_ms: 300_000,
            budget: Limits { timeout: Duration::from_secs(60), ..Limits::default() }.start(),
        };
        let begun = Instant::now();
        let found = replay::replay(&snapshot, Some(&snapshot), &groups, &span).remove(0);
        assert_eq!(found.error, "");
        println!(
            "replay of {DAYS} days, {HOSTS} series, step {} s: {:?}; fired {}, flapped {}",
            found.step_ms / 1_000,
            begun.elapsed(),
            found.fired,
            found.flapped
        );
    }
}

fn rule_file() -> String {
    let mut text = String::from("groups:\n");
    for group in 0..GROUPS {
        let _fits = writeln!(text, "- name: g{group}\n  rules:");
        for rule in 0..RULES / GROUPS {
            let number = group * (RULES / GROUPS) + rule;
            let metric = number % (RULES / 10);
            let _fits = writeln!(
                text,
                "  - alert: Rule{number}\n    expr: metric_{metric} > 0.95\n    for: 1m\n    labels: {{severity: warning}}\n    annotations: {{summary: '{{{{ $labels.host }}}} at {{{{ $value | humanizePercentage }}}}'}}"
            );
        }
    }
    text
}

/// Every host's value of every metric; one host in twenty is over the threshold.
async fn push(tenant: &Tenant, metrics: &[String], at_ms: i64) {
    let mut batch = MetricBatch::default();
    for metric in metrics {
        for host in 0..HOSTS {
            let place = batch.samples.len() as u32;
            batch.series.push(entry(metric, host));
            let value = if host % 20 == 0 { 0.97 } else { 0.5 };
            batch.samples.push((place, Sample { at_ms, value }));
            batch.points.push(place);
        }
    }
    batch.derived_from = batch.points.len() as u32;
    assert!(tenant.submit_metrics(batch).await.expect("stored").is_empty());
}

fn entry(metric: &str, host: usize) -> SeriesEntry {
    let labels = Labels::from_pairs([
        ("__name__", metric),
        ("host", &format!("host-{host}")),
        ("job", "node"),
        ("site", "north"),
    ]);
    let key = u128::from_le_bytes(format!("{metric:_<10.10}{host:06}").as_bytes().try_into().expect("16 bytes"));
    SeriesEntry::New { key, labels }
}

/// Time on the CPU of this process, threads together: fields 14 and 15 of /proc/self/stat, in hundredths of a second.
fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("/proc");
    let after_name = stat.rsplit(") ").next().unwrap_or_default();
    let ticks: u64 = after_name.split(' ').skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}

fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("/proc");
    statm.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0) * 4_096
}
