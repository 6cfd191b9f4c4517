//! What an index can tell of a pipeline: which words stand in every line that passes.

use store::IndexQuery;

use super::required;
use super::text_filter::TextFilter;
use super::{Pipeline, Step};
use crate::logs::{body_terms, needed_text};

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
                Step::Parser(_) | Step::Labels(_) | Step::LabelFormat(_) | Step::Drop(_) | Step::Keep(_) => {}
            }
        }
        required::and(all)
    }

    /// Texts that stand in every line, as it was sent, that passes.
    pub(crate) fn line_texts(&self) -> Vec<String> {
        let mut out = Vec::new();
        for step in &self.steps {
            match step {
                Step::Lines(filters) => out.extend(filters.iter().filter_map(|filter| match filter {
                    TextFilter::Contains(literal) => Some(literal.text.clone()),
                    TextFilter::Regex(regex) => needed_text(regex.as_str()),
                    _ => None,
                })),
                Step::LineFormat(_) | Step::Decolorize => break,
                Step::Parser(parser) if parser.changes_line() => break,
                Step::Parser(_) | Step::Labels(_) | Step::LabelFormat(_) | Step::Drop(_) | Step::Keep(_) => {}
            }
        }
        out
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
