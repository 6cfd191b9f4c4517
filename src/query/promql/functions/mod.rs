//! The table of functions: their names, types, and what computes them.

pub(crate) mod absent;
pub(crate) mod classic;
pub(crate) mod columnar;
pub(crate) mod date;
pub(crate) mod edges;
pub(crate) mod histogram;
pub(crate) mod info;
pub(crate) mod integral;
pub(crate) mod labels;
pub(crate) mod math;
pub(crate) mod mixed;
pub(crate) mod native;
pub(crate) mod order;
pub(crate) mod quantiles;
pub(crate) mod regression;
mod rolled;
mod seen_at;
pub(crate) mod special;
pub(crate) mod window;

use model::Histogram;

use super::ast::Type;
use super::value::Point;
use mixed::{Either, OfHistograms};
use special::Special;
use window::Window;

pub(crate) struct Function {
    pub(crate) name: &'static str,
    /// Types of the arguments; the last one stands for all that follow it.
    pub(crate) args: &'static [Type],
    pub(crate) arity: Arity,
    pub(crate) returns: Type,
    pub(crate) call: Call,
}

impl std::fmt::Debug for Function {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arity {
    /// As many as there are types.
    Exact,
    /// In place of the last one, none up to this many.
    Optional(usize),
    /// In place of the last one, any number.
    Unlimited,
}

#[derive(Clone, Copy)]
pub(crate) enum Call {
    /// Value by value; drops the metric's name.
    Math(fn(f64) -> f64),
    /// Over the floats of each window of a range vector; drops the metric's name.
    Window(fn(&Window<'_>) -> Option<f64>),
    /// Over each window of floats or of histograms; drops the metric's name.
    Either(Either),
    /// Over each window, whatever it holds; drops the metric's name.
    Any(fn(&Window<'_>) -> Option<Point>),
    /// Over each window, the value remaining one of the metric's own.
    Keep(fn(&Window<'_>) -> Option<Point>),
    /// Of each native histogram; drops the metric's name, and floats.
    Native(fn(&Histogram) -> f64),
    /// Of a time in whole seconds since the epoch: each value's, or without an argument the step's.
    Date(fn(i64) -> f64),
    Special(Special),
}

impl Call {
    /// Whether equal arguments give equal answers at every step.
    pub(crate) fn is_fixed(self) -> bool {
        // The labels that `info` adds may be those of the step.
        !matches!(
            self,
            Call::Date(_) | Call::Special(Special::Time | Special::Timestamp | Special::PredictLinear | Special::Info)
        )
    }
}

use Type::{Matrix as M, Scalar as S, Text as T, Vector as V};

const fn f(name: &'static str, args: &'static [Type], arity: Arity, returns: Type, call: Call) -> Function {
    Function { name, args, arity, returns, call }
}
const fn math(name: &'static str, call: fn(f64) -> f64) -> Function {
    f(name, &[V], Arity::Exact, V, Call::Math(call))
}
const fn over(name: &'static str, call: fn(&Window<'_>) -> Option<f64>) -> Function {
    f(name, &[M], Arity::Exact, V, Call::Window(call))
}
const fn any(name: &'static str, call: fn(&Window<'_>) -> Option<Point>) -> Function {
    f(name, &[M], Arity::Exact, V, Call::Any(call))
}
const fn keep(name: &'static str, call: fn(&Window<'_>) -> Option<Point>) -> Function {
    f(name, &[M], Arity::Exact, V, Call::Keep(call))
}
const fn either(name: &'static str, floats: fn(&Window<'_>) -> Option<f64>, histograms: OfHistograms) -> Function {
    f(name, &[M], Arity::Exact, V, Call::Either(Either { floats, histograms, last_two: false }))
}
const fn native(name: &'static str, call: fn(&Histogram) -> f64) -> Function {
    f(name, &[V], Arity::Exact, V, Call::Native(call))
}
const fn date(name: &'static str, call: fn(i64) -> f64) -> Function {
    f(name, &[V], Arity::Optional(1), V, Call::Date(call))
}
const fn special(name: &'static str, args: &'static [Type], arity: Arity, returns: Type, call: Special) -> Function {
    f(name, args, arity, returns, Call::Special(call))
}

const IRATE: Either = Either { floats: window::irate, histograms: mixed::irate, last_two: true };
const IDELTA: Either = Either { floats: window::idelta, histograms: mixed::idelta, last_two: true };

static FUNCTIONS: &[Function] = &[
    math("abs", f64::abs),
    special("absent", &[V], Arity::Exact, V, Special::Absent),
    special("absent_over_time", &[M], Arity::Exact, V, Special::AbsentOverTime),
    math("acos", f64::acos),
    math("acosh", f64::acosh),
    math("asin", f64::asin),
    math("asinh", f64::asinh),
    math("atan", f64::atan),
    math("atanh", f64::atanh),
    either("avg_over_time", window::avg, mixed::avg),
    math("ceil", f64::ceil),
    any("changes", mixed::changes),
    special("clamp", &[V, S, S], Arity::Exact, V, Special::Clamp),
    special("clamp_max", &[V, S], Arity::Exact, V, Special::ClampMax),
    special("clamp_min", &[V, S], Arity::Exact, V, Special::ClampMin),
    math("cos", f64::cos),
    math("cosh", f64::cosh),
    any("count_over_time", mixed::count),
    date("day_of_month", date::day_of_month),
    date("day_of_week", date::day_of_week),
    date("day_of_year", date::day_of_year),
    date("days_in_month", date::days_in_month),
    math("deg", f64::to_degrees),
    either("delta", window::delta, mixed::delta),
    over("deriv", regression::deriv),
    special("double_exponential_smoothing", &[M, S, S], Arity::Exact, V, Special::Smoothing),
    special("end", &[], Arity::Exact, S, Special::End),
    math("exp", f64::exp),
    keep("first_over_time", mixed::first),
    math("floor", f64::floor),
    native("histogram_avg", native::avg),
    native("histogram_count", native::count),
    special("histogram_fraction", &[S, S, V], Arity::Exact, V, Special::HistogramFraction),
    special("histogram_quantile", &[S, V], Arity::Exact, V, Special::HistogramQuantile),
    special("histogram_quantiles", &[V, T, S, S], Arity::Optional(9), V, Special::HistogramQuantiles),
    native("histogram_stddev", native::stddev),
    native("histogram_stdvar", native::stdvar),
    native("histogram_sum", native::sum),
    date("hour", date::hour),
    f("idelta", &[M], Arity::Exact, V, Call::Either(IDELTA)),
    either("increase", window::increase, mixed::increase),
    special("info", &[V, V], Arity::Optional(1), V, Special::Info),
    special("integral", &[M, S], Arity::Optional(1), V, Special::Integral),
    f("irate", &[M], Arity::Exact, V, Call::Either(IRATE)),
    special("label_join", &[V, T, T, T], Arity::Unlimited, V, Special::LabelJoin),
    special("label_replace", &[V, T, T, T, T], Arity::Exact, V, Special::LabelReplace),
    keep("last_over_time", mixed::last),
    math("ln", f64::ln),
    math("log10", f64::log10),
    math("log2", f64::log2),
    over("mad_over_time", window::mad),
    special("max_of", &[S, S], Arity::Exact, S, Special::MaxOf),
    over("max_over_time", window::max),
    special("min_of", &[S, S], Arity::Exact, S, Special::MinOf),
    over("min_over_time", window::min),
    date("minute", date::minute),
    date("month", date::month),
    special("pi", &[], Arity::Exact, S, Special::Pi),
    special("predict_linear", &[M, S], Arity::Exact, V, Special::PredictLinear),
    any("present_over_time", mixed::present),
    special("quantile_over_time", &[S, M], Arity::Exact, V, Special::QuantileOverTime),
    math("rad", f64::to_radians),
    special("range", &[], Arity::Exact, S, Special::Range),
    either("rate", window::rate, mixed::rate),
    any("resets", mixed::resets),
    special("round", &[V, S], Arity::Optional(1), V, Special::Round),
    special("scalar", &[V], Arity::Exact, S, Special::Scalar),
    math("sgn", math::sgn),
    math("sin", f64::sin),
    math("sinh", f64::sinh),
    special("sort", &[V], Arity::Exact, V, Special::Sort),
    special("sort_by_label", &[V, T], Arity::Unlimited, V, Special::SortByLabel),
    special("sort_by_label_desc", &[V, T], Arity::Unlimited, V, Special::SortByLabelDesc),
    special("sort_desc", &[V], Arity::Exact, V, Special::SortDesc),
    math("sqrt", f64::sqrt),
    special("start", &[], Arity::Exact, S, Special::Start),
    special("start_timestamp", &[V], Arity::Exact, V, Special::StartTimestamp),
    over("stddev_over_time", window::stddev),
    over("stdvar_over_time", window::stdvar),
    special("step", &[], Arity::Exact, S, Special::Step),
    either("sum_over_time", window::sum, mixed::sum),
    math("tan", f64::tan),
    math("tanh", f64::tanh),
    special("time", &[], Arity::Exact, S, Special::Time),
    special("timestamp", &[V], Arity::Exact, V, Special::Timestamp),
    any("ts_of_first_over_time", mixed::ts_of_first),
    any("ts_of_last_over_time", mixed::ts_of_last),
    over("ts_of_max_over_time", window::ts_of_max),
    over("ts_of_min_over_time", window::ts_of_min),
    special("vector", &[S], Arity::Exact, V, Special::Vector),
    date("year", date::year),
];

/// Every function, by name.
pub(crate) fn all() -> &'static [Function] {
    FUNCTIONS
}

/// The function of exactly this name.
pub(crate) fn find(name: &str) -> Option<&'static Function> {
    FUNCTIONS.binary_search_by(|function| function.name.cmp(name)).ok().map(|at| &FUNCTIONS[at])
}

/// The name most like this one, if any is close enough to be what was meant.
pub(crate) fn nearest(name: &str) -> Option<&'static str> {
    // No function's name is this long, so nothing is near; and looking costs little.
    if name.len() > 64 {
        return None;
    }
    let aggregators = super::ast::Aggregator::ALL.into_iter().map(super::ast::Aggregator::text);
    let names = FUNCTIONS.iter().map(|function| function.name).chain(aggregators);
    // Of equally near ones that which goes on where the given one ends: what is missing is often the last letter.
    let rank = |candidate| (model::spelling::distance(name, candidate), !str::starts_with(candidate, name), candidate);
    let (distance, _, found) = names.map(rank).min()?;
    (distance <= 1 + name.len() / 4).then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order_and_near_names_are_found() {
        assert!(FUNCTIONS.windows(2).all(|pair| pair[0].name < pair[1].name));
        assert_eq!(nearest("rat"), Some("rate"));
        assert_eq!(nearest("histogram_quantil"), Some("histogram_quantile"));
        assert_eq!(nearest("smu"), None);
        assert_eq!(nearest("completely_else"), None);
    }
}
