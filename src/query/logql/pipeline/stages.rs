//! Stages that change what is there: formats, `decolorize`, `drop`, `keep`.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::LazyLock;

use model::go_regex;
use regex::Regex;
use template::Template;

use super::super::ast::{LabelFormat, NamedMatcher};
use super::super::error::ParseError;
use super::labels::{ERROR, ERROR_DETAILS, Labels, PRESERVE_ERROR, TEMPLATE_ERROR, is_error};
use super::template::{self as functions, Around, Live, Of, Snapshot};

/// `line_format`, compiled.
#[derive(Debug)]
pub(super) struct LineFormat {
    template: Template,
}

impl LineFormat {
    pub(super) fn new(text: &str) -> Result<LineFormat, ParseError> {
        let stage = format!("| line_format {}", super::super::units::quote(text));
        let template = functions::parse(Of::Line, text)
            .map_err(|reason| ParseError::stage(&stage, format!("invalid line template: {reason}")))?;
        Ok(LineFormat { template })
    }

    pub(super) fn names(&self, names: &mut Vec<String>) {
        names.extend(self.template.fields().into_iter().map(str::to_owned));
    }

    /// Whether it can show labels that it does not name.
    pub(super) fn reads_all(&self) -> bool {
        self.template.speaks_of_root()
    }

    /// The new line; `None` when the template failed, which is an error of the entry.
    pub(super) fn run(&self, labels: &mut Labels<'_>, around: &mut Around<'_>) -> Option<String> {
        if let Some(name) = self.template.only_field() {
            return Some(labels.get(name).unwrap_or_default().to_owned());
        }
        match functions::run(Of::Line, &self.template, &Live(labels), around) {
            Ok(line) => Some(line),
            Err(reason) => {
                labels.set_error(TEMPLATE_ERROR);
                labels.set_details(reason);
                None
            }
        }
    }
}

/// `label_format`, compiled.
#[derive(Debug)]
pub(super) struct LabelFormats {
    formats: Vec<Format>,
    templates: usize,
}

#[derive(Debug)]
enum Format {
    Rename { to: String, from: String },
    Template { to: String, template: Template },
}

impl LabelFormats {
    pub(super) fn new(formats: &[LabelFormat]) -> Result<LabelFormats, ParseError> {
        let stage = |reason: String| {
            let shown: Vec<String> = formats.iter().map(LabelFormat::to_string).collect();
            ParseError::stage(&format!("| label_format {}", shown.join(",")), reason)
        };
        let mut compiled: Vec<Format> = Vec::with_capacity(formats.len());
        let mut seen = HashSet::new();
        for format in formats {
            let to = format.to();
            if to == ERROR {
                return Err(stage(format!("{to} cannot be formatted")));
            }
            if !seen.insert(to) {
                let reason = format!("multiple label name '{to}' not allowed in a single format operation");
                return Err(stage(reason));
            }
            compiled.push(match format {
                LabelFormat::Rename { to, from } => Format::Rename { to: to.clone(), from: from.clone() },
                LabelFormat::Template { to, template } => Format::Template {
                    to: to.clone(),
                    template: functions::parse(Of::Label, template)
                        .map_err(|reason| stage(format!("invalid template for label '{to}': {reason}")))?,
                },
            });
        }
        let templates = compiled.iter().filter(|format| matches!(format, Format::Template { .. })).count();
        Ok(LabelFormats { formats: compiled, templates })
    }

    pub(super) fn names(&self, names: &mut Vec<String>) {
        for format in &self.formats {
            match format {
                Format::Rename { from, .. } => names.push(from.clone()),
                Format::Template { template, .. } => names.extend(template.fields().into_iter().map(str::to_owned)),
            }
        }
    }

    /// Whether it can show labels that it does not name.
    pub(super) fn reads_all(&self) -> bool {
        self.formats.iter().any(|format| match format {
            Format::Rename { .. } => false,
            Format::Template { template, .. } => template.speaks_of_root(),
        })
    }

    pub(super) fn run(&self, labels: &mut Labels<'_>, around: &mut Around<'_>) {
        // All templates of a stage see the labels as they were at the first of them.
        let mut before: Option<Snapshot> = None;
        for format in &self.formats {
            match format {
                Format::Rename { to, from } => {
                    if let Some(value) = labels.get(from).map(str::to_owned) {
                        labels.set(Cow::Owned(to.clone()), Cow::Owned(value));
                        labels.delete(Cow::Owned(from.clone()));
                    }
                }
                Format::Template { to, template } => {
                    let run = if self.templates > 1 {
                        // As in Loki labels are taken anew as long as there were none.
                        let before = match before.take().filter(|before| !before.0.is_empty()) {
                            Some(taken) => before.insert(taken),
                            None => before.insert(Snapshot::of(labels)),
                        };
                        functions::run(Of::Label, template, before, around)
                    } else {
                        functions::run(Of::Label, template, &Live(labels), around)
                    };
                    match run {
                        Ok(value) => labels.set(Cow::Owned(to.clone()), Cow::Owned(value)),
                        Err(reason) => {
                            labels.set_error(TEMPLATE_ERROR);
                            labels.set_details(reason);
                        }
                    }
                }
            }
        }
    }
}

/// ANSI sequences: an escape, then what sets colours, moves the cursor or names a window.
static ANSI: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let parameters = r"(?:(?:[a-zA-Z\d]*(?:;[a-zA-Z\d]*)*)?\x07)|(?:(?:\d{1,4}(?:;\d{0,4})*)?[\dA-PRZcf-ntqry=><~])";
    go_regex::compile(&format!(r"[\x1B\x{{9B}}][[\]()#;?]*(?:{parameters})")).ok()
});

/// A line without ANSI sequences; `None` when it has none.
pub(super) fn decolorized(line: &str) -> Option<String> {
    memchr::memchr2(0x1b, 0xc2, line.as_bytes())?;
    match ANSI.as_ref()?.replace_all(line, "") {
        Cow::Borrowed(_) => None,
        Cow::Owned(plain) => Some(plain),
    }
}

/// Takes away the labels that a `drop` names.
pub(super) fn drop_labels(matchers: &[NamedMatcher], labels: &mut Labels<'_>) {
    for matcher in matchers {
        let (name, is_there) = match matcher {
            NamedMatcher::Name(name) => (name, is_error(name) || labels.get(name).is_some()),
            NamedMatcher::Matcher(matcher) => {
                let value = match matcher.name.as_str() {
                    ERROR => labels.error(),
                    ERROR_DETAILS => labels.error_details(),
                    name => labels.get(name).unwrap_or_default(),
                };
                (&matcher.name, matcher.matches(value))
            }
        };
        match name.as_str() {
            _ if !is_there => {}
            ERROR => labels.clear_error(),
            ERROR_DETAILS => labels.clear_details(),
            name => labels.delete(Cow::Owned(name.to_owned())),
        }
    }
}

/// Stands for the values of some labels; one that is not there is empty.
pub(super) fn hash_of(names: &[String], labels: &Labels<'_>) -> u128 {
    let mut hasher = xxhash_rust::xxh3::Xxh3Default::new();
    for name in names {
        let value = match name.as_str() {
            ERROR => labels.error(),
            ERROR_DETAILS => labels.error_details(),
            name => labels.get(name).unwrap_or_default(),
        };
        hasher.update(&(value.len() as u64).to_le_bytes());
        hasher.update(value.as_bytes());
    }
    hasher.digest128()
}

/// Takes away all labels but those that a `keep` names; errors stay.
pub(super) fn keep_labels(matchers: &[NamedMatcher], labels: &mut Labels<'_>) {
    let keeps = |name: &str, value: &str| {
        is_error(name)
            || name == PRESERVE_ERROR
            || matchers.iter().any(|matcher| match matcher {
                NamedMatcher::Name(kept) => kept == name,
                NamedMatcher::Matcher(matcher) => matcher.name == name && matcher.matches(value),
            })
    };
    let away: Vec<String> =
        labels.all().filter(|(name, value)| !keeps(name, value)).map(|(name, _)| name.to_owned()).collect();
    for name in away {
        labels.delete(Cow::Owned(name));
    }
}
