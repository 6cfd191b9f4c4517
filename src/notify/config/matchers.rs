//! Matchers of routes, inhibitions, silences and filters, in Alertmanager's text: `severity = "critical"`, `host=~web-.+`, several with
//! commas between, braces around them or not.
//!
//! Alertmanager has two parsers: the newer one takes any text as a name, quoted where it has signs in it, and Go's escapes within
//! quotes (`matcher/parse`); the classic one knows plain names and three escapes, and takes what stands unquoted as it is
//! (`pkg/labels/parse.go`). Where both take a text and differ, or only the classic one does, that one counts (`matcher/compat`).

use model::{MatchOp, Matcher};
use template::{closing, unquoted};

const SIGNS: [(&str, MatchOp); 4] =
    [("=~", MatchOp::Regex), ("!~", MatchOp::NotRegex), ("!=", MatchOp::NotEqual), ("=", MatchOp::Equal)];

/// Parses one entry of `matchers`, or one filter of the API.
///
/// # Errors
/// What is wrong with the text, as a sentence.
pub fn parse(text: &str) -> Result<Vec<Matcher>, String> {
    let matchers = classic(text).or_else(|classic| match newer(text) {
        // What its quoted names could not be told by the other.
        Err(newer) => Err(if text.contains('"') { newer } else { classic }),
        found => found,
    })?;
    if matchers.is_empty() {
        return Err("an empty matcher matches nothing in particular; remove it".into());
    }
    Ok(matchers)
}

fn matcher(name: &str, op: MatchOp, value: String) -> Result<Matcher, String> {
    Matcher::new(name, op, value).map_err(|error| error.to_string())
}

/// The sign at the beginning, and what follows it.
fn sign(text: &str) -> Option<(MatchOp, &str)> {
    SIGNS.into_iter().find_map(|(sign, op)| text.strip_prefix(sign).map(|rest| (op, rest)))
}

fn classic(text: &str) -> Result<Vec<Matcher>, String> {
    let inner = text.trim();
    let inner = inner.strip_prefix('{').unwrap_or(inner);
    // One brace too many is taken for the closing one; `a=~b{2}` has none too many.
    let mut rest = match inner.strip_suffix('}') {
        Some(rest) if rest.matches('{').count() <= rest.matches('}').count() => rest,
        _ => inner,
    };
    let mut matchers = Vec::new();
    loop {
        let (mut is_quoted, mut is_escaped) = (false, false);
        let comma = rest.find(|c: char| match c {
            ',' => !is_quoted,
            '"' => {
                is_quoted ^= !is_escaped;
                is_escaped = false;
                false
            }
            '\\' => {
                is_escaped = !is_escaped;
                false
            }
            _ => {
                is_escaped = false;
                false
            }
        });
        let Some(comma) = comma else { break };
        matchers.push(classic_one(&rest[..comma])?);
        rest = &rest[comma + 1..];
    }
    if !rest.trim().is_empty() {
        matchers.push(classic_one(rest)?);
    }
    Ok(matchers)
}

fn classic_one(text: &str) -> Result<Matcher, String> {
    let text = text.trim();
    let is_of_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let (name, rest) = text.split_at(text.find(|c| !is_of_name(c)).unwrap_or(text.len()));
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(format!("expected a label's name at {text:?}"));
    }
    let (op, value) = sign(rest.trim_start()).ok_or_else(|| format!("expected =, !=, =~ or !~ after {name:?}"))?;
    let value = value.trim();
    let (value, mut is_open) = value.strip_prefix('"').map_or((value, false), |rest| (rest, true));
    let mut out = String::with_capacity(value.len());
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('n') => out.push('\n'),
                Some(c @ ('"' | '\\')) => out.push(c),
                // Other backslashes are left to the regular expression.
                Some(c) => out.extend(['\\', c]),
                None => out.push('\\'),
            },
            '"' if is_open && chars.as_str().is_empty() => is_open = false,
            '"' => return Err(format!("a quote within {text:?} is written \\\"")),
            c => out.push(c),
        }
    }
    if is_open {
        return Err(format!("a quote is missing at the end of {text:?}"));
    }
    matcher(name, op, out)
}

fn newer(text: &str) -> Result<Vec<Matcher>, String> {
    let inner = text.trim();
    let mut rest = match (inner.strip_prefix('{'), inner.strip_suffix('}')) {
        (Some(_), None) => return Err(format!("a closing brace is missing at the end of {text:?}")),
        (None, Some(_)) => return Err(format!("an opening brace is missing before {text:?}")),
        (Some(inner), Some(_)) => inner.strip_suffix('}').unwrap_or(inner).trim(),
        (None, None) => inner,
    };
    let mut matchers = Vec::new();
    while !rest.is_empty() {
        let (name, after) = word(rest, "a label's name")?;
        let (op, after) = sign(after.trim_start()).ok_or_else(|| format!("expected =, !=, =~ or !~ after {name:?}"))?;
        let (value, after) = word(after.trim_start(), "a value")?;
        matchers.push(matcher(&name, op, value)?);
        rest = after.trim_start();
        if let Some(more) = rest.strip_prefix(',') {
            rest = more.trim_start();
        } else if !rest.is_empty() {
            return Err(format!("expected a comma before {rest:?} in matcher {text:?}"));
        }
    }
    Ok(matchers)
}

/// A name or a value, quoted or not, and what follows it.
fn word<'a>(text: &'a str, what: &str) -> Result<(String, &'a str), String> {
    if let Some(rest) = text.strip_prefix('"') {
        let end = closing(rest, '"').ok_or_else(|| format!("a quote is missing at the end of {text:?}"))?;
        let word = unquoted(&rest[..end], '"').ok_or_else(|| format!("{:?} has a bad escape in it", &rest[..end]))?;
        return Ok((word, &rest[end + 1..]));
    }
    let is_reserved = |c: char| c.is_whitespace() || "{}!=~,\\\"'`".contains(c);
    let end = text.find(is_reserved).unwrap_or(text.len());
    if end == 0 {
        return Err(format!("expected {what} at {text:?}"));
    }
    Ok((text[..end].to_owned(), &text[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Those of Alertmanager's own tests (`matcher/parse`, `pkg/labels`, `matcher/compat`) are among them.
    #[test]
    fn alertmanagers_spellings_are_understood() {
        let check = |text: &str, expected: &[&str]| {
            let found = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            let found: Vec<String> = found.iter().map(ToString::to_string).collect();
            assert_eq!(found, expected, "{text}");
        };
        for text in
            ["{foo=bar}", "{foo=bar,}", "foo=bar", "foo=bar,", r#"{"foo"="bar"}"#, r#""foo"="bar","#, " foo = bar "]
        {
            check(text, &[r#"foo="bar""#]);
        }
        for text in ["foo=~[a-z]+", "{foo=~[a-z]+}", r#"{"foo"=~"[a-z]+"}"#] {
            check(text, &[r#"foo=~"[a-z]+""#]);
        }
        for text in ["{foo=🙂}", r#"{"foo"="🙂"}"#, r#"{"foo"="\xf0\x9f\x99\x82"}"#, r#"{"foo"="\U0001f642"}"#] {
            check(text, &[r#"foo="🙂""#]);
        }
        check("foo!~bar,bar!=baz", &[r#"foo!~"bar""#, r#"bar!="baz""#]);
        check(r#"{a!="x", b=~"y|z"}"#, &[r#"a!="x""#, r#"b=~"y|z""#]);
        check(r#""host.name" !~ web-.+,c="""#, &[r#"host.name!~"web-.+""#, r#"c="""#]);
        check(r#"a="q\"\\d\d""#, &[r#"a="q\"\\d\\d""#]);
        check(r#"a="x,y",b="""#, &[r#"a="x,y""#, r#"b="""#]);
        check("1a=b", &[r#"1a="b""#]);
        check("foo=~a{2}", &[r#"foo=~"a{2}""#]);
        check("{foo=~a{2}}", &[r#"foo=~"a{2}""#]);
        // A brace too few; blanks and quotes that the newer one does not take.
        check("foo=bar}", &[r#"foo="bar""#]);
        check("{foo=bar", &[r#"foo="bar""#]);
        check("foo=bar baz", &[r#"foo="bar baz""#]);
        check(r"foo=~a\\.b\d", &[r#"foo=~"a\\.b\\d""#]);
        // The same text in both: the classic one counts, and leaves a backslash where the newer one knows an escape.
        check(r#"foo="a\tb""#, &[r#"foo="a\\tb""#]);
        assert_eq!(parse(r#""foo"="a\tb\101""#).unwrap()[0].value, "a\tbA");
        for wrong in [
            "",
            "{}",
            "a",
            "=b",
            ",",
            "{,}",
            "}",
            "{",
            r#"a="x" b="y""#,
            r#"a="x"#,
            r#"foo=:"bar""#,
            r#"{"foo"="bar\w"}"#,
            r#"{"foo"="\xf0\x9f"}"#,
            r#""foo"="\u12""#,
            r#""foo"="bar"}"#,
            r#""foo"=b'"#,
            "a=b,,c=d",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
        assert!(parse("a=~(").unwrap_err().contains("bad regular expression"));
    }
}
