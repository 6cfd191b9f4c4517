//! A running `binnacle serve` with a data folder of its own, on free ports of loopback.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use serde_json::Value;

/// From the start of the process to its `ready` line, on a loaded machine.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// For a stop in order.
const STOPPED_WITHIN: Duration = Duration::from_secs(30);

pub(crate) struct Appliance {
    child: Child,
    pub(crate) http: String,
    pub(crate) otlp_http: String,
    pub(crate) otlp_grpc: String,
    client: reqwest::Client,
    /// How often a request is made again whose connection was closed.
    retries: usize,
    log: PathBuf,
}

impl Appliance {
    /// Starts over a folder that holds (or will hold) `data/`, and optionally `binnacle.toml` and `notify.yml`.
    pub(crate) fn start(home: &Path) -> Appliance {
        Appliance::start_with(home, &[])
    }

    pub(crate) fn start_with(home: &Path, args: &[&str]) -> Appliance {
        Appliance::start_in(home, args, &[])
    }

    /// As [`Appliance::start_with`], with more in its environment.
    pub(crate) fn start_in(home: &Path, args: &[&str], env: &[(String, String)]) -> Appliance {
        let log = home.join("stderr.log");
        let stderr = std::fs::OpenOptions::new().create(true).append(true).open(&log).unwrap();
        // Another build of the same program, a release for one, when asked for.
        let program = std::env::var("BINNACLE_BIN").unwrap_or_else(|_| env!("CARGO_BIN_EXE_binnacle").into());
        let listeners = ["--listen-http", "--listen-otlp-http", "--listen-otlp-grpc"];
        let free = listeners.into_iter().filter(|listener| !args.contains(listener));
        let mut child = Command::new(program)
            .current_dir(home)
            .arg("serve")
            .args(free.flat_map(|listener| [listener, "127.0.0.1:0"]))
            .args(args)
            .envs(env.iter().map(|(name, value)| (name, value)))
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()
            .unwrap();
        let stdout = child.stdout.take().unwrap();
        let (tell, told) = mpsc::channel();
        std::thread::spawn(move || {
            let mut line = String::new();
            let read = BufReader::new(stdout).read_line(&mut line);
            // The receiver is gone only if the test has failed already.
            drop(tell.send(read.map(|_| line)));
        });
        let line = told.recv_timeout(READY_WITHIN).unwrap_or_else(|_| panic!("not ready: {}", tail(&log))).unwrap();
        let field = |name: &str| {
            let found = line.split_whitespace().find_map(|part| part.strip_prefix(name));
            found.unwrap_or_else(|| panic!("no {name} in {line:?}: {}", tail(&log))).to_owned()
        };
        assert!(line.starts_with("ready "), "{line:?}: {}", tail(&log));
        Appliance {
            http: format!("http://{}", field("http=")),
            otlp_http: format!("http://{}", field("otlp_http=")),
            otlp_grpc: format!("http://{}", field("otlp_grpc=")),
            child,
            client: client(),
            retries: 0,
            log,
        }
    }

    /// `SIGTERM`, and the end that must follow it.
    pub(crate) fn terminate(mut self) {
        self.signal(rustix::process::Signal::TERM);
        let deadline = std::time::Instant::now() + STOPPED_WITHIN;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                assert!(status.success(), "{status}: {}", tail(&self.log));
                return;
            }
            assert!(std::time::Instant::now() < deadline, "does not stop: {}", tail(&self.log));
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Of the process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// For a server whose clock goes fast, which soon gives up on a slow client: each request takes a connection of its own, and some
    /// are made again.
    pub(crate) fn goes_fast(&mut self) {
        self.client = client_builder().pool_max_idle_per_host(0).build().unwrap();
        self.retries = 20;
    }

    pub(crate) async fn send(&self, request: reqwest::RequestBuilder) -> reqwest::Result<reqwest::Response> {
        for _ in 0..self.retries {
            let again = request.try_clone().expect("its body is at hand");
            if let Ok(reply) = again.send().await {
                return Ok(reply);
            }
        }
        request.send().await
    }

    pub(crate) fn client(&self) -> &reqwest::Client {
        &self.client
    }

    /// `GET` of a path of the UI and query address: status and body.
    pub(crate) async fn get(&self, path: &str) -> (u16, String) {
        let reply = self.send(self.client.get(format!("{}{path}", self.http))).await.unwrap();
        (reply.status().as_u16(), reply.text().await.unwrap())
    }

    /// An instant query of the `default` tenant: the `result` of a success.
    pub(crate) async fn query(&self, expr: &str) -> Vec<Value> {
        let url = format!("{}/api/v1/query", self.http);
        let reply = self.client.post(url).form(&[("query", expr)]).send().await.unwrap();
        let body: Value = serde_json::from_str(&reply.text().await.unwrap()).unwrap();
        assert_eq!(body["status"], "success", "{expr}: {body}");
        body["data"]["result"].as_array().unwrap().clone()
    }

    /// All rows of a log search, oldest first.
    pub(crate) async fn logs(&self, query: &str) -> Vec<Value> {
        let mut rows: Vec<Value> = Vec::new();
        loop {
            let mut params = vec![
                ("q", query.to_owned()),
                ("from", "1970-01-01T00:00:00Z".into()),
                ("to", "2100-01-01T00:00:00Z".into()),
                ("direction", "oldest".into()),
                ("limit", "1000".into()),
            ];
            if let Some(last) = rows.last() {
                params.push(("cursor", last["cursor"].as_str().unwrap().into()));
            }
            let url = reqwest::Url::parse_with_params(&format!("{}/api/v1/logs", self.http), &params).unwrap();
            let reply = self.client.get(url).send().await.unwrap();
            assert_eq!(reply.status().as_u16(), 200);
            let body = reply.text().await.unwrap();
            let before = rows.len();
            rows.extend(body.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()));
            if rows.len() == before {
                return rows;
            }
        }
    }

    /// Pushes an OTLP/HTTP protobuf body; the status.
    pub(crate) async fn push(&self, path: &str, body: Vec<u8>) -> reqwest::Result<u16> {
        let url = format!("{}{path}", self.otlp_http);
        let request = self.client.post(url).header("content-type", "application/x-protobuf").body(body);
        let reply = self.send(request).await?;
        Ok(reply.status().as_u16())
    }
}

impl Drop for Appliance {
    fn drop(&mut self) {
        // Already gone after kill and terminate; after a failed test it must not outlive it.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

pub(crate) fn client() -> reqwest::Client {
    // Installed by whichever test comes first.
    drop(rustls::crypto::ring::default_provider().install_default());
    client_builder().build().unwrap()
}

/// The last lines of a log, for a failure's message.
fn tail(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}

fn client_builder() -> reqwest::ClientBuilder {
    reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(60))
}
