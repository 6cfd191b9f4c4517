//! A range vector as the answer itself: the samples of one window.

use model::Labels;
use store::Samples;

use super::ast::{Edges, Kind, Node};
use super::engine::{Engine, wrong};
use super::functions::edges;
use super::looks::Looks;
use super::meter::SAMPLE_BYTES;
use super::select::Reads;
use super::value::Grid;
use super::worker::{Found, Worker, seen};
use crate::QueryError;

impl Engine<'_> {
    /// Each series with whether its name falls away, and its samples.
    ///
    /// # Errors
    /// Those of reading; and a range that knows its ends has none of histograms.
    pub(crate) fn matrix(&mut self, node: &Node, grid: Grid) -> Result<Vec<(Labels, bool, Samples)>, QueryError> {
        let ends = match &node.bare().kind {
            Kind::Range { edges, .. } => *edges,
            _ => Edges::Plain,
        };
        let mut rows = Vec::new();
        // Nothing looks at its values, so it is only the samples inside that count.
        let is_subquery = matches!(node.bare().kind, Kind::Subquery(_));
        let make = |worker: &mut Worker<'_, '_>, looks: &Looks, found: Found<'_>| {
            let mut row = Samples::default();
            let mut has_histograms = false;
            let (meter, tally) = (worker.meter, &mut worker.tally);
            looks.each(meter, &found.samples, |step, window| {
                if !is_subquery {
                    tally.add(step, seen(looks, step, window));
                }
                if ends == Edges::Plain {
                    row.at_ms.extend_from_slice(window.at_ms);
                    row.values.extend_from_slice(window.values);
                    row.histograms.extend_from_slice(window.histograms);
                } else {
                    has_histograms |= !window.histograms.is_empty();
                    (row.at_ms, row.values) = edges::samples(window, ends == Edges::Smoothed);
                }
            })?;
            if has_histograms {
                return Err(wrong(format!("{} modifier is not supported with histograms", ends.text())));
            }
            let is_empty = row.values.is_empty() && row.histograms.is_empty();
            Ok((!is_empty).then(|| (found.labels.clone(), found.drop_name, row)))
        };
        let mut kept = 0;
        self.ranges(node, grid, Reads::SAMPLES, make, |meter, row| {
            // Nothing shrinks the answer here, so what is kept counts.
            kept += (row.2.values.len() + row.2.histograms.len()) as u64 * SAMPLE_BYTES;
            rows.push(row);
            meter.room_for(kept)
        })?;
        Ok(rows)
    }
}
