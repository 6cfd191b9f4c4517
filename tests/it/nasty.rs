//! Queries that ask for too much end in an answer or in an error that names the limit, and the process stays small.
//!
//! `NASTY_SCALE` makes the data so many times larger; `BINNACLE_BIN` names a release build to ask.

use std::time::Duration;

use binnacle::otlp_out;
use prost::Message as _;

use crate::appliance::Appliance;
use crate::otlp;

/// What the whole process may take: the system grants it no more of its own, and it never had more resident, files it maps included.
const MEMORY_MAX_BYTES: u64 = 256 << 20;
/// Records and series at scale 1.
const RECORDS: u64 = 20_000;
const SERIES: u64 = 1_000;
const RECORDS_A_REQUEST: u64 = 2_000;
const SPAN_S: u64 = 3_600;

/// One of these stands in every refusal: a setting, or what is wrong with the query.
const SAYS: [&str; 15] = [
    "query.memory_max",
    "query.memory_all_max",
    "query.samples_max",
    "query.series_max",
    "query.timeout",
    "query.concurrency",
    "parse error",
    "at most",
    "maximum",
    "max entries limit",
    "it may be 1 to",
    "nests deeper than",
    "too long",
    "longer than",
    "duplicate series",
];

enum Asked {
    /// PromQL over the span, in steps of so many seconds.
    Metrics(String, u64),
    /// LogQL over the span.
    Logs(String, u64),
    /// A path of the native log API, with what is asked and further parameters.
    Native(&'static str, String, &'static [(&'static str, &'static str)]),
}

fn nested(times: usize, open: &str, inner: &str, close: &str) -> String {
    format!("{}{inner}{}", open.repeat(times), close.repeat(times))
}

fn alternatives(count: usize) -> String {
    (0..count).map(|n| format!("word{n}x")).collect::<Vec<_>>().join("|")
}

fn asked() -> Vec<Asked> {
    let metrics = |query: &str, step_s| Asked::Metrics(query.into(), step_s);
    let logs = |query: &str, step_s| Asked::Logs(query.into(), step_s);
    let native = |path, search: &str, more| Asked::Native(path, search.into(), more);
    let all = r#"{service_name=~".+"}"#;
    let doubled = |inner: &str| nested(40, "label_replace(", inner, r#", "id", "$1$1$1$1", "id", "(.*)")"#);
    vec![
        metrics(r#"{__name__=~".+"}"#, 1),
        metrics("count by (id, service_name) (nasty_value)", 1),
        metrics("topk(100000, nasty_value)", 1),
        metrics("max_over_time(nasty_value[1h:1ms])", 60),
        metrics("max_over_time(sum_over_time(nasty_value[1h:1s])[1h:1s])", 60),
        metrics("quantile_over_time(0.5, nasty_value[1h])", 1),
        metrics("nasty_value * on () group_left () nasty_value", 1),
        metrics(&doubled("nasty_value"), 60),
        metrics(&nested(20_000, "(", "1", ")"), 60),
        metrics(&format!(r#"nasty_value{{id=~"{}"}}"#, alternatives(10_000)), 60),
        metrics(r#"nasty_value{id=~"((((a{1,99}){1,99}){1,99}){1,99})"}"#, 60),
        metrics("absent_over_time(nothing[100y])", 1),
        logs(&format!("sum by (id) (count_over_time({all} | logfmt [1h]))"), 1),
        logs(&format!("count_over_time({all} | json | __error__=`` [1m])"), 1),
        logs(&format!("topk(10, count_over_time({all} | logfmt [1h]))"), 10),
        logs(&format!("quantile_over_time(0.99, {all} | logfmt | unwrap took [1h]) by ()"), 60),
        logs(&format!("{all}{}", r#" | line_format "{{__line__}}{{__line__}}""#.repeat(30)), 60),
        logs(&format!("{all}{}", r#" | label_format a="{{.a}}{{.service_name}}{{.a}}""#.repeat(30)), 60),
        logs(&doubled(&format!("sum by (id) (rate({all} | logfmt [5m]))")), 60),
        logs(&format!("{all} |~ `{}`", alternatives(2_000)), 60),
        logs(&format!("{all} | json"), 60),
        native("", "", &[("limit", "5000"), ("direction", "newest")]),
        native("", &format!("/({})/", alternatives(1_000)), &[("limit", "1000")]),
        native("", &"e*".repeat(500), &[("limit", "1000")]),
        native("", &nested(2_000, "(", "error", ")"), &[("limit", "10")]),
        native("/histogram", "took", &[("buckets", "100000")]),
        native("/facets", "", &[("fields", "id,took,body,key1,key2,key3,service.name"), ("limit", "1000")]),
        native("/patterns", "", &[]),
        native("/export", "", &[]),
    ]
}

/// A line of its own each: most are logfmt, some are JSON of a thousand keys, few are long.
fn line(n: u64) -> String {
    if n.is_multiple_of(500) {
        let keys: Vec<String> = (0..1_000).map(|key| format!(r#""key{key}":"{}""#, n + key)).collect();
        return format!("{{{}}}", keys.join(","));
    }
    let filler = if n % 5_001 == 7 { "long ".repeat(20_000) } else { String::new() };
    format!("level=info id={n:x} took={} path=/p/{} says=\"{filler}all is well with number {n}\"", n % 977, n % 100)
}

async fn fill(appliance: &Appliance, start_ns: u64, scale: u64) {
    let (records, series) = (RECORDS * scale, SERIES * scale.min(10));
    for first in (0..records).step_by(RECORDS_A_REQUEST as usize) {
        let at_ns = |n: u64| start_ns + n * (SPAN_S * 1_000_000_000 / records);
        let rows: Vec<(u64, String)> = (first..first + RECORDS_A_REQUEST).map(|n| (at_ns(n), line(n))).collect();
        let service = format!("service-{}", first / RECORDS_A_REQUEST % 4);
        assert_eq!(appliance.push("/v1/logs", otlp::logs(&service, &rows)).await.unwrap(), 200);
    }
    for at_s in (0..SPAN_S).step_by(60) {
        let at_ns = start_ns + at_s * 1_000_000_000;
        let point = |n: u64| otlp_out::point(at_ns, 0, n as f64, &[("id", &format!("{n:08}"))]);
        let gauge = otlp_out::gauge("nasty.value", "", "", (0..series).map(point).collect());
        let from = otlp_out::resource(&[("service.name", "nasty")]);
        let body = otlp_out::request(vec![otlp_out::resource_metrics(from, "it", vec![gauge])]).encode_to_vec();
        assert_eq!(appliance.push("/v1/metrics", body).await.unwrap(), 200);
    }
}

async fn ask(appliance: &Appliance, asked: &Asked, start_ns: u64) -> (u16, usize, String) {
    let end_ns = start_ns + SPAN_S * 1_000_000_000;
    let (start_s, end_s) = (start_ns / 1_000_000_000, end_ns / 1_000_000_000);
    let client = appliance.client();
    let request = match asked {
        Asked::Metrics(query, step_s) => client.post(format!("{}/api/v1/query_range", appliance.http)).form(&[
            ("query", query.clone()),
            ("start", start_s.to_string()),
            ("end", end_s.to_string()),
            ("step", step_s.to_string()),
        ]),
        Asked::Logs(query, step_s) => client.post(format!("{}/loki/api/v1/query_range", appliance.http)).form(&[
            ("query", query.clone()),
            ("start", start_ns.to_string()),
            ("end", end_ns.to_string()),
            ("step", step_s.to_string()),
            ("limit", "5000".into()),
        ]),
        Asked::Native(path, search, more) => {
            let span = [("q", search.clone()), ("from", start_ns.to_string()), ("to", end_ns.to_string())];
            let more = more.iter().map(|(name, value)| (*name, (*value).to_owned()));
            let url = format!("{}/api/v1/logs{path}", appliance.http);
            client.get(reqwest::Url::parse_with_params(&url, span.into_iter().chain(more)).unwrap())
        }
    };
    let reply = request.timeout(Duration::from_secs(120)).send().await.unwrap();
    let status = reply.status().as_u16();
    // An answer that broke off would be an error here.
    let body = reply.bytes().await.unwrap();
    let shown = String::from_utf8_lossy(&body[..body.len().min(2_000)]).into_owned();
    (status, body.len(), shown)
}

/// From here on an allocation beyond the limit fails, which ends the process.
fn confine(appliance: &Appliance) {
    use rustix::process::{Pid, Resource, Rlimit, prlimit};
    let limit = Rlimit { current: Some(MEMORY_MAX_BYTES), maximum: Some(MEMORY_MAX_BYTES) };
    prlimit(Pid::from_raw(appliance.id().cast_signed()), Resource::Data, limit).unwrap();
}

/// Most memory that the process ever had resident, in bytes.
fn peak_bytes(appliance: &Appliance) -> u64 {
    let id = appliance.id().cast_signed();
    let status = procfs::process::Process::new(id).unwrap().status().unwrap();
    status.vmhwm.unwrap() * 1024
}

/// Tells how it ended; what is wrong with that, if anything is.
fn check(asked: &Asked, (status, bytes, shown): (u16, usize, String)) -> Option<String> {
    let (kind, query) = match asked {
        Asked::Metrics(query, _) => ("PromQL", query),
        Asked::Logs(query, _) => ("LogQL", query),
        Asked::Native(path, search, _) => (*path, search),
    };
    let query: String = query.chars().take(100).collect();
    println!("{status} {bytes} bytes: {kind} {query}");
    if status == 200 {
        return None;
    }
    println!("    {}", shown.chars().take(400).collect::<String>());
    let is_told = (400..600).contains(&status) && SAYS.iter().any(|says| shown.contains(says));
    (!is_told).then(|| format!("{kind} {query}: {status} {shown}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queries_that_ask_for_too_much_end_and_the_process_stays_small() {
    let scale = std::env::var("NASTY_SCALE").ok().and_then(|scale| scale.parse().ok()).unwrap_or(1);
    let home = tempfile::tempdir().unwrap();
    // Short, so that what is slow in a debug build ends too.
    std::fs::write(home.path().join("binnacle.toml"), "[query]\ntimeout = \"10s\"\n").unwrap();
    let appliance = Appliance::start(home.path());
    confine(&appliance);
    let start_ns = binnacle::clock::now_ns() - 2 * SPAN_S * 1_000_000_000;
    fill(&appliance, start_ns, scale).await;
    println!("{} MB resident at most while records came", peak_bytes(&appliance) / 1_000_000);
    // Readers that take nothing of what they are told.
    let mut slow = Vec::new();
    for _ in 0..4 {
        let url = format!("{}/api/v1/logs/tail?q=", appliance.http);
        slow.push(appliance.client().get(url).send().await.unwrap());
    }
    let mut wrong = Vec::new();
    for asked in asked() {
        wrong.extend(check(&asked, ask(&appliance, &asked, start_ns).await));
        println!("    {} MB resident at most", peak_bytes(&appliance) / 1_000_000);
    }
    fill(&appliance, start_ns + 1, 1).await;
    // All of them, several at a time.
    let all = asked();
    for together in all.chunks(8) {
        let answers =
            futures_util::future::join_all(together.iter().map(|asked| ask(&appliance, asked, start_ns))).await;
        wrong.extend(together.iter().zip(answers).filter_map(|(asked, answer)| check(asked, answer)));
    }
    assert_eq!(wrong, Vec::<String>::new());
    let peak = peak_bytes(&appliance);
    println!("{} MB resident at most", peak / 1_000_000);
    assert!(peak <= MEMORY_MAX_BYTES, "{} MB", peak / 1_000_000);
    // And it goes on.
    assert_eq!(appliance.query("vector(1)").await.len(), 1);
    assert_eq!(appliance.get("/ready").await.0, 200);
    drop(slow);
    appliance.terminate();
}
