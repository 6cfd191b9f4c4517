//! Silences and mute times, made and ended at bad moments.

use std::time::{Duration, Instant};

use crate::fakes::slack;
use crate::oracle::{Counts, Episode};
use crate::table::Row;
use crate::world::{ALL, PROBE_RULE, Receivers, World, hosts};

/// From the end of a silence to the message.
const TOLD_WITHIN: Duration = Duration::from_secs(5);
/// Long enough for a retry that should not be made: the longest wait between two is shorter so early.
const RETRY_WOULD_BE: Duration = Duration::from_secs(8);
const ALL_DAY: &str =
    "time_intervals: [{name: always, time_intervals: [{times: [{start_time: '00:00', end_time: '24:00'}]}]}]";

pub(crate) async fn silences_and_mutes() -> Row {
    let mut counts = Counts::default();
    let (retried, released) = silenced_during_a_retry(&mut counts).await;
    let expired = silence_that_expires(&mut counts).await;
    ended_in_a_mute_time(&mut counts).await;
    let remark = format!(
        "{retried} attempts before the silence, none after; told {:.1} s after it was lifted, {:.1} s after one expired; an end in a mute time closes quietly",
        released.as_secs_f64(),
        expired.as_secs_f64()
    );
    Row { counts, remark }
}

/// D4 and D2: nothing goes out any more once the alert is silenced, and at once when it is not.
async fn silenced_during_a_retry(counts: &mut Counts) -> (usize, Duration) {
    let mut world = World::new(PROBE_RULE).await;
    world.receivers = Receivers { pagerduty: false, mail: false, hook: false, ..ALL };
    world.write_notify("{receiver: slack, group_by: ['...'], group_wait: 0s, group_interval: 5m}", "");
    world.start().await;
    world.slack.set_mode(slack::Mode::Status(500));
    world.fire(&hosts(0..1)).await;
    let requests = |world: &World| world.slack.seen.see(|seen| seen.requests.len());
    world.until("two attempts", |world| requests(world) >= 2).await;
    let silence = world.silence("h-000-z", Duration::ZERO, Duration::from_secs(3_600)).await;
    // One that was under way ends; the next one is not made.
    world.until_alerts("it is silenced", |alerts| alerts[0]["status"]["state"] == "suppressed").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    world.slack.set_mode(slack::Mode::Ok);
    let before = requests(&world);
    tokio::time::sleep(RETRY_WOULD_BE).await;
    assert_eq!((world.posts(), requests(&world)), (0, before), "told although silenced");
    world.expire_silence(&silence).await;
    let lifted = Instant::now();
    world.until("told when the silence is lifted", |world| world.posts() == 1).await;
    let took = lifted.elapsed();
    assert!(took <= TOLD_WITHIN, "told {took:?} after the silence was lifted");
    world.end(&hosts(0..1)).await;
    counts.add(world.settle("").await.counts);
    (before, took)
}

/// D2: a silence that ends by itself while the alert fires.
async fn silence_that_expires(counts: &mut Counts) -> Duration {
    const LASTS: Duration = Duration::from_secs(6);
    let mut world = World::new(PROBE_RULE).await;
    world.write_notify("{receiver: all, group_by: ['...'], group_wait: 0s, group_interval: 5m}", "");
    world.start().await;
    world.silence("h-000-z", Duration::ZERO, LASTS).await;
    let ends = Instant::now() + LASTS;
    world.fire(&hosts(0..1)).await;
    world.until("everybody knows", |world| world.count().lost == 0).await;
    let told = world.slack.seen.see(|seen| seen.messages[0].posted);
    assert!(told >= ends - Duration::from_millis(500), "told {:?} before its end", ends - told);
    let took = told.saturating_duration_since(ends);
    assert!(took <= TOLD_WITHIN, "told {took:?} after the silence expired");
    world.end(&hosts(0..1)).await;
    counts.add(world.settle("").await.counts);
    took
}

/// D1: who was told of the firing learns its end, without a new message.
async fn ended_in_a_mute_time(counts: &mut Counts) {
    let mut world = World::new(PROBE_RULE).await;
    world.tell_all();
    world.start().await;
    world.fire(&hosts(0..1)).await;
    world.until("everybody knows", |world| world.count().lost == 0).await;
    let route = "{receiver: all, group_by: [alertname, host_name], group_wait: 0s, group_interval: 1s, routes: [{receiver: all, mute_time_intervals: [always]}]}";
    world.write_notify(route, ALL_DAY);
    world.reload();
    world
        .until_page("it is muted", "/api/v2/alerts/groups", |groups| groups.contains("\"mutedBy\":[\"always\"]"))
        .await;
    let mails = world.mails();
    // What begins and ends meanwhile is nobody's business.
    let now = Instant::now();
    world.episodes.push(Episode { host: "h-001-z".into(), began: now, over: true, suppressed: true });
    world.set("h-001-z", 1.0).await;
    world.until_alerts("the second fires", |alerts| alerts.len() == 2).await;
    world.set_quietly("h-001-z", 0.0);
    world.end(&hosts(0..1)).await;
    world.until("the incident closes", |world| world.pagerduty.seen.see(|seen| seen.open()) == 0).await;
    world.until("the post says so", |world| world.slack_says(&["[RESOLVED", "h-000-z"])).await;
    // A mail cannot be taken back or put right without another one.
    world.receivers = Receivers { mail: false, ..ALL };
    counts.add(world.settle("").await.counts);
    assert_eq!((world.posts(), world.mails()), (1, mails), "a new message in a mute time");
}
