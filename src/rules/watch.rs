//! What is known of a rule since the start: whether it can be judged, and whether it ever finds anything.

use query::promql::{self, Source};

/// What is known of a rule since the start.
#[derive(Debug, Clone, Default)]
pub(crate) struct Watch {
    /// Evaluations without an error, up to [`crate::alerting::STEADY_EVALUATIONS`].
    pub(crate) successes: u32,
    /// It has seen data newer than the start.
    pub(crate) has_fresh_data: bool,
    /// Since when its selectors find no series at all.
    pub(crate) empty_since_ms: Option<i64>,
    /// When it was last asked whether the selectors found anything in a day, and those that did not.
    pub(crate) dead_asked_ms: Option<i64>,
    pub(crate) dead: Vec<String>,
    /// Why it cannot be judged now, in one word; empty when it can.
    pub(crate) unknown: &'static str,
}

/// A rule whose selectors find nothing is asked so far back whether they ever do.
const DEAD_MS: i64 = 86_400_000;
/// And so often.
const DEAD_ASKED_MS: i64 = 3_600_000;

impl Watch {
    /// Finds selectors that matched nothing in a day, of a rule that finds nothing now.
    pub(crate) fn look_for_dead(&mut self, source: &dyn Source, expr: &promql::Expr, text: &str, at_ms: i64) {
        if self.empty_since_ms.is_none() {
            self.dead_asked_ms = None;
            self.dead.clear();
            return;
        }
        // Of these, nothing found is the point.
        let is_for_absence = text.contains("absent(") || text.contains("absent_over_time(");
        if is_for_absence || self.dead_asked_ms.is_some_and(|asked_ms| at_ms - asked_ms < DEAD_ASKED_MS) {
            return;
        }
        self.dead_asked_ms = Some(at_ms);
        let range = model::MsRange { start_ms: at_ms - DEAD_MS, end_ms: at_ms };
        let selectors = promql::selectors(expr);
        let dead = selectors.into_iter().filter(|matchers| {
            // Too many is more than none.
            source.select(matchers, range, 1).is_ok_and(|found| found.is_empty())
        });
        self.dead = dead.map(crate::alerting::selector).collect();
        self.dead.dedup();
    }

    /// Keeps since when a rule's selectors find nothing.
    pub(crate) fn note(&mut self, touched: &crate::touched::Touched, at_ms: i64) {
        match touched.has_selectors() && touched.newest_ms().is_none() {
            true => _ = self.empty_since_ms.get_or_insert(at_ms),
            false => self.empty_since_ms = None,
        }
    }
}
