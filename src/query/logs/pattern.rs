//! Patterns in a search: words with a `*` inside, and regular expressions.

use codec::words::in_word;
use model::go_regex::{TOGETHER_BYTES_MAX, build_within};
use regex::{Regex, RegexBuilder};

/// Largest compiled pattern, in bytes, and the most its lazy automaton may take: `a{1000}{1000}` is refused, not run.
const COMPILED_BYTES_MAX: usize = 1 << 20;
const CACHE_BYTES_MAX: usize = 4 << 20;

/// Texts with a `*` between each two of them. In a body the star is a run without space, in a value it is anything.
#[derive(Debug, Clone)]
pub(crate) struct Glob {
    /// Folded, at least one of them not empty.
    pub(crate) pieces: Vec<String>,
    pub(crate) open_start: bool,
    pub(crate) open_end: bool,
    /// Of folded text.
    pub(crate) regex: Regex,
}

impl Glob {
    /// For a body: the ends cut no word of it unless they are open.
    pub(crate) fn of_body(folded: &str) -> Result<Glob, String> {
        const NO_WORD: &str = r"[^\p{Alphabetic}\p{N}_]";
        let (pieces, open_start, open_end) = pieces(folded);
        let inner: Vec<String> = pieces.iter().map(|piece| regex::escape(piece)).collect();
        let cuts = |open: bool, edge: Option<char>| !open && edge.is_some_and(in_word);
        let before = match cuts(open_start, pieces.first().and_then(|piece| piece.chars().next())) {
            true => format!("(?:^|{NO_WORD})"),
            false => String::new(),
        };
        let after = match cuts(open_end, pieces.last().and_then(|piece| piece.chars().next_back())) {
            true => format!("(?:$|{NO_WORD})"),
            false => String::new(),
        };
        let regex = compile(&format!("{before}{}{after}", inner.join(r"\S*")))?;
        Ok(Glob { pieces, open_start, open_end, regex })
    }

    /// For a whole value.
    pub(crate) fn of_value(folded: &str) -> Result<Glob, String> {
        let (pieces, open_start, open_end) = pieces(folded);
        let inner: Vec<String> = pieces.iter().map(|piece| regex::escape(piece)).collect();
        let before = if open_start { "" } else { "^" };
        let after = if open_end { "" } else { "$" };
        let regex = compile(&format!("(?s){before}{}{after}", inner.join(".*")))?;
        Ok(Glob { pieces, open_start, open_end, regex })
    }
}

fn pieces(folded: &str) -> (Vec<String>, bool, bool) {
    let pieces = folded.split('*').filter(|piece| !piece.is_empty()).map(str::to_owned).collect();
    (pieces, folded.starts_with('*'), folded.ends_with('*'))
}

/// Compiles a pattern of RE2's syntax (without look-around and back-references, so its time is linear in the text).
///
/// # Errors
/// What is wrong with it, in one line.
pub(crate) fn compile(pattern: &str) -> Result<Regex, String> {
    let built = build_within(RegexBuilder::new(pattern).dfa_size_limit(CACHE_BYTES_MAX), COMPILED_BYTES_MAX);
    built.map_err(|error| match error {
        regex::Error::CompiledTooBig(TOGETHER_BYTES_MAX) => {
            format!("the patterns together take more than {TOGETHER_BYTES_MAX} bytes of memory")
        }
        regex::Error::CompiledTooBig(_) => format!("the pattern takes more than {COMPILED_BYTES_MAX} bytes of memory"),
        // The engine draws the pattern and points at the place over several lines; the last one says what it is.
        other => {
            let text = other.to_string();
            let last = text.lines().last().unwrap_or_default();
            format!("the pattern cannot be read: {}", last.trim_start_matches("error: "))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_runs() {
        for (glob, text, expected) in [
            ("conn*refused", "connection-refused", true),
            ("conn*refused", "connection refused", false),
            ("/api/*/orders", "get /api/v1/orders 200", true),
            ("/api/*/orders", "get /api/v1/users /orders", false),
            ("a*b", "xa-b", false),
            ("*a*b", "xa-b", true),
            ("a*b", "a-bc", false),
            ("a*b*", "a-bc", true),
            ("a.c*d", "abcd", false),
            ("ü*ß", "(üß)", true),
        ] {
            assert_eq!(Glob::of_body(glob).unwrap().regex.is_match(text), expected, "{glob} {text}");
        }
        for (glob, value, expected) in [
            ("a*c", "a b\nc", true),
            ("a*c", "xa c", false),
            ("a*c", "a cx", false),
            ("*a*c*", "xa cx", true),
            ("a*a", "a", false),
        ] {
            assert_eq!(Glob::of_value(glob).unwrap().regex.is_match(value), expected, "{glob} {value}");
        }
        assert!(compile("a{1000}{1000}{10}").unwrap_err().contains("memory"));
        assert!(compile("(a").unwrap_err().contains("unclosed group"));
    }
}
