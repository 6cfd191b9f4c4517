//! Samples: what a range aggregation makes of the entries of its pipeline.

use std::sync::Arc;

use super::super::ast::{Conversion, Grouping, RangeAggregation, RangeOp, VectorOp};
use super::super::error::ParseError;
use super::super::units;
use super::hints::{Hints, Use};
use super::label_filter::Filter;
use super::labels::{ERROR, ERROR_DETAILS, Labels, PRESERVE_ERROR, SAMPLE_ERROR};
use super::{Entry, Passed, Pipeline, Reads, Scratch, Step, filters, steps};

/// The pipeline of a range aggregation, and what is measured of the entries that pass it.
#[derive(Debug)]
pub struct Extractor {
    pipeline: Pipeline,
    measure: Measure,
    /// What is left of the labels; `None` for all of them.
    grouping: Option<Grouping>,
    /// The samples have no labels at all.
    no_labels: bool,
}

#[derive(Debug)]
enum Measure {
    /// 1
    Count,
    /// The line's length.
    Bytes,
    Label {
        name: String,
        conversion: Conversion,
        filters: Vec<Arc<Filter>>,
    },
}

/// One sample.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    pub value: f64,
    /// In order of names. With an error all labels of the entry, the error among them: unless a later stage takes it out, Loki refuses the
    /// query with "pipeline error".
    pub labels: Vec<(String, String)>,
    /// Whether the entry has an error that the query did not ask for.
    pub has_error: bool,
}

impl Extractor {
    /// `outer` is the grouping of a `sum` around an aggregation that has none of its own, for the operations whose samples may be summed as
    /// they come: see [`Extractor::takes_outer`]. It makes labels fewer and parsing cheaper, and, as in Loki, changes which lines have errors.
    ///
    /// # Errors
    /// As of [`Pipeline::new`].
    pub fn new(range: &RangeAggregation, outer: Option<&Grouping>) -> Result<Extractor, ParseError> {
        let grouping = outer.or(range.grouping.as_ref());
        let no_labels = range.op == RangeOp::Absent || grouping.is_some_and(Grouping::is_single);
        let mut grouping = grouping.cloned().filter(|grouping| !grouping.labels.is_empty());
        let mut steps = steps(&range.range.log.stages)?;
        if !matches!(range.op, RangeOp::Bytes | RangeOp::BytesRate) {
            leave_out_unread_lines(&mut steps);
        }
        let mut pipeline = Pipeline { steps, hints: Hints::default() };
        let mut all_filters = filters(&pipeline.steps);
        let mut required = pipeline.names();
        let measure = match &range.range.unwrap {
            Some(unwrap) => {
                let mut after = Vec::with_capacity(unwrap.filters.len());
                for filter in &unwrap.filters {
                    after.extend(Filter::behind_unwrap(filter)?.map(Arc::new));
                }
                after.iter().for_each(|filter| filter.names(&mut required));
                // Loki joins several into one, which it does not look into.
                all_filters.extend(after.iter().filter(|_| after.len() == 1).cloned());
                // The label that is unwrapped is none of the sample's, unless a grouping names it.
                match &mut grouping {
                    Some(grouping) if grouping.without => grouping.labels.push(unwrap.label.clone()),
                    Some(_) => {}
                    None => grouping = Some(Grouping { without: true, labels: vec![unwrap.label.clone()] }),
                }
                let (name, conversion) = (unwrap.label.clone(), unwrap.conversion);
                Measure::Label { name, conversion, filters: after }
            }
            None if matches!(range.op, RangeOp::Bytes | RangeOp::BytesRate) => Measure::Bytes,
            None => Measure::Count,
        };
        let asked = Use {
            required,
            groups: grouping.as_ref().map_or(&[], |grouping| &grouping.labels),
            without: grouping.as_ref().is_some_and(|grouping| grouping.without),
            no_labels,
            unwrapped: match &measure {
                Measure::Label { name, .. } => Some(name),
                _ => None,
            },
        };
        pipeline.hints = Hints::new(&asked, &all_filters);
        Ok(Extractor { pipeline, measure, grouping, no_labels })
    }

    /// Whether an aggregation around this one may hand its grouping in.
    pub fn takes_outer(outer: VectorOp, range: &RangeAggregation) -> bool {
        use RangeOp::{Bytes, BytesRate, Count, Rate, Sum};
        let sums = matches!(range.op, Bytes | BytesRate | Sum | Rate | Count);
        outer == VectorOp::Sum && range.grouping.is_none() && sums
    }

    /// Which labels of an entry the samples depend on; others need not be brought. (An entry with an error shows all of its labels; it then
    /// shows those that were brought.)
    pub fn reads(&self) -> Reads {
        if self.pipeline.reads_all() {
            return Reads::All;
        }
        let groups = match &self.grouping {
            _ if self.no_labels => &[][..],
            Some(grouping) if !grouping.without => &grouping.labels,
            _ => return Reads::All,
        };
        let mut names = self.pipeline.names();
        names.extend(groups.iter().cloned());
        if let Measure::Label { name, filters, .. } = &self.measure {
            names.push(name.clone());
            filters.iter().for_each(|filter| filter.names(&mut names));
        }
        if self.pipeline.parses() {
            // Whether a parser's label gets the suffix hangs on the labels of its name.
            match self.pipeline.hints.required() {
                Some(required) => names.extend(required.iter().cloned()),
                None => return Reads::All,
            }
        }
        let is_plain = self.pipeline.only_filters() && !matches!(self.measure, Measure::Label { .. });
        if !is_plain && !names.is_empty() {
            // Sent with an entry they are its errors, as those of stages are.
            names.extend([ERROR, ERROR_DETAILS, PRESERVE_ERROR].map(str::to_owned));
        }
        names.sort();
        names.dedup();
        Reads::Only(names)
    }

    /// The pipeline, for what its line filters tell an index.
    pub fn pipeline(&self) -> &Pipeline {
        &self.pipeline
    }

    /// The value of one entry whose line [`Pipeline::may_pass`] let through; `None` when it is refused, or lacks the label that is unwrapped.
    /// `labels` becomes those of the sample, in order
    /// of names, in the memory that it has; an error is among them as `__error__`.
    pub fn run(&self, entry: &Entry<'_>, scratch: &mut Scratch, labels: &mut Vec<(String, String)>) -> Option<f64> {
        self.visit(entry, scratch, |value, found| {
            labels.truncate(found.len());
            for (at, (name, text)) in found.iter().enumerate() {
                match labels.get_mut(at) {
                    Some(known) => {
                        known.0.clear();
                        known.0.push_str(name);
                        known.1.clear();
                        known.1.push_str(text);
                    }
                    None => labels.push(((*name).to_owned(), (*text).to_owned())),
                }
            }
            value
        })
    }

    /// As [`Extractor::run`], of any entry, with labels of its own.
    pub fn sample(&self, entry: &Entry<'_>, scratch: &mut Scratch) -> Option<Sample> {
        let mut labels = Vec::new();
        if !self.pipeline.may_pass(entry.line) {
            return None;
        }
        let value = self.run(entry, scratch, &mut labels)?;
        let value_of = |name: &str| labels.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
        let has_error = value_of(ERROR).is_some() && value_of(PRESERVE_ERROR) != Some("true");
        Some(Sample { value, labels, has_error })
    }

    /// As [`Extractor::run`], showing the labels where they lie.
    pub fn visit<R>(
        &self,
        entry: &Entry<'_>,
        scratch: &mut Scratch,
        found: impl FnOnce(f64, &[(&str, &str)]) -> R,
    ) -> Option<R> {
        let Passed { line, mut labels } = self.pipeline.run_passing(entry, scratch)?;
        let Some(value) = self.measure(&line, &mut labels) else {
            scratch.recycle(labels);
            return None;
        };
        let mut left = scratch.grouped.take();
        if !self.no_labels || !labels.error().is_empty() {
            labels.grouped(self.grouping.as_ref(), &mut left);
        }
        let answer = found(value, &left);
        scratch.grouped.put(left);
        scratch.recycle(labels);
        Some(answer)
    }

    fn measure(&self, line: &str, labels: &mut Labels<'_>) -> Option<f64> {
        match &self.measure {
            Measure::Count => Some(1.0),
            Measure::Bytes => Some(line.len() as f64),
            Measure::Label { name, conversion, filters } => {
                let text = labels.get(name).filter(|text| !text.is_empty())?;
                let converted = match conversion {
                    Conversion::Float => units::float(text),
                    Conversion::Bytes => units::bytes(text).map(|bytes| bytes as f64),
                    Conversion::Duration | Conversion::DurationSeconds => units::go_duration(text).map(units::seconds),
                };
                let value = converted.unwrap_or_else(|reason| {
                    labels.set_error(SAMPLE_ERROR);
                    labels.set_details(reason);
                    0.0
                });
                // Each is asked, since each may set an error.
                let refused = filters.iter().filter(|filter| !filter.accepts(labels)).count();
                (refused == 0).then_some(value)
            }
        }
    }
}

/// Takes out each `line_format` whose line no stage behind it reads. As in Loki its template has no say then: neither its errors, nor the
/// labels that it names.
fn leave_out_unread_lines(steps: &mut Vec<Step>) {
    let last_read = steps.iter().rposition(|step| matches!(step, Step::Lines(_) | Step::Parser(_)));
    let mut at = 0..;
    steps.retain(|step| at.next() < last_read || !matches!(step, Step::LineFormat(_)));
}
