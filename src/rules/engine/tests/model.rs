//! Random verdicts, reloads with other timers, restarts with and without downtime: the engine over a real alert file against a
//! model of the state table (`state.rs`) that knows nothing but minutes.

use super::*;

/// TRUE where `up` is the limit, FALSE where it is not, and an error where there are two limits.
const RULES: &str = "
groups:
- name: hosts
  interval: 60s
  rules:
  - alert: Down
    expr: up == on(host) limit
    for: FOR
    keep_firing_for: KEEP
    x: {unknown_max: 5m}
";
const UNKNOWN_MAX: i64 = 5;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Verdict {
    True,
    False,
    Unknown,
}

/// One alert. All times in minutes.
#[derive(Debug, Clone, Default)]
struct Model {
    since: Option<i64>,
    /// Of the time since then, what does not count towards `for`.
    lost: i64,
    fired: Option<i64>,
    keep_since: Option<i64>,
    unknown_since: Option<i64>,
    /// That is since the start, and counts from the next start anew.
    unknown_by_start: bool,
    /// Evaluations without an error since the start.
    successes: u32,
}

impl Model {
    fn restart(&mut self, at: i64) {
        self.successes = 0;
        if self.fired.is_some() && (self.unknown_since.is_none() || self.unknown_by_start) {
            (self.unknown_since, self.unknown_by_start) = (Some(at), true);
        }
    }

    /// What people are told.
    fn step(&mut self, verdict: Verdict, (wait, keep): (i64, i64), since_last: i64, at: i64) -> Vec<String> {
        self.successes += u32::from(verdict != Verdict::Unknown);
        let before = self.fired;
        match (verdict, self.fired) {
            (Verdict::True, fired) => {
                if self.since.is_some() && fired.is_none() {
                    self.lost += since_last - 1;
                }
                let since = *self.since.get_or_insert(at);
                (self.unknown_since, self.unknown_by_start, self.keep_since) = (None, false, None);
                let held = at - since - self.lost >= wait;
                self.fired = held.then(|| fired.unwrap_or(at));
            }
            (Verdict::False, None) => self.forget(),
            (Verdict::False, Some(_)) if self.successes < 2 => _ = self.unknown_since.get_or_insert(at),
            (Verdict::False, Some(_)) => {
                (self.unknown_since, self.unknown_by_start) = (None, false);
                if at - *self.keep_since.get_or_insert(at) >= keep {
                    self.forget();
                }
            }
            (Verdict::Unknown, fired) if self.since.is_some() => {
                self.unknown_by_start = false;
                self.lost += if fired.is_none() { since_last } else { 0 };
                if at - *self.unknown_since.get_or_insert(at) >= UNKNOWN_MAX {
                    self.forget();
                }
            }
            (Verdict::Unknown, _) => {}
        }
        match (before, self.fired) {
            (None, Some(fired)) => vec![format!("a firing {fired}")],
            (Some(fired), None) => vec![format!("a resolved {fired}")],
            _ => Vec::new(),
        }
    }

    fn forget(&mut self) {
        *self = Model { successes: self.successes, ..Model::default() };
    }

    fn shown(&self) -> Option<(i64, Option<i64>, Option<i64>)> {
        self.since.map(|since| (since, self.fired, self.unknown_since))
    }
}

fn feed(bench: &Bench, verdict: Verdict) {
    let at_ms = bench.minute * 60_000;
    let add = |name: &str, of: &str, value: f64| {
        let labels = Labels::from_pairs([("__name__", name), ("host", "a"), ("of", of)]);
        bench.series.add(&labels, Sample { at_ms, value });
    };
    add("up", "", if verdict == Verdict::False { 1.0 } else { 0.0 });
    add("limit", "one", 0.0);
    add("limit", "two", if verdict == Verdict::Unknown { 0.0 } else { ::model::metric::stale_marker() });
}

fn shown(bench: &Bench) -> Option<(i64, Option<i64>, Option<i64>)> {
    let groups = bench.inner().view();
    let mut instances = groups.iter().flat_map(|group| &group.rules).flat_map(|rule| &rule.instances);
    let live = instances.find(|instance| instance.state != AlertState::Resolved)?;
    let minutes = |at_ms: i64| at_ms / 60_000;
    Some((minutes(live.active_at_ms), live.fired_at_ms.map(minutes), live.evidence.unknown_since_ms.map(minutes)))
}

#[test]
fn random_verdicts_reloads_and_restarts_follow_the_table() {
    let seed = chance::seed(20_261_121);
    let mut random = Random::new(seed);
    let mut fired = 0;
    for run in 0..20 {
        let mut timers = (random.below(4), random.below(4));
        let rules =
            |(wait, keep): (i64, i64)| RULES.replace("FOR", &format!("{wait}m")).replace("KEEP", &format!("{keep}m"));
        let mut bench = Bench::start(&rules(timers));
        let mut model = Model::default();
        let mut verdict = Verdict::False;
        let mut last = 0;
        let mut trace = Vec::new();
        for _ in 0..80 {
            if random.below(3) == 0 {
                verdict = [Verdict::True, Verdict::True, Verdict::False, Verdict::Unknown][random.below(4)];
            }
            match random.below(16) {
                0 => {
                    timers.0 = random.below(4);
                    bench.rules = rules(timers);
                    bench.inner().reload(groups(&bench.rules));
                    trace.push(format!("reload {timers:?}"));
                }
                1 => {
                    bench.minute += [0, 0, 1, 4][random.below(4)];
                    bench.restart();
                    model.restart(bench.minute);
                    trace.push(format!("restart at {}", bench.minute));
                }
                _ => {}
            }
            bench.minute += 1;
            feed(&bench, verdict);
            bench.evaluate();
            let expected = model.step(verdict, timers, bench.minute - last, bench.minute);
            last = bench.minute;
            trace.push(format!("{} {verdict:?}", bench.minute));
            // Digests of what happened during a downtime are another matter.
            let told: Vec<String> = bench.told().into_iter().filter(|told| told.starts_with("a ")).collect();
            let context = || format!("SEED={seed}, run {run}, for and keep {timers:?}: {}", trace.join(", "));
            assert_eq!(told, expected, "{}", context());
            assert_eq!(shown(&bench), model.shown(), "{}", context());
            fired += usize::from(!expected.is_empty());
        }
    }
    assert!(fired > 50, "{fired} changes were told; nothing was tested");
}
