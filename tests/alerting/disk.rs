//! A data folder on a file system of its own, which can be filled to the last block.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::table::Row;
use crate::world::{PATIENCE, PROBE_RULE, World, hosts};

/// A file system of its own, filled to the last block while alerts go on.
pub(crate) async fn disk_full() -> Row {
    let mut world = World::new(PROBE_RULE).await;
    let data = world.home.path().join("data");
    let Some(disk) = SmallDisk::mount(&data) else {
        return Row::not_played("a file system cannot be mounted here");
    };
    let toml = "[rules]\nbuiltin = false\n[host_metrics]\nenabled = false\n[limits]\ndisk_free_min = \"16MiB\"\n[notify]\nexternal_url = \"https://binnacle.example.org\"\n";
    world.write("binnacle.toml", toml);
    world.tell_all();
    world.start().await;
    let reserve = data.join("tenants/default/alerts.reserve");
    let deadline = Instant::now() + PATIENCE;
    while !reserve.exists() {
        assert!(Instant::now() < deadline, "no space is kept at {}: {:?}", reserve.display(), tree(&data));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    world.fire(&hosts(0..3)).await;
    world.until("everybody knows of the first", |world| world.mails() >= 1).await;
    disk.fill();
    // Data cannot come in any more: what fires now does so by the absence of it.
    world.write_rules(
        "
  - alert: Absent
    expr: label_replace(vector(1), \"host_name\", \"h-777-z\", \"\", \"\")
    labels: {severity: critical}
  - alert: Probe
    expr: probe > 0
    labels: {severity: critical}
    annotations: {summary: 'the probe of {{ $labels.host_name }} says {{ $value }}'}
",
    );
    world.reload();
    let began = Instant::now();
    world.episodes.push(crate::oracle::Episode { host: "h-777-z".into(), began, over: false, suppressed: false });
    world.until("what fires on a full disk", |world| world.slack_says(&["h-777-z", "[FIRING"])).await;
    let took = began.elapsed();
    world.episodes.clear();
    let row = world.settle(format!("told of a new alert {:.1} s after the disk was full", took.as_secs_f64())).await;
    world.kill();
    row
}

/// A small file system in memory, for as long as this lives.
pub(crate) struct SmallDisk(PathBuf);

impl SmallDisk {
    /// At a new folder. `None` where that is not allowed.
    pub(crate) fn mount(at: &Path) -> Option<SmallDisk> {
        std::fs::create_dir(at).expect("a new folder");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=320m", "tmpfs"]).arg(at).status();
        mounted.is_ok_and(|status| status.success()).then(|| SmallDisk(at.to_owned()))
    }

    /// Writes until nothing goes in any more.
    pub(crate) fn fill(&self) {
        let mut file = std::fs::File::create(self.filler()).expect("a new file");
        for block in [1 << 20, 4 << 10] {
            let zeros = vec![0u8; block];
            while file.write_all(&zeros).is_ok() {}
        }
    }

    /// Gives the space back.
    pub(crate) fn empty(&self) {
        std::fs::remove_file(self.filler()).expect("it was filled");
    }

    fn filler(&self) -> PathBuf {
        self.0.join("filler")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(&self.0).status());
    }
}

fn tree(dir: &std::path::Path) -> Vec<std::path::PathBuf> {
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    entries.flatten().flat_map(|entry| [vec![entry.path()], tree(&entry.path())].concat()).collect()
}
