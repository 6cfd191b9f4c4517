//! What really happened against what people were told.
//!
//! An episode is known by its host's name, which stands in whatever tells of it and nowhere else.

use std::time::Instant;

use crate::world::{Receivers, World};

/// One true episode: the alert fired, and ended.
#[derive(Debug, Clone)]
pub(crate) struct Episode {
    pub(crate) host: String,
    pub(crate) began: Instant,
    pub(crate) over: bool,
    /// Nobody was to be told.
    pub(crate) suppressed: bool,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Counts {
    /// Episodes that a receiver was never told of.
    pub(crate) lost: usize,
    /// Told as firing, over, and not told as ended.
    pub(crate) orphaned: usize,
    /// The same state of the same episode seen twice by a human. A repeat that says so is not counted.
    pub(crate) doubled: usize,
    /// A firing after its end.
    pub(crate) disordered: usize,
    /// Slack posts, PagerDuty incidents, mails and webhook calls.
    pub(crate) seen: usize,
    /// From the first episode's beginning to the first message anywhere, in ms.
    pub(crate) first_ms: Option<u32>,
    /// What was lost, left open or doubled, and where.
    pub(crate) notes: Vec<String>,
}

impl Counts {
    pub(crate) fn is_clean(&self) -> bool {
        self.lost + self.orphaned + self.doubled + self.disordered == 0
    }
}

const REPEAT: &str = "ossible repeat";

/// One telling: when, of what, and whether of the end.
struct Told {
    at: Instant,
    text: String,
    firing: bool,
}

pub(crate) fn count(world: &World) -> Counts {
    let mut counts = Counts::default();
    let Receivers { slack, pagerduty, mail, hook } = world.receivers;
    if slack {
        count_slack(world, &mut counts);
    }
    if pagerduty {
        count_pagerduty(world, &mut counts);
    }
    if mail {
        let told = world.smtp.seen.see(|seen| {
            let told = |mail: &crate::fakes::smtp::Mail| Told {
                at: mail.came,
                firing: mail.header("subject").contains("[FIRING"),
                text: mail.text.replace("=\r\n", ""),
            };
            // A mail with a known id is the same mail to whoever reads it.
            let mut ids = std::collections::BTreeSet::new();
            seen.mails.iter().filter(|mail| ids.insert(mail.header("message-id"))).map(told).collect::<Vec<_>>()
        });
        count_stream(world, "mail", &told, &mut counts);
    }
    if hook {
        let told = world.hook.seen.see(|seen| {
            let mut ids = std::collections::BTreeSet::new();
            seen.calls
                .iter()
                .filter(|call| call.taken && ids.insert(call.header("idempotency-key").to_owned()))
                .map(|call| Told {
                    at: call.came,
                    firing: call.body["status"] == "firing",
                    text: call.body.to_string(),
                })
                .collect::<Vec<_>>()
        });
        count_stream(world, "webhook", &told, &mut counts);
    }
    counts
}

/// Each telling is a message of its own.
fn count_stream(world: &World, name: &str, told: &[Told], counts: &mut Counts) {
    counts.seen += told.len();
    for episode in world.episodes.iter() {
        let of: Vec<&Told> = told.iter().filter(|told| told.text.contains(&episode.host)).collect();
        let firing: Vec<&&Told> = of.iter().filter(|told| told.firing && !told.text.contains(REPEAT)).collect();
        counts.first(episode, of.iter().map(|told| told.at).min());
        counts.lost(name, episode, of.is_empty());
        let Some(first) = of.first() else { continue };
        let ended = of.iter().any(|told| !told.firing);
        counts.orphaned(name, episode, first.firing && !ended);
        let doubled = firing.len().saturating_sub(world.tellings_max);
        counts.doubled(doubled, || firing.iter().map(|told| told.text.clone()).collect());
        let late = of.iter().skip_while(|told| told.firing).any(|told| told.firing);
        counts.disordered += usize::from(late);
    }
}

fn count_slack(world: &World, counts: &mut Counts) {
    world.slack.seen.see(|seen| {
        let posts: Vec<_> = seen.messages.iter().filter(|message| message.thread_ts.is_none()).collect();
        counts.seen += posts.len();
        for episode in world.episodes.iter() {
            let of: Vec<_> =
                posts.iter().filter(|post| post.said.iter().any(|text| text.contains(&episode.host))).collect();
            counts.first(episode, of.iter().map(|post| post.posted).min());
            counts.lost("Slack", episode, of.is_empty());
            // A post whose answer was lost cannot be edited; whoever reads the channel sees the end in the marked repeat.
            let ended = of.iter().any(|post| !post.text().contains("[FIRING"));
            counts.orphaned("Slack", episode, !of.is_empty() && !ended);
            let unmarked = of.iter().filter(|post| !post.said[0].contains(REPEAT)).count();
            counts.doubled(unmarked.saturating_sub(1), || of.iter().map(|post| post.said.join(" -> ")).collect());
            let late = of.iter().any(|post| {
                post.said.iter().skip_while(|text| text.contains("[FIRING")).any(|text| text.contains("[FIRING"))
            });
            counts.disordered += usize::from(late);
        }
    });
}

fn count_pagerduty(world: &World, counts: &mut Counts) {
    world.pagerduty.seen.see(|seen| {
        counts.seen += seen.incidents.values().map(|incident| incident.opened).sum::<usize>();
        for episode in world.episodes.iter() {
            let keys: std::collections::BTreeSet<_> = seen
                .events
                .iter()
                .filter(|event| event["event_action"] == "trigger" && event.to_string().contains(&episode.host))
                .map(|event| {
                    let text = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
                    (text("routing_key"), text("dedup_key"))
                })
                .collect();
            let of: Vec<_> = keys.iter().filter_map(|key| seen.incidents.get(key)).collect();
            counts.first(episode, of.iter().filter_map(|incident| incident.first).min());
            counts.lost("PagerDuty", episode, of.is_empty());
            counts.orphaned("PagerDuty", episode, of.iter().any(|incident| incident.open));
            let opened = of.iter().map(|incident| incident.opened).sum::<usize>();
            counts.doubled(opened.saturating_sub(1), || of.iter().map(|incident| format!("{incident:?}")).collect());
        }
    });
}

impl Counts {
    /// Takes in what another world came to.
    pub(crate) fn add(&mut self, other: Counts) {
        let Counts { lost, orphaned, doubled, disordered, seen, first_ms, notes } = other;
        self.lost += lost;
        self.orphaned += orphaned;
        self.doubled += doubled;
        self.disordered += disordered;
        self.seen += seen;
        self.first_ms = self.first_ms.into_iter().chain(first_ms).min();
        self.notes.extend(notes);
    }

    fn lost(&mut self, receiver: &str, episode: &Episode, untold: bool) {
        if untold != episode.suppressed {
            self.lost += 1;
            let what = if untold { "was never told of" } else { "was told of the suppressed" };
            self.notes.push(format!("{receiver} {what} {}", episode.host));
        }
    }

    fn orphaned(&mut self, receiver: &str, episode: &Episode, open: bool) {
        if open && episode.over {
            self.orphaned += 1;
            self.notes.push(format!("{receiver} never heard the end of {}", episode.host));
        }
    }

    fn doubled(&mut self, times: usize, what: impl Fn() -> Vec<String>) {
        self.doubled += times;
        if times > 0 {
            self.notes.extend(what());
        }
    }

    fn first(&mut self, episode: &Episode, told: Option<Instant>) {
        let Some(told) = told else { return };
        let ms = u32::try_from(told.saturating_duration_since(episode.began).as_millis()).unwrap_or(u32::MAX);
        self.first_ms = Some(self.first_ms.map_or(ms, |first| first.min(ms)));
    }
}
