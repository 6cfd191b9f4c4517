//! Stopped at random points, over and over, while providers cut answers off: what must hold at the end whatever happened.

use std::collections::BTreeMap;
use std::time::Duration;

use chance::Random;
use model::alert::{Instance, Outcome, Progress};

use crate::fakes::{pagerduty, slack};
use crate::world::{World, ended, firing};

const ROUNDS: usize = 25;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_episode_is_lost_doubled_or_left_open() {
    let mut random = Random::new(chance::seed(u64::try_from(crate::world::now_ms()).unwrap()));
    let mut world = World::new().await;
    let route = "{receiver: slack, group_by: ['...'], group_wait: 0s, routes: [{receiver: pagerduty, continue: true}, {receiver: slack}]}";
    let mut open: Vec<Instance> = Vec::new();
    let mut episodes = 0;
    for round in 0..ROUNDS {
        world.start(world.config(route, ""));
        let alert = firing("Round", &format!("web-{round}"), "critical");
        world.commit(std::slice::from_ref(&alert));
        open.push(alert);
        episodes += 1;
        if random.below(3) == 0 {
            let at = random.below(open.len());
            world.commit(&[ended(&open.swap_remove(at))]);
        }
        match random.below(6) {
            0 => world.slack.set_mode(slack::Mode::AcceptThenCut),
            1 => world.pagerduty.set_mode(pagerduty::Mode::AcceptThenCut),
            2 => world.pagerduty.set_mode(pagerduty::Mode::Status(500)),
            _ => {
                world.slack.set_mode(slack::Mode::Ok);
                world.pagerduty.set_mode(pagerduty::Mode::Ok);
            }
        }
        // Not waiting for anything: the moment of the kill is the test's input.
        tokio::time::sleep(Duration::from_micros(random.below(30_000))).await;
        world.kill().await;
    }
    world.slack.set_mode(slack::Mode::Ok);
    world.pagerduty.set_mode(pagerduty::Mode::Ok);
    world.start(world.config(route, ""));
    world.commit(&open.iter().map(ended).collect::<Vec<_>>());
    world.settled(2 * episodes).await;

    // How often an attempt on a scope may have arrived without our knowing.
    let mut doubts: BTreeMap<String, usize> = BTreeMap::new();
    let attempts = world.attempts();
    for attempt in &attempts {
        if matches!(attempt.outcome, Outcome::Ambiguous | Outcome::Transient) {
            *doubts.entry(format!("{} {}", attempt.receiver, attempt.scope)).or_default() += 1;
        }
    }
    let doubts_of = |receiver: &str, scope: &str| doubts.get(&format!("{receiver} {scope}")).copied().unwrap_or(0);
    let intents = world.intents();
    world.pagerduty.seen.see(|seen| {
        assert_eq!((seen.incidents.len(), seen.open()), (episodes, 0), "lost or left open");
        assert!(seen.complaints.is_empty(), "{:?}", seen.complaints);
        for intent in intents.iter().filter(|intent| intent.receiver.contains("pagerduty")) {
            let key = &intent.handle.iter().find(|(name, _)| name == "dedup_key").unwrap().1;
            let (_, incident) = seen.incidents.iter().find(|((_, dedup), _)| dedup == key).unwrap();
            assert!(incident.opened <= 1 + doubts_of(&intent.receiver, &intent.scope), "{incident:?} {intent:?}");
        }
    });
    world.slack.seen.see(|seen| {
        for intent in intents.iter().filter(|intent| intent.receiver.contains("slack")) {
            let host = intent.instances[0].labels.value("host_name");
            let word = |text: &str| text.split_whitespace().any(|word| word.trim_end_matches(':') == host);
            let of: Vec<_> = seen.messages.iter().filter(|message| word(message.text())).collect();
            let doubts = doubts_of(&intent.receiver, &intent.scope);
            let history: Vec<_> =
                attempts.iter().filter(|one| one.scope == intent.scope && one.receiver == intent.receiver).collect();
            assert!((1..=1 + doubts).contains(&of.len()), "{host}: {of:#?}\n{history:#?}\n{intent:#?}");
            let last = of.last().unwrap();
            assert!(last.text().contains("ENDED") || last.text().contains("RESOLVED"), "{}", last.text());
        }
    });
    assert!(intents.iter().all(|intent| matches!(intent.progress, Progress::Accepted { .. })));
    world.stop().await;
}
