//! The same rules over the same data, here and at Debian's Prometheus with its Alertmanager, and what a webhook of each is told.
//!
//! Played when asked for (`BINNACLE_PEERS=1`): it takes three minutes, and what it prints says as much of the others as of us. Only
//! our own rows must be clean.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant, SystemTime};

use model::time::parse_rfc3339_ns;
use prost::Message as _;
use serde_json::Value;

use crate::fakes::webhook::{Call, Webhook};
use crate::free_address::free_address;
use crate::peers::Peer;
use crate::prompb::v1;
use crate::world::{Receivers, World, now_ns};

/// Rules that tell of episodes of their own, and after them two that a third holds back.
const RULES: usize = 20;
const HELD: std::ops::Range<usize> = RULES..RULES + 2;
const HOLDER: usize = RULES + 2;
/// How long the values change, and what is waited for afterwards, in seconds.
const LASTS_S: u64 = 62;
const AFTER_S: u64 = 25;
/// When both are killed and started again, in the run with a kill.
const DOWN_S: std::ops::Range<u64> = 22..28;
const ROUTE: &str = "{receiver: hook, group_by: [team], group_wait: 1s, group_interval: 3s, repeat_interval: 1h}";
const INHIBIT: &str =
    "inhibit_rules: [{source_matchers: ['severity=critical'], target_matchers: ['severity=warning'], equal: [host]}]";
/// Evaluations, messages and clocks of the two differ by this much at most.
const SLACK_MS: i64 = 4_000;

/// When a rule's condition holds, in seconds after the beginning.
fn conditions(rule: usize) -> Vec<(u64, u64)> {
    let n = rule as u64;
    if rule >= RULES {
        return vec![if rule == HOLDER { (2, 56) } else { (10, 30) }];
    }
    let from = 3 + n % 7 * 2;
    let until = from + 12 + n % 5 * 3;
    if n.is_multiple_of(3) { vec![(from, until), (until + 12, until + 22)] } else { vec![(from, until)] }
}

/// `for` and `keep_firing_for` in seconds.
fn timers(rule: usize) -> (u64, u64) {
    if rule >= RULES { (0, 0) } else { [(0, 0), (2, 0), (0, 4), (3, 2)][rule % 4] }
}

fn host(rule: usize) -> String {
    if rule >= RULES { "shadow".into() } else { format!("h{rule}") }
}

fn rules() -> String {
    let rule = |rule: usize| {
        let (for_s, keep_s) = timers(rule);
        let severity = if rule == HOLDER || rule.is_multiple_of(5) && rule < RULES { "critical" } else { "warning" };
        let team = rule % 2;
        format!(
            "  - {{alert: Rule{rule}, expr: 'probe{{rule=\"{rule}\"}} > 0', for: {for_s}s, keep_firing_for: {keep_s}s, labels: {{severity: {severity}, team: t{team}}}}}\n"
        )
    };
    (0..=HOLDER).map(rule).collect()
}

/// One second's values as a remote write.
fn request(second: u64, at_ms: i64) -> Vec<u8> {
    let label = |name: &str, value: &str| v1::Label { name: name.into(), value: value.into() };
    let series = (0..=HOLDER).map(|rule| {
        let holds = conditions(rule).iter().any(|(from, until)| (*from..*until).contains(&second));
        v1::TimeSeries {
            labels: vec![label("__name__", "probe"), label("host", &host(rule)), label("rule", &rule.to_string())],
            samples: vec![v1::Sample { value: f64::from(u8::from(holds)), timestamp: at_ms }],
            ..Default::default()
        }
    });
    let request = v1::WriteRequest { timeseries: series.collect(), ..Default::default() };
    snap::raw::Encoder::new().compress_vec(&request.encode_to_vec()).expect("small")
}

/// What a webhook heard of one rule in one message.
struct Told {
    at_ms: i64,
    firing: bool,
    starts_ms: i64,
}

#[derive(Default)]
struct Account {
    calls: usize,
    lost: usize,
    orphaned: usize,
    /// An episode that was told with two beginnings, or a message that was told twice.
    doubled: usize,
    held_told: usize,
    first_ms: Vec<i64>,
    end_ms: Vec<i64>,
    starts: BTreeMap<(usize, usize), i64>,
    notes: Vec<String>,
}

fn account(calls: &[Call], began: (Instant, i64)) -> Account {
    let mut account = Account { calls: calls.len(), ..Account::default() };
    let mut told: BTreeMap<usize, Vec<Told>> = BTreeMap::new();
    let mut last: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for call in calls {
        let at_ms = began.1 + i64::try_from(call.came.saturating_duration_since(began.0).as_millis()).unwrap_or(0);
        let mut content = BTreeSet::new();
        for alert in call.body["alerts"].as_array().into_iter().flatten() {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let Ok(rule) = text(&alert["labels"]["rule"]).parse::<usize>() else { continue };
            let (status, starts) = (text(&alert["status"]), text(&alert["startsAt"]));
            let starts_ms = parse_rfc3339_ns(&starts).map_or(0, |ns| ns / 1_000_000);
            told.entry(rule).or_default().push(Told { at_ms, firing: status == "firing", starts_ms });
            content.insert(format!("{rule} {status} {starts}"));
        }
        let key = call.body["groupKey"].as_str().unwrap_or_default().to_owned();
        if last.insert(key, content.clone()).is_some_and(|before| before == content) {
            account.doubled += 1;
            account.notes.push(format!("the same message twice: {content:?}"));
        }
    }
    for rule in 0..RULES {
        let (for_s, keep_s) = timers(rule);
        let of: &[Told] = told.get(&rule).map_or(&[], Vec::as_slice);
        for (nth, (from, until)) in conditions(rule).into_iter().enumerate() {
            let at_ms = |second: u64| began.1 + i64::try_from(second).unwrap_or(0) * 1_000;
            let (fires_ms, ends_ms) = (at_ms(from + for_s), at_ms(until + keep_s));
            let is_of = |told: &&Told| (fires_ms - SLACK_MS..ends_ms + SLACK_MS).contains(&told.starts_ms);
            let firing: Vec<&Told> = of.iter().filter(is_of).filter(|told| told.firing).collect();
            let ended = of.iter().filter(is_of).find(|told| !told.firing);
            let Some(first) = firing.first() else {
                if ended.is_none() {
                    account.lost += 1;
                    account.notes.push(format!("rule {rule}, {from} to {until} s: never told"));
                }
                continue;
            };
            account.first_ms.push(first.at_ms - fires_ms);
            account.starts.insert((rule, nth), first.starts_ms);
            let beginnings: BTreeSet<i64> = firing.iter().map(|told| told.starts_ms).collect();
            account.doubled += beginnings.len() - 1;
            if beginnings.len() > 1 {
                account.notes.push(format!("rule {rule}, {from} to {until} s: begins {beginnings:?}"));
            }
            match of.iter().find(|told| !told.firing && told.at_ms > first.at_ms) {
                Some(end) => account.end_ms.push(end.at_ms - ends_ms),
                None => {
                    account.orphaned += 1;
                    account.notes.push(format!("rule {rule}, {from} to {until} s: its end was never told"));
                }
            }
        }
    }
    account.held_told = HELD.flat_map(|rule| told.get(&rule)).flatten().filter(|told| told.firing).count();
    account
}

impl Account {
    fn row(&self, who: &str) -> String {
        let spread = |values: &[i64]| {
            let mut sorted = values.to_vec();
            sorted.sort_unstable();
            let at = |share: f64| sorted.get((sorted.len() as f64 * share) as usize).or(sorted.last()).copied();
            let seconds = |ms: Option<i64>| ms.map_or("-".into(), |ms| format!("{:.1}", ms as f64 / 1e3));
            format!("{} / {}", seconds(at(0.5)), seconds(sorted.last().copied()))
        };
        format!(
            "| {who} | {} | {} | {} | {} | {} | {} | {} |",
            self.calls,
            self.lost,
            self.orphaned,
            self.doubled,
            self.held_told,
            spread(&self.first_ms),
            spread(&self.end_ms)
        )
    }
}

/// Theirs, by what they write in their home.
struct Theirs {
    home: tempfile::TempDir,
    addresses: [String; 2],
    hook: Webhook,
    running: Option<[Peer; 2]>,
}

impl Theirs {
    async fn new(rules: &std::path::Path) -> Theirs {
        let home = tempfile::tempdir().expect("a folder");
        let (addresses, hook) = ([free_address(), free_address()], Webhook::start().await);
        let write = |name: &str, text: String| std::fs::write(home.path().join(name), text).expect("a writable folder");
        write(
            "prometheus.yml",
            format!(
                "global: {{evaluation_interval: 1s}}\nrule_files: ['{}']\nalerting: {{alertmanagers: [{{static_configs: [{{targets: ['{}']}}]}}]}}\n",
                rules.display(),
                addresses[1]
            ),
        );
        let receivers = format!("receivers: [{{name: hook, webhook_configs: [{{url: '{}'}}]}}]", hook.url());
        write("alertmanager.yml", format!("route: {ROUTE}\n{INHIBIT}\n{receivers}\n"));
        Theirs { home, addresses, hook, running: None }
    }

    /// Whether the programs are there.
    async fn start(&mut self, client: &reqwest::Client) -> bool {
        let [prometheus, alertmanager] = &self.addresses;
        let started = Peer::alertmanager(self.home.path(), alertmanager);
        let started = started.and_then(|one| Some([Peer::prometheus(self.home.path(), prometheus)?, one]));
        let Some(peers) = started else { return false };
        for peer in &peers {
            let deadline = Instant::now() + crate::world::PATIENCE;
            while !client.get(format!("{}/-/ready", peer.url)).send().await.is_ok_and(|reply| reply.status() == 200) {
                assert!(Instant::now() < deadline, "{} is not ready", peer.url);
                tokio::time::sleep(crate::world::LOOK_EVERY).await;
            }
        }
        self.running = Some(peers);
        true
    }
}

async fn play(down: Option<std::ops::Range<u64>>) -> Option<[Account; 2]> {
    let mut world = World::new(&rules()).await;
    world.receivers = Receivers { slack: false, pagerduty: false, mail: false, hook: true };
    world.write_notify(ROUTE, INHIBIT);
    let mut theirs = Theirs::new(&world.home.path().join("rules/test.yml")).await;
    world.start().await;
    let client = world.appliance().client().clone();
    if !theirs.start(&client).await {
        return None;
    }
    let began = (Instant::now(), i64::try_from(now_ns() / 1_000_000).expect("a date"));
    for second in 0..LASTS_S + AFTER_S {
        let next = began.0 + Duration::from_secs(second);
        tokio::time::sleep(next.saturating_duration_since(Instant::now())).await;
        if down.as_ref().is_some_and(|down| down.start == second) {
            world.kill();
            theirs.running = None;
        }
        if down.as_ref().is_some_and(|down| down.end == second) {
            let ((), ready) = tokio::join!(world.start(), theirs.start(&client));
            assert!(ready, "they were there before");
        }
        if world.is_down() {
            continue;
        }
        let at_ms = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_millis();
        let body = request(second, i64::try_from(at_ms).expect("a date"));
        for base in [world.appliance().http.clone(), format!("http://{}", theirs.addresses[0])] {
            let request = client.post(format!("{base}/api/v1/write")).body(body.clone());
            let request = request.header("content-type", "application/x-protobuf").header("content-encoding", "snappy");
            let reply = request.header("x-prometheus-remote-write-version", "0.1.0").send().await.expect("an answer");
            assert!(reply.status().is_success(), "{base}: {}", reply.status());
        }
    }
    let calls = [&world.hook, &theirs.hook].map(|hook| hook.seen.see(|seen| seen.calls.clone()));
    Some(calls.map(|calls| account(&calls, began)))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn beside_prometheus_and_alertmanager() {
    if std::env::var_os("BINNACLE_PEERS").is_none() {
        eprintln!("not played: BINNACLE_PEERS=1 asks for it");
        return;
    }
    let mut table = vec![
        "| who | messages | lost | orphaned | doubled | inhibited told | first told, median / most s | end told |"
            .to_owned(),
        "|---|---|---|---|---|---|---|---|".to_owned(),
    ];
    let mut bad = Vec::new();
    for (what, down) in [("", None), (", killed for 6 s", Some(DOWN_S))] {
        let Some([ours, theirs]) = play(down.clone()).await else { return };
        table.push(ours.row(&format!("Binnacle{what}")));
        table.push(theirs.row(&format!("Prometheus and Alertmanager{what}")));
        let apart = ours.starts.iter().filter_map(|(key, ms)| Some((ms - theirs.starts.get(key)?).abs())).max();
        table.push(format!("starts differ by at most {} ms", apart.unwrap_or(0)));
        table.extend(theirs.notes.iter().map(|note| format!("theirs: {note}")));
        table.extend(ours.notes.iter().map(|note| format!("ours: {note}")));
        if ours.lost + ours.orphaned + ours.doubled + ours.held_told > 0 {
            bad.push(what);
        }
    }
    println!("{}", table.join("\n"));
    assert!(bad.is_empty(), "ours is not clean: {bad:?}");
}
