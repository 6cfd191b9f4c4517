//! Warns of what is worked out from days whose samples are gone, where that takes more than their rollups have.

use model::MsRange;
use model::time::Day;
use store::{ROLLUP_STEP_MS, Rollup, Samples};

use super::ast::Node;
use super::notes::Notes;
use super::select::Reads;
use crate::QueryError;

/// The days of one selector without samples, and what there is to say if anything of them is seen.
pub(super) struct Gone<'n> {
    node: &'n Node,
    days: MsRange,
    text: String,
    /// Of floats a rollup has figures, of histograms it has none.
    of_floats: bool,
}

impl<'n> Gone<'n> {
    /// `None` where a rollup has what is read: the ends of its steps, or figures that count for histograms nothing. `days` tells which ones
    /// are gone, and is asked only where that matters.
    pub(super) fn of(
        node: &'n Node,
        reads: Reads,
        days: impl FnOnce() -> Result<Option<MsRange>, QueryError>,
    ) -> Result<Option<Gone<'n>>, QueryError> {
        let of_floats = match reads.column {
            Rollup::Samples if !reads.will_do => true,
            Rollup::Sum | Rollup::Count => false,
            Rollup::Samples | Rollup::Marks | Rollup::Min | Rollup::Max => return Ok(None),
        };
        let Some(days) = days()? else { return Ok(None) };
        let (first, last) = (Day::of_ms(days.start_ms), Day::of_ms(days.end_ms));
        let (what, kept) = if of_floats { ("samples", "") } else { ("native histograms", ", and those around resets") };
        let minutes = ROLLUP_STEP_MS / 60_000;
        let text = format!(
            "{what} from {first} to {last} are gone (retention.metrics_raw): of each {minutes} minutes the first and last are \
             seen{kept}"
        );
        Ok(Some(Gone { node, days, text, of_floats }))
    }

    pub(super) fn note(&self, notes: &mut Notes<'_>, samples: &Samples) {
        let is_in = |at_ms: &i64| (self.days.start_ms..=self.days.end_ms).contains(at_ms);
        let floats = self.of_floats && samples.at_ms.iter().any(is_in);
        if floats || samples.histograms.iter().any(|(at_ms, _)| is_in(at_ms)) {
            notes.warn(self.node, &self.text);
        }
    }
}
