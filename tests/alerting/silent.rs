//! Data that stops: of one host, and of all of them since the appliance takes nothing in.
//!
//! Both play the rules that the product ships, with their windows and waits made shorter.

use std::time::{Duration, Instant};

use binnacle::otlp_out;
use opentelemetry_proto::tonic::metrics::v1::Metric;

use crate::disk::SmallDisk;
use crate::oracle::Episode;
use crate::table::Row;
use crate::world::{PROBE_RULE, World, hosts};

/// The packs, and their times with the shorter ones.
type Pack = (&'static str, &'static [(&'static str, &'static str)]);
const HOST: Pack = (
    "host.yml",
    &[("[2m]", "[8s]"), ("[6h]", "[10m]"), ("for: 90s", "for: 4s"), ("for: 5m", "for: 2s"), ("for: 10m", "for: 2s")],
);
const OWN: Pack = ("self.yml", &[("for: 3m", "for: 8s"), ("for: 30s", "for: 2s")]);
/// From a host's last sample to `HostDown`, by the times above and an interval.
const DOWN_AFTER: Duration = Duration::from_secs(8 + 4 + 1);

fn shipped(world: &World, packs: &[Pack]) {
    std::fs::remove_file(world.home.path().join("rules/test.yml")).expect("written by the world");
    for (pack, shorter) in packs {
        let path = format!("{}/alerts/{pack}", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(&path).expect("a shipped pack");
        world.write(&format!("rules/{pack}"), &shorter.iter().fold(text, |text, (from, to)| text.replace(from, to)));
    }
}

fn config(more: &str) -> String {
    format!(
        "[rules]\nbuiltin = false\nevaluation_interval = \"1s\"\n[query]\nlookback = \"10s\"\n[host_metrics]\nenabled = false\ninterval = \"1s\"\n[notify]\nexternal_url = \"https://binnacle.example.org\"\n{more}"
    )
}

/// What a host's agent sends: a CPU that is idle, and a disk.
fn measured(world: &World, device: &str, used: f64) -> Vec<Metric> {
    let now = world.now_ns();
    let seconds = now as f64 / 1e9;
    let cpu = |state, value| otlp_out::point(now, 1, value, &[("cpu", "0"), ("state", state)]);
    let disk = |state, value| {
        let of = [("device", device), ("mountpoint", "/"), ("type", "ext4"), ("mode", "rw"), ("state", state)];
        otlp_out::point(now, 0, value, &of)
    };
    vec![
        otlp_out::sum("system.cpu.time", "s", "", true, vec![cpu("idle", seconds), cpu("user", 1.0)]),
        otlp_out::gauge("system.filesystem.usage", "By", "", vec![disk("used", used), disk("free", 100.0 - used)]),
    ]
}

fn incidents(world: &World, of: &str) -> usize {
    world.pagerduty.seen.see(|seen| seen.incidents.values().filter(|incident| incident.summary.contains(of)).count())
}

/// One host's agent is killed while its disk alert fires; another one's goes on.
pub(crate) async fn agent_killed() -> Row {
    let mut world = World::new(PROBE_RULE).await;
    world.write("binnacle.toml", &config(""));
    shipped(&world, &[HOST]);
    world.tell_all();
    world.start().await;
    let second = async |world: &World, both: bool, used: f64| {
        let mut sent = vec![("h-001-z".to_owned(), measured(world, "sd-001-z", 10.0))];
        if both {
            sent.push(("h-000-z".into(), measured(world, "sd-000-z", used)));
        }
        assert_eq!(world.push_metrics(sent).await, 200);
        tokio::time::sleep(Duration::from_secs(1)).await;
    };
    let until = async |world: &World, what: &str, both: bool, used: f64, look: &dyn Fn(&World) -> bool| {
        let deadline = Instant::now() + crate::world::PATIENCE;
        while !look(world) {
            assert!(Instant::now() < deadline, "waited in vain for {what}\n{}", world.log_tail());
            second(world, both, used).await;
        }
    };
    // The disk is known by its device, the silence by the words for it.
    let began = Instant::now();
    world.episodes.push(Episode { host: "sd-000-z".into(), began, over: false, suppressed: false });
    until(&world, "the full disk", true, 95.0, &|world| world.count().lost == 0).await;
    let silent = Instant::now();
    world.episodes.push(Episode { host: "h-000-z is silent".into(), began: silent, over: false, suppressed: false });
    until(&world, "the silent host", false, 0.0, &|world| incidents(world, "HostDown") == 1).await;
    let took = silent.elapsed();
    assert!(took <= DOWN_AFTER + Duration::from_secs(4), "told after {took:?}");
    // For longer than any query looks back.
    for _ in 0..15 {
        second(&world, false, 0.0).await;
    }
    let alerts = world.alerts().await;
    let disk = alerts.iter().find(|alert| alert["labels"]["device"] == "sd-000-z").expect("the disk alert fires on");
    assert_ne!(disk["status"]["inhibitedBy"], serde_json::json!([]), "{disk}");
    let (_, rules) = world.appliance().get("/api/v1/alerts").await;
    assert!(rules.contains("sd-000-z"), "{rules}");
    world.episodes[1].over = true;
    let ended = |world: &World| world.pagerduty.seen.see(|seen| seen.open()) == 1;
    until(&world, "the end of the silence", true, 95.0, &ended).await;
    for _ in 0..5 {
        second(&world, true, 95.0).await;
    }
    world.episodes[0].over = true;
    until(&world, "the end of the disk alert", true, 10.0, &|world| world.count().orphaned == 0).await;
    let down = incidents(&world, "HostDown");
    assert_eq!(down, 1, "one incident for the host");
    world
        .settle(format!(
            "HostDown told {:.1} s after the last sample, of {} s",
            took.as_secs_f64(),
            DOWN_AFTER.as_secs()
        ))
        .await
}

/// The disk is full, so that nothing is taken in: fifty hosts look dead, and one alert says why.
pub(crate) async fn intake_refuses() -> Row {
    let mut world = World::new(PROBE_RULE).await;
    let Some(disk) = SmallDisk::mount(&world.home.path().join("data")) else {
        return Row::not_played("a file system cannot be mounted here");
    };
    // More than what alert state gives back of its reserve, which is not for data.
    world.write("binnacle.toml", &config("[limits]\ndisk_free_min = \"80MiB\"\n"));
    shipped(&world, &[HOST, OWN]);
    world.tell_all();
    world.start().await;
    let names = hosts(0..50);
    let push = async |world: &World| {
        let sent = names.iter().map(|name| (name.clone(), measured(world, "sda", 10.0)));
        let status = world.push_metrics(sent.collect()).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        status
    };
    for _ in 0..6 {
        assert_eq!(push(&world).await, 200);
    }
    disk.fill();
    let refused = Instant::now();
    // Twice as long as it takes for the hosts to be down.
    let mut refusals = 0;
    while refused.elapsed() < DOWN_AFTER * 2 || refusals < 20 {
        let status = push(&world).await;
        assert!(status == 200 || status == 503, "{status}");
        refusals += usize::from(status == 503);
    }
    let told = |world: &World| {
        world.pagerduty.seen.see(|seen| seen.incidents.values().map(|one| one.summary.clone()).collect::<Vec<_>>())
    };
    let during = told(&world);
    let one = during.len() == 1 && during[0].contains("IntakeStopped");
    assert!(one, "one alert that says why: {during:?}, {refusals} refusals\n{}", world.log_tail());
    disk.empty();
    for _ in 0..20 {
        push(&world).await;
    }
    world.until("the end", |world| world.pagerduty.seen.see(|seen| seen.open()) == 0).await;
    let after = told(&world);
    assert_eq!(incidents(&world, "HostDown"), 0, "{after:?}");
    let row = world.settle(format!("told: {}", after.join("; "))).await;
    world.kill();
    row
}
