//! Aggregations that need no more of a group than a state a step: each series is added as it comes and is gone.

use model::Labels;

use super::ast::Aggregator;
use super::kahan::{Kahan, Mean};
use super::meter::Meter;
use super::value::{Column, Reserved, is_absent};
use crate::QueryError;

/// Series that aggregate together: their floats as states, those that have native histograms as they are.
pub(crate) struct Group {
    pub(crate) labels: Labels,
    pub(crate) drop_name: bool,
    pub(crate) floats: States,
    pub(crate) native: Vec<Column>,
}

/// One state a step. A step that no float was added at has the stale marker, or a count of zero.
pub(crate) struct States {
    states: Kind,
    _reserved: Reserved,
}

enum Kind {
    Sum(Vec<Kahan>),
    Mean(Vec<Mean>),
    Least(Vec<f64>),
    Most(Vec<f64>),
    Count(Vec<f64>),
    Group(Vec<f64>),
    Variance(Vec<Welford>),
    Deviation(Vec<Welford>),
}

#[derive(Debug, Clone, Copy, Default)]
struct Welford {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Welford {
    /// A value that is no number, or infinite, leaves none.
    fn add(&mut self, value: f64) {
        self.count += 1.0;
        let delta = value - self.mean;
        self.mean += delta / self.count;
        self.squares += delta * (value - self.mean);
    }

    fn variance(self) -> f64 {
        self.squares / self.count
    }
}

/// Whether the operator folds; the others need all series of a group at once.
pub(crate) fn folds(op: Aggregator) -> bool {
    use Aggregator as A;
    matches!(op, A::Sum | A::Avg | A::Min | A::Max | A::Count | A::Group | A::Stddev | A::Stdvar)
}

impl States {
    /// Of an operator that folds; of any other as of `group`.
    pub(crate) fn new(op: Aggregator, count: usize, meter: &Meter<'_>) -> Result<States, QueryError> {
        let bytes = match op {
            Aggregator::Avg => size_of::<Mean>(),
            Aggregator::Sum => size_of::<Kahan>(),
            Aggregator::Stdvar | Aggregator::Stddev => size_of::<Welford>(),
            _ => size_of::<f64>(),
        };
        let reserved = meter.reserve(bytes as u64 * count as u64)?;
        let absent = super::value::absent();
        let states = match op {
            Aggregator::Sum => Kind::Sum(vec![Kahan { sum: absent, lost: 0.0 }; count]),
            Aggregator::Avg => Kind::Mean(vec![Mean::default(); count]),
            Aggregator::Min => Kind::Least(vec![absent; count]),
            Aggregator::Max => Kind::Most(vec![absent; count]),
            Aggregator::Count => Kind::Count(vec![0.0; count]),
            Aggregator::Stdvar => Kind::Variance(vec![Welford::default(); count]),
            Aggregator::Stddev => Kind::Deviation(vec![Welford::default(); count]),
            _ => Kind::Group(vec![absent; count]),
        };
        Ok(States { states, _reserved: reserved })
    }

    /// Adds the floats of a series.
    pub(crate) fn add(&mut self, values: &[f64]) {
        match &mut self.states {
            // The first value is taken as it is, so that the sum of negative zeros is one.
            Kind::Sum(states) => each(states, values, |state, value| {
                *state = if is_absent(state.sum) { Kahan { sum: value, lost: 0.0 } } else { state.plus(value) };
            }),
            Kind::Mean(states) => each(states, values, Mean::add),
            Kind::Least(states) => each(states, values, |least, value| {
                if value < *least || least.is_nan() {
                    *least = value;
                }
            }),
            Kind::Most(states) => each(states, values, |most, value| {
                if value > *most || most.is_nan() {
                    *most = value;
                }
            }),
            Kind::Count(states) => each(states, values, |count, _| *count += 1.0),
            Kind::Group(states) => each(states, values, |one, _| *one = 1.0),
            Kind::Variance(states) | Kind::Deviation(states) => each(states, values, Welford::add),
        }
    }

    /// The value of a step that floats were added at.
    pub(crate) fn value(&self, step: usize) -> Option<f64> {
        match &self.states {
            Kind::Sum(states) => Some(states[step]).filter(|state| !is_absent(state.sum)).map(Kahan::total),
            Kind::Mean(states) => Some(states[step]).filter(|mean| mean.has_any()).map(|mean| mean.value()),
            Kind::Least(states) | Kind::Most(states) | Kind::Group(states) => {
                Some(states[step]).filter(|value| !is_absent(*value))
            }
            Kind::Count(states) => Some(states[step]).filter(|count| *count > 0.0),
            Kind::Variance(states) => Some(states[step]).filter(|state| state.count > 0.0).map(Welford::variance),
            Kind::Deviation(states) => {
                Some(states[step]).filter(|state| state.count > 0.0).map(|state| state.variance().sqrt())
            }
        }
    }
}

fn each<S>(states: &mut [S], values: &[f64], mut add: impl FnMut(&mut S, f64)) {
    for (state, value) in states.iter_mut().zip(values) {
        if !is_absent(*value) {
            add(state, *value);
        }
    }
}
