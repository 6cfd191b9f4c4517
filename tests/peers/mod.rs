//! Others' programs as processes: Debian's Prometheus, Alertmanager, rsyslog and Node exporter, and a Collector of Debian's sources. The
//! `setup` of `tests/prometheus`, `tests/alertmanager`, `tests/senders` and `tests/collector` put them below `target/`.
//!
//! Plain module, included by the test binaries that need it (`#[path]`), not every one of which uses all.
#![allow(dead_code)]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

/// A program below `target/`; `None` where it is not, with a word on how to get it.
pub(crate) fn program(of: &str, name: &str) -> Option<PathBuf> {
    let home = Path::new(env!("CARGO_MANIFEST_DIR")).join("target").join(of).join("usr");
    let found = ["bin", "sbin"].map(|dir| home.join(dir).join(name)).into_iter().find(|path| path.exists());
    if found.is_none() {
        eprintln!("skipped: no {name} in {}; tests/{of}/setup puts it there", home.display());
    }
    found
}

/// A running server, killed when dropped.
pub(crate) struct Peer {
    child: Child,
    pub(crate) url: String,
}

impl Peer {
    /// Over `alertmanager.yml` in its home.
    pub(crate) fn alertmanager(home: &Path, address: &str) -> Option<Peer> {
        let program = program("alertmanager", "alertmanager")?;
        let mut command = Command::new(&program);
        // Where its templates are; see the setup.
        command.current_dir(program.parent()?.join("../share"));
        command.arg(format!("--config.file={}", home.join("alertmanager.yml").display()));
        command.arg(format!("--storage.path={}", home.join("am").display()));
        command.arg(format!("--web.listen-address={address}"));
        command.arg("--cluster.listen-address=");
        Some(Peer::spawn(command, home, "alertmanager.log", address))
    }

    /// Over `prometheus.yml` in its home; takes remote writes.
    pub(crate) fn prometheus(home: &Path, address: &str) -> Option<Peer> {
        let mut command = Command::new(program("prometheus", "prometheus")?);
        command.arg(format!("--config.file={}", home.join("prometheus.yml").display()));
        command.arg(format!("--storage.tsdb.path={}", home.join("tsdb").display()));
        command.arg(format!("--web.listen-address={address}"));
        command.arg("--web.enable-remote-write-receiver");
        Some(Peer::spawn(command, home, "prometheus.log", address))
    }

    /// Over `otelcol.yml` in its home; it says in `otelcol.log` what it does.
    pub(crate) fn collector(home: &Path) -> Option<Peer> {
        let mut command = Command::new(program("collector", "otelcol")?);
        command.arg(format!("--config={}", home.join("otelcol.yml").display()));
        // Its receivers' addresses are in the file.
        Some(Peer::spawn(command, home, "otelcol.log", ""))
    }

    /// Over `rsyslog.conf` in its home.
    pub(crate) fn rsyslog(home: &Path) -> Option<Peer> {
        let program = program("senders", "rsyslogd")?;
        let libraries = program.parent()?.join(format!("../lib/{}-linux-gnu", std::env::consts::ARCH));
        let mut command = Command::new(&program);
        command.env("LD_LIBRARY_PATH", &libraries).arg("-n").arg("-M").arg(libraries.join("rsyslog"));
        command.arg("-f").arg(home.join("rsyslog.conf")).arg("-i").arg(home.join("rsyslog.pid"));
        Some(Peer::spawn(command, home, "rsyslog.log", ""))
    }

    pub(crate) fn node_exporter(home: &Path, address: &str) -> Option<Peer> {
        let mut command = Command::new(program("senders", "prometheus-node-exporter")?);
        command.arg(format!("--web.listen-address={address}"));
        Some(Peer::spawn(command, home, "node_exporter.log", address))
    }

    fn spawn(mut command: Command, home: &Path, log: &str, address: &str) -> Peer {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(home.join(log)).expect("a log file");
        let child = command.stdout(Stdio::null()).stderr(log).spawn().expect("it starts");
        Peer { child, url: format!("http://{address}") }
    }

    /// How it ended, where it did by itself.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("it is our child")
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
