//! The parsers of lines: `json`, `logfmt`, `regexp`, `pattern`, `unpack`.

mod json;
mod logfmt;
mod unpack;

use std::borrow::Cow;

use model::go_regex;
use regex::Regex;

use super::super::ast;
use super::super::error::ParseError;
use super::hints::Hints;
use super::json_path::{self, Step};
use super::json_scan;
use super::labels::{DUPLICATE_SUFFIX, Labels, PARSED_MAX, PRESERVE_ERROR};
use super::pattern::Captures;
use super::sanitize::is_label_name;

/// A parser, compiled.
#[derive(Debug)]
pub(super) enum Parser {
    Json,
    JsonPaths {
        names: Vec<String>,
        paths: Vec<Vec<Step>>,
    },
    Logfmt {
        strict: bool,
        keep_empty: bool,
    },
    /// New name and key.
    LogfmtPaths {
        strict: bool,
        paths: Vec<(String, String)>,
    },
    /// The expression, and the names of its groups by number.
    Regexp(Regex, Vec<(usize, String)>),
    Pattern(Captures),
    Unpack,
}

/// How what is cut out of a line is kept: borrowed from a line that lives as long as the entry, copied from one that a stage made.
pub(super) trait Keep<'x, 'a> {
    fn keep(text: &'x str) -> Cow<'a, str>;

    fn keep_cow(text: Cow<'x, str>) -> Cow<'a, str> {
        match text {
            Cow::Borrowed(text) => Self::keep(text),
            Cow::Owned(text) => Cow::Owned(text),
        }
    }
}

pub(super) struct Borrowed;
pub(super) struct Copied;

impl<'a> Keep<'a, 'a> for Borrowed {
    fn keep(text: &'a str) -> Cow<'a, str> {
        Cow::Borrowed(text)
    }
}

impl<'x, 'a> Keep<'x, 'a> for Copied {
    fn keep(text: &'x str) -> Cow<'a, str> {
        Cow::Owned(text.to_owned())
    }
}

impl Parser {
    pub(super) fn new(parser: &ast::Parser) -> Result<Parser, ParseError> {
        let stage = |reason: String| ParseError::stage(&parser.to_string(), reason);
        let valid = |paths: &[ast::Extraction]| match paths.iter().find(|path| !is_label_name(&path.name)) {
            Some(path) => Err(stage(format!("invalid extracted label name '{}'", path.name))),
            None => Ok(()),
        };
        let bad_path = |path: &str, reason: String| stage(format!("cannot parse expression [{path}]: {reason}"));
        Ok(match parser {
            ast::Parser::Json => Parser::Json,
            ast::Parser::JsonPaths(wanted) => {
                let parsed = wanted
                    .iter()
                    .map(|wanted| json_path::parse(&wanted.path).map_err(|reason| bad_path(&wanted.path, reason)));
                let paths = parsed.collect::<Result<_, _>>()?;
                valid(wanted)?;
                Parser::JsonPaths { names: wanted.iter().map(|wanted| wanted.name.clone()).collect(), paths }
            }
            ast::Parser::Logfmt { strict, keep_empty } => Parser::Logfmt { strict: *strict, keep_empty: *keep_empty },
            ast::Parser::LogfmtPaths { strict, paths: wanted, .. } => {
                let mut paths: Vec<(String, String)> = Vec::with_capacity(wanted.len());
                for wanted in wanted {
                    let key = super::logfmt::path(&wanted.path).map_err(|reason| bad_path(&wanted.path, reason))?;
                    // Of two of one name the later counts.
                    match paths.iter_mut().find(|(name, _)| *name == wanted.name) {
                        Some(known) => known.1 = key,
                        None => paths.push((wanted.name.clone(), key)),
                    }
                }
                valid(wanted)?;
                Parser::LogfmtPaths { strict: *strict, paths }
            }
            ast::Parser::Regexp(pattern) => {
                let invalid = |reason: String| ParseError::whole(format!("invalid regexp parser: {reason}"));
                let regex = go_regex::compile(pattern).map_err(invalid)?;
                let mut names: Vec<(usize, String)> = Vec::new();
                for (at, name) in regex.capture_names().enumerate() {
                    let Some(name) = name else { continue };
                    if !is_label_name(name) {
                        return Err(invalid(format!("invalid extracted label name '{name}'")));
                    }
                    names.push((at, name.to_owned()));
                }
                if names.is_empty() {
                    return Err(invalid("at least one named capture must be supplied".into()));
                }
                Parser::Regexp(regex, names)
            }
            ast::Parser::Pattern(pattern) => Parser::Pattern(
                Captures::new(pattern)
                    .map_err(|reason| ParseError::whole(format!("invalid pattern parser: {reason}")))?,
            ),
            ast::Parser::Unpack => Parser::Unpack,
        })
    }

    /// Whether it makes another line.
    pub(super) fn changes_line(&self) -> bool {
        matches!(self, Parser::Unpack)
    }

    /// Makes labels of a line. `None` when a label shows that the entry is refused; else the line, if it is another now.
    #[expect(clippy::option_option, reason = "a refused entry, and a line that stays, are different answers")]
    pub(super) fn run<'x, 'a, K: Keep<'x, 'a>>(
        &self,
        line: &'x str,
        labels: &mut Labels<'a>,
        hints: &Hints,
    ) -> Option<Option<Cow<'a, str>>> {
        let mut run = Run::<K> { labels, hints, line: std::marker::PhantomData };
        if hints.no_labels(run.labels) && !matches!(self, Parser::Regexp(..)) {
            return Some(None);
        }
        let stays = match self {
            Parser::Json => run.json(line),
            Parser::JsonPaths { names, paths } => run.json_paths(line, names, paths),
            Parser::Logfmt { strict, keep_empty } => run.logfmt(line, *strict, *keep_empty),
            Parser::LogfmtPaths { strict, paths } => run.logfmt_paths(line, *strict, paths),
            Parser::Regexp(regex, names) => run.regexp(line, regex, names),
            Parser::Pattern(captures) => run.pattern(line, captures),
            Parser::Unpack => return run.unpack(line),
        };
        stays.then_some(None)
    }
}

struct Run<'r, 'x, 'a, K> {
    labels: &'r mut Labels<'a>,
    hints: &'r Hints,
    line: std::marker::PhantomData<(&'x str, K)>,
}

impl<'x, 'a, K: Keep<'x, 'a>> Run<'_, 'x, 'a, K> {
    fn fail(&mut self, error: &'static str, details: Option<String>) {
        self.labels.set_error(error);
        if let Some(details) = details {
            self.labels.set_details(details);
        }
        if self.hints.preserve_error {
            self.labels.set(Cow::Borrowed(PRESERVE_ERROR), Cow::Borrowed("true"));
        }
    }

    fn suffixed(&self, name: Cow<'a, str>) -> Cow<'a, str> {
        match self.labels.collides(&name) {
            true => Cow::Owned(name.into_owned() + DUPLICATE_SUFFIX),
            false => name,
        }
    }

    /// The name under which a label is made; `None` when the query has no use for it, or has it already: the first value counts.
    fn wanted(&self, name: Cow<'a, str>) -> Option<Cow<'a, str>> {
        let name = self.suffixed(name);
        self.is_wanted(&name).then_some(name)
    }

    /// As [`Run::wanted`], of a name that has its suffix.
    fn is_wanted(&self, name: &str) -> bool {
        self.hints.wants(name) && !self.labels.was_parsed(name)
    }

    /// Sets a label that [`Run::wanted`] let through. Whether the entry is still wanted.
    fn make(&mut self, name: Cow<'a, str>, value: Cow<'a, str>) -> bool {
        if !self.hints.filters(&name) {
            self.labels.add(name, value);
            return true;
        }
        self.labels.add(name.clone(), value);
        self.hints.goes_on(&name, self.labels)
    }

    fn regexp(&mut self, line: &'x str, regex: &Regex, names: &[(usize, String)]) -> bool {
        let Some(captures) = regex.captures(line) else { return true };
        for (at, name) in names {
            let Some(name) = self.wanted(Cow::Owned(name.clone())) else { continue };
            // A group that took no part is empty.
            let value = captures.get(*at).map_or(Cow::Borrowed(""), |found| K::keep(found.as_str()));
            if !self.make(name, value) {
                return false;
            }
        }
        true
    }

    fn pattern(&mut self, line: &'x str, captures: &Captures) -> bool {
        let mut stays = true;
        captures.each(line, &mut |name, value| {
            if let Some(name) = self.wanted(Cow::Owned(name.to_owned())) {
                stays = self.make(name, K::keep(value));
            }
            stays
        });
        stays
    }
}

fn too_many() -> String {
    format!("the line has too many fields (at most {PARSED_MAX} are read)")
}

/// A JSON string's content; empty when an escape in it is wrong.
fn text<'x, 'a, K: Keep<'x, 'a>>(content: &'x str) -> Cow<'a, str> {
    K::keep_cow(valid(json_scan::unescape(content).unwrap_or_default()))
}

/// Replacement characters, which stand for what was no UTF-8, become spaces.
fn valid(text: Cow<'_, str>) -> Cow<'_, str> {
    match text.contains(char::REPLACEMENT_CHARACTER) {
        true => Cow::Owned(text.replace(char::REPLACEMENT_CHARACTER, " ")),
        false => text,
    }
}
