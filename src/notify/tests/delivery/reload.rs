//! A configuration that is replaced while alerts fire and messages are under way: nobody is forgotten, whoever leaves.

use model::alert::{IntentState, Outcome};

use crate::fakes::pagerduty;
use crate::world::{ROUTING_KEY, World, ended, firing, until};

/// A receiver with the fake PagerDuty, beside those that every configuration here has.
fn leaver(world: &World) -> String {
    format!(
        "- {{name: leaver, pagerduty_configs: [{{routing_key: '{ROUTING_KEY}', url: '{}'}}]}}",
        world.pagerduty.url()
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_leaves_is_told_the_end_and_what_it_was_not_told_goes_on() {
    let mut world = World::new().await;
    world.start(world.config("{receiver: leaver, group_wait: 0s}", &leaver(&world)));
    let told = firing("Told", "web-1", "critical");
    world.commit(std::slice::from_ref(&told));
    world.attempted(Outcome::Accepted, 1).await;
    world.pagerduty.set_mode(pagerduty::Mode::Status(503));
    let (waits, blip) = (firing("Waits", "web-2", "critical"), firing("Blip", "web-3", "critical"));
    world.commit(&[waits.clone(), blip.clone()]);
    world.attempted(Outcome::Transient, 2).await;
    world.commit(&[ended(&blip)]);
    let to_mail = "{receiver: mail, group_by: [alertname], group_wait: 0s, group_interval: 1s}";
    world.notifier().reload(world.config(to_mail, ""));
    // What fires is told to whom the routes lead now, what came and went too.
    let subjects = |seen: &crate::fakes::smtp::Seen| {
        let mut subjects: Vec<String> = seen.mails.iter().map(|mail| mail.header("Subject")).collect();
        subjects.sort();
        subjects
    };
    world.smtp.seen.until("mails of all three", |seen| (subjects(seen).len() >= 3).then_some(())).await;
    let found = world.smtp.seen.see(subjects);
    assert!(found[0].contains("FIRED AND ENDED critical] Blip"), "{found:?}");
    assert!(found[1].contains("FIRING critical] Told") && found[2].contains("FIRING critical] Waits"), "{found:?}");
    let left = world.attempted(Outcome::Expired, 2).await;
    assert!(
        left.iter()
            .all(|line| line.receiver == "leaver/pagerduty[0]" && line.words.contains("no longer in notify.yml"))
    );
    // The incident that is open is closed by the configuration that opened it, and nothing else is said there.
    world.pagerduty.set_mode(pagerduty::Mode::Ok);
    world.commit(&[ended(&told)]);
    world.pagerduty.seen.until("the end", |seen| (seen.open() == 0).then_some(())).await;
    world.pagerduty.seen.see(|seen| {
        let ends = seen.events.iter().filter(|event| event["event_action"] == "resolve").count();
        assert_eq!((seen.incidents.len(), ends), (1, 1), "{:?}", seen.events);
    });
    world.smtp.seen.until("the end by mail", |seen| (seen.mails.len() == 4).then_some(())).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_comes_back_is_told_nothing_twice_and_every_end() {
    let mut world = World::new().await;
    let route = "{receiver: leaver, group_wait: 0s}";
    let (here, gone) = (world.config(route, &leaver(&world)), world.route_to("mail"));
    world.start(here.clone());
    let alert = firing("HostDown", "web-1", "critical");
    world.commit(std::slice::from_ref(&alert));
    world.attempted(Outcome::Accepted, 1).await;
    world.notifier().reload(gone.clone());
    world.smtp.seen.until("a mail meanwhile", |seen| (seen.mails.len() == 1).then_some(())).await;
    let back = format!("{}\n- {{name: back}}", leaver(&world));
    world.notifier().reload(world.config(route, &back));
    // What begins before is told by the routes of before.
    let is_back = || world.notifier().receivers().iter().any(|receiver| receiver.name == "back");
    until("the reload", is_back).await;
    let newer = firing("HostDown", "web-2", "critical");
    world.commit(std::slice::from_ref(&newer));
    world.pagerduty.seen.until("the newer one", |seen| (seen.open() == 2).then_some(())).await;
    world.notifier().reload(gone);
    world.notifier().reload(here);
    world.commit(&[ended(&alert), ended(&newer)]);
    world.pagerduty.seen.until("the ends", |seen| (seen.open() == 0).then_some(())).await;
    world.smtp.seen.until("the end by mail", |seen| (seen.mails.len() >= 2).then_some(())).await;
    world.pagerduty.seen.see(|seen| assert_eq!((seen.incidents.len(), seen.events.len()), (2, 4), "{:?}", seen.events));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whom_a_reload_leads_an_alert_to_is_told_and_nobody_twice() {
    let mut world = World::new().await;
    world.start(world.route_to("pagerduty"));
    let alert = firing("HostDown", "web-1", "critical");
    world.commit(std::slice::from_ref(&alert));
    world.attempted(Outcome::Accepted, 1).await;
    // Both are in the file before and after.
    let to_mail = |more: &str| {
        world
            .config(&format!("{{receiver: mail, group_by: [alertname], group_wait: 0s, group_interval: 1s{more}}}"), "")
    };
    world.notifier().reload(to_mail(""));
    world.attempted(Outcome::Accepted, 2).await;
    // The same again, in other words.
    world.notifier().reload(to_mail(", routes: [{matchers: [a=b], receiver: slack}]"));
    let other = firing("Other", "web-2", "critical");
    world.commit(std::slice::from_ref(&other));
    world.attempted(Outcome::Accepted, 3).await;
    world.commit(&[ended(&alert), ended(&other)]);
    world.settled(3).await;
    world.smtp.seen.see(|seen| assert_eq!(seen.mails.len(), 4));
    world.pagerduty.seen.see(|seen| assert_eq!((seen.incidents.len(), seen.events.len()), (1, 2), "{:?}", seen.events));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attempt_under_way_is_waited_for_though_its_receiver_left() {
    let mut world = World::new().await;
    world.pagerduty.set_mode(pagerduty::Mode::Slow(500));
    world.start(world.config("{receiver: leaver, group_wait: 0s}", &leaver(&world)));
    let alert = firing("HostDown", "web-1", "critical");
    world.commit(std::slice::from_ref(&alert));
    world.pagerduty.seen.until("the event", |seen| (!seen.events.is_empty()).then_some(())).await;
    world.notifier().reload(world.route_to("mail"));
    world.attempted(Outcome::Accepted, 2).await;
    world.pagerduty.set_mode(pagerduty::Mode::Ok);
    world.commit(&[ended(&alert)]);
    world.pagerduty.seen.until("its end", |seen| (seen.open() == 0 && seen.events.len() == 2).then_some(())).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_end_that_nobody_can_tell_after_a_restart_is_said_in_the_history() {
    let mut world = World::new().await;
    world.start(world.config("{receiver: leaver, group_wait: 0s}", &leaver(&world)));
    let alert = firing("HostDown", "web-1", "critical");
    world.commit(std::slice::from_ref(&alert));
    world.attempted(Outcome::Accepted, 1).await;
    world.stop().await;
    world.start(world.route_to("mail"));
    let lines = world.attempted(Outcome::Expired, 1).await;
    assert!(lines[0].words.contains("is not told the end"), "{lines:?}");
    // Nobody who can be told knew of it.
    world.smtp.seen.until("a mail", |seen| (seen.mails.len() == 1).then_some(())).await;
    world.commit(&[ended(&alert)]);
    world.attempted(Outcome::Accepted, 3).await;
    let kept = world.intents();
    assert!(
        kept.iter().all(|intent| intent.receiver == "mail/email[0]" && intent.want == IntentState::Resolved),
        "{kept:?}"
    );
    world.stop().await;
}
