//! What rules send to an Alertmanager elsewhere, and say of themselves meanwhile: the cases of Prometheus' alert generator compliance
//! (specification 1.0), at its pace of a sample every 15 s and an evaluation every 30 s, by a fast clock.
//!
//! An alert that waits, fires and ends; one that ends while it waits, and one that never begins; one without `for`, one whose `for` is
//! shorter than the interval, and the first of them again, until their data stops; alerts that join one that fires, and a rule over
//! their `ALERTS`. Data comes by remote write. Asked all the time: `/api/v1/alerts`, `/api/v1/rules` and the series `ALERTS`. What
//! may be true at a time is what the data says then, or said an evaluation ago.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use model::time::{parse_rfc3339_ns, rfc3339_ms};
use prost::Message as _;
use serde_json::Value;

use crate::clock::library;
use crate::oracle::Counts;
use crate::prompb::v1;
use crate::table::Row;
use crate::world::World;

/// Theirs in one of ours: a busy machine's second is still less than an evaluation.
const FACTOR: u32 = 20;
/// 2027-03-01 18:00 UTC.
const BEGINS_S: i64 = 1_803_924_000;
const STEP_MS: i64 = 15_000;
const INTERVAL_MS: i64 = 30_000;
/// What a busy machine may be late by, by the fast clock.
const SLACK_MS: i64 = 25_000;
const RESEND_MS: i64 = 60_000;
/// How long a firing lives without further word, and an end is told again.
const LIVES_MS: i64 = 4 * RESEND_MS;
const ENDED_MS: i64 = 15 * 60_000;
const STEPS: usize = 140;

const RULES: &str = r#"groups:
- name: simple
  interval: 30s
  rules:
  - alert: Simple
    expr: '{__name__="suite", alertname="Simple", case="simple"} > 10'
    for: 6m
    labels: {foo: bar, case: simple}
    annotations: {summary: 'it is {{ $value }}, {{ .Value }}'}
- name: waits
  interval: 30s
  rules:
  - alert: Waits
    expr: '{__name__="suite", alertname="Waits", case="waits"} > 10'
    for: 3m
    labels: {foo: bar, case: waits}
    annotations: {summary: waits}
  - alert: Never
    expr: '{__name__="suite", alertname="Waits", case="waits"} > 99'
    for: 3m
    labels: {case: waits}
- name: short
  interval: 30s
  rules:
  - alert: NoFor
    expr: '{__name__="suite", alertname="NoFor", case="short"} > 10'
    labels: {foo: bar, case: short}
    annotations:
      numbers: '{{ humanize 1048576 }} {{ humanize1024 1048576 }} {{ humanizeDuration 135.3563 }} {{ humanizePercentage 0.959 }} {{ humanizeTimestamp 1643114203 }}'
      asked: >-
        {{ define "asked" }}{{ .arg0 }} {{ .arg1 }} {{ .arg2 }}: {{ with query "suite{case='short',for='template'}" }}{{
        . | sortByLabel "id" | first | label "id" }} of {{ range $v := sortByLabel "id" . }}{{ . | label "id" }}={{ . | value }};{{
        end }}{{ end }}{{ end }}{{ template "asked" (args "foo" "bar" 99) }}
  - alert: ShortFor
    expr: '{__name__="suite", alertname="ShortFor", case="short"} > 13'
    for: 15s
    labels: {ba_dum: tss, case: short}
    annotations:
      texts: '{{ title "a few words" }} {{ toUpper "up" }} {{ toLower "DOWN" }} {{ stripPort "[::1]:6006" }} {{ stripPort "127.0.0.1:4004" }} {{ parseDuration "2h10m15s" }} {{ if match "[0-9]+" "1234" }}{{ reReplaceAll "r.*d" "replaced" "rpld text" }}{{ end }}{{ if match "[0-9]+$" "1234a" }}no{{ end }}'
- name: order
  interval: 30s
  rules:
  - alert: Joined
    expr: '{__name__="suite", alertname="Joined", case="order"} > 10'
    for: 3m
    labels: {foo: bar, case: order}
    annotations: {summary: more to come}
  - alert: Both
    expr: >-
      (ALERTS{alertstate="firing", alertname="Joined", foo="bar", case="order", variant="one"} + ignoring(variant)
      ALERTS{alertstate="firing", alertname="Joined", foo="bar", case="order", variant="two"}) == 2
    labels: {foo: baz, ba_dum: tss, case: order}
    annotations: {summary: 'over {{ $labels.alertname }} with {{ .Labels.foo }}'}
"#;

/// A series: its labels beside the name, and its values as from which step each holds; it ends at the last one's end.
struct Series {
    labels: &'static [(&'static str, &'static str)],
    values: &'static [(usize, f64)],
    steps: usize,
}

const SERIES: &[Series] = &[
    Series {
        labels: &[("alertname", "Simple"), ("case", "simple")],
        values: &[(0, 3.0), (8, 11.0), (57, 9.0)],
        steps: STEPS,
    },
    Series {
        labels: &[("alertname", "Waits"), ("case", "waits")],
        values: &[(0, 3.0), (8, 11.0), (19, 9.0)],
        steps: 20,
    },
    Series {
        labels: &[("alertname", "NoFor"), ("case", "short")],
        values: &[(0, 3.0), (8, 15.0), (21, 9.0), (93, 11.0), (106, 9.0)],
        steps: 107,
    },
    Series {
        labels: &[("alertname", "ShortFor"), ("case", "short")],
        values: &[(0, 3.0), (8, 15.0), (21, 9.0), (93, 11.0), (106, 9.0)],
        steps: 107,
    },
    Series {
        labels: &[("case", "short"), ("for", "template"), ("id", "101")],
        values: &[(0, 1.0), (28, 2.0)],
        steps: STEPS,
    },
    Series {
        labels: &[("case", "short"), ("for", "template"), ("id", "102")],
        values: &[(0, 2.0), (28, 4.0)],
        steps: STEPS,
    },
    Series {
        labels: &[("alertname", "Joined"), ("case", "order"), ("variant", "one")],
        values: &[(0, 1.0), (8, 11.0), (73, 9.0)],
        steps: STEPS,
    },
    Series {
        labels: &[("alertname", "Joined"), ("case", "order"), ("variant", "two")],
        values: &[(0, 1.0), (32, 11.0), (65, 9.0)],
        steps: STEPS,
    },
];

/// One episode of an alert, in steps.
struct Episode {
    alert: &'static [(&'static str, &'static str)],
    annotations: &'static [(&'static str, &'static str)],
    value: f64,
    active: usize,
    /// Equal to `active` without `for`; `None` when it ends before.
    fires: Option<usize>,
    ends: usize,
}

const NUMBERS: (&str, &str) = ("numbers", "1.049M 1Mi 2m 15s 95.9% 2022-01-25 12:36:43 +0000 UTC");

const EPISODES: &[Episode] = &[
    Episode {
        alert: &[("alertname", "Simple"), ("case", "simple"), ("foo", "bar")],
        annotations: &[("summary", "it is 11, 11")],
        value: 11.0,
        active: 8,
        fires: Some(32),
        ends: 57,
    },
    Episode {
        alert: &[("alertname", "Waits"), ("case", "waits"), ("foo", "bar")],
        annotations: &[("summary", "waits")],
        value: 11.0,
        active: 8,
        fires: None,
        ends: 19,
    },
    Episode {
        alert: &[("alertname", "NoFor"), ("case", "short"), ("foo", "bar")],
        annotations: &[("asked", "foo bar 99: 101 of 101=1;102=2;"), NUMBERS],
        value: 15.0,
        active: 8,
        fires: Some(8),
        ends: 21,
    },
    // Long after its last end was told.
    Episode {
        alert: &[("alertname", "NoFor"), ("case", "short"), ("foo", "bar")],
        annotations: &[("asked", "foo bar 99: 101 of 101=2;102=4;"), NUMBERS],
        value: 11.0,
        active: 93,
        fires: Some(93),
        ends: 106,
    },
    // At the second evaluation and not before: half an interval is no evaluation's time.
    Episode {
        alert: &[("alertname", "ShortFor"), ("ba_dum", "tss"), ("case", "short")],
        annotations: &[("texts", "A Few Words UP down ::1 127.0.0.1 7815 replaced text")],
        value: 15.0,
        active: 8,
        fires: Some(10),
        ends: 21,
    },
    Episode {
        alert: &[("alertname", "Joined"), ("case", "order"), ("foo", "bar"), ("variant", "one")],
        annotations: &[("summary", "more to come")],
        value: 11.0,
        active: 8,
        fires: Some(20),
        ends: 73,
    },
    Episode {
        alert: &[("alertname", "Joined"), ("case", "order"), ("foo", "bar"), ("variant", "two")],
        annotations: &[("summary", "more to come")],
        value: 11.0,
        active: 32,
        fires: Some(44),
        ends: 65,
    },
    // In the same evaluation as the second of those that it looks at; its template sees the labels of its result.
    Episode {
        alert: &[("alertname", "Both"), ("alertstate", "firing"), ("ba_dum", "tss"), ("case", "order"), ("foo", "baz")],
        annotations: &[("summary", "over Joined with bar")],
        value: 2.0,
        active: 44,
        fires: Some(44),
        ends: 65,
    },
];

/// What the Alertmanager was sent of one alert.
struct Sent {
    came_ms: i64,
    annotations: BTreeMap<String, String>,
    starts_ms: i64,
    ends_ms: i64,
}

type Pairs = BTreeMap<String, String>;

pub(crate) async fn alerts_at_an_alertmanager() -> Row {
    let Some(library) = library() else { return Row::not_played("run tests/alerting/setup for libfaketime") };
    let mut world = World::new("").await;
    world.take_fast_clock(&library, BEGINS_S, FACTOR);
    world.write("rules/test.yml", RULES);
    let toml = format!(
        "[rules]\nbuiltin = false\n[host_metrics]\nenabled = false\n[[alertmanagers]]\ntargets = [\"{}\"]\npath_prefix = \"/am\"\n",
        world.hook.address
    );
    world.write("binnacle.toml", &toml);
    world.start().await;
    world.read_clock().await;
    let (_, known) = world.appliance().get("/api/v1/alertmanagers").await;
    assert!(known.contains(&format!("http://{}/am/api/v2/alerts", world.hook.address)), "{known}");

    let zero_ms = now_ms(&world);
    let (mut asked, mut wrong) = (0, Vec::new());
    for step in 0..STEPS {
        write(&world, step, zero_ms).await;
        for half in [0, 1] {
            if step >= 4 {
                ask(&world, zero_ms, &mut wrong).await;
                asked += 1;
            }
            let next_ms = zero_ms + i64::try_from(2 * step + half + 1).expect("few") * STEP_MS / 2;
            let left_ms = u64::try_from(next_ms - now_ms(&world)).unwrap_or(0);
            tokio::time::sleep(Duration::from_millis(left_ms) / FACTOR).await;
        }
    }
    let sent = judge_sent(&world, zero_ms, &mut wrong);
    assert!(wrong.is_empty(), "{} of {asked} times:\n{}\n{}", wrong.len(), wrong.join("\n"), world.log_tail());
    Row {
        counts: Counts::default(),
        remark: format!("{sent} alerts sent in {} min, states asked {asked} times", STEPS / 4),
    }
}

fn now_ms(world: &World) -> i64 {
    at_ms(world, Instant::now())
}

fn at_ms(world: &World, at: Instant) -> i64 {
    let fast = world.fast.expect("the clock is fast");
    i64::try_from(fast.at_ns(at) / 1_000_000).expect("before 2262")
}

fn at_step(zero_ms: i64, step: usize) -> i64 {
    zero_ms + i64::try_from(step).expect("few") * STEP_MS
}

async fn write(world: &World, step: usize, zero_ms: i64) {
    let series = SERIES.iter().filter(|series| step < series.steps).map(|series| {
        let value = series.values.iter().rev().find(|(from, _)| *from <= step).map_or(0.0, |(_, value)| *value);
        let pairs = [("__name__", "suite")].into_iter().chain(series.labels.iter().copied());
        v1::TimeSeries {
            labels: pairs.map(|(name, value)| v1::Label { name: name.into(), value: value.into() }).collect(),
            samples: vec![v1::Sample { value, timestamp: at_step(zero_ms, step) }],
            ..Default::default()
        }
    });
    let request = v1::WriteRequest { timeseries: series.collect(), ..Default::default() };
    let body = snap::raw::Encoder::new().compress_vec(&request.encode_to_vec()).expect("small");
    let appliance = world.appliance();
    let request = appliance.client().post(format!("{}/api/v1/write", appliance.http)).body(body);
    let request = request.header("content-type", "application/x-protobuf").header("content-encoding", "snappy");
    let reply = appliance.send(request).await.expect("an answer");
    assert!(reply.status().is_success(), "{}", reply.status());
}

/// The states that an alert may have between two times; `""` is none.
fn possible(alert: &Pairs, zero_ms: i64, from_ms: i64, until_ms: i64) -> Vec<&'static str> {
    let mut changes = vec![(i64::MIN, "")];
    for episode in EPISODES.iter().filter(|episode| pairs(episode.alert) == *alert) {
        let fires = episode.fires.unwrap_or(usize::MAX);
        if fires > episode.active {
            changes.push((at_step(zero_ms, episode.active), "pending"));
        }
        if fires < usize::MAX {
            changes.push((at_step(zero_ms, fires), "firing"));
        }
        changes.push((at_step(zero_ms, episode.ends), ""));
    }
    let ends = changes.iter().skip(1).map(|(at_ms, _)| *at_ms).chain([i64::MAX - INTERVAL_MS - SLACK_MS]);
    let holds = changes
        .iter()
        .zip(ends)
        .filter(|((begins_ms, _), ends_ms)| *begins_ms <= until_ms && from_ms <= ends_ms + INTERVAL_MS + SLACK_MS);
    holds.map(|((_, state), _)| *state).collect()
}

/// Compares what the appliance says of all alerts with what may be true.
async fn ask(world: &World, zero_ms: i64, wrong: &mut Vec<String>) {
    let from_ms = now_ms(world);
    let (_, alerts) = world.appliance().get("/api/v1/alerts").await;
    let (_, rules) = world.appliance().get("/api/v1/rules").await;
    let (_, series) = world.appliance().get("/api/v1/query?query=ALERTS").await;
    let until_ms = now_ms(world);
    let [alerts, rules, series] =
        [alerts, rules, series].map(|body| serde_json::from_str::<Value>(&body).expect("JSON"));
    let step = (from_ms - zero_ms) as f64 / STEP_MS as f64;
    let mut complain = |what: String| wrong.push(format!("at step {step:.1}: {what}"));

    let mut states: BTreeMap<Pairs, String> = BTreeMap::new();
    let mut known: Vec<Pairs> = EPISODES.iter().map(|episode| pairs(episode.alert)).collect();
    known.dedup();
    for alert in array(&alerts["data"]["alerts"]) {
        let labels = map(&alert["labels"]);
        let active_ms = time_ms(&alert["activeAt"]);
        let is_of = |episode: &&Episode| {
            let since_ms = active_ms - at_step(zero_ms, episode.active);
            pairs(episode.alert) == labels && (0..=INTERVAL_MS + SLACK_MS).contains(&since_ms)
        };
        match EPISODES.iter().find(is_of) {
            None => complain(format!("unexpected {alert}")),
            Some(episode) => {
                let value: f64 = alert["value"].as_str().and_then(|text| text.parse().ok()).unwrap_or(f64::NAN);
                if value != episode.value || map(&alert["annotations"]) != pairs(episode.annotations) {
                    complain(format!("says {alert}"));
                }
            }
        }
        states.insert(labels, text(&alert["state"]));
    }
    for alert in &known {
        let (state, may) = (states.get(alert).map_or("", String::as_str), possible(alert, zero_ms, from_ms, until_ms));
        if !may.contains(&state) {
            complain(format!("{alert:?} is {state:?}, may be {may:?}"));
        }
    }
    for rule in array(&rules["data"]["groups"]).iter().flat_map(|group| array(&group["rules"])) {
        let of_alerts = array(&rule["alerts"]).iter().map(|alert| text(&alert["state"]));
        let worst = of_alerts.min().unwrap_or_else(|| "inactive".into());
        let is_well = rule["health"] == "ok" && rule["lastError"].as_str().is_none_or(str::is_empty);
        if text(&rule["state"]) != worst || !is_well || rule["type"] != "alerting" {
            complain(format!("rule {rule}"));
        }
    }
    for sample in array(&series["data"]["result"]) {
        let mut labels = map(&sample["metric"]);
        let state = labels.get("alertstate").cloned().unwrap_or_default();
        labels.remove("__name__");
        // That of the rule over ALERTS has the label of its result.
        if labels["alertname"] != "Both" {
            labels.remove("alertstate");
        }
        if !possible(&labels, zero_ms, from_ms, until_ms).contains(&state.as_str()) || sample["value"][1] != "1" {
            complain(format!("series {sample}"));
        }
    }
}

/// Compares what the Alertmanager was sent with what it should have been; how many alerts that were.
fn judge_sent(world: &World, zero_ms: i64, wrong: &mut Vec<String>) -> usize {
    let mut by_alert: BTreeMap<Pairs, Vec<Sent>> = BTreeMap::new();
    let mut count = 0;
    for call in world.hook.seen.see(|seen| seen.calls.clone()) {
        for alert in array(&call.body) {
            count += 1;
            by_alert.entry(map(&alert["labels"])).or_default().push(Sent {
                came_ms: at_ms(world, call.came),
                annotations: map(&alert["annotations"]),
                starts_ms: time_ms(&alert["startsAt"]),
                ends_ms: time_ms(&alert["endsAt"]),
            });
        }
    }
    for episode in EPISODES {
        let Some(fires) = episode.fires else { continue };
        let of_alert = by_alert.entry(pairs(episode.alert)).or_default();
        let (fires_ms, ends_ms) = (at_step(zero_ms, fires), at_step(zero_ms, episode.ends));
        let is_of = |sent: &mut Sent| (fires_ms..=fires_ms + INTERVAL_MS + SLACK_MS).contains(&sent.starts_ms);
        let sent: Vec<Sent> = of_alert.extract_if(.., is_of).collect();
        if let Err(what) = judge_episode(&sent, ends_ms, episode) {
            let shown: Vec<String> = sent
                .iter()
                .map(|sent| {
                    let [came, starts, ends] = [sent.came_ms, sent.starts_ms, sent.ends_ms].map(rfc3339_ms);
                    format!("came {came} starts {starts} ends {ends} {:?}", sent.annotations)
                })
                .collect();
            wrong.push(format!("{:?}: {what}\n  {}", episode.alert, shown.join("\n  ")));
        }
    }
    for (alert, sent) in by_alert.iter().filter(|(_, sent)| !sent.is_empty()) {
        wrong.push(format!("{} unexpected messages of {alert:?}", sent.len()));
    }
    count
}

fn judge_episode(sent: &[Sent], ends_ms: i64, episode: &Episode) -> Result<(), String> {
    let demand = |holds: bool, what: &str| if holds { Ok(()) } else { Err(what.to_owned()) };
    let within = |value: i64, from: i64, most: i64| (from..=from + most + SLACK_MS).contains(&value);
    let first = sent.first().ok_or("was never sent")?;
    demand(sent.iter().all(|one| one.annotations == pairs(episode.annotations)), "other annotations")?;
    demand(sent.iter().all(|one| one.starts_ms == first.starts_ms), "begins at several times")?;
    // A firing's end is ahead, an end's is not. Their clock and ours differ by some ms.
    let firing = sent.iter().take_while(|one| one.ends_ms > one.came_ms).count();
    let (firing, ended) = sent.split_at(firing);
    demand(!firing.is_empty() && ended.iter().all(|one| one.ends_ms <= one.came_ms + 2_000), "fires after its end")?;
    let evaluated: Vec<i64> = firing.iter().map(|one| one.ends_ms - LIVES_MS).collect();
    demand(evaluated[0] == first.starts_ms, "not sent by the evaluation at which it fired")?;
    let due = |gap_ms: i64| (RESEND_MS + INTERVAL_MS..=RESEND_MS + 2 * INTERVAL_MS).contains(&gap_ms);
    demand(evaluated.windows(2).all(|two| due(two[1] - two[0])), "sent again too soon or too late")?;
    demand(
        firing.iter().zip(&evaluated).all(|(one, at_ms)| within(one.came_ms, at_ms - 2_000, 0)),
        "came long after its evaluation",
    )?;
    let end = ended.first().ok_or("its end was never sent")?;
    demand(ended.iter().all(|one| one.ends_ms == end.ends_ms), "ended at several times")?;
    demand(within(end.ends_ms, ends_ms, INTERVAL_MS), "ended at the wrong time")?;
    demand(within(end.came_ms, end.ends_ms - 2_000, 0), "its end came late")?;
    let gap = |two: &[Sent]| within(two[1].came_ms - two[0].came_ms, RESEND_MS, INTERVAL_MS);
    demand(ended.windows(2).all(gap), "its end was sent again too soon or too late")?;
    demand(ended.iter().all(|one| one.came_ms <= one.ends_ms + ENDED_MS + SLACK_MS), "its end was sent for too long")?;
    let told = ended.len();
    let is_past = ends_ms + ENDED_MS + INTERVAL_MS < at_step(first.starts_ms, STEPS - episode.fires.unwrap_or(0));
    demand(!is_past || (8..=11).contains(&told), "its end was sent for too short")
}

fn pairs(of: &[(&str, &str)]) -> Pairs {
    of.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn map(value: &Value) -> Pairs {
    value.as_object().into_iter().flatten().map(|(name, value)| (name.clone(), text(value))).collect()
}

fn array(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn time_ms(value: &Value) -> i64 {
    value.as_str().and_then(parse_rfc3339_ns).map_or(0, |ns| ns / 1_000_000)
}
