//! Subexpressions that stand more than once in a query are evaluated once: `a / (a + b)` reads `a` once.

use std::collections::HashMap;

use super::ast::{Kind, Node};
use super::format;
use super::functions::special;
use super::meter::Meter;
use super::report::Tally;
use super::value::{Column, Grid};
use crate::QueryError;

/// What stands at more than one place, by canonical text.
#[derive(Default)]
pub(crate) struct Shared(HashMap<String, Place>);

struct Place {
    /// Places that have not been evaluated yet.
    left: usize,
    kept: Option<Kept>,
}

/// The value of the first place, and what it saw.
struct Kept {
    grid: Grid,
    columns: Vec<Column>,
    seen: Tally,
}

impl Shared {
    /// Of the nodes that are worth it: aggregations and functions of ranges.
    pub(crate) fn of(root: &Node) -> Shared {
        let mut shared: HashMap<String, Place> = HashMap::new();
        let mut open = vec![root];
        while let Some(node) = open.pop() {
            if is_worthy(node) {
                let place = shared.entry(format::node(node)).or_insert(Place { left: 0, kept: None });
                place.left += 1;
                // What is below a later place is never evaluated there.
                if place.left > 1 {
                    continue;
                }
            }
            open.extend(node.children().into_iter().rev());
        }
        shared.retain(|_, place| place.left > 1);
        Shared(shared)
    }

    /// The text of a node that stands at more than one place.
    pub(crate) fn key(&self, node: &Node) -> Option<String> {
        if self.0.is_empty() || !is_worthy(node) {
            return None;
        }
        Some(format::node(node)).filter(|text| self.0.contains_key(text))
    }

    /// The value of an earlier place over the same steps, whose samples count again. The last place takes it.
    pub(crate) fn take(
        &mut self,
        key: &str,
        grid: Grid,
        tally: &mut Tally,
        meter: &Meter<'_>,
    ) -> Result<Option<Vec<Column>>, QueryError> {
        let Some(place) = self.0.get_mut(key) else { return Ok(None) };
        place.left = place.left.saturating_sub(1);
        // What was seen is not known by step from a place where nobody asked.
        let fits = |kept: &&Kept| kept.grid == grid && (kept.seen.by_step() || !tally.by_step());
        let Some(kept) = place.kept.as_ref().filter(fits) else { return Ok(None) };
        tally.join(&kept.seen);
        if place.left == 0 {
            return Ok(place.kept.take().map(|kept| kept.columns));
        }
        Ok(Some(copy(&kept.columns, meter)?))
    }

    /// Keeps a value for the places that are left, if memory allows.
    pub(crate) fn keep(&mut self, key: &str, grid: Grid, columns: &[Column], seen: Tally, meter: &Meter<'_>) {
        if let Some(place) = self.0.get_mut(key).filter(|place| place.left > 0)
            && let Ok(columns) = copy(columns, meter)
        {
            place.kept = Some(Kept { grid, columns, seen });
        }
    }
}

fn is_worthy(node: &Node) -> bool {
    match &node.kind {
        Kind::Aggregate(_) => true,
        Kind::Call { function, .. } => special::is_over_windows(function),
        _ => false,
    }
}

fn copy(columns: &[Column], meter: &Meter<'_>) -> Result<Vec<Column>, QueryError> {
    let copy = |column: &Column| {
        let mut steps = meter.steps(column.steps.len())?;
        steps.copy_from(&column.steps);
        Ok(Column { labels: column.labels.clone(), drop_name: column.drop_name, steps })
    };
    columns.iter().map(copy).collect()
}
