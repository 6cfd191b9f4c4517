//! What silences, inhibitions, time intervals and acknowledgements do to intents.
//!
//! An alert that is held back is in no intent of a receiver that was not told of it; when it is let go, it joins as if it had begun
//! then. Whoever was told keeps it among the intent's alerts, marked, and is told its end all the same.

use std::collections::{BTreeMap, HashSet};

use model::Ack;
use model::alert::{AlertState, Attempt, Instance, Intent, IntentState, Outcome, Progress};

use crate::config::Config;
use crate::message::name_of;
use crate::suppress::{Suppression, Suppressor};

use super::marks::{Marks, is_held, set_muted};
use super::outcome::attempt_of;
use super::{Key, Outbox, forget_news, is_test, mark, revise, set_handle, settings};

/// An alert that a channel is not told of, and why: for the history.
pub(crate) struct HeldBack {
    pub(crate) channel: String,
    pub(crate) instance: Instance,
    pub(crate) why: Suppressor,
}

impl HeldBack {
    /// A line of the history.
    pub(crate) fn attempt(&self, now_ms: i64) -> Attempt {
        let scope = self.instance.episode().unwrap_or_default();
        let instances = vec![self.instance.clone()];
        let intent = super::new_intent(&self.channel, scope, instances, now_ms, now_ms);
        attempt_of(&intent, 0, now_ms, now_ms, Outcome::Suppressed, 0, &self.why.words())
    }
}

impl Outbox {
    /// Holds back what is suppressed now and lets go what no longer is. Returns what was newly held back.
    pub(crate) fn suppress(&mut self, suppression: &Suppression, config: &Config, now_ms: i64) -> Vec<HeldBack> {
        let mut held = Vec::new();
        let keys: Vec<Key> = self.intents.keys().cloned().collect();
        for key in keys {
            let Some(intent) = self.intents.get(&key) else { continue };
            let Some((receiver, _)) = config.channel(&key.0) else { continue };
            if is_test(intent) {
                continue;
            }
            let (marks, is_held) = (Marks::of(intent), is_held(intent));
            let mut muted: Vec<(&Instance, bool)> = Vec::new();
            let mut untold: HashSet<Option<String>> = HashSet::new();
            let sending = matches!(intent.progress, Progress::Sending { .. });
            let mut next = intent.clone();
            // When to say so, and whether it is news.
            let mut let_go: Option<(i64, bool)> = None;
            for instance in &intent.instances {
                let why = suppression.why(config, &instance.labels, &receiver.name, now_ms);
                match (why, marks.is_told(instance), marks.is_muted(instance)) {
                    // What is on its way at this moment counts as told until its answer is there.
                    (Some(why), false, _) if !sending => {
                        untold.insert(instance.episode());
                        held.push(HeldBack { channel: key.0.clone(), instance: instance.clone(), why });
                    }
                    (Some(why), _, false) => {
                        muted.push((instance, true));
                        // Why it is held, for the moment it is let go.
                        set_handle(&mut next, mark::MUTED_BY, if why.is_inhibition() { "inhibition" } else { "" });
                        if instance.state == AlertState::Firing {
                            held.push(HeldBack { channel: key.0.clone(), instance: instance.clone(), why });
                        }
                    }
                    (None, _, true) => {
                        muted.push((instance, false));
                        if instance.state == AlertState::Firing {
                            // Its readers know that it fires, and nobody asked for quiet: to say it again at the end of an inhibition
                            // would double it. A message that went out without it meanwhile is put right.
                            let inhibited = super::handle(intent, mark::MUTED_BY) == "inhibition";
                            let (due_ms, loud) = match inhibited {
                                true if is_held => continue,
                                true => (now_ms + settings(config, intent).group_wait_ms, false),
                                false => (now_ms, true),
                            };
                            let (known_ms, known_loud) = let_go.unwrap_or((i64::MAX, false));
                            let_go = Some((known_ms.min(due_ms), known_loud || loud));
                        }
                    }
                    (Some(_), _, true) | (None, _, false) => {}
                }
            }
            if !muted.is_empty() {
                set_muted(&mut next, muted);
            }
            if !untold.is_empty() {
                next.instances.retain(|instance| !untold.contains(&instance.episode()));
            }
            if next.instances.is_empty() {
                // Nobody was told of anything here, else it were among the alerts.
                self.remove(&key);
                continue;
            }
            let fewer = next.instances.len() < intent.instances.len();
            if fewer && next.accepted.is_some() {
                let marks = Marks::of(&next);
                let told = |instance: &Instance| instance.state == AlertState::Firing && marks.is_told(instance);
                if next.instances.iter().all(told) {
                    // All that is left was told, so the news that waited is none.
                    forget_news(&mut next);
                    next.progress = Progress::Accepted { at_ms: now_ms };
                }
            }
            if let Some((due_ms, loud)) = let_go {
                revise(&mut next, IntentState::Firing, due_ms, loud);
            }
            if next != *intent {
                self.put(next);
            }
        }
        held
    }

    /// Puts what people have acknowledged into the intents: it is shown where a message can be edited, and stops repeats. `over`
    /// are episodes whose acknowledgement is over while they still fire: they are told again.
    pub(crate) fn acknowledge(&mut self, acks: &BTreeMap<String, Ack>, over: &[String], now_ms: i64) {
        let keys: Vec<Key> = self.intents.keys().cloned().collect();
        for key in keys {
            let Some(intent) = self.intents.get(&key) else { continue };
            let firing = || intent.instances.iter().filter(|instance| instance.state == AlertState::Firing);
            let mut taken: BTreeMap<String, Vec<&Instance>> = BTreeMap::new();
            let mut all = intent.want == IntentState::Firing;
            for instance in firing() {
                match instance.episode().and_then(|episode| acks.get(&episode)) {
                    Some(ack) => taken.entry(words_of(ack)).or_default().push(instance),
                    None => all = false,
                }
            }
            let words = who_has_what(&taken, all);
            let all = if all && !words.is_empty() { "1" } else { "" };
            let ended = firing().any(|instance| instance.episode().is_some_and(|episode| over.contains(&episode)));
            if super::handle(intent, mark::ACK) == words && super::handle(intent, mark::ACKED) == all && !ended {
                continue;
            }
            let mut next = intent.clone();
            set_handle(&mut next, mark::ACK, &words);
            set_handle(&mut next, mark::ACKED, all);
            if next.accepted.is_some() && next.want == IntentState::Firing {
                revise(&mut next, IntentState::Firing, now_ms, ended);
            }
            self.put(next);
        }
    }

    /// Takes a quiet message as said without saying it: the channel cannot put right what it said, only say more.
    /// Returns its line for the history.
    pub(crate) fn settle(&mut self, key: &Key, now_ms: i64) -> Option<Attempt> {
        let intent = self.intents.get(key)?;
        let sent = visible(intent);
        let mut next = intent.clone();
        super::outcome::take_in(&mut next, &sent, now_ms);
        self.put(next);
        let words = "nothing new while it is held back, and this channel cannot edit what it said";
        Some(attempt_of(&sent, 0, now_ms, now_ms, Outcome::Suppressed, 0, words))
    }
}

/// Alerts named of what one person has, when they have not all of it.
const TAKEN_NAMED_MAX: usize = 3;

/// `bert: on it`, and of which alerts that holds where it does not hold of all.
fn who_has_what(taken: &BTreeMap<String, Vec<&Instance>>, all: bool) -> String {
    let of = |(words, instances): (&String, &Vec<&Instance>)| {
        if all && taken.len() == 1 {
            return words.clone();
        }
        let named = instances.iter().take(TAKEN_NAMED_MAX).map(|instance| name_of(instance));
        let mut named = named.collect::<Vec<_>>().join(", ");
        if instances.len() > TAKEN_NAMED_MAX {
            named.push_str(&format!(" and {} more", instances.len() - TAKEN_NAMED_MAX));
        }
        format!("{words} ({named} only)")
    };
    taken.iter().map(of).collect::<Vec<_>>().join("; ")
}

fn words_of(ack: &Ack) -> String {
    let said = if ack.comment.is_empty() { String::new() } else { format!(": {}", ack.comment) };
    format!("{}{said}", ack.by)
}

/// An intent as a message shows it: without what is held back, and marked when it brings no news.
pub(crate) fn visible(intent: &Intent) -> Intent {
    let marks = Marks::of(intent);
    let mut sent = intent.clone();
    sent.instances.retain(|instance| match instance.state {
        AlertState::Firing => !marks.is_muted(instance),
        _ => marks.is_told(instance) || !marks.is_muted(instance),
    });
    let firing = sent.instances.iter().any(|instance| instance.state == AlertState::Firing);
    if !firing {
        sent.want = IntentState::Resolved;
    }
    let calm = super::number(intent, mark::STORM_OVER) > super::told_rev(intent);
    let news = firing && (super::is_news(intent) || calm)
        || sent.instances.iter().any(|instance| instance.state != AlertState::Firing && !marks.is_muted(instance));
    set_handle(&mut sent, mark::QUIET, if news { "" } else { "1" });
    sent
}
