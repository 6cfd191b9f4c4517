//! Texts that every match of a regular expression has, for an index of words.

use regex_syntax::hir::{Class, Hir, HirKind};
use store::IndexQuery;

use super::terms::of_text;

/// What the words of an index must be, so that the expression can match; cases do not count, since the index has them folded.
pub(super) fn query(pattern: &regex::Regex) -> IndexQuery {
    match regex_syntax::parse(pattern.as_str()) {
        Ok(hir) => of(&hir),
        Err(_) => IndexQuery::All,
    }
}

fn of(hir: &Hir) -> IndexQuery {
    match hir.kind() {
        HirKind::Literal(literal) => std::str::from_utf8(&literal.0).map_or(IndexQuery::All, of_text),
        HirKind::Capture(capture) => of(&capture.sub),
        HirKind::Repetition(repetition) if repetition.min > 0 => of(&repetition.sub),
        HirKind::Concat(parts) => {
            let (mut all, mut text) = (Vec::new(), String::new());
            for part in parts {
                // Characters that follow one another make words together.
                match character(part) {
                    Some(more) => text.push_str(&more),
                    None => {
                        all.push(of_text(&std::mem::take(&mut text)));
                        all.push(of(part));
                    }
                }
            }
            all.push(of_text(&text));
            and(all)
        }
        HirKind::Alternation(any) => {
            let any: Vec<IndexQuery> = any.iter().map(of).collect();
            if any.contains(&IndexQuery::All) { IndexQuery::All } else { IndexQuery::Or(any) }
        }
        HirKind::Empty | HirKind::Class(_) | HirKind::Look(_) | HirKind::Repetition(_) => IndexQuery::All,
    }
}

/// A literal, or a letter in both of its cases.
fn character(hir: &Hir) -> Option<String> {
    match hir.kind() {
        HirKind::Literal(literal) => std::str::from_utf8(&literal.0).ok().map(str::to_owned),
        HirKind::Class(Class::Unicode(class)) => {
            let mut all = class.iter().flat_map(|range| range.start()..=range.end());
            let (one, other) = (all.next()?, all.next()?);
            // Letters with a third case (`k` and the Kelvin sign) are folded otherwise by the index.
            let folds = one.is_ascii_alphabetic() && other == one.to_ascii_lowercase() && all.next().is_none();
            folds.then(|| other.to_string())
        }
        _ => None,
    }
}

/// All of them, as flat as can be.
pub(super) fn and(all: Vec<IndexQuery>) -> IndexQuery {
    let mut flat = Vec::with_capacity(all.len());
    for one in all {
        match one {
            IndexQuery::All => {}
            IndexQuery::And(inner) => flat.extend(inner.into_iter().filter(|query| *query != IndexQuery::All)),
            one => flat.push(one),
        }
    }
    match flat.len() {
        0 => IndexQuery::All,
        1 => flat.remove(0),
        _ => IndexQuery::And(flat),
    }
}
