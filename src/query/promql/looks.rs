//! Where the steps of a grid look in the samples of a series.

use model::MsRange;
use store::Samples;

use super::functions::window::Window;
use super::meter::Meter;
use super::report::Seen;
use super::value::{Grid, Reserved, TIME_MS_MAX};
use crate::QueryError;

/// Samples walked between two looks at the clock: about a millisecond.
const WALK_SAMPLES: usize = 1 << 20;
/// A histogram takes about as long as this many floats.
const HISTOGRAM_WALK: usize = 64;

/// Where the steps of a grid look: each at `reference - offset`, and back from there.
#[derive(Clone, Copy)]
pub(crate) struct Looks {
    pub(crate) grid: Grid,
    pub(crate) pinned_ms: Option<i64>,
    pub(crate) offset_ms: i64,
    pub(crate) back_ms: i64,
    /// How far samples are taken from before the start and after the end, for ranges that know their ends.
    pub(crate) before_ms: i64,
    pub(crate) after_ms: i64,
}

impl Looks {
    pub(crate) fn end_ms(&self, step: usize) -> i64 {
        let reference = self.pinned_ms.unwrap_or_else(|| self.grid.at(step));
        reference.clamp(-TIME_MS_MAX, TIME_MS_MAX) - self.offset_ms
    }

    /// The left end is outside.
    pub(crate) fn start_ms(&self, step: usize) -> i64 {
        self.end_ms(step) - self.back_ms
    }

    pub(crate) fn span(&self) -> MsRange {
        MsRange {
            start_ms: self.start_ms(0) - self.before_ms + 1,
            end_ms: self.end_ms(self.grid.count - 1) + self.after_ms,
        }
    }

    /// What lies up to here was in the window of the step before, if it is in that of this one.
    pub(crate) fn seen_until_ms(&self, step: usize) -> i64 {
        if step == 0 { i64::MIN } else { self.end_ms(step - 1) + self.after_ms }
    }

    /// How many of the samples in a step's window were not in that of the step before.
    pub(crate) fn count_new(&self, step: usize, at_ms: &[i64]) -> usize {
        let until_ms = self.seen_until_ms(step);
        at_ms.iter().rev().take_while(|at_ms| **at_ms > until_ms).count()
    }

    /// Whether every window begins and ends where steps of a rollup do, so that it is made of whole ones.
    pub(crate) fn are_whole_steps(&self) -> bool {
        let is_whole = |ms: i64| ms.rem_euclid(store::ROLLUP_STEP_MS) == 0;
        let moves = self.pinned_ms.is_none() && self.grid.count > 1;
        is_whole(self.end_ms(0))
            && is_whole(self.back_ms)
            && (!moves || is_whole(self.grid.step_ms))
            && (self.before_ms, self.after_ms) == (0, 0)
    }

    /// The samples of every step's window, found by moving two pointers. Asks the clock now and then: a function walks
    /// each window from end to end, and a long one at many steps takes long.
    pub(crate) fn each<'s>(
        &self,
        meter: &Meter<'_>,
        samples: &'s Samples,
        mut visit: impl FnMut(usize, &Window<'s>),
    ) -> Result<(), QueryError> {
        let Samples { at_ms, values, histograms } = samples;
        let (mut from, mut to, mut walked) = (0, 0, 0);
        let (mut first, mut last) = (0, 0);
        for step in 0..self.grid.count {
            let (start_ms, end_ms) = (self.start_ms(step), self.end_ms(step));
            while to < at_ms.len() && at_ms[to] <= end_ms + self.after_ms {
                to += 1;
            }
            while from < to && at_ms[from] <= start_ms - self.before_ms {
                from += 1;
            }
            while last < histograms.len() && histograms[last].0 <= end_ms + self.after_ms {
                last += 1;
            }
            while first < last && histograms[first].0 <= start_ms - self.before_ms {
                first += 1;
            }
            walked += to - from + HISTOGRAM_WALK * (last - first);
            if walked > WALK_SAMPLES {
                meter.check()?;
                walked = 0;
            }
            let window = Window {
                at_ms: &at_ms[from..to],
                values: &values[from..to],
                histograms: &histograms[first..last],
                start_ms,
                end_ms,
                eval_ms: self.grid.at(step),
            };
            visit(step, &window);
        }
        Ok(())
    }
}

/// The samples of one step's window: those from `from` on and before `to`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) from: u32,
    pub(crate) to: u32,
}

impl Span {
    pub(crate) fn len(self) -> usize {
        (self.to - self.from) as usize
    }

    pub(crate) fn range(self) -> std::ops::Range<usize> {
        self.from as usize..self.to as usize
    }
}

/// How far a window's change is stretched towards its ends; see `window::extrapolation`. Only of windows with two samples.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Stretch {
    /// Seconds between the first and the last sample.
    pub(crate) sampled_s: f64,
    /// Seconds to add before the first sample and after the last.
    pub(crate) to_start_s: f64,
    pub(crate) to_end_s: f64,
    /// The factor where no zero is near.
    pub(crate) factor: f64,
    /// The same of a change per second of the window.
    pub(crate) factor_per_s: f64,
}

/// The windows of all steps over one column of times. It is kept from one series to the next: series of one sender share
/// their times, and then only values are left to look at.
#[derive(Default)]
pub(crate) struct Plan {
    at_ms: Vec<i64>,
    spans: Vec<Span>,
    stretches: Vec<Stretch>,
    /// Samples of all windows together.
    looked: Seen,
    known: bool,
    /// Memory of a long one.
    reserved: Option<Reserved>,
}

/// Steps from which on a plan's memory is counted: shorter ones are small beside the samples that they are of.
const COUNTED_STEPS: usize = 1 << 16;

impl Plan {
    /// For `looks`, which must be the same every time.
    ///
    /// # Errors
    /// `TooMuch` when there is no memory for so many steps.
    pub(crate) fn fit(&mut self, looks: &Looks, at_ms: &[i64], meter: &Meter<'_>) -> Result<(), QueryError> {
        if self.known && self.at_ms == at_ms {
            return Ok(());
        }
        let count = looks.grid.count;
        if self.reserved.is_none() && count >= COUNTED_STEPS {
            let bytes = size_of::<Span>() + size_of::<Stretch>();
            self.reserved = Some(meter.reserve((count as u64).saturating_mul(bytes as u64))?);
            self.spans.reserve_exact(count);
        }
        self.known = true;
        self.at_ms.clear();
        self.at_ms.extend_from_slice(at_ms);
        self.spans.clear();
        self.stretches.clear();
        self.looked = Seen::default();
        let (mut from, mut to) = (0, 0);
        for step in 0..looks.grid.count {
            let (start_ms, end_ms) = (looks.start_ms(step) - looks.before_ms, looks.end_ms(step) + looks.after_ms);
            let before = to;
            while to < at_ms.len() && at_ms[to] <= end_ms {
                to += 1;
            }
            while from < to && at_ms[from] <= start_ms {
                from += 1;
            }
            self.looked += Seen { all: (to - from) as u64, new: (to - before.max(from)) as u64 };
            self.spans.push(Span { from: from as u32, to: to as u32 });
        }
        Ok(())
    }

    pub(crate) fn spans(&self) -> &[Span] {
        &self.spans
    }

    pub(crate) fn looked(&self) -> Seen {
        self.looked
    }

    /// One for each span.
    pub(crate) fn stretches(&mut self, looks: &Looks) -> (&[Span], &[Stretch]) {
        if self.stretches.is_empty() {
            let at_ms = &self.at_ms;
            let stretches = self.spans.iter().enumerate().map(|(step, span)| {
                let [first_ms, .., last_ms] = at_ms[span.range()] else { return Stretch::default() };
                stretch(looks.start_ms(step), looks.end_ms(step), first_ms, last_ms, span.len())
            });
            self.stretches = stretches.collect();
        }
        (&self.spans, &self.stretches)
    }
}

/// To the window's ends where samples reach near enough to them, else by half the distance between samples (Prometheus'
/// `extrapolatedRate`). `count` is at least 2.
pub(crate) fn stretch(start_ms: i64, end_ms: i64, first_ms: i64, last_ms: i64, count: usize) -> Stretch {
    let mut to_start_s = (first_ms - start_ms) as f64 / 1e3;
    let mut to_end_s = (end_ms - last_ms) as f64 / 1e3;
    let sampled_s = (last_ms - first_ms) as f64 / 1e3;
    let average_s = sampled_s / (count - 1) as f64;
    let threshold_s = average_s * 1.1;
    if to_start_s >= threshold_s {
        to_start_s = average_s / 2.0;
    }
    if to_end_s >= threshold_s {
        to_end_s = average_s / 2.0;
    }
    let factor = (sampled_s + to_start_s + to_end_s) / sampled_s;
    let window_s = (end_ms - start_ms) as f64 / 1e3;
    Stretch { sampled_s, to_start_s, to_end_s, factor, factor_per_s: factor / window_s }
}
