//! Attempts: begun when they are due and everything allows them, taken in when they end.

use std::hash::{BuildHasher, Hasher};

use model::alert::Outcome;
use store::StoreError;
use tokio::task::Id;

use crate::config::{ChannelKind, SlackDoor};
use crate::delivery::{Report, Verdict, deliver, prepare};
use crate::figures;
use crate::limits::Places;
use crate::outbox::{is_quiet, is_untried_test, mark, visible};
use crate::words::rendered;

use super::{Engine, STORE_RETRY_MS, blocking};

impl Engine {
    pub(super) async fn begin_due(&mut self, now_ms: i64) -> Result<(), StoreError> {
        let config = self.config.clone();
        for channel in config.channels() {
            let plain = Places::of(channel, false, &self.timing);
            for key in self.outbox.due(&channel.name, now_ms) {
                let Some(intent) = self.outbox.get(&key) else { continue };
                let mut places = Places::of(channel, intent.accepted.is_some(), &self.timing);
                if is_untried_test(intent) {
                    places = places.probing();
                } else {
                    if self.health.get(&channel.name).is_some_and(|health| health.opens_at_ms() > now_ms) {
                        break;
                    }
                    if self.limits.opens_at_ms(&plain, now_ms) > now_ms {
                        break;
                    }
                }
                // Edits have a bound of their own; others may pass.
                if self.limits.opens_at_ms(&places, now_ms) > now_ms {
                    continue;
                }
                if let Some(present) = &self.present {
                    let now = present.of(&intent.instances);
                    self.outbox.bring_up_to_date(&key, &now);
                }
                let Some(intent) = self.outbox.get(&key) else { continue };
                let said = visible(intent);
                // What may have been said, but where is not known, cannot be put right by a person's eye: only by its key.
                let keyed = matches!(channel.kind, ChannelKind::PagerDuty(_) | ChannelKind::Webhook(_));
                let known = intent.accepted.is_some() || keyed;
                if is_quiet(&said) && !(can_be_quiet(&channel.kind) && known) {
                    self.unwritten_held.extend(self.outbox.settle(&key, now_ms));
                    continue;
                }
                let mut prepared = prepare(channel, intent, &self.speaker);
                if intent.accepted.is_none() {
                    prepared.push((mark::BEFORE.into(), self.before(&said.instances).await));
                }
                prepared.push((mark::BEHIND.into(), self.behind(&said.instances)));
                // Another notifier may have been quicker.
                if !self.limits.begin(&places, now_ms) {
                    break;
                }
                let begun = self.outbox.begin(&key, &prepared, now_ms);
                let Some((sent, intent)) = begun.and_then(|sent| Some((sent, self.outbox.get(&key).cloned()?))) else {
                    self.limits.end(&places, None, now_ms, &self.timing);
                    continue;
                };
                let alerts = self.alerts.clone();
                if let Err(error) = blocking(move || alerts.put_intent(&intent, None)).await {
                    self.limits.end(&places, None, now_ms, &self.timing);
                    self.outbox.unbegin(&sent, &error.to_string(), now_ms + STORE_RETRY_MS);
                    return Err(error);
                }
                self.outbox.written_one(&key);
                let (channel, problems) = rendered(channel, &sent.intent, &config, &self.speaker.external_url, now_ms);
                if let Some(problem) = problems.first() {
                    tracing::warn!(problem, "a template failed; the message goes out in our own words");
                    self.template_problems.insert(channel.name.clone(), problem.clone());
                } else {
                    self.template_problems.remove(&channel.name);
                }
                let (sending, speaker) = (sent.intent.clone(), self.speaker.clone());
                let (clients, timing) = (self.clients.clone(), self.timing.clone());
                let context = self.context(&sending);
                let task = match &self.script {
                    Some(script) => {
                        let url = &speaker.external_url;
                        let report = script.take(&channel, &context.receiver, &sending, url, now_ms);
                        self.sends.spawn(std::future::ready(report))
                    }
                    None => self
                        .sends
                        .spawn(async move { deliver(&channel, &sending, &speaker, &context, &clients, &timing).await }),
                };
                self.sending.insert(task.id(), (sent, places));
            }
        }
        Ok(())
    }

    /// Waits for an attempt to end and takes in what came of it; the next turn writes it, before anything new is sent. Never
    /// returns while none is under way. Dropping the future loses nothing.
    pub(crate) async fn finish_one(&mut self, now_ms: fn() -> i64) {
        let (id, report) = match self.sends.join_next_with_id().await {
            None => return std::future::pending().await,
            Some(Ok((id, report))) => (id, report),
            Some(Err(error)) => {
                let words = format!("the attempt broke off: {error}");
                let verdict = Verdict::Transient { unsure: true };
                (error.id(), Report { verdict, status: 0, words, handle: Vec::new(), began: false })
            }
        };
        self.finish(id, &report, now_ms());
    }

    /// Takes in all attempts under way as ended at that time; whether there were any.
    pub(crate) async fn finish_begun(&mut self, now_ms: i64) -> bool {
        let mut any = false;
        while let Some(ended) = self.sends.join_next_with_id().await {
            if let Ok((id, report)) = ended {
                self.finish(id, &report, now_ms);
            }
            any = true;
        }
        any
    }

    fn finish(&mut self, id: Id, report: &Report, now_ms: i64) {
        let Some((sent, places)) = self.sending.remove(&id) else { return };
        self.limits.end(&places, Some(report), now_ms, &self.timing);
        let health = self.health.entry(sent.intent.receiver.clone()).or_default();
        let attempt = self.outbox.finish(&sent, report, health, now_ms, chance(), &self.timing);
        let kind = self.config.channel(&attempt.receiver).map_or("removed", |(_, channel)| channel.kind.as_str());
        figures::count_attempt(kind, attempt.outcome);
        if report.leaves_out() {
            tracing::warn!(
                receiver = attempt.receiver,
                subject = attempt.subject,
                "not told to everybody: {}",
                attempt.words
            );
        }
        if attempt.outcome == Outcome::Accepted {
            self.charts.follow(&self.config, &self.clients, &sent.intent, report, now_ms);
            tracing::info!(
                receiver = attempt.receiver,
                subject = attempt.subject,
                want = attempt.want.as_str(),
                "told"
            );
        } else {
            tracing::warn!(
                receiver = attempt.receiver,
                subject = attempt.subject,
                outcome = attempt.outcome.as_str(),
                status = attempt.status,
                number = attempt.number,
                "not told: {}",
                attempt.words
            );
        }
        self.unwritten.push_back(attempt);
    }

    pub(crate) async fn finish_all(&mut self, now_ms: fn() -> i64) {
        while !self.sends.is_empty() {
            self.finish_one(now_ms).await;
        }
        if let Err(error) = self.write().await {
            tracing::error!(tenant = self.speaker.tenant, %error, "the last results are not stored; their attempts will count as ambiguous");
        }
        figures::forget_tenant(&self.speaker.tenant);
    }
}

/// Whether a channel can put right what it said without a new message.
fn can_be_quiet(kind: &ChannelKind) -> bool {
    match kind {
        // A webhook is read by a program.
        ChannelKind::PagerDuty(_) | ChannelKind::Webhook(_) => true,
        ChannelKind::Slack(slack) => matches!(slack.door, SlackDoor::Bot { .. }),
        ChannelKind::Email(_) | ChannelKind::Unsent(_) => false,
    }
}

/// A random number in [0, 1), for jitter: the standard library seeds its hashers from the system.
fn chance() -> f64 {
    let bits = std::hash::RandomState::new().build_hasher().finish() >> 11;
    bits as f64 / (1u64 << 53) as f64
}
