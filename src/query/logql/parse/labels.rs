//! Label filters, and the lists of names of `by`, `drop`, `keep` and their like.

use super::super::ast::{Compare, Grouping, LabelFilter, NamedMatcher};
use super::super::error::ParseError;
use super::super::lex::Token;
use super::super::units;
use super::{Parser, matcher};

/// How tightly an operator between two label filters binds.
const OR: u8 = 1;
const AND: u8 = 2;

impl Parser {
    /// Filters joined by `or`, `and`, a comma or nothing.
    ///
    /// As in Loki's grammar, a comma and a mere gap take all that follows as their right side, and are taken by whatever is to their left:
    /// `a or b, c` is `a or (b, c)`, and `a, b or c` is `a, (b or c)`.
    pub(super) fn label_filter(&mut self, min_binding: u8) -> Result<LabelFilter, ParseError> {
        self.nested(|parser| {
            let mut left = parser.one_label_filter()?;
            loop {
                let (binding, symbol) = match parser.peek() {
                    Token::Word("or") => (OR, true),
                    Token::Word("and") => (AND, true),
                    Token::Symbol(",") => (0, true),
                    Token::Name(_) | Token::Symbol("(") => (0, false),
                    _ => return Ok(left),
                };
                if binding != 0 && binding < min_binding {
                    return Ok(left);
                }
                parser.operator()?;
                if symbol {
                    parser.next();
                }
                let right = parser.label_filter(if binding == 0 { 0 } else { binding + 1 })?;
                left = match binding {
                    OR => LabelFilter::Or(Box::new(left), Box::new(right)),
                    _ => LabelFilter::And(Box::new(left), Box::new(right)),
                };
            }
        })
    }

    fn one_label_filter(&mut self) -> Result<LabelFilter, ParseError> {
        if self.take_symbol("(") {
            let inner = self.label_filter(0)?;
            return if self.take_symbol(")") { Ok(inner) } else { Err(self.unexpected(&[])) };
        }
        if !matches!(self.peek(), Token::Name(_)) {
            return Err(self.unexpected(&["IDENTIFIER", "("]));
        }
        let name = self.name()?;
        let Token::Symbol(symbol) = *self.peek() else { return Err(self.unexpected(&[])) };
        let compare = match symbol {
            "=" | "==" => Some(Compare::Equal),
            "!=" => Some(Compare::NotEqual),
            ">" => Some(Compare::Greater),
            ">=" => Some(Compare::GreaterOrEqual),
            "<" => Some(Compare::Less),
            "<=" => Some(Compare::LessOrEqual),
            _ => None,
        };
        match (symbol, self.peek_at(1)) {
            ("=~" | "!~", _) | ("=" | "!=", Token::Text(_)) => {
                let op = self.match_op().ok_or_else(|| self.unexpected(&[]))?;
                Ok(LabelFilter::Matcher(matcher(name, op, self.text()?)?))
            }
            ("=" | "!=", Token::Function("ip")) => {
                self.next();
                self.next();
                self.expect_symbol("(")?;
                let pattern = self.text()?;
                self.expect_symbol(")")?;
                Ok(LabelFilter::Ip { name, negated: symbol == "!=", pattern })
            }
            _ => {
                let op = compare.ok_or_else(|| self.unexpected(&[]))?;
                self.next();
                match *self.peek() {
                    Token::Duration(ns) => {
                        self.next();
                        Ok(LabelFilter::Duration { name, op, ns })
                    }
                    // Loki hands queries on as text, where no bytes are `0B`, which its lexer takes for a binary number.
                    Token::Bytes(0) => Err(ParseError::whole(format!(
                        "a size of 0 in the filter of {name} cannot be compared with; use the number 0"
                    ))),
                    Token::Bytes(bytes) => {
                        self.next();
                        Ok(LabelFilter::Bytes { name, op, bytes })
                    }
                    _ => Ok(LabelFilter::Number { name, op, value: self.signed_number()? }),
                }
            }
        }
    }

    /// A number with at most one sign.
    pub(super) fn signed_number(&mut self) -> Result<f64, ParseError> {
        let negative = self.is_symbol("-");
        let signed = negative || self.is_symbol("+");
        if signed {
            self.next();
        }
        let Token::Number(written) = self.peek().clone() else {
            return Err(self.unexpected(if signed { &["NUMBER"] } else { &[] }));
        };
        let value = units::float(&written)
            .map_err(|reason| ParseError::whole(format!("unable to parse literal as a float: {reason}")))?;
        self.next();
        Ok(if negative { -value } else { value })
    }

    /// What `drop` and `keep` take.
    pub(super) fn named_matchers(&mut self) -> Result<Vec<NamedMatcher>, ParseError> {
        let mut matchers = Vec::new();
        loop {
            let name = self.name()?;
            matchers.push(match self.match_op() {
                Some(op) => NamedMatcher::Matcher(matcher(name, op, self.text()?)?),
                None => NamedMatcher::Name(name),
            });
            if !self.take_symbol(",") {
                return Ok(matchers);
            }
        }
    }

    /// `by (a, b)` or `without (a)`, if one follows.
    pub(super) fn grouping(&mut self) -> Result<Option<Grouping>, ParseError> {
        let without = match self.peek() {
            Token::Word("by") => false,
            Token::Word("without") => true,
            _ => return Ok(None),
        };
        self.next();
        Ok(Some(Grouping { without, labels: self.names()? }))
    }

    /// Names in parentheses; perhaps none.
    pub(super) fn names(&mut self) -> Result<Vec<String>, ParseError> {
        self.expect_symbol("(")?;
        let mut names = Vec::new();
        if self.take_symbol(")") {
            return Ok(names);
        }
        if !matches!(self.peek(), Token::Name(_)) {
            return Err(self.unexpected(&["IDENTIFIER", ")"]));
        }
        loop {
            names.push(self.name()?);
            if self.take_symbol(")") {
                return Ok(names);
            }
            if !self.take_symbol(",") {
                return Err(self.unexpected(&[",", ")"]));
            }
        }
    }
}
