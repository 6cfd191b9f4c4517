//! What stands behind `field:`.

use std::sync::Arc;

use codec::words::{fold, number};
use model::{Severity, spelling};

use super::super::expr::{ALL_SEVERITIES, Compare, Expr, Field, Phrase, Test, text_test};
use super::super::pattern::Glob;
use super::super::text_regex::TextRegex;
use super::{Parser, whole_word};
use crate::QueryError;

/// Fields that every record has a place for.
const BUILT_IN: [&str; 9] =
    ["severity", "severity_text", "severity_number", "body", "trace_id", "span_id", "event_name", "time", "scope.name"];

impl Parser<'_> {
    pub(super) fn field(&mut self, name: &str, start: usize) -> Result<Expr, QueryError> {
        let field = Field::of_name(name);
        let value_start = self.at;
        if self.rest().starts_with('"') {
            let text = self.quoted()?;
            return match field {
                Field::Body => Ok(Expr::Phrase(Phrase::new(text))),
                Field::SeverityName => self.severity(Compare::Equal, &text, value_start),
                Field::Time => self.time(Compare::Equal, &text, value_start),
                field => Ok(Expr::Field(field, Test::Exact(text))),
            };
        }
        if let Some(regex) = self.regex()? {
            return Ok(match field {
                Field::Body => Expr::Regex(Arc::new(TextRegex::new(regex))),
                field => Expr::Field(field, Test::Regex(Box::new(regex))),
            });
        }
        let compare = [
            (">=", Compare::GreaterOrEqual),
            ("<=", Compare::LessOrEqual),
            (">", Compare::Greater),
            ("<", Compare::Less),
            ("=", Compare::Equal),
        ];
        let compare = compare.into_iter().find(|(sign, _)| self.rest().starts_with(sign));
        self.at += compare.map_or(0, |(sign, _)| sign.len());
        let value_at = self.at;
        let quoted = compare.is_some() && self.rest().starts_with('"');
        let owned = if quoted { self.quoted()? } else { self.bare().to_owned() };
        if owned.is_empty() && !quoted {
            return Err(self.error(
                start,
                value_at.max(start + 1),
                format!("{name}: needs a value; {name}:* finds any"),
            ));
        }
        match (field, compare) {
            (Field::SeverityName | Field::SeverityNumber | Field::Time | Field::Body, None) if owned == "*" => {
                Ok(if name == "body" { Expr::Field(Field::Body, Test::Exists) } else { Expr::And(Vec::new()) })
            }
            (Field::SeverityName, compare) => {
                self.severity(compare.map_or(Compare::Equal, |(_, compare)| compare), &owned, value_at)
            }
            (Field::Time, compare) => {
                self.time(compare.map_or(Compare::Equal, |(_, compare)| compare), &owned, value_at)
            }
            (Field::Body, None) => self.word(&owned, value_at),
            (field, None) if owned.chars().all(|c| c == '*') => Ok(Expr::Field(field, Test::Exists)),
            (field, None) if owned.trim_matches('*').contains('*') => {
                let glob = Glob::of_value(&fold(&owned)).map_err(|reason| self.error(value_at, self.at, reason))?;
                Ok(Expr::Field(field, Test::Glob(Box::new(glob))))
            }
            // An id of digits is no number.
            (field @ (Field::TraceId | Field::SpanId), None) => {
                Ok(Expr::Field(field, Test::Text(Box::new(whole_word(&owned)))))
            }
            (field, None) => Ok(Expr::Field(field, text_test(whole_word(&owned)))),
            (field, Some((sign, compare))) => match number(&owned) {
                Some(wanted) => Ok(Expr::Field(field, Test::Number(compare, wanted))),
                None => Err(self.error(
                    value_at,
                    self.at,
                    format!(
                        "{sign} compares numbers, and {owned:?} is none; use {name}:{owned}{}",
                        meant(name).map(|other| format!(", or did you mean {other}?")).unwrap_or_default()
                    ),
                )),
            },
        }
    }

    /// `warn` and other names of a range, or a number.
    fn severity(&self, compare: Compare, text: &str, start: usize) -> Result<Expr, QueryError> {
        if let Some(wanted) = number(text) {
            return Ok(Expr::Field(Field::SeverityNumber, Test::Number(compare, wanted)));
        }
        let unspecified = text.eq_ignore_ascii_case(Severity::Unspecified.as_str()).then_some(Severity::Unspecified);
        let Some(wanted) = Severity::of_text(text).or(unspecified) else {
            let names: Vec<&str> = Severity::ALL.iter().map(|severity| severity.as_str()).collect();
            let reason = format!("no severity is called {text:?}; there are {} and numbers", names.join(", "));
            return Err(self.error(start, start + text.len().max(1), reason));
        };
        let mask = Severity::ALL.iter().filter(|severity| compare.holds(*severity, &wanted));
        let mask = mask.fold(0, |mask, severity| mask | 1 << *severity as u8);
        Ok(Expr::Severity(mask & ALL_SEVERITIES))
    }

    fn time(&self, compare: Compare, text: &str, start: usize) -> Result<Expr, QueryError> {
        let parsed: Option<i64> =
            text.parse::<jiff::Timestamp>().ok().and_then(|time| i64::try_from(time.as_nanosecond()).ok());
        match parsed {
            Some(time_ns) => Ok(Expr::Time(compare, time_ns)),
            None => Err(self.error(
                start,
                start + text.len().max(1),
                format!("{text:?} is no time; write 2026-11-21T02:00:00Z"),
            )),
        }
    }
}

/// The field that a misspelt one stands for, among those that every record has.
fn meant(name: &str) -> Option<&'static str> {
    const DISTANCE_MAX: usize = 2;
    if name.len() > 32 {
        return None;
    }
    let far = |known: &&&str| spelling::distance(name, known);
    BUILT_IN.iter().min_by_key(far).filter(|known| (1..=DISTANCE_MAX).contains(&far(known))).copied()
}
