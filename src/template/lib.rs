//! Go's `text/template`: rule annotations, notification templates and LogQL's `line_format` are written in it.
//!
//! The language and Go's built-in functions are here; every other function, and what a template speaks of, the caller brings. A
//! template's cost is bounded whatever it says: length, output, steps and nesting have limits. Numbers are printed as Go prints them.
//! Source: Go's documentation of `text/template` and `fmt`.

mod builtin;
mod fields;
mod go_time;
pub mod humanize;
pub mod number;
mod parse;
mod printf;
mod run;
mod scan;
pub mod text;
mod unquote;
mod value;
mod verb;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use builtin::{html, query_escape};
pub use go_time::{GoDuration, GoTime};
pub use printf::printf;
pub use unquote::{closing, unquoted};
pub use value::{Int64, Object, Value, truth};
pub use verb::{kind, shown};

/// Longest text of a template, in bytes; an annotation that needs more is no annotation.
pub const TEMPLATE_BYTES_MAX: usize = 64 << 10;
/// Longest output of a template, in bytes. Slack and PagerDuty take far less.
pub const OUTPUT_BYTES_MAX: usize = 64 << 10;
/// Most nodes visited by one run; a `range` over a large query result ends here.
const STEPS_MAX: usize = 100_000;
/// Deepest nesting of blocks, parentheses and template calls.
const DEPTH_MAX: usize = 50;

/// What is wrong with a template, on which of its lines.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("template line {line}: {reason}")]
pub struct TemplateError {
    pub line: usize,
    pub reason: String,
    /// The command or word that failed; for faults of a run alone.
    pub command: Option<Command>,
}

/// A command of a pipeline or a word of one, as Go's errors show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// From 1.
    pub line: usize,
    /// Bytes that stand before it on its line.
    pub column: usize,
    /// Its words with one space between them.
    pub text: String,
}

impl TemplateError {
    pub(crate) fn new(line: usize, reason: impl Into<String>) -> TemplateError {
        TemplateError { line, reason: reason.into(), command: None }
    }

    /// The innermost command counts.
    pub(crate) fn of(mut self, command: &Command) -> TemplateError {
        self.command.get_or_insert_with(|| command.clone());
        self
    }
}

/// What a template may use beside Go's own: checked when it is parsed, so that a mistake shows when a file is loaded.
pub struct Language<'a> {
    /// Whether a function of this name exists.
    pub functions: &'a dyn Fn(&str) -> bool,
    /// Variables set before every run, without their `$`.
    pub variables: &'a [&'a str],
    /// Whether it is Go's to the letter. If not, an int and a float compare as numbers, since `gt $value 10` is what people write, and
    /// the call of a template that nothing defines is a fault of the text, not of its run.
    pub strict: bool,
}

/// Named templates (`{{ define }}`) that others call: those of all template files together.
#[derive(Debug, Clone, Default)]
pub struct Set {
    defined: Arc<BTreeMap<String, Vec<parse::Node>>>,
}

/// A parsed template.
#[derive(Debug, Clone)]
pub struct Template {
    body: Vec<parse::Node>,
    defined: Arc<BTreeMap<String, Vec<parse::Node>>>,
    strict: bool,
}

/// Why a function has no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallError {
    /// It takes another count of arguments.
    Count {
        least: usize,
        /// Whether it takes more than these.
        takes_more: bool,
    },
    /// An argument is of another type than the function takes.
    Type {
        /// From 0.
        at: usize,
        /// Go's name of what is taken.
        wanted: &'static str,
    },
    Failed(String),
}

impl From<String> for CallError {
    fn from(reason: String) -> CallError {
        CallError::Failed(reason)
    }
}

/// Answers the functions that are not Go's: name and arguments (a piped value is the last) to a value, or why not.
pub type Functions<'a> = dyn FnMut(&str, &[Value]) -> Result<Value, CallError> + 'a;

impl Template {
    /// Parses and checks that every function and variable exists, and unless strict every called template. `set` is what other files define; what the
    /// text itself defines goes before it.
    pub fn parse(text: &str, language: &Language<'_>, set: &Set) -> Result<Template, TemplateError> {
        let parsed = parse::parse(text, language)?;
        let defined = match parsed.defined.is_empty() {
            true => set.defined.clone(),
            false => {
                let mut all = (*set.defined).clone();
                all.extend(parsed.defined);
                Arc::new(all)
            }
        };
        if !language.strict {
            check_calls(&parsed.calls, &defined)?;
        }
        Ok(Template { body: parsed.body, defined, strict: language.strict })
    }

    /// Runs it. `root` is what `.` and `$` stand for at the start; `variables` are those of the language, with their values.
    pub fn run(
        &self,
        root: &dyn Object,
        variables: Vec<(&str, Value)>,
        functions: &mut Functions<'_>,
    ) -> Result<String, TemplateError> {
        run::run(self, root, variables, functions)
    }
}

impl Set {
    /// The definitions of all texts; of two of one name in different texts the later one counts, as in Go. The first number of an
    /// error is the index of the text it is in.
    pub fn parse(texts: &[&str], language: &Language<'_>) -> Result<Set, (usize, TemplateError)> {
        let mut defined = BTreeMap::new();
        let mut calls = Vec::new();
        for (at, text) in texts.iter().enumerate() {
            let parsed = parse::parse(text, language).map_err(|error| (at, error))?;
            defined.extend(parsed.defined);
            calls.push(parsed.calls);
        }
        for (at, calls) in calls.iter().enumerate() {
            check_calls(calls, &defined).map_err(|error| (at, error))?;
        }
        Ok(Set { defined: Arc::new(defined) })
    }

    pub fn contains(&self, name: &str) -> bool {
        self.defined.contains_key(name)
    }
}

fn check_calls(calls: &[(String, usize)], defined: &BTreeMap<String, Vec<parse::Node>>) -> Result<(), TemplateError> {
    match calls.iter().find(|(name, _)| !defined.contains_key(name)) {
        Some((name, line)) => Err(TemplateError::new(*line, format!("template {name:?} is not defined"))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
