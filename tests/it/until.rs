//! Waiting for an event with a deadline.

use std::future::Future;
use std::time::{Duration, Instant};

/// Between two looks: short against anything waited for here, long against the cost of a look.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Looks until there is something, and returns it; panics with `what` when the time is up.
pub(crate) async fn until<T, F: Future<Output = Option<T>>>(
    what: &str,
    within: Duration,
    mut look: impl FnMut() -> F,
) -> T {
    let deadline = Instant::now() + within;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < deadline, "waited {within:?} in vain for {what}");
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
