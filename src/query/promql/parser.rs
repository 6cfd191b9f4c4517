//! Tokens to a type-checked tree: precedence climbing over Prometheus' operators.
//!
//! Recursion is bounded by `DEPTH_MAX` and chains by `OPERATORS_MAX`, so neither parsing nor evaluating nor dropping
//! a tree can overflow a stack.

use super::ast::{Aggregator, Binary, Edges, Kind, Node, Op, Type};
use super::check;
use super::functions;
use super::lexer::{Fault, Span, Token, lex};

/// Longest query, in bytes. Written queries stay below 2 KiB; generated ones rarely pass 8.
pub(crate) const LENGTH_MAX: usize = 16 << 10;
/// Deepest nesting of parentheses, calls and right-hand sides.
const DEPTH_MAX: usize = 100;
/// Most binary operators in one query: a chain is a tree as deep as it is long.
const OPERATORS_MAX: usize = 500;
/// Unary operators bind as multiplication does, so that `-2^2` is `-(2^2)`.
const UNARY_OPERAND: u8 = 6;

pub(crate) struct Parser<'a> {
    pub(crate) text: &'a str,
    tokens: Vec<(Token, Span)>,
    at: usize,
    depth: usize,
    operators: usize,
    /// Aggregations around this place, which messages name.
    pub(crate) aggregations: usize,
}

pub(crate) fn parse(text: &str) -> Result<Node, Fault> {
    let mut parser = Parser::new(text)?;
    if parser.peek() == &Token::End {
        // It is nowhere in particular.
        return Err(Fault::new(Span::default(), "no expression found in input"));
    }
    let node = parser.expr(0)?;
    if parser.peek() != &Token::End {
        return Err(parser.unexpected("", ""));
    }
    check::tree(&node)?;
    Ok(node)
}

/// A selector and nothing else; it may select everything.
pub(crate) fn parse_selector(text: &str) -> Result<Node, Fault> {
    let mut parser = Parser::new(text)?;
    let name = match parser.peek() {
        Token::Symbol("{") => None,
        Token::Name(name) if named_number(name).is_none() => Some((name.clone(), parser.next().1)),
        _ => return Err(parser.unexpected("", "")),
    };
    let node = parser.selector(name)?;
    match parser.peek() {
        Token::End => Ok(node),
        _ => Err(parser.unexpected("", "")),
    }
}

impl<'a> Parser<'a> {
    fn new(text: &'a str) -> Result<Parser<'a>, Fault> {
        if text.len() > LENGTH_MAX {
            let span = Span { start: LENGTH_MAX, end: text.len() };
            return Err(Fault::new(span, format!("the query is longer than {LENGTH_MAX} bytes")));
        }
        Ok(Parser { text, tokens: lex(text), at: 0, depth: 0, operators: 0, aggregations: 0 })
    }

    pub(crate) fn peek(&self) -> &Token {
        &self.tokens[self.at].0
    }

    pub(crate) fn peek_second(&self) -> &Token {
        &self.tokens[(self.at + 1).min(self.tokens.len() - 1)].0
    }

    pub(crate) fn span(&self) -> Span {
        self.tokens[self.at].1
    }

    /// The span of the token taken last.
    pub(crate) fn last_span(&self) -> Span {
        self.tokens[self.at.saturating_sub(1)].1
    }

    pub(crate) fn next(&mut self) -> (Token, Span) {
        let token = self.tokens[self.at].clone();
        // The end stays, however often it is taken.
        self.at = (self.at + 1).min(self.tokens.len() - 1);
        token
    }

    pub(crate) fn is_symbol(&self, symbol: &str) -> bool {
        matches!(self.peek(), Token::Symbol(found) if *found == symbol)
    }

    pub(crate) fn take_symbol(&mut self, symbol: &str) -> bool {
        let found = self.is_symbol(symbol);
        if found {
            self.next();
        }
        found
    }

    pub(crate) fn expect_symbol(&mut self, symbol: &'static str, context: &str) -> Result<Span, Fault> {
        if !self.is_symbol(symbol) {
            return Err(self.unexpected(context, &format!("{symbol:?}")));
        }
        Ok(self.next().1)
    }

    /// The parenthesis at the end of an expression.
    fn closing(&mut self) -> Result<Span, Fault> {
        if !self.is_symbol(")") {
            return Err(self.unexpected("", ""));
        }
        Ok(self.next().1)
    }

    pub(crate) fn is_keyword(&self, keyword: &str) -> bool {
        matches!(self.peek(), Token::Name(name) if name.eq_ignore_ascii_case(keyword))
    }

    pub(crate) fn take_keyword(&mut self, keyword: &str) -> bool {
        let found = self.is_keyword(keyword);
        if found {
            self.next();
        }
        found
    }

    pub(crate) fn unexpected(&self, context: &str, expected: &str) -> Fault {
        let span = self.span();
        if let Token::Wrong(reason) = self.peek() {
            return Fault::new(span, reason.clone());
        }
        let found = match self.peek() {
            // Inside braces no word means anything.
            Token::Name(name) if context == "label matching" => format!("identifier {name:?}"),
            other => other.describe(&self.text[span.start..span.end]),
        };
        let mut reason = format!("unexpected {found}");
        let context = if context.is_empty() && self.aggregations > 0 { "aggregation" } else { context };
        if !context.is_empty() {
            reason.push_str(&format!(" in {context}"));
        }
        if !expected.is_empty() {
            reason.push_str(&format!(", expected {expected}"));
        }
        Fault::new(span, reason)
    }

    /// Runs one level deeper, or refuses.
    pub(crate) fn nested<T>(&mut self, parse: impl FnOnce(&mut Self) -> Result<T, Fault>) -> Result<T, Fault> {
        if self.depth >= DEPTH_MAX {
            return Err(Fault::new(self.span(), format!("the query is nested deeper than {DEPTH_MAX} levels")));
        }
        self.depth += 1;
        let parsed = parse(self);
        self.depth -= 1;
        parsed
    }

    pub(crate) fn expr(&mut self, min_binding: u8) -> Result<Node, Fault> {
        self.nested(|parser| {
            let mut lhs = parser.unary()?;
            while let Some((op, binding)) = parser.binary_operator() {
                if binding < min_binding {
                    break;
                }
                let op_span = parser.next().1;
                parser.operators += 1;
                if parser.operators > OPERATORS_MAX {
                    let reason = format!("the query has more than {OPERATORS_MAX} binary operators");
                    return Err(Fault::new(op_span, reason));
                }
                let (return_bool, matching) = parser.modifiers()?;
                // Only `^` is right associative.
                let rhs = parser.expr(if op == Op::Pow { binding } else { binding + 1 })?;
                lhs = check::binary(Binary { op, op_span, lhs, rhs, return_bool, matching });
            }
            Ok(lhs)
        })
    }

    fn binary_operator(&self) -> Option<(Op, u8)> {
        Some(match self.peek() {
            Token::Symbol(symbol) => match *symbol {
                "+" => (Op::Add, 4),
                "-" => (Op::Sub, 4),
                "*" => (Op::Mul, 5),
                "/" => (Op::Div, 5),
                "%" => (Op::Mod, 5),
                "^" => (Op::Pow, 6),
                "==" => (Op::Equal, 3),
                "!=" => (Op::NotEqual, 3),
                ">" => (Op::Greater, 3),
                "<" => (Op::Less, 3),
                ">=" => (Op::GreaterEqual, 3),
                "<=" => (Op::LessEqual, 3),
                "</" => (Op::TrimUpper, 3),
                ">/" => (Op::TrimLower, 3),
                _ => return None,
            },
            Token::Name(name) => match name.to_ascii_lowercase().as_str() {
                "atan2" => (Op::Atan2, 5),
                "and" => (Op::And, 2),
                "unless" => (Op::Unless, 2),
                "or" => (Op::Or, 1),
                _ => return None,
            },
            _ => return None,
        })
    }

    fn unary(&mut self) -> Result<Node, Fault> {
        let minus = self.is_symbol("-");
        if !minus && !self.is_symbol("+") {
            return self.postfix();
        }
        let span = self.next().1;
        let operand = self.expr(UNARY_OPERAND)?;
        Ok(check::unary(minus, span, operand))
    }

    fn primary(&mut self) -> Result<Node, Fault> {
        let span = self.span();
        let literal = |kind, ty| Node { kind, span, ty, fixed: true };
        match self.peek() {
            Token::Number(value) => {
                let kind = Kind::Number { value: *value, duration: false };
                self.next();
                Ok(literal(kind, Type::Scalar))
            }
            Token::Duration(duration_ms) => {
                let kind = Kind::Number { value: *duration_ms as f64 / 1e3, duration: true };
                self.next();
                Ok(literal(kind, Type::Scalar))
            }
            Token::Text(text) => {
                let kind = Kind::Text(text.clone());
                self.next();
                Ok(literal(kind, Type::Text))
            }
            Token::Bytes(bytes) => {
                let kind = Kind::Bytes { bytes: bytes.clone(), shown: String::from_utf8_lossy(bytes).into_owned() };
                self.next();
                Ok(literal(kind, Type::Text))
            }
            Token::Symbol("(") => {
                self.next();
                let inner = self.expr(0)?;
                let span = span.to(self.closing()?);
                let (ty, fixed) = (inner.ty, inner.fixed);
                Ok(Node { kind: Kind::Paren(Box::new(inner)), span, ty, fixed })
            }
            Token::Symbol("{") => self.selector(None),
            Token::Name(name) => {
                let name = name.clone();
                self.named(name, span)
            }
            _ => Err(self.unexpected("", "")),
        }
    }

    /// A name begins a number, an aggregation, a call, or a selector: what follows decides.
    fn named(&mut self, name: String, span: Span) -> Result<Node, Fault> {
        let reserved = ["bool", "on", "ignoring", "group_left", "group_right", "atan2"];
        if reserved.iter().any(|word| word.eq_ignore_ascii_case(&name)) {
            return Err(self.unexpected("", ""));
        }
        if let Some(value) = named_number(&name) {
            self.next();
            let kind = Kind::Number { value, duration: false };
            return Ok(Node { kind, span, ty: Type::Scalar, fixed: true });
        }
        let before_parenthesis = self.peek_second() == &Token::Symbol("(");
        let aggregator = Aggregator::ALL.into_iter().find(|op| op.text().eq_ignore_ascii_case(&name));
        if let Some(op) = aggregator {
            let grouped = matches!(self.peek_second(), Token::Name(next)
                if next.eq_ignore_ascii_case("by") || next.eq_ignore_ascii_case("without"));
            if before_parenthesis || grouped {
                self.next();
                return self.aggregate(op, span);
            }
        }
        if before_parenthesis {
            self.next();
            return self.call(&name, span);
        }
        self.next();
        self.selector(Some((name, span)))
    }

    fn call(&mut self, name: &str, span: Span) -> Result<Node, Fault> {
        // These four are keywords, in either case.
        let keyword = ["start", "end", "step", "range"].into_iter().find(|word| word.eq_ignore_ascii_case(name));
        let Some(function) = functions::find(keyword.unwrap_or(name)) else {
            let mut reason = format!("unknown function with name {name:?}");
            if let Some(nearest) = functions::nearest(name) {
                reason.push_str(&format!(", did you mean {nearest:?}?"));
            }
            return Err(Fault::new(span, reason));
        };
        let (args, end) = self.arguments()?;
        Ok(check::call(function, args, span.to(end)))
    }

    pub(crate) fn arguments(&mut self) -> Result<(Vec<Node>, Span), Fault> {
        if !self.take_symbol("(") {
            return Err(self.unexpected("aggregation", ""));
        }
        let mut args = Vec::new();
        if self.is_symbol(")") {
            return Ok((args, self.next().1));
        }
        loop {
            args.push(self.expr(0)?);
            if self.is_symbol(")") {
                return Ok((args, self.next().1));
            }
            if !self.take_symbol(",") {
                return Err(self.unexpected("", ""));
            }
            if self.is_symbol(")") || self.is_symbol(",") {
                return Err(Fault::new(self.last_span(), "trailing commas not allowed in function call args"));
            }
        }
    }

    /// A primary with its ranges, subqueries, `offset` and `@`.
    fn postfix(&mut self) -> Result<Node, Fault> {
        let mut node = self.primary()?;
        // What has been given already is refused the second time, so this loop ends with the modifiers.
        loop {
            node = match self.peek() {
                Token::Symbol("[") => self.range_or_subquery(node)?,
                Token::Symbol("@") => self.at_modifier(node)?,
                Token::Name(name) if name.eq_ignore_ascii_case("offset") => self.offset_modifier(node)?,
                Token::Name(name) if name.eq_ignore_ascii_case("anchored") => self.edges(node, Edges::Anchored)?,
                Token::Name(name) if name.eq_ignore_ascii_case("smoothed") => self.edges(node, Edges::Smoothed)?,
                _ => return Ok(node),
            };
        }
    }
}

pub(crate) fn named_number(name: &str) -> Option<f64> {
    if name.eq_ignore_ascii_case("inf") {
        Some(f64::INFINITY)
    } else if name.eq_ignore_ascii_case("nan") {
        Some(f64::from_bits(model::metric::NORMAL_NAN_BITS))
    } else {
        None
    }
}
