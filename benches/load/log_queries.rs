//! What do log searches cost? The log load is pushed once, the server is stopped and started again, so that records come from
//! indexed blocks, and every search is asked over HTTP, warm, and again in this process.

use std::path::Path;
use std::time::Instant;

use model::{NsRange, TenantId};
use query::logql;
use query::logs::{self, Direction};
use store::Snapshot;

use crate::http::Connection;
use crate::logs::{request, requests, start_ns};
use crate::options::Options;
use crate::push::{self, push};
use crate::server::Server;
use crate::timing::{Cost, RUNS, cost, median};

const CPU_RUNS: u32 = 20;
const MINUTE_NS: i64 = 60_000_000_000;

enum Kind {
    /// By severity and time; the counts together are the count.
    Histogram,
    Newest(usize),
    /// Values of a field.
    Top(&'static str),
    /// Lines of a LogQL query, newest first.
    Lines(usize),
    /// Series of a LogQL query, a point a minute.
    Samples,
}

struct Asked {
    what: &'static str,
    search: &'static str,
    kind: Kind,
    /// What is aimed at, in ms; 0 for nothing.
    goal_ms: u32,
}

const ASKED: [Asked; 26] = [
    Asked { what: "count of a term of many records", search: "error", kind: Kind::Histogram, goal_ms: 65 },
    Asked {
        what: "count of a term of 3 %",
        search: "aborting OR freezing OR state",
        kind: Kind::Histogram,
        goal_ms: 65,
    },
    Asked { what: "count of a phrase", search: "\"Executor updated: app\"", kind: Kind::Histogram, goal_ms: 20 },
    Asked {
        what: "count of a phrase with a rare number",
        search: "\"invalid user admin from 173.234.31.186 port 4712\"",
        kind: Kind::Histogram,
        goal_ms: 0,
    },
    Asked { what: "absent word", search: "zzyzx", kind: Kind::Histogram, goal_ms: 2 },
    Asked {
        what: "absent trace id",
        search: "trace_id:ffffffffffffffffffffffffffffff00",
        kind: Kind::Newest(100),
        goal_ms: 2,
    },
    Asked { what: "rare number", search: "548366 OR 123457", kind: Kind::Histogram, goal_ms: 8 },
    Asked { what: "substring", search: "\"ssword\"", kind: Kind::Histogram, goal_ms: 0 },
    Asked {
        what: "regex over everything",
        search: "/(?i)(fail|refus)\\w* .*port [0-9]+/",
        kind: Kind::Histogram,
        goal_ms: 115,
    },
    Asked { what: "regex with a text in it", search: "/blk_[0-9]+ term/", kind: Kind::Histogram, goal_ms: 115 },
    Asked { what: "regex of digits", search: "/[0-9]{6}$/", kind: Kind::Histogram, goal_ms: 115 },
    Asked { what: "number of a field", search: "http.status:500", kind: Kind::Histogram, goal_ms: 0 },
    Asked { what: "histogram of everything", search: "", kind: Kind::Histogram, goal_ms: 12 },
    Asked { what: "newest 100 of a term", search: "error", kind: Kind::Newest(100), goal_ms: 10 },
    Asked { what: "newest 100", search: "", kind: Kind::Newest(100), goal_ms: 0 },
    Asked { what: "count by service", search: "", kind: Kind::Top("service.name"), goal_ms: 12 },
    Asked { what: "count by status", search: "", kind: Kind::Top("http.status"), goal_ms: 0 },
    Asked { what: "count by service of a term", search: "error", kind: Kind::Top("service.name"), goal_ms: 0 },
    Asked {
        what: "rate of everything",
        search: r#"sum(rate({service_namespace="load"}[5m]))"#,
        kind: Kind::Samples,
        goal_ms: 0,
    },
    Asked {
        what: "errors by level",
        search: r#"sum by (detected_level) (count_over_time({service_namespace="load"} |= "error" [5m]))"#,
        kind: Kind::Samples,
        goal_ms: 0,
    },
    Asked {
        what: "largest by label",
        search: r#"topk(3, sum by (service_name) (bytes_over_time({service_namespace="load"}[5m])))"#,
        kind: Kind::Samples,
        goal_ms: 0,
    },
    Asked {
        what: "count by structured metadata",
        search: r#"sum by (http_status) (count_over_time({service_name=~"service-0[0-3]"} | http_status >= 500 [5m]))"#,
        kind: Kind::Samples,
        goal_ms: 0,
    },
    Asked {
        what: "JSON of lines that are none",
        search: r#"sum(count_over_time({service_name="service-04"} | json | __error__="" | status >= 500 [5m]))"#,
        kind: Kind::Samples,
        goal_ms: 0,
    },
    Asked {
        what: "unwrapped logfmt",
        search: r#"sum by (service_name) (avg_over_time({service_name="service-15"} | logfmt | unwrap pid [5m]))"#,
        kind: Kind::Samples,
        goal_ms: 0,
    },
    Asked {
        what: "newest 100 lines of a regex",
        search: r#"{service_namespace="load"} |~ "port [0-9]{3}[13]""#,
        kind: Kind::Lines(100),
        goal_ms: 0,
    },
    Asked {
        what: "lines of an absent regex",
        search: r#"{service_namespace="load"} |~ "port [0-9]+ closed by""#,
        kind: Kind::Lines(100),
        goal_ms: 0,
    },
];

pub(crate) fn run(options: &Options) {
    let home = tempfile::tempdir().expect("a folder for the data");
    let records = requests(options.scale);
    let server = Server::start(home.path());
    let pushed = push(&server, options, push::LOGS, records, request);
    pushed.print(push::LOGS);
    server.stop();
    crate::print_disk(home.path(), push::LOGS, pushed.items);
    let range = NsRange { start_ns: start_ns() as i64 - MINUTE_NS, end_ns: start_ns() as i64 + 86_400_000_000_000 };
    let server = Server::start(home.path());
    let mut connection = Connection::open(&server.http);
    println!("{:.1} MB resident before the first search", server.resident_bytes() as f64 / 1e6);
    println!("{:>8} {:>8} {:>8} {:>8} {:>8}  search over HTTP", "wall ms", "cpu ms", "peak MB", "after MB", "goal ms");
    for asked in &ASKED {
        let Some(path) = asked.path(range) else { continue };
        let Cost { wall_ms, cpu_ms, peak_mb, after_mb } = cost(&server, CPU_RUNS, || drop(connection.get(&path)));
        println!(
            "{wall_ms:>8.1} {cpu_ms:>8.1} {peak_mb:>8.1} {after_mb:>8.1} {:>8}  {}: {}",
            asked.goal_ms, asked.what, asked.search
        );
    }
    drop(connection);
    server.stop();
    in_process(home.path(), range);
}

impl Asked {
    fn path(&self, range: NsRange) -> Option<String> {
        let search: String = url::form_urlencoded::byte_serialize(self.search.as_bytes()).collect();
        let span = format!("q={search}&from={}&to={}", range.start_ns, range.end_ns);
        match self.kind {
            Kind::Histogram => Some(format!("/api/v1/logs/histogram?{span}&buckets=1000")),
            Kind::Newest(limit) => Some(format!("/api/v1/logs?{span}&limit={limit}")),
            Kind::Top(_) => None,
            Kind::Lines(_) | Kind::Samples => {
                let limit = if let Kind::Lines(limit) = self.kind { limit } else { 100 };
                let span = format!("query={search}&start={}&end={}", range.start_ns, range.end_ns);
                Some(format!("/loki/api/v1/query_range?{span}&step=60&limit={limit}"))
            }
        }
    }

    /// What was found, and how much of it was read.
    fn ask(&self, snapshot: &Snapshot, range: NsRange, threads: usize) -> (u64, u64) {
        let budget = query::Limits { threads, ..query::Limits::default() }.start();
        if let Kind::Lines(_) | Kind::Samples = self.kind {
            return self.ask_logql(snapshot, range, &budget);
        }
        let search = logs::parse(self.search).expect("it parses");
        match self.kind {
            Kind::Histogram => {
                let (buckets, stats) =
                    logs::histogram(snapshot, &search, range, MINUTE_NS, &budget).expect("it is answered");
                (buckets.iter().flat_map(|bucket| bucket.counts).sum(), stats.blocks_scanned)
            }
            Kind::Newest(limit) => {
                let found = logs::search(snapshot, &search, range, Direction::NewestFirst, limit, None, &budget);
                let found = found.expect("it is answered");
                (found.rows.len() as u64, found.stats.blocks_scanned)
            }
            Kind::Top(field) => {
                let found = logs::top_values(snapshot, &search, range, field, 100, &budget).expect("it is answered");
                (found.iter().map(|(_, count)| count).sum(), 0)
            }
            Kind::Lines(_) | Kind::Samples => (0, 0),
        }
    }

    /// Lines or points that were found, and blocks read.
    fn ask_logql(&self, snapshot: &Snapshot, range: NsRange, budget: &query::Budget) -> (u64, u64) {
        match (logql::parse(self.search).expect("it parses"), &self.kind) {
            (logql::Expr::Log(log), Kind::Lines(limit)) => {
                let found = logql::select(Some(snapshot), &log, range, Direction::NewestFirst, *limit, 0, budget);
                let found = found.expect("it is answered");
                (found.entries.len() as u64, found.stats.blocks_scanned)
            }
            (logql::Expr::Metric(metric), _) => {
                let found = logql::range(
                    Some(snapshot),
                    &metric,
                    range.start_ns,
                    range.end_ns,
                    MINUTE_NS,
                    logql::By::Ruler,
                    budget,
                );
                let found = found.expect("it is answered");
                let points = match &found.value {
                    logql::Value::Matrix(series) => series.iter().map(|(_, points)| points.len()).sum(),
                    _ => 0,
                };
                (points as u64, found.stats.blocks_scanned)
            }
            _ => (0, 0),
        }
    }
}

/// The engine and the store alone, on one thread and on two.
fn in_process(home: &Path, range: NsRange) {
    let now_ms = (binnacle::clock::now_ns() / 1_000_000) as i64;
    let store = store::Store::open(store::Options::new(home.join("data")), now_ms).expect("the store opens");
    let tenant = TenantId::new("default").expect("it is a name");
    let tenant = store.existing_tenant(&tenant).expect("it opens").expect("it was written");
    println!("\nin this process:\n{:>8} {:>8} {:>9} {:>8}  search", "1 thread", "2", "found", "blocks");
    for asked in &ASKED {
        let time = |threads: usize| {
            let begun = Instant::now();
            let found = asked.ask(&tenant.snapshot().expect("it is open"), range, threads);
            (begun.elapsed(), found)
        };
        let (found, blocks) = time(2).1;
        let of = |threads| median((0..RUNS).map(|_| time(threads).0).collect()).as_secs_f64() * 1e3;
        println!("{:>8.1} {:>8.1} {found:>9} {blocks:>8}  {}: {}", of(1), of(2), asked.what, asked.search);
    }
}
