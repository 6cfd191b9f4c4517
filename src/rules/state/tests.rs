use chance::Random;

use super::*;

const STEP_MS: i64 = 60_000;
const PATIENT: Patience = Patience { unknown_max_ms: Some(5 * STEP_MS), then_ends: false };

/// Runs a script of evaluations 60 s apart: `+` the condition holds, `-` it does not, `?` nobody can tell, `!` the same where
/// patience ends what fires, `>` the condition holds after 60 s in which nobody looked. Expects one letter each: `p`ending,
/// `f`iring, `u`nverified, `k`eeping, `r`esolved, `.` nothing.
#[track_caller]
fn check(for_s: i64, keep_s: i64, script: &str, expected: &str) -> Option<Instance> {
    let timers = Timers { for_ms: for_s * 1_000, keep_firing_for_ms: keep_s * 1_000 };
    let mut instance: Option<Instance> = None;
    let mut seen = String::new();
    for (at, step) in script.chars().enumerate() {
        let at_ms = at as i64 * STEP_MS;
        instance = match (step, instance) {
            ('+' | '>', before) => {
                let lost_ms = if step == '>' { STEP_MS } else { 0 };
                Some(present("r", before.as_ref(), found(at as f64), timers, lost_ms, at_ms))
            }
            ('-', Some(before)) => absent(&before, timers, "", at_ms),
            ('?', Some(before)) => unknown(&before, "no_data", PATIENT, STEP_MS, at_ms),
            ('!', Some(before)) => unknown(&before, "no_data", Patience { then_ends: true, ..PATIENT }, STEP_MS, at_ms),
            (_, before) => before,
        };
        seen.push(match &instance {
            None => '.',
            Some(Instance { state: AlertState::Pending, .. }) => 'p',
            Some(instance) if instance.is_unverified() => 'u',
            Some(Instance { state: AlertState::Firing, keep_since_ms: Some(_), .. }) => 'k',
            Some(Instance { state: AlertState::Firing, .. }) => 'f',
            Some(Instance { state: AlertState::Resolved, .. }) => 'r',
        });
    }
    assert_eq!(seen, expected, "for {for_s}s, keep {keep_s}s, {script}");
    instance
}

fn found(value: f64) -> Present {
    Present { labels: Labels::default(), annotations: vec![], value, evidence: Evidence::default() }
}

#[test]
fn fires_when_the_condition_has_held_for_as_long() {
    check(0, 0, "+-", "fr");
    check(120, 0, "+++", "ppf");
    // Below one interval: at the second evaluation, never between.
    check(1, 0, "++", "pf");
    check(121, 0, "++++", "pppf");
    check(120, 0, "++-+++", "pp.ppf");
}

#[test]
fn unknown_holds_and_does_not_count() {
    check(120, 0, "+?++", "pppf");
    check(120, 0, "+??++", "ppppf");
    check(0, 0, "+??-", "fuur");
    check(0, 0, "+??+-", "fuufr");
    check(0, 120, "+-?-", "fkur");
    // Nothing begins with it.
    check(0, 0, "?+", ".f");
    let held = check(0, 0, "+?", "fu").unwrap();
    assert_eq!((held.evidence.reason.as_str(), held.evidence.unknown_since_ms), ("no_data", Some(STEP_MS)));
}

#[test]
fn unknown_for_too_long_is_decided() {
    check(600, 0, "+??????", "pppppp.");
    check(0, 0, "+???????", "fuuuuuuu");
    check(0, 0, "+!!!!!!!", "fuuuuurr");
}

#[test]
fn time_in_which_nobody_looked_does_not_count() {
    check(120, 0, "+>++", "pppf");
    // What fires fires on.
    check(0, 0, "+>-", "ffr");
}

#[test]
fn keeps_firing_for_a_while() {
    check(0, 120, "+---", "fkkr");
    check(0, 120, "+-+---", "fkfkkr");
}

#[test]
fn a_return_is_a_new_episode() {
    let last = check(60, 0, "++-++", "pfrpf").unwrap();
    assert_eq!((last.active_at_ms, last.fired_at_ms, last.resolved_at_ms), (180_000, Some(240_000), None));
}

#[test]
fn an_ended_instance_is_kept_15_minutes() {
    check(0, 0, "+----------------", "frrrrrrrrrrrrrrrr");
    check(0, 0, "+-----------------", "frrrrrrrrrrrrrrrr.");
    check(0, 0, "+-????????????????", "frrrrrrrrrrrrrrrr.");
}

#[test]
fn values_follow_and_a_raised_for_returns_to_pending() {
    let zero = Timers { for_ms: 0, keep_firing_for_ms: 0 };
    let firing = present("r", None, found(7.0), zero, 0, 0);
    let same = present("r", Some(&firing), found(9.0), zero, 0, 60_000);
    assert_eq!((same.value, same.fired_at_ms, same.evaluated_at_ms), (9.0, Some(0), 60_000));
    let raised = present("r", Some(&firing), found(7.0), Timers { for_ms: 120_000, ..zero }, 0, 60_000);
    assert_eq!((raised.state, raised.fired_at_ms, raised.active_at_ms), (AlertState::Pending, None, 0));
}

#[test]
fn a_clock_set_back_takes_the_timers_along() {
    let timers = Timers { for_ms: 120_000, keep_firing_for_ms: 0 };
    let pending = present("r", None, found(1.0), timers, 0, 1_000_000);
    let moved = shifted(&present("r", Some(&pending), found(1.0), timers, 0, 1_060_000), -1_000_000);
    assert_eq!(present("r", Some(&moved), found(1.0), timers, 0, 120_000).state, AlertState::Firing);
}

#[test]
fn a_clock_set_ahead_ends_no_wait() {
    let timers = Timers { for_ms: 0, keep_firing_for_ms: 120_000 };
    let firing = present("r", None, found(1.0), timers, 0, 0);
    let keeping = absent(&firing, timers, "", 60_000).unwrap();
    let moved = waited(&keeping, 3_600_000, 3_720_000);
    assert_eq!(absent(&moved, timers, "", 3_720_000).unwrap().state, AlertState::Firing);
    assert_eq!(absent(&moved, timers, "", 3_780_000).unwrap().state, AlertState::Resolved);
    let held = waited(&unknown(&firing, "no_data", PATIENT, STEP_MS, 60_000).unwrap(), 3_600_000, 3_720_000);
    assert_eq!(held.evidence.unknown_since_ms, Some(3_660_000));
}

/// The table of the documentation, in as few words as possible, for one instance.
#[derive(Default)]
struct Model {
    since: Option<i64>,
    lost: i64,
    fired: bool,
    keep: Option<i64>,
    unknown: Option<i64>,
}

impl Model {
    fn step(&mut self, verdict: u64, (wait, keep): (i64, i64), ends: bool, at: i64) {
        match verdict {
            0 => {
                let since = *self.since.get_or_insert(at);
                (self.unknown, self.keep) = (None, None);
                self.fired = at - since - self.lost >= wait;
            }
            1 if self.fired => {
                self.unknown = None;
                let since = *self.keep.get_or_insert(at);
                if at - since >= keep {
                    *self = Model::default();
                }
            }
            1 => *self = Model::default(),
            _ if self.since.is_some() => {
                let too_long = at - *self.unknown.get_or_insert(at) >= 5;
                self.lost += i64::from(!self.fired);
                if too_long && (ends || !self.fired) {
                    *self = Model::default();
                }
            }
            _ => {}
        }
    }
}

/// Random verdicts and timers changed by reloads, against the model. With restarts and the disk: `engine/tests/model.rs`.
#[test]
fn random_verdicts_follow_the_table() {
    let mut random = Random::new(chance::seed(20_261_121));
    let mut fired = 0;
    for _ in 0..500 {
        let (mut model, mut instance) = (Model::default(), None::<Instance>);
        let (mut wait, keep, ends) = (random.below(4) as i64, random.below(4) as i64, random.below(2) == 0);
        let mut verdict = 0;
        for at in 0..60 {
            if random.below(3) == 0 {
                verdict = random.below(3);
            }
            if random.below(20) == 0 {
                wait = random.below(4) as i64;
            }
            let timers = Timers { for_ms: wait * STEP_MS, keep_firing_for_ms: keep * STEP_MS };
            let at_ms = at * STEP_MS;
            instance = match (verdict, &instance) {
                (0, before) => Some(present("r", before.as_ref(), found(1.0), timers, 0, at_ms)),
                (_, None) => None,
                (1, Some(before)) => absent(before, timers, "", at_ms),
                (_, Some(before)) => {
                    let patience = Patience { unknown_max_ms: Some(5 * STEP_MS), then_ends: ends };
                    unknown(before, "no_data", patience, STEP_MS, at_ms)
                }
            };
            model.step(verdict, (wait, keep), ends, at);
            let found = instance.as_ref().filter(|instance| instance.state != AlertState::Resolved);
            let shown = found.map(|i| (i.active_at_ms / STEP_MS, i.state == AlertState::Firing, i.is_unverified()));
            let expected = model.since.map(|since| (since, model.fired, model.unknown.is_some()));
            assert_eq!(shown, expected, "minute {at}, for {wait}, keep {keep}");
            fired += u32::from(model.fired);
        }
    }
    assert!(fired > 1_000, "{fired} minutes of firing; nothing was tested");
}
