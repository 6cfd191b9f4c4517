//! Pipelines: what a log expression does with each entry of its streams.
//!
//! A [`Pipeline`] is compiled once for a query and run over entries one by one; it reads nothing but the entry. Lines are looked at as they
//! lie in memory: an entry that a filter refuses costs no allocation. What comes out, errors and all, is what Loki's would be.

mod decimal;
mod go_time;
mod go_types;
mod hints;
mod ip;
mod json_path;
mod json_scan;
mod label_filter;
mod labels;
mod logfmt;
mod parsers;
mod pattern;
mod required;
mod sample;
mod sanitize;
mod simple_regex;
mod stages;
mod template;
mod terms;
mod text_filter;

use std::borrow::Cow;
use std::sync::Arc;

use self::hints::{Hints, Use};
use self::label_filter::Filter;
use self::parsers::{Borrowed, Copied, Parser};
use self::stages::{LabelFormats, LineFormat};
use self::template::{Around, Regexes};
use self::text_filter::TextFilter;
use super::ast::{self, LogExpr, NamedMatcher, Stage};
use super::error::ParseError;

pub use self::labels::{DUPLICATE_SUFFIX, ERROR, ERROR_DETAILS, Labels, PRESERVE_ERROR, Pair};
pub(crate) use self::logfmt::Decoder as LogfmtDecoder;
pub use self::sample::{Extractor, Sample};
pub(crate) use self::sanitize::json_label;

/// A log record as Loki would hold it.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    pub ts_ns: i64,
    pub line: &'a str,
    /// In order of names, each once.
    pub stream: &'a [Pair<'a>],
    /// Structured metadata: each name once, none that the stream has (it would have [`DUPLICATE_SUFFIX`] behind it). Labels that
    /// [`Pipeline::reads`] does not name may be left out.
    pub metadata: &'a [Pair<'a>],
}

/// What passed a pipeline.
#[derive(Debug)]
pub struct Passed<'a> {
    pub line: Cow<'a, str>,
    pub labels: Labels<'a>,
}

/// Memory that runs use again and again; one for each thread of a query.
#[derive(Debug)]
pub struct Scratch {
    now_ns: i64,
    labels: labels::Scratch,
    grouped: labels::PairsScratch,
    regexes: Regexes,
    /// Of the entry that ran last.
    distinct: Option<u128>,
}

impl Scratch {
    /// `now_ns` is what the template function `now` answers.
    pub fn new(now_ns: i64) -> Scratch {
        Scratch {
            now_ns,
            labels: labels::Scratch::default(),
            grouped: labels::PairsScratch::default(),
            regexes: Regexes::default(),
            distinct: None,
        }
    }

    /// The hash of the values that `distinct` looks at of the entry that ran last; `None` when it did not come so far. A stage behind may have
    /// refused the entry.
    pub fn distinct(&self) -> Option<u128> {
        self.distinct
    }

    /// Takes the labels of an entry back when they were read, so that the next entry needs no memory of its own.
    pub fn recycle(&mut self, labels: Labels<'_>) {
        self.labels.recycle(labels);
    }
}

/// Which labels of an entry a query looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reads {
    All,
    /// These, sorted; perhaps none.
    Only(Vec<String>),
}

/// A log expression's stages, compiled, in the order in which they run.
#[derive(Debug)]
pub struct Pipeline {
    steps: Vec<Step>,
    hints: Hints,
}

#[derive(Debug)]
enum Step {
    /// All must hold of the line; the cheapest first.
    Lines(Vec<TextFilter>),
    Parser(Parser),
    Labels(Arc<Filter>),
    LineFormat(LineFormat),
    LabelFormat(LabelFormats),
    Decolorize,
    Drop(Vec<NamedMatcher>),
    Keep(Vec<NamedMatcher>),
    Distinct(Vec<String>),
}

impl Pipeline {
    /// The pipeline of a log query: all labels are wanted.
    ///
    /// # Errors
    /// A pattern, template, path or expression in a stage that does not compile.
    pub fn new(log: &LogExpr) -> Result<Pipeline, ParseError> {
        let steps = steps(&log.stages)?;
        let asked = Use { required: Vec::new(), groups: &[], without: false, no_labels: false, unwrapped: None };
        // What a filter behind `distinct` refuses was counted there.
        let before = steps.iter().position(|step| matches!(step, Step::Distinct(_))).unwrap_or(steps.len());
        let hints = Hints::new(&asked, &filters(&steps[..before]));
        Ok(Pipeline { steps, hints })
    }

    /// Whether every entry passes unchanged.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Whether line filters are all there is: what passes does so unchanged.
    pub fn only_filters(&self) -> bool {
        matches!(self.steps.as_slice(), [] | [Step::Lines(_)])
    }

    /// Whether the line filters that come first let a line through: before anything else of its entry is looked at.
    pub fn may_pass(&self, line: &str) -> bool {
        match self.steps.first() {
            Some(Step::Lines(filters)) => filters.iter().all(|filter| filter.accepts(line)),
            _ => true,
        }
    }

    /// Whether an entry that `distinct` looked at can be refused behind it.
    pub(crate) fn refuses_distinct(&self) -> bool {
        let mut steps = self.steps.iter().skip_while(|step| !matches!(step, Step::Distinct(_)));
        steps.any(|step| matches!(step, Step::Lines(_) | Step::Labels(_)))
    }

    /// Runs over one entry; `None` when it is refused.
    pub fn run<'a>(&self, entry: &Entry<'a>, scratch: &mut Scratch) -> Option<Passed<'a>> {
        scratch.distinct = None;
        // Most entries end here, before any label is looked at.
        if self.may_pass(entry.line) { self.run_passing(entry, scratch) } else { None }
    }

    /// As [`Pipeline::run`], over an entry whose line [`Pipeline::may_pass`] let through.
    pub fn run_passing<'a>(&self, entry: &Entry<'a>, scratch: &mut Scratch) -> Option<Passed<'a>> {
        let steps = match self.steps.as_slice() {
            [Step::Lines(_), rest @ ..] => rest,
            all => all,
        };
        scratch.distinct = None;
        let mut labels = scratch.labels.start(entry.stream, entry.metadata);
        match self.rest(steps, entry, &mut labels, scratch) {
            Some(line) => Some(Passed { line, labels }),
            None => {
                scratch.labels.recycle(labels);
                None
            }
        }
    }

    fn rest<'a>(
        &self,
        steps: &[Step],
        entry: &Entry<'a>,
        labels: &mut Labels<'a>,
        scratch: &mut Scratch,
    ) -> Option<Cow<'a, str>> {
        let mut line = Cow::Borrowed(entry.line);
        for step in steps {
            match step {
                Step::Lines(filters) => {
                    if !filters.iter().all(|filter| filter.accepts(&line)) {
                        return None;
                    }
                }
                Step::Parser(parser) => {
                    let made = match &line {
                        Cow::Borrowed(line) => parser.run::<Borrowed>(line, labels, &self.hints)?,
                        Cow::Owned(line) => parser.run::<Copied>(line, labels, &self.hints)?,
                    };
                    if let Some(made) = made {
                        line = made;
                    }
                }
                Step::Labels(filter) => {
                    if !filter.accepts(labels) {
                        return None;
                    }
                }
                Step::LineFormat(format) => {
                    if let Some(made) = format.run(labels, &mut around(entry, &line, scratch)) {
                        line = Cow::Owned(made);
                    }
                }
                Step::LabelFormat(formats) => formats.run(labels, &mut around(entry, &line, scratch)),
                Step::Decolorize => {
                    if let Some(plain) = stages::decolorized(&line) {
                        line = Cow::Owned(plain);
                    }
                }
                Step::Drop(matchers) => stages::drop_labels(matchers, labels),
                Step::Keep(matchers) => stages::keep_labels(matchers, labels),
                Step::Distinct(names) => scratch.distinct = Some(stages::hash_of(names, labels)),
            }
        }
        Some(line)
    }

    /// The labels of the stream and of the structured metadata that the stages look at. Log queries show all labels, so that their callers
    /// need all of them in any case; for samples [`Extractor::reads`] says more.
    fn names(&self) -> Vec<String> {
        let mut names = Vec::new();
        for step in &self.steps {
            step.names(&mut names);
        }
        names
    }

    fn parses(&self) -> bool {
        self.steps.iter().any(|step| matches!(step, Step::Parser(_)))
    }

    /// Whether a stage looks at labels without naming them.
    fn reads_all(&self) -> bool {
        self.steps.iter().any(|step| match step {
            Step::Drop(_) | Step::Keep(_) => true,
            Step::LineFormat(format) => format.reads_all(),
            Step::LabelFormat(formats) => formats.reads_all(),
            _ => false,
        })
    }
}

fn around<'a>(entry: &Entry<'_>, line: &'a str, scratch: &'a mut Scratch) -> Around<'a> {
    Around { line, ts_ns: entry.ts_ns, now_ns: scratch.now_ns, regexes: &mut scratch.regexes }
}

impl Step {
    /// Adds the labels that it looks at, as Loki counts them: parsers, `drop` and `keep` name none.
    fn names(&self, names: &mut Vec<String>) {
        match self {
            Step::Labels(filter) => filter.names(names),
            Step::LineFormat(format) => format.names(names),
            Step::LabelFormat(formats) => formats.names(names),
            Step::Distinct(looked_at) => names.extend_from_slice(looked_at),
            Step::Lines(_) | Step::Parser(_) | Step::Decolorize | Step::Drop(_) | Step::Keep(_) => {}
        }
    }
}

/// Label filters that are no combinations of filters.
fn filters(steps: &[Step]) -> Vec<Arc<Filter>> {
    let of_step = |step: &Step| match step {
        Step::Labels(filter) => Some(filter.clone()),
        _ => None,
    };
    steps.iter().filter_map(of_step).collect()
}

/// Compiles stages and brings them into Loki's order: line filters go before the stages around them, up to the nearest label filter,
/// `line_format`, `unpack` or `distinct`. So a filter that stands behind `decolorize` sees the line with its colours.
fn steps(stages: &[Stage]) -> Result<Vec<Step>, ParseError> {
    let mut steps = Vec::with_capacity(stages.len());
    let (mut lines, mut others): (Vec<TextFilter>, Vec<Step>) = (Vec::new(), Vec::new());
    let flush = |steps: &mut Vec<Step>, lines: &mut Vec<TextFilter>, others: &mut Vec<Step>| {
        lines.retain(|filter| !filter.takes_all());
        lines.sort_by_key(TextFilter::cost);
        if !lines.is_empty() {
            steps.push(Step::Lines(std::mem::take(lines)));
        }
        steps.append(others);
    };
    for stage in stages {
        let (step, ends) = match stage {
            Stage::LineFilter(filter) => {
                lines
                    .push(TextFilter::of_line(filter).map_err(|reason| ParseError::stage(&stage.to_string(), reason))?);
                continue;
            }
            Stage::LabelFilter(filter) => {
                flush(&mut steps, &mut lines, &mut others);
                steps.extend(Filter::new(filter)?.map(|filter| Step::Labels(Arc::new(filter))));
                continue;
            }
            Stage::Parser(parser) => (Step::Parser(Parser::new(parser)?), *parser == ast::Parser::Unpack),
            Stage::LineFormat(template) => (Step::LineFormat(LineFormat::new(template)?), true),
            Stage::LabelFormat(formats) => (Step::LabelFormat(LabelFormats::new(formats)?), false),
            Stage::Decolorize => (Step::Decolorize, false),
            Stage::Drop(matchers) => (Step::Drop(matchers.clone()), false),
            Stage::Keep(matchers) => (Step::Keep(matchers.clone()), false),
            Stage::Distinct(names) => (Step::Distinct(names.clone()), true),
        };
        others.push(step);
        if ends {
            flush(&mut steps, &mut lines, &mut others);
        }
    }
    flush(&mut steps, &mut lines, &mut others);
    Ok(steps)
}
