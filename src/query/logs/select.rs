//! Which records of a block satisfy a search, found a column or a template at a time where that is possible; else [`judge`] looks at
//! each.

use codec::block::Block;
use regex_syntax::hir::{Hir, HirKind};

use super::expr::Expr;
use super::mask::Mask;
use super::needle::{Looking, Needle, STAND_IN};
use super::row::Rows;
use super::{columns, judge};
use crate::QueryError;

/// The records among `within` that satisfy the search.
pub(crate) fn select(expr: &Expr, rows: &Rows, within: &Mask) -> Result<Mask, QueryError> {
    let each = || {
        let mut left = within.clone();
        left.retain(|at| judge::matches(expr, rows, at))?;
        Ok(left)
    };
    let Rows::Block { block, .. } = rows else { return each() };
    match expr {
        Expr::And(all) => {
            let mut left = within.clone();
            // The cheap ones first.
            for wants_text in [false, true] {
                for inner in all.iter().filter(|inner| looks_at_text(inner) == wants_text) {
                    if left.is_empty() {
                        return Ok(left);
                    }
                    left = select(inner, rows, &left)?;
                }
            }
            Ok(left)
        }
        Expr::Or(any) => {
            let mut left = within.clone();
            let mut found = Mask::none(rows.count());
            for inner in any {
                let more = select(inner, rows, &left)?;
                left.remove(&more);
                found.add(&more);
            }
            Ok(found)
        }
        Expr::Not(inner) => {
            let mut left = within.clone();
            left.remove(&select(inner, rows, within)?);
            Ok(left)
        }
        Expr::Word(word) if !word.folded.contains(STAND_IN) => by_needle(Needle::Word(word), block, rows, expr, within),
        Expr::Phrase(phrase) if !phrase.text.contains(STAND_IN) => {
            by_needle(Needle::Phrase(phrase), block, rows, expr, within)
        }
        Expr::Regex(regex) => match block.templates()? {
            Some(templates) => {
                let mut left = within.clone();
                regex.retain(block, templates, &mut left, |at| judge::matches(expr, rows, at))?;
                Ok(left)
            }
            None => each(),
        },
        Expr::Logql(logql) => logql.select(rows, within),
        Expr::Field(field, test) => columns::select(field, test, block, rows, within),
        _ => each(),
    }
}

fn by_needle(needle: Needle<'_>, block: &Block, rows: &Rows, expr: &Expr, within: &Mask) -> Result<Mask, QueryError> {
    let mut left = within.clone();
    match block.templates()? {
        Some(templates) => {
            Looking::new(block, templates, needle).retain(&mut left, |at| judge::matches(expr, rows, at))?;
        }
        None => left.retain(|at| judge::matches(expr, rows, at))?,
    }
    Ok(left)
}

/// The longest text that stands in whatever a pattern matches, if there is one.
pub(crate) fn needed_text(pattern: &str) -> Option<String> {
    fn longest(hir: &Hir) -> Option<String> {
        match hir.kind() {
            HirKind::Literal(literal) => String::from_utf8(literal.0.to_vec()).ok(),
            HirKind::Capture(capture) => longest(&capture.sub),
            HirKind::Repetition(repetition) if repetition.min > 0 => longest(&repetition.sub),
            HirKind::Concat(all) => all.iter().filter_map(longest).max_by_key(String::len),
            _ => None,
        }
    }
    longest(&regex_syntax::parse(pattern).ok()?).filter(|text| !text.is_empty())
}

fn looks_at_text(expr: &Expr) -> bool {
    match expr {
        Expr::And(all) | Expr::Or(all) => all.iter().any(looks_at_text),
        Expr::Not(inner) => looks_at_text(inner),
        Expr::Severity(_) | Expr::Time(..) => false,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_tell_what_they_need() {
        for (pattern, expected) in [
            ("status: (4|5)\\d\\d", Some("status: ")),
            ("a.*bcd", Some("bcd")),
            ("(?:ab)+x?", Some("ab")),
            ("(?i)error", None),
            ("error|fail", None),
            ("(err)ors [0-9]", Some("ors ")),
            ("x*", None),
            ("^GET /", Some("GET /")),
            ("", None),
        ] {
            assert_eq!(needed_text(pattern).as_deref(), expected, "{pattern}");
        }
    }
}
