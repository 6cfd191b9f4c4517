//! What receivers would be told, with nobody told: the engine over a store of its own, every attempt taken as accepted, its clock in
//! the caller's hands.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use store::{Alerts, Evaluation, StoreError};

use crate::config::Channel;
use crate::delivery::Report;
use crate::engine::{Engine, Orders};
use crate::message::compose;
use crate::notifier::NotifierOptions;
use crate::{Config, delivery};

/// Turns of the engine in one rehearsal; more are a wait of nothing by mistake.
const TURNS_MAX: usize = 100_000;

/// One message that would be sent, in our own words: a channel's own templates are not among them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    pub at_ms: i64,
    pub receiver: String,
    /// `slack`, `pagerduty`, `email`, `webhook`.
    pub channel: &'static str,
    /// `[FIRING critical] HostDown aurora`.
    pub title: String,
    /// The title, and all that is said of the alerts.
    pub text: String,
}

/// Takes the place of the network.
#[derive(Clone, Default)]
pub(crate) struct Script(Arc<Mutex<Vec<Told>>>);

impl Script {
    /// Notes the message of an attempt, and accepts it.
    pub(crate) fn take(
        &self,
        channel: &Channel,
        receiver: &str,
        intent: &model::alert::Intent,
        external_url: &str,
        now_ms: i64,
    ) -> Report {
        let message = compose(intent, external_url);
        let told = Told {
            at_ms: now_ms,
            receiver: receiver.to_owned(),
            channel: channel.kind.as_str(),
            title: message.headline(),
            text: delivery::plain_text(&message),
        };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(told);
        Report::rehearsed()
    }

    /// What it noted since it was asked last.
    pub(crate) fn taken(&self) -> Vec<Told> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What evaluations in the order of their times lead to up to `until_ms`, in the order of the messages. `dir` is an empty folder for
/// the state, the caller's to remove.
///
/// # Errors
/// What the store says of its file.
pub async fn rehearse(
    dir: &Path,
    config: Config,
    external_url: &str,
    evaluations: &[Evaluation],
    until_ms: i64,
) -> Result<Vec<Told>, StoreError> {
    let Some(first) = evaluations.first() else { return Ok(Vec::new()) };
    let alerts = Alerts::open(&dir.join("alerts.redb"))?;
    let mut now_ms = first.at_ms;
    let options = NotifierOptions::new(external_url);
    let mut engine = Engine::open(alerts.clone(), "rehearsal", config, options, now_ms)?;
    let script = engine.rehearse();
    let mut coming = evaluations.iter().peekable();
    for _ in 0..TURNS_MAX {
        while let Some(evaluation) = coming.next_if(|evaluation| evaluation.at_ms <= now_ms) {
            alerts.commit_evaluation(evaluation)?;
        }
        let mut next_ms = engine.turn(Orders::default(), now_ms).await;
        // An attempt that ended may let others begin.
        while engine.finish_begun(now_ms).await {
            next_ms = engine.turn(Orders::default(), now_ms).await;
        }
        let next_evaluation_ms = coming.peek().map_or(i64::MAX, |evaluation| evaluation.at_ms);
        now_ms = next_ms.min(next_evaluation_ms).max(now_ms + 1);
        if now_ms > until_ms {
            break;
        }
    }
    Ok(script.taken())
}
