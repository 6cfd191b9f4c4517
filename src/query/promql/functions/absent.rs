//! `absent()` and `absent_over_time()`: one where nothing is, with what labels the selector tells for certain.

use std::collections::BTreeSet;

use model::labels::METRIC_NAME;
use model::{Labels, LabelsBuilder, MatchOp, Matcher};

use super::window::Window;
use crate::QueryError;
use crate::promql::ast::{Kind, Node};
use crate::promql::engine::Engine;
use crate::promql::notes::Notes;
use crate::promql::select::Reads;
use crate::promql::value::{Column, Grid, Point, is_absent};

pub(crate) fn of_vector(engine: &mut Engine<'_>, arg: &Node, grid: Grid) -> Result<Vec<Column>, QueryError> {
    let columns = engine.vector(arg, grid)?;
    let mut present = vec![false; grid.count];
    for column in &columns {
        for (step, present) in present.iter_mut().enumerate() {
            *present |= column.steps.has(step);
        }
    }
    drop(columns);
    ones(engine, arg, &present)
}

pub(crate) fn over_time(engine: &mut Engine<'_>, arg: &Node, grid: Grid) -> Result<Vec<Column>, QueryError> {
    let mut present = vec![false; grid.count];
    let one = |_: &mut Notes<'_>, _: &Labels, _: usize, _: &Window<'_>| Some(Point::Float(1.0));
    engine.each_point((arg, Reads::ENDS), grid, false, (None, &one), &mut |_, column| {
        for (present, value) in present.iter_mut().zip(column.steps.iter()) {
            *present |= !is_absent(*value);
        }
        Ok(())
    })?;
    ones(engine, arg, &present)
}

fn ones(engine: &mut Engine<'_>, arg: &Node, present: &[bool]) -> Result<Vec<Column>, QueryError> {
    if present.iter().all(|present| *present) {
        return Ok(Vec::new());
    }
    let labels = match &arg.bare().kind {
        Kind::Select(selector) | Kind::Range { selector, .. } => known(&selector.matchers),
        _ => Labels::default(),
    };
    let mut column = engine.column(labels, false, present.len())?;
    for (value, present) in column.steps.iter_mut().zip(present) {
        if !present {
            *value = 1.0;
        }
    }
    Ok(vec![column])
}

/// Labels that the first equality tells and no later matcher speaks of, as Prometheus has it: later in the order in which its index
/// reads them, where those that only take series away come last (tsdb.PostingsForMatchers sorts them in place).
fn known(matchers: &[Matcher]) -> Labels {
    let (mut told, mut builder) = (BTreeSet::new(), LabelsBuilder::default());
    let demanded: BTreeSet<&str> =
        matchers.iter().filter(|matcher| !matcher.matches_empty()).map(|matcher| matcher.name.as_str()).collect();
    let takes_away = |matcher: &&Matcher| {
        let is_negative = matches!(matcher.op, MatchOp::NotEqual | MatchOp::NotRegex);
        !demanded.contains(matcher.name.as_str()) || is_negative && matcher.matches_empty()
    };
    let (last, first): (Vec<&Matcher>, Vec<&Matcher>) = matchers.iter().partition(takes_away);
    for matcher in first.into_iter().chain(last).filter(|matcher| matcher.name != METRIC_NAME) {
        let first = matcher.op == MatchOp::Equal && told.insert(&matcher.name);
        builder.push(matcher.name.as_str(), if first { matcher.value.as_str() } else { "" });
    }
    builder.build()
}
