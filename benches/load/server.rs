//! The server under load, and what the kernel counted of it.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

pub(crate) struct Server {
    child: Child,
    pub(crate) otlp_http: String,
}

impl Server {
    /// Starts over an empty folder, with nothing else to do than what is pushed.
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
        let otlp_http = line
            .split_whitespace()
            .find_map(|part| part.strip_prefix("otlp_http="))
            .unwrap_or_else(|| panic!("no ready line but {line:?}"))
            .to_owned();
        Server { child, otlp_http }
    }

    fn process(&self) -> procfs::process::Process {
        procfs::process::Process::new(self.child.id().cast_signed()).expect("it runs")
    }

    /// User and system time of all threads so far.
    pub(crate) fn cpu_seconds(&self) -> f64 {
        let stat = self.process().stat().expect("a running process has its numbers");
        (stat.utime + stat.stime) as f64 / procfs::ticks_per_second() as f64
    }

    pub(crate) fn peak_resident_bytes(&self) -> u64 {
        self.process().status().expect("a running process has its numbers").vmhwm.unwrap_or(0) * 1024
    }

    /// Stops in order; CPU seconds of its whole life, and bytes of its files as the disk counts them.
    pub(crate) fn stop(mut self, home: &Path) -> (f64, u64) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("it runs");
        // A child that has ended and was not waited for keeps its numbers.
        let process = self.process();
        let cpu_seconds = loop {
            let stat = process.stat().expect("not waited for yet");
            if stat.state == 'Z' {
                break (stat.utime + stat.stime) as f64 / procfs::ticks_per_second() as f64;
            }
            std::thread::sleep(std::time::Duration::from_millis(5));
        };
        assert!(self.child.wait().expect("it ended").success());
        (cpu_seconds, disk_bytes(&home.join("data")))
    }
}

fn disk_bytes(path: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    /// Unit of `st_blocks`, whatever the file system's own blocks are.
    const BLOCK_BYTES: u64 = 512;
    let metadata = std::fs::symlink_metadata(path).expect("the data folder is there");
    let own = metadata.blocks() * BLOCK_BYTES;
    if !metadata.is_dir() {
        return own;
    }
    let inside = std::fs::read_dir(path).expect("the data folder can be read");
    own + inside.map(|entry| disk_bytes(&entry.expect("the data folder can be read").path())).sum::<u64>()
}
