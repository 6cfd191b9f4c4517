//! Which labels a query needs of a line, so that parsers make no others.
//!
//! This is Loki's own optimisation and shows in answers: a line is not parsed, and so has no parse error, where no label is used; and a
//! line is refused as soon as a parser makes a label that a filter of the pipeline refuses, wherever that filter stands.

use std::sync::Arc;

use super::label_filter::Filter;
use super::labels::{DUPLICATE_SUFFIX, ERROR, Labels};

#[derive(Debug, Default)]
pub(super) struct Hints {
    /// No label of a line is used.
    none: bool,
    /// Only these are used; empty: any may be.
    required: Vec<String>,
    /// The query names `__error__`.
    pub(super) preserve_error: bool,
    /// Filters on one label each.
    filters: Vec<(String, Arc<Filter>)>,
}

/// What a query makes of a pipeline's labels.
pub(super) struct Use<'a> {
    /// Labels that stages and filters name.
    pub(super) required: Vec<String>,
    pub(super) groups: &'a [String],
    pub(super) without: bool,
    /// The samples have no labels.
    pub(super) no_labels: bool,
    /// The label that is unwrapped.
    pub(super) unwrapped: Option<&'a str>,
}

impl Hints {
    pub(super) fn new(asked: &Use<'_>, filters: &[Arc<Filter>]) -> Hints {
        let mut required: Vec<String> = Vec::new();
        let named = asked.required.iter().chain(asked.groups).map(String::as_str).chain(asked.unwrapped);
        for name in named.filter(|name| !name.is_empty()) {
            // A parser asks before it knows whether its label gets the suffix.
            for name in [Some(name), name.strip_suffix(DUPLICATE_SUFFIX)].into_iter().flatten() {
                if !required.iter().any(|known| known == name) {
                    required.push(name.to_owned());
                }
            }
        }
        let preserve_error = required.iter().any(|name| name == ERROR);
        let filters =
            || filters.iter().filter_map(|filter| Some((filter.one_label()?.to_owned(), filter.clone()))).collect();
        if asked.no_labels {
            return match required.is_empty() {
                true => Hints { none: true, ..Hints::default() },
                false => Hints { none: false, required, preserve_error, filters: filters() },
            };
        }
        // Without a list of labels to keep any of them may be kept.
        if asked.without || asked.groups.is_empty() {
            return Hints { filters: filters(), ..Hints::default() };
        }
        Hints { none: false, required, preserve_error, filters: Vec::new() }
    }

    /// Whether a parser need not look at the line.
    pub(super) fn no_labels(&self, labels: &Labels<'_>) -> bool {
        self.none || self.all_parsed(labels)
    }

    /// Whether all that is needed was found.
    pub(super) fn all_parsed(&self, labels: &Labels<'_>) -> bool {
        !self.required.is_empty() && self.required.iter().all(|name| labels.was_parsed(name))
    }

    pub(super) fn wants(&self, name: &str) -> bool {
        self.required.is_empty() || self.required.iter().any(|required| required == name)
    }

    /// Whether a label that is needed can begin so.
    pub(super) fn wants_prefix(&self, prefix: &str) -> bool {
        self.required.is_empty() || self.required.iter().any(|required| required.starts_with(prefix))
    }

    /// Whether a filter looks at a label of this name alone.
    pub(super) fn filters(&self, name: &str) -> bool {
        self.filters.iter().any(|(filtered, _)| filtered == name)
    }

    /// Whether no filter refuses the line for the label that was just made.
    pub(super) fn goes_on(&self, name: &str, labels: &mut Labels<'_>) -> bool {
        match self.filters.iter().find(|(filtered, _)| filtered == name) {
            Some((_, filter)) => filter.accepts(labels),
            None => true,
        }
    }

    /// The labels that alone are used; `None` when any may be.
    pub(super) fn required(&self) -> Option<&[String]> {
        if self.none { Some(&[]) } else { Some(&*self.required).filter(|required| !required.is_empty()) }
    }
}
