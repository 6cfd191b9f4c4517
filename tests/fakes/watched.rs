//! State that tests wait on: an event with a deadline, never a sleep.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

/// Long enough for a slow machine; a test that waits so long has failed.
const DEADLINE: Duration = Duration::from_secs(30);

pub(crate) struct Watched<T> {
    value: Arc<Mutex<T>>,
    changes: watch::Sender<u64>,
}

impl<T> Clone for Watched<T> {
    fn clone(&self) -> Self {
        Watched { value: self.value.clone(), changes: self.changes.clone() }
    }
}

impl<T: std::fmt::Debug> Watched<T> {
    pub(crate) fn new(value: T) -> Watched<T> {
        Watched { value: Arc::new(Mutex::new(value)), changes: watch::Sender::new(0) }
    }

    pub(crate) fn change<R>(&self, change: impl FnOnce(&mut T) -> R) -> R {
        let result = change(&mut self.lock());
        self.changes.send_modify(|count| *count += 1);
        result
    }

    pub(crate) fn see<R>(&self, look: impl FnOnce(&T) -> R) -> R {
        look(&self.lock())
    }

    /// Waits until something is seen; panics at the deadline with all there is.
    pub(crate) async fn until<R>(&self, what: &str, look: impl Fn(&T) -> Option<R>) -> R {
        let mut changes = self.changes.subscribe();
        let waited = tokio::time::timeout(DEADLINE, async {
            loop {
                changes.borrow_and_update();
                if let Some(seen) = self.see(&look) {
                    return seen;
                }
                changes.changed().await.expect("the sender lives in self");
            }
        });
        match waited.await {
            Ok(seen) => seen,
            Err(_) => panic!("waited in vain for: {what}\n{:#?}", self.lock()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, T> {
        self.value.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
