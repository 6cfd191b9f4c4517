//! How long searches and LogQL queries take over 200,000 records: indexed blocks, then blocks outside the index.
//!
//! `cargo bench -p query --bench log_search [FOLDER [TEXT]]`; prints the median of five, and the sizes of the files. With a folder the
//! records stay there, and where they are already only the searches are run, on one thread and timed by the processor: for a profiler. With
//! a text only those whose line has it are run.

use std::time::{Duration, Instant};

use model::{AnyValue, LogBatch, NsRange, Resource, Scope, TenantId};
use query::Limits;
use query::logql::{self, Expr, Value};
use query::logs::{self, Direction};
use store::{Options, Snapshot, Store};

#[path = "lines.rs"]
mod lines;

const REQUESTS: usize = 200;
const RECORDS_A_REQUEST: usize = 1_000;
const START_MS: i64 = 1_795_226_400_000;

fn main() {
    let mut words = std::env::args().skip(1).filter(|word| !word.starts_with("--"));
    let (kept, only) = (words.next(), words.next().unwrap_or_default());
    let made = tempfile::tempdir().expect("a temporary directory");
    let dir = kept.as_ref().map_or(made.path(), std::path::Path::new);
    let is_filled = kept.is_some() && dir.exists();
    let store = Store::open(Options::new(dir), START_MS).expect("the store opens");
    let tenant = store.tenant(&TenantId::default()).expect("the first tenant");
    if is_filled {
        return measure("as found, processor time", &tenant.snapshot().expect("a snapshot"), 1, &only);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let requests: Vec<LogBatch> = (0..REQUESTS).map(request).collect();
    let started = Instant::now();
    for request in requests {
        runtime.block_on(tenant.submit_logs(request)).expect("stored");
    }
    println!("intake, one request after the other: {:.0?}", started.elapsed());
    // Upkeep seals what is full; an hour after it saw blocks outside the index, it indexes them.
    for (what, now_ms) in [("seal", START_MS), ("index", START_MS + 3_600_000)] {
        let started = Instant::now();
        store.maintain(now_ms).expect("upkeep");
        println!("upkeep ({what}): {:.0?}", started.elapsed());
        measure(&format!("after {what}"), &tenant.snapshot().expect("a snapshot"), 2, &only);
    }
    list(dir);
}

/// Sizes of all files, by blocks on the disk.
fn list(dir: &std::path::Path) {
    use std::os::unix::fs::MetadataExt as _;
    for entry in std::fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            list(&path);
        } else {
            println!("  {} {}", path.metadata().expect("a file").blocks() * 512, path.display());
        }
    }
}

fn request(number: usize) -> LogBatch {
    let text = |text: String| AnyValue::Str(text);
    let host = number % 20;
    let resource = Resource {
        attributes: vec![
            ("service.name".into(), text(format!("service-{}", host % 5))),
            ("host.name".into(), text(format!("host-{host}"))),
        ],
        ..Resource::default()
    };
    let mut records = lines::records(number as u64 + 1, RECORDS_A_REQUEST);
    for record in &mut records {
        record.time_ns += (number / 20) as i64 * 37_000_000_000;
    }
    LogBatch {
        resources: vec![resource],
        scopes: vec![Scope::default()],
        records: records.into_iter().map(|record| (0, 0, record)).collect(),
    }
}

/// Time of this thread on a processor, in ms.
fn processor_ms() -> f64 {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    told.split_whitespace().next().and_then(|ns| ns.parse::<f64>().ok()).expect("a number") / 1e6
}

/// With one thread its time on a processor is told, else that of the clock.
fn measure(what: &str, snapshot: &Snapshot, threads: usize, only: &str) {
    println!("{what}:");
    let budget = || Limits { timeout: Duration::from_secs(600), threads, ..Limits::default() }.start();
    let everything =
        NsRange { start_ns: START_MS * 1_000_000 - 60_000_000_000, end_ns: START_MS * 1_000_000 + 3_600_000_000_000 };
    let time = |name: &str, run: &dyn Fn() -> u64| {
        if !name.contains(only) {
            return;
        }
        let begun = Instant::now();
        let now_ms = || if threads == 1 { processor_ms() } else { begun.elapsed().as_secs_f64() * 1e3 };
        let mut took: Vec<(f64, u64)> = (0..5)
            .map(|_| {
                let started_ms = now_ms();
                let found = run();
                (now_ms() - started_ms, found)
            })
            .collect();
        took.sort_by(|one, other| one.0.total_cmp(&other.0));
        println!("  {name}: {:.1} ms, {} found", took[2].0, took[2].1);
    };
    for text in [
        "",
        "error",
        "\"connection refused\"",
        "zzyzx",
        "/fail\\w+: [a-z]+ref/",
        "/(?i)(time|clos)\\w+ after [0-9]+/",
        "/[0-9]{5} ms$/",
        "/[0-9]{6}$/",
        "http.response.status_code:500",
        "trace_id:ffffffffffffffffffffffffffffffff",
    ] {
        let search = logs::parse(text).expect("it parses");
        time(&format!("newest 100 of {text:?}"), &|| {
            let answer = logs::search(snapshot, &search, everything, Direction::NewestFirst, 100, None, &budget());
            answer.expect("an answer").rows.len() as u64
        });
        time(&format!("histogram of {text:?}"), &|| {
            let (buckets, _) =
                logs::histogram(snapshot, &search, everything, 60_000_000_000, &budget()).expect("an answer");
            buckets.iter().flat_map(|bucket| bucket.counts).sum()
        });
    }
    let all = logs::parse("").expect("it parses");
    time("top service.name", &|| {
        let values = logs::top_values(snapshot, &all, everything, "service.name", 10, &budget()).expect("an answer");
        values.len() as u64
    });
    for text in [
        r#"sum(rate({service_name=~".+"}[5m]))"#,
        r#"sum by (detected_level) (count_over_time({service_name=~".+"} |= "error" [1m]))"#,
        r#"topk(2, sum by (service_name) (bytes_over_time({service_name=~".+"}[1m])))"#,
        r#"sum(count_over_time({service_name=~".+"} | http_response_status_code >= 500 [1m]))"#,
        r#"sum(count_over_time({service_name=~".+"} |~ "blk_-?[0-9]+ term" [1m]))"#,
        r#"{service_name=~".+"} |~ "closed after [0-9]{3}1 ms""#,
    ] {
        time(text, &|| match logql::parse(text).expect("it parses") {
            Expr::Log(log) => {
                let found = logql::select(Some(snapshot), &log, everything, Direction::NewestFirst, 100, 0, &budget());
                found.expect("an answer").entries.len() as u64
            }
            Expr::Metric(metric) => {
                let (start_ns, end_ns) = (everything.start_ns, everything.end_ns);
                let found = logql::range(
                    Some(snapshot),
                    &metric,
                    start_ns,
                    end_ns,
                    60_000_000_000,
                    logql::By::Ruler,
                    &budget(),
                );
                match found.expect("an answer").value {
                    Value::Matrix(series) => series.iter().map(|(_, points)| points.len() as u64).sum(),
                    _ => 0,
                }
            }
        });
    }
}
