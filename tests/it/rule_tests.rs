//! `binnacle test rules`: the same verdicts as promtool's over random test files (where `tests/prometheus/setup` has run), and
//! expected notifications from a rule file and a notify.yml.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use chance::Random;

/// Random test files of one run.
const FILES: u64 = 60;
const MINUTES: usize = 30;

fn binnacle(home: &Path, file: &str) -> (Option<i32>, String) {
    let output =
        Command::new(env!("CARGO_BIN_EXE_binnacle")).current_dir(home).args(["test", "rules", file]).output().unwrap();
    (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

/// A value each minute; `None` is none, `NaN` the end of the series.
fn values(random: &mut Random) -> Vec<Option<f64>> {
    let mut value = 0.0;
    (0..MINUTES)
        .map(|_| {
            if random.one_in(3) {
                value = random.below(10) as f64;
            }
            match random.below(12) {
                0 => None,
                1 => Some(f64::NAN),
                _ => Some(value),
            }
        })
        .collect()
}

/// What a selector finds at a minute: the newest value of the last five minutes.
fn found(values: &[Option<f64>], minute: usize) -> Option<f64> {
    let newest = (minute.saturating_sub(4)..=minute).rev().find_map(|at| values[at])?;
    (!newest.is_nan()).then_some(newest)
}

/// Whether an alert fires at each minute, as far as this simple model goes: what counts is that both tools say the same of it.
fn fires(holds: &[bool], wait: usize, keep: usize) -> Vec<bool> {
    let (mut since, mut firing, mut kept): (Option<usize>, bool, Option<usize>) = (None, false, None);
    let step = |(at, holds): (usize, &bool)| {
        if *holds {
            let since = *since.get_or_insert(at);
            kept = None;
            firing |= at - since >= wait;
        } else {
            let over = !firing || keep == 0 || at - *kept.get_or_insert(at) >= keep;
            if over {
                (since, firing, kept) = (None, false, None);
            }
        }
        firing
    };
    holds.iter().enumerate().map(step).collect()
}

fn random_files(random: &mut Random) -> (String, String) {
    let (threshold, wait, keep) = (random.below(8), random.below(5), random.below(2) * random.below(5));
    let aggregated = random.one_in(3);
    let expr = if aggregated { "sum by (job) (level:max)" } else { "level:max" };
    let mut rule = format!("alert: High\n    expr: {expr} > {threshold}\n    for: {wait}m\n");
    if keep > 0 {
        let _fits = writeln!(rule, "    keep_firing_for: {keep}m");
    }
    let rules = format!(
        "groups:\n- name: g\n  rules:\n  - record: level:max\n    expr: max by (job, host) (level)\n  - {rule}    labels: {{severity: '{{{{ if gt $value 6.0 }}}}bad{{{{ else }}}}poor{{{{ end }}}}'}}\n    annotations: {{text: '{{{{ $labels.job }}}} at {{{{ $value }}}}'}}\n"
    );
    let series: Vec<Vec<Option<f64>>> = (0..2).map(|_| values(random)).collect();
    let mut tests =
        String::from("rule_files: [rules.yml]\nevaluation_interval: 1m\ntests:\n- interval: 1m\n  input_series:\n");
    for (at, values) in series.iter().enumerate() {
        let words: Vec<String> = values
            .iter()
            .map(|value| match value {
                None => "_".into(),
                Some(value) if value.is_nan() => "stale".into(),
                Some(value) => value.to_string(),
            })
            .collect();
        let _fits =
            writeln!(tests, "  - {{series: 'level{{job=\"j\",host=\"h{at}\"}}', values: '{}'}}", words.join(" "));
    }
    tests.push_str("  alert_rule_test:\n");
    for _ in 0..3 {
        let minute = random.below(MINUTES);
        let _fits = write!(tests, "  - eval_time: {minute}m\n    alertname: High\n    exp_alerts:\n");
        let all = |at: usize| series.iter().filter_map(|values| found(values, at)).reduce(|a, b| a + b);
        let sources: Vec<Box<dyn Fn(usize) -> Option<f64>>> = match aggregated {
            true => vec![Box::new(all)],
            false => series
                .iter()
                .map(|values| -> Box<dyn Fn(usize) -> Option<f64>> { Box::new(|at| found(values, at)) })
                .collect(),
        };
        for (at, source) in sources.iter().enumerate() {
            let holds: Vec<bool> =
                (0..MINUTES).map(|at| source(at).is_some_and(|value| value > threshold as f64)).collect();
            let lies = random.one_in(12);
            if fires(&holds, wait, keep)[minute] != lies {
                let last = (0..=minute).rev().find(|at| holds[*at]).and_then(source).unwrap_or(0.0);
                let host = if aggregated { String::new() } else { format!(", host: h{at}") };
                let severity = if last > 6.0 { "bad" } else { "poor" };
                let _fits = writeln!(
                    tests,
                    "    - {{exp_labels: {{job: j{host}, severity: {severity}}}, exp_annotations: {{text: 'j at {last}'}}}}"
                );
            }
        }
    }
    let minute = random.below(MINUTES);
    let sum = series.iter().filter_map(|values| found(values, minute)).reduce(|a, b| a + b);
    let samples = sum.map_or(String::new(), |sum| format!("{{labels: '{{}}', value: {sum}}}"));
    let _fits = write!(
        tests,
        "  promql_expr_test:\n  - {{expr: sum(level), eval_time: {minute}m, exp_samples: [{samples}]}}\n"
    );
    (rules, tests)
}

#[test]
fn random_tests_have_promtools_verdict() {
    let promtool = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/prometheus/usr/bin/promtool");
    if !promtool.exists() {
        eprintln!("skipped: no {}; tests/prometheus/setup puts it there", promtool.display());
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let mut passed = 0;
    let from = chance::seed(1);
    for seed in from..from + FILES {
        let (rules, tests) = random_files(&mut Random::new(seed));
        std::fs::write(home.path().join("rules.yml"), &rules).unwrap();
        std::fs::write(home.path().join("tests.yml"), &tests).unwrap();
        let output =
            Command::new(&promtool).current_dir(home.path()).args(["test", "rules", "tests.yml"]).output().unwrap();
        let theirs = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        let (code, ours) = binnacle(home.path(), "tests.yml");
        assert_eq!(code, output.status.code(), "SEED={seed}\n{rules}\n{tests}\n{ours}\n{theirs}");
        passed += u64::from(code == Some(0));
    }
    println!("{passed} of {FILES} pass in both");
    assert!(passed > FILES / 10 && passed < FILES, "{passed}");
}

const NOTIFY: &str = "
route:
  receiver: team
  group_by: [alertname]
  group_wait: 2m
  group_interval: 5m
  repeat_interval: 1h
  routes: [{matchers: ['severity=\"critical\"'], receiver: pager, group_wait: 0s}]
inhibit_rules: [{source_matchers: ['alertname=\"Down\"'], target_matchers: ['alertname=\"Slow\"'], equal: [host]}]
receivers:
- {name: team, slack_configs: [{api_url: 'http://127.0.0.1:9/hook', channel: '#ops'}]}
- {name: pager, pagerduty_configs: [{routing_key: 0123456789abcdef0123456789abcdef, url: 'http://127.0.0.1:9/'}]}
";

const RULES: &str = "
groups:
- name: g
  rules:
  - {alert: Down, expr: up == 0, for: 1m, labels: {severity: critical}, annotations: {summary: '{{ $labels.host }} is down'}}
  - {alert: Slow, expr: delay > 5, labels: {severity: warning}, annotations: {summary: '{{ $value }} s'}}
";

#[test]
fn expected_notifications_are_compared_with_what_notify_yml_makes_of_the_rules() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("notify.yml"), NOTIFY).unwrap();
    std::fs::write(home.path().join("rules.yml"), RULES).unwrap();
    let tests = r#"
rule_files: [rules.yml]
notify_file: notify.yml
evaluation_interval: 1m
tests:
- name: a host goes down, which says enough of its slowness
  interval: 1m
  input_series:
  - {series: 'up{host="a"}', values: '1x3 0x5 1x30'}
  - {series: 'delay{host="a"}', values: '1x3 9x5 1x30'}
  - {series: 'delay{host="b"}', values: '1x3 9x5 1x30'}
  notification_test:
  - receiver: pager
    exp_notifications:
    - {at: 5m, channel: pagerduty, exp_title: '[FIRING critical] Down a', exp_texts: [a is down, 'Behind it: 1 alert: Slow a']}
    - {at: 10m, exp_title: '[RESOLVED critical] Down a'}
  - receiver: team
    until: 30m
    exp_notifications: [TEAM]
"#;
    let run = |team: &str| {
        std::fs::write(home.path().join("t.yml"), tests.replace("TEAM", team)).unwrap();
        binnacle(home.path(), "t.yml")
    };
    let team = "{at: 6m, channel: slack, exp_title: '[FIRING warning] Slow b'}, {at: 10m, exp_title: '[RESOLVED warning] Slow b'}";
    assert_eq!(run(team), (Some(0), "t.yml: ok\n".into()));
    let (code, said) = run(&team.replace("6m", "5m"));
    assert_eq!(code, Some(1));
    let told = "team until 30m:\n  expected\n    5m slack [FIRING warning] Slow b\n    10m any [RESOLVED warning] Slow b\n  is told\n    6m slack [FIRING warning] Slow b\n";
    assert!(said.contains(told), "{said}");
}

#[test]
fn the_packs_tell_whom_their_notifications_say() {
    let packs = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/packs");
    let (code, said) = binnacle(&packs, "told.test.yml");
    assert_eq!(code, Some(0), "{said}");
}
