//! What the Alertmanager was sent, and when, against what it should have been.

use std::collections::BTreeMap;

use model::time::rfc3339_ms;

use super::cases::{EPISODES, Episode, STEPS, pairs};
use super::{
    ENDED_MS, INTERVAL_MS, LIVES_MS, Pairs, RESEND_MS, SLACK_MS, STEP_MS, array, at_ms, at_step, map, text, time_ms,
};
use crate::world::World;

/// What the Alertmanager was sent of one alert.
struct Sent {
    came_ms: i64,
    annotations: BTreeMap<String, String>,
    starts_ms: i64,
    ends_ms: i64,
    page: String,
}

/// Compares what the Alertmanager was sent with what it should have been; how many alerts that were.
pub(super) fn judge_sent(world: &World, zero_ms: i64, wrong: &mut Vec<String>) -> usize {
    let mut by_alert: BTreeMap<Pairs, Vec<Sent>> = BTreeMap::new();
    let mut count = 0;
    for call in world.hook.seen.see(|seen| seen.calls.clone()) {
        if call.header("content-type") != "application/json" {
            wrong.push(format!("sent as {:?}", call.header("content-type")));
        }
        for alert in array(&call.body) {
            count += 1;
            by_alert.entry(map(&alert["labels"])).or_default().push(Sent {
                came_ms: at_ms(world, call.came),
                annotations: map(&alert["annotations"]),
                starts_ms: time_ms(&alert["startsAt"]),
                ends_ms: time_ms(&alert["endsAt"]),
                page: text(&alert["generatorURL"]),
            });
        }
    }
    for episode in EPISODES {
        let Some(fires) = episode.fires else { continue };
        let of_alert = by_alert.entry(pairs(episode.alert)).or_default();
        let (fires_ms, ends_ms) = (at_step(zero_ms, fires), at_step(zero_ms, episode.ends));
        let is_of = |sent: &mut Sent| (fires_ms..=fires_ms + INTERVAL_MS + SLACK_MS).contains(&sent.starts_ms);
        let sent: Vec<Sent> = of_alert.extract_if(.., is_of).collect();
        if let Err(what) = judge_episode(&sent, ends_ms, episode, zero_ms) {
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

fn judge_episode(sent: &[Sent], ends_ms: i64, episode: &Episode, zero_ms: i64) -> Result<(), String> {
    let demand = |holds: bool, what: &str| if holds { Ok(()) } else { Err(what.to_owned()) };
    let within = |value: i64, from: i64, most: i64| (from..=from + most + SLACK_MS).contains(&value);
    let first = sent.first().ok_or("was never sent")?;
    demand(sent.iter().all(|one| url::Url::parse(&one.page).is_ok()), "no page")?;
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
    let step = |at_ms: i64| (at_ms - zero_ms) as f64 / STEP_MS as f64;
    let says = |one: &Sent, from_ms: i64, until_ms: i64| {
        episode.words_between(step(from_ms), step(until_ms)).any(|(.., words)| one.annotations == pairs(words))
    };
    let as_evaluated = |(one, at_ms): (&Sent, &i64)| says(one, at_ms - SLACK_MS, *at_ms);
    demand(firing.iter().zip(&evaluated).all(as_evaluated), "other annotations than its evaluation's")?;
    let end = ended.first().ok_or("its end was never sent")?;
    demand(ended.iter().all(|one| says(one, ends_ms, ends_ms)), "other annotations than its last ones")?;
    demand(ended.iter().all(|one| one.ends_ms == end.ends_ms), "ended at several times")?;
    demand(within(end.ends_ms, ends_ms, INTERVAL_MS), "ended at the wrong time")?;
    demand(within(end.came_ms, end.ends_ms - 2_000, 0), "its end came late")?;
    let gap = |two: &[Sent]| within(two[1].came_ms - two[0].came_ms, RESEND_MS, INTERVAL_MS);
    demand(ended.windows(2).all(gap), "its end was sent again too soon or too late")?;
    demand(ended.iter().all(|one| one.came_ms <= one.ends_ms + ENDED_MS + SLACK_MS), "its end was sent for too long")?;
    let told = ended.len();
    if let Some(again) = episode.again {
        let until_ms = at_step(zero_ms, again) + INTERVAL_MS + SLACK_MS;
        demand(ended.iter().all(|one| one.came_ms <= until_ms), "its end was sent though it waits again")?;
        return demand((3..=4).contains(&told), "its end was sent too seldom");
    }
    let is_past = ends_ms + ENDED_MS + INTERVAL_MS < at_step(first.starts_ms, STEPS - episode.fires.unwrap_or(0));
    demand(!is_past || (8..=11).contains(&told), "its end was sent for too short")
}
