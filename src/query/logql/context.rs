//! What one query has: its view of the store, its budget, its account.

use store::LogView;

use crate::logs::SearchStats;
use crate::logs::guard::Guard;
use crate::{Budget, QueryError};

/// Most series of an answer (Loki's `max_query_series`).
pub(crate) const ANSWER_SERIES_MAX: usize = 500;

pub(crate) struct Context<'a> {
    /// `None` for a tenant without data.
    pub(crate) view: Option<&'a LogView>,
    pub(crate) budget: &'a Budget,
    /// Account of the series that parts of the query gave.
    pub(crate) kept: Guard<'a>,
    pub(crate) stats: SearchStats,
    /// Samples looked at.
    pub(crate) samples: u64,
}

impl<'a> Context<'a> {
    pub(crate) fn new(view: Option<&'a LogView>, budget: &'a Budget) -> Context<'a> {
        Context { view, budget, kept: Guard::new(budget), stats: SearchStats::default(), samples: 0 }
    }

    /// Whether a query may have so many series; fewer when they are its answer.
    pub(crate) fn check_series(&self, count: usize, is_answer: bool) -> Result<(), QueryError> {
        if is_answer && count > ANSWER_SERIES_MAX {
            return Err(QueryError::Evaluation {
                reason: format!(
                    "maximum number of series ({ANSWER_SERIES_MAX}) reached for a single query; consider reducing query cardinality \
                     by adding more specific stream selectors, reducing the time range, or aggregating results with functions like \
                     sum(), count() or topk()"
                ),
            });
        }
        let max = self.budget.series_max;
        if count as u64 > max {
            return Err(QueryError::TooMuch {
                message: format!(
                    "the query makes more than {max} series (query.series_max); narrow the time range, or aggregate by fewer labels"
                ),
            });
        }
        Ok(())
    }
}
