//! Sources on a few threads.

use super::SearchStats;
use super::guard::{Guard, Source};
use crate::promql::parallel::in_order;
use crate::{Budget, QueryError};

/// Does `work` for each source, on as many threads as the budget allows, and `take`s what comes out in their order.
pub(super) fn each<T: Send>(
    guard: &mut Guard<'_>,
    budget: &Budget,
    sources: Vec<Source>,
    work: impl Fn(&mut Guard<'_>, &Source) -> Result<T, QueryError> + Sync,
    mut take: impl FnMut(T) -> Result<(), QueryError>,
) -> Result<(), QueryError> {
    let shared = guard.share();
    let mut stats = SearchStats::default();
    let done = in_order(
        budget.threads,
        sources.len(),
        || Guard::sharing(budget, &shared),
        |helper, at| {
            let out = work(helper, &sources[at])?;
            Ok((out, std::mem::take(&mut helper.stats)))
        },
        |(out, more)| {
            stats.add(&more);
            take(out)
        },
    );
    guard.stats.add(&stats);
    done
}
