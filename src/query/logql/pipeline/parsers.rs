//! The parsers of lines: `json`, `logfmt`, `regexp`, `pattern`, `unpack`.

use std::borrow::Cow;

use regex::Regex;

use super::super::ast;
use super::super::error::ParseError;
use super::super::go_regex;
use super::hints::Hints;
use super::json_path::{self, Step};
use super::json_scan::{self, Kind, Walk, each_pair, unescape};
use super::labels::{DUPLICATE_SUFFIX, ERROR, JSON_ERROR, LOGFMT_ERROR, Labels, PARSED_MAX, PRESERVE_ERROR};
use super::logfmt::{self, Decoder};
use super::pattern::Captures;
use super::sanitize::{is_label_name, label_name, nested_name};

/// Deepest nesting of JSON that is walked into; what is deeper is an error of the line.
const JSON_DEPTH_MAX: usize = 128;

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
                    let key = logfmt::path(&wanted.path).map_err(|reason| bad_path(&wanted.path, reason))?;
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

    fn json(&mut self, line: &'x str) -> bool {
        let mut walk = JsonWalk { run: self, parts: Vec::new(), name: String::new(), refused: false };
        let walked = walk.object(line);
        let refused = walk.refused;
        if let Err(reason) = walked {
            self.fail(JSON_ERROR, Some(reason.into()));
        }
        !refused
    }

    fn json_paths(&mut self, line: &'x str, names: &[String], paths: &[Vec<Step>]) -> bool {
        let Some(first) = line.as_bytes().first() else { return true };
        if !matches!(first, b'"' | b'{' | b'[') {
            self.fail(JSON_ERROR, None);
            return true;
        }
        let mut matches = 0;
        json_path::each_match(line, paths, &mut |which, found| {
            let (name, (value, kind)) = match (names.get(which), found) {
                (Some(name), Ok(found)) => (name, found),
                (_, found) => return self.fail(JSON_ERROR, found.err().map(str::to_owned)),
            };
            let name = self.suffixed(Cow::Owned(name.clone()));
            let value = match kind {
                Kind::Null => Cow::Borrowed(""),
                Kind::Object => K::keep(value),
                _ => text::<K>(value),
            };
            self.labels.set(name, value);
            matches += 1;
        });
        // Every name has a label.
        if matches < names.len() {
            for name in names {
                if self.labels.get(name).is_none() {
                    self.labels.set(Cow::Owned(name.clone()), Cow::Borrowed(""));
                }
            }
        }
        true
    }

    fn logfmt(&mut self, line: &'x str, strict: bool, keep_empty: bool) -> bool {
        let mut decoder = Decoder::new(line);
        while let Some(pair) = decoder.next() {
            let Some(pair) = pair else {
                if strict {
                    break;
                }
                continue;
            };
            let name = K::keep_cow(label_name(pair.key, true));
            if name.is_empty() {
                continue;
            }
            let Some(name) = self.wanted(name) else { continue };
            if !keep_empty && pair.value.is_empty() {
                continue;
            }
            if self.labels.is_full() {
                self.fail(LOGFMT_ERROR, Some(too_many()));
                break;
            }
            if !self.make(name, K::keep_cow(valid(pair.value))) {
                return false;
            }
            if self.hints.all_parsed(self.labels) {
                break;
            }
        }
        match decoder.fault().filter(|_| strict) {
            Some(fault) => {
                self.fail(LOGFMT_ERROR, Some(fault));
                self.hints.goes_on(ERROR, self.labels)
            }
            None => true,
        }
    }

    fn logfmt_paths(&mut self, line: &'x str, strict: bool, paths: &[(String, String)]) -> bool {
        for (name, _) in paths {
            if !self.labels.collides(name) {
                self.labels.set(Cow::Owned(name.clone()), Cow::Borrowed(""));
            }
        }
        let mut decoder = Decoder::new(line);
        while let Some(pair) = decoder.next() {
            let Some(pair) = pair else {
                if strict {
                    break;
                }
                continue;
            };
            let key = label_name(pair.key, true);
            let is_name = |key: &str| paths.iter().any(|(name, _)| name == key);
            // As in Loki the question is asked of the key in the line, not of the name it gets: a key that the query does not name otherwise
            // is not read where the query needs few labels.
            let unused = !self.hints.wants(&key) || self.labels.was_parsed(&key);
            if key.is_empty() || unused && !is_name(&key) {
                continue;
            }
            let name = paths.iter().find(|(_, source)| *source == *key).map_or(&*key, |(name, _)| name);
            if !is_name(name) {
                continue;
            }
            let collides = self.labels.collides(name);
            let name = self.suffixed(Cow::Owned(name.to_owned()));
            if collides && !self.hints.wants(&name) {
                break;
            }
            // Unlike elsewhere such a value is dropped, not mended.
            let value = if pair.value.contains(char::REPLACEMENT_CHARACTER) { Cow::Borrowed("") } else { pair.value };
            self.labels.set(name, K::keep_cow(value));
            if self.hints.all_parsed(self.labels) {
                break;
            }
        }
        if let Some(fault) = decoder.fault().filter(|_| strict) {
            self.fail(LOGFMT_ERROR, Some(fault));
        }
        true
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

    #[expect(clippy::option_option, reason = "a refused entry, and a line that stays, are different answers")]
    fn unpack(&mut self, line: &'x str) -> Option<Option<Cow<'a, str>>> {
        if line.is_empty() {
            return Some(None);
        }
        if !line.starts_with('{') {
            self.fail(JSON_ERROR, Some("expecting json object(6), but it is not".into()));
            return Some(None);
        }
        let (mut entry, mut found) = (None, Vec::<(Cow<'a, str>, Cow<'a, str>)>::new());
        let walked = each_pair(line, &mut |key, value, kind| {
            if kind != Kind::Text {
                return Ok(Walk::On);
            }
            if key == "_entry" {
                let text = unescape(value).ok_or("Encountered an invalid escape sequence in a string")?;
                entry = Some(K::keep_cow(text));
            } else if let Some(name) = self.wanted(K::keep_cow(key)) {
                if found.len() >= PARSED_MAX {
                    return Err("the line has too many fields (at most 1024 are read)");
                }
                found.push((Cow::Owned(label_name(&name, true).into_owned()), text::<K>(value)));
            }
            Ok(Walk::On)
        });
        if let Err(reason) = walked {
            self.fail(JSON_ERROR, Some(reason.into()));
            return Some(None);
        }
        // Only what was packed is unpacked.
        let Some(entry) = entry else { return Some(None) };
        for (name, value) in found {
            // Of two of one name the later counts here.
            self.labels.set(name.clone(), value);
            if !self.hints.goes_on(&name, self.labels) {
                return None;
            }
        }
        Some(Some(entry))
    }
}

struct JsonWalk<'w, 'r, 'x, 'a, K> {
    run: &'w mut Run<'r, 'x, 'a, K>,
    /// The keys of the objects around.
    parts: Vec<Cow<'x, str>>,
    name: String,
    refused: bool,
}

impl<'x, 'a, K: Keep<'x, 'a>> JsonWalk<'_, '_, 'x, 'a, K> {
    fn object(&mut self, text: &'x str) -> Result<Walk, &'static str> {
        each_pair(text, &mut |key, value, kind| self.pair(key, value, kind))
    }

    fn pair(&mut self, key: Cow<'x, str>, value: &'x str, kind: Kind) -> Result<Walk, &'static str> {
        match kind {
            Kind::Object => {
                if self.parts.len() >= JSON_DEPTH_MAX {
                    return Err("the line is nested too deep (at most 128 levels are read)");
                }
                self.parts.push(key);
                nested_name(&mut self.name, &self.parts);
                let walked = if self.run.hints.wants_prefix(&self.name) { self.object(value) } else { Ok(Walk::On) };
                self.parts.pop();
                return walked;
            }
            Kind::Text | Kind::Number | Kind::Bool => {
                if let Walk::Stop = self.label(key, value, kind)? {
                    return Ok(Walk::Stop);
                }
            }
            Kind::Array | Kind::Null => {}
        }
        Ok(if self.run.hints.all_parsed(self.run.labels) { Walk::Stop } else { Walk::On })
    }

    /// The name of a label below other keys. As in Loki the suffix goes behind the key as it is written, blanks and all.
    fn nested(&mut self, key: Cow<'x, str>) -> String {
        self.parts.push(key);
        nested_name(&mut self.name, &self.parts);
        if self.run.labels.collides(&self.name)
            && let Some(key) = self.parts.last_mut()
        {
            key.to_mut().push_str(DUPLICATE_SUFFIX);
            nested_name(&mut self.name, &self.parts);
        }
        self.parts.pop();
        self.name.clone()
    }

    fn label(&mut self, key: Cow<'x, str>, value: &'x str, kind: Kind) -> Result<Walk, &'static str> {
        let name = if self.parts.is_empty() {
            let name = match key {
                Cow::Borrowed(key) => K::keep_cow(label_name(key, true)),
                Cow::Owned(key) => Cow::Owned(label_name(&key, true).into_owned()),
            };
            if name.is_empty() {
                return Ok(Walk::On);
            }
            self.run.suffixed(name)
        } else {
            Cow::Owned(self.nested(key))
        };
        if !self.run.is_wanted(&name) {
            return Ok(Walk::On);
        }
        if self.run.labels.is_full() {
            return Err("the line has too many fields (at most 1024 are read)");
        }
        let value = if kind == Kind::Text { text::<K>(value) } else { K::keep(value) };
        self.refused = !self.run.make(name, value);
        Ok(if self.refused { Walk::Stop } else { Walk::On })
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
