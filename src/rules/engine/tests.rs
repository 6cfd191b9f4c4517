//! States through restarts, reloads and failures: a real alert file, series in memory, time from the test.

use ::model::{AlertState, Sample};
use chance::Random;
use store::Alerts;
use tempfile::TempDir;

use super::*;
use crate::ground::Written;
use crate::test_runner::memory::Memory as Series;

const RULES: &str = "
groups:
- name: hosts
  interval: 60s
  rules:
  - record: up:sum
    expr: sum(up)
  - alert: Down
    expr: up == 0
    for: 2m
    keep_firing_for: 1m
    labels: {severity: critical}
    annotations: {summary: '{{ $labels.host }} is down'}
";

/// An appliance's rules, with a clock that only the test moves.
struct Bench {
    dir: TempDir,
    series: Series,
    rules: String,
    inner: Option<Inner>,
    minute: i64,
    memory: Arc<query::memory::Pool>,
}

impl Bench {
    fn start(rules: &str) -> Bench {
        let dir = tempfile::tempdir().unwrap();
        let memory = query::memory::Pool::endless();
        let mut bench = Bench { dir, series: Series::default(), rules: rules.into(), inner: None, minute: 0, memory };
        bench.restart();
        bench
    }

    fn restart(&mut self) {
        // The file is locked while it is open.
        self.inner = None;
        let alerts = Alerts::open(&self.dir.path().join("alerts.redb")).unwrap();
        let settings = Settings {
            external_url: String::new(),
            external_labels: Labels::default(),
            lookback_ms: 300_000,
            query_limits: query::SharedLimits { each: query::Limits::default(), pool: self.memory.clone() },
        };
        let started_ms = self.minute * 60_000;
        self.inner = Some(Inner::new(alerts, groups(&self.rules), settings, started_ms).unwrap());
    }

    fn inner(&self) -> &Inner {
        self.inner.as_ref().unwrap()
    }

    fn set(&self, host: &str, up: f64) {
        let labels = Labels::from_pairs([("__name__", "up"), ("host", host)]);
        self.series.add(&labels, Sample { at_ms: self.minute * 60_000, value: up });
    }

    /// A minute passes in which `down` hosts are down and `up` ones are up; all groups are evaluated.
    fn minute(&mut self, down: &[&str], up: &[&str]) -> Vec<String> {
        self.minute += 1;
        down.iter().for_each(|host| self.set(host, 0.0));
        up.iter().for_each(|host| self.set(host, 1.0));
        self.evaluate();
        self.told()
    }

    fn evaluate(&self) {
        let at_ms = self.minute * 60_000;
        self.inner().resolve_orphans(at_ms, &self.series).unwrap();
        let members = lock(&self.inner().groups).clone();
        members.iter().for_each(|member| self.inner().evaluate(member, at_ms, &self.series).unwrap());
    }

    /// Takes the notices: what, whom, and the episode's begin in minutes.
    fn told(&self) -> Vec<String> {
        let notices = self.inner().alerts.notices(1_000).unwrap();
        if let Some(last) = notices.last() {
            self.inner().alerts.route_notices(last.seq, &[]).unwrap();
        }
        let shown = notices.iter().map(|notice| {
            let instance = &notice.instance;
            let fired = instance.fired_at_ms.map_or(-1, |fired_ms| fired_ms / 60_000);
            format!("{} {} {fired}", instance.labels.value("host"), instance.state.as_str())
        });
        shown.collect()
    }

    /// States as pages see them.
    fn states(&self) -> Vec<String> {
        let groups = self.inner().view();
        let instances = groups.iter().flat_map(|group| &group.rules).flat_map(|rule| &rule.instances);
        let mut states: Vec<String> =
            instances.map(|i| format!("{} {}", i.labels.value("host"), i.state.as_str())).collect();
        states.sort();
        states
    }

    fn recorded(&self, expr: &str) -> Vec<(String, f64)> {
        let budget = query::Budget::starting_now(std::time::Duration::from_secs(10));
        let options = query::promql::Options::new(300_000, budget);
        let expr = query::promql::parse(expr).unwrap();
        let answer = query::promql::instant(&self.series, &expr, self.minute * 60_000, &options).unwrap();
        let query::promql::Value::Vector(samples) = answer.value else { panic!("{answer:?}") };
        samples.into_iter().map(|(labels, sample)| (labels.to_string(), sample.value)).collect()
    }
}

fn groups(rules: &str) -> Vec<Group> {
    crate::file::parse(rules, "test.yml", 60_000).unwrap()
}

const NOBODY: [String; 0] = [];

#[test]
fn an_alert_fires_once_and_ends_once() {
    let mut bench = Bench::start(RULES);
    assert_eq!(bench.minute(&["a"], &["b"]), NOBODY);
    assert_eq!(bench.recorded("up:sum"), [("up:sum".to_string(), 1.0)]);
    assert_eq!(bench.minute(&["a"], &["b"]), NOBODY);
    assert_eq!(bench.minute(&["a"], &["b"]), ["a firing 3"]);
    assert_eq!(bench.minute(&["a"], &["b"]), NOBODY);
    let alerts = r#"ALERTS{alertname="Down",alertstate="firing",host="a",severity="critical"}"#;
    assert_eq!(bench.recorded("ALERTS"), [(alerts.to_string(), 1.0)]);
    assert_eq!(bench.minute(&[], &["a", "b"]), NOBODY);
    assert_eq!(bench.minute(&[], &["a", "b"]), ["a resolved 3"]);
    assert_eq!(bench.states(), ["a resolved"]);
    assert_eq!(bench.recorded("ALERTS"), []);
    let history = bench.inner().alerts.transitions(i64::MAX, 10).unwrap();
    let changes: Vec<_> = history.iter().rev().map(|t| (t.at_ms / 60_000, t.from, t.to)).collect();
    use AlertState::{Firing, Pending, Resolved};
    assert_eq!(
        changes,
        [(1, None, Some(Pending)), (3, Some(Pending), Some(Firing)), (6, Some(Firing), Some(Resolved))]
    );
    for _ in 0..16 {
        assert_eq!(bench.minute(&[], &["a", "b"]), NOBODY);
    }
    assert_eq!(bench.states(), NOBODY);
    assert_eq!(bench.inner().alerts.instances().unwrap(), []);
}

#[test]
fn timers_go_on_after_a_restart() {
    let mut bench = Bench::start(RULES);
    bench.minute(&["a"], &[]);
    bench.restart();
    assert_eq!(bench.states(), ["a pending"]);
    assert_eq!(bench.minute(&["a"], &[]), NOBODY);
    bench.restart();
    assert_eq!(bench.minute(&["a"], &[]), ["a firing 3"]);
    bench.restart();
    assert_eq!(bench.states(), ["a firing"]);
    // Nobody is told again, also when the same slot comes again.
    bench.evaluate();
    assert_eq!(bench.told(), NOBODY);
    assert_eq!(bench.minute(&["a"], &[]), NOBODY);
    bench.minute(&[], &["a"]);
    bench.restart();
    // One evaluation after a start ends nothing, the second one may.
    assert_eq!(bench.minute(&[], &["a"]), NOBODY);
    assert_eq!(bench.minute(&[], &["a"]), ["a resolved 3"]);
    // The series that the earlier process wrote has ended with it.
    assert_eq!(bench.recorded("ALERTS"), []);
}

#[test]
fn nothing_is_written_when_nothing_changes() {
    let mut bench = Bench::start(RULES);
    for _ in 0..3 {
        bench.minute(&["a"], &[]);
    }
    assert_eq!(bench.inner().alerts.last_slots().unwrap(), [("hosts".to_string(), 180_000)]);
    assert_eq!(bench.inner().alerts.transitions(i64::MAX, 10).unwrap().len(), 2);
    bench.minute(&["a"], &["b"]);
    // Nothing but that somebody looked, once a minute.
    assert_eq!(bench.inner().alerts.last_slots().unwrap(), [("hosts".to_string(), 240_000)]);
    assert_eq!(bench.inner().alerts.transitions(i64::MAX, 10).unwrap().len(), 2);
    assert_eq!(bench.inner().view()[0].last_evaluation_ms, Some(240_000));
}

#[test]
fn a_time_that_is_not_later_is_refused() {
    let mut bench = Bench::start(RULES);
    for _ in 0..3 {
        bench.minute(&["a"], &[]);
    }
    bench.minute = 1;
    bench.evaluate();
    assert_eq!(bench.states(), ["a firing"]);
    assert_eq!(bench.inner().view()[0].last_evaluation_ms, Some(180_000));
}

#[test]
fn a_reload_keeps_what_stays_and_resolves_what_goes() {
    let with_gone = format!("{RULES}  - {{alert: Gone, expr: up == 0, labels: {{}}}}\n");
    let mut bench = Bench::start(&with_gone);
    bench.minute(&["a"], &[]);
    assert_eq!(bench.minute(&["a"], &[]), NOBODY);
    assert_eq!(bench.states(), ["a firing", "a pending"]);
    // "Gone" goes, "Down" stays although its expression and place change; its two minutes go on.
    bench.inner().reload(groups(&RULES.replace("up == 0", "up < 1")));
    assert_eq!(bench.states(), ["a pending"]);
    assert_eq!(bench.minute(&["a"], &[]), ["a resolved 1", "a firing 3"]);
    let history = bench.inner().alerts.transitions(i64::MAX, 10).unwrap();
    let removed: Vec<_> = history.iter().filter(|t| t.note == "rule removed").map(|t| t.from).collect();
    assert_eq!(removed, [Some(AlertState::Firing)]);
    assert_eq!(bench.recorded("ALERTS{alertname=\"Gone\"}"), []);
    assert_eq!(bench.inner().alerts.instances().unwrap().len(), 1);

    // Rules that went while the process was down are resolved too.
    bench.rules = "groups: []".into();
    bench.restart();
    assert_eq!(bench.minute(&["a"], &[]), ["a resolved 3"]);
    assert_eq!(bench.inner().alerts.instances().unwrap(), []);
}

#[test]
fn a_rule_that_fails_holds_its_states_and_shows_why() {
    // Two series of one host give two equal results: an error, as in Prometheus.
    let rules = RULES
        .replace("expr: up == 0", "expr: sum without (zone) (up) == 0 or up{zone=\"twin\"}")
        .replace("labels: {severity: critical}", "labels: {severity: critical, zone: ''}");
    let mut bench = Bench::start(&rules);
    for _ in 0..3 {
        bench.minute(&["a"], &[]);
    }
    assert_eq!(bench.states(), ["a firing"]);
    let twin = Labels::from_pairs([("__name__", "up"), ("host", "a"), ("zone", "twin")]);
    bench.series.add(&twin, Sample { at_ms: 240_000, value: 0.0 });
    assert_eq!(bench.minute(&["a"], &[]), NOBODY);
    assert_eq!(bench.states(), ["a firing"]);
    let view = &bench.inner().view()[0].rules[1];
    assert_eq!(view.health, Health::Err);
    assert!(view.last_error.contains("same labelset after applying alert labels"), "{}", view.last_error);
}

#[test]
fn a_rule_that_finds_no_memory_holds_its_states_and_names_the_setting() {
    let rules = RULES.replace("expr: up == 0", "expr: max_over_time(up[30m:10ms]) == 0");
    let mut bench = Bench::start(&rules);
    for _ in 0..3 {
        bench.minute(&["a"], &[]);
    }
    assert_eq!(bench.states(), ["a firing"]);
    bench.memory = query::memory::Pool::new(0, "rules.memory_max");
    bench.restart();
    assert_eq!(bench.minute(&[], &["a"]), NOBODY);
    assert_eq!(bench.states(), ["a firing"]);
    let view = &bench.inner().view()[0].rules[1];
    assert_eq!(view.health, Health::Err);
    assert!(view.last_error.contains("(rules.memory_max)"), "{}", view.last_error);
}

#[test]
fn over_its_limit_a_rule_keeps_the_first_instances() {
    let rules = RULES.replace("  interval: 60s\n", "  interval: 60s\n  limit: 2\n").replace("for: 2m", "for: 0s");
    let mut bench = Bench::start(&rules);
    assert_eq!(bench.minute(&["a", "b", "c", "d"], &[]).len(), 2);
    let kept = bench.states();
    let view = &bench.inner().view()[0].rules[1];
    assert!(view.last_error.starts_with("exceeded limit of 2 with 4 results"), "{}", view.last_error);
    assert_eq!(bench.minute(&["a", "b", "c", "d"], &[]), NOBODY);
    assert_eq!(bench.states(), kept);
}

#[test]
fn a_limit_that_clears_counts_what_fires_on_beyond_its_condition() {
    let with = |mode: &str| {
        let group = format!("  interval: 60s\n  limit: 2\n  x: {{limit_mode: {mode}}}\n");
        RULES
            .replace("  interval: 60s\n", &group)
            .replace("for: 2m", "for: 0s")
            .replace("keep_firing_for: 1m", "keep_firing_for: 5m")
    };
    for (mode, expected) in [("keep", vec!["a firing", "b firing", "c firing"]), ("prometheus", vec![])] {
        let mut bench = Bench::start(&with(mode));
        bench.minute(&["a", "b"], &[]);
        bench.minute(&["a", "b"], &[]);
        assert_eq!(bench.states(), ["a firing", "b firing"]);
        let told = bench.minute(&["a", "c"], &["b"]);
        assert_eq!(bench.states(), expected, "{mode}: {told:?}");
    }
}

#[test]
fn a_series_that_is_recorded_no_more_ends() {
    let mut bench = Bench::start(&RULES.replace("sum(up)", "sum by (host) (up) == 1"));
    bench.minute(&[], &["a", "b"]);
    assert_eq!(bench.recorded("up:sum").len(), 2);
    bench.minute(&["a"], &["b"]);
    assert_eq!(bench.recorded("up:sum"), [("up:sum{host=\"b\"}".to_string(), 1.0)]);
}

#[test]
fn two_files_may_hold_the_same_group() {
    let mut twice = groups(RULES);
    twice.extend(crate::file::parse(RULES, "other.yml", 60_000).unwrap());
    let prepared = prepare::prepare(twice);
    assert_eq!(prepared[1].key, "hosts (other.yml)");
    assert_ne!(prepared[0].rules[1].id, prepared[1].rules[1].id);
}

/// Random weather, restarts, and crashes between the series and the commit: each firing is told once and its end once,
/// and what was told last is what is stored.
#[test]
fn no_notice_is_lost_or_doubled_by_restarts() {
    let mut random = Random::new(chance::seed(20_261_121));
    let mut bench = Bench::start(RULES);
    let hosts = ["a", "b", "c"];
    let mut is_down = [false; 3];
    let mut firing: [Option<String>; 3] = [None, None, None];
    let mut fired = 0;
    for _ in 0..300 {
        for down in &mut is_down {
            *down ^= random.below(4) == 0;
        }
        match random.below(10) {
            0 => bench.restart(),
            1 => {
                // The slot is evaluated and its series written; the process dies before the commit.
                let members = lock(&bench.inner().groups).clone();
                let mut work = lock(&members[0].work);
                let at_ms = (bench.minute + 1) * 60_000;
                bench.minute += 1;
                for (host, down) in hosts.iter().zip(is_down) {
                    bench.set(host, f64::from(u8::from(!down)));
                }
                bench.minute -= 1;
                let settings = bench.inner().settings.clone();
                evaluate::evaluate(&members[0].prepared, &mut work.memory, at_ms, &settings, &bench.series);
                drop(work);
                drop(members);
                bench.restart();
            }
            _ => {}
        }
        let of =
            |wanted: bool| hosts.iter().zip(is_down).filter(move |(_, down)| *down == wanted).map(|(host, _)| *host);
        let told = bench.minute(&of(true).collect::<Vec<_>>(), &of(false).collect::<Vec<_>>());
        for notice in told {
            let (host, rest) = notice.split_once(' ').unwrap();
            let (what, episode) = rest.split_once(' ').unwrap();
            let known = &mut firing[hosts.iter().position(|known| *known == host).unwrap()];
            match what {
                "firing" => {
                    assert_eq!(known.replace(episode.into()), None, "{notice} at {}", bench.minute);
                    fired += 1;
                }
                _ => assert_eq!(known.take().as_deref(), Some(episode), "{notice} at {}", bench.minute),
            }
        }
        let stored = bench.inner().alerts.instances().unwrap();
        for (host, firing) in hosts.iter().zip(&firing) {
            let is_firing = stored.iter().any(|i| i.labels.value("host") == *host && i.state == AlertState::Firing);
            assert_eq!(is_firing, firing.is_some(), "{host} at {}", bench.minute);
        }
    }
    assert!(fired > 20, "{fired} alerts fired; the weather is too fair to test anything");
}

mod model;
mod unsure;
mod watched;

/// Counts the writes on their way to the series.
struct Counted<'a>(&'a Series, std::cell::Cell<usize>);

impl Ground for Counted<'_> {
    fn source(&self) -> Result<Box<dyn query::promql::Source>, StoreError> {
        self.0.source()
    }

    fn logs(&self) -> Result<Option<store::Snapshot>, StoreError> {
        Ok(None)
    }

    fn write(&self, values: &[Written]) -> Result<(), String> {
        self.1.set(self.1.get() + 1);
        match values.iter().any(|written| written.labels.value("host") == "full") {
            true => Err("no room".into()),
            false => self.0.write(values),
        }
    }
}

/// Rules' series are one write, but where a later rule may read what an earlier one wrote; a refusal falls on its rule alone.
#[test]
fn a_group_writes_at_once_what_its_rules_do_not_read() {
    let check = |rules: &str, hosts: &[&str], writes: usize, errors: &[&str]| {
        let bench = Bench::start(rules);
        hosts.iter().for_each(|host| bench.set(host, 0.0));
        let ground = Counted(&bench.series, Default::default());
        let member = lock(&bench.inner().groups)[0].clone();
        bench.inner().evaluate(&member, 60_000, &ground).unwrap();
        let view = bench.inner().view();
        let found: Vec<&str> = view[0].rules.iter().map(|rule| rule.last_error.as_str()).collect();
        assert_eq!((ground.1.get(), found.as_slice()), (writes, errors), "{rules}");
    };
    let rules = |last: &str| {
        format!("groups: [{{name: g, rules: [{{record: a, expr: up}}, {{alert: B, expr: up == 0}}, {last}]}}]")
    };
    check(&rules("{record: c, expr: up + 1}"), &["h"], 1, &["", "", ""]);
    check(&rules("{record: c, expr: a + 1}"), &["h"], 2, &["", "", ""]);
    check(&rules("{record: c, expr: 'count(ALERTS)'}"), &["h"], 2, &["", "", ""]);
    check(&rules("{record: c, expr: 'count({host=\"h\"})'}"), &["h"], 2, &["", "", ""]);
    check(&rules("{alert: C, expr: up, annotations: {a: '{{ query \"a\" }}'}}"), &["h"], 2, &["", "", ""]);
    check(&rules("{record: c, expr: vector(1)}"), &["full"], 4, &["no room", "no room", ""]);
}

/// What is wrong with a rule is forgotten with the rule, and with the reload that mends it.
#[test]
fn troubles_end_with_a_reload() {
    let failing = |group: &str| -> Vec<f64> {
        let all = ::model::meter::gather();
        let family = all.iter().find(|family| family.name == "binnacle_rule_failing");
        let series = family.into_iter().flat_map(|family| &family.series);
        series
            .filter(|(_, labels, _)| labels.iter().any(|(_, value)| value == group))
            .map(|(_, _, value)| *value)
            .collect()
    };
    let broken = RULES.replace("name: hosts", "name: mended").replace("expr: sum(up)", "expr: up * on() up");
    let mut bench = Bench::start(&broken);
    bench.minute(&[], &["a", "b"]);
    assert_eq!(failing("mended"), [1.0]);
    bench.inner().reload(groups(&broken.replace("up * on() up", "sum(up)")));
    bench.minute(&[], &["a", "b"]);
    assert_eq!(failing("mended"), [0.0; 0]);
}
