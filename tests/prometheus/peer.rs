//! A Prometheus process, and the pair of servers that hold the same data.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::appliance::Appliance;
use crate::data::{self, Series};
use crate::free_address::free_address;
use crate::until::until;

pub(crate) const READY_WITHIN: Duration = Duration::from_secs(60);

/// Of its own, so that what we say of ourselves is not in the answers. Prometheus knows no tenants.
const TENANT: (&str, &str) = ("x-scope-orgid", "compared");

/// The headers of a remote write request.
pub(crate) const WRITTEN: [(&str, &str); 3] = [
    ("content-type", "application/x-protobuf"),
    ("content-encoding", "snappy"),
    ("x-prometheus-remote-write-version", "0.1.0"),
];

/// What is on by default in later versions, or always here.
const FEATURES: &str = "native-histograms,exemplar-storage,promql-experimental-functions,promql-delayed-name-removal,promql-duration-expr,promql-per-step-stats";

/// A request may hold a series' floats before its histograms.
const CONFIG: &str = "global: {evaluation_interval: 1m}\nstorage: {tsdb: {out_of_order_time_window: 1d}}\n";

pub(crate) struct Prometheus {
    child: Child,
    pub(crate) http: String,
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Where the binary is, or `None` with a word on it.
fn binary() -> Option<PathBuf> {
    let binary = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/prometheus/usr/bin/prometheus");
    if !binary.exists() {
        println!("skipped: no {}; tests/prometheus/setup puts it there", binary.display());
        return None;
    }
    Some(binary)
}

impl Prometheus {
    /// Starts one over a folder. `config` gets the address that it will listen at. `None` where no binary is.
    pub(crate) fn start(home: &Path, config: impl FnOnce(&str) -> String) -> Option<Prometheus> {
        let binary = binary()?;
        let address = free_address();
        let file = home.join("prometheus.yml");
        std::fs::write(&file, config(&address)).unwrap();
        let log = std::fs::File::create(home.join("prometheus.log")).unwrap();
        let child = Command::new(&binary)
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", home.join("tsdb").display()))
            .arg(format!("--web.listen-address={address}"))
            .arg("--web.enable-remote-write-receiver")
            .arg(format!("--enable-feature={FEATURES}"))
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        Some(Prometheus { child, http: format!("http://{address}") })
    }
}

/// What a server answered.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) text: String,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| Value::String(self.text.clone()))
    }
}

pub(crate) struct RawReply {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: Vec<u8>,
}

/// Ours and theirs, with the same series in both.
pub(crate) struct Pair {
    pub(crate) ours: Appliance,
    theirs: Prometheus,
    _home: tempfile::TempDir,
}

impl Pair {
    /// `None` where there is no Prometheus.
    pub(crate) async fn with(series: &[Series]) -> Option<Pair> {
        let home = tempfile::tempdir().unwrap();
        let theirs = Prometheus::start(home.path(), |_| CONFIG.into())?;
        std::fs::write(
            home.path().join("binnacle.toml"),
            "[rules]\nbuiltin = false\n[host_metrics]\nenabled = false\n",
        )
        .unwrap();
        let ours = Appliance::start(home.path());
        let pair = Pair { ours, theirs, _home: home };
        until("Prometheus to be ready", READY_WITHIN, || async {
            let reply = pair.ours.client().get(format!("{}/-/ready", pair.theirs.http)).send().await.ok()?;
            reply.status().is_success().then_some(())
        })
        .await;
        for body in data::requests(series) {
            for base in pair.bases() {
                let request = pair.ours.client().post(format!("{base}/api/v1/write"));
                let request = WRITTEN.iter().fold(request, |request, (name, value)| request.header(*name, *value));
                let request = request.header(TENANT.0, TENANT.1);
                let reply = request.body(body.clone()).send().await.unwrap();
                let status = reply.status();
                assert!(status.is_success(), "{base}: {status} {}", reply.text().await.unwrap());
            }
        }
        Some(pair)
    }

    fn bases(&self) -> [&str; 2] {
        [&self.ours.http, &self.theirs.http]
    }

    /// Where the other one answers.
    pub(crate) fn theirs(&self) -> &str {
        &self.theirs.http
    }

    /// The same GET of both: ours, theirs.
    pub(crate) async fn get(&self, path: &str, params: &[(&str, &str)]) -> [Reply; 2] {
        let [ours, theirs] = self.bases().map(|base| {
            let url = reqwest::Url::parse_with_params(&format!("{base}{path}"), params).unwrap();
            send(self.ours.client().get(url))
        });
        let (ours, theirs) = tokio::join!(ours, theirs);
        [ours, theirs]
    }

    /// The same POST form to both: ours, theirs.
    pub(crate) async fn post(&self, path: &str, params: &[(&str, &str)]) -> [Reply; 2] {
        let [ours, theirs] =
            self.bases().map(|base| send(self.ours.client().post(format!("{base}{path}")).form(params)));
        let (ours, theirs) = tokio::join!(ours, theirs);
        [ours, theirs]
    }

    /// The same bytes to both: ours, theirs.
    pub(crate) async fn post_body(&self, path: &str, headers: &[(&str, &str)], body: &[u8]) -> [RawReply; 2] {
        let [ours, theirs] = self.bases().map(|base| {
            let request = self.ours.client().post(format!("{base}{path}")).body(body.to_vec());
            send_raw(headers.iter().fold(request, |request, (name, value)| request.header(*name, *value)))
        });
        let (ours, theirs) = tokio::join!(ours, theirs);
        [ours, theirs]
    }
}

async fn send_raw(request: reqwest::RequestBuilder) -> RawReply {
    let reply = request.header(TENANT.0, TENANT.1).send().await.unwrap();
    let (status, headers) = (reply.status().as_u16(), reply.headers().clone());
    RawReply { status, headers, body: reply.bytes().await.unwrap().into() }
}

async fn send(request: reqwest::RequestBuilder) -> Reply {
    let reply = request.header(TENANT.0, TENANT.1).send().await.unwrap();
    Reply { status: reply.status().as_u16(), headers: reply.headers().clone(), text: reply.text().await.unwrap() }
}
