//! A parsed search: what must hold of a record, and what of that the index and a block's summary can tell.

use std::sync::Arc;

use codec::words::{in_word, number, words};
use memchr::memmem::Finder;
use model::{AnyValue, Resource, Scope, Severity};
use regex::Regex;
use store::IndexQuery;
use store::logs::terms;

use super::logql::Logql;
use super::pattern::Glob;
use super::text_regex::TextRegex;

/// What must hold of a record.
#[derive(Debug, Clone)]
pub(crate) enum Expr {
    And(Vec<Expr>),
    Or(Vec<Expr>),
    Not(Box<Expr>),
    /// A word or part of one in the body, in any case.
    Word(Word),
    /// Text in the body exactly as it stands.
    Phrase(Phrase),
    /// Words of the body around a `*`, in any case.
    Glob(Box<Glob>),
    /// A pattern somewhere in the body.
    Regex(Arc<TextRegex>),
    /// The record is of this resource and scope.
    Stream(Arc<Stream>),
    /// LogQL's selector takes its stream, and the pipeline lets it through.
    Logql(Box<Logql>),
    /// Bit n: `Severity::ALL[n]` will do.
    Severity(u8),
    Time(Compare, i64),
    Field(Field, Test),
}

/// All bits of [`Expr::Severity`].
pub(crate) const ALL_SEVERITIES: u8 = (1 << Severity::ALL.len()) - 1;

#[derive(Debug, Clone)]
pub(crate) struct Phrase {
    pub(crate) text: String,
    pub(crate) finder: Finder<'static>,
}

impl Phrase {
    pub(crate) fn new(text: String) -> Phrase {
        Phrase { finder: Finder::new(&text).into_owned(), text }
    }
}

/// Folded text between ends that are open (a `*` stood there) or not.
#[derive(Debug, Clone)]
pub(crate) struct Word {
    pub(crate) folded: String,
    pub(crate) open_start: bool,
    pub(crate) open_end: bool,
    pub(crate) finder: Finder<'static>,
}

impl Word {
    pub(crate) fn new(folded: String, open_start: bool, open_end: bool) -> Word {
        Word { finder: Finder::new(&folded).into_owned(), folded, open_start, open_end }
    }

    /// Whether it stands in a folded text, not cutting a word of the text at an end that is not open.
    pub(crate) fn is_in(&self, text: &str) -> bool {
        if self.folded.is_empty() {
            return true;
        }
        let cuts_at = |at: usize| {
            let before = text[..at].chars().next_back().is_some_and(in_word);
            before && text[at..].chars().next().is_some_and(in_word)
        };
        // Overlapping places count too: a place that cuts may hide one that does not.
        let mut from = 0;
        while let Some(found) = self.finder.find(&text.as_bytes()[from..]) {
            let (start, end) = (from + found, from + found + self.folded.len());
            if (self.open_start || !cuts_at(start)) && (self.open_end || !cuts_at(end)) {
                return true;
            }
            from = start + self.folded.chars().next().map_or(1, char::len_utf8);
        }
        false
    }

    /// Whether a whole folded value is it.
    pub(crate) fn is_value(&self, value: &str) -> bool {
        match (self.open_start, self.open_end) {
            (false, false) => value == self.folded,
            (false, true) => value.starts_with(&self.folded),
            (true, false) => value.ends_with(&self.folded),
            (true, true) => self.finder.find(value.as_bytes()).is_some(),
        }
    }
}

/// Where a field's values come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Field {
    /// The first place that has the key: the record, its scope, its resource, its body.
    Any(String),
    Record(String),
    Scope(String),
    Resource(String),
    Body,
    /// A path into a body that is a map, or text with fields (`codec::body`).
    BodyPath(String),
    SeverityName,
    SeverityNumber,
    SeverityText,
    TraceId,
    SpanId,
    EventName,
    Time,
    ScopeName,
    ScopeVersion,
}

impl Field {
    /// The field of a name, as OpenTelemetry spells it.
    pub(crate) fn of_name(name: &str) -> Field {
        if let Some(key) = name.strip_prefix("attributes.") {
            return Field::Record(key.into());
        }
        if let Some(key) = name.strip_prefix("resource.") {
            return Field::Resource(key.into());
        }
        if let Some(path) = name.strip_prefix("body.") {
            return Field::BodyPath(path.into());
        }
        match name {
            "body" => Field::Body,
            "severity" => Field::SeverityName,
            "severity_number" => Field::SeverityNumber,
            "severity_text" => Field::SeverityText,
            "trace_id" => Field::TraceId,
            "span_id" => Field::SpanId,
            "event_name" => Field::EventName,
            "time" => Field::Time,
            "scope.name" => Field::ScopeName,
            "scope.version" => Field::ScopeVersion,
            _ => match name.strip_prefix("scope.") {
                Some(key) => Field::Scope(key.into()),
                None => Field::Any(name.into()),
            },
        }
    }

    /// The key under which the index has the field's values; `None` when it has them not.
    fn index_key(&self) -> Option<String> {
        Some(match self {
            Field::Any(key) | Field::Record(key) | Field::Scope(key) | Field::Resource(key) => key.clone(),
            Field::BodyPath(path) => format!("body.{path}"),
            Field::SeverityText => terms::SEVERITY_TEXT.into(),
            Field::EventName => terms::EVENT_NAME.into(),
            Field::TraceId => terms::TRACE_ID.into(),
            Field::ScopeName => "scope.name".into(),
            Field::ScopeVersion => "scope.version".into(),
            Field::Body | Field::SeverityName | Field::SeverityNumber | Field::SpanId | Field::Time => return None,
        })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compare {
    Less,
    LessOrEqual,
    Equal,
    GreaterOrEqual,
    Greater,
}

impl Compare {
    pub(crate) fn holds<T: PartialOrd>(self, left: &T, right: &T) -> bool {
        match self {
            Compare::Less => left < right,
            Compare::LessOrEqual => left <= right,
            Compare::Equal => left == right,
            Compare::GreaterOrEqual => left >= right,
            Compare::Greater => left > right,
        }
    }
}

/// What must hold of one of a field's values.
#[derive(Debug, Clone)]
pub(crate) enum Test {
    Exists,
    /// The value as text, exactly.
    Exact(String),
    /// The value as folded text.
    Text(Box<Word>),
    /// The value as folded text with a `*` inside.
    Glob(Box<Glob>),
    /// A pattern somewhere in the value as text.
    Regex(Box<Regex>),
    /// A number in any type, and in text that is one.
    Number(Compare, f64),
}

/// What a record comes from.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Stream {
    pub(crate) resource: Arc<Resource>,
    pub(crate) scope: Arc<Scope>,
}

/// Blocks that can hold a match have these terms.
pub(crate) fn index_query(expr: &Expr) -> IndexQuery {
    match expr {
        Expr::And(all) => IndexQuery::And(all.iter().map(index_query).collect()),
        Expr::Or(any) => IndexQuery::Or(any.iter().map(index_query).collect()),
        Expr::Not(_) | Expr::Severity(_) | Expr::Time(..) => IndexQuery::All,
        Expr::Regex(regex) => match super::select::needed_text(regex.pattern()) {
            // Either end may lie inside a word of the body.
            Some(text) => body_terms(&codec::words::fold(&text), true, true),
            None => IndexQuery::All,
        },
        Expr::Glob(glob) => glob_terms(glob),
        Expr::Stream(stream) => stream_terms(stream),
        Expr::Logql(logql) => logql.index_query(),
        Expr::Word(word) => body_terms(&word.folded, word.open_start, word.open_end),
        // Either end may lie inside a word of the body.
        Expr::Phrase(phrase) => body_terms(&codec::words::fold(&phrase.text), true, true),
        Expr::Field(field, test) => field_terms(field, test),
    }
}

/// The words that a text's presence in a body implies: whole ones inside, parts at the open ends.
pub(crate) fn body_terms(folded: &str, open_start: bool, open_end: bool) -> IndexQuery {
    let part_first = open_start && folded.chars().next().is_some_and(in_word);
    let part_last = open_end && folded.chars().next_back().is_some_and(in_word);
    let found: Vec<&str> = words(folded).collect();
    let last = found.len().saturating_sub(1);
    let of_word = |(at, word): (usize, &&str)| match (at == 0 && part_first, at == last && part_last) {
        // The end of a longer word, or its middle: terms are in order of their starts, and only those without digits are few.
        (true, _) if word.bytes().any(|byte| byte.is_ascii_digit()) => IndexQuery::All,
        (true, _) => IndexQuery::Contains(terms::word(word)),
        (false, true) => IndexQuery::Prefix(terms::word(word)),
        (false, false) => IndexQuery::Term(terms::word(word)),
    };
    IndexQuery::And(found.iter().enumerate().map(of_word).collect())
}

/// The words around and between the stars.
fn glob_terms(glob: &Glob) -> IndexQuery {
    let last = glob.pieces.len().saturating_sub(1);
    let of_piece =
        |(at, piece): (usize, &String)| body_terms(piece, at > 0 || glob.open_start, at < last || glob.open_end);
    IndexQuery::And(glob.pieces.iter().enumerate().map(of_piece).collect())
}

fn stream_terms(stream: &Stream) -> IndexQuery {
    let of_text = |(key, value): &(model::Key, AnyValue)| match value {
        AnyValue::Str(text) => Some(IndexQuery::Term(terms::value(key, text))),
        _ => None,
    };
    IndexQuery::And(stream.resource.attributes.iter().filter_map(of_text).collect())
}

fn field_terms(field: &Field, test: &Test) -> IndexQuery {
    let Some(key) = field.index_key() else { return IndexQuery::All };
    let of_key = key_terms(&key, *field == Field::TraceId, test);
    match field {
        // What no attribute has may stand in the body: in a map, or in text.
        Field::Any(path) => {
            let in_map = key_terms(&format!("body.{path}"), false, test);
            IndexQuery::Or(vec![of_key, in_map, text_terms(path, test)])
        }
        Field::BodyPath(path) => IndexQuery::Or(vec![of_key, text_terms(path, test)]),
        _ => of_key,
    }
}

fn key_terms(key: &str, is_id: bool, test: &Test) -> IndexQuery {
    match test {
        Test::Exact(text) => IndexQuery::Term(terms::value(key, text)),
        Test::Text(word) if !word.open_start && word.open_end => IndexQuery::Prefix(terms::value(key, &word.folded)),
        Test::Text(word) if !word.open_start => IndexQuery::Term(terms::value(key, &word.folded)),
        Test::Number(Compare::Equal, wanted) => IndexQuery::Term(terms::numeric(key, *wanted)),
        // Ids have no term for being there.
        _ if is_id => IndexQuery::All,
        _ => IndexQuery::Term(terms::exists(key)),
    }
}

/// The words that a field in a body that is text implies: those of its key, and of its value where no writer escapes it.
fn text_terms(path: &str, test: &Test) -> IndexQuery {
    let written_as_is = |text: &str| {
        text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ')
            && !text.contains(['"', '\\', '<', '>', '&', '\'', '/'])
    };
    if !written_as_is(path) {
        return IndexQuery::All;
    }
    let of_value = match test {
        Test::Exact(text) if written_as_is(text) => body_terms(&codec::words::fold(text), false, false),
        Test::Text(word) if written_as_is(&word.folded) => body_terms(&word.folded, word.open_start, word.open_end),
        // See `codec::body` for why a number is written like this.
        Test::Number(Compare::Equal, wanted) => {
            let plain = model::any::double_text(if *wanted == 0.0 { 0.0 } else { *wanted });
            body_terms(&plain, false, false)
        }
        _ => IndexQuery::All,
    };
    IndexQuery::And(vec![body_terms(&codec::words::fold(path), false, false), of_value])
}

/// Severities that a matching record can have.
pub(crate) fn severities(expr: &Expr) -> u8 {
    match expr {
        Expr::And(all) => all.iter().map(severities).fold(ALL_SEVERITIES, |known, next| known & next),
        Expr::Or(any) => any.iter().map(severities).fold(0, |known, next| known | next),
        Expr::Severity(mask) => *mask,
        _ => ALL_SEVERITIES,
    }
}

/// The severities that satisfy the search, when it asks for nothing else.
pub(crate) fn severity_only(expr: &Expr) -> Option<u8> {
    match expr {
        Expr::And(all) => all.iter().try_fold(ALL_SEVERITIES, |known, next| Some(known & severity_only(next)?)),
        Expr::Or(any) => any.iter().try_fold(0, |known, next| Some(known | severity_only(next)?)),
        Expr::Not(inner) => Some(ALL_SEVERITIES & !severity_only(inner)?),
        Expr::Severity(mask) => Some(*mask),
        _ => None,
    }
}

/// A test for an unquoted value without a comparison: a number if it is one, else text. Long whole numbers are ids: a float would
/// take neighbours for equal.
pub(crate) fn text_test(word: Word) -> Test {
    const EXACT_DIGITS: usize = 15;
    let is_id = word.folded.len() > EXACT_DIGITS && word.folded.bytes().all(|byte| byte.is_ascii_digit());
    match number(&word.folded) {
        Some(wanted) if !word.open_start && !word.open_end && !is_id => Test::Number(Compare::Equal, wanted),
        _ => Test::Text(Box::new(word)),
    }
}
