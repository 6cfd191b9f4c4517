//! Charts in Slack: drawn and uploaded beside the queue, once a message's text is accepted.
//!
//! Best effort on purpose: nothing about a chart is stored, retried or counted against its channel, so that it cannot delay or
//! repeat what matters.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use model::alert::{Intent, IntentState};
use tokio::task::{Id, JoinSet};

use crate::Config;
use crate::config::{ChannelKind, SlackDoor};
use crate::delivery::{Clients, NoPicture, Report, Thread, slack_place};
use crate::picture::Pictures;

/// Charts under way and waiting; beyond them messages go without. They are drawn one at a time.
const WAITING_MAX: usize = 16;
/// From the accepted text to the picture under it: whoever reads the message has it open by then, or never needs it.
const WAIT_MAX: Duration = Duration::from_secs(30);

#[derive(Default)]
pub(super) struct Charts {
    pictures: Pictures,
    under_way: JoinSet<Result<(), NoPicture>>,
    /// By task: the channel.
    channels: HashMap<Id, String>,
    /// Channels whose app may not upload; until the configuration is read again.
    barred: BTreeSet<String>,
}

impl Charts {
    pub(super) fn new(pictures: Pictures) -> Charts {
        Charts { pictures, ..Charts::default() }
    }

    pub(super) fn pictures(&self) -> Pictures {
        self.pictures.clone()
    }

    pub(super) fn reconsider(&mut self) {
        self.barred.clear();
    }

    /// Begins to put the chart into the thread of a message that was just posted. An edit needs none: the first one stands there.
    pub(super) fn follow(&mut self, config: &Config, clients: &Clients, sent: &Intent, report: &Report, now_ms: i64) {
        self.note_ended();
        if sent.want != IntentState::Firing || self.under_way.len() >= WAITING_MAX {
            return;
        }
        let (Some((channel, ts)), None) = (slack_place(&report.handle), slack_place(&sent.handle)) else { return };
        let Some((_, settings)) = config.channel(&sent.receiver) else { return };
        let ChannelKind::Slack(slack) = &settings.kind else { return };
        let SlackDoor::Bot { base, token } = &slack.door else { return };
        if self.barred.contains(&sent.receiver) {
            return;
        }
        let thread = Thread { base: base.clone(), token: token.reveal().into(), channel, ts, http: slack.http.clone() };
        let (pictures, clients, alerts) = (self.pictures.clone(), clients.clone(), sent.instances.clone());
        let task = self.under_way.spawn(async move {
            let shown = async {
                match pictures.of(&alerts, now_ms, WAIT_MAX).await {
                    Some(chart) => thread.show(&chart, &clients).await,
                    None => Ok(()),
                }
            };
            let late = NoPicture { words: format!("not done within {} s", WAIT_MAX.as_secs()), lasts: false };
            tokio::time::timeout(WAIT_MAX, shown).await.unwrap_or(Err(late))
        });
        self.channels.insert(task.id(), sent.receiver.clone());
    }

    /// Takes in what came of those that ended.
    fn note_ended(&mut self) {
        while let Some(ended) = self.under_way.try_join_next_with_id() {
            let (id, result) = match ended {
                Ok((id, result)) => (id, result),
                Err(error) => (error.id(), Err(NoPicture { words: error.to_string(), lasts: false })),
            };
            let channel = self.channels.remove(&id).unwrap_or_default();
            match result {
                Ok(()) => {}
                Err(NoPicture { words, lasts: true }) => {
                    tracing::warn!(channel, words, "messages go without charts until notify.yml is read again");
                    self.barred.insert(channel);
                }
                Err(NoPicture { words, lasts: false }) => {
                    tracing::info!(channel, words, "a message goes without its chart")
                }
            }
        }
    }
}
