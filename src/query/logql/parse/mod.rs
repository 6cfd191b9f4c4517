//! Tokens to a valid tree, in the order and with the precedences of Loki's grammar.
//!
//! Depth, operators and stages are bounded, so that neither parsing nor evaluating nor dropping a tree can overflow a stack.

mod check;
mod labels;
mod metric;
mod stages;

use super::ast::{Expr, LogExpr, Matcher};
use super::error::ParseError;
use super::lex::{Place, Token, lex};
use model::{MatchOp, go_regex};

/// A query has fewer bytes (Loki's `maxInputSize`): dashboards write long lists of alternatives.
const TEXT_BYTES_MAX: usize = 128 << 10;
/// Deepest nesting of parentheses, calls and right-hand sides.
const DEPTH_MAX: usize = 100;
/// Most binary operators and label filter operators in one query: a chain is a tree as deep as it is long.
const OPERATORS_MAX: usize = 500;
/// Most stages of one pipeline.
const STAGES_MAX: usize = 200;

/// Parses and validates a query.
///
/// # Errors
/// Text that is not LogQL, or means nothing: a selector that could match every stream, a pattern that does not compile, `unwrap` where it is
/// not allowed, and so on. Also text of 128 KiB, nesting above 100 levels, more than 500 operators or 200 stages, and
/// patterns that take too much memory together.
pub fn parse(text: &str) -> Result<Expr, ParseError> {
    go_regex::together(|| {
        let mut parser = Parser::new(text)?;
        let expr = parser.whole(|parser| parser.expr(0))?;
        check::expr(&expr)?;
        Ok(expr)
    })
}

/// Parses a query to lay it out. As in Loki, what only fails once its stages are made passes: a template, a path, a line filter's pattern.
///
/// # Errors
/// As of [`parse`], but for these.
pub fn parse_form(text: &str) -> Result<Expr, ParseError> {
    let mut parser = Parser::new(text)?;
    let expr = parser.whole(|parser| parser.expr(0))?;
    check::form(&expr)?;
    Ok(expr)
}

/// Parses a query that gives entries, as a search box or a tail takes it.
///
/// # Errors
/// As of [`parse`]; and when the query gives samples.
pub fn parse_log(text: &str) -> Result<LogExpr, ParseError> {
    match parse(text)? {
        Expr::Log(log) => Ok(log),
        Expr::Metric(_) => Err(ParseError::whole("only log selector is supported")),
    }
}

/// The matchers of a selector alone (`{app="api"}`), as the label and series APIs take them; these may all match the empty text.
///
/// # Errors
/// As of [`parse`]; and when it has a pipeline or is no selector.
pub fn parse_selector(text: &str) -> Result<Vec<Matcher>, ParseError> {
    let mut parser = Parser::new(text)?;
    match go_regex::together(|| parser.whole(|parser| parser.expr(0)))? {
        Expr::Log(LogExpr { matchers, stages }) if stages.is_empty() => Ok(matchers),
        _ => Err(ParseError::whole("only label matchers are supported")),
    }
}

struct Parser {
    tokens: Vec<(Token, Place)>,
    at: usize,
    depth: usize,
    operators: usize,
}

impl Parser {
    fn new(text: &str) -> Result<Parser, ParseError> {
        if text.len() >= TEXT_BYTES_MAX {
            return Err(ParseError::whole(format!("input size too long ({} > {TEXT_BYTES_MAX})", text.len())));
        }
        Ok(Parser { tokens: lex(text)?, at: 0, depth: 0, operators: 0 })
    }

    fn whole<T>(&mut self, parse: impl FnOnce(&mut Parser) -> Result<T, ParseError>) -> Result<T, ParseError> {
        let parsed = parse(self)?;
        if self.peek() != &Token::End {
            return Err(self.unexpected(&[]));
        }
        Ok(parsed)
    }

    fn peek(&self) -> &Token {
        &self.tokens[self.at].0
    }

    fn peek_at(&self, ahead: usize) -> &Token {
        &self.tokens[(self.at + ahead).min(self.tokens.len() - 1)].0
    }

    fn place(&self) -> Place {
        self.tokens[self.at].1
    }

    fn next(&mut self) -> Token {
        let token = self.tokens[self.at].0.clone();
        // The end stays, however often it is taken.
        self.at = (self.at + 1).min(self.tokens.len() - 1);
        token
    }

    fn is_symbol(&self, symbol: &str) -> bool {
        matches!(self.peek(), Token::Symbol(found) if *found == symbol)
    }

    fn take_symbol(&mut self, symbol: &str) -> bool {
        let found = self.is_symbol(symbol);
        if found {
            self.next();
        }
        found
    }

    fn expect_symbol(&mut self, symbol: &str) -> Result<(), ParseError> {
        match self.take_symbol(symbol) {
            true => Ok(()),
            false => Err(self.unexpected(&[symbol])),
        }
    }

    fn take_word(&mut self, word: &str) -> bool {
        let found = matches!(self.peek(), Token::Word(found) if *found == word);
        if found {
            self.next();
        }
        found
    }

    fn name(&mut self) -> Result<String, ParseError> {
        match self.peek() {
            Token::Name(_) => match self.next() {
                Token::Name(name) => Ok(name),
                _ => Err(self.unexpected(&["IDENTIFIER"])),
            },
            _ => Err(self.unexpected(&["IDENTIFIER"])),
        }
    }

    fn text(&mut self) -> Result<String, ParseError> {
        match self.peek() {
            Token::Text(_) => match self.next() {
                Token::Text(text) => Ok(text),
                _ => Err(self.unexpected(&["STRING"])),
            },
            _ => Err(self.unexpected(&["STRING"])),
        }
    }

    fn unexpected(&self, expected: &[&str]) -> ParseError {
        let mut message = format!("syntax error: unexpected {}", self.peek().describe());
        if !expected.is_empty() {
            message.push_str(&format!(", expecting {}", expected.join(" or ")));
        }
        self.place().error(message)
    }

    /// Runs one level deeper, or refuses.
    fn nested<T>(&mut self, parse: impl FnOnce(&mut Self) -> Result<T, ParseError>) -> Result<T, ParseError> {
        if self.depth >= DEPTH_MAX {
            return Err(self.place().error(format!("the query is nested deeper than {DEPTH_MAX} levels")));
        }
        self.depth += 1;
        let parsed = parse(self);
        self.depth -= 1;
        parsed
    }

    /// Counts an operator, or refuses.
    fn operator(&mut self) -> Result<(), ParseError> {
        self.operators += 1;
        match self.operators > OPERATORS_MAX {
            true => Err(self.place().error(format!("the query has more than {OPERATORS_MAX} operators"))),
            false => Ok(()),
        }
    }

    /// `{a="b", c=~"d"}`
    fn selector(&mut self) -> Result<Vec<Matcher>, ParseError> {
        self.expect_symbol("{")?;
        let mut matchers = Vec::new();
        if self.take_symbol("}") {
            return Ok(matchers);
        }
        loop {
            let name = match self.peek() {
                Token::Name(_) => self.name()?,
                _ if matchers.is_empty() => return Err(self.unexpected(&["IDENTIFIER", "}"])),
                _ => return Err(self.unexpected(&["IDENTIFIER"])),
            };
            let op = self.match_op().ok_or_else(|| self.unexpected(&["=", "=~", "!~", "!="]))?;
            let text = self.text()?;
            matchers.push(matcher(name, op, text)?);
            if self.take_symbol("}") {
                return Ok(matchers);
            }
            if !self.take_symbol(",") {
                return Err(self.unexpected(&["}", ","]));
            }
        }
    }

    fn match_op(&mut self) -> Option<MatchOp> {
        let Token::Symbol(symbol) = self.peek() else { return None };
        let op = match *symbol {
            "=" => MatchOp::Equal,
            "!=" => MatchOp::NotEqual,
            "=~" => MatchOp::Regex,
            "!~" => MatchOp::NotRegex,
            _ => return None,
        };
        self.next();
        Some(op)
    }
}

fn matcher(name: String, op: MatchOp, text: String) -> Result<Matcher, ParseError> {
    let matcher = model::Matcher::new(name.clone(), op, text.clone())
        .map_err(|error| ParseError::whole(go_regex::compile(&text).err().unwrap_or(error.reason)))?;
    Ok(Matcher { name, op, text, matcher })
}
