//! What may be written at a place in an unfinished query, for whoever types one.
//!
//! It reads tokens and never parses: most queries on their way cannot be parsed. Bounded by the length of the text, and by
//! [`SELECTORS_MAX`] selectors that narrow the choice of labels.

use model::labels::METRIC_NAME;
use model::{MatchOp, Matcher, go_regex};

use super::ast::{Aggregator, Op};
use super::functions;
use super::lexer::{Span, Token, lex};

/// Selectors of a query that say which labels are of interest; of a longer one the first count.
const SELECTORS_MAX: usize = 8;

/// Where somebody writes: `text[start..at]` is what is there already of the word, and goes when another takes its place.
#[derive(Debug, Clone)]
pub struct Place {
    pub start: usize,
    pub wanted: Wanted,
}

/// What may stand there.
#[derive(Debug, Clone)]
pub enum Wanted {
    /// A metric, a function or an aggregation.
    Operand,
    /// A word behind an operand: `by`, `and`, `offset`.
    Word,
    /// A label of the series that any of these select; of all series when there are none.
    LabelName { selectors: Vec<Vec<Matcher>>, in_braces: bool },
    /// A value of a label of those series. Without an open quote one has to be written too.
    LabelValue { label: String, selectors: Vec<Vec<Matcher>>, quote: Option<char> },
    /// How far back: behind `[`.
    Duration,
    /// A number, a comment, or something that only its writer knows.
    Nothing,
}

/// A function or an aggregation as it is written, and its arguments in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Callable {
    pub name: &'static str,
    pub aggregates: bool,
    pub arguments: String,
}

/// All of them, by name.
pub fn callables() -> Vec<Callable> {
    let types = |args: &[super::ast::Type]| args.iter().map(|of| of.name()).collect::<Vec<_>>().join(", ");
    let mut all: Vec<Callable> = functions::all()
        .iter()
        .map(|function| Callable { name: function.name, aggregates: false, arguments: types(function.args) })
        .chain(Aggregator::ALL.into_iter().map(|op| {
            let parameter = op.parameter().map_or(String::new(), |of| format!("{}, ", of.name()));
            Callable { name: op.text(), aggregates: true, arguments: format!("{parameter}instant vector") }
        }))
        .collect();
    all.sort_unstable_by_key(|callable| callable.name);
    all
}

/// The binary operators as they are written.
pub fn operators() -> impl Iterator<Item = &'static str> {
    Op::ALL.into_iter().map(Op::text)
}

/// Words that may follow an operand.
pub const WORDS: [&str; 12] =
    ["and", "atan2", "bool", "by", "group_left", "group_right", "ignoring", "offset", "on", "or", "unless", "without"];
/// Those of them that a list of labels follows.
const LISTING: [&str; 6] = ["by", "without", "on", "ignoring", "group_left", "group_right"];

/// What is open around the place.
enum Open {
    /// With the metric's name before it.
    Braces(Option<String>),
    Labels,
    Brackets,
    Parentheses,
}

/// What may be written at byte `at` of `text`; an `at` inside a character or behind the end is moved back.
pub fn place(text: &str, at: usize) -> Place {
    go_regex::together(|| place_in(text, at))
}

fn place_in(text: &str, at: usize) -> Place {
    let at = text.floor_char_boundary(at.min(text.len()));
    let before = &text[..at];
    let mut tokens = lex(before);
    let Some((last, rest)) = tokens.pop() else { return Place { start: at, wanted: Wanted::Nothing } };
    let quote = before[rest.start..].chars().next().filter(|c| matches!(c, '"' | '\'' | '`'));
    let unreadable = matches!(last, Token::Wrong(_)) && rest.start < at;
    let commented = before[tokens.last().map_or(0, |(_, span)| span.end)..].contains('#') && quote.is_none();
    if (unreadable && quote.is_none()) || commented {
        return Place { start: at, wanted: Wanted::Nothing };
    }
    // A name that ends here is still being written.
    let typed = match tokens.last() {
        Some((Token::Name(_), span)) if quote.is_none() && span.end == at => tokens.pop().map(|(_, span)| span),
        _ => None,
    };
    let start = match (quote, typed) {
        (Some(_), _) => rest.start + 1,
        (None, Some(span)) => span.start,
        (None, None) => at,
    };
    Place { start, wanted: wanted(text, &tokens, quote, typed.is_some()) }
}

fn wanted(text: &str, tokens: &[(Token, Span)], quote: Option<char>, is_typed: bool) -> Wanted {
    let (open, since) = innermost(tokens);
    let previous = tokens.last().map(|(token, _)| token);
    let is_symbol = |symbol: &str| matches!(previous, Some(Token::Symbol(found)) if *found == symbol);
    match open {
        Some(Open::Braces(metric)) => {
            let selectors = || vec![matchers(metric.as_deref(), &tokens[since..])];
            let operator = ["=", "!=", "=~", "!~"].into_iter().any(is_symbol);
            let label = tokens.len().checked_sub(2).and_then(|at| name_of(&tokens[at].0));
            match (label, quote) {
                (Some(label), quote) if operator => {
                    Wanted::LabelValue { label: label.to_owned(), selectors: selectors(), quote }
                }
                // A name in quotes where a label may begin is the metric's.
                (_, Some(quote)) if is_symbol("{") || is_symbol(",") => {
                    Wanted::LabelValue { label: METRIC_NAME.into(), selectors: selectors(), quote: Some(quote) }
                }
                (_, None) if is_symbol("{") || is_symbol(",") => {
                    Wanted::LabelName { selectors: selectors(), in_braces: true }
                }
                _ => Wanted::Nothing,
            }
        }
        _ if quote.is_some() => Wanted::Nothing,
        Some(Open::Labels) if is_symbol("(") || is_symbol(",") => {
            Wanted::LabelName { selectors: selectors_of(text), in_braces: false }
        }
        Some(Open::Brackets) if is_symbol("[") && !is_typed => Wanted::Duration,
        Some(Open::Labels | Open::Brackets) => Wanted::Nothing,
        Some(Open::Parentheses) | None => match previous {
            Some(Token::Symbol(")" | "}" | "]") | Token::Text(_) | Token::Number(_) | Token::Duration(_)) => {
                Wanted::Word
            }
            Some(Token::Name(name)) if !is_word(name) => Wanted::Word,
            Some(Token::Symbol("@")) => Wanted::Nothing,
            Some(Token::Name(name)) if name == "offset" => Wanted::Duration,
            _ => Wanted::Operand,
        },
    }
}

fn is_word(name: &str) -> bool {
    WORDS.iter().any(|word| name.eq_ignore_ascii_case(word))
}

fn name_of(token: &Token) -> Option<&str> {
    match token {
        Token::Name(name) | Token::Text(name) => Some(name),
        _ => None,
    }
}

/// The innermost thing open at the end of the tokens, and the place of the first token in it.
fn innermost(tokens: &[(Token, Span)]) -> (Option<Open>, usize) {
    let mut open: Vec<(Open, usize)> = Vec::new();
    for (at, (token, _)) in tokens.iter().enumerate() {
        let before = at.checked_sub(1).and_then(|before| match &tokens[before].0 {
            Token::Name(name) => Some(name.as_str()),
            _ => None,
        });
        let opened = match token {
            Token::Symbol("{") => Open::Braces(before.filter(|name| !is_word(name)).map(str::to_owned)),
            Token::Symbol("[") => Open::Brackets,
            Token::Symbol("(") if before.is_some_and(|word| LISTING.iter().any(|of| of.eq_ignore_ascii_case(word))) => {
                Open::Labels
            }
            Token::Symbol("(") => Open::Parentheses,
            Token::Symbol("}" | "]" | ")") => {
                open.pop();
                continue;
            }
            _ => continue,
        };
        open.push((opened, at + 1));
    }
    open.pop().map_or((None, 0), |(innermost, since)| (Some(innermost), since))
}

/// The whole matchers among the tokens behind a brace, up to its end, with the name before it. A pattern that is none is left out.
fn matchers(metric: Option<&str>, tokens: &[(Token, Span)]) -> Vec<Matcher> {
    let mut found: Vec<Matcher> = metric.map(|name| Matcher::equal(METRIC_NAME, name)).into_iter().collect();
    let inside = tokens.iter().position(|(token, _)| *token == Token::Symbol("}")).unwrap_or(tokens.len());
    for part in tokens[..inside].split(|(token, _)| *token == Token::Symbol(",")) {
        match part {
            [(Token::Text(name), _)] => found.push(Matcher::equal(METRIC_NAME, name.as_str())),
            [(label, _), (Token::Symbol(symbol), _), (Token::Text(value), _)] => {
                let op = match *symbol {
                    "=" => MatchOp::Equal,
                    "!=" => MatchOp::NotEqual,
                    "=~" => MatchOp::Regex,
                    "!~" => MatchOp::NotRegex,
                    _ => continue,
                };
                found.extend(name_of(label).and_then(|label| Matcher::new(label, op, value.as_str()).ok()));
            }
            _ => {}
        }
    }
    found
}

/// What the whole text selects, as far as it can be read.
fn selectors_of(text: &str) -> Vec<Vec<Matcher>> {
    let tokens = lex(text);
    let mut found = Vec::new();
    let mut listing = false;
    for (at, (token, _)) in tokens.iter().enumerate() {
        let next = tokens.get(at + 1).map(|(token, _)| token);
        match token {
            Token::Symbol("(") => {
                let word = at.checked_sub(1).and_then(|before| name_of(&tokens[before].0));
                listing = word.is_some_and(|word| LISTING.iter().any(|of| of.eq_ignore_ascii_case(word)));
            }
            Token::Symbol(")") => listing = false,
            Token::Symbol("{") => {
                let metric = at.checked_sub(1).and_then(|before| match &tokens[before].0 {
                    Token::Name(name) if !is_word(name) => Some(name.as_str()),
                    _ => None,
                });
                found.push(matchers(metric, &tokens[at + 1..]));
            }
            // Inside braces a name is a label, which `=` follows.
            Token::Name(name) if !listing && !is_word(name) => match next {
                Some(Token::Symbol("(" | "{" | "=" | "!=" | "=~" | "!~")) => {}
                // `sum by (...)`.
                Some(Token::Name(word)) if LISTING.iter().any(|of| of.eq_ignore_ascii_case(word)) => {}
                _ => found.push(vec![Matcher::equal(METRIC_NAME, name.as_str())]),
            },
            _ => {}
        }
    }
    found.retain(|matchers| !matchers.is_empty());
    found.truncate(SELECTORS_MAX);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `|` is where somebody writes. What is wanted there, and what of it is there already.
    fn check(marked: &str, expected: &str) {
        let at = marked.find('|').expect("the place is marked");
        let text = marked.replacen('|', "", 1);
        let place = place(&text, at);
        let several = |selectors: &[Vec<Matcher>]| {
            let one = |matchers: &Vec<Matcher>| {
                format!("{{{}}}", matchers.iter().map(ToString::to_string).collect::<Vec<_>>().join(","))
            };
            selectors.iter().map(one).collect::<Vec<_>>().join(" ")
        };
        let words = match &place.wanted {
            Wanted::Operand => "operand".to_owned(),
            Wanted::Word => "word".into(),
            Wanted::LabelName { selectors, in_braces } => {
                format!("{} of {}", if *in_braces { "label" } else { "listed label" }, several(selectors))
            }
            Wanted::LabelValue { label, selectors, quote } => {
                format!("{}value of {label} of {}", if quote.is_some() { "" } else { "quoted " }, several(selectors))
            }
            Wanted::Duration => "duration".into(),
            Wanted::Nothing => "nothing".into(),
        };
        assert_eq!(format!("{words}: {:?}", &text[place.start..at]), expected, "{marked}");
    }

    #[test]
    fn what_is_wanted_depends_on_what_is_open_and_what_stands_before() {
        for (marked, expected) in [
            ("|", "operand: \"\""),
            ("ra|", "operand: \"ra\""),
            ("ra|te(x)", "operand: \"ra\""),
            ("sum(ra|", "operand: \"ra\""),
            ("sum(a) / x|", "operand: \"x\""),
            ("a and b|", "operand: \"b\""),
            ("sum b|", "word: \"b\""),
            ("sum(a) |", "word: \"\""),
            ("x[5m] o|", "word: \"o\""),
            ("x{|", "label of {__name__=\"x\"}: \"\""),
            ("x{a=\"1\", ho|", "label of {__name__=\"x\",a=\"1\"}: \"ho\""),
            ("x{a=\"|", "value of a of {__name__=\"x\"}: \"\""),
            ("x{b!~\"c.*\",a=\"ab|\"}", "value of a of {__name__=\"x\",b!~\"c.*\"}: \"ab\""),
            ("x{b=~\"(\",a='ab|", "value of a of {__name__=\"x\"}: \"ab\""),
            ("x{a=|", "quoted value of a of {__name__=\"x\"}: \"\""),
            ("{\"my.me|", "value of __name__ of {}: \"my.me\""),
            ("{\"my.metric\",a|", "label of {__name__=\"my.metric\"}: \"a\""),
            ("x{a=\"1\"|", "nothing: \"\""),
            ("x{a=\"1\"}|", "word: \"\""),
            (
                "sum by (|) (rate(x{a=\"1\"}[5m]) / y)",
                "listed label of {__name__=\"x\",a=\"1\"} {__name__=\"y\"}: \"\"",
            ),
            ("sum(x) by (a, b|", "listed label of {__name__=\"x\"}: \"b\""),
            ("a * on(|", "listed label of {__name__=\"a\"}: \"\""),
            ("rate(x[|", "duration: \"\""),
            ("rate(x[5|", "nothing: \"\""),
            ("x offset |", "duration: \"\""),
            ("x @ |", "nothing: \"\""),
            ("x # com|", "nothing: \"\""),
            ("label_replace(x, \"a|", "nothing: \"a\""),
            ("x ? y|", "nothing: \"\""),
            ("ä|", "nothing: \"\""),
        ] {
            check(marked, expected);
        }
        assert_eq!(place("ä", 1).start, 0, "inside a character");
        assert_eq!(place("", 9).start, 0, "behind the end");
    }

    #[test]
    fn all_that_can_be_called_is_named_with_its_arguments() {
        let all = callables();
        let of = |name: &str| all.iter().find(|callable| callable.name == name).map(|callable| &*callable.arguments);
        assert_eq!(of("rate"), Some("range vector"));
        assert_eq!(of("topk"), Some("scalar, instant vector"));
        assert_eq!(of("histogram_quantile"), Some("scalar, instant vector"));
        assert!(all.windows(2).all(|pair| pair[0].name < pair[1].name));
    }
}
