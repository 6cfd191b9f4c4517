//! A while of everyday trouble: alerts come and go, some flap, and one request in ten goes wrong at every receiver.

use std::time::{Duration, Instant};

use crate::fakes::{pagerduty, slack, smtp, webhook};
use crate::knobs::random;
use crate::table::Row;
use crate::world::{World, hosts};

/// Unless `BINNACLE_SOAK_S` says otherwise.
const LASTS_S: u64 = 90;
/// Between two new episodes: under what makes a storm, so that each has its own message.
const EVERY_S: u64 = 8;
const SERIES: usize = 200;
const RULES: usize = 20;

/// Rules that are evaluated and stay quiet, beside the one that fires.
fn rules() -> String {
    let quiet = (0..RULES).map(|n| format!("  - {{alert: Quiet{n}, expr: 'load > {}'}}\n", 100 + n));
    format!("{}{}", crate::world::PROBE_RULE, quiet.collect::<String>())
}

pub(crate) async fn faulty_receivers() -> Row {
    let lasts = Duration::from_secs(chance::from_env("BINNACLE_SOAK_S").unwrap_or(LASTS_S));
    let mut random = random();
    let mut world = World::new(&rules()).await;
    world.slack.seen.change(|seen| seen.history_scope = true);
    world.tell_all();
    world.start().await;
    let flapping = [hosts(900..901)[0].clone(), hosts(901..902)[0].clone()];
    let began = Instant::now();
    let (mut second, mut next, mut intents_max) = (0, 0, 0.0_f64);
    let mut open: Vec<String> = Vec::new();
    while began.elapsed() < lasts {
        make_faulty(&world, &mut random);
        for (host, period) in flapping.iter().zip([4, 6]) {
            world.set_quietly(host, f64::from(u8::from(second % period < period / 2)));
        }
        if second % EVERY_S == 0 {
            let host = hosts(next..next + 1);
            next += 1;
            world.fire(&host).await;
            open.extend(host);
        }
        if second % EVERY_S == EVERY_S / 2 && open.len() > 1 && random.below(3) > 0 {
            let at = random.below(open.len());
            let over = open.swap_remove(at);
            world.end(&[over]).await;
        }
        let loads: Vec<_> = (0..SERIES)
            .map(|n| {
                let value = random.below(90) as f64;
                binnacle::otlp_out::point(world.now_ns(), 0, value, &[("unit", &n.to_string())])
            })
            .collect();
        world.push_points("load", loads).await;
        world.push().await;
        intents_max = intents_max.max(world.counted("binnacle_outbox_intents").await);
        second += 1;
        let next_at = began + Duration::from_secs(second);
        tokio::time::sleep(next_at.saturating_duration_since(Instant::now())).await;
    }
    world.slack.set_mode(slack::Mode::Ok);
    world.pagerduty.set_mode(pagerduty::Mode::Ok);
    world.smtp.set_mode(smtp::Mode::Ok);
    world.hook.set_mode(webhook::Mode::Ok);
    let cpu = cpu_seconds(world.appliance().id());
    let share = 100.0 * cpu / began.elapsed().as_secs_f64();
    for host in &flapping {
        world.set_quietly(host, 0.0);
    }
    world.until_live("everybody knows", |world| world.count().lost == 0).await;
    world.end(&open).await;
    // Flapping alerts are over when they were quiet for a while.
    world.until_live("nothing is open", |world| world.pagerduty.seen.see(|seen| seen.open()) == 0).await;
    // A post that was taken without an answer cannot be edited when Slack does not say either where it stands; then the
    // marked repeat after it tells of the end.
    let last_words = |world: &World, host: &str| {
        world.slack.seen.see(|seen| {
            let mut posts = seen.messages.iter().filter(|post| post.thread_ts.is_none());
            posts.rfind(|post| post.said.iter().any(|text| text.contains(host))).map(|post| post.text().to_owned())
        })
    };
    let all: Vec<String> = hosts(0..next).into_iter().chain(flapping).collect();
    let silent =
        |world: &World| all.iter().all(|host| last_words(world, host).is_none_or(|words| !words.contains("[FIRING")));
    world.until_live("the last post about each host says that it is over", silent).await;
    world
        .settle(format!(
            "{second} s, {next} episodes and two that flap, faults of a tenth; at most {intents_max:.0} intents; {share:.1} % of a core"
        ))
        .await
}

/// Each receiver is faulty for a tenth of the seconds.
fn make_faulty(world: &World, random: &mut chance::Random) {
    let faulty = |random: &mut chance::Random| random.below(10) == 0;
    world.slack.set_mode(match (faulty(random), random.below(4)) {
        (false, _) => slack::Mode::Ok,
        (true, 0) => slack::Mode::Status(500),
        (true, 1) => slack::Mode::Throttle(2),
        (true, 2) => slack::Mode::AcceptThenCut,
        (true, _) => slack::Mode::Reset,
    });
    world.pagerduty.set_mode(match (faulty(random), random.below(4)) {
        (false, _) => pagerduty::Mode::Ok,
        (true, 0) => pagerduty::Mode::Status(500),
        (true, 1) => pagerduty::Mode::Throttle(2),
        (true, 2) => pagerduty::Mode::AcceptThenCut,
        (true, _) => pagerduty::Mode::Reset,
    });
    world.smtp.set_mode(match (faulty(random), random.below(3)) {
        (false, _) => smtp::Mode::Ok,
        (true, 0) => smtp::Mode::Data("451 try later"),
        (true, 1) => smtp::Mode::AcceptThenCut,
        (true, _) => smtp::Mode::Down,
    });
    world.hook.set_mode(match (faulty(random), random.below(3)) {
        (false, _) => webhook::Mode::Ok,
        (true, 0) => webhook::Mode::Status(503),
        (true, 1) => webhook::Mode::Throttle(2),
        (true, _) => webhook::Mode::AcceptThenCut,
    });
}

/// Of a process so far, user and system.
fn cpu_seconds(pid: u32) -> f64 {
    let ticks = procfs::process::Process::new(i32::try_from(pid).unwrap_or(0)).and_then(|process| process.stat());
    ticks.map_or(0.0, |stat| (stat.utime + stat.stime) as f64 / procfs::ticks_per_second() as f64)
}
