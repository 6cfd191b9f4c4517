//! Parsing of selectors and of what may follow them: ranges, subqueries, `offset`, `@`, and duration expressions.

use model::labels::METRIC_NAME;
use model::matcher::BadRegex;
use model::{MatchOp, Matcher};

use super::ast::{At, Edges, Kind, Node, Selector, Subquery, Type};
use super::check;
use super::duration::{Duration, DurationOp};
use super::lexer::{Fault, Span, Token};
use super::literal::DURATION_S_MAX;
use super::number;
use super::parser::Parser;

/// Most matchers in one selector: each is tried on each series.
const MATCHERS_MAX: usize = 64;

impl Parser<'_> {
    /// A selector, its name taken already if it stands before the brace.
    pub(crate) fn selector(&mut self, name: Option<(String, Span)>) -> Result<Node, Fault> {
        let start = name.as_ref().map_or(self.span(), |(_, span)| *span);
        let mut end = start;
        let bare_name = name.map(|(name, _)| name);
        let mut matchers = Vec::new();
        if self.take_symbol("{") {
            while !self.is_symbol("}") {
                self.matcher(&mut matchers)?;
                if !self.take_symbol(",") && !self.is_symbol("}") {
                    return Err(self.unexpected("label matching", "\",\" or \"}\""));
                }
            }
            end = self.next().1;
        }
        let span = start.to(end);
        if let Some(name) = &bare_name {
            matchers.push(Matcher::equal(METRIC_NAME, name.as_str()));
        }
        if matchers.len() > MATCHERS_MAX {
            return Err(Fault::new(span, format!("a selector may have at most {MATCHERS_MAX} matchers")));
        }
        let selector = Selector { bare_name, matchers, at: None, offset: None, edges: Edges::Plain, stats: false };
        Ok(Node { kind: Kind::Select(selector), span, ty: Type::Vector, fixed: false })
    }

    /// `label="value"`, `"utf8.label"=~"re"`, or a quoted metric name alone.
    fn matcher(&mut self, matchers: &mut Vec<Matcher>) -> Result<(), Fault> {
        let (label, quoted) = match self.peek() {
            Token::Name(label) => (label.clone(), false),
            Token::Text(label) => (label.clone(), true),
            _ => return Err(self.unexpected("label matching", "identifier or \"}\"")),
        };
        let label_span = self.next().1;
        let op = match self.peek() {
            Token::Symbol("=") => MatchOp::Equal,
            Token::Symbol("!=") => MatchOp::NotEqual,
            Token::Symbol("=~") => MatchOp::Regex,
            Token::Symbol("!~") => MatchOp::NotRegex,
            _ if quoted => {
                matchers.push(Matcher::equal(METRIC_NAME, label));
                return Ok(());
            }
            _ => return Err(self.unexpected("label matching", "label matching operator")),
        };
        self.next();
        let value = match self.peek() {
            Token::Text(value) => value.clone(),
            // No label has such a value.
            Token::Bytes(value) => String::from_utf8_lossy(value).into_owned(),
            _ => return Err(self.unexpected("label matching", "string")),
        };
        let value_span = self.next().1;
        let span = label_span.to(value_span);
        let refused = |error: BadRegex| Fault::new(span, format!("error parsing regexp: {}", error.reason));
        matchers.push(Matcher::new(label, op, value).map_err(refused)?);
        Ok(())
    }

    pub(crate) fn range_or_subquery(&mut self, mut node: Node) -> Result<Node, Fault> {
        let open = self.expect_symbol("[", "range")?;
        let begin = self.span();
        let range = self.duration_expr(0)?;
        must_be_positive(&range, begin.to(self.last_span()))?;
        if self.take_symbol(":") {
            let mut step = None;
            if !self.is_symbol("]") {
                let begin = self.span();
                let given = self.duration_expr(0)?;
                must_be_positive(&given, begin.to(self.last_span()))?;
                step = Some(given);
            }
            let span = node.span.to(self.expect_symbol("]", "subquery selector")?);
            if node.ty != Type::Vector {
                let reason =
                    format!("subquery is only allowed on instant vector, got {} instead", node.ty.short_name());
                return Err(Fault::new(span, reason));
            }
            check::needs_stats(&mut node, false);
            let subquery = Subquery { expr: node, range, step, at: None, offset: None };
            let kind = Kind::Subquery(Box::new(subquery));
            return Ok(Node { kind, span, ty: Type::Matrix, fixed: false });
        }
        if !self.is_symbol("]") {
            return Err(self.unexpected("subquery or range", "\":\" or \"]\""));
        }
        let brackets = open.to(self.next().1);
        let span = node.span.to(brackets);
        let Kind::Select(mut selector) = node.kind else {
            return Err(Fault::new(brackets, "ranges only allowed for vector selectors"));
        };
        if selector.offset.is_some() {
            return Err(Fault::new(brackets, "no offset modifiers allowed before range"));
        }
        if selector.at.is_some() {
            return Err(Fault::new(brackets, "no @ modifiers allowed before range"));
        }
        let edges = std::mem::replace(&mut selector.edges, Edges::Plain);
        let kind = Kind::Range { selector, range, edges };
        Ok(Node { kind, span, ty: Type::Matrix, fixed: false })
    }

    pub(crate) fn offset_modifier(&mut self, mut node: Node) -> Result<Node, Fault> {
        self.next();
        let offset = self.offset_duration()?;
        let end = self.last_span();
        let slot = match &mut node.kind {
            Kind::Select(selector) | Kind::Range { selector, .. } => &mut selector.offset,
            Kind::Subquery(subquery) => &mut subquery.offset,
            _ => {
                let reason = "offset modifier must be preceded by an instant vector selector or range vector \
                              selector or a subquery";
                return Err(Fault::new(node.span, reason));
            }
        };
        if slot.replace(offset).is_some() {
            return Err(Fault::new(node.span, "offset may not be set multiple times"));
        }
        node.span = node.span.to(end);
        Ok(node)
    }

    /// `anchored` or `smoothed` after a selector or a range.
    pub(crate) fn edges(&mut self, mut node: Node, wanted: Edges) -> Result<Node, Fault> {
        let keyword = self.next().1;
        let edges = match &mut node.kind {
            Kind::Range { edges, .. } => edges,
            Kind::Select(selector) => &mut selector.edges,
            Kind::Subquery(_) => {
                let reason = format!("{} modifier is not supported for subqueries", wanted.text());
                return Err(Fault::new(node.span, reason));
            }
            _ => return Err(Fault::new(node.span, format!("{} modifier not implemented", wanted.text()))),
        };
        if *edges != Edges::Plain && *edges != wanted {
            return Err(Fault::new(node.span, "anchored and smoothed modifiers cannot be used together"));
        }
        *edges = wanted;
        node.span = node.span.to(keyword);
        Ok(node)
    }

    pub(crate) fn at_modifier(&mut self, mut node: Node) -> Result<Node, Fault> {
        self.next();
        let at = if self.is_keyword("start") || self.is_keyword("end") {
            let at = if self.is_keyword("start") { At::Start } else { At::End };
            self.next();
            for parenthesis in ["(", ")"] {
                if !self.take_symbol(parenthesis) {
                    return Err(self.unexpected("@", "timestamp"));
                }
            }
            at
        } else {
            let seconds = self.signed_number("@", "timestamp")?;
            let at_ms = (seconds * 1e3).round();
            // As Prometheus: what no i64 of milliseconds holds is no time.
            if at_ms.is_nan() || at_ms.abs() > 9.2e18 {
                let seconds = number::fixed(seconds);
                let reason = format!("timestamp out of bounds for @ modifier: {seconds}");
                return Err(Fault::new(node.span, reason));
            }
            At::Ms(at_ms as i64)
        };
        let end = self.last_span();
        let slot = match &mut node.kind {
            Kind::Select(selector) | Kind::Range { selector, .. } => &mut selector.at,
            Kind::Subquery(subquery) => &mut subquery.at,
            _ => {
                let reason = "@ modifier must be preceded by an instant vector selector or range vector selector \
                              or a subquery";
                return Err(Fault::new(node.span, reason));
            }
        };
        if slot.replace(at).is_some() {
            return Err(Fault::new(node.span, "@ <timestamp> may not be set multiple times"));
        }
        node.fixed = true;
        node.span = node.span.to(end);
        Ok(node)
    }

    /// After `offset` arithmetic needs parentheses: `foo offset 5m + 3` adds to the vector.
    fn offset_duration(&mut self) -> Result<Duration, Fault> {
        if self.take_symbol("-") {
            return Ok(Duration::Negate(Box::new(self.nested(Self::offset_duration)?)));
        }
        if self.take_symbol("+") {
            return self.nested(Self::offset_duration);
        }
        self.duration_primary("offset")
    }

    fn duration_expr(&mut self, min_binding: u8) -> Result<Duration, Fault> {
        self.nested(|parser| {
            let mut lhs = if parser.take_symbol("-") {
                Duration::Negate(Box::new(parser.duration_expr(3)?))
            } else if parser.take_symbol("+") {
                parser.duration_expr(3)?
            } else {
                parser.duration_primary("subquery or range selector")?
            };
            // A left-deep chain is as deep as it is long.
            let mut chain = 0;
            loop {
                let (op, binding) = match parser.peek() {
                    Token::Symbol("+") => (DurationOp::Add, 1),
                    Token::Symbol("-") => (DurationOp::Sub, 1),
                    Token::Symbol("*") => (DurationOp::Mul, 2),
                    Token::Symbol("/") => (DurationOp::Div, 2),
                    Token::Symbol("%") => (DurationOp::Mod, 2),
                    Token::Symbol("^") => (DurationOp::Pow, 3),
                    _ => return Ok(lhs),
                };
                if binding < min_binding {
                    return Ok(lhs);
                }
                chain += 1;
                if chain > 100 {
                    return Err(Fault::new(parser.span(), "a duration may have at most 100 operators"));
                }
                let at = parser.span();
                parser.next();
                let rhs = parser.duration_expr(if op == DurationOp::Pow { binding } else { binding + 1 })?;
                if matches!(rhs, Duration::Seconds { value: 0.0, .. }) {
                    match op {
                        DurationOp::Div => return Err(Fault::new(at, "division by zero")),
                        DurationOp::Mod => return Err(Fault::new(at, "modulo by zero")),
                        _ => {}
                    }
                }
                lhs = Duration::Binary(op, Box::new(lhs), Box::new(rhs));
            }
        })
    }

    fn duration_primary(&mut self, context: &str) -> Result<Duration, Fault> {
        let literal = match self.peek() {
            Token::Number(value) => Some((*value, false)),
            Token::Duration(duration_ms) => Some((*duration_ms as f64 / 1e3, true)),
            _ => None,
        };
        if let Some((value, unit)) = literal {
            if value.abs() > DURATION_S_MAX {
                return Err(Fault::new(self.span(), "duration out of range"));
            }
            self.next();
            return Ok(Duration::Seconds { value, unit });
        }
        match self.peek().clone() {
            Token::Symbol("(") => {
                self.next();
                let inner = self.duration_expr(0)?;
                self.expect_symbol(")", context)?;
                Ok(Duration::Paren(Box::new(inner)))
            }
            Token::Name(name) if self.peek_second() == &Token::Symbol("(") => {
                let simple = match name.to_ascii_lowercase().as_str() {
                    "step" => Ok(Duration::Step),
                    "range" => Ok(Duration::Range),
                    "min_of" | "min" => Err(DurationOp::MinOf),
                    "max_of" | "max" => Err(DurationOp::MaxOf),
                    _ => return Err(self.unexpected(context, DURATIONS)),
                };
                self.next();
                self.next();
                let parsed = match simple {
                    Ok(simple) => simple,
                    Err(op) => {
                        let lhs = self.duration_expr(0)?;
                        self.expect_symbol(",", context)?;
                        Duration::Binary(op, Box::new(lhs), Box::new(self.duration_expr(0)?))
                    }
                };
                self.expect_symbol(")", context)?;
                Ok(parsed)
            }
            Token::End if context != "offset" => Err(self.unexpected("duration expression", "")),
            _ => Err(self.unexpected(context, DURATIONS)),
        }
    }
}

/// What a duration may begin with.
const DURATIONS: &str = "number, duration, step(), or range()";

fn must_be_positive(duration: &Duration, span: Span) -> Result<(), Fault> {
    match duration.constant() {
        Some(seconds) if seconds.is_nan() || seconds <= 0.0 => Err(Fault::new(span, "duration must be greater than 0")),
        _ => Ok(()),
    }
}
