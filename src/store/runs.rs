//! Cumulative streams: since when each counts, so that a reset shows that does not lower the value.
//!
//! A counter that begins anew at a time after its last sample may pass its old value before it is seen again; then nothing in its
//! values tells of the reset. Its start time does: a sample of zero is stored there (Prometheus, "created timestamp zero ingestion";
//! OpenTelemetry, metrics data model, "Resets and gaps"). What is remembered here can always be found again in the store.

use std::collections::HashMap;

use model::MsRange;
use model::meter::Counter;

use crate::StoreError;
use crate::history::{History, Last, Stored};
use crate::limits::{RUNS_REMEMBERED, STREAM_LOOKUPS_MAX};

static RESETS: Counter = Counter::new(
    "binnacle_store_hidden_resets_total",
    "Cumulative points whose start time told of a reset that their value did not show.",
    &[],
);
static OVERLAPS: Counter = Counter::new(
    "binnacle_store_overlapping_writers_total",
    "Cumulative points that count since another time than the points around them: two writers of one series.",
    &[],
);

/// How far back the sample before a late point's start is sought, in ms.
const BEFORE_START_MS: i64 = 2 * 24 * 3_600_000;

/// One stream, by the first series of its points.
#[derive(Debug, Clone, Copy)]
struct Run {
    /// Since when the newest points count; `None` before the first that says so.
    start_ms: Option<i64>,
    /// The run before, or one that late points belong to.
    other_ms: Option<i64>,
    /// The newest sample.
    last_ms: i64,
    /// What lies before the run's start is known: nothing is to be done when late points of an earlier run come.
    opened: bool,
}

/// Bounded by forgetting: those not seen for a whole generation go first, and are looked up in the store when they come again.
#[derive(Default)]
pub(crate) struct Runs {
    young: HashMap<u32, Run, foldhash::fast::RandomState>,
    old: HashMap<u32, Run, foldhash::fast::RandomState>,
    lookups: usize,
    overlaps: u64,
}

/// The values of one point's counting series, in one order.
pub(crate) struct Point<'p> {
    pub(crate) numbers: &'p [u32],
    pub(crate) values: &'p [Stored],
    pub(crate) at_ms: i64,
    pub(crate) start_ms: i64,
}

impl Runs {
    /// A commit begins.
    pub(crate) fn begin(&mut self) {
        self.lookups = 0;
    }

    /// Forgets everything: what reached the disk is not known.
    pub(crate) fn clear(&mut self) {
        *self = Runs::default();
    }

    /// Points of overlapping writers since the last call.
    pub(crate) fn take_overlaps(&mut self) -> u64 {
        std::mem::take(&mut self.overlaps)
    }

    #[inline]
    fn run(&mut self, number: u32) -> Option<&mut Run> {
        if !self.young.contains_key(&number) {
            let run = self.old.remove(&number)?;
            self.insert(number, run);
        }
        self.young.get_mut(&number)
    }

    fn insert(&mut self, number: u32, run: Run) {
        if self.young.len() >= RUNS_REMEMBERED {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(number, run);
    }

    /// Whether the point goes on as the one before it did; then there is nothing to do.
    #[inline]
    pub(crate) fn goes_on(&mut self, number: u32, at_ms: i64, start_ms: i64) -> bool {
        match self.young.get_mut(&number) {
            Some(run) if run.start_ms == Some(start_ms) => {
                run.last_ms = run.last_ms.max(at_ms);
                true
            }
            _ => false,
        }
    }

    pub(crate) fn knows(&self, number: u32) -> bool {
        self.young.contains_key(&number) || self.old.contains_key(&number)
    }

    /// What the store says of a stream that is not known.
    pub(crate) fn load(&mut self, number: u32, last: &Last) {
        self.insert(number, Run { start_ms: None, other_ms: None, last_ms: last.at_ms, opened: true });
    }

    /// Takes a point and tells when its series need a sample of zero before it.
    pub(crate) fn take(&mut self, point: &Point<'_>, history: &dyn History) -> Result<Option<i64>, StoreError> {
        let Point { numbers, at_ms, start_ms, .. } = *point;
        let Some(number) = numbers.first().copied() else { return Ok(None) };
        let Some(run) = self.run(number) else {
            self.insert(number, Run { start_ms: Some(start_ms), other_ms: None, last_ms: at_ms, opened: false });
            return Ok(None);
        };
        let before = *run;
        if at_ms > before.last_ms {
            run.last_ms = at_ms;
            if before.start_ms == Some(start_ms) {
                return Ok(None);
            }
            if before.other_ms == Some(start_ms) {
                self.overlap();
                return Ok(None);
            }
            run.other_ms = before.start_ms;
            run.start_ms = Some(start_ms);
            run.opened = true;
            if start_ms > before.last_ms {
                return self.zero_at(point, before.last_ms, history);
            }
            // The first point after the server's own start says nothing: its run was not known.
            if before.start_ms.is_some() {
                self.overlap();
            }
            return Ok(None);
        }
        if before.start_ms == Some(start_ms) || before.other_ms == Some(start_ms) {
            return Ok(None);
        }
        run.other_ms = Some(start_ms);
        let Some(newer_ms) = before.start_ms else { return Ok(None) };
        if !before.opened && newer_ms > at_ms {
            // The newer run came first, when nothing was known before it: its own beginning is told now.
            run.opened = true;
            RESETS.add(&[], 1);
            return Ok(Some(newer_ms));
        }
        self.late(point, history)
    }

    fn overlap(&mut self) {
        self.overlaps += 1;
        OVERLAPS.add(&[], 1);
    }

    /// A late point of a run not seen before: the sample before it decides.
    fn late(&mut self, point: &Point<'_>, history: &dyn History) -> Result<Option<i64>, StoreError> {
        if self.lookups >= STREAM_LOOKUPS_MAX {
            return Ok(None);
        }
        self.lookups += 1;
        let range = MsRange { start_ms: point.start_ms.saturating_sub(BEFORE_START_MS), end_ms: point.at_ms - 1 };
        match history.last_in(&point.numbers[..1], range)?.pop().flatten() {
            Some(last) if last.at_ms < point.start_ms => self.zero_at(point, last.at_ms, history),
            _ => Ok(None),
        }
    }

    /// When the zero goes between the sample before and the point; `None` when the values show the reset by themselves, or when there
    /// is no millisecond left.
    fn zero_at(&mut self, point: &Point<'_>, before_ms: i64, history: &dyn History) -> Result<Option<i64>, StoreError> {
        let zero_ms = point.start_ms.min(point.at_ms - 1);
        if zero_ms <= before_ms {
            return Ok(None);
        }
        if self.lookups < STREAM_LOOKUPS_MAX {
            self.lookups += 1;
            let range = MsRange { start_ms: before_ms, end_ms: before_ms };
            let before = history.last_in(point.numbers, range)?;
            if before.iter().zip(point.values).all(|(before, value)| shows_reset(before.as_ref(), value)) {
                return Ok(None);
            }
        }
        RESETS.add(&[], 1);
        Ok(Some(zero_ms))
    }
}

/// Whether a counter's reset is plain from the value before: it fell, or there was nothing to lose.
pub(crate) fn shows_reset(before: Option<&Last>, value: &Stored) -> bool {
    match (before.map(|last| &last.value), value) {
        (Some(Stored::Float(before)), Stored::Float(value)) => value < before || *before == 0.0,
        (Some(Stored::Histogram(before)), Stored::Histogram(value)) => {
            value.count < before.count || before.count == 0.0
        }
        _ => false,
    }
}
