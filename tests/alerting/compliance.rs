//! What rules send to an Alertmanager elsewhere, and say of themselves meanwhile: the cases of Prometheus' alert generator compliance
//! (specification 1.0), at its pace of a sample every 15 s and an evaluation every 30 s, by a fast clock.
//!
//! An alert that waits, fires and ends with other values and words on the way, and again while its end is still sent; one that ends
//! while it waits, and one that never begins; one without `for`, one whose `for` is shorter than the interval, and the first of them
//! again, until their data stops; alerts that join one that fires, and a rule over their `ALERTS`. Data comes by remote write. Asked
//! all the time: `/api/v1/alerts`, `/api/v1/rules` and the series `ALERTS` and `ALERTS_FOR_STATE`. What may be true at a time is what
//! the data says then, or said an evaluation ago.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use model::time::parse_rfc3339_ns;
use prost::Message as _;
use serde_json::Value;

use crate::clock::library;
use crate::oracle::Counts;
use crate::prompb::v1;
use crate::table::Row;
use crate::world::World;

mod cases;
mod sent;

use cases::{EPISODES, Episode, RULES, SERIES, SHOWN, STEPS, pairs};

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
    let sent = sent::judge_sent(&world, zero_ms, &mut wrong);
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
        if fires > episode.active() {
            changes.push((at_step(zero_ms, episode.active()), "pending"));
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

/// The episode of an alert that is active since then.
fn episode_of(labels: &Pairs, active_ms: i64, zero_ms: i64) -> Option<&'static Episode> {
    EPISODES.iter().find(|episode| {
        let since_ms = active_ms - at_step(zero_ms, episode.active());
        pairs(episode.alert) == *labels && (0..=INTERVAL_MS + SLACK_MS).contains(&since_ms)
    })
}

/// Compares what the appliance says of all alerts with what may be true.
async fn ask(world: &World, zero_ms: i64, wrong: &mut Vec<String>) {
    let from_ms = now_ms(world);
    let mut answers = Vec::new();
    for path in ["alerts", "rules", "query?query=ALERTS", "query?query=ALERTS_FOR_STATE"] {
        let (_, body) = world.appliance().get(&format!("/api/v1/{path}")).await;
        answers.push(serde_json::from_str::<Value>(&body).expect("JSON"));
    }
    let until_ms = now_ms(world);
    let step = |at_ms: i64| (at_ms - zero_ms) as f64 / STEP_MS as f64;
    let mut complain = |what: String| wrong.push(format!("at step {:.1}: {what}", step(from_ms)));

    let mut states: BTreeMap<Pairs, String> = BTreeMap::new();
    let mut known: Vec<Pairs> = EPISODES.iter().map(|episode| pairs(episode.alert)).collect();
    known.dedup();
    for alert in array(&answers[0]["data"]["alerts"]) {
        let labels = map(&alert["labels"]);
        match episode_of(&labels, time_ms(&alert["activeAt"]), zero_ms) {
            None => complain(format!("unexpected {alert}")),
            Some(episode) => {
                let value: f64 = alert["value"].as_str().and_then(|text| text.parse().ok()).unwrap_or(f64::NAN);
                let may = episode.words_between(step(from_ms - INTERVAL_MS - SLACK_MS), step(until_ms));
                let says = |words: &[(&str, &str)]| map(&alert["annotations"]) == pairs(words);
                if !may.into_iter().any(|(_, is, words)| *is == value && says(words)) {
                    complain(format!("says {alert}"));
                }
            }
        }
        states.insert(labels, text(&alert["state"]));
    }
    let mut series: BTreeMap<Pairs, String> = BTreeMap::new();
    for sample in array(&answers[2]["data"]["result"]) {
        let mut labels = map(&sample["metric"]);
        let state = labels.get("alertstate").cloned().unwrap_or_default();
        labels.remove("__name__");
        // That of the rule over ALERTS has the label of its result.
        if labels["alertname"] != "Both" {
            labels.remove("alertstate");
        }
        if sample["value"][1] != "1" || series.insert(labels, state).is_some() {
            complain(format!("series {sample}"));
        }
    }
    for (what, states) in [("alert", &states), ("series", &series)] {
        for alert in &known {
            let state = states.get(alert).map_or("", String::as_str);
            let may = possible(alert, zero_ms, from_ms, until_ms);
            if !may.contains(&state) {
                complain(format!("{what} {alert:?} is {state:?}, may be {may:?}"));
            }
        }
        if states.keys().any(|labels| !known.contains(labels)) {
            complain(format!("{what}: {states:?}"));
        }
    }
    for sample in array(&answers[3]["data"]["result"]) {
        let mut labels = map(&sample["metric"]);
        labels.remove("__name__");
        let since_s: i64 = sample["value"][1].as_str().and_then(|text| text.parse().ok()).unwrap_or(0);
        // Whole seconds, of a time that has more.
        if episode_of(&labels, since_s * 1_000 + 999, zero_ms).is_none() {
            complain(format!("since when: {sample}"));
        }
    }
    ask_rules(&answers[1], (from_ms, until_ms), &mut complain);
}

/// Compares what is said of rules with their file, and with the states of their alerts.
fn ask_rules(answer: &Value, (from_ms, until_ms): (i64, i64), complain: &mut impl FnMut(String)) {
    let is_recent = |of: &Value| {
        let at_ms = time_ms(&of["lastEvaluation"]);
        (from_ms - INTERVAL_MS - SLACK_MS..=until_ms).contains(&at_ms) && of["evaluationTime"].is_number()
    };
    let groups = array(&answer["data"]["groups"]);
    if groups.len() != SHOWN.len() {
        complain(format!("{} groups", groups.len()));
    }
    for (group, (name, shown)) in groups.iter().zip(SHOWN) {
        let rules = array(&group["rules"]);
        if group["name"] != *name || group["interval"] != 30.0 || rules.len() != shown.len() || !is_recent(group) {
            complain(format!("group {group}"));
        }
        for (rule, (name, for_s, query, labels, annotations)) in rules.iter().zip(*shown) {
            let of_alerts = array(&rule["alerts"]).iter().map(|alert| text(&alert["state"]));
            let worst = of_alerts.min().unwrap_or_else(|| "inactive".into());
            let is_well = rule["health"] == "ok" && rule["lastError"].as_str().is_none_or(str::is_empty);
            let is_so = rule["name"] == *name
                && rule["duration"] == *for_s
                && text(&rule["query"]).replace(' ', "") == *query
                && map(&rule["labels"]) == pairs(labels)
                && map(&rule["annotations"]).keys().map(String::as_str).eq(annotations.iter().copied());
            if text(&rule["state"]) != worst || !is_well || rule["type"] != "alerting" || !is_so || !is_recent(rule) {
                complain(format!("rule {rule}"));
            }
        }
    }
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
