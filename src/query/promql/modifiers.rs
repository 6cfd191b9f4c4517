//! Parsing of what stands around the operands: how vectors match, and how aggregations group.

use super::ast::{Aggregate, Aggregator, Cardinality, Matching, Node};
use super::check;
use super::lexer::{Fault, Span, Token};
use super::parser::{Parser, named_number};

impl Parser<'_> {
    /// `bool`, `on`/`ignoring`, `group_left`/`group_right`, `fill…`.
    pub(crate) fn modifiers(&mut self) -> Result<(bool, Matching), Fault> {
        let return_bool = self.take_keyword("bool");
        let mut matching = Matching::default();
        if self.is_keyword("on") || self.is_keyword("ignoring") {
            matching.on = self.is_keyword("on");
            self.next();
            matching.labels = self.label_list()?;
            let left = self.is_keyword("group_left");
            if left || self.is_keyword("group_right") {
                self.next();
                matching.cardinality = if left { Cardinality::ManyToOne } else { Cardinality::OneToMany };
                if self.is_symbol("(") {
                    matching.include = self.label_list()?;
                }
            }
        } else if self.is_keyword("group_left") || self.is_keyword("group_right") {
            return Err(self.unexpected("", ""));
        }
        // A metric may be called `fill` too: only the parenthesis makes it a modifier.
        while self.peek_second() == &Token::Symbol("(") {
            let (left, right) = match self.peek() {
                Token::Name(name) if name.eq_ignore_ascii_case("fill") => (true, true),
                Token::Name(name) if name.eq_ignore_ascii_case("fill_left") => (true, false),
                Token::Name(name) if name.eq_ignore_ascii_case("fill_right") => (false, true),
                _ => break,
            };
            self.next();
            self.next();
            let value = self.signed_number("fill", "number")?;
            self.expect_symbol(")", "fill")?;
            if left {
                matching.fill_left = Some(value);
            }
            if right {
                matching.fill_right = Some(value);
            }
        }
        Ok((return_bool, matching))
    }

    pub(crate) fn signed_number(&mut self, context: &str, expected: &str) -> Result<f64, Fault> {
        let mut sign = 1.0;
        if self.take_symbol("-") {
            sign = -1.0;
        } else {
            self.take_symbol("+");
        }
        let value = match self.peek() {
            Token::Number(value) => *value,
            Token::Duration(duration_ms) => *duration_ms as f64 / 1e3,
            Token::Name(name) => match named_number(name) {
                Some(value) => value,
                None => return Err(self.unexpected(context, expected)),
            },
            _ => return Err(self.unexpected(context, expected)),
        };
        self.next();
        Ok(sign * value)
    }

    /// `(a, "b.c", …)`, a trailing comma allowed.
    fn label_list(&mut self) -> Result<Vec<String>, Fault> {
        self.expect_symbol("(", "grouping opts")?;
        let mut labels = Vec::new();
        while !self.take_symbol(")") {
            match self.peek() {
                Token::Name(name) if model::labels::is_label_name(name) && named_number(name).is_none() => {
                    labels.push(name.clone());
                }
                Token::Text(name) if !name.is_empty() => labels.push(name.clone()),
                _ => return Err(self.unexpected("grouping opts", "label")),
            }
            self.next();
            if !self.take_symbol(",") && !self.is_symbol(")") {
                return Err(self.unexpected("grouping opts", "\",\" or \")\""));
            }
        }
        Ok(labels)
    }

    pub(crate) fn aggregate(&mut self, op: Aggregator, span: Span) -> Result<Node, Fault> {
        let mut grouping = self.grouping()?;
        self.aggregations += 1;
        let (mut args, mut end) = self.arguments()?;
        self.aggregations -= 1;
        if grouping.is_none() {
            grouping = self.grouping()?;
            if grouping.is_some() {
                end = self.last_span();
            }
        }
        let expected = 1 + usize::from(op.parameter().is_some());
        if args.len() != expected {
            let reason = if args.is_empty() {
                "no arguments for aggregate expression provided".into()
            } else {
                let got = args.len();
                format!("wrong number of arguments for aggregate expression provided, expected {expected}, got {got}")
            };
            return Err(Fault::new(span.to(end), reason));
        }
        let Some(expr) = args.pop() else { return Err(self.unexpected("aggregation", "expression")) };
        let param = args.pop();
        let (without, grouping) = grouping.unwrap_or_default();
        Ok(check::aggregate(Aggregate { op, expr, param, without, grouping, span: span.to(end) }))
    }

    /// `by (…)` or `without (…)`; `true` for `without`.
    fn grouping(&mut self) -> Result<Option<(bool, Vec<String>)>, Fault> {
        let without = self.is_keyword("without");
        if !without && !self.is_keyword("by") {
            return Ok(None);
        }
        self.next();
        Ok(Some((without, self.label_list()?)))
    }
}
