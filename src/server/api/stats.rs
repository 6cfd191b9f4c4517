//! Where a query's time went and what it read, as Prometheus' `stats` parameter shows it (util/stats).

use std::time::{Duration, Instant};

use query::promql::{Answer, Stats};
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
        let Stats { samples_queryable, samples_peak, per_step, .. } = &answer.stats;
        let read = answer.samples_read;
        write!(out, "}},\"samples\":{{\"totalQueryableSamples\":{samples_queryable},\"peakSamples\":{samples_peak}")
            .expect("a String takes everything");
        if !per_step.is_empty() {
            out.push_str(",\"totalQueryableSamplesPerStep\":");
            push_array(per_step, &mut out, |(at_ms, samples), out| {
                out.push('[');
                push_seconds(*at_ms, out);
                write!(out, ",{samples}]").expect("a String takes everything");
            });
        }
        write!(out, ",\"samplesRead\":{read}}}}}").expect("a String takes everything");
        out
    }
}
