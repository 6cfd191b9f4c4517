//! `absent()` and `absent_over_time()`: one where nothing is, with what labels the selector tells for certain.

use model::labels::METRIC_NAME;
use model::{Labels, MatchOp, Matcher};

use crate::QueryError;
use crate::promql::ast::{Kind, Node};
use crate::promql::engine::Engine;
use crate::promql::value::{Column, Grid};

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
    engine.points(arg, grid, false, |_, _, step, _| {
        present[step] = true;
        None
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

/// Labels that one equality alone speaks of.
fn known(matchers: &[Matcher]) -> Labels {
    let alone = |matcher: &&Matcher| {
        matcher.op == MatchOp::Equal
            && matcher.name != METRIC_NAME
            && matchers.iter().filter(|other| other.name == matcher.name).count() == 1
    };
    Labels::from_pairs(matchers.iter().filter(alone).map(|matcher| (matcher.name.as_str(), matcher.value.as_str())))
}
