//! Templates over an entry: Loki's functions for `line_format` and `label_format`, most of them of the `sprig` package.

mod functions;
mod numbers;
mod signature;
mod texts;

use std::any::Any;
use std::collections::BTreeMap;

use foldhash::HashMap;
use model::go_regex;
use regex::Regex;
use template::{CallError, Command, Language, Object, Set, Template, Value, kind};

use super::labels::{ERROR, ERROR_DETAILS, Labels};

/// What Loki calls the templates of its stages, as it shows in errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Of {
    Line,
    Label,
}

impl Of {
    fn as_str(self) -> &'static str {
        match self {
            Of::Line => "line",
            Of::Label => "label",
        }
    }
}

/// Parses a template of a stage.
pub(super) fn parse(of: Of, text: &str) -> Result<Template, String> {
    let functions = |name: &str| signature::exists(name);
    let language = Language { functions: &functions, variables: &[], strict: true };
    Template::parse(text, &language, &Set::default())
        .map_err(|error| format!("template: {}:{}: {}", of.as_str(), error.line, error.reason))
}

/// What a run needs beside the labels.
pub(super) struct Around<'a> {
    pub(super) line: &'a str,
    pub(super) ts_ns: i64,
    pub(super) now_ns: i64,
    pub(super) regexes: &'a mut Regexes,
}

/// Patterns that templates asked for, compiled. Those of one run take no more than those of one query may; others are kept as long as
/// there is room.
#[derive(Debug, Default)]
pub(super) struct Regexes {
    known: HashMap<String, Known>,
    /// Of all that are known, and of those that the run asked for.
    bytes: usize,
    used: usize,
    run: u64,
}

#[derive(Debug)]
struct Known {
    regex: Regex,
    bytes: usize,
    /// Which asked for it last.
    run: u64,
}

impl Regexes {
    /// Whether a run ends by its patterns must not depend on what runs before it asked for.
    fn begin(&mut self) {
        self.run += 1;
        self.used = 0;
    }

    fn get(&mut self, pattern: &str) -> Result<&Regex, String> {
        let run = self.run;
        if !self.known.contains_key(pattern) {
            let (regex, bytes) = go_regex::compile_measured(pattern)?;
            if self.bytes + bytes > go_regex::TOGETHER_BYTES_MAX {
                self.known.retain(|_, known| known.run == run);
                self.bytes = self.used;
            }
            self.bytes += bytes;
            self.known.insert(pattern.to_owned(), Known { regex, bytes, run: 0 });
        }
        let known = self.known.get_mut(pattern).ok_or("the pattern is not kept")?;
        if known.run != run {
            known.run = run;
            self.used += known.bytes;
        }
        if self.used > go_regex::TOGETHER_BYTES_MAX {
            let limit = go_regex::TOGETHER_BYTES_MAX;
            return Err(format!("the patterns of a template compile to more than {limit} bytes"));
        }
        Ok(&known.regex)
    }
}

/// Runs a template over labels. An error is worded as Go words it.
pub(super) fn run(of: Of, template: &Template, labels: &dyn Object, around: &mut Around<'_>) -> Result<String, String> {
    // All that a run asks for is compiled before anybody looks at the clock again.
    around.regexes.begin();
    let mut functions = |name: &str, arguments: &[Value]| {
        signature::check(name, arguments)?;
        functions::call(name, arguments, around).map_err(CallError::from)
    };
    template.run(labels, Vec::new(), &mut functions).map_err(|error| {
        let name = of.as_str();
        match error.command {
            Some(Command { line, column, text }) => {
                format!("template: {name}:{line}:{column}: executing {name:?} at <{text}>: {}", error.reason)
            }
            None => format!("template: {name}:{}: {}", error.line, error.reason),
        }
    })
}

/// The labels as Go's `map[string]string`; an absent one is empty.
#[derive(Debug)]
pub(super) struct Live<'l, 'a>(pub(super) &'l Labels<'a>);

/// The labels as they were when a stage began.
#[derive(Debug)]
pub(super) struct Snapshot(pub(super) BTreeMap<String, String>);

impl Snapshot {
    pub(super) fn of(labels: &Labels<'_>) -> Snapshot {
        Snapshot(labels.all().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }
}

trait LabelMap: std::fmt::Debug {
    fn get(&self, name: &str) -> String;
    fn sorted(&self) -> BTreeMap<String, String>;
}

impl LabelMap for Live<'_, '_> {
    fn get(&self, name: &str) -> String {
        match name {
            ERROR => self.0.error(),
            ERROR_DETAILS => self.0.error_details(),
            _ => self.0.get(name).unwrap_or_default(),
        }
        .to_owned()
    }

    fn sorted(&self) -> BTreeMap<String, String> {
        Snapshot::of(self.0).0
    }
}

impl LabelMap for Snapshot {
    fn get(&self, name: &str) -> String {
        self.0.get(name).cloned().unwrap_or_default()
    }

    fn sorted(&self) -> BTreeMap<String, String> {
        self.0.clone()
    }
}

macro_rules! label_map {
    ($type:ty) => {
        impl Object for $type {
            fn kind(&self) -> &'static str {
                "map[string]string"
            }

            fn show(&self) -> String {
                let pairs: Vec<String> = self.sorted().iter().map(|(name, value)| format!("{name}:{value}")).collect();
                format!("map[{}]", pairs.join(" "))
            }

            fn field(&self, name: &str) -> Result<Value, String> {
                Ok(Value::Text(LabelMap::get(self, name)))
            }

            fn index(&self, key: &Value) -> Result<Value, String> {
                match key {
                    Value::Text(name) => self.field(name),
                    other => Err(format!("cannot index map with type {}", kind(other))),
                }
            }

            fn items(&self) -> Option<Vec<(Value, Value)>> {
                Some(self.sorted().into_iter().map(|(name, value)| (name.into(), value.into())).collect())
            }

            fn as_any(&self) -> &dyn Any {
                &()
            }
        }
    };
}
label_map!(Live<'_, '_>);
label_map!(Snapshot);
