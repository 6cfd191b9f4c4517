//! Pipelines: line filters, parsers, formats, and what stands behind `unwrap`.

use super::super::ast::{
    Conversion, Extraction, LabelFormat, LineFilter, LineOp, LineText, Parser as LabelParser, Stage, Unwrap,
};
use super::super::error::ParseError;
use super::super::lex::Token;
use super::{Parser, STAGES_MAX};

impl Parser {
    /// Stages until something else follows: the end, a range, a parenthesis, `| unwrap`.
    pub(super) fn stages(&mut self) -> Result<Vec<Stage>, ParseError> {
        let mut stages = Vec::new();
        loop {
            if self.line_op().is_some() {
                self.line_filter(&mut stages)?;
            } else if self.is_symbol("|") && self.peek_at(1) != &Token::Word("unwrap") {
                self.next();
                stages.push(self.stage()?);
            } else {
                return Ok(stages);
            }
            if stages.len() > STAGES_MAX {
                return Err(self.place().error(format!("the pipeline has more than {STAGES_MAX} stages")));
            }
        }
    }

    fn line_op(&self) -> Option<LineOp> {
        let Token::Symbol(symbol) = self.peek() else { return None };
        Some(match *symbol {
            "|=" => LineOp::Contains,
            "!=" => LineOp::NotContains,
            "|~" => LineOp::Regex,
            "!~" => LineOp::NotRegex,
            "|>" => LineOp::Pattern,
            "!>" => LineOp::NotPattern,
            _ => return None,
        })
    }

    fn line_filter(&mut self, stages: &mut Vec<Stage>) -> Result<(), ParseError> {
        let Some(op) = self.line_op() else { return Err(self.unexpected(&[])) };
        self.next();
        let mut any = vec![self.line_text()?];
        while self.take_word("or") {
            self.operator()?;
            any.push(self.line_text()?);
        }
        if op.is_negative() {
            stages.extend(any.into_iter().map(|text| Stage::LineFilter(LineFilter { op, any: vec![text] })));
        } else {
            stages.push(Stage::LineFilter(LineFilter { op, any }));
        }
        Ok(())
    }

    fn line_text(&mut self) -> Result<LineText, ParseError> {
        match self.peek() {
            Token::Function("ip") => {
                self.next();
                self.expect_symbol("(")?;
                let pattern = self.text()?;
                self.expect_symbol(")")?;
                Ok(LineText::Ip(pattern))
            }
            Token::Text(_) => Ok(LineText::Text(self.text()?)),
            _ => Err(self.unexpected(&["STRING", "ip"])),
        }
    }

    /// What stands behind a `|`.
    fn stage(&mut self) -> Result<Stage, ParseError> {
        let word = match self.peek() {
            Token::Word(word) => *word,
            // Only where Loki expects nothing: a label may be named so.
            Token::Name(name) if name == "distinct" && matches!(self.peek_at(1), Token::Name(_)) => {
                self.next();
                return Ok(Stage::Distinct(self.label_names()?));
            }
            Token::Name(_) | Token::Symbol("(") => return Ok(Stage::LabelFilter(self.label_filter(0)?)),
            _ => return Err(self.unexpected(&[])),
        };
        if matches!(word, "json" | "logfmt" | "regexp" | "pattern" | "unpack" | "line_format" | "label_format")
            || matches!(word, "decolorize" | "drop" | "keep")
        {
            self.next();
        }
        Ok(match word {
            "json" => match self.extractions()? {
                paths if paths.is_empty() => Stage::Parser(LabelParser::Json),
                paths => Stage::Parser(LabelParser::JsonPaths(paths)),
            },
            "logfmt" => {
                let (mut strict, mut keep_empty) = (false, false);
                while let Token::Flag(flag) = *self.peek() {
                    strict |= flag == "--strict";
                    keep_empty |= flag == "--keep-empty";
                    self.next();
                }
                match self.extractions()? {
                    paths if paths.is_empty() => Stage::Parser(LabelParser::Logfmt { strict, keep_empty }),
                    paths => Stage::Parser(LabelParser::LogfmtPaths { strict, keep_empty, paths }),
                }
            }
            "regexp" => Stage::Parser(LabelParser::Regexp(self.text()?)),
            "pattern" => Stage::Parser(LabelParser::Pattern(self.text()?)),
            "unpack" => Stage::Parser(LabelParser::Unpack),
            "line_format" => Stage::LineFormat(self.text()?),
            "label_format" => Stage::LabelFormat(self.label_formats()?),
            "decolorize" => Stage::Decolorize,
            "drop" => Stage::Drop(self.named_matchers()?),
            "keep" => Stage::Keep(self.named_matchers()?),
            _ => return Err(self.unexpected(&[])),
        })
    }

    fn extractions(&mut self) -> Result<Vec<Extraction>, ParseError> {
        let mut paths = Vec::new();
        if !matches!(self.peek(), Token::Name(_)) {
            return Ok(paths);
        }
        loop {
            let name = self.name()?;
            let path = if self.take_symbol("=") { self.text()? } else { name.clone() };
            paths.push(Extraction { name, path });
            if !self.take_symbol(",") {
                return Ok(paths);
            }
        }
    }

    fn label_names(&mut self) -> Result<Vec<String>, ParseError> {
        let mut names = vec![self.name()?];
        while self.take_symbol(",") {
            names.push(self.name()?);
        }
        Ok(names)
    }

    fn label_formats(&mut self) -> Result<Vec<LabelFormat>, ParseError> {
        let mut formats = Vec::new();
        loop {
            let to = self.name()?;
            self.expect_symbol("=")?;
            formats.push(match self.peek() {
                Token::Name(_) => LabelFormat::Rename { to, from: self.name()? },
                Token::Text(_) => LabelFormat::Template { to, template: self.text()? },
                _ => return Err(self.unexpected(&["IDENTIFIER", "STRING"])),
            });
            if !self.take_symbol(",") {
                return Ok(formats);
            }
        }
    }

    /// `| unwrap ...` with the filters behind it, if it follows.
    pub(super) fn unwrap(&mut self) -> Result<Option<Unwrap>, ParseError> {
        if !self.is_symbol("|") || self.peek_at(1) != &Token::Word("unwrap") {
            return Ok(None);
        }
        self.next();
        self.next();
        let conversion = match *self.peek() {
            Token::Function("bytes") => Conversion::Bytes,
            Token::Function("duration") => Conversion::Duration,
            Token::Function("duration_seconds") => Conversion::DurationSeconds,
            _ => Conversion::Float,
        };
        let label = if conversion == Conversion::Float {
            if !matches!(self.peek(), Token::Name(_)) {
                let expected = ["IDENTIFIER", "BYTES_CONV", "DURATION_CONV", "DURATION_SECONDS_CONV"];
                return Err(self.unexpected(&expected));
            }
            self.name()?
        } else {
            self.next();
            self.expect_symbol("(")?;
            let label = self.name()?;
            self.expect_symbol(")")?;
            label
        };
        let mut filters = Vec::new();
        while self.take_symbol("|") {
            filters.push(self.label_filter(0)?);
            if filters.len() > STAGES_MAX {
                return Err(self.place().error(format!("the pipeline has more than {STAGES_MAX} stages")));
            }
        }
        Ok(Some(Unwrap { label, conversion, filters }))
    }
}
