//! Label matchers: `=`, `!=`, `=~`, `!~`, with Prometheus' meaning (regexes are anchored, an absent label is empty).

use std::fmt;

use crate::go_regex;
use crate::labels::Labels;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MatchOp {
    Equal,
    NotEqual,
    Regex,
    NotRegex,
}

impl MatchOp {
    pub fn as_str(self) -> &'static str {
        match self {
            MatchOp::Equal => "=",
            MatchOp::NotEqual => "!=",
            MatchOp::Regex => "=~",
            MatchOp::NotRegex => "!~",
        }
    }
}

/// One condition on one label.
#[derive(Clone)]
pub struct Matcher {
    pub name: String,
    pub op: MatchOp,
    /// The text as written: a value, or a regex without its anchors.
    pub value: String,
    regex: Option<regex::Regex>,
}

/// Literals of a pattern that are looked up one by one; above them all values are read.
const LITERALS_MAX: usize = 10_000;

/// Where among a label's values to look: those for which a matcher decides otherwise than for an absent label are all among these.
/// Each still has to be asked with [`Matcher::matches`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Candidates {
    /// These, sorted, each once.
    Values(Vec<String>),
    /// Those that begin with one of these, sorted; none of which begins with another.
    Prefixes(Vec<String>),
    /// Any.
    All,
}

/// A pattern that the regex engine refuses, with its reason.
#[derive(Debug, Clone, thiserror::Error)]
#[error("bad regular expression {pattern:?}: {reason}")]
pub struct BadRegex {
    pub pattern: String,
    pub reason: String,
}

impl Matcher {
    /// Compiles a regex matcher; the others cannot fail.
    pub fn new(name: impl Into<String>, op: MatchOp, value: impl Into<String>) -> Result<Matcher, BadRegex> {
        let value = value.into();
        let regex = match op {
            MatchOp::Equal | MatchOp::NotEqual => None,
            MatchOp::Regex | MatchOp::NotRegex => Some(anchored(&value)?),
        };
        Ok(Matcher { name: name.into(), op, value, regex })
    }

    pub fn equal(name: impl Into<String>, value: impl Into<String>) -> Matcher {
        Matcher { name: name.into(), op: MatchOp::Equal, value: value.into(), regex: None }
    }

    /// Whether a label's value (empty when absent) satisfies this matcher.
    pub fn matches(&self, value: &str) -> bool {
        match (self.op, &self.regex) {
            (MatchOp::Equal, _) => self.value == value,
            (MatchOp::NotEqual, _) => self.value != value,
            (MatchOp::Regex, Some(regex)) => regex.is_match(value),
            (MatchOp::NotRegex, Some(regex)) => !regex.is_match(value),
            (MatchOp::Regex | MatchOp::NotRegex, None) => unreachable!("a regex matcher is made with its regex"),
        }
    }

    /// Whether a set without the label satisfies this matcher, so that postings alone cannot decide it.
    pub fn matches_empty(&self) -> bool {
        self.matches("")
    }

    /// Which values a search for this matcher has to look at.
    pub fn candidates(&self) -> Candidates {
        match self.op {
            _ if self.value.is_empty() => Candidates::All,
            MatchOp::Equal | MatchOp::NotEqual => Candidates::Values(vec![self.value.clone()]),
            // A pattern that takes the empty text too is decided by the values that it does not take.
            MatchOp::Regex if self.matches("") => Candidates::All,
            MatchOp::NotRegex if !self.matches("") => Candidates::All,
            MatchOp::Regex | MatchOp::NotRegex => literals(&self.value).unwrap_or(Candidates::All),
        }
    }

    pub fn matches_labels(&self, labels: &Labels) -> bool {
        self.matches(labels.value(&self.name))
    }
}

fn anchored(pattern: &str) -> Result<regex::Regex, BadRegex> {
    go_regex::compile_whole(pattern).map_err(|reason| BadRegex {
        pattern: pattern.into(),
        reason: reason.strip_prefix(go_regex::PREFIX).unwrap_or(&reason).into(),
    })
}

/// The literals that a pattern comes down to or begins with; `None` when it has none, or too many.
fn literals(pattern: &str) -> Option<Candidates> {
    use regex_syntax::hir::literal::{ExtractKind, Extractor};
    let pattern = go_regex::translate(pattern).ok()?;
    let hir = regex_syntax::ParserBuilder::new().dot_matches_new_line(true).build().parse(&pattern).ok()?;
    let mut extractor = Extractor::new();
    extractor.kind(ExtractKind::Prefix).limit_total(LITERALS_MAX).limit_literal_len(1 << 10);
    let found = extractor.extract(&hir);
    let exact = found.is_exact();
    let mut texts: Vec<String> = Vec::new();
    for literal in found.literals()? {
        // A literal may be cut in the middle of a character.
        let bytes = literal.as_bytes();
        let text = match std::str::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) if !exact => std::str::from_utf8(&bytes[..error.valid_up_to()]).ok()?,
            Err(_) => return None,
        };
        texts.push(text.into());
    }
    texts.sort();
    texts.dedup();
    if exact {
        return Some(Candidates::Values(texts));
    }
    texts.dedup_by(|longer, kept| longer.starts_with(kept.as_str()));
    if texts.iter().any(String::is_empty) { None } else { Some(Candidates::Prefixes(texts)) }
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Self) -> bool {
        self.op == other.op && self.name == other.name && self.value == other.value
    }
}
impl Eq for Matcher {}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}{:?}", self.name, self.op.as_str(), self.value)
    }
}

impl fmt::Debug for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matchers_see_absent_labels_as_empty_and_anchor_their_regex() {
        for (op, pattern, value, expected) in [
            (MatchOp::Equal, "a", "a", true),
            (MatchOp::Equal, "", "", true),
            (MatchOp::NotEqual, "a", "", true),
            (MatchOp::Regex, "a|b", "b", true),
            (MatchOp::Regex, "a|b", "ab", false),
            (MatchOp::Regex, ".*", "", true),
            (MatchOp::Regex, ".+", "", false),
            (MatchOp::Regex, "a.b", "a\nb", true),
            (MatchOp::NotRegex, "a.*", "b", true),
        ] {
            let matcher = Matcher::new("x", op, pattern).unwrap();
            assert_eq!(matcher.matches(value), expected, "{matcher} on {value:?}");
        }
        for (pattern, reason) in
            [("(", "missing closing ): `(`"), ("a)|(b", "unexpected )"), ("*", "repetition operator")]
        {
            let error = Matcher::new("x", MatchOp::Regex, pattern).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
        assert!(Matcher::new("x", MatchOp::Regex, "a{1000}{1000}").is_err());
    }

    #[test]
    fn a_search_looks_only_where_a_matcher_can_decide() {
        let values = |texts: &[&str]| Candidates::Values(texts.iter().map(|text| text.to_string()).collect());
        let prefixes = |texts: &[&str]| Candidates::Prefixes(texts.iter().map(|text| text.to_string()).collect());
        for (op, pattern, expected) in [
            (MatchOp::Equal, "a", values(&["a"])),
            (MatchOp::NotEqual, "a", values(&["a"])),
            (MatchOp::Equal, "", Candidates::All),
            (MatchOp::Regex, "b|a|b", values(&["a", "b"])),
            (MatchOp::NotRegex, "api-[12]", values(&["api-1", "api-2"])),
            (MatchOp::Regex, "(?i)ab", values(&["AB", "Ab", "aB", "ab"])),
            (MatchOp::Regex, "api.*", prefixes(&["api"])),
            (MatchOp::Regex, "(web|api|apix)-.+", prefixes(&["api-", "apix-", "web-"])),
            (MatchOp::Regex, "web|api.*|apix", prefixes(&["api", "web"])),
            (MatchOp::Regex, "10\\.0\\.0\\.[0-9]+", prefixes(&["10.0.0."])),
            (MatchOp::Regex, ".*a", Candidates::All),
            (MatchOp::Regex, "a|", Candidates::All),
            (MatchOp::NotRegex, ".+", Candidates::All),
        ] {
            let matcher = Matcher::new("x", op, pattern).unwrap();
            let found = matcher.candidates();
            match (&found, &expected) {
                // The engine may know more than the test asks.
                (Candidates::Prefixes(found), Candidates::Prefixes(expected)) if found != expected => {
                    assert!(
                        found.iter().all(|one| expected.iter().any(|prefix| one.starts_with(prefix.as_str()))),
                        "{matcher}: {found:?}"
                    );
                }
                _ => assert_eq!(found, expected, "{matcher}"),
            }
        }
        let many: Vec<String> = (0..3_000).map(|n| format!("host-{n}")).collect();
        let Candidates::Values(found) = Matcher::new("x", MatchOp::Regex, many.join("|")).unwrap().candidates() else {
            panic!()
        };
        assert_eq!(found.len(), 3_000);
    }

    #[test]
    fn no_matching_value_is_outside_the_candidates() {
        let alphabet = ["", "a", "b", "ab", "ba", "abc", "aab", "A", "ü", "üa", "a\nb", "1", "a1", "a.b"];
        let patterns = [
            "a",
            "a|b",
            "a.*",
            "a+",
            "a*",
            "(a|b)+",
            "^a",
            "a$",
            "^a$|b",
            "\\ba.*",
            "[ab]",
            "[^a]",
            "a?b",
            "ü.*",
            "[üa]b?",
            "a.b",
            "(?i)a.*",
            "a\\.b",
            ".",
            ".+",
            ".*",
            "a{2}b",
            "(?:a|ab)(?:c|)",
            "\\d",
            "a\\d*",
            "(?s).",
            "(?-s)a.b",
            "",
        ];
        for pattern in patterns {
            for op in [MatchOp::Equal, MatchOp::NotEqual, MatchOp::Regex, MatchOp::NotRegex] {
                let matcher = Matcher::new("x", op, pattern).unwrap();
                let candidates = matcher.candidates();
                for value in alphabet.iter().filter(|value| matcher.matches(value) != matcher.matches_empty()) {
                    let among = match &candidates {
                        Candidates::Values(values) => values.iter().any(|one| one == value),
                        Candidates::Prefixes(prefixes) => prefixes.iter().any(|one| value.starts_with(one.as_str())),
                        Candidates::All => true,
                    };
                    assert!(among, "{matcher} on {value:?}: {candidates:?}");
                }
            }
        }
    }
}
