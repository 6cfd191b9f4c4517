//! One task for each target: started, given new orders, and sent away as the plan changes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use server::targets::TargetKey;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};

use super::jobs::{Order, Plan};
use super::round::Round;
use super::{Shared, timing};
use crate::clock;

pub(super) struct Fleet {
    shared: Arc<Shared>,
    stop: watch::Receiver<bool>,
    tasks: JoinSet<()>,
    /// What each task is told: `None` sends it away.
    orders: BTreeMap<TargetKey, watch::Sender<Option<Order>>>,
}

impl Fleet {
    pub(super) fn new(shared: Arc<Shared>, stop: watch::Receiver<bool>) -> Fleet {
        Fleet { shared, stop, tasks: JoinSet::new(), orders: BTreeMap::new() }
    }

    /// Makes it so: targets that are not in the plan end, those that are new begin, the others go on with what they know.
    pub(super) fn follow(&mut self, plan: Plan) {
        for (key, order) in &self.orders {
            if !plan.orders.contains_key(key) {
                order.send_replace(None);
            }
        }
        self.shared.targets.set_dropped(plan.dropped);
        for (key, order) in plan.orders {
            match self.orders.get(&key) {
                Some(running) if !running.is_closed() => {
                    running.send_replace(Some(order));
                }
                _ => self.begin(key, order),
            }
        }
    }

    fn begin(&mut self, key: TargetKey, order: Order) {
        self.shared.targets.put(order.target.shown());
        let (tell, orders) = watch::channel(Some(order.clone()));
        self.orders.insert(key, tell);
        self.tasks.spawn(run_target(self.shared.clone(), order, orders, self.stop.clone()));
    }

    /// Waits until a task has ended; for ever when there is none.
    pub(super) async fn ended(&mut self) {
        match self.tasks.join_next().await {
            Some(ended) => {
                warn_of(ended);
                self.tidy();
            }
            None => std::future::pending().await,
        }
    }

    /// Forgets who was sent away. One that was called back in its last moment, or panicked, begins again.
    fn tidy(&mut self) {
        let closed: Vec<TargetKey> =
            self.orders.iter().filter(|(_, order)| order.is_closed()).map(|(key, _)| key.clone()).collect();
        for key in closed {
            if let Some(order) = self.orders.remove(&key).and_then(|order| order.borrow().clone()) {
                self.begin(key, order);
            }
        }
    }

    /// After the stop was told: until the last task has ended.
    pub(super) async fn all_ended(mut self) {
        while let Some(ended) = self.tasks.join_next().await {
            warn_of(ended);
        }
    }
}

fn warn_of(ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "a scrape loop panicked");
    }
}

/// Scrapes one target slot by slot. When it is sent away its series end at its next slot; until then it can be called back.
async fn run_target(
    shared: Arc<Shared>,
    first: Order,
    mut orders: watch::Receiver<Option<Order>>,
    mut stop: watch::Receiver<bool>,
) {
    let mut round = Round::new(shared, first);
    loop {
        let slot_ms = timing::next_slot_ms(clock::now_ms(), round.interval_ms(), round.hash());
        let wait = Duration::from_millis(slot_ms.saturating_sub(clock::now_ms()).unsigned_abs());
        tokio::select! {
            // A slot that is there comes before orders, so that orders cost no slot.
            biased;
            _ = stop.wait_for(|stop| *stop) => return,
            () = tokio::time::sleep(wait) => {}
            changed = orders.changed() => {
                if changed.is_err() {
                    return;
                }
                round.follow(orders.borrow_and_update().clone());
                continue;
            }
        }
        let at_ms = timing::aligned_ms(slot_ms, clock::now_ms(), round.interval_ms());
        let begun = Instant::now();
        let is_leaving = round.is_leaving();
        let work = async { if is_leaving { round.end(at_ms).await } else { round.scrape(at_ms, begun).await } };
        tokio::select! {
            () = work => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
        if is_leaving && !orders.has_changed().unwrap_or(false) {
            return;
        }
    }
}
