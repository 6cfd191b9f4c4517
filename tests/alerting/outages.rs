//! Providers that are down, slow down, cut off, or refuse.

use std::time::{Duration, Instant};

use crate::fakes::webhook::Webhook;
use crate::fakes::{pagerduty, slack, smtp, webhook};
use crate::knobs::seconds;
use crate::table::Row;
use crate::world::{ALL, PROBE_RULE, ROUTING_KEY, Receivers, World, hosts};

const SLACK_ALONE: Receivers = Receivers { pagerduty: false, mail: false, hook: false, ..ALL };

/// Receivers with a fallback to mail that does not wait long.
fn guarded(world: &World) -> String {
    format!(
        "- {{name: guarded, slack_configs: {}, x: {{fallback: {{to: mail, after: 3s}}}}}}\n\
         - {{name: guarded-pager, pagerduty_configs: [{{routing_key: '{ROUTING_KEY}'}}], x: {{fallback: {{to: mail, after: 3s}}}}}}\n",
        world.slack_config()
    )
}

/// A stays, B begins and ends while Slack is down, C is silenced before anybody was told.
pub(crate) async fn slack_down() -> Row {
    let mut world = World::new(PROBE_RULE).await;
    world.receivers = Receivers { mail: true, ..SLACK_ALONE };
    let more = guarded(&world);
    world.write_notify("{receiver: guarded, group_by: ['...'], group_wait: 0s, group_interval: 1s}", &more);
    world.start().await;
    world.slack.set_down(true);
    world.fire(&hosts(0..2)).await;
    world.until("mail stands in", |world| world.mails() >= 2).await;
    world.smtp.seen.see(|seen| assert!(seen.mails[0].text.contains("was not reached"), "{}", seen.mails[0].text));
    world.end(&hosts(1..2)).await;
    let silenced = hosts(2..3);
    world.fire(&silenced).await;
    world.silence(&silenced[0], Duration::ZERO, Duration::from_secs(3_600)).await;
    world.episodes[2].suppressed = true;
    tokio::time::sleep(seconds(15, 600)).await;
    let (_, page) = world.appliance().get("/notifications").await;
    assert!(page.contains("held back"), "the breaker does not show");
    let down = Instant::now();
    world.slack.set_down(false);
    world.until("Slack has both", |world| world.posts() == 2).await;
    let told = down.elapsed();
    assert!(world.slack_says(&["[FIRED AND ENDED", "h-001-z"]) && world.slack_says(&["[FIRING", "h-000-z"]));
    world.push().await;
    world.end(&hosts(0..1)).await;
    world.end(&silenced).await;
    let row = world.settle(format!("posts: 2, told {:.1} s after it was back", told.as_secs_f64())).await;
    assert_eq!(world.posts(), 2);
    row
}

/// And the dead man's switch hears nothing any more, until somebody can be told again.
pub(crate) async fn everything_down() -> Row {
    let mut world = World::new(PROBE_RULE).await;
    // Mail stands in, and is not needed any more once the others know.
    world.receivers = Receivers { hook: false, mail: false, ..ALL };
    let elsewhere = Webhook::start().await;
    let dead_man = format!("x: {{dead_man: {{url: '{}', interval: 1s, undelivered_for: 8s}}}}\n", elsewhere.url());
    let more = guarded(&world) + &dead_man;
    let route = "{receiver: guarded, group_by: ['...'], group_wait: 0s, group_interval: 1s, routes: [{receiver: guarded-pager, continue: true}, {receiver: guarded}]}";
    world.write_notify(route, &more);
    world.start().await;
    elsewhere.seen.until("a ping", |seen| (!seen.calls.is_empty()).then_some(())).await;
    world.slack.set_mode(slack::Mode::Status(500));
    world.pagerduty.set_mode(pagerduty::Mode::Throttle(5));
    world.smtp.set_mode(smtp::Mode::Down);
    world.fire(&hosts(0..2)).await;
    let fired = Instant::now();
    world
        .until("attempts at all three", |world| {
            world.slack.seen.see(|seen| seen.requests.len() >= 3)
                && world.pagerduty.seen.see(|seen| !seen.events.is_empty())
        })
        .await;
    world.end(&hosts(1..2)).await;
    let last_ping = || elsewhere.seen.see(|seen| seen.calls.last().map_or(fired, |call| call.came));
    world.until("the pings stop", |_| last_ping().elapsed() > Duration::from_secs(4)).await;
    let pinged = last_ping().saturating_duration_since(fired);
    assert!(pinged <= Duration::from_secs(8 + 5), "pinged until {pinged:?} after the alert");
    tokio::time::sleep(seconds(0, 600)).await;
    let (_, page) = world.appliance().get("/").await;
    let banner = page.to_uppercase().contains("UNDELIVERED");
    world.slack.set_mode(slack::Mode::Ok);
    world.pagerduty.set_mode(pagerduty::Mode::Ok);
    world.smtp.set_mode(smtp::Mode::Ok);
    world.until_live("everybody knows", |world| world.count().lost == 0).await;
    let silent = elsewhere.seen.see(|seen| seen.calls.len());
    elsewhere.seen.until("pings again", |seen| (seen.calls.len() > silent).then_some(())).await;
    world.end(&hosts(0..1)).await;
    let row = world.settle(format!("the dead man's ping stopped after {:.0} s of 8", pinged.as_secs_f64())).await;
    assert!(banner, "no banner while nobody could be told");
    row
}

pub(crate) async fn throttled() -> Row {
    let mut world = World::new(PROBE_RULE).await;
    world.tell_all();
    world.start().await;
    world.slack.set_mode(slack::Mode::Throttle(6));
    world.fire(&hosts(0..3)).await;
    world.until("Slack was asked", |world| world.slack.seen.see(|seen| !seen.requests.is_empty())).await;
    world.slack.set_mode(slack::Mode::Ok);
    world.until("the others know", |world| world.mails() == 3).await;
    world.until("and Slack at last", |world| world.posts() == 3).await;
    let gap = world.slack.seen.see(|seen| seen.requests[1].1 - seen.requests[0].1);
    assert!(gap >= Duration::from_millis(5_990), "asked again after {gap:?}");
    world.end(&hosts(0..3)).await;
    world.settle(format!("asked again after {:.1} s of 6", gap.as_secs_f64())).await
}

pub(crate) async fn accept_then_cut() -> Row {
    let mut world = World::new(PROBE_RULE).await;
    world.slack.seen.change(|seen| seen.history_scope = true);
    world.tell_all();
    world.start().await;
    world.slack.set_mode(slack::Mode::AcceptThenCut);
    world.pagerduty.set_mode(pagerduty::Mode::AcceptThenCut);
    world.smtp.set_mode(smtp::Mode::AcceptThenCut);
    world.hook.set_mode(webhook::Mode::AcceptThenCut);
    world.fire(&hosts(0..1)).await;
    world
        .until("a second try at each", |world| {
            world.pagerduty.seen.see(|seen| seen.events.len() >= 2)
                && world.mails() >= 2
                && world.hook.seen.see(|seen| seen.calls.len() >= 2)
                && world.slack.seen.see(|seen| seen.requests.len() >= 2)
        })
        .await;
    world.end(&hosts(0..1)).await;
    let row = world.settle("Slack's history readable").await;
    let requests = world.slack.seen.see(|seen| seen.requests.iter().map(|(of, _)| of.clone()).collect::<Vec<_>>());
    let said = world.slack.seen.see(|seen| seen.messages.iter().map(|one| one.said[0].clone()).collect::<Vec<_>>());
    assert_eq!(world.posts(), 1, "the post was found again: {requests:?} {said:#?}");
    let ids = world.smtp.seen.see(|seen| seen.mails.iter().map(|mail| mail.header("message-id")).collect::<Vec<_>>());
    assert_eq!(ids[0], ids[1], "the same mail");
    row
}

pub(crate) async fn refused() -> Row {
    let mut world = World::new(PROBE_RULE).await;
    world.receivers = Receivers { hook: false, ..ALL };
    let more = guarded(&world).replace("after: 3s", "after: 10m");
    let route = "{receiver: guarded, group_by: ['...'], group_wait: 0s, group_interval: 1s, routes: [{receiver: guarded-pager, continue: true}, {receiver: guarded}]}";
    world.write_notify(route, &more);
    world.start().await;
    world.slack.set_mode(slack::Mode::Refuse("token_revoked"));
    world.pagerduty.set_mode(pagerduty::Mode::Refuse("Invalid routing key"));
    world.fire(&hosts(0..1)).await;
    world.until("mail at once", |world| world.mails() >= 1).await;
    let (_, page) = world.appliance().get("/notifications").await;
    assert!(page.contains("token_revoked") && page.contains("Invalid routing key"), "the words of the providers");
    world.slack.set_mode(slack::Mode::Ok);
    world.pagerduty.set_mode(pagerduty::Mode::Ok);
    world.reload();
    world.until("both know", |world| world.count().lost == 0).await;
    world.end(&hosts(0..1)).await;
    world.settle("").await
}
