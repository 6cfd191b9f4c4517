//! Sorting. Only an instant query has an order; the rows of a range query are always ordered by labels.

use std::cmp::Ordering;

use crate::QueryError;
use crate::promql::ast::Node;
use crate::promql::engine::Engine;
use crate::promql::value::{Column, Grid, is_absent};

pub(crate) fn by_value(
    engine: &mut Engine<'_>,
    node: &Node,
    arg: &Node,
    grid: Grid,
    descending: bool,
) -> Result<Vec<Column>, QueryError> {
    let mut columns = engine.vector(arg, grid)?;
    // Histograms have no order, so sorting by value leaves them out.
    columns.iter_mut().for_each(|column| column.steps.drop_histograms());
    if !has_order(engine, node, grid) {
        return Ok(columns);
    }
    columns.retain(|column| !is_absent(column.steps[0]));
    columns.sort_by(|a, b| nan_last(a.steps[0], b.steps[0], descending));
    Ok(columns)
}

/// Either way NaN comes last.
pub(crate) fn nan_last(a: f64, b: f64, descending: bool) -> Ordering {
    match a.partial_cmp(&b) {
        Some(order) if descending => order.reverse(),
        Some(order) => order,
        None => a.is_nan().cmp(&b.is_nan()),
    }
}

pub(crate) fn by_label(
    engine: &mut Engine<'_>,
    node: &Node,
    args: &[Node],
    grid: Grid,
    descending: bool,
) -> Result<Vec<Column>, QueryError> {
    let names = args[1..].iter().map(|arg| engine.text(arg, grid)).collect::<Result<Vec<_>, _>>()?;
    let mut columns = engine.vector(&args[0], grid)?;
    if !has_order(engine, node, grid) {
        return Ok(columns);
    }
    columns.sort_by(|a, b| {
        let by_names = names.iter().map(|name| natural(a.labels.value(name), b.labels.value(name)));
        let order = by_names.fold(Ordering::Equal, Ordering::then).then_with(|| a.labels.cmp(&b.labels));
        if descending { order.reverse() } else { order }
    });
    Ok(columns)
}

fn has_order(engine: &mut Engine<'_>, node: &Node, grid: Grid) -> bool {
    if grid.count > 1 {
        engine.notes.warn(node, "sort is ineffective for range queries since results are always ordered by labels");
    }
    grid.count == 1
}

/// Runs of digits compare as numbers: `cpu9` before `cpu10`.
fn natural(mut a: &str, mut b: &str) -> Ordering {
    loop {
        let (head_a, rest_a) = split_run(a);
        let (head_b, rest_b) = split_run(b);
        if head_a.is_empty() || head_b.is_empty() {
            return head_a.cmp(head_b);
        }
        let digits = |text: &str| text.starts_with(|c: char| c.is_ascii_digit());
        let order = if digits(head_a) && digits(head_b) {
            let (trim_a, trim_b) = (head_a.trim_start_matches('0'), head_b.trim_start_matches('0'));
            trim_a.len().cmp(&trim_b.len()).then_with(|| trim_a.cmp(trim_b))
        } else {
            head_a.cmp(head_b)
        };
        if order != Ordering::Equal {
            return order;
        }
        (a, b) = (rest_a, rest_b);
    }
}

/// The leading run of digits or of anything else, and what follows.
fn split_run(text: &str) -> (&str, &str) {
    let digits = text.starts_with(|c: char| c.is_ascii_digit());
    text.split_at(text.find(|c: char| c.is_ascii_digit() != digits).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_compare_as_numbers() {
        for (a, b, expected) in [
            ("cpu9", "cpu10", Ordering::Less),
            ("1.2.3", "1.11.3", Ordering::Less),
            ("a", "b", Ordering::Less),
            ("", "a", Ordering::Less),
            ("10", "10", Ordering::Equal),
            ("99999999999999999999999", "100000000000000000000000", Ordering::Less),
        ] {
            assert_eq!(natural(a, b), expected, "{a} {b}");
            assert_eq!(natural(b, a), expected.reverse(), "{b} {a}");
        }
    }
}
