//! What happens when nobody can tell: data that stops, series that go, queries that fail, starts that come before the data.

use super::*;

const EXTENDED: &str = "
groups:
- name: disks
  interval: 60s
  rules:
  - alert: Full
    expr: used > 0.9
    labels: {severity: critical}
    x: {no_data: keep, runbook: 'https://wiki/full', owner: storage}
";

/// `used` of a disk, and `up` of its host as a sign of life.
fn disk(bench: &Bench, host: &str, device: &str, used: f64) {
    let labels = Labels::from_pairs([("__name__", "used"), ("host_name", host), ("device", device)]);
    bench.series.add(&labels, Sample { at_ms: bench.minute * 60_000, value: used });
}

fn alive(bench: &Bench, host: &str) {
    let labels = Labels::from_pairs([("__name__", "load"), ("host_name", host)]);
    bench.series.add(&labels, Sample { at_ms: bench.minute * 60_000, value: 1.0 });
}

/// A minute in which `feed` puts samples; what was told, with host, device, state and reason.
fn minute(bench: &mut Bench, feed: impl Fn(&Bench)) -> Vec<String> {
    bench.minute += 1;
    feed(bench);
    bench.evaluate();
    let notices = bench.inner().alerts.notices(1_000).unwrap();
    if let Some(last) = notices.last() {
        bench.inner().alerts.route_notices(last.seq, &[]).unwrap();
    }
    let shown = notices.iter().map(|notice| {
        let Instance { labels, state, evidence, .. } = &notice.instance;
        let device = labels.value("device");
        let severity = labels.value("severity");
        format!("{device} {severity} {} {}", state.as_str(), evidence.reason).trim().to_string()
    });
    shown.collect()
}

fn unverified(bench: &Bench) -> Vec<String> {
    let groups = bench.inner().view();
    let instances = groups.iter().flat_map(|group| &group.rules).flat_map(|rule| &rule.instances);
    let held = instances.filter(|instance| instance.is_unverified());
    held.map(|instance| format!("{} {}", instance.labels.value("device"), instance.evidence.reason)).collect()
}

#[test]
fn data_that_stops_resolves_nothing_where_the_rule_says_so() {
    let mut bench = Bench::start(EXTENDED);
    assert_eq!(minute(&mut bench, |b| disk(b, "h", "sda", 0.95)), ["sda critical firing"]);
    // All is gone, for longer than an instant selector looks back.
    for _ in 0..10 {
        assert_eq!(minute(&mut bench, |_| {}), NOBODY);
    }
    assert_eq!(unverified(&bench), ["sda no_data"]);
    assert_eq!(bench.inner().view()[0].rules[0].unknown, "no_data");
    assert_eq!(bench.recorded("count(ALERTS)"), [("{}".to_string(), 1.0)]);
    // It comes back as it was, and then well.
    assert_eq!(minute(&mut bench, |b| disk(b, "h", "sda", 0.95)), NOBODY);
    assert_eq!(unverified(&bench), NOBODY);
    assert_eq!(minute(&mut bench, |b| disk(b, "h", "sda", 0.2)), ["sda critical resolved"]);
    let notes: Vec<String> =
        bench.inner().alerts.transitions(i64::MAX, 10).unwrap().into_iter().rev().map(|t| t.note).collect();
    assert_eq!(notes, ["", "unverified: no_data", "verified again", ""]);
}

#[test]
fn what_nobody_hears_of_for_too_long_ends_where_the_rule_says_when() {
    let mut bench = Bench::start(&EXTENDED.replace("no_data: keep", "no_data: keep, unknown_max: 10m"));
    minute(&mut bench, |b| disk(b, "h", "sda", 0.95));
    let told: Vec<String> = (0..20).flat_map(|_| minute(&mut bench, |_| {})).collect();
    assert_eq!(told, ["sda critical resolved no_data"]);
}

#[test]
fn without_extensions_missing_data_is_an_end_that_says_why() {
    let plain = EXTENDED.replace("    x: {no_data: keep, runbook: 'https://wiki/full', owner: storage}\n", "");
    let mut bench = Bench::start(&plain);
    assert_eq!(minute(&mut bench, |b| disk(b, "h", "sda", 0.95)), ["sda critical firing"]);
    let told: Vec<String> = (0..7).flat_map(|_| minute(&mut bench, |_| {})).collect();
    assert_eq!(told, ["sda critical resolved no_data"]);
}

#[test]
fn a_series_that_goes_is_an_end_only_while_its_host_lives() {
    let mut bench = Bench::start(EXTENDED);
    let both = |b: &Bench| {
        disk(b, "h", "sda", 0.95);
        disk(b, "i", "sdb", 0.95);
        alive(b, "h");
    };
    assert_eq!(minute(&mut bench, both), ["sda critical firing", "sdb critical firing"]);
    // Somebody else's disks go on; the disk of h is pulled out while h lives, the host of sdb is gone.
    let told: Vec<String> = (0..12)
        .flat_map(|_| {
            minute(&mut bench, |b| {
                disk(b, "k", "sdc", 0.1);
                alive(b, "h");
            })
        })
        .collect();
    assert_eq!(told, ["sda critical resolved missing_series"]);
    assert_eq!(unverified(&bench), ["sdb resource_gone"]);
}

#[test]
fn no_data_can_be_an_alert_of_its_own() {
    let rules = EXTENDED.replace("no_data: keep", "no_data: alert").replace("    labels:", "    for: 2m\n    labels:");
    let mut bench = Bench::start(&rules);
    for _ in 0..2 {
        assert_eq!(minute(&mut bench, |_| {}), NOBODY);
    }
    // After `for`, as any other.
    assert_eq!(minute(&mut bench, |_| {}), ["critical firing no_data"]);
    assert_eq!(minute(&mut bench, |b| disk(b, "h", "sda", 0.1)), ["critical resolved"]);
}

#[test]
fn nothing_ends_after_a_start_before_newer_data_is_there() {
    let mut bench = Bench::start(RULES);
    for _ in 0..3 {
        bench.minute(&["a"], &[]);
    }
    bench.restart();
    let shown = &bench.inner().view()[0].rules[1].instances[0];
    assert_eq!((shown.is_unverified(), shown.evidence.reason.as_str()), (true, "restart"));
    // The sender comes back late: its silence is no end, though the lookback is over.
    for _ in 0..8 {
        assert_eq!(bench.minute(&[], &[]), NOBODY);
    }
    assert_eq!(bench.minute(&["a"], &[]), NOBODY);
    assert_eq!(bench.states(), ["a firing"]);
    // After ten minutes silence counts as it does at any time.
    bench.restart();
    let told: Vec<String> = (0..14).flat_map(|_| bench.minute(&[], &[])).collect();
    assert_eq!(told, ["a resolved 3"]);
}

#[test]
fn time_while_the_process_is_down_does_not_count() {
    let mut bench = Bench::start(RULES);
    bench.minute(&["a"], &[]);
    bench.minute += 60;
    bench.restart();
    assert_eq!(bench.minute(&["a"], &[]), NOBODY);
    assert_eq!(bench.states(), ["a pending"]);
    assert_eq!(bench.minute(&["a"], &[]), ["a firing 63"]);
}

#[test]
fn a_clear_threshold_and_an_expression_of_its_end_hold_an_alert() {
    #[track_caller]
    fn check(x: &str, values: &[f64], expected: &[&str]) {
        let rules = EXTENDED.replace("{no_data: keep,", &format!("{{{x},"));
        let mut bench = Bench::start(&rules);
        let told: Vec<String> =
            values.iter().flat_map(|value| minute(&mut bench, |b| disk(b, "h", "sda", *value))).collect();
        assert_eq!(told, expected, "{x}");
    }
    let values = [0.95, 0.85, 0.91, 0.82, 0.79, 0.85];
    check("clear: 0.8", &values, &["sda critical firing", "sda critical resolved"]);
    check("resolve_expr: 'used < 0.8'", &values, &["sda critical firing", "sda critical resolved"]);
    check("no_data: keep", &values[..3], &["sda critical firing", "sda critical resolved", "sda critical firing"]);
}

#[test]
fn levels_move_within_one_episode() {
    let levels = "{levels: [{severity: warning, above: 0.7, clear: 0.65}, {severity: critical, above: 0.9, for: 1m}],";
    let rules = EXTENDED.replace("used > 0.9", "used").replace("{no_data: keep,", levels);
    let mut bench = Bench::start(&rules);
    let mut episodes = std::collections::HashSet::new();
    let mut told = Vec::new();
    for value in [0.6, 0.75, 0.95, 0.95, 0.8, 0.66, 0.6] {
        told.extend(minute(&mut bench, |b| disk(b, "h", "sda", value)));
        let groups = bench.inner().view();
        episodes.extend(groups[0].rules[0].instances.iter().filter_map(Instance::episode));
    }
    let expected = ["sda warning firing", "sda critical firing", "sda warning firing", "sda warning resolved"];
    assert_eq!(told, expected);
    assert_eq!(episodes.len(), 1);
    bench.restart();
    assert_eq!(bench.inner().view()[0].rules[0].instances.len(), 1);
}

#[test]
fn little_traffic_neither_begins_nor_ends_an_alert() {
    let floor = "{min_samples: {expr: 'sum by (host_name) (load)', at_least: 5},";
    let mut bench = Bench::start(&EXTENDED.replace("{no_data: keep,", floor));
    let at = |used: f64, load: f64| {
        move |b: &Bench| {
            disk(b, "h", "sda", used);
            let labels = Labels::from_pairs([("__name__", "load"), ("host_name", "h")]);
            b.series.add(&labels, Sample { at_ms: b.minute * 60_000, value: load });
        }
    };
    assert_eq!(minute(&mut bench, at(0.95, 1.0)), NOBODY);
    assert_eq!(minute(&mut bench, at(0.95, 9.0)), ["sda critical firing"]);
    assert_eq!(minute(&mut bench, at(0.95, 1.0)), NOBODY);
    assert_eq!(unverified(&bench), ["sda too_few_samples"]);
    assert_eq!(minute(&mut bench, at(0.1, 9.0)), ["sda critical resolved"]);
}

#[test]
fn a_shadow_is_recorded_and_told_to_nobody() {
    let mut bench = Bench::start(&EXTENDED.replace("{no_data: keep,", "{mode: shadow,"));
    assert_eq!(minute(&mut bench, |b| disk(b, "h", "sda", 0.95)), NOBODY);
    assert_eq!(bench.inner().alerts.transitions(i64::MAX, 10).unwrap().len(), 1);
    // Let out of the shadow while it fires.
    bench.inner().reload(groups(EXTENDED));
    assert_eq!(minute(&mut bench, |b| disk(b, "h", "sda", 0.95)), ["sda critical firing"]);
    let context = &bench.inner().view()[0].rules[0].instances[0].evidence.context;
    let pair = |name: &str, value: &str| (name.to_string(), value.to_string());
    assert_eq!(context, &[pair("runbook", "https://wiki/full"), pair("owner", "storage")]);
}

#[test]
fn a_selector_that_found_nothing_for_a_day_is_named() {
    let mut bench = Bench::start(&EXTENDED.replace("used > 0.9", "usde > 0.9"));
    minute(&mut bench, |b| disk(b, "h", "sda", 0.95));
    let rule = &bench.inner().view()[0].rules[0];
    assert_eq!(
        (rule.dead_selectors.as_slice(), rule.empty_since_ms),
        (&["{__name__=\"usde\"}".to_string()][..], Some(60_000))
    );
}

#[test]
fn a_query_that_fails_ends_nothing() {
    // Two results alike: an error of the rule.
    let rules = EXTENDED.replace("used > 0.9", "label_replace(used > 0.9, \"device\", \"x\", \"kind\", \"twin\")");
    let rules = rules.replace("severity: critical}", "severity: critical, kind: ''}");
    let mut bench = Bench::start(&rules);
    minute(&mut bench, |b| disk(b, "h", "x", 0.95));
    let twins = |b: &Bench| {
        disk(b, "h", "x", 0.95);
        let labels = Labels::from_pairs([("__name__", "used"), ("host_name", "h"), ("device", "y"), ("kind", "twin")]);
        b.series.add(&labels, Sample { at_ms: b.minute * 60_000, value: 0.95 });
    };
    for _ in 0..10 {
        assert_eq!(minute(&mut bench, twins), NOBODY);
    }
    assert_eq!(unverified(&bench), ["x query_error"]);
    assert_eq!(bench.inner().view()[0].rules[0].health, Health::Err);
}

#[test]
fn what_fired_and_ended_while_the_process_was_down_is_one_digest() {
    let mut bench = Bench::start(&format!("{RULES}  - {{alert: Sum, expr: 'up:sum < 1'}}\n"));
    bench.minute(&[], &["a", "b"]);
    // The process is down; the senders keep what they measure and deliver it afterwards.
    for minute in 2..30 {
        bench.minute = minute;
        let down = (10..16).contains(&minute);
        bench.set("a", f64::from(u8::from(!down)));
        bench.set("b", 1.0);
    }
    bench.restart();
    let told: Vec<_> =
        (0..4).flat_map(|_| minute(&mut bench, |b| ["a", "b"].iter().for_each(|h| b.set(h, 1.0)))).collect();
    assert_eq!(told, ["info firing", "info resolved"]);
    let history = bench.inner().alerts.transitions(i64::MAX, 10).unwrap();
    let shown: Vec<String> = history
        .iter()
        .rev()
        .map(|t| format!("{} {} {}", t.at_ms / 60_000, t.labels.value("alertname"), t.note))
        .collect();
    let down = "while the process was down";
    assert_eq!(shown[..2], [format!("12 Down {down}"), format!("17 Down {down}")]);
    assert_eq!(shown[2].split(' ').take(2).collect::<Vec<_>>(), ["29", "binnacle_downtime"]);
    // The recorded series has no hole.
    assert_eq!(bench.recorded("count_over_time(up:sum[20m])"), [("{}".to_string(), 20.0)]);
    assert_eq!(bench.states(), NOBODY);
}

/// A quarter of an hour in which nobody looked: it counts towards `for` where late data proves it, and only there.
#[test]
fn a_wait_counts_through_a_downtime_that_late_data_proves() {
    for (breaks_at, fires_at) in [(None, Some(22)), (Some(10), None)] {
        let mut bench = Bench::start(&RULES.replace("for: 2m", "for: 20m"));
        bench.minute(&["a"], &["b"]);
        for minute in 2..20 {
            bench.minute = minute;
            bench.set("a", if breaks_at == Some(minute) { 1.0 } else { 0.0 });
            bench.set("b", 1.0);
        }
        bench.restart();
        let fired = (20..30).find(|_| !bench.minute(&["a"], &["b"]).is_empty());
        assert_eq!(fired, fires_at, "broken at {breaks_at:?}: {:?}", bench.states());
        bench.restart();
        let state = if fires_at.is_some() { "a firing" } else { "a pending" };
        assert_eq!(bench.states(), [state]);
    }
}
