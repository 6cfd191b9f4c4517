//! The servers that are measured side by side, and how each is started to do the same work.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::remote_write;
use crate::push::{Body, METRICS, Signal};
use crate::server::Server;

const READY_WITHIN: Duration = Duration::from_secs(60);

/// Samples older than the newest of their series are taken, as they are by the others.
const PROMETHEUS_CONFIG: &str = "storage: {tsdb: {out_of_order_time_window: 7d}}\n";

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Peer {
    VictoriaMetrics,
    Prometheus,
    Binnacle,
}

impl Peer {
    pub(super) const ALL: [Peer; 3] = [Peer::VictoriaMetrics, Peer::Prometheus, Peer::Binnacle];

    pub(super) fn name(self) -> &'static str {
        match self {
            Peer::VictoriaMetrics => "VictoriaMetrics",
            Peer::Prometheus => "Prometheus",
            Peer::Binnacle => "Binnacle",
        }
    }

    fn binary(self) -> PathBuf {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        match self {
            Peer::VictoriaMetrics => root.join("target/victoria-metrics/usr/bin/victoria-metrics"),
            Peer::Prometheus => root.join("target/prometheus/usr/bin/prometheus"),
            Peer::Binnacle => env!("CARGO_BIN_EXE_binnacle").into(),
        }
    }

    /// Whether it can be run; says so if not.
    pub(super) fn is_here(self) -> bool {
        let binary = self.binary();
        if !binary.exists() {
            println!("{} is left out: no {}; benches/load/peers/setup puts it there", self.name(), binary.display());
        }
        binary.exists()
    }

    /// What it is told of one request of the metrics load.
    pub(super) fn body(self, otlp: Body) -> Body {
        if self == Peer::Prometheus { remote_write::of_otlp(&otlp) } else { otlp }
    }

    /// Where it takes the metrics load.
    pub(super) fn signal(self) -> Signal {
        match self {
            Peer::VictoriaMetrics => Signal { http_path: "/opentelemetry/v1/metrics", ..METRICS },
            Peer::Prometheus => Signal { http_path: "/api/v1/write", ..METRICS },
            Peer::Binnacle => METRICS,
        }
    }

    /// Starts it over a folder, whose `data` is all that it keeps, and waits until it answers. Nobody caches answers.
    pub(super) fn start(self, home: &Path) -> Server {
        let (options, ready) = match self {
            Peer::Binnacle => return Server::start(home),
            Peer::VictoriaMetrics => {
                let options = ["-storageDataPath=data", "-opentelemetry.usePrometheusNaming", "-search.disableCache"];
                (options.map(String::from).to_vec(), "/health")
            }
            Peer::Prometheus => {
                std::fs::write(home.join("prometheus.yml"), PROMETHEUS_CONFIG).expect("the folder takes files");
                let options =
                    ["--config.file=prometheus.yml", "--storage.tsdb.path=data", "--web.enable-remote-write-receiver"];
                (options.map(String::from).to_vec(), "/-/ready")
            }
        };
        let address = free_address();
        let listen = match self {
            Peer::Prometheus => format!("--web.listen-address={address}"),
            _ => format!("-httpListenAddr={address}"),
        };
        let log = File::options().create(true).append(true).open(home.join("log")).expect("the folder takes files");
        let child = Command::new(self.binary())
            .current_dir(home)
            .args(options)
            .arg(listen)
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("the binary runs");
        let server = Server::of(child, address);
        let deadline = Instant::now() + READY_WITHIN;
        while !answers(&server.http, ready) {
            assert!(Instant::now() < deadline, "{} is not ready; see {}/log", self.name(), home.display());
            std::thread::sleep(Duration::from_millis(10));
        }
        server
    }
}

fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("some port is free");
    listener.local_addr().expect("it is bound").to_string()
}

/// Whether a GET is answered with 200.
fn answers(address: &str, path: &str) -> bool {
    let ask = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect(address)?;
        stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").as_bytes())?;
        let mut line = [0; 12];
        stream.read_exact(&mut line)?;
        Ok(line == *b"HTTP/1.1 200")
    };
    ask().unwrap_or(false)
}
