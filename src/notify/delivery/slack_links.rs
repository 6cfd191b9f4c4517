//! Links in Slack's markup. Our blocks are sent `verbatim`, so that words of alerts that look like channels or names mention nobody;
//! Slack then makes no links of bare addresses either, and they are written as links here.
//!
//! Markup: <https://docs.slack.dev/messaging/formatting-message-text>.

use super::slack_blocks::escape;

/// Address of a link, in characters. Those of silences with their matchers filled in are the longest.
const LINK_CHARS_MAX: usize = 1_500;

/// An address under a name, or what stands in its place where it is no address (a runbook may be a sentence).
pub(super) fn named(url: &str, name: &str) -> String {
    if !begins_address(url) || url.chars().count() > LINK_CHARS_MAX || url.contains(char::is_whitespace) {
        return format!("{name} {}", escape(url, LINK_CHARS_MAX));
    }
    // A bar would end the address.
    let url = escape(&url.replace('|', "%7C"), usize::MAX);
    format!("<{url}|{}>", escape(&name.replace('|', " "), usize::MAX))
}

/// Text in Slack's markup with its bare addresses made links. What is a link already, and code, stays as it is.
pub(super) fn linked(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let taken = if rest.starts_with("```") {
            through(rest, 3, "```")
        } else if c == '`' {
            through(rest, 1, "`")
        } else if c == '<' {
            through(rest, 1, ">")
        } else if begins_address(rest) && !out.ends_with(char::is_alphanumeric) {
            let len = address_len(rest);
            if len > 0 {
                out.extend(["<", &rest[..len], ">"]);
                rest = &rest[len..];
                continue;
            }
            c.len_utf8()
        } else {
            c.len_utf8()
        };
        out.push_str(&rest[..taken]);
        rest = &rest[taken..];
    }
    out
}

fn begins_address(text: &str) -> bool {
    let host = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    host.is_some_and(|host| host.starts_with(|c: char| c.is_alphanumeric() || c == '['))
}

/// Bytes up to the end of what begins after some bytes, or that beginning alone where it has no end.
fn through(text: &str, begin: usize, end: &str) -> usize {
    text[begin..].find(end).map_or(begin, |at| begin + at + end.len())
}

/// Bytes of the address that a text begins with; 0 where it was cut off, and would lead elsewhere.
fn address_len(text: &str) -> usize {
    let stop = |c: char| c.is_whitespace() || matches!(c, '<' | '>' | '|' | '"' | '`' | '…');
    let mut end = text.find(stop).unwrap_or(text.len());
    for bracket in ["&lt;", "&gt;"] {
        end = text[..end].find(bracket).unwrap_or(end);
    }
    if text[end..].starts_with('…') {
        return 0;
    }
    // The sentence's, not the address'.
    text[..end].trim_end_matches(['.', ',', ';', ':', '!', '?', ')', ']', '}', '\'', '*', '_', '~']).len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bare_addresses_become_links() {
        let check = |text: &str, expected: &str| assert_eq!(linked(text), expected, "{text}");
        check("", "");
        check("see http://a/b?c=1&amp;d=2.", "see <http://a/b?c=1&amp;d=2>.");
        check("(https://a/b), then", "(<https://a/b>), then");
        check("*Runbook*: https://a/b\nnext", "*Runbook*: <https://a/b>\nnext");
        check("<http://a|b> and <!here> http://c", "<http://a|b> and <!here> <http://c>");
        check("`http://a` and ```x\nhttp://b``` http://c", "`http://a` and ```x\nhttp://b``` <http://c>");
        check("&lt;http://a&gt;", "&lt;<http://a>&gt;");
        check("a < b http://c", "a < b <http://c>");
        check("an odd ` http://c", "an odd ` <http://c>");
        check("cut http://a/lon…", "cut http://a/lon…");
        check("xhttp://a http:// https://", "xhttp://a http:// https://");
        check("ü http://a/ü", "ü <http://a/ü>");
    }

    #[test]
    fn what_is_no_address_stays_a_text() {
        let check = |url: &str, expected: &str| assert_eq!(named(url, "runbook"), expected, "{url}");
        check("http://a/b?c&d|e", "<http://a/b?c&amp;d%7Ce|runbook>");
        check("ask <Ann>", "runbook ask &lt;Ann&gt;");
        check("https://a/b c", "runbook https://a/b c");
    }
}
