//! Templates of a window's lines, held against the time before it: which of them are new.

use model::NsRange;
use store::Snapshot;

use super::patterns::{Patterns, Selection, patterns};
use super::{Partial, Search};
use crate::{Budget, QueryError};

/// Lines of a window that are alike.
#[derive(Debug, Clone, PartialEq)]
pub struct WindowPattern {
    /// Text with `<_>` where lines differ.
    pub template: String,
    /// Lines in the window; estimated where not all were looked at.
    pub count: u64,
    /// Lines in the time before it.
    pub before: u64,
    /// Of the window and the time before it.
    pub first_ns: i64,
    pub last_ns: i64,
    /// Start of each step of the window that has lines, and their count; oldest first.
    pub steps: Vec<(i64, u64)>,
}

impl WindowPattern {
    /// None of its lines came before the window.
    pub fn is_new(&self) -> bool {
        self.before == 0
    }
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct WindowPatterns {
    /// Most frequent first.
    pub patterns: Vec<WindowPattern>,
    /// Lines of templates too rare to be kept, of the window and the time before it.
    pub other: u64,
    /// Every how many lines one was looked at.
    pub sampled_every: u64,
    /// Set when the budget ended first; a template that looks new may then have come before.
    pub partial: Option<Partial>,
}

/// The templates of matching lines in a window, with those of the `before_ns` before it to tell which are new. The window's first step
/// counts from its multiple of `step_ns` on.
///
/// # Errors
/// As [`patterns`].
pub fn window_patterns(
    snapshot: &Snapshot,
    search: &Search,
    window: NsRange,
    before_ns: i64,
    step_ns: i64,
    budget: &Budget,
) -> Result<WindowPatterns, QueryError> {
    let begin_ns = window.start_ns.div_euclid(step_ns.max(1)).saturating_mul(step_ns.max(1));
    let whole = NsRange { start_ns: begin_ns.saturating_sub(before_ns.max(0)), end_ns: window.end_ns };
    let mut found = patterns(snapshot, Selection::Search(search), whole, step_ns, budget)?;
    let mut out: Vec<WindowPattern> = std::mem::take(&mut found.patterns)
        .into_iter()
        .filter_map(|pattern| {
            let inside = pattern.steps.partition_point(|(start_ns, _)| *start_ns < begin_ns);
            let (before, steps) = pattern.steps.split_at(inside);
            let sum = |steps: &[(i64, u64)]| steps.iter().map(|(_, count)| count).sum::<u64>();
            (!steps.is_empty()).then(|| WindowPattern {
                count: sum(steps),
                before: sum(before),
                first_ns: pattern.first_ns,
                last_ns: pattern.last_ns,
                steps: steps.to_vec(),
                template: pattern.template,
            })
        })
        .collect();
    out.sort_by(|left, right| right.count.cmp(&left.count).then_with(|| left.template.cmp(&right.template)));
    let Patterns { other, sampled_every, partial, .. } = found;
    Ok(WindowPatterns { patterns: out, other, sampled_every, partial })
}
