//! Matchers of routes, inhibitions, silences and filters, in Alertmanager's text: `severity = "critical"`, `host=~web-.+`, several with commas between, braces
//! around them or not; names may be quoted.

use model::{MatchOp, Matcher};

/// Parses one entry of `matchers`, or one filter of the API.
///
/// # Errors
/// What is wrong with the text, as a sentence.
pub fn parse(text: &str) -> Result<Vec<Matcher>, String> {
    let inner = text.trim();
    let inner = inner.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap_or(inner);
    let mut matchers = Vec::new();
    let mut rest = inner.trim();
    while !rest.is_empty() {
        let (matcher, after) = one(rest)?;
        matchers.push(matcher);
        rest = after.trim_start();
        if let Some(more) = rest.strip_prefix(',') {
            rest = more.trim_start();
        } else if !rest.is_empty() {
            return Err(format!("expected a comma before {rest:?} in matcher {text:?}"));
        }
    }
    if matchers.is_empty() {
        return Err("an empty matcher matches nothing in particular; remove it".into());
    }
    Ok(matchers)
}

fn one(text: &str) -> Result<(Matcher, &str), String> {
    let (name, rest) = if text.starts_with('"') {
        quoted(text)?
    } else {
        let end = text.find(|c: char| c.is_whitespace() || "=!~,{}\"".contains(c)).unwrap_or(text.len());
        (text[..end].to_owned(), &text[end..])
    };
    if name.is_empty() {
        return Err(format!("expected a label's name at {text:?}"));
    }
    let rest = rest.trim_start();
    let (op, rest) =
        [("=~", MatchOp::Regex), ("!~", MatchOp::NotRegex), ("!=", MatchOp::NotEqual), ("=", MatchOp::Equal)]
            .into_iter()
            .find_map(|(sign, op)| rest.strip_prefix(sign).map(|rest| (op, rest)))
            .ok_or_else(|| format!("expected =, !=, =~ or !~ after {name:?}"))?;
    let rest = rest.trim_start();
    let (value, rest) = if rest.starts_with('"') {
        quoted(rest)?
    } else {
        let end = rest.find(',').unwrap_or(rest.len());
        (rest[..end].trim_end().to_owned(), &rest[end..])
    };
    let matcher = Matcher::new(name, op, value).map_err(|error| error.to_string())?;
    Ok((matcher, rest))
}

/// A double-quoted text with `\"`, `\\` and `\n`, and what follows it.
fn quoted(text: &str) -> Result<(String, &str), String> {
    let mut out = String::new();
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Ok((out, &text[at + 1..])),
            '\\' => match chars.next() {
                Some((_, 'n')) => out.push('\n'),
                Some((_, c @ ('"' | '\\'))) => out.push(c),
                // Alertmanager leaves other backslashes to the regex.
                Some((_, c)) => out.extend(['\\', c]),
                None => break,
            },
            c => out.push(c),
        }
    }
    Err(format!("a quote is missing at the end of {text:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alertmanagers_spellings_are_understood() {
        let check = |text: &str, expected: &[&str]| {
            let found: Vec<String> = parse(text).unwrap().iter().map(ToString::to_string).collect();
            assert_eq!(found, expected, "{text}");
        };
        check(r#"severity="critical""#, &[r#"severity="critical""#]);
        check("severity = critical", &[r#"severity="critical""#]);
        check(r#"{a!="x", b=~"y|z"}"#, &[r#"a!="x""#, r#"b=~"y|z""#]);
        check(r#""host.name" !~ web-.+,c="""#, &[r#"host.name!~"web-.+""#, r#"c="""#]);
        check(r#"a="q\"\\d\d""#, &[r#"a="q\"\\d\\d""#]);
        for wrong in ["", "{}", "a", "=b", r#"a="x" b="y""#, r#"a="x"#] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
        assert!(parse("a=~(").unwrap_err().contains("bad regular expression"));
    }
}
