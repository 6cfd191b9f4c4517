//! Functions that rewrite labels.

use std::collections::HashMap;

use model::labels::METRIC_NAME;
use model::{Labels, go_regex};

use crate::promql::ast::Node;
use crate::promql::engine::{Engine, SAME_LABELSET, wrong};
use crate::promql::value::{Column, Grid};
use crate::{QueryError, made_label};

pub(crate) fn replace(engine: &mut Engine<'_>, args: &[Node], grid: Grid) -> Result<Vec<Column>, QueryError> {
    let destination = engine.text(&args[1], grid)?;
    let replacement = engine.text(&args[2], grid)?;
    let source = engine.text(&args[3], grid)?;
    let pattern = engine.text(&args[4], grid)?;
    let regex = go_regex::compile_whole(&pattern)
        .map_err(|_| wrong(format!("invalid regular expression in label_replace(): {pattern}")))?;
    valid_destination(&args[1], &destination, "label_replace")?;
    let mut columns = engine.vector(&args[0], grid)?;
    for column in &mut columns {
        let source = column.labels.value(&source);
        let Some(captures) = regex.captures(source) else { continue };
        let value = made_label::replaced(&captures, &replacement, source)?;
        engine.meter.keep(value.len() as u64)?;
        set(column, &destination, &value);
    }
    merge_same(columns)
}

pub(crate) fn join(engine: &mut Engine<'_>, args: &[Node], grid: Grid) -> Result<Vec<Column>, QueryError> {
    let destination = engine.text(&args[1], grid)?;
    let separator = engine.text(&args[2], grid)?;
    let sources = args[3..].iter().map(|arg| engine.text(arg, grid)).collect::<Result<Vec<_>, _>>()?;
    let is_no_name = |(arg, source): (&Node, &String)| source.is_empty() || arg.not_utf8().is_some();
    if let Some(place) = args[3..].iter().zip(&sources).position(is_no_name) {
        return Err(wrong(format!("invalid source label name in label_join(): {}", sources[place])));
    }
    valid_destination(&args[1], &destination, "label_join")?;
    let mut columns = engine.vector(&args[0], grid)?;
    for column in &mut columns {
        let values: Vec<&str> = sources.iter().map(|source| column.labels.value(source)).collect();
        let joined = made_label::joined(&values, &separator)?;
        engine.meter.keep(joined.len() as u64)?;
        set(column, &destination, &joined);
    }
    merge_same(columns)
}

fn valid_destination(arg: &Node, name: &str, function: &str) -> Result<(), QueryError> {
    if name.is_empty() || arg.not_utf8().is_some() {
        return Err(wrong(format!("invalid destination label name in {function}(): {name}")));
    }
    Ok(())
}

fn set(column: &mut Column, label: &str, value: &str) {
    column.labels = column.labels.with(label, value);
    if label == METRIC_NAME {
        // A name that was asked for stays, whatever happened to the old one.
        column.drop_name = false;
    }
}

/// Joins columns of equal labels that never have a value at the same step; refuses those that do.
pub(crate) fn merge_same(columns: Vec<Column>) -> Result<Vec<Column>, QueryError> {
    let mut places: HashMap<(Labels, bool), usize> = HashMap::with_capacity(columns.len());
    let mut merged: Vec<Column> = Vec::with_capacity(columns.len());
    for column in columns {
        let place = *places.entry((column.labels.clone(), column.drop_name)).or_insert(merged.len());
        let Some(into) = merged.get_mut(place) else {
            merged.push(column);
            continue;
        };
        for step in 0..column.steps.len() {
            let Some(point) = column.steps.point(step) else { continue };
            if into.steps.has(step) {
                return Err(wrong(SAME_LABELSET));
            }
            into.steps.put(step, Some(point));
        }
    }
    Ok(merged)
}
