//! Providers that are down, slow down, or refuse: fallbacks, patience, and the current state once they are back.

use std::time::Duration;

use model::alert::{IntentState, Outcome};

use crate::fakes::{pagerduty, slack};
use crate::world::{World, ended, firing};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_slack_is_down_mail_stands_in_and_slack_gets_the_state_once() {
    let mut world = World::new().await;
    world.slack.set_mode(slack::Mode::Status(500));
    world.start(world.config("{receiver: guarded, group_by: [alertname], group_wait: 0s, group_interval: 1s}", ""));
    let (stays, ends) = (firing("Stays", "web-1", "critical"), firing("Ends", "web-2", "critical"));
    world.commit(&[stays.clone(), ends.clone()]);
    world.smtp.seen.until("a mail each", |seen| (seen.mails.len() == 2).then_some(())).await;
    world.smtp.seen.see(|seen| {
        for mail in &seen.mails {
            assert!(mail.text.contains("guarded/slack[0] was not reached"), "{}", mail.text);
        }
    });
    world.commit(&[ended(&ends)]);
    world.smtp.seen.until("the end by mail", |seen| (seen.mails.len() == 3).then_some(())).await;
    world.slack.set_mode(slack::Mode::Ok);
    world.slack.seen.until("both at last", |seen| (seen.messages.len() == 2).then_some(())).await;
    world.slack.seen.see(|seen| {
        let of = |name: &str| seen.messages.iter().find(|message| message.text().contains(name)).unwrap();
        assert!(of("Stays").text().contains("[FIRING critical]"), "{}", of("Stays").text());
        assert!(of("Ends").text().contains("[FIRED AND ENDED critical]"), "{}", of("Ends").text());
    });
    // Whoever took the firing takes the end: Slack by an edit, mail by a mail.
    world.commit(&[ended(&stays)]);
    world.smtp.seen.until("the other end by mail", |seen| (seen.mails.len() == 4).then_some(())).await;
    world.slack.seen.until("and by an edit", |seen| seen.messages.iter().any(|one| one.edits == 1).then_some(())).await;
    world.slack.seen.see(|seen| assert_eq!(seen.messages.len(), 2));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_token_falls_back_at_once_and_recovers_on_reload() {
    let mut world = World::new().await;
    world.slack.set_mode(slack::Mode::Refuse("invalid_auth"));
    let slow = format!(
        "- {{name: slow, slack_configs: [{{api_url: '{}', channel: x, http_config: {{authorization: {{credentials: t}}}}}}], x: {{fallback: {{to: mail, after: 1h}}}}}}",
        world.slack.api_url()
    );
    let config = world.config("{receiver: slow, group_wait: 0s}", &slow);
    world.start(config.clone());
    world.commit(&[firing("HostDown", "web-1", "critical")]);
    world.smtp.seen.until("a mail", |seen| (seen.mails.len() == 1).then_some(())).await;
    world.smtp.seen.see(|seen| {
        assert!(
            seen.mails[0].text.contains("slow/slack[0] refused the message: invalid_auth"),
            "{}",
            seen.mails[0].text
        );
    });
    let refused = world.attempted(Outcome::Permanent, 1).await;
    assert_eq!(refused[0].words, "invalid_auth");
    let views = world.notifier().receivers();
    let channel = &views.iter().find(|view| view.name == "slow").unwrap().channels[0];
    assert!(channel.broken && channel.last_error == "invalid_auth", "{channel:?}");
    world.slack.set_mode(slack::Mode::Ok);
    world.notifier().reload(config);
    world.slack.seen.until("the state", |seen| (seen.messages.len() == 1).then_some(())).await;
    world.attempted(Outcome::Accepted, 2).await;
    world.smtp.seen.see(|seen| assert_eq!(seen.mails.len(), 1));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_refused_goes_out_once_a_test_is_taken() {
    let mut world = World::new().await;
    world.slack.set_mode(slack::Mode::Refuse("channel_not_found"));
    world.start(world.config("{receiver: slack, group_wait: 0s}", ""));
    world.commit(&[firing("HostDown", "web-1", "warning")]);
    world.attempted(Outcome::Permanent, 1).await;
    world.slack.set_mode(slack::Mode::Ok);
    world.notifier().send_test("slack").unwrap();
    let said = |seen: &slack::Seen, text: &str| seen.messages.iter().any(|message| message.text().contains(text));
    world.slack.seen.until("the alert, within a minute", |seen| said(seen, "HostDown").then_some(())).await;
    world.slack.seen.see(|seen| assert!(said(seen, "BinnacleTest")));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_throttled_channel_is_left_alone_for_as_long_as_it_says() {
    let mut world = World::new().await;
    world.slack.set_mode(slack::Mode::Throttle(2));
    world.start(world.config("{receiver: slack, group_by: ['...'], group_wait: 0s, routes: [{receiver: pagerduty, continue: true}, {receiver: slack}]}", ""));
    world.commit(&[firing("A", "web-1", "critical"), firing("B", "web-2", "critical")]);
    world.attempted(Outcome::Throttled, 1).await;
    world.slack.set_mode(slack::Mode::Ok);
    world.pagerduty.seen.until("others flow", |seen| (seen.open() == 2).then_some(())).await;
    world.slack.seen.until("both", |seen| (seen.messages.len() == 2).then_some(())).await;
    world.slack.seen.see(|seen| {
        let gap = seen.requests[1].1 - seen.requests[0].1;
        assert!(gap >= Duration::from_millis(1_990), "asked again after {gap:?}");
        assert_eq!(seen.requests.len(), 3, "one throttled, two taken");
    });
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failures_are_spaced_and_lose_nothing() {
    let mut world = World::new().await;
    world.pagerduty.set_mode(pagerduty::Mode::Status(503));
    world.slack.set_mode(slack::Mode::Html);
    world.start(world.config(
        "{receiver: pagerduty, group_wait: 0s, routes: [{receiver: pagerduty, continue: true}, {receiver: webhook}]}",
        "",
    ));
    let alert = firing("HostDown", "web-1", "critical");
    world.commit(std::slice::from_ref(&alert));
    world.attempted(Outcome::Transient, 14).await;
    let receivers = world.notifier().receivers();
    for name in ["pagerduty", "webhook"] {
        let view = receivers.iter().find(|view| view.name == name).unwrap();
        assert!(view.channels[0].broken, "{view:?}");
    }
    world.pagerduty.seen.see(|seen| assert!(seen.incidents.is_empty()));
    world.pagerduty.set_mode(pagerduty::Mode::Ok);
    world.slack.set_mode(slack::Mode::Ok);
    world.attempted(Outcome::Accepted, 2).await;
    world.commit(&[ended(&alert)]);
    let accepted = world.attempted(Outcome::Accepted, 4).await;
    assert!(accepted[2..].iter().all(|attempt| attempt.want == IntentState::Resolved));
    world.pagerduty.seen.see(|seen| assert_eq!((seen.incidents.len(), seen.open()), (1, 0)));
    world.slack.seen.see(|seen| assert_eq!(seen.messages.len(), 2, "a webhook cannot edit: one for each state"));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_test_is_tried_though_its_channel_is_held_back() {
    let mut world = World::new().await;
    world.timing.probe_ms = 3_600_000;
    world.pagerduty.set_mode(pagerduty::Mode::Status(503));
    world.start(world.config("{receiver: pagerduty, group_wait: 0s}", ""));
    world.commit(&[firing("HostDown", "web-1", "critical")]);
    world.attempted(Outcome::Transient, 5).await;
    world.notifier().send_test("pagerduty").unwrap();
    let failed = world.attempted(Outcome::Transient, 6).await;
    assert!(failed[5].subject.starts_with("BinnacleTest"), "{:?}", failed[5]);
    world.pagerduty.set_mode(pagerduty::Mode::Ok);
    world.notifier().send_test("pagerduty").unwrap();
    world.pagerduty.seen.until("a test opens the way", |seen| (seen.incidents.len() >= 2).then_some(())).await;
    let accepted = world.attempted(Outcome::Accepted, 2).await;
    assert!(accepted[0].subject.starts_with("BinnacleTest"), "{accepted:?}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_fired_and_ended_untold_is_told_once() {
    let mut world = World::new().await;
    world.start(world.config("{receiver: all, group_wait: 300ms}", ""));
    let alert = firing("Blip", "web-1", "warning");
    world.commit(std::slice::from_ref(&alert));
    world.commit(&[ended(&alert)]);
    // PagerDuty is told of the beginning and of the end.
    world.attempted(Outcome::Accepted, 4).await;
    world.slack.seen.see(|seen| {
        assert_eq!(seen.messages.len(), 1);
        assert!(seen.messages[0].text().contains("FIRED AND ENDED"), "{}", seen.messages[0].text());
    });
    world.smtp.seen.see(|seen| assert_eq!(seen.mails.len(), 1));
    world.pagerduty.seen.see(|seen| {
        let incident = seen.incidents.values().next().unwrap();
        assert_eq!((incident.opened, incident.open, incident.severity.as_str()), (1, false, "info"));
    });
    world.stop().await;
}

/// Posts in the channel after one was taken without an answer, while so many questions after it fail.
async fn posts_after_a_cut(questions_failing: usize) -> Vec<String> {
    let mut world = World::new().await;
    world.slack.seen.change(|seen| {
        (seen.history_scope, seen.mode, seen.questions_failing) = (true, slack::Mode::AcceptThenCut, questions_failing);
    });
    world.start(world.route_to("slack"));
    let alert = firing("HostDown", "web-1", "critical");
    world.commit(std::slice::from_ref(&alert));
    world.attempted(Outcome::Accepted, 1).await;
    world.commit(&[ended(&alert)]);
    world.settled(1).await;
    let posts = world.slack.seen.see(|seen| {
        let posts = seen.messages.iter().filter(|post| post.thread_ts.is_none());
        posts.map(|post| post.said.join(" -> ")).collect()
    });
    world.stop().await;
    posts
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_look_up_that_fails_in_passing_is_made_again_before_anything_is_repeated() {
    let posts = posts_after_a_cut(3).await;
    assert_eq!(posts.len(), 1, "{posts:?}");
    assert!(posts[0].contains("[RESOLVED") && !posts[0].contains("ossible repeat"), "{posts:?}");
    // Nobody waits for ever to hear of an alert.
    let posts = posts_after_a_cut(usize::MAX).await;
    assert_eq!(posts.len(), 2, "{posts:?}");
    assert!(posts[1].contains("ossible repeat"), "{posts:?}");
}
