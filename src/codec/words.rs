//! Words of a text: what the log index holds and what a search looks for. Both sides fold and split here, so they agree.
//!
//! A word is a longest run of letters, digits (of any script) and `_`, folded to lower case.

/// Folds to lower case character by character: without context, so that a part of a text folds as it does in the whole.
pub fn fold(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    text.chars().flat_map(char::to_lowercase).collect()
}

/// Whether a character of a folded text belongs to a word.
pub fn in_word(c: char) -> bool {
    c == '_' || if c.is_ascii() { c.is_ascii_alphanumeric() } else { c.is_alphanumeric() }
}

/// The words of a text that is folded already, in order.
pub fn words(folded: &str) -> impl Iterator<Item = &str> {
    folded.split(|c: char| !in_word(c)).filter(|word| !word.is_empty())
}

/// A finite number written in decimal, as attributes carry numbers in text; `None` for `nan`, `inf`, hex and the like.
pub fn number(text: &str) -> Option<f64> {
    let plausible = text.len() <= 64
        && text.bytes().any(|byte| byte.is_ascii_digit())
        && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E'));
    if !plausible {
        return None;
    }
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_fold_and_split_alike_in_part_and_whole() {
        for (text, expected) in [
            ("Connection REFUSED: 10.0.0.1:5432", "connection refused 10 0 0 1 5432"),
            ("user_id=Ünïcode-Straße", "user_id ünïcode straße"),
            ("İstanbul ΟΔΟΣ", "i stanbul οδοσ"),
            ("接続 拒否", "接続 拒否"),
            ("--- \n", ""),
        ] {
            let folded = fold(text);
            assert_eq!(words(&folded).collect::<Vec<_>>().join(" "), expected, "{text}");
        }
        for (text, expected) in [
            ("500", Some(500.0)),
            ("5e2", Some(500.0)),
            ("-0.5", Some(-0.5)),
            ("nan", None),
            ("e", None),
            ("0x1f", None),
            ("1e999", None),
        ] {
            assert_eq!(number(text), expected, "{text}");
        }
    }
}
