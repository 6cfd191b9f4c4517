//! Random alerts in groups against a model of Alertmanager's three timers with the hurry of critical ones (D3) and the message for
//! what fired and ended untold (D5): every message has a reason, and none that is due stays away.

use std::collections::BTreeMap;

use chance::Random;

use super::*;

const WAIT: i64 = 30_000;
const HURRIED: i64 = 10_000;
const INTERVAL: i64 = 300_000;
const REPEAT: i64 = 600_000;
const CHANNEL: &str = "slack/slack[0]";

struct Alert {
    instance: Instance,
    /// When its group's readers must know of it at the latest, unless another reason comes first.
    due_ms: i64,
    mentioned: bool,
    /// Mentioned as over.
    closed: bool,
}

/// A group from its first alert to the message that all is over.
#[derive(Default)]
struct Group {
    alerts: Vec<Alert>,
    first_ms: Option<i64>,
    last_ms: i64,
}

impl Group {
    fn is_tick(&self, now_ms: i64) -> bool {
        self.first_ms.is_some_and(|first_ms| now_ms > first_ms && (now_ms - first_ms) % INTERVAL == 0)
    }

    fn fire(&mut self, instance: Instance, is_critical: bool, now_ms: i64) {
        let wait_ms = if is_critical { HURRIED } else { WAIT };
        let due_ms = match self.first_ms {
            Some(first_ms) if !is_critical => first_ms + ((now_ms - first_ms) / INTERVAL + 1) * INTERVAL,
            _ => now_ms + wait_ms,
        };
        self.alerts.push(Alert { instance, due_ms, mentioned: false, closed: false });
    }

    fn is_over(&self) -> bool {
        self.alerts.iter().all(|alert| alert.instance.state != AlertState::Firing)
    }

    /// When a message is due that says something new; `None` when nothing is.
    fn news_ms(&self, now_ms: i64) -> Option<i64> {
        let told = self.first_ms.is_some();
        if told && self.is_over() && self.alerts.iter().any(|alert| !alert.closed) {
            return Some(now_ms);
        }
        let new = self.alerts.iter().filter(|alert| !alert.mentioned);
        // Company comes along with whoever is due first.
        new.map(|alert| alert.due_ms).min()
    }

    /// A message came: why, and what it left out.
    fn told(&mut self, said: &[Instance], now_ms: i64) -> Result<&'static str, String> {
        let ended_untold = self
            .alerts
            .iter()
            .any(|alert| alert.mentioned && !alert.closed && alert.instance.state != AlertState::Firing);
        let why = match self.news_ms(now_ms) {
            Some(due_ms) if due_ms <= now_ms && self.is_over() => "over",
            Some(due_ms) if due_ms <= now_ms => "new",
            _ if ended_untold && self.is_tick(now_ms) => "an end",
            _ if self.is_tick(now_ms) && now_ms - self.last_ms >= REPEAT => "repeat",
            due_ms => return Err(format!("told for no reason; news are due at {due_ms:?}")),
        };
        for alert in &mut self.alerts {
            let found = said.iter().find(|instance| instance.labels == alert.instance.labels);
            match found {
                Some(instance) if instance.state == alert.instance.state => {}
                None if alert.closed => {}
                found => return Err(format!("{} is told as {:?}", alert.instance.labels, found.map(|of| of.state))),
            }
            alert.mentioned = true;
            alert.closed = alert.instance.state != AlertState::Firing;
        }
        self.first_ms.get_or_insert(now_ms);
        self.last_ms = now_ms;
        Ok(why)
    }
}

fn zone_of(instances: &[Instance]) -> String {
    instances.first().map(|instance| instance.labels.value("zone").to_owned()).unwrap_or_default()
}

#[test]
fn every_message_of_a_group_has_a_reason_and_none_stays_away() {
    let seed = chance::seed(20_261_121);
    let mut random = Random::new(seed);
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    let route = "{receiver: slack, group_by: [zone], group_wait: 30s, group_interval: 5m, repeat_interval: 10m}";
    let mut bench = Bench::new(route);
    let mut groups: BTreeMap<String, Group> = BTreeMap::new();
    let mut number = 0;
    // Weather changes: long quiet times, for the repeats, and busy ones.
    let mut rate = 40;
    for second in 1..60_000_i64 {
        let now_ms = second * 1_000;
        let fail = |why: String| -> ! { panic!("SEED={seed}, second {second}: {why}") };
        if random.below(600) == 0 {
            rate = [20, 60, 400, 5_000][random.below(4)];
        }
        if random.below(rate) == 0 {
            number += 1;
            let zone = ["a", "b", "c"][random.below(3)];
            let is_critical = random.below(4) == 0;
            // A new host each time: what comes again and again is flapping, another matter.
            let mut instance = firing(&format!("h{number}"), if is_critical { "critical" } else { "warning" }, now_ms);
            instance.labels = instance.labels.with("zone", zone);
            bench.take(&instance, now_ms);
            groups.entry(zone.into()).or_default().fire(instance, is_critical, now_ms);
        }
        if random.below(rate) == 0 {
            let mut open: Vec<&mut Alert> = groups
                .values_mut()
                .flat_map(|group| &mut group.alerts)
                .filter(|alert| alert.instance.state == AlertState::Firing)
                .collect();
            let at = random.below(open.len().max(1));
            if let Some(alert) = open.get_mut(at) {
                alert.instance = ended(&alert.instance, now_ms);
                let over = alert.instance.clone();
                bench.take(&over, now_ms);
            }
        }
        bench.sweep(now_ms);
        while !bench.due(CHANNEL, now_ms).is_empty() {
            let sent = bench.attempt(CHANNEL, now_ms, Verdict::Accepted);
            let zone = zone_of(&sent.intent.instances);
            let Some(group) = groups.get_mut(&zone) else { fail(format!("{zone:?} has no alerts")) };
            match group.told(&sent.intent.instances, now_ms) {
                Ok(why) => *reasons.entry(why).or_default() += 1,
                Err(why) => fail(why),
            }
            if group.is_over() {
                groups.remove(&zone);
            }
        }
        for (zone, group) in &groups {
            if let Some(due_ms) = group.news_ms(now_ms).filter(|due_ms| *due_ms <= now_ms) {
                fail(format!("zone {zone} should know since {due_ms}"));
            }
            let silent_ms = now_ms - group.last_ms;
            if group.first_ms.is_some() && silent_ms >= REPEAT + INTERVAL {
                fail(format!("zone {zone} heard nothing for {silent_ms} ms"));
            }
        }
    }
    for why in ["new", "over", "an end", "repeat"] {
        assert!(reasons.get(why).is_some_and(|count| *count > 20), "nothing was tested: {reasons:?}");
    }
}
