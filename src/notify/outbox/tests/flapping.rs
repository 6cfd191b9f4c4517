//! Alerts that come and go.

use model::alert::Transition;

use super::*;

const CHANNEL: &str = "slack/slack[0]";
const ROUTE: &str = "{receiver: slack, group_by: ['...'], group_wait: 0s, repeat_interval: 30m}";

fn open(bench: &Bench) -> usize {
    bench.outbox.iter().filter(|(_, one)| one.want == IntentState::Firing).count()
}

impl Bench {
    /// Fires and ends at these minutes, whoever is to be told at once being told.
    fn episode(&mut self, begins: i64, ends: i64) -> Instance {
        let alert = firing("a", "warning", begins * MINUTE);
        self.take(&alert, begins * MINUTE);
        self.tell(begins * MINUTE);
        let over = ended(&alert, ends * MINUTE);
        self.take(&over, ends * MINUTE);
        self.tell(ends * MINUTE);
        over
    }

    fn tell(&mut self, now_ms: i64) {
        while !self.due(CHANNEL, now_ms).is_empty() {
            self.attempt(CHANNEL, now_ms, Verdict::Accepted);
        }
    }
}

#[test]
fn a_flapping_alert_stays_one_episode_until_it_is_quiet() {
    let mut bench = Bench::new(ROUTE);
    bench.outbox.set_back_within(0);
    (0..4).for_each(|n| drop(bench.episode(2 * n, 2 * n + 1)));
    assert_eq!(open(&bench), 1, "the fourth end is held back");
    bench.episode(8, 9);
    assert_eq!((open(&bench), bench.outbox.iter().count()), (1, 4), "the fifth beginning is the same trouble");
    bench.sweep(13 * MINUTE - 1);
    assert_eq!(open(&bench), 1);
    bench.sweep(13 * MINUTE);
    assert_eq!(open(&bench), 0, "told as over after twice its period");
}

#[test]
fn an_alert_that_came_back_soon_has_its_next_end_held_back() {
    let mut bench = Bench::new(ROUTE);
    bench.episode(0, 1);
    assert_eq!(open(&bench), 0, "a first end is told at once");
    let over = bench.episode(2, 3);
    assert_eq!((open(&bench), bench.outbox.iter().count()), (1, 2), "the second is a message of its own");
    let back = "X a came back 1m after its end: the next one is told once it stayed away for 4m";
    assert!(bench.outbox.iter().any(|(_, one)| handle(one, mark::BACK) == back), "{:#?}", bench.outbox);
    let lines = bench.outbox.take_lines();
    let words =
        "its end is told at 1970-01-01T00:07:00.000Z if it does not fire again: it came back soon after its last end";
    assert_eq!(lines.iter().map(|line| line.words.as_str()).collect::<Vec<_>>(), [words]);
    assert_eq!(lines[0].scope, over.episode().unwrap());
    (2..6).for_each(|n| drop(bench.episode(2 * n, 2 * n + 1)));
    assert_eq!((open(&bench), bench.outbox.iter().count()), (1, 2), "all that follows is the second");
    let flapping = "flapping: fired 6 times within an hour";
    assert!(
        bench
            .outbox
            .iter()
            .any(|(_, one)| handle(one, mark::FLAPPING) == flapping && handle(one, mark::BACK).is_empty())
    );
    assert_eq!(bench.next(), Some(15 * MINUTE), "twice its period");
    bench.sweep(15 * MINUTE);
    bench.tell(15 * MINUTE);
    assert_eq!(open(&bench), 0);
    // What stays away for longer begins anew: its end is told at once.
    let mut bench = Bench::new(ROUTE);
    bench.episode(0, 1);
    bench.episode(12, 13);
    assert_eq!(open(&bench), 0);
}

#[test]
fn an_end_that_is_held_back_outlives_a_restart_and_is_told_when_nothing_is_known() {
    let mut bench = Bench::new(ROUTE);
    bench.episode(0, 1);
    let over = bench.episode(2, 3);
    let (intents, _) = bench.outbox.unwritten();
    let change = |at: i64, from, to| Transition {
        at_ms: at * MINUTE,
        rule_id: over.rule_id.clone(),
        labels: over.labels.clone(),
        from,
        to,
        value: 1.0,
        note: String::new(),
    };
    let (fires, ends) = (Some(AlertState::Firing), Some(AlertState::Resolved));
    let newest_first = [change(3, fires, ends), change(2, None, fires), change(1, fires, ends), change(0, None, fires)];
    bench.outbox = Outbox::load(intents.clone());
    bench.outbox.remember_fires(&newest_first);
    assert_eq!(bench.next(), Some(7 * MINUTE));
    // A reload that wants no such thing lets it go.
    bench.outbox.set_back_within(0);
    bench.sweep(3 * MINUTE);
    assert_eq!(open(&bench), 0);
    bench.outbox = Outbox::load(intents);
    bench.sweep(3 * MINUTE);
    assert_eq!(open(&bench), 0, "nobody is left without the end");
}

#[test]
fn what_stopped_coming_and_going_is_repeated_and_ends_at_once() {
    let mut bench = Bench::new(ROUTE);
    (0..4).for_each(|n| drop(bench.episode(2 * n, 2 * n + 1)));
    let alert = firing("a", "warning", 8 * MINUTE);
    bench.take(&alert, 8 * MINUTE);
    bench.tell(8 * MINUTE);
    // The message of the first episode is forgotten by then.
    bench.sweep(61 * MINUTE);
    assert_eq!(bench.next(), Some(72 * MINUTE), "an hour after it began, at a tick of its group");
    bench.sweep(72 * MINUTE);
    bench.tell(72 * MINUTE);
    let firing = |(_, one): &(&Key, &Intent)| one.want == IntentState::Firing;
    let (_, intent) = bench.outbox.iter().find(firing).expect("it fires");
    assert_eq!(handle(intent, mark::FLAPPING), "", "it only fires now");
    bench.take(&ended(&alert, 90 * MINUTE), 90 * MINUTE);
    assert_eq!(open(&bench), 0);
}

/// An alert that fires and ends at random, over restarts and reloads: one message at a time is open, and none stays so.
#[test]
fn whatever_comes_and_goes_has_one_open_message_and_none_in_the_end() {
    let seed = chance::seed(20_261_122);
    let mut random = chance::Random::new(seed);
    let (mut at_once, mut held_back) = (0, 0);
    for run in 0..60 {
        let mut bench = Bench::new(ROUTE);
        let mut history: Vec<Transition> = Vec::new();
        let mut fires: Option<Instance> = None;
        let mut now_ms = 0;
        // From seconds to twenty minutes between two changes.
        let pace = [4_i64, 40, 400, 1_200][random.below(4)];
        for step in 0..40 {
            now_ms += 1_000 * (1 + random.below(pace));
            let fail = |why: &str| -> ! { panic!("SEED={seed}, run {run}, step {step}, {now_ms} ms: {why}") };
            let change = |instance: &Instance, from, to| Transition {
                at_ms: now_ms,
                rule_id: instance.rule_id.clone(),
                labels: instance.labels.clone(),
                from,
                to,
                value: 1.0,
                note: String::new(),
            };
            bench.sweep(now_ms);
            bench.tell(now_ms);
            let before = open(&bench);
            match fires.take() {
                None => {
                    let alert = firing("a", "warning", now_ms);
                    history.insert(0, change(&alert, None, Some(AlertState::Firing)));
                    bench.take(&alert, now_ms);
                    fires = Some(alert);
                }
                Some(alert) => {
                    let over = ended(&alert, now_ms);
                    history.insert(0, change(&over, Some(AlertState::Firing), Some(AlertState::Resolved)));
                    bench.take(&over, now_ms);
                }
            }
            bench.tell(now_ms);
            let begun =
                history.iter().filter(|one| one.to == Some(AlertState::Firing) && one.at_ms > now_ms - 60 * MINUTE);
            match (&fires, open(&bench)) {
                (Some(_), 1) => {}
                (Some(_), _) => fail("it fires and no message, or more than one, says so"),
                (None, 0) => at_once += 1,
                (None, 1) if begun.count() < 2 => fail("a first end is held back"),
                (None, 1) => held_back += 1,
                (None, _) => fail("more than one message is open"),
            }
            if before > 1 {
                fail("more than one message was open");
            }
            if random.below(10) == 0 {
                let intents = bench.outbox.iter().map(|(_, intent)| intent.clone()).collect();
                bench.outbox = Outbox::load(intents);
                let recent: Vec<_> = history.iter().filter(|one| one.at_ms > now_ms - 60 * MINUTE).cloned().collect();
                bench.outbox.remember_fires(&recent);
            }
            if random.below(20) == 0 {
                bench.outbox.set_back_within([0, 1, 10][random.below(3)] * MINUTE);
            }
        }
        if let Some(alert) = fires {
            bench.take(&ended(&alert, now_ms), now_ms);
        }
        now_ms += 60 * MINUTE;
        bench.sweep(now_ms);
        bench.tell(now_ms);
        assert_eq!(open(&bench), 0, "SEED={seed}, run {run}: an end is not told");
    }
    assert!(at_once > 100 && held_back > 100, "{at_once} {held_back}: nothing was tested");
}
