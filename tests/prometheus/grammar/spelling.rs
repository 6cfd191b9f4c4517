//! The same query as somebody else would write it: words in other cases, blanks, line ends and comments between them, a comma more.

use chance::Random;

/// Words that may be written in any case.
const WORDS: [&str; 31] = [
    "sum",
    "avg",
    "min",
    "max",
    "count",
    "group",
    "stddev",
    "stdvar",
    "topk",
    "bottomk",
    "quantile",
    "count_values",
    "limitk",
    "limit_ratio",
    "by",
    "without",
    "on",
    "ignoring",
    "group_left",
    "group_right",
    "bool",
    "and",
    "or",
    "unless",
    "atan2",
    "offset",
    "start",
    "end",
    "inf",
    "nan",
    "Inf",
];

/// Names and numbers, texts whole, and every other character by itself.
fn tokens(text: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let in_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
        let length = match first {
            '"' => 1 + rest[1..].find('"').map_or(rest.len() - 1, |at| at + 1),
            _ if in_name(first) => rest.find(|c| !in_name(c)).unwrap_or(rest.len()),
            _ => first.len_utf8(),
        };
        tokens.push(&rest[..length]);
        rest = &rest[length..];
    }
    tokens
}

fn in_any_case(rng: &mut Random, word: &str) -> String {
    word.chars().map(|c| if rng.one_in(2) { c.to_ascii_uppercase() } else { c }).collect()
}

/// Spells a query anew. Texts with an escaped quote stay as they are: nothing here knows where they end.
pub(super) fn anew(rng: &mut Random, text: &str) -> String {
    if text.contains(['\\', '\'', '`']) {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut brackets = 0;
    let tokens = tokens(text);
    for (at, token) in tokens.iter().enumerate() {
        brackets += i32::from(*token == "[") - i32::from(*token == "]");
        let is_function = tokens.get(at + 1).is_some_and(|next| *next == "(") && *token == "end";
        if WORDS.contains(token) && !is_function {
            out.push_str(&in_any_case(rng, token));
        } else {
            out.push_str(token);
        }
        if brackets > 0 {
            continue;
        }
        let is_edge = |token: &&str| matches!(*token, "(" | ")" | "{" | "}" | "," | "]" | " ");
        if is_edge(token) && rng.one_in(6) {
            out.push_str(rng.pick(&[" ", "\n", "\t", "\r\n", "  ", " # a ( comment\n", "#\n"]));
        }
    }
    out
}
