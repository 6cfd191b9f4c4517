//! Templates of labels and annotations: the part of Go's `text/template` that Prometheus rules use, with Prometheus' functions.
//!
//! A template's cost is bounded whatever it says: output, steps, nesting and queries have limits. A label that does not exist
//! is empty. Numbers are printed as Go prints them.

mod functions;
mod number;
mod parse;
mod printf;
mod run;
mod scan;

use std::collections::BTreeMap;

use model::Labels;

/// Longest text of a template, in bytes; an annotation that needs more is no annotation.
pub const TEMPLATE_BYTES_MAX: usize = 64 << 10;
/// Longest output of a template, in bytes. Slack and PagerDuty take far less.
pub const OUTPUT_BYTES_MAX: usize = 64 << 10;
/// Most nodes visited by one expansion; a `range` over a large query result ends here.
const STEPS_MAX: usize = 100_000;
/// Deepest nesting of blocks, parentheses and template calls.
const DEPTH_MAX: usize = 50;
/// Most queries of one expansion.
const QUERIES_MAX: usize = 20;

/// What is wrong with a template, on which of its lines.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("template line {line}: {reason}")]
pub struct TemplateError {
    pub line: usize,
    pub reason: String,
}

/// A parsed template.
#[derive(Debug, Clone)]
pub struct Template {
    body: Vec<parse::Node>,
    defined: BTreeMap<String, Vec<parse::Node>>,
}

/// What a template speaks of: `.Labels`, `.Value` and so on, and the variables `$labels`, `$value`.
#[derive(Debug, Clone)]
pub struct Data<'a> {
    pub labels: &'a Labels,
    pub value: f64,
    pub external_labels: &'a Labels,
    pub external_url: &'a str,
}

/// Answers `query "…"` at the evaluation's time: the vector, or the error in words.
pub type Query<'a> = dyn FnMut(&str) -> Result<Vec<(Labels, f64)>, String> + 'a;

/// What a pipeline yields.
#[derive(Debug, Clone)]
enum Value {
    Nil,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    Labels(Labels),
    Sample(Labels, f64),
    Samples(Vec<(Labels, f64)>),
    /// What `args` makes.
    Map(BTreeMap<String, Value>),
    /// The root: [`Data`].
    Data,
}

impl Template {
    /// Parses and checks that every function and variable exists.
    pub fn parse(text: &str) -> Result<Template, TemplateError> {
        parse::parse(text)
    }

    pub fn expand(&self, data: &Data<'_>, query: &mut Query<'_>) -> Result<String, TemplateError> {
        run::run(self, data, query)
    }

    /// As [`Template::expand`], with the error as the text: an alert with a broken annotation is better than none.
    pub fn expand_or_error(&self, data: &Data<'_>, query: &mut Query<'_>) -> String {
        self.expand(data, query).unwrap_or_else(|error| format!("<error expanding template: {error}>"))
    }
}

#[cfg(test)]
mod tests;
