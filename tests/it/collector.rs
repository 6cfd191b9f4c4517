//! A real OpenTelemetry Collector between senders and the appliance: both of its OTLP exporters, its own metrics, and what it makes of
//! refusals, limits and kills. `tests/collector/setup` builds it; without it these tests say so and pass.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use chance::Random;
use reqwest::header::CONTENT_TYPE;
use rustix::process::Signal;

use crate::appliance::{Appliance, client};
use crate::free_address::free_address;
use crate::otlp;
use crate::peers::Peer;
use crate::until::until;

/// The Collector waits longer and longer between attempts, up to this.
const RETRY_MAX: &str = "1s";
const WITHIN: Duration = Duration::from_secs(60);
/// Records of one request, and samples of one.
const ROWS: u64 = 5;

/// A receiver of the Collector and the exporter that all it takes goes to.
struct Pipe {
    /// What stands in the data as `service.name`, too.
    name: String,
    address: String,
    exporter: String,
}

impl Pipe {
    fn new(kind: &str, variant: &str, more: &str) -> Pipe {
        // One request under way at a time, and none given up: the Collector's own defaults are 10 and five minutes.
        let exporter = format!(
            "  {kind}/{variant}: {{{more}, sending_queue: {{queue_size: 10000, num_consumers: 1}}, retry_on_failure: {{initial_interval: 100ms, max_interval: {RETRY_MAX}, max_elapsed_time: 0}}}}\n"
        );
        Pipe { name: format!("{kind}/{variant}"), address: free_address(), exporter }
    }

    fn grpc(to: &str, compression: &str) -> Pipe {
        let to = to.trim_start_matches("http://");
        let more = format!("endpoint: '{to}', tls: {{insecure: true}}, compression: {compression}");
        Pipe::new("otlp_grpc", compression, &more)
    }

    fn http(to: &str, compression: &str, encoding: &str) -> Pipe {
        let more = format!("endpoint: '{to}', compression: {compression}, encoding: {encoding}");
        Pipe::new("otlp_http", &format!("{compression}-{encoding}"), &more)
    }
}

struct Collector<'home> {
    home: &'home Path,
    pipes: Vec<Pipe>,
    client: reqwest::Client,
    peer: Peer,
}

impl Collector<'_> {
    /// Starts it; its own metrics go to an OTLP/HTTP address. `None` where there is no Collector.
    async fn start<'home>(home: &'home Path, pipes: Vec<Pipe>, own_to: &str) -> Option<Collector<'home>> {
        let (mut receivers, mut exporters, mut pipelines) = (String::new(), String::new(), String::new());
        for Pipe { name, address, exporter } in &pipes {
            receivers += &format!("  otlp/{name}: {{protocols: {{http: {{endpoint: '{address}'}}}}}}\n");
            exporters += exporter;
            for signal in ["metrics", "logs"] {
                pipelines += &format!(
                    "    {signal}/{name}: {{receivers: [otlp/{name}], processors: [memory_limiter], exporters: [{name}]}}\n"
                );
            }
        }
        let reader = format!(
            "{{periodic: {{interval: 1000, exporter: {{otlp: {{protocol: http/protobuf, endpoint: '{own_to}/v1/metrics'}}}}}}}}"
        );
        let config = format!(
            "receivers:\n{receivers}processors:\n  memory_limiter: {{check_interval: 1s, limit_mib: 256}}\nexporters:\n{exporters}service:\n  telemetry: {{resource: {{service.name: gateway}}, logs: {{sampling: {{enabled: false}}}}, metrics: {{readers: [{reader}]}}}}\n  pipelines:\n{pipelines}"
        );
        std::fs::write(home.join("otelcol.yml"), config).unwrap();
        let mut collector = Collector { home, pipes, client: client(), peer: Peer::collector(home)? };
        for pipe in 0..collector.pipes.len() {
            let Pipe { name, address, .. } = &collector.pipes[pipe];
            let (what, address) = (format!("{name} listened"), address.clone());
            until(&what, WITHIN, || {
                if let Some(status) = collector.peer.ended() {
                    panic!("{status} before {what}: {}", collector.log());
                }
                let connected = tokio::net::TcpStream::connect(address.clone());
                async { connected.await.ok() }
            })
            .await;
        }
        Some(collector)
    }

    /// Hands it a request, which it takes into its queue.
    async fn push(&self, pipe: &Pipe, path: &str, body: Vec<u8>) {
        let request = self.client.post(format!("http://{}{path}", pipe.address));
        let reply = request.header(CONTENT_TYPE, "application/x-protobuf").body(body).send().await.unwrap();
        assert_eq!(reply.status(), 200, "{}: {}", pipe.name, self.log());
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.home.join("otelcol.log")).unwrap()
    }

    /// Waits for a line of its log with all of some words.
    async fn says(&self, words: &[&str]) {
        until(&format!("a line with {words:?}"), WITHIN, || async {
            self.log().lines().any(|line| words.iter().all(|word| line.contains(word))).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn both_exporters_get_through_however_they_compress() {
    if crate::peers::program("collector", "otelcol").is_none() {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let appliance = Appliance::start(home.path());
    let compressions = ["none", "gzip", "snappy", "zstd"];
    let grpc = compressions.iter().map(|compression| Pipe::grpc(&appliance.otlp_grpc, compression));
    let http = compressions.iter().chain(&["deflate", "zlib", "x-snappy-framed"]);
    let http = http.map(|compression| Pipe::http(&appliance.otlp_http, compression, "proto"));
    let json = Pipe::http(&appliance.otlp_http, "gzip", "json");
    let pipes: Vec<Pipe> = grpc.chain(http).chain([json]).collect();
    let collector = Collector::start(home.path(), pipes, &appliance.otlp_http).await.unwrap();
    let now_ns = binnacle::clock::now_ns();
    for pipe in &collector.pipes {
        let lines = [(now_ns, "through the Collector".to_owned()), (1, "of long ago".to_owned())];
        collector.push(pipe, "/v1/logs", otlp::logs(&pipe.name, &lines)).await;
        let points = [(now_ns, 1.5), (1_000_000, 2.5)];
        collector.push(pipe, "/v1/metrics", otlp::gauge(&pipe.name, "through.collector", &points)).await;
    }
    for Pipe { name, .. } in &collector.pipes {
        let stored = async || {
            let values = appliance.query(&format!("through_collector{{service_name=\"{name}\"}}")).await;
            let lines = appliance.logs(&format!("service.name:\"{name}\"")).await;
            (values.len() == 1 && lines.len() == 1).then(|| (values[0]["value"][1].clone(), lines[0]["body"].clone()))
        };
        let (value, line) = until(&format!("what came by {name}"), WITHIN, stored).await;
        assert_eq!((value, line), ("1.5".into(), "through the Collector".into()), "{name}");
        // What is refused for good is refused alone, and said where the operator of the Collector looks.
        collector.says(&[name, "Partial success", "too_old", "\"dropped_log_records\": 1"]).await;
        collector.says(&[name, "Partial success", "too_old", "\"dropped_data_points\": 1"]).await;
    }
    let count = format!("sum(otelcol_exporter_sent_log_records_total) == {}", 2 * collector.pipes.len());
    until("its own metrics", WITHIN, || async { appliance.query(&count).await.pop() }).await;
}

/// What was handed to the Collector, by each of its pipes.
#[derive(Default)]
struct Sent {
    requests: u64,
}

impl Sent {
    /// Hands each pipe some requests more of both signals.
    async fn push(&mut self, collector: &Collector<'_>, requests: u64, base_ns: u64) {
        for request in self.requests..self.requests + requests {
            let at = |row: u64| base_ns + (request * ROWS + row) * 10_000_000;
            for pipe in &collector.pipes {
                let points: Vec<(u64, f64)> = (0..ROWS).map(|row| (at(row), (request * ROWS + row) as f64)).collect();
                collector.push(pipe, "/v1/metrics", otlp::gauge(&pipe.name, "behind.collector", &points)).await;
                let lines: Vec<(u64, String)> =
                    (0..ROWS).map(|row| (at(row), format!("record {request}-{row}"))).collect();
                collector.push(pipe, "/v1/logs", otlp::logs(&pipe.name, &lines)).await;
            }
        }
        self.requests += requests;
    }

    /// Every sample once and every record at least once; returns how many records stand there again.
    async fn check(&self, appliance: &Appliance, pipe: &Pipe) -> usize {
        let expr = format!("behind_collector{{service_name=\"{}\"}}[2h]", pipe.name);
        let of = format!("service.name:\"{}\"", pipe.name);
        let expected: Vec<String> = (0..self.requests * ROWS).map(|value| value.to_string()).collect();
        let values = async || {
            let rows = appliance.query(&expr).await;
            let values = rows.first()?["values"].as_array()?.iter();
            Some(values.map(|point| point[1].as_str().unwrap().to_owned()).collect::<Vec<String>>())
        };
        let complete = async || values().await.filter(|values| values.len() >= expected.len());
        assert_eq!(until(&format!("all samples of {}", pipe.name), WITHIN, complete).await, expected, "{}", pipe.name);
        let every = async || {
            let mut lines: BTreeMap<String, usize> = BTreeMap::new();
            for row in appliance.logs(&of).await {
                *lines.entry(row["body"].as_str().unwrap().to_owned()).or_default() += 1;
            }
            (lines.len() >= expected.len()).then_some(lines)
        };
        let lines = until(&format!("all records of {}", pipe.name), WITHIN, every).await;
        assert_eq!(lines.len(), expected.len(), "{}", pipe.name);
        lines.values().sum::<usize>() - lines.len()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_and_kills_lose_nothing_behind_it() {
    if crate::peers::program("collector", "otelcol").is_none() {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let (http, grpc, own) = (free_address(), free_address(), free_address());
    let start = |limits: &str| {
        let text = format!("[rules]\nbuiltin = false\n[host_metrics]\nenabled = false\n[limits]\n{limits}\n");
        std::fs::write(home.path().join("binnacle.toml"), text).unwrap();
        Appliance::start_with(home.path(), &["--listen-otlp-http", &http, "--listen-otlp-grpc", &grpc])
    };
    let pipes = vec![Pipe::grpc(&grpc, "gzip"), Pipe::http(&format!("http://{http}"), "zstd", "proto")];
    // Nobody listens for its own metrics: they are not part of this.
    let collector = Collector::start(home.path(), pipes, &format!("http://{own}")).await.unwrap();
    let names: Vec<&str> = collector.pipes.iter().map(|pipe| pipe.name.as_str()).collect();
    let base_ns = binnacle::clock::now_ns() - 3_600_000_000_000;
    let mut sent = Sent::default();

    // Refused with an answer: the disk is too full, then both signals come too fast. Nothing of these can be there already.
    let full = start("disk_free_min = \"999TiB\"");
    sent.push(&collector, 3, base_ns).await;
    collector.says(&[names[0], "Will retry", "Unavailable"]).await;
    collector.says(&[names[1], "Will retry", "503"]).await;
    full.signal(Signal::KILL);
    drop(full);
    let slow = start("samples_per_second = 2\nlog_bytes_per_second = \"1KiB\"");
    sent.push(&collector, 20, base_ns).await;
    collector.says(&[names[0], "Will retry", "ResourceExhausted"]).await;
    collector.says(&[names[1], "Will retry", "429"]).await;
    slow.terminate();
    let appliance = start("");
    for pipe in &collector.pipes {
        assert_eq!(sent.check(&appliance, pipe).await, 0, "{} doubled what was refused", pipe.name);
    }

    // Killed under load: what was stored and not answered comes again, of logs (OTLP has no mark for that), one request a kill.
    let mut random = Random::new(chance::seed(17));
    let mut appliance = appliance;
    let kills = 6;
    for _ in 0..kills {
        sent.push(&collector, 5 + random.below(20_u64), base_ns).await;
        appliance.signal(Signal::KILL);
        drop(appliance);
        sent.push(&collector, 2, base_ns).await;
        appliance = start("");
    }
    for pipe in &collector.pipes {
        let again = sent.check(&appliance, pipe).await;
        assert!(again <= kills * ROWS as usize, "{}: {again} records stand there again", pipe.name);
    }
    let log = collector.log();
    assert!(!log.contains("Dropping data") && !log.contains("dropped_"), "{log}");
}
