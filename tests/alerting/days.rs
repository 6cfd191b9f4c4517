//! Days of timers within minutes: the appliance runs by a clock that goes many times as fast, the monotonic one with it.
//!
//! It begins on the evening before Europe's clocks go forward, so that a mute time over midnight ends an hour early by UTC.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::clock::library;
use crate::fakes::smtp::Mail;
use crate::fakes::webhook::Call;
use crate::knobs::random;
use crate::table::Row;
use crate::world::{FastClock, PROBE_RULE, World, hosts};

/// Theirs in one of ours: what a request may take, 15 s, is a quarter of a second of ours then.
const FACTOR: u32 = 60;
/// 2027-03-27 18:00 UTC; at 01:00 UTC the clocks of Berlin go forward.
const BEGINS_S: i64 = 1_806_170_400;
const HOUR_S: i64 = 3_600;
/// Between two episodes of the many: under what makes a storm.
const EVERY_MIN: i64 = 20;
/// Until the night is over, and so many that each episode has a host of its own.
const HOURS_MIN: u64 = 11;
const HOURS_MAX: u64 = 290;
/// What fires from the beginning to the end, what is silenced at first, and what fires at night.
const ALWAYS: usize = 900;
const SILENCED: usize = 901;
const AT_NIGHT: usize = 902;
const SILENCED_S: i64 = 6 * HOUR_S;
const REPEAT_S: i64 = 4 * HOUR_S;
const SIZE_EVERY_S: i64 = 4 * HOUR_S;
/// Its power fails at 20:30, and then every so often: not while a message is due at a certain time.
const KILLS_FROM_S: i64 = BEGINS_S + 5 * HOUR_S / 2;
const KILL_EVERY_S: i64 = 5 * HOUR_S;
/// 21:30 UTC, within the night; it ends at 06:00 in Berlin, which is 04:00 UTC after the change.
const NIGHT_FIRES_S: i64 = BEGINS_S + 3 * HOUR_S + HOUR_S / 2;
const NIGHT_ENDS_S: i64 = BEGINS_S + 10 * HOUR_S;
/// Later than due by so much, by the fast clock: a busy machine's second is a minute.
const LATE_MAX_S: i64 = 900;

const NIGHT: &str = "
time_intervals:
- name: night
  time_intervals:
  - {times: [{start_time: '22:00', end_time: '24:00'}], location: Europe/Berlin}
  - {times: [{start_time: '00:00', end_time: '06:00'}], location: Europe/Berlin}
";

/// How large it is, in bytes.
#[derive(Debug, Clone, Copy, Default)]
struct Size {
    memory: u64,
    alerts: u64,
    files: u64,
}

pub(crate) async fn go_by() -> Row {
    let Some(hours) = chance::from_env("BINNACLE_SOAK_HOURS") else {
        return Row::not_played("give the hours, 11 or more, in BINNACLE_SOAK_HOURS; each takes a minute");
    };
    let Some(library) = library() else { return Row::not_played("run tests/alerting/setup for libfaketime") };
    let mut random = random();
    let mut world = World::new(PROBE_RULE).await;
    world.take_fast_clock(&library, BEGINS_S, FACTOR);
    world.tellings_max = usize::MAX;
    world.slack.seen.change(|seen| (seen.history_scope, seen.enforce_rate) = (true, false));
    world.write_rules_every("1m", PROBE_RULE);
    let group = "group_by: [alertname, host_name], group_wait: 0s, group_interval: 5m, repeat_interval: 4h";
    let night = &hosts(AT_NIGHT..AT_NIGHT + 1)[0];
    let routes = format!("[{{receiver: all, matchers: [host_name={night}], mute_time_intervals: [night]}}]");
    world.write_notify(&format!("{{receiver: all, {group}, routes: {routes}}}"), NIGHT);
    world.start().await;
    world.read_clock().await;
    let seconds = |s: i64| Duration::from_secs(u64::try_from(s).unwrap_or(0));
    world.silence(&hosts(SILENCED..SILENCED + 1)[0], Duration::ZERO, seconds(SILENCED_S)).await;
    world.fire(&hosts(ALWAYS..SILENCED + 1)).await;

    let (mut open, mut next, mut minute, mut intents_max): (Vec<(i64, String)>, usize, i64, f64) = (vec![], 0, 0, 0.0);
    let mut sizes: Vec<Size> = Vec::new();
    let ends_s = BEGINS_S + hours.clamp(HOURS_MIN, HOURS_MAX).cast_signed() * HOUR_S;
    let (mut night_fired, mut kills) = (false, 0);
    while world.now_s() < ends_s {
        if world.now_s() >= NIGHT_FIRES_S && !night_fired {
            night_fired = true;
            world.fire(&hosts(AT_NIGHT..AT_NIGHT + 1)).await;
        }
        if minute % EVERY_MIN == 0 {
            let host = hosts(next..next + 1);
            next += 1;
            world.fire(&host).await;
            let lasts_s = 60 * (5 + random.below(100_i64));
            open.push((world.now_s() + lasts_s, host[0].clone()));
        }
        let now_s = world.now_s();
        let over: Vec<String> = open.extract_if(.., |(at_s, _)| *at_s <= now_s).map(|(_, host)| host).collect();
        world.end(&over).await;
        intents_max = intents_max.max(world.counted("binnacle_outbox_intents").await);
        // The first time when caches are warm.
        if now_s >= BEGINS_S + (i64::try_from(sizes.len()).unwrap_or(0) + 1) * SIZE_EVERY_S {
            sizes.push(size(&world));
        }
        if now_s >= KILLS_FROM_S + kills * KILL_EVERY_S {
            kills += 1;
            world.kill();
            world.start().await;
        }
        minute += 1;
        world.sleep_until_s(BEGINS_S + minute * 60).await;
        minute = minute.max((world.now_s() - BEGINS_S) / 60);
    }
    let ended_s = world.now_s();
    let always = hosts(ALWAYS..ALWAYS + 1);
    let told_s = |host: &str| -> Vec<i64> {
        let of = |mail: &&Mail| mail.text.contains(host) && mail.header("subject").contains("[FIRING");
        world.smtp.seen.see(|seen| seen.mails.iter().filter(of).map(|mail| world.at_s(mail.came)).collect())
    };
    let repeats = told_s(&always[0]);
    let due = (ended_s - BEGINS_S) / REPEAT_S + 1;
    let told = i64::try_from(repeats.len()).unwrap_or(0);
    assert!((due - 1..=due).contains(&told), "told {told} times, {due} were due: {repeats:?}");
    assert!(repeats.windows(2).all(|two| two[1] - two[0] >= REPEAT_S - 60), "sooner than it repeats: {repeats:?}");
    let first = |host: usize| {
        let host = &hosts(host..host + 1)[0];
        let of = |call: &&Call| String::from_utf8_lossy(&call.raw).contains(host.as_str());
        world.hook.seen.see(|seen| seen.calls.iter().find(of).map(|call| world.at_s(call.came)))
    };
    let late = |host: usize, due_s: i64| {
        let told_s = first(host).unwrap_or_else(|| panic!("nobody was told of host {host}"));
        assert!(
            (due_s - 5..due_s + LATE_MAX_S).contains(&told_s),
            "told of {host} {} s after it was due",
            told_s - due_s
        );
        told_s - due_s
    };
    let (after_silence, after_night) = (late(SILENCED, BEGINS_S + SILENCED_S), late(AT_NIGHT, NIGHT_ENDS_S));
    let all: Vec<String> = open.into_iter().map(|(_, host)| host).chain(hosts(ALWAYS..AT_NIGHT + 1)).collect();
    world.end(&all).await;
    world.until_live("nothing is open", |world| world.pagerduty.seen.see(|seen| seen.open()) == 0).await;
    let (first_half, last) = (sizes.first().copied().unwrap_or_default(), size(&world));
    // What days leave behind is bounded by rows and by compaction, not by time.
    assert!(last.memory < 2 * first_half.memory.max(100 << 20), "memory grows: {sizes:?}, {last:?}");
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    world
        .settle(format!(
            "{hours} h at {FACTOR} times the speed, {kills} kills, {next} episodes; {told} tellings of one that lasts, every 4 h; told {after_silence} s after a silence, {after_night} s after a night that the clocks shortened; at most {intents_max:.0} intents; after 4 h and at the end: memory {:.0} and {:.0} MiB, alerts.redb {:.1} and {:.1} MiB, all files {:.0} and {:.0} MiB",
            mib(first_half.memory), mib(last.memory), mib(first_half.alerts), mib(last.alerts), mib(first_half.files), mib(last.files)
        ))
        .await
}

fn size(world: &World) -> Size {
    let pid = i32::try_from(world.appliance().id()).unwrap_or(0);
    let pages =
        procfs::process::Process::new(pid).and_then(|process| process.statm()).map_or(0, |statm| statm.resident);
    let (mut files, mut alerts) = (0, 0);
    let mut dirs = vec![world.home.path().join("data")];
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
            let Ok(about) = entry.metadata() else { continue };
            if about.is_dir() {
                dirs.push(entry.path());
            } else {
                files += about.len();
                alerts += if entry.file_name() == "alerts.redb" { about.len() } else { 0 };
            }
        }
    }
    Size { memory: pages * procfs::page_size(), alerts, files }
}

impl World {
    /// Has the appliance begin at a time and go on so many times as fast, from its next start on.
    pub(crate) fn take_fast_clock(&mut self, library: &Path, begins_s: i64, factor: u32) {
        self.env.push(("LD_PRELOAD".into(), library.to_string_lossy().into_owned()));
        self.env.push(("NO_FAKE_STAT".into(), "1".into()));
        self.fast = Some(FastClock {
            read: Instant::now(),
            then_ns: u64::try_from(begins_s).unwrap_or(0) * 1_000_000_000,
            factor,
        });
    }

    /// Learns the appliance's time from an answer of it.
    pub(crate) async fn read_clock(&mut self) {
        let (_, answer) = self.appliance().get("/api/v1/query?query=time()").await;
        let read = Instant::now();
        let answer: serde_json::Value = serde_json::from_str(&answer).expect("JSON");
        let then_s: f64 = answer["data"]["result"][1].as_str().and_then(|text| text.parse().ok()).expect("a time");
        let fast = self.fast.as_mut().expect("the clock is fast");
        (fast.read, fast.then_ns) = (read, (then_s * 1e9) as u64);
    }

    fn now_s(&self) -> i64 {
        self.at_s(Instant::now())
    }

    /// The appliance's time at a moment of ours.
    fn at_s(&self, at: Instant) -> i64 {
        let fast = self.fast.expect("the clock is fast");
        i64::try_from(fast.at_ns(at) / 1_000_000_000).expect("before 2262")
    }

    async fn sleep_until_s(&self, at_s: i64) {
        let left_s = u64::try_from(at_s - self.now_s()).unwrap_or(0);
        tokio::time::sleep(Duration::from_secs(left_s) / FACTOR).await;
    }
}
