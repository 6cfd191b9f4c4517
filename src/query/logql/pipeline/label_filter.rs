//! Label filters.

use super::super::ast::{Compare, LabelFilter};
use super::super::error::ParseError;
use super::super::units;
use super::ip::IpPattern;
use super::labels::{ERROR, FILTER_ERROR, Labels};
use super::text_filter::TextFilter;

/// A label filter, compiled.
#[derive(Debug)]
pub(super) enum Filter {
    Text {
        name: String,
        filter: TextFilter,
    },
    Number {
        name: String,
        op: Compare,
        value: f64,
    },
    Duration {
        name: String,
        op: Compare,
        ns: i64,
    },
    Bytes {
        name: String,
        op: Compare,
        bytes: u64,
    },
    /// Without a pattern it takes no entry, but those with an error.
    Ip {
        name: String,
        negated: bool,
        pattern: Option<IpPattern>,
    },
    And(Box<Filter>, Box<Filter>),
    Or(Box<Filter>, Box<Filter>),
}

impl Filter {
    /// A stage's filter. `None` for one that takes every entry (`| level=~".*"`); Loki leaves it out of the pipeline.
    ///
    /// # Errors
    /// What does not compile. As in Loki an address pattern is looked at only where it is the whole stage.
    pub(super) fn new(filter: &LabelFilter) -> Result<Option<Filter>, ParseError> {
        if let LabelFilter::Ip { pattern, .. } = filter {
            IpPattern::new(pattern).map_err(|reason| ParseError::stage(&format!("| {filter}"), reason))?;
        }
        Filter::behind_unwrap(filter)
    }

    /// As [`Filter::new`], where no address pattern is refused.
    pub(super) fn behind_unwrap(filter: &LabelFilter) -> Result<Option<Filter>, ParseError> {
        let compiled = Filter::build(filter)?;
        let takes_all = matches!(&compiled, Filter::Text { filter, .. } if filter.takes_all());
        Ok(Some(compiled).filter(|_| !takes_all))
    }

    fn build(filter: &LabelFilter) -> Result<Filter, ParseError> {
        Ok(match filter {
            LabelFilter::Matcher(matcher) => Filter::Text {
                name: matcher.name.clone(),
                filter: TextFilter::of_label(matcher.op, &matcher.text)
                    .map_err(|reason| ParseError::stage(&format!("| {filter}"), reason))?,
            },
            LabelFilter::Number { name, op, value } => Filter::Number { name: name.clone(), op: *op, value: *value },
            LabelFilter::Duration { name, op, ns } => Filter::Duration { name: name.clone(), op: *op, ns: *ns },
            LabelFilter::Bytes { name, op, bytes } => {
                // Loki hands queries on as text, and writes sizes in thousands with two digits: it compares 1KiB as 1000.
                let bytes = units::bytes(&units::bytes_text(*bytes)).unwrap_or(*bytes);
                Filter::Bytes { name: name.clone(), op: *op, bytes }
            }
            LabelFilter::Ip { name, negated, pattern } => {
                Filter::Ip { name: name.clone(), negated: *negated, pattern: IpPattern::new(pattern).ok() }
            }
            LabelFilter::And(left, right) => {
                Filter::And(Box::new(Filter::build(left)?), Box::new(Filter::build(right)?))
            }
            LabelFilter::Or(left, right) => Filter::Or(Box::new(Filter::build(left)?), Box::new(Filter::build(right)?)),
        })
    }

    /// Whether the entry passes. A value that cannot be converted sets an error, unless there is one, and passes: only a filter on
    /// `__error__` takes such entries out.
    pub(super) fn accepts(&self, labels: &mut Labels<'_>) -> bool {
        match self {
            Filter::Text { name, filter } if name == ERROR => filter.accepts(labels.error()),
            Filter::Text { name, filter } => filter.accepts(labels.get(name).unwrap_or_default()),
            Filter::Number { name, op, value } => compare(labels, name, *op, *value, units::float),
            Filter::Duration { name, op, ns } => compare(labels, name, *op, *ns, units::go_duration),
            Filter::Bytes { name, op, bytes } => compare(labels, name, *op, *bytes, units::bytes),
            Filter::Ip { name, negated, pattern } => {
                let fits = |pattern: &IpPattern| labels.get(name).is_some_and(|value| pattern.is_in(value) != *negated);
                !labels.error().is_empty() || pattern.as_ref().is_some_and(fits)
            }
            Filter::And(left, right) => {
                // Both sides are asked always: each may set an error.
                let left = left.accepts(labels);
                right.accepts(labels) && left
            }
            Filter::Or(left, right) => left.accepts(labels) || right.accepts(labels),
        }
    }

    /// The only label that it looks at; `None` for a combination of filters.
    pub(super) fn one_label(&self) -> Option<&str> {
        match self {
            Filter::Text { name, .. }
            | Filter::Number { name, .. }
            | Filter::Duration { name, .. }
            | Filter::Bytes { name, .. }
            | Filter::Ip { name, .. } => Some(name),
            Filter::And(..) | Filter::Or(..) => None,
        }
    }

    /// Adds the labels that it looks at.
    pub(super) fn names(&self, names: &mut Vec<String>) {
        match self {
            Filter::And(left, right) | Filter::Or(left, right) => {
                left.names(names);
                right.names(names);
            }
            Filter::Text { filter, .. } if filter.takes_all() => {}
            one => names.extend(one.one_label().map(str::to_owned)),
        }
    }
}

fn compare<T: PartialOrd>(
    labels: &mut Labels<'_>,
    name: &str,
    op: Compare,
    wanted: T,
    convert: impl Fn(&str) -> Result<T, String>,
) -> bool {
    let Some(value) = labels.get(name) else { return false };
    match convert(value) {
        Ok(value) => op.holds(value, wanted),
        Err(reason) => {
            if labels.error().is_empty() {
                labels.set_error(FILTER_ERROR);
                labels.set_details(reason);
            }
            true
        }
    }
}
