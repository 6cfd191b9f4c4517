//! Functions over windows of days that are rolled up: each reads the column that answers it.
//!
//! Where windows are made of whole steps the answer is that of the samples, sums but for the order of addition; else a step counts
//! where its last sample lies. Of native histograms only those that the rollup kept count.

use model::Labels;
use store::Rollup;

use super::window::Window;
use super::{Call, columnar, find, mixed, window};
use crate::QueryError;
use crate::promql::ast::Node;
use crate::promql::engine::Engine;
use crate::promql::notes::Notes;
use crate::promql::select::{Reads, Take};
use crate::promql::value::{Column, Grid, Point, is_absent};

/// What a function is computed from.
#[derive(Clone, Copy)]
pub(crate) enum Columns {
    Min,
    Max,
    Sum,
    Count,
    /// The sum by the count.
    Avg,
}

/// The columns of a function; `None` for one that looks at samples.
pub(crate) fn column(name: &str) -> Option<Columns> {
    Some(match name {
        "min_over_time" => Columns::Min,
        "max_over_time" => Columns::Max,
        "sum_over_time" => Columns::Sum,
        "count_over_time" => Columns::Count,
        "avg_over_time" => Columns::Avg,
        _ => return None,
    })
}

/// What any other function reads: those for which the ends of each step will do, and those that look at every sample.
pub(crate) fn reads(name: &str) -> Reads {
    match name {
        "rate" | "increase" | "delta" | "first_over_time" | "last_over_time" | "present_over_time" => Reads::ENDS,
        _ => Reads::SAMPLES,
    }
}

pub(crate) fn eval(
    engine: &mut Engine<'_>,
    columns: Columns,
    arg: &Node,
    grid: Grid,
    take: &mut Take<'_>,
) -> Result<(), QueryError> {
    let of = |column| Reads { column, will_do: true };
    let floats = |compute: fn(&Window<'_>) -> Option<f64>| {
        move |notes: &mut Notes<'_>, labels: &Labels, _: usize, window: &Window<'_>| {
            mixed::note_ignored(notes, arg, labels, window);
            if window.values.is_empty() { None } else { compute(window).map(Point::Float) }
        }
    };
    match columns {
        Columns::Min => {
            let columnar = columnar::find("min_over_time");
            engine.each_point((arg, of(Rollup::Min)), grid, false, (columnar, &floats(window::min)), take)
        }
        Columns::Max => {
            let columnar = columnar::find("max_over_time");
            engine.each_point((arg, of(Rollup::Max)), grid, false, (columnar, &floats(window::max)), take)
        }
        Columns::Count => {
            let count = |_: &mut Notes<'_>, _: &Labels, _: usize, window: &Window<'_>| {
                let floats: f64 = window.values.iter().sum();
                Some(Point::Float(floats + window.histograms.len() as f64))
            };
            engine.each_point((arg, of(Rollup::Count)), grid, false, (None, &count), take)
        }
        Columns::Sum => each(engine, "sum_over_time", arg, grid, take),
        Columns::Avg => {
            let mut sums: Vec<Column> = Vec::new();
            each(engine, "avg_over_time", arg, grid, &mut |_, column| {
                sums.push(column);
                Ok(())
            })?;
            let mut counts: Vec<Column> = Vec::new();
            let count = |_: &mut Notes<'_>, _: &Labels, _: usize, window: &Window<'_>| {
                let counted = !window.values.is_empty() && window.histograms.is_empty();
                counted.then(|| Point::Float(window.values.iter().sum()))
            };
            engine.each_point((arg, of(Rollup::Count)), grid, false, (None, &count), &mut |_, column| {
                counts.push(column);
                Ok(())
            })?;
            // Both are in the order of their series; one of histograms alone has no counts.
            let mut counts = counts.into_iter().peekable();
            for mut column in sums {
                if let Some(counts) = counts.next_if(|counts| counts.labels == column.labels) {
                    for (sum, count) in column.steps.iter_mut().zip(counts.steps.iter()) {
                        if !is_absent(*sum) && !is_absent(*count) {
                            *sum /= *count;
                        }
                    }
                }
                take(&engine.meter, column)?;
            }
            Ok(())
        }
    }
}

/// The sums of floats; where there are histograms, what the function says of those and them.
fn each(
    engine: &mut Engine<'_>,
    name: &'static str,
    arg: &Node,
    grid: Grid,
    take: &mut Take<'_>,
) -> Result<(), QueryError> {
    let compute = |notes: &mut Notes<'_>, labels: &Labels, _: usize, window: &Window<'_>| {
        if window.histograms.is_empty() {
            return window::sum(window).map(Point::Float);
        }
        match find(name).map(|function| function.call) {
            Some(Call::Either(either)) => mixed::either(either, notes, arg, labels, window),
            _ => None,
        }
    };
    let reads = Reads { column: Rollup::Sum, will_do: true };
    engine.each_point((arg, reads), grid, false, (None, &compute), take)
}
