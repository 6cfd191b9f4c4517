//! Where a query's time went and what it read, as Prometheus' `stats` parameter shows it (util/stats).

use std::time::{Duration, Instant};

use query::promql::{Answer, Seen, Stats};
use std::fmt::Write as _;

use super::envelope::push_array;
use crate::number::{push_finite, push_seconds};

pub(super) struct Timings {
    queued: Duration,
    begun: Instant,
    prepared: Duration,
    evaluated: Duration,
}

impl Timings {
    /// Of a query that begins now, after it waited for its slot.
    pub(super) fn queued(queued: Duration) -> Timings {
        Timings { queued, begun: Instant::now(), prepared: Duration::ZERO, evaluated: Duration::ZERO }
    }

    /// It is parsed and has its snapshot.
    pub(super) fn prepared(&mut self) {
        self.prepared = self.begun.elapsed();
    }

    pub(super) fn evaluated(&mut self) {
        self.evaluated = self.begun.elapsed();
    }

    /// Times in seconds. Rows come sorted out of the evaluation, so sorting takes no time of its own.
    pub(super) fn json(&self, answer: &Answer) -> String {
        let inner = self.evaluated - self.prepared;
        let mut out = String::from("{\"timings\":{");
        for (index, (name, time)) in [
            ("evalTotalTime", self.evaluated),
            ("resultSortTime", Duration::ZERO),
            ("queryPreparationTime", self.prepared),
            ("innerEvalTime", inner),
            ("execQueueTime", self.queued),
            ("execTotalTime", self.queued + self.evaluated),
        ]
        .into_iter()
        .enumerate()
        {
            out.push_str(if index == 0 { "\"" } else { ",\"" });
            out.push_str(name);
            out.push_str("\":");
            push_finite(time.as_secs_f64(), &mut out);
        }
        let Stats { samples_queryable, samples_new, samples_peak, per_step, .. } = &answer.stats;
        write!(
            out,
            "}},\"samples\":{{\"totalQueryableSamples\":{samples_queryable},\"samplesRead\":{samples_new},\"peakSamples\":{samples_peak}"
        )
        .expect("a String takes everything");
        push_per_step("totalQueryableSamplesPerStep", per_step, |seen| seen.all, &mut out);
        push_per_step("samplesReadPerStep", per_step, |seen| seen.new, &mut out);
        out.push_str("}}");
        out
    }
}

/// Nothing where nothing was counted by step.
fn push_per_step(name: &str, per_step: &[(i64, Seen)], of: fn(&Seen) -> u64, out: &mut String) {
    if per_step.is_empty() {
        return;
    }
    write!(out, ",\"{name}\":").expect("a String takes everything");
    push_array(per_step, out, |(at_ms, seen), out| {
        out.push('[');
        push_seconds(*at_ms, out);
        write!(out, ",{}]", of(seen)).expect("a String takes everything");
    });
}
