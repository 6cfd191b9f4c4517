//! PromQL: text to expression to answer.
//!
//! An expression is parsed and type-checked once and may be evaluated any number of times. Evaluation is columnar: each
//! selector is read once for all steps of a range, and every node gives its values for all steps at once.

mod aggregate;
mod ast;
mod binary;
mod check;
pub mod completion;
mod duration;
mod engine;
mod fold;
mod format;
mod functions;
mod gone;
mod joined;
mod kahan;
pub(crate) mod lexer;
pub(crate) mod literal;
mod looks;
mod matrix;
mod meter;
mod modifiers;
mod native;
pub mod notation;
mod notes;
pub(crate) mod number;
pub(crate) mod parallel;
mod parser;
mod pick;
mod pretty;
mod raw;
mod report;
mod scan;
mod select;
mod selector;
mod shared;
mod source;
mod tree;
pub(crate) mod value;
mod worker;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use model::go_regex::together;
use model::{Histogram, Labels, Matcher, Sample};

use crate::{Budget, QueryError};
use ast::{Kind, Node, Type};
use engine::{Engine, SAME_LABELSET, wrong};
use meter::SAMPLE_BYTES;
use report::Explainer;
use value::{Column, Grid, TIME_MS_MAX, Val, is_absent, without_schema};

pub use native::{Bucket, Side, buckets, text as histogram_text};
pub use raw::raw;
pub use report::{Detail, Explain, Seen, Stats};
pub use source::Source;
pub use tree::{Tree, TreeAt, TreeFunction, TreeKind, TreeMatching, TreeSelector, tree};

/// A parsed and type-checked expression. A clone is one reference count.
#[derive(Debug, Clone)]
pub struct Expr {
    root: Arc<Node>,
    text: Arc<str>,
}

/// How to evaluate.
#[derive(Debug, Clone)]
pub struct Options {
    /// How far back an instant selector looks for its sample.
    pub lookback_ms: i64,
    pub budget: Budget,
    /// What to tell beside the answer.
    pub detail: Detail,
}

impl Options {
    /// Without any detail.
    pub fn new(lookback_ms: i64, budget: Budget) -> Options {
        Options { lookback_ms, budget, detail: Detail::default() }
    }
}

/// What an expression evaluates to.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Scalar(Sample),
    String {
        at_ms: i64,
        text: String,
    },
    /// Order matters only after `sort` and the like.
    Vector(Vec<(Labels, Sample)>),
    Matrix(Vec<(Labels, Vec<Sample>)>),
}

/// Native histograms of one label set, with their times in ms, in order of time.
pub type HistogramRow = (Labels, Vec<(i64, Arc<Histogram>)>);

/// A value, and what the engine had to say about it (Prometheus' annotations).
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    pub value: Value,
    /// Elements of a vector, or points of a matrix' rows, that are native histograms; a row of the same labels may stand in both.
    pub histograms: Vec<HistogramRow>,
    pub warnings: Vec<String>,
    pub infos: Vec<String>,
    /// Samples that were decoded, each once, and series read.
    pub samples_read: u64,
    pub series_read: u64,
    pub stats: Stats,
    /// The cost of each node, if asked for.
    pub explain: Option<Explain>,
}

/// Parses and type-checks. Bounded in length, depth, operators, and the memory of its patterns.
pub fn parse(text: &str) -> Result<Expr, QueryError> {
    let root = together(|| parser::parse(text)).map_err(|fault| parse_error(text, fault))?;
    Ok(Expr { root: Arc::new(root), text: text.into() })
}

/// Parses a selector alone (`up{job="x"}`), as `match[]` wants it. It may select everything (`{}`), which is for the caller to refuse.
pub fn parse_selector(text: &str) -> Result<Vec<Matcher>, QueryError> {
    let node = together(|| parser::parse_selector(text)).map_err(|fault| parse_error(text, fault))?;
    match node.kind {
        Kind::Select(selector) => Ok(selector.matchers),
        _ => Err(wrong("a selector is one by its parsing")),
    }
}

/// The expression in Prometheus' canonical form, on one line; parses to the same expression.
pub fn format(expr: &Expr) -> String {
    format::node(&expr.root)
}

/// As [`format()`], over several lines where one would be long.
pub fn pretty(expr: &Expr) -> String {
    pretty::node(&expr.root)
}

/// The matchers of every selector in the expression, from left to right.
pub fn selectors(expr: &Expr) -> Vec<&[Matcher]> {
    let mut found = Vec::new();
    let mut open: Vec<&Node> = vec![&expr.root];
    while let Some(node) = open.pop() {
        if let Kind::Select(selector) | Kind::Range { selector, .. } = &node.kind {
            found.push(selector.matchers.as_slice());
        }
        open.extend(node.children().into_iter().rev());
    }
    found
}

/// Evaluates at one instant.
pub fn instant(source: &dyn Source, expr: &Expr, at_ms: i64, options: &Options) -> Result<Answer, QueryError> {
    in_time(at_ms)?;
    let grid = Grid { start_ms: at_ms, step_ms: 0, count: 1 };
    let mut engine = Engine::new(source, expr, grid, at_ms, options);
    let mut histograms = Vec::new();
    let begun = Instant::now();
    let eval_time;
    let value = if expr.root.ty == Type::Matrix {
        let (mut rows, mut seen) = (Vec::new(), BTreeSet::new());
        let found = engine.matrix(&expr.root, grid)?;
        eval_time = begun.elapsed();
        for (labels, drop_name, samples) in found {
            let labels = if drop_name { without_schema(&labels) } else { labels };
            if !seen.insert(labels.clone()) {
                return Err(wrong(SAME_LABELSET));
            }
            if !samples.histograms.is_empty() {
                histograms.push((labels.clone(), samples.histograms));
            }
            let floats = samples.at_ms.into_iter().zip(samples.values);
            let floats: Vec<Sample> = floats.map(|(at_ms, value)| Sample { at_ms, value }).collect();
            if !floats.is_empty() {
                rows.push((labels, floats));
            }
        }
        rows.sort_by(|a, b| a.0.cmp(&b.0));
        histograms.sort_by(|a, b| a.0.cmp(&b.0));
        Value::Matrix(rows)
    } else {
        let evaluated = engine.eval(&expr.root, grid)?;
        eval_time = begun.elapsed();
        match evaluated {
            Val::Scalar(steps) => Value::Scalar(Sample { at_ms, value: steps[0] }),
            Val::Text(text) => Value::String { at_ms, text },
            Val::Vector(columns) => {
                let mut floats = Vec::with_capacity(columns.len());
                for column in finish(columns)? {
                    if let Some(histogram) = column.steps.histogram(0) {
                        histograms.push((column.labels, vec![(at_ms, histogram.clone())]));
                    } else if !is_absent(column.steps[0]) {
                        floats.push((column.labels, Sample { at_ms, value: column.steps[0] }));
                    }
                }
                Value::Vector(floats)
            }
        }
    };
    Ok(answer(engine, value, histograms, eval_time, begun))
}

/// Evaluates at `start, start+step, …, <= end`; the answer is always a matrix, its rows sorted by labels.
pub fn range(
    source: &dyn Source,
    expr: &Expr,
    start_ms: i64,
    end_ms: i64,
    step_ms: i64,
    options: &Options,
) -> Result<Answer, QueryError> {
    if !matches!(expr.root.ty, Type::Scalar | Type::Vector) {
        let got = expr.root.ty.name();
        return Err(QueryError::NoRange { got });
    }
    if step_ms <= 0 {
        return Err(wrong("zero or negative query resolution step widths are not accepted"));
    }
    in_time(start_ms)?;
    in_time(end_ms)?;
    in_time(step_ms)?;
    if end_ms < start_ms {
        return Err(wrong("invalid range: the end time is before the start time"));
    }
    let count = usize::try_from((end_ms - start_ms) / step_ms).unwrap_or(usize::MAX).saturating_add(1);
    let grid = Grid { start_ms, step_ms, count };
    let mut engine = Engine::new(source, expr, grid, end_ms, options);
    engine.meter.room_for((count as u64).saturating_mul(8))?;
    let begun = Instant::now();
    let evaluated = engine.eval(&expr.root, grid)?;
    let eval_time = begun.elapsed();
    let columns = match evaluated {
        Val::Scalar(steps) => vec![Column { labels: Labels::default(), drop_name: false, steps }],
        Val::Vector(columns) => finish(columns)?,
        Val::Text(_) => return Err(wrong("a string has no range")),
    };
    let mut rows = Vec::with_capacity(columns.len());
    let mut histograms = Vec::new();
    for Column { labels, steps, .. } in columns {
        if steps.has_histograms() {
            let present = (0..grid.count).filter_map(|step| Some((grid.at(step), steps.histogram(step)?.clone())));
            let points: Vec<(i64, Arc<Histogram>)> = present.collect();
            if !points.is_empty() {
                histograms.push((labels.clone(), points));
            }
        }
        let present = steps.iter().enumerate().filter(|(_, value)| !is_absent(**value));
        let samples: Vec<Sample> =
            present.map(|(step, value)| Sample { at_ms: grid.at(step), value: *value }).collect();
        if !samples.is_empty() {
            rows.push((labels, samples));
        }
    }
    rows.sort_by(|a, b| a.0.cmp(&b.0));
    histograms.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(answer(engine, Value::Matrix(rows), histograms, eval_time, begun))
}

fn in_time(at_ms: i64) -> Result<(), QueryError> {
    if at_ms.unsigned_abs() > TIME_MS_MAX.unsigned_abs() {
        return Err(wrong(format!("time {at_ms} ms is out of range")));
    }
    Ok(())
}

/// Drops the names that were to be dropped, which must leave no two series alike.
fn finish(mut columns: Vec<Column>) -> Result<Vec<Column>, QueryError> {
    for column in &mut columns {
        if column.drop_name {
            column.labels = without_schema(&column.labels);
        }
        column.drop_name = false;
    }
    functions::labels::merge_same(columns)
}

fn answer(
    engine: Engine<'_>,
    value: Value,
    histograms: Vec<HistogramRow>,
    eval_time: Duration,
    begun: Instant,
) -> Answer {
    let used = engine.meter.used();
    let stats = Stats {
        samples_queryable: engine.tally.total.all,
        samples_new: engine.tally.total.new,
        samples_peak: engine.meter.peak() / SAMPLE_BYTES,
        per_step: engine.tally.by_time(engine.query),
        chunks_read: used.chunks,
        bytes_read: used.bytes,
        bytes_peak: engine.meter.peak(),
        select_time: engine.meter.select_time(),
        eval_time,
        sort_time: begun.elapsed().saturating_sub(eval_time),
    };
    let missing = engine.meter.missing();
    let (mut warnings, infos) = engine.notes.finish();
    warnings.extend(missing);
    let explain = engine.explainer.and_then(Explainer::finish);
    let (samples_read, series_read) = (used.samples, used.series);
    Answer { value, histograms, warnings, infos, samples_read, series_read, stats, explain }
}

fn parse_error(text: &str, fault: lexer::Fault) -> QueryError {
    let (line, column) = if text.is_empty() { (0, 0) } else { notes::line_and_column(text, fault.span.start) };
    QueryError::Parse { start: fault.span.start, end: fault.span.end, line, column, reason: fault.reason }
}
