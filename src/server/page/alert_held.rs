//! What holds messages about alerts back, and who looks after them, in words that need no looking up.

use std::collections::HashMap;

use model::Silence;
use notify::{AlertGroup, AlertStatus};

use super::alert_view::WORDS_MAX;
use super::asked::Asked;
use super::failure::Failure;
use super::text::{Stamp, one_line};

/// A reason, and where there is more about it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Note {
    pub(crate) text: String,
    /// Empty where there is nothing.
    pub(crate) href: String,
}

/// What fires, of rules and of other programs, and what holds it back.
#[derive(Default)]
pub(crate) struct Held {
    pub(crate) statuses: Vec<AlertStatus>,
    silences: Vec<Silence>,
    /// Those whose way to their receiver a time interval closes now.
    closed: Vec<AlertGroup>,
}

impl Held {
    pub(crate) fn read(asked: &Asked) -> Result<Held, Failure> {
        let Some(alerting) = asked.alerting() else { return Ok(Held::default()) };
        let board = alerting.notifier.board(asked.now_ms)?;
        let statuses = board.statuses();
        let mut closed = board.groups(&statuses);
        closed.retain(|group| !group.muted_by.is_empty());
        Ok(Held { statuses, silences: board.silences().to_vec(), closed })
    }

    /// By the instance's fingerprint.
    pub(super) fn notes(&self, now_ms: i64) -> HashMap<String, Vec<Note>> {
        // What inhibits is known by a fingerprint, which says nothing to people.
        let names: HashMap<&str, &str> = self
            .statuses
            .iter()
            .map(|status| (&*status.fingerprint, status.instance.labels.value("alertname")))
            .collect();
        let silences: HashMap<&str, &Silence> =
            self.silences.iter().map(|silence| (silence.id.as_str(), silence)).collect();
        let mut all: Vec<Vec<Note>> = self
            .statuses
            .iter()
            .map(|status| {
                let silenced =
                    status.silenced_by.iter().map(|id| silenced(id, silences.get(id.as_str()).copied(), now_ms));
                let inhibited = status.inhibited_by.iter().map(|source| {
                    let name = names.get(source.as_str()).copied().unwrap_or(source);
                    note(&format!("not told, since {name} fires for the same"), format!("/alerts/why/{source}"))
                });
                let acked = status
                    .ack
                    .iter()
                    .map(|ack| note(&format!("{} looks after it: {}", ack.by, ack.comment), String::new()));
                silenced.chain(inhibited).chain(acked).collect()
            })
            .collect();
        for group in &self.closed {
            let words =
                format!("{} is not told now, by the time interval {}", group.receiver, group.muted_by.join(", "));
            for place in &group.alerts {
                let note = note(&words, String::new());
                if !all[*place].contains(&note) {
                    all[*place].push(note);
                }
            }
        }
        let notes = self.statuses.iter().zip(all).filter(|(_, notes)| !notes.is_empty());
        notes.map(|(status, notes)| (status.instance.fingerprint(), notes)).collect()
    }
}

fn note(words: &str, href: String) -> Note {
    Note { text: one_line(words, WORDS_MAX), href }
}

fn silenced(id: &str, silence: Option<&Silence>, now_ms: i64) -> Note {
    let words = match silence {
        Some(silence) => {
            let until = Stamp::of_ms(silence.ends_ms, now_ms).text;
            format!("silenced by {} until {until}: {}", silence.created_by, silence.comment)
        }
        None => format!("silenced by {id}"),
    };
    note(&words, format!("/silences#{id}"))
}
