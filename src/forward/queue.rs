//! What waits to be sent to one Alertmanager: the newest word of each alert, in the order in which alerts had something to say.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use model::Labels;
use tokio::sync::Notify;

use super::due::Alert;

/// Alerts that wait (Prometheus' `--alertmanager.notification-queue-capacity`); beyond it the one that waits longest goes.
pub(super) const ALERTS_MAX: usize = 10_000;

#[derive(Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    /// There is something to send.
    more: Notify,
}

#[derive(Default)]
struct Waiting {
    order: VecDeque<Labels>,
    newest: HashMap<Labels, Arc<Alert>>,
}

impl Queue {
    /// How many alerts made way for these.
    pub(super) fn push(&self, alerts: &[Arc<Alert>]) -> u64 {
        let mut waiting = self.lock();
        let mut dropped = 0;
        for alert in alerts {
            if waiting.newest.insert(alert.labels.clone(), alert.clone()).is_none() {
                waiting.order.push_back(alert.labels.clone());
            }
            if waiting.order.len() > ALERTS_MAX {
                waiting.take_first();
                dropped += 1;
            }
        }
        self.more.notify_one();
        dropped
    }

    /// The alerts that wait longest, at most `max`.
    pub(super) fn take(&self, max: usize) -> Vec<Arc<Alert>> {
        let mut waiting = self.lock();
        std::iter::from_fn(|| waiting.take_first()).take(max).collect()
    }

    /// Puts alerts back at the front, but for those of which there is newer word.
    pub(super) fn put_back(&self, alerts: Vec<Arc<Alert>>) {
        let mut waiting = self.lock();
        for alert in alerts.into_iter().rev() {
            if !waiting.newest.contains_key(&alert.labels) {
                waiting.order.push_front(alert.labels.clone());
                waiting.newest.insert(alert.labels.clone(), alert);
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.lock().order.len()
    }

    /// Returns when something was pushed since the last time.
    pub(super) async fn more(&self) {
        self.more.notified().await;
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn take_first(&mut self) -> Option<Arc<Alert>> {
        let labels = self.order.pop_front()?;
        self.newest.remove(&labels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alert(host: &str, ends_ms: i64) -> Arc<Alert> {
        let labels = Labels::from_pairs([("host", host)]);
        Arc::new(Alert { labels, annotations: Vec::new(), starts_ms: 0, ends_ms, generator_url: String::new() })
    }

    fn shown(alerts: &[Arc<Alert>]) -> Vec<String> {
        alerts.iter().map(|alert| format!("{}@{}", alert.labels.value("host"), alert.ends_ms)).collect()
    }

    #[test]
    fn newer_word_takes_the_place_of_older() {
        let queue = Queue::default();
        queue.push(&[alert("a", 1), alert("b", 1), alert("a", 2), alert("c", 1)]);
        let batch = queue.take(2);
        assert_eq!(shown(&batch), ["a@2", "b@1"]);
        // While the request was under way.
        queue.push(&[alert("b", 2)]);
        queue.put_back(batch);
        assert_eq!((queue.len(), shown(&queue.take(9))), (3, vec!["a@2".into(), "c@1".into(), "b@2".into()]));
    }

    #[test]
    fn what_waits_longest_makes_way() {
        let queue = Queue::default();
        let many: Vec<_> = (0..ALERTS_MAX + 2).map(|n| alert(&n.to_string(), 1)).collect();
        assert_eq!((queue.push(&many), queue.len()), (2, ALERTS_MAX));
        assert_eq!(shown(&queue.take(1)), ["2@1"]);
    }
}
