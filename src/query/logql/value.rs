//! Values while they are computed: a series is a column, one value a step.

use model::Labels;

/// The times of evaluation in ns: `start_ns`, then every `step_ns`, `count` in all (at least one).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Grid {
    pub(crate) start_ns: i64,
    pub(crate) step_ns: i64,
    pub(crate) count: usize,
}

impl Grid {
    pub(crate) fn instant(at_ns: i64) -> Grid {
        Grid { start_ns: at_ns, step_ns: 1, count: 1 }
    }

    /// From start to end, both included where the steps meet them. `step_ns` is positive and `end_ns` not before `start_ns`.
    pub(crate) fn range(start_ns: i64, end_ns: i64, step_ns: i64) -> Grid {
        let steps = end_ns.saturating_sub(start_ns) / step_ns.max(1);
        Grid { start_ns, step_ns: step_ns.max(1), count: usize::try_from(steps).map_or(1, |steps| steps + 1) }
    }

    pub(crate) fn at(&self, step: usize) -> i64 {
        self.start_ns.saturating_add(self.step_ns.saturating_mul(step as i64))
    }

    pub(crate) fn end_ns(&self) -> i64 {
        self.at(self.count - 1)
    }

    /// The steps whose window (t - window, t] holds a time: first and last, if there are any.
    pub(crate) fn steps_of(&self, at_ns: i64, window_ns: i64) -> Option<(usize, usize)> {
        // Divisions of 128 bits are slow, and only times at the ends of what there is need them.
        if let (Some(after), Ok(count)) = (at_ns.checked_sub(self.start_ns), i64::try_from(self.count))
            && let (Some(up), Some(on)) = (after.checked_add(self.step_ns - 1), after.checked_add(window_ns - 1))
        {
            let (first, last) = (up.div_euclid(self.step_ns).max(0), on.div_euclid(self.step_ns).min(count - 1));
            return (first <= last).then_some((first as usize, last as usize));
        }
        let after = i128::from(at_ns) - i128::from(self.start_ns);
        let step = i128::from(self.step_ns);
        let first = (after + step - 1).div_euclid(step).max(0);
        let last = (after + i128::from(window_ns) - 1).div_euclid(step).min(self.count as i128 - 1);
        (first <= last).then_some((first as usize, last as usize))
    }

    /// The last time that has these steps of [`Grid::steps_of`], as far as can be told.
    pub(crate) fn same_until(&self, (first, last): (usize, usize), window_ns: i64) -> i64 {
        let end_ns = if last + 1 < self.count { self.at(last + 1).saturating_sub(window_ns) } else { i64::MAX };
        self.at(first).min(end_ns)
    }
}

/// First and last step.
type Within = (usize, usize);

/// The steps of one time after another, worked out anew only where they change.
pub(crate) struct Steps {
    grid: Grid,
    window_ns: i64,
    /// Steps, and the times from one to another that have them.
    known: Option<(i64, i64, Option<Within>)>,
}

impl Steps {
    pub(crate) fn new(grid: Grid, window_ns: i64) -> Steps {
        Steps { grid, window_ns, known: None }
    }

    /// As [`Grid::steps_of`].
    pub(crate) fn of(&mut self, at_ns: i64) -> Option<Within> {
        match self.known {
            Some((from_ns, until_ns, steps)) if (from_ns..=until_ns).contains(&at_ns) => steps,
            _ => {
                let steps = self.grid.steps_of(at_ns, self.window_ns);
                let until_ns = steps.map_or(at_ns, |steps| self.grid.same_until(steps, self.window_ns));
                self.known = Some((at_ns, until_ns, steps));
                steps
            }
        }
    }
}

/// One series over all steps. A step without a value has [`absent`].
#[derive(Debug, Clone)]
pub(crate) struct Series {
    pub(crate) labels: Labels,
    pub(crate) values: Vec<f64>,
}

#[derive(Debug, Clone)]
pub(crate) enum Val {
    Scalar(f64),
    Vector(Vec<Series>),
}

pub(crate) use crate::promql::value::{absent, is_absent};

/// Without empty labels. A parser makes them, and samples and `by` keep them; what Loki puts together anew has none.
pub(crate) fn filled(labels: Labels) -> Labels {
    if labels.iter().all(|(_, value)| !value.is_empty()) { labels } else { Labels::from_pairs(labels.iter()) }
}

impl Series {
    pub(crate) fn empty(labels: Labels, count: usize) -> Series {
        Series { labels, values: vec![absent(); count] }
    }

    pub(crate) fn has_any(&self) -> bool {
        self.values.iter().any(|value| !is_absent(*value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_open_at_their_start() {
        let grid = Grid { start_ns: 100, step_ns: 10, count: 3 };
        for (at, window, expected) in [
            (100, 10, Some((0, 0))),
            (101, 10, Some((1, 1))),
            (90, 10, None),
            (91, 10, Some((0, 0))),
            (95, 40, Some((0, 2))),
            (120, 5, Some((2, 2))),
            (121, 5, None),
            (115, 5, None),
            (116, 5, Some((2, 2))),
            (100, 0, None),
        ] {
            assert_eq!(grid.steps_of(at, window), expected, "{at} {window}");
        }
        assert_eq!(Grid::range(0, 25, 10), Grid { start_ns: 0, step_ns: 10, count: 3 });
    }
}
