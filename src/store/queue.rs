//! The intake queue of one tenant: bounded in requests and bytes, emptied by at most one writer thread, which lives only while
//! there is work.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use model::{Labels, MetricBatch, Rejected, SeriesEntry, Span};
use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;

use crate::limits::{COMMIT_BYTES_MAX, COMMIT_REQUESTS_MAX, WRITER_IDLE_MS};
use crate::logs::LogIntake;
use crate::{Options, StoreError};

/// One request on its way to the disk.
pub(crate) struct Job {
    pub(crate) work: Work,
    pub(crate) bytes: usize,
    /// Whoever waits may have gone; the write is done all the same.
    pub(crate) reply: oneshot::Sender<Result<Rejected, StoreError>>,
}

pub(crate) enum Work {
    Metrics(MetricBatch),
    Logs(LogIntake),
}

#[derive(Default)]
pub(crate) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    bytes: usize,
    /// A writer thread lives.
    running: bool,
    closed: bool,
    /// Jobs handed out for the last commit.
    taken: usize,
    /// Jobs that the writer waits for: fewer do not wake it.
    wanted: usize,
}

impl State {
    /// Whether what waits is as much as the writer wants or as a commit takes.
    fn is_enough(&self) -> bool {
        self.jobs.len() >= self.wanted || self.bytes >= COMMIT_BYTES_MAX
    }
}

impl Queue {
    /// Takes a job, or says why not. `Ok(true)` asks the caller to start a writer thread.
    pub(crate) fn push(&self, job: Job, options: &Options) -> Result<bool, StoreError> {
        let mut state = self.state.lock();
        if state.closed {
            return Err(closed());
        }
        if state.jobs.len() >= options.intake_queue_requests {
            return Err(StoreError::Busy {
                limit: options.intake_queue_requests,
                setting: "requests, limits.intake_queue_requests",
            });
        }
        // A request larger than the whole queue is let in alone.
        if !state.jobs.is_empty() && state.bytes + job.bytes > options.intake_queue_bytes {
            return Err(StoreError::Busy {
                limit: options.intake_queue_bytes,
                setting: "bytes, limits.intake_queue_bytes",
            });
        }
        state.bytes += job.bytes;
        state.jobs.push_back(job);
        if state.is_enough() {
            self.changed.notify_all();
        }
        Ok(!std::mem::replace(&mut state.running, true))
    }

    /// The next jobs for one commit; waits a while for the first, and up to `gather` for as many as senders seem to be at work: those
    /// whose jobs were in the last commit and those who came while it ran. Senders that wait for their answers before they send
    /// again would else take turns at commits of their own, each with its fsync. `None` ends the writer thread.
    pub(crate) fn next(&self, gather: Duration) -> Option<Vec<Job>> {
        let mut state = self.state.lock();
        let together = (state.taken + state.jobs.len()).min(COMMIT_REQUESTS_MAX);
        state.wanted = 1;
        while state.jobs.is_empty() {
            if state.closed
                || self.changed.wait_for(&mut state, Duration::from_millis(WRITER_IDLE_MS)).timed_out()
                    && state.jobs.is_empty()
            {
                (state.running, state.taken) = (false, 0);
                self.changed.notify_all();
                return None;
            }
        }
        state.wanted = together;
        if !state.is_enough() && !state.closed {
            let until = Instant::now() + gather;
            let is_short = |state: &mut State| !state.is_enough() && !state.closed;
            self.changed.wait_while_until(&mut state, is_short, until);
        }
        let mut jobs = Vec::new();
        let mut bytes = 0;
        while jobs.len() < COMMIT_REQUESTS_MAX {
            let Some(job) = state.jobs.pop_front_if(|job| bytes == 0 || bytes + job.bytes <= COMMIT_BYTES_MAX) else {
                break;
            };
            bytes += job.bytes;
            jobs.push(job);
        }
        state.bytes -= bytes;
        state.taken = jobs.len();
        Some(jobs)
    }

    /// Gives back everything when no writer thread could be started.
    pub(crate) fn abandon(&self) -> Vec<Job> {
        let mut state = self.state.lock();
        state.running = false;
        state.bytes = 0;
        state.jobs.drain(..).collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.state.lock().jobs.len()
    }

    /// Refuses further jobs; returns when the accepted ones are answered and the writer thread has ended.
    pub(crate) fn close(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        self.changed.notify_all();
        while state.running {
            self.changed.wait(&mut state);
        }
    }

    /// Refuses further jobs without waiting.
    pub(crate) fn stop(&self) {
        self.state.lock().closed = true;
        self.changed.notify_all();
    }
}

pub(crate) fn closed() -> StoreError {
    StoreError::Unavailable { reason: "the store is closing".into() }
}

/// Memory a batch takes while it waits, roughly.
pub(crate) fn metric_bytes(batch: &MetricBatch) -> usize {
    let labels = |entry: &SeriesEntry| match entry {
        SeriesEntry::Known(_) => 32,
        SeriesEntry::New { labels, .. } => 64 + labels_bytes(labels),
    };
    let buckets = |(_, _, histogram): &(u32, i64, model::Histogram)| {
        128 + (histogram.positive.len() + histogram.negative.len()) * size_of::<(i32, f64)>()
    };
    batch.samples.len() * 24
        + batch.histograms.iter().map(buckets).sum::<usize>()
        + batch.points.len() * 4
        + batch.spans.len() * size_of::<Span>()
        + batch.exemplars.iter().map(|(_, row)| 64 + labels_bytes(&row.labels)).sum::<usize>()
        + batch.ended.iter().map(|ended| 64 + labels_bytes(&ended.labels)).sum::<usize>()
        + batch.series.iter().map(labels).sum::<usize>()
}

fn labels_bytes(labels: &Labels) -> usize {
    labels.iter().map(|(name, value)| 64 + name.len() + value.len()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_queue_refuses_and_a_large_request_passes_alone() {
        let options = Options { intake_queue_requests: 2, intake_queue_bytes: 100, ..Options::new("unused") };
        let queue = Queue::default();
        let push = |bytes| {
            let (reply, _) = oneshot::channel();
            queue.push(Job { work: Work::Metrics(MetricBatch::default()), bytes, reply }, &options)
        };
        assert!(push(1_000).unwrap(), "the first one starts the writer");
        let full = push(1).unwrap_err();
        assert_eq!(full.kind(), model::Kind::Busy);
        assert!(full.to_string().contains("limits.intake_queue_bytes"), "{full}");
        assert_eq!(queue.next(Duration::ZERO).unwrap().len(), 1);
        assert!(!push(40).unwrap() && !push(40).unwrap());
        let full = push(1).unwrap_err();
        assert!(full.to_string().contains("limits.intake_queue_requests"), "{full}");
        queue.stop();
        assert_eq!(push(1).unwrap_err().kind(), model::Kind::Unavailable);
        assert_eq!(
            queue.next(Duration::ZERO).unwrap().len(),
            2,
            "what was taken is written even when the queue closes"
        );
        assert!(queue.next(Duration::ZERO).is_none());
    }

    #[test]
    fn a_commit_waits_for_the_senders_of_the_last_one_and_of_its_time() {
        /// Longer than any test may take, so that only what comes ends the wait.
        const LONG: Duration = Duration::from_secs(600);
        let options = Options::new("unused");
        let queue = Queue::default();
        let push = || {
            let (reply, _) = oneshot::channel();
            queue.push(Job { work: Work::Metrics(MetricBatch::default()), bytes: 1, reply }, &options).unwrap()
        };
        let next = |gather| queue.next(gather).map_or(0, |jobs| jobs.len());
        push();
        assert_eq!(next(LONG), 1, "a first request waits for nobody");
        push();
        // One was in the last commit, one came while it ran.
        let taken = std::thread::scope(|scope| {
            let writer = scope.spawn(|| next(LONG));
            while queue.state.lock().wanted != 2 && !writer.is_finished() {
                std::thread::yield_now();
            }
            push();
            writer.join().unwrap()
        });
        assert_eq!(taken, 2);
        push();
        assert_eq!(next(Duration::ZERO), 1, "who does not come is not waited for longer");
        push();
        queue.stop();
        assert_eq!(next(LONG), 1, "nobody comes any more");
    }
}
