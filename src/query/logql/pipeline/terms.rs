//! What an index can tell of a pipeline: which words stand in every line that passes.

use store::IndexQuery;

use super::required;
use super::text_filter::TextFilter;
use super::{Pipeline, Step};
use crate::logs::{LineTest, Lines, TextRegex, body_terms};

impl Pipeline {
    /// What must hold of the index entries of a block, so that a line in it can pass. Says what the line filters say that come before any
    /// change of the line; negative filters say nothing.
    pub fn index_query(&self) -> IndexQuery {
        let mut all = Vec::new();
        for step in &self.steps {
            match step {
                Step::Lines(filters) => all.extend(filters.iter().map(of_filter)),
                // The line itself is another from here on.
                Step::LineFormat(_) | Step::Decolorize => break,
                Step::Parser(parser) if parser.changes_line() => break,
                // It looks at lines that are refused behind it.
                Step::Distinct(_) => break,
                Step::Parser(_) | Step::Labels(_) | Step::LabelFormat(_) | Step::Drop(_) | Step::Keep(_) => {}
            }
        }
        required::and(all)
    }

    /// What every line, as it was sent, that passes must meet.
    pub(crate) fn lines(&self) -> Lines {
        let mut lines = Lines { tests: Vec::new(), is_all: true };
        for (at, step) in self.steps.iter().enumerate() {
            match step {
                Step::Lines(filters) => {
                    for filter in filters {
                        match test_of(filter) {
                            Some(test) => lines.tests.push(test),
                            None => {
                                lines.is_all &= at > 0;
                                lines.tests.extend(needed_texts(filter));
                            }
                        }
                    }
                }
                Step::LineFormat(_) | Step::Decolorize | Step::Distinct(_) => break,
                Step::Parser(parser) if parser.changes_line() => break,
                Step::Parser(_) | Step::Labels(_) | Step::LabelFormat(_) | Step::Drop(_) | Step::Keep(_) => {}
            }
        }
        lines
    }
}

/// The same condition, where whole blocks can be asked it.
fn test_of(filter: &TextFilter) -> Option<LineTest> {
    match filter {
        TextFilter::Contains(literal) => LineTest::has(&literal.text),
        TextFilter::ContainsFolded(_, regex) | TextFilter::Regex(regex) => {
            Some(LineTest::Matches(Box::new(TextRegex::new(regex.clone()))))
        }
        TextFilter::Not(inner) => Some(LineTest::Not(Box::new(test_of(inner)?))),
        TextFilter::Or(one, other) => Some(LineTest::Any(vec![test_of(one)?, test_of(other)?])),
        _ => None,
    }
}

/// Texts without which a line does not meet a condition.
fn needed_texts(filter: &TextFilter) -> Vec<LineTest> {
    match filter {
        TextFilter::Pattern(pattern) => pattern.texts().filter_map(LineTest::has).collect(),
        _ => Vec::new(),
    }
}

fn of_filter(filter: &TextFilter) -> IndexQuery {
    match filter {
        TextFilter::Contains(literal) => of_text(&literal.text),
        TextFilter::ContainsFolded(text, _) => of_text(text),
        TextFilter::Pattern(pattern) => required::and(pattern.texts().map(of_text).collect()),
        TextFilter::Regex(regex) => required::query(regex),
        TextFilter::Or(one, other) => match (of_filter(one), of_filter(other)) {
            (IndexQuery::All, _) | (_, IndexQuery::All) => IndexQuery::All,
            (one, other) => IndexQuery::Or(vec![one, other]),
        },
        _ => IndexQuery::All,
    }
}

/// Either end of the text may lie inside a word of the line.
pub(super) fn of_text(text: &str) -> IndexQuery {
    required::and(vec![body_terms(&codec::words::fold(text), true, true)])
}
