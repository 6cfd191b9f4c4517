//! Batches of work on a few threads, their results in order.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use crate::QueryError;

/// Results that a helper may be ahead of the thread that takes them: taking may be the slower part, and what waits is held.
const AHEAD_MAX: usize = 4;

/// Does `work(worker, 0..count)` on up to `threads` threads, this one among them, and hands the results to `take` on this
/// thread, in order, so that what comes out does not depend on the number of threads. Each thread makes a worker of its own.
/// After an error nothing further begins.
pub(crate) fn in_order<W, T: Send>(
    threads: usize,
    count: usize,
    worker: impl Fn() -> W + Sync,
    work: impl Fn(&mut W, usize) -> Result<T, QueryError> + Sync,
    mut take: impl FnMut(T) -> Result<(), QueryError>,
) -> Result<(), QueryError> {
    let helpers = threads.min(count).saturating_sub(1);
    if helpers == 0 {
        let mut worker = worker();
        return (0..count).try_for_each(|index| take(work(&mut worker, index)?));
    }
    let next = AtomicUsize::new(0);
    let begin = || Some(next.fetch_add(1, Ordering::Relaxed)).filter(|index| *index < count);
    std::thread::scope(|scope| {
        let (give, given) = mpsc::sync_channel(AHEAD_MAX);
        for _ in 0..helpers {
            let give = give.clone();
            let (worker, work, begin) = (&worker, &work, &begin);
            scope.spawn(move || {
                let mut worker = worker();
                while let Some(index) = begin() {
                    if give.send((index, work(&mut worker, index))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(give);
        let mut line = Line { waiting: BTreeMap::new(), due: 0 };
        let mut all = || {
            let mut worker = worker();
            while let Some(index) = begin() {
                line.waiting.insert(index, work(&mut worker, index));
                line.waiting.extend(given.try_iter());
                line.pass(&mut take)?;
            }
            // Ends when the last helper has ended.
            for result in &given {
                line.waiting.extend([result]);
                line.pass(&mut take)?;
            }
            Ok(())
        };
        let done = all();
        if done.is_err() {
            next.store(count, Ordering::Relaxed);
        }
        done
    })
}

/// Results that came before their turn.
struct Line<T> {
    waiting: BTreeMap<usize, Result<T, QueryError>>,
    due: usize,
}

impl<T> Line<T> {
    fn pass(&mut self, take: &mut impl FnMut(T) -> Result<(), QueryError>) -> Result<(), QueryError> {
        while let Some(result) = self.waiting.remove(&self.due) {
            take(result?)?;
            self.due += 1;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_order_and_an_error_ends_the_work() {
        for (threads, count) in [(1, 5), (2, 1), (2, 100), (4, 3), (3, 0)] {
            let mut taken = Vec::new();
            let work = |worker: &mut usize, index| {
                *worker += 1;
                Ok(index * 10)
            };
            in_order(
                threads,
                count,
                || 0,
                work,
                |result| {
                    taken.push(result);
                    Ok(())
                },
            )
            .unwrap();
            assert_eq!(taken, (0..count).map(|index| index * 10).collect::<Vec<_>>(), "{threads} threads");
        }
        for threads in [1, 2, 3] {
            let mut taken = 0;
            let work = |(): &mut (), index| if index == 7 { Err(QueryError::Cancelled) } else { Ok(()) };
            let done = in_order(
                threads,
                1000,
                || (),
                work,
                |()| {
                    taken += 1;
                    Ok(())
                },
            );
            assert!(matches!(done, Err(QueryError::Cancelled)), "{threads} threads");
            assert_eq!(taken, 7, "{threads} threads");
        }
    }
}
