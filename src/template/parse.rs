//! Tokens to a tree, with every function and variable checked, so that a mistake shows when the file is loaded.

use std::collections::BTreeMap;

use crate::scan::{Spot, Token, scan};
use crate::{Command, DEPTH_MAX, Language, TemplateError, builtin};

#[derive(Debug, Clone)]
pub(crate) enum Node {
    Text(String),
    Show(Pipeline),
    If { condition: Pipeline, then: Vec<Node>, otherwise: Vec<Node> },
    With { subject: Pipeline, then: Vec<Node>, otherwise: Vec<Node> },
    Range { key: Option<String>, item: Option<String>, over: Pipeline, body: Vec<Node>, otherwise: Vec<Node> },
    Call { name: String, data: Option<Pipeline>, written: Command },
    Break,
    Continue,
}

#[derive(Debug, Clone)]
pub(crate) struct Pipeline {
    pub(crate) line: usize,
    /// Variable to set, and whether it is new.
    pub(crate) variable: Option<(String, bool)>,
    /// At least one.
    pub(crate) commands: Vec<Call>,
}

impl Pipeline {
    /// Of all its commands.
    pub(crate) fn operands(&self) -> impl Iterator<Item = &Operand> {
        self.commands.iter().flat_map(|call| &call.operands)
    }
}

/// A command: a value, or what is called with what.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    /// At least one.
    pub(crate) operands: Vec<Operand>,
    /// As many as operands.
    pub(crate) words: Vec<Command>,
    pub(crate) written: Command,
}

impl Call {
    /// What a run looked at last when it was through with the command.
    pub(crate) fn last_word(&self) -> &Command {
        let mut of = self.operands.last();
        loop {
            match of {
                Some(Operand::Fields(inner, _)) => of = Some(inner),
                Some(Operand::Inner(pipeline)) => match pipeline.commands.last() {
                    Some(call) => return call.last_word(),
                    None => return &self.written,
                },
                _ => return self.words.last().unwrap_or(&self.written),
            }
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) enum Operand {
    Nil,
    Bool(bool),
    Integer(i64),
    /// A whole number that is none to a run.
    Overflow,
    Float(f64),
    Text(String),
    Dot,
    Variable(String),
    Function(String),
    Inner(Box<Pipeline>),
    Fields(Box<Operand>, Vec<String>),
}

/// A text's own nodes, what it defines, and which templates it calls on which line.
pub(crate) struct Parsed {
    pub(crate) body: Vec<Node>,
    pub(crate) defined: BTreeMap<String, Vec<Node>>,
    pub(crate) calls: Vec<(String, usize)>,
}

pub(crate) fn parse(text: &str, language: &Language<'_>) -> Result<Parsed, TemplateError> {
    let root = std::iter::once(String::new());
    let mut parser = Parser {
        text,
        tokens: scan(text)?,
        at: 0,
        depth: 0,
        loops: 0,
        language,
        variables: root.chain(language.variables.iter().map(|name| (*name).to_owned())).collect(),
        defined: BTreeMap::new(),
        calls: Vec::new(),
    };
    let (body, end) = parser.block()?;
    if let Some((word, line)) = end {
        return Err(TemplateError::new(line, format!("unexpected {{{{{word}}}}}")));
    }
    Ok(Parsed { body, defined: parser.defined, calls: parser.calls })
}

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<(Token, Spot)>,
    at: usize,
    depth: usize,
    loops: usize,
    language: &'a Language<'a>,
    /// In scope, innermost last.
    variables: Vec<String>,
    defined: BTreeMap<String, Vec<Node>>,
    calls: Vec<(String, usize)>,
}

/// `else` or `end`, which ends a block, and its line.
type End = Option<(&'static str, usize)>;

impl Parser<'_> {
    /// Nodes up to the `end` or `else` of this block, whose word has been read (not its closing braces after `else`).
    fn block(&mut self) -> Result<(Vec<Node>, End), TemplateError> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(self.error(format!("nested deeper than {DEPTH_MAX}")));
        }
        let scope = self.variables.len();
        let mut nodes = Vec::new();
        let end = loop {
            let line = self.line();
            match self.next() {
                None => break None,
                Some(Token::Text(text)) => nodes.push(Node::Text(text)),
                Some(_) => {
                    if let Some(Token::Name(word)) = self.peek() {
                        let word = word.clone();
                        match word.as_str() {
                            "end" => {
                                self.at += 1;
                                self.close()?;
                                break Some(("end", line));
                            }
                            "else" => {
                                self.at += 1;
                                break Some(("else", line));
                            }
                            _ => {}
                        }
                        if let Some(node) = self.keyword(&word, line)? {
                            nodes.extend(node);
                            continue;
                        }
                    }
                    let pipeline = self.pipeline()?;
                    self.close()?;
                    nodes.push(Node::Show(pipeline));
                }
            }
        };
        self.variables.truncate(scope);
        self.depth -= 1;
        Ok((nodes, end))
    }

    /// A node for an action that begins with a keyword; `Some(None)` for one that leaves nothing, `None` for no keyword.
    #[expect(clippy::option_option, reason = "no keyword, and a keyword without a node, are different answers")]
    fn keyword(&mut self, word: &str, line: usize) -> Result<Option<Option<Node>>, TemplateError> {
        if !matches!(word, "if" | "with" | "range" | "define" | "block" | "template" | "break" | "continue") {
            return Ok(None);
        }
        if word == "define" && self.depth > 1 {
            return Err(TemplateError::new(line, "unexpected <define> in command"));
        }
        self.at += 1;
        let scope = self.variables.len();
        let node = match word {
            "if" | "with" => Some(self.conditional(word, line)?),
            "range" => Some(self.range(line)?),
            "define" => {
                let name = self.quoted()?;
                self.close()?;
                self.define(name, line)?;
                None
            }
            "block" => {
                let first = self.at;
                let name = self.quoted()?;
                let data = self.pipeline()?;
                let written = self.called(first);
                self.close()?;
                self.define(name.clone(), line)?;
                Some(Node::Call { name, data: Some(data), written })
            }
            "template" => {
                let first = self.at;
                let name = self.quoted()?;
                let data = if self.peek() == Some(&Token::Close) { None } else { Some(self.pipeline()?) };
                let written = self.called(first);
                self.close()?;
                self.calls.push((name.clone(), line));
                Some(Node::Call { name, data, written })
            }
            _ => {
                if self.loops == 0 {
                    return Err(TemplateError::new(line, format!("{{{{{word}}}}} outside a range")));
                }
                self.close()?;
                Some(if word == "break" { Node::Break } else { Node::Continue })
            }
        };
        self.variables.truncate(scope);
        Ok(Some(node))
    }

    fn conditional(&mut self, word: &str, line: usize) -> Result<Node, TemplateError> {
        let subject = self.pipeline()?;
        self.close()?;
        let (then, end) = self.block()?;
        let otherwise = self.otherwise(word, line, end)?;
        Ok(if word == "if" {
            Node::If { condition: subject, then, otherwise }
        } else {
            Node::With { subject, then, otherwise }
        })
    }

    /// What stands after `else`, up to the `end`; `else if` is an `if` in it, and shares its `end`.
    fn otherwise(&mut self, word: &str, line: usize, end: End) -> Result<Vec<Node>, TemplateError> {
        match end {
            Some(("end", _)) => return Ok(Vec::new()),
            Some(_) => {}
            None => return Err(TemplateError::new(line, format!("{{{{{word}}}}} without {{{{end}}}}"))),
        }
        if matches!(self.peek(), Some(Token::Name(next)) if next == word && word != "range") {
            self.at += 1;
            self.depth += 1;
            if self.depth > DEPTH_MAX {
                return Err(self.error(format!("nested deeper than {DEPTH_MAX}")));
            }
            let node = self.conditional(word, line)?;
            self.depth -= 1;
            return Ok(vec![node]);
        }
        self.close()?;
        match self.block()? {
            (nodes, Some(("end", _))) => Ok(nodes),
            _ => Err(TemplateError::new(line, format!("{{{{{word}}}}} without {{{{end}}}}"))),
        }
    }

    fn range(&mut self, line: usize) -> Result<Node, TemplateError> {
        let mut names = Vec::new();
        // `$v :=` or `$k, $v :=`.
        let declares = matches!(
            (self.peek(), self.peek_at(1), self.peek_at(3)),
            (Some(Token::Variable(_)), Some(Token::Declare), _)
                | (Some(Token::Variable(_)), Some(Token::Comma), Some(Token::Declare))
        );
        if declares {
            loop {
                match self.next() {
                    Some(Token::Variable(name)) => names.push(name),
                    Some(Token::Comma) => {}
                    Some(Token::Declare) => break,
                    _ => return Err(self.error("expected a variable in range")),
                }
            }
        }
        let over = self.pipeline()?;
        self.close()?;
        self.variables.extend(names.iter().cloned());
        self.loops += 1;
        let (body, end) = self.block()?;
        self.loops -= 1;
        let otherwise = self.otherwise("range", line, end)?;
        let item = names.pop();
        Ok(Node::Range { key: names.pop(), item, over, body, otherwise })
    }

    /// Its body sees no variable but the root.
    fn define(&mut self, name: String, line: usize) -> Result<(), TemplateError> {
        let outer = std::mem::replace(&mut self.variables, vec![String::new()]);
        let loops = std::mem::take(&mut self.loops);
        let (body, end) = self.block()?;
        self.variables = outer;
        self.loops = loops;
        match end {
            Some(("end", _)) => {}
            _ => return Err(TemplateError::new(line, format!("template {name:?} without {{{{end}}}}"))),
        }
        if self.defined.insert(name.clone(), body).is_some() {
            return Err(TemplateError::new(line, format!("template {name:?} is defined twice")));
        }
        Ok(())
    }

    fn pipeline(&mut self) -> Result<Pipeline, TemplateError> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(self.error(format!("nested deeper than {DEPTH_MAX}")));
        }
        let line = self.line();
        let variable = match (self.peek().cloned(), self.peek_at(1)) {
            (Some(Token::Variable(name)), Some(Token::Declare)) => Some((name, true)),
            (Some(Token::Variable(name)), Some(Token::Assign)) => Some((self.known(name)?, false)),
            _ => None,
        };
        if variable.is_some() {
            self.at += 2;
        }
        let mut commands = vec![self.command()?];
        while self.peek() == Some(&Token::Pipe) {
            self.at += 1;
            // Go minds no pipe without anything behind it.
            if matches!(self.peek(), Some(Token::Close | Token::RightParen)) {
                break;
            }
            commands.push(self.command()?);
        }
        if let Some((name, true)) = &variable {
            self.variables.push(name.clone());
        }
        if commands.iter().skip(1).any(|call| !callable(&call.operands[0])) {
            return Err(TemplateError::new(line, "only a function can take what stands before |"));
        }
        self.depth -= 1;
        Ok(Pipeline { line, variable, commands })
    }

    fn command(&mut self) -> Result<Call, TemplateError> {
        let first = self.at;
        let (mut operands, mut words) = (Vec::new(), Vec::new());
        while !matches!(self.peek(), None | Some(Token::Pipe | Token::Close | Token::RightParen)) {
            let first = self.at;
            self.apart(operands.is_empty())?;
            operands.push(self.operand()?);
            words.push(self.word(first));
        }
        if operands.is_empty() {
            return Err(self.error("missing value"));
        }
        // Go finds it out when it runs.
        if operands.len() > 1 && !callable(&operands[0]) && !self.language.strict {
            return Err(self.error("can't give arguments to what is no function"));
        }
        Ok(Call { operands, words, written: self.written(first) })
    }

    /// Operands stand apart from one another.
    fn apart(&self, is_first: bool) -> Result<(), TemplateError> {
        let end = |at: usize| self.tokens.get(at).map(|(_, spot)| spot.end);
        match self.tokens.get(self.at) {
            Some((token, spot)) if !is_first && end(self.at - 1) == Some(spot.start) => {
                let text = self.text.get(spot.start..spot.end).unwrap_or_default();
                let shown = if *token == Token::Dot { "<.>".into() } else { format!("{text:?}") };
                Err(TemplateError::new(spot.line, format!("unexpected {shown} in operand")))
            }
            _ => Ok(()),
        }
    }

    /// One operand; Go tells of one with fields behind it from the first of these on.
    fn word(&self, first: usize) -> Command {
        let is_behind = |at: &usize| matches!(self.tokens.get(*at), Some((Token::Field(_, true), _)));
        let chain = (first + 1..self.at).rev().take_while(is_behind).last().unwrap_or(first);
        let Command { line, column, .. } = self.written(chain);
        Command { line, column, text: self.written(first).text }
    }

    /// The tokens from the first one up to here, as Go writes them.
    fn written(&self, first: usize) -> Command {
        let tokens = self.tokens.get(first..self.at).unwrap_or_default();
        let mut text = String::new();
        for (token, spot) in tokens {
            let joins = matches!(token, Token::RightParen | Token::Field(_, true)) || text.ends_with('(');
            if !text.is_empty() && !joins {
                text.push(' ');
            }
            text.push_str(self.text.get(spot.start..spot.end).unwrap_or_default());
        }
        let (line, start) = tokens.first().map_or((1, 0), |(_, spot)| (spot.line, spot.start));
        let before = self.text.get(..start).unwrap_or_default();
        Command { line, column: start - before.rfind('\n').map_or(0, |at| at + 1), text }
    }

    /// The call of a template, of whose tokens the name is the first: as Go writes it, and where Go says it is.
    fn called(&self, name: usize) -> Command {
        let Command { line, column, text } = self.written(name);
        Command { line, column, text: format!("{{{{template {text}}}}}") }
    }

    fn operand(&mut self) -> Result<Operand, TemplateError> {
        let operand = match self.next() {
            Some(Token::Name(name)) => match name.as_str() {
                "true" => Operand::Bool(true),
                "false" => Operand::Bool(false),
                "nil" => Operand::Nil,
                _ if builtin::exists(&name) || (self.language.functions)(&name) => Operand::Function(name),
                _ => return Err(self.error(format!("function {name:?} not defined"))),
            },
            Some(Token::Variable(name)) => Operand::Variable(self.known(name)?),
            Some(Token::Field(name, _)) => Operand::Fields(Box::new(Operand::Dot), vec![name]),
            Some(Token::Dot) => Operand::Dot,
            Some(Token::Integer(value)) => Operand::Integer(value),
            Some(Token::Overflow) => Operand::Overflow,
            Some(Token::Float(value)) => Operand::Float(value),
            Some(Token::Quoted(text)) => Operand::Text(text),
            Some(Token::LeftParen) => {
                let inner = self.pipeline()?;
                match self.next() {
                    Some(Token::RightParen) => Operand::Inner(Box::new(inner)),
                    _ => return Err(self.error("unclosed left parenthesis")),
                }
            }
            _ => return Err(self.error("unexpected symbol in an action")),
        };
        let mut fields = Vec::new();
        while let Some(Token::Field(name, true)) = self.peek() {
            fields.push(name.clone());
            self.at += 1;
        }
        Ok(match (operand, fields.is_empty()) {
            (operand, true) => operand,
            (Operand::Fields(of, mut first), false) => {
                first.extend(fields);
                Operand::Fields(of, first)
            }
            (operand, false) => Operand::Fields(Box::new(operand), fields),
        })
    }

    fn known(&self, name: String) -> Result<String, TemplateError> {
        match self.variables.contains(&name) {
            true => Ok(name),
            false => Err(self.error(format!("undefined variable \"${name}\""))),
        }
    }

    fn quoted(&mut self) -> Result<String, TemplateError> {
        match self.next() {
            Some(Token::Quoted(text)) => Ok(text),
            _ => Err(self.error("expected a template's name in quotes")),
        }
    }

    fn close(&mut self) -> Result<(), TemplateError> {
        match self.next() {
            Some(Token::Close) => Ok(()),
            _ => Err(self.error("expected the end of the action")),
        }
    }

    fn peek(&self) -> Option<&Token> {
        self.peek_at(0)
    }

    fn peek_at(&self, ahead: usize) -> Option<&Token> {
        self.tokens.get(self.at + ahead).map(|(token, _)| token)
    }

    fn next(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.at).map(|(token, _)| token.clone());
        self.at += usize::from(token.is_some());
        token
    }

    fn line(&self) -> usize {
        self.tokens.get(self.at).or(self.tokens.last()).map_or(1, |(_, spot)| spot.line)
    }

    fn error(&self, reason: impl Into<String>) -> TemplateError {
        // The token that is wrong has been read.
        let line = self.tokens.get(self.at.saturating_sub(1)).map_or(1, |(_, spot)| spot.line);
        TemplateError::new(line, reason)
    }
}

/// A function, or a field that may be a method.
fn callable(operand: &Operand) -> bool {
    matches!(operand, Operand::Function(_) | Operand::Fields(..))
}
