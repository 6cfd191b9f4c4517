//! Slots for queries: how many run together, how long one may wait, and how it ends when nobody waits for it any more.
//!
//! A query holds its slot until its thread has really stopped, so cancelled queries cannot pile up behind new ones.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use model::Kind;
use query::memory::{Pool, Share};
use query::{Budget, Limits, Progress};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::Fault;

pub(crate) struct Queries {
    slots: Arc<Semaphore>,
    /// For big answers while they are read, as many again: a slow reader keeps nobody from asking.
    answers: Arc<Semaphore>,
    concurrency: usize,
    limits: Limits,
    memory: Arc<Pool>,
}

/// Kept until a big answer was read: what its query held is held until then.
pub(crate) struct AnswerSlot {
    pub(crate) _permit: OwnedSemaphorePermit,
    pub(crate) _memory: Arc<Share>,
}

/// Tells the query's thread to stop when the request's future is dropped.
struct CancelOnDrop(Arc<AtomicBool>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Queries {
    pub(crate) fn new(concurrency: usize, limits: Limits, memory: Arc<Pool>) -> Queries {
        let concurrency = concurrency.max(1);
        let slots = || Arc::new(Semaphore::new(concurrency));
        Queries { slots: slots(), answers: slots(), concurrency, limits, memory }
    }

    /// Runs `work` on a blocking thread. `wanted` may shorten the timeout, never lengthen it; waiting for a slot counts.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        wanted: Option<Duration>,
        work: impl FnOnce(&Budget) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        self.run_watched(wanted, Arc::default(), work).await
    }

    /// As [`Queries::run`], telling `progress` how far it is.
    pub(crate) async fn run_watched<T: Send + 'static>(
        &self,
        wanted: Option<Duration>,
        progress: Arc<Progress>,
        work: impl FnOnce(&Budget) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        let timeout = wanted.map_or(self.limits.timeout, |wanted| wanted.min(self.limits.timeout));
        let budget = Budget { progress, memory: Share::of(&self.memory), ..Limits { timeout, ..self.limits }.start() };
        let slot = tokio::time::timeout_at(budget.deadline.into(), self.slots.clone().acquire_owned())
            .await
            .map_err(|_| {
                Fault::new(
                    Kind::Timeout,
                    format!(
                        "no query slot became free within {} s ({} run together, query.concurrency); try again later",
                        budget.timeout.as_secs_f64(),
                        self.concurrency
                    ),
                )
            })?
            .expect("the semaphore is never closed");
        let _cancel = CancelOnDrop(budget.cancelled.clone());
        let done = tokio::task::spawn_blocking(move || {
            let _slot = slot;
            work(&budget)
        });
        done.await.unwrap_or_else(|_| Err(Fault::panicked("answering a query")))
    }

    /// For an answer that will be held while it is read. Called where blocking is allowed, by work that [`Queries::run`] runs.
    ///
    /// # Errors
    /// `Timeout` when all stay taken until the query's deadline.
    pub(crate) fn slot_for_a_big_answer(&self, budget: &Budget) -> Result<AnswerSlot, Fault> {
        let free = tokio::time::timeout_at(budget.deadline.into(), self.answers.clone().acquire_owned());
        let free = Handle::current().block_on(free).map_err(|_| {
            Fault::new(
                Kind::Timeout,
                format!(
                    "{} big answers are still being read by their clients (query.concurrency); try again later",
                    self.concurrency
                ),
            )
        })?;
        let permit = free.expect("the semaphore is never closed");
        Ok(AnswerSlot { _permit: permit, _memory: budget.memory.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[tokio::test]
    async fn a_dropped_request_cancels_its_query_and_frees_the_slot_when_it_ends() {
        let queries = Arc::new(Queries::new(1, Limits::default(), Pool::endless()));
        let (started, has_started) = tokio::sync::oneshot::channel();
        let (tell, told) = mpsc::channel();
        let first = tokio::spawn({
            let queries = queries.clone();
            async move {
                queries
                    .run(None, move |budget| {
                        started.send(()).expect("the test waits");
                        while !budget.cancelled.load(Ordering::Relaxed) {
                            std::thread::yield_now();
                        }
                        tell.send("stopped").expect("the test waits");
                        Ok(())
                    })
                    .await
            }
        });
        has_started.await.unwrap();
        let busy = queries.run(Some(Duration::from_millis(5)), |_| Ok(())).await.unwrap_err();
        assert!(busy.message.contains("query.concurrency"), "{}", busy.message);
        first.abort();
        assert_eq!(queries.run(None, |_| Ok(7)).await, Ok(7));
        assert_eq!(told.recv(), Ok("stopped"));
    }

    #[tokio::test]
    async fn a_panic_is_answered() {
        let queries = Queries::new(1, Limits::default(), Pool::endless());
        let fault = queries.run(None, |_| -> Result<(), Fault> { panic!("on purpose") }).await.unwrap_err();
        assert_eq!(fault.kind, Kind::Internal);
        assert_eq!(queries.run(None, |_| Ok(1)).await, Ok(1));
    }
}
