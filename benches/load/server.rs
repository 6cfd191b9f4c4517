//! The server under load, and what the kernel counted of it.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

pub(crate) struct Server {
    child: Child,
    pub(crate) otlp_http: String,
    pub(crate) otlp_grpc: String,
    /// Of the UI and query APIs.
    pub(crate) http: String,
}

impl Server {
    /// Starts over a folder, an empty one at first, with nothing else to do than what is pushed.
    pub(crate) fn start(home: &Path) -> Server {
        std::fs::write(
            home.join("binnacle.toml"),
            "[rules]\nbuiltin = false\nfiles = []\n[host_metrics]\nenabled = false\ninterval = \"1h\"\n",
        )
        .expect("the folder takes files");
        let mut child = Command::new(env!("CARGO_BIN_EXE_binnacle"))
            .current_dir(home)
            .args(["serve", "--listen-http", "127.0.0.1:0", "--listen-otlp-http", "127.0.0.1:0"])
            .args(["--listen-otlp-grpc", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("the binary was built beside this bench");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("stdout is piped")).read_line(&mut line).expect("it says ready");
        let addr = |key: &str| {
            let found = line.split_whitespace().find_map(|part| part.strip_prefix(key)?.strip_prefix('='));
            found.unwrap_or_else(|| panic!("no ready line with {key} but {line:?}")).to_owned()
        };
        Server { http: addr("http"), otlp_http: addr("otlp_http"), otlp_grpc: addr("otlp_grpc"), child }
    }

    /// Another program, which listens at one address for everything and has no OTLP/gRPC.
    pub(crate) fn of(child: Child, address: String) -> Server {
        Server { child, otlp_http: address.clone(), otlp_grpc: String::new(), http: address }
    }

    fn process(&self) -> procfs::process::Process {
        procfs::process::Process::new(self.child.id().cast_signed()).expect("it runs")
    }

    /// Processor time of all threads so far.
    pub(crate) fn cpu(&self) -> Cpu {
        Cpu::of(&self.process().stat().expect("a running process has its numbers"))
    }

    pub(crate) fn peak_resident_bytes(&self) -> u64 {
        self.process().status().expect("a running process has its numbers").vmhwm.unwrap_or(0) * 1024
    }

    pub(crate) fn resident_bytes(&self) -> u64 {
        self.process().status().expect("a running process has its numbers").vmrss.unwrap_or(0) * 1024
    }

    /// Ends it as a crash would.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ended");
    }

    /// From now on the peak is that of what follows.
    pub(crate) fn forget_peak(&self) {
        let path = format!("/proc/{}/clear_refs", self.child.id());
        std::fs::write(path, "5").expect("a process of our own lets its peak be reset");
    }

    /// Stops in order; the processor time of its whole life.
    pub(crate) fn stop(mut self) -> Cpu {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("it runs");
        // A child that has ended and was not waited for keeps its numbers.
        let process = self.process();
        let cpu = loop {
            let stat = process.stat().expect("not waited for yet");
            if stat.state == 'Z' {
                break Cpu::of(&stat);
            }
            std::thread::sleep(std::time::Duration::from_millis(5));
        };
        assert!(self.child.wait().expect("it ended").success());
        cpu
    }
}

/// Processor time, in seconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cpu {
    pub(crate) user_s: f64,
    pub(crate) system_s: f64,
}

impl Cpu {
    fn of(stat: &procfs::process::Stat) -> Cpu {
        let seconds = |ticks: u64| ticks as f64 / procfs::ticks_per_second() as f64;
        Cpu { user_s: seconds(stat.utime), system_s: seconds(stat.stime) }
    }

    pub(crate) fn seconds(self) -> f64 {
        self.user_s + self.system_s
    }
}

/// The files below a folder by their paths in it, with the bytes they take as the disk counts them.
pub(crate) fn files(folder: &Path) -> Vec<(String, u64)> {
    let mut found = Vec::new();
    collect(folder, "", &mut found);
    found
}

fn collect(folder: &Path, below: &str, found: &mut Vec<(String, u64)>) {
    use std::os::unix::fs::MetadataExt as _;
    /// Unit of `st_blocks`, whatever the file system's own blocks are.
    const BLOCK_BYTES: u64 = 512;
    for entry in std::fs::read_dir(folder).expect("the data folder can be read") {
        let entry = entry.expect("the data folder can be read");
        let metadata = entry.metadata().expect("the data folder can be read");
        let name = format!("{below}{}", entry.file_name().to_string_lossy());
        if metadata.is_dir() {
            collect(&entry.path(), &format!("{name}/"), found);
        }
        found.push((name, metadata.blocks() * BLOCK_BYTES));
    }
}
