//! The one time that all series of an expression are seen at, if there is one: `info` looks for the labels of `metric @ 60` as they
//! were at 60. Rules are those of Prometheus since 3.15.

use crate::QueryError;
use crate::promql::ast::{At, Kind, Node, Selector, Type};
use crate::promql::duration::Duration;
use crate::promql::engine::Engine;

/// When series are seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SeenAt {
    /// At the same time by every step.
    Pinned { at_ms: i64 },
    /// So long before each step.
    Before { offset_ms: i64 },
}

impl SeenAt {
    pub(crate) const STEP: SeenAt = SeenAt::Before { offset_ms: 0 };

    /// Of `at` and `offset` behind something that is evaluated when this says.
    fn shifted(self, engine: &Engine<'_>, at: Option<At>, offset: Option<&Duration>) -> Result<SeenAt, QueryError> {
        let back_ms = engine.offset_ms(offset)?;
        Ok(match (engine.pinned_ms(at), self) {
            (Some(at_ms), _) => SeenAt::Pinned { at_ms: at_ms.saturating_sub(back_ms) },
            (None, SeenAt::Pinned { at_ms }) => SeenAt::Pinned { at_ms: at_ms.saturating_sub(back_ms) },
            (None, SeenAt::Before { offset_ms }) => SeenAt::Before { offset_ms: offset_ms.saturating_add(back_ms) },
        })
    }
}

/// When all series that make `node` are seen; [`SeenAt::STEP`] where they are seen at different times, or some come from no selector.
/// What makes scalars alone does not count.
pub(crate) fn of(engine: &Engine<'_>, node: &Node) -> Result<SeenAt, QueryError> {
    let mut all = Vec::new();
    collect(engine, node, SeenAt::STEP, &mut all)?;
    Ok(match all.split_first() {
        Some((first, others)) if others.iter().all(|other| other == first) => *first,
        _ => SeenAt::STEP,
    })
}

fn collect(engine: &Engine<'_>, node: &Node, seen: SeenAt, all: &mut Vec<SeenAt>) -> Result<(), QueryError> {
    let of_selector = |selector: &Selector| seen.shifted(engine, selector.at, selector.offset.as_ref());
    match &node.kind {
        Kind::Select(selector) | Kind::Range { selector, .. } => all.push(of_selector(selector)?),
        Kind::Subquery(subquery) => {
            let seen = seen.shifted(engine, subquery.at, subquery.offset.as_ref())?;
            collect(engine, &subquery.expr, seen, all)?;
        }
        _ => {
            // The second argument of `info` is no vector to evaluate.
            let is_info = matches!(&node.kind, Kind::Call { function, .. } if function.name == "info");
            let mut children = node.children();
            children.retain(|child| matches!(child.ty, Type::Vector | Type::Matrix));
            children.truncate(if is_info { 1 } else { usize::MAX });
            if children.is_empty() {
                // Such as `vector(1)`: of the step itself, which nothing that is pinned is.
                all.push(seen);
            }
            for child in children {
                collect(engine, child, seen, all)?;
            }
        }
    }
    Ok(())
}
