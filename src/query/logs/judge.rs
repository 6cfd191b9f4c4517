//! Whether a record satisfies a search. The last word: index and summaries only spare it work.

use codec::block::{Body, ValueRef};
use codec::words::{fold, number};
use store::logs::terms;

use super::expr::{Expr, Field, Test};
use super::row::Rows;
use crate::QueryError;

pub(crate) fn matches(expr: &Expr, rows: &Rows, at: usize) -> Result<bool, QueryError> {
    match expr {
        Expr::And(all) => {
            for inner in all {
                if !matches(inner, rows, at)? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        Expr::Or(any) => {
            for inner in any {
                if matches(inner, rows, at)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        Expr::Not(inner) => Ok(!matches(inner, rows, at)?),
        Expr::Severity(mask) => Ok(mask >> (rows.severity(at)? as u8) & 1 != 0),
        Expr::Time(compare, wanted) => Ok(compare.holds(&rows.time(at)?, wanted)),
        Expr::Logql(logql) => logql.matches(rows, at),
        Expr::Stream(wanted) => Ok(**rows.resource(at)? == *wanted.resource && **rows.scope(at)? == *wanted.scope),
        Expr::Glob(glob) => match rows.body(at)? {
            Body::Text(text) => Ok(glob.regex.is_match(&rows.folded_body(at, text)?)),
            Body::Typed(value) => {
                let mut found = false;
                terms::texts(value, &mut |text| found = found || glob.regex.is_match(&fold(text)));
                Ok(found)
            }
        },
        Expr::Regex(regex) => match rows.body(at)? {
            Body::Text(text) => Ok(regex.is_match(text)),
            Body::Typed(value) => {
                let mut found = false;
                terms::texts(value, &mut |text| found = found || regex.is_match(text));
                Ok(found)
            }
        },
        Expr::Word(word) => match rows.body(at)? {
            Body::Text(text) => Ok(word.is_in(&rows.folded_body(at, text)?)),
            Body::Typed(value) => {
                let mut found = false;
                terms::texts(value, &mut |text| found = found || word.is_in(&fold(text)));
                Ok(found)
            }
        },
        Expr::Phrase(phrase) => match rows.body(at)? {
            Body::Text(text) => Ok(phrase.finder.find(text.as_bytes()).is_some()),
            Body::Typed(value) => {
                let mut found = false;
                terms::texts(value, &mut |text| found = found || phrase.finder.find(text.as_bytes()).is_some());
                Ok(found)
            }
        },
        Expr::Field(field, test) => {
            let mut found = false;
            rows.values(at, field, &mut |value| found = found || passes(test, field, value))?;
            Ok(found)
        }
    }
}

pub(super) fn passes(test: &Test, field: &Field, value: ValueRef<'_>) -> bool {
    let mut scratch = String::new();
    let text = match value {
        ValueRef::Str(text) => text,
        other => {
            other.write_text(&mut scratch);
            &scratch
        }
    };
    match test {
        Test::Exists => true,
        // Ids are shown in lower case and found in either.
        Test::Exact(wanted) if matches!(field, Field::TraceId | Field::SpanId) => text.eq_ignore_ascii_case(wanted),
        Test::Exact(wanted) => text == wanted,
        Test::Text(word) => word.is_value(&fold(text)),
        Test::Glob(glob) => glob.regex.is_match(&fold(text)),
        Test::Regex(regex) => regex.is_match(text),
        Test::Number(compare, wanted) => {
            let found = match value {
                ValueRef::Int(value) => Some(value as f64),
                ValueRef::Double(value) => Some(value),
                ValueRef::Str(text) => number(text),
                ValueRef::Other(_) => None,
            };
            found.is_some_and(|found| compare.holds(&found, wanted))
        }
    }
}
