//! Stopped between a firing and its end, or in the middle of an attempt: the same keys, no second incident, no lost end.

use model::alert::Outcome;

use crate::fakes::{pagerduty, slack, smtp};
use crate::world::{World, ended, firing};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_end_after_a_restart_reaches_what_was_opened_before() {
    let mut world = World::new().await;
    world.start(world.route_to("all"));
    let alert = firing("HostDown", "web-1", "critical");
    world.commit(std::slice::from_ref(&alert));
    world.attempted(Outcome::Accepted, 3).await;
    world.kill().await;
    // It ends while nobody is there to tell.
    world.commit_alone(&[ended(&alert)]);
    world.start(world.route_to("all"));
    world.attempted(Outcome::Accepted, 6).await;
    world.slack.seen.see(|seen| assert_eq!((seen.messages.len(), seen.messages[0].edits), (1, 1)));
    world.pagerduty.seen.see(|seen| {
        assert_eq!((seen.incidents.len(), seen.open()), (1, 0));
        assert_eq!(seen.events.len(), 2);
    });
    world.smtp.seen.see(|seen| assert_eq!(seen.mails[0].header("References"), seen.mails[1].header("References")));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_channels_last_worked_and_failed_is_known_after_a_restart() {
    let mut world = World::new().await;
    world.start(world.route_to("all"));
    world.commit(&[firing("HostDown", "web-1", "critical")]);
    let accepted = world.attempted(Outcome::Accepted, 3).await;
    let then = |receiver: &str, after_ms: i64, outcome: Outcome| {
        let one = accepted.iter().find(|attempt| attempt.receiver == receiver).unwrap().clone();
        model::alert::Attempt { at_ms: one.at_ms + after_ms, outcome, words: format!("answer {after_ms}"), ..one }
    };
    let later = [
        then("all/slack[0]", 10, Outcome::Transient),
        then("all/slack[0]", 20, Outcome::Permanent),
        then("all/slack[0]", 30, Outcome::Suppressed),
        then("all/pagerduty[0]", -10, Outcome::Throttled),
        then("all/pagerduty[0]", 10, Outcome::Ambiguous),
    ];
    world.alerts().append_attempts(&later).unwrap();
    world.stop().await;
    world.start(world.route_to("all"));
    let views = world.notifier().receivers();
    let check = |name: &str, failed_after_ms: Option<i64>, error: &str| {
        let channel = views.iter().flat_map(|view| &view.channels).find(|channel| channel.name == name).unwrap();
        let worked_ms = accepted.iter().find(|attempt| attempt.receiver == name).map(|attempt| attempt.at_ms);
        let failed_ms = failed_after_ms.map(|after_ms| worked_ms.unwrap() + after_ms);
        assert_eq!((channel.last_success_ms, channel.last_failure_ms), (worked_ms, failed_ms), "{name}");
        assert_eq!((channel.last_error.as_str(), channel.broken), (error, false), "{name}");
    };
    check("all/slack[0]", Some(20), "answer 20");
    check("all/pagerduty[0]", Some(-10), "answer -10");
    check("all/email[0]", None, "");
    check("slack/slack[0]", None, "");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attempt_cut_by_a_crash_is_ambiguous_and_made_again() {
    let mut world = World::new().await;
    // Nobody answers: connections are taken by the listener's queue and never read.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let dead = format!(
        "- {{name: dead, pagerduty_configs: [{{routing_key: '{}', url: 'http://{}/v2/enqueue'}}]}}",
        crate::world::ROUTING_KEY,
        silent.local_addr().unwrap()
    );
    world.start(world.config("{receiver: dead, group_wait: 0s}", &dead));
    world.commit(&[firing("HostDown", "web-1", "critical")]);
    // The attempt is in the store before anything of it is on the wire.
    let connection = tokio::task::spawn_blocking(move || silent.accept().unwrap()).await.unwrap();
    let begun = world.intents();
    assert!(matches!(begun[0].progress, model::alert::Progress::Sending { attempt: 1, .. }), "{begun:#?}");
    let key = begun[0].handle.iter().find(|(name, _)| name == "dedup_key").unwrap().1.clone();
    world.kill().await;
    drop(connection);
    let alive = dead.replace(&dead[dead.find("http").unwrap()..dead.rfind('\'').unwrap()], &world.pagerduty.url());
    world.start(world.config("{receiver: dead, group_wait: 0s}", &alive));
    world.attempted(Outcome::Accepted, 1).await;
    let outcomes: Vec<_> = world.attempts().iter().map(|attempt| (attempt.outcome, attempt.number)).collect();
    assert_eq!(outcomes, [(Outcome::Ambiguous, 1), (Outcome::Accepted, 2)]);
    world.pagerduty.seen.see(|seen| assert_eq!(seen.events[0]["dedup_key"], key.as_str()));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn taken_but_not_answered_is_repeated_without_harm() {
    let mut world = World::new().await;
    world.slack.set_mode(slack::Mode::AcceptThenCut);
    world.pagerduty.set_mode(pagerduty::Mode::AcceptThenCut);
    world.smtp.set_mode(smtp::Mode::AcceptThenCut);
    world.start(world.route_to("all"));
    world.commit(&[firing("HostDown", "web-1", "critical")]);
    world.attempted(Outcome::Accepted, 3).await;
    world.attempted(Outcome::Transient, 3).await;
    world.pagerduty.seen.see(|seen| {
        assert_eq!((seen.events.len(), seen.incidents.len()), (2, 1));
        assert_eq!(seen.incidents.values().next().unwrap().opened, 1);
    });
    world.smtp.seen.see(|seen| {
        assert_eq!(seen.mails.len(), 2);
        assert_eq!(seen.mails[0].header("Message-ID"), seen.mails[1].header("Message-ID"));
    });
    world.slack.seen.see(|seen| {
        assert_eq!(seen.messages.len(), 2);
        assert!(!seen.messages[0].body.to_string().contains("Possible repeat"));
        assert!(seen.messages[1].body.to_string().contains("Possible repeat"), "a repeat that people see says so");
    });
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_incident_is_closed_with_the_key_that_opened_it() {
    let mut world = World::new().await;
    world.start(world.route_to("pagerduty"));
    let alert = firing("HostDown", "web-1", "critical");
    world.commit(std::slice::from_ref(&alert));
    world.attempted(Outcome::Accepted, 1).await;
    world.kill().await;
    let rotated = world.config_with_key("{receiver: pagerduty, group_wait: 0s}", "", &"f".repeat(32));
    world.start(rotated);
    let newer = firing("HostDown", "web-2", "critical");
    world.commit(&[ended(&alert), newer]);
    world.attempted(Outcome::Accepted, 3).await;
    world.pagerduty.seen.see(|seen| {
        let of = |key: &str| -> Vec<bool> {
            let incidents = seen.incidents.iter().filter(|((routing, _), _)| routing == key);
            incidents.map(|(_, incident)| incident.open).collect()
        };
        assert_eq!(of(crate::world::ROUTING_KEY), [false], "closed where it was opened");
        assert_eq!(of(&"f".repeat(32)), [true], "what is new goes to the new key");
    });
    let closed = world.intents().into_iter().find(|intent| intent.want == model::alert::IntentState::Resolved).unwrap();
    assert!(
        closed.handle.iter().all(|(name, _)| name != "routing_key"),
        "the secret outlives the incident: {closed:?}"
    );
    world.stop().await;
}
