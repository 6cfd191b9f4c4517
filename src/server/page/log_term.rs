//! Terms of a log search, written from a field and its value.

/// Longest value that becomes a term; longer ones are no use as a filter.
const VALUE_BYTES_MAX: usize = 200;

/// `service.name:api`, quoted where needed; `None` where the search language has no way to say it.
pub(crate) fn term(field: &str, value: &str) -> Option<String> {
    let plain_field = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '-' | '/');
    if field.is_empty()
        || !field.chars().all(plain_field)
        || value.len() > VALUE_BYTES_MAX
        || value.chars().any(char::is_control)
    {
        return None;
    }
    let plain_value = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-' | '/');
    let starts_plain = value.starts_with(|c: char| c.is_ascii_alphanumeric());
    if starts_plain && value.chars().all(plain_value) {
        return Some(format!("{field}:{value}"));
    }
    Some(format!("{field}:\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"")))
}

/// A search with one more term, or with what has it left out. An alternative at the top level is kept together by parentheses.
pub(crate) fn narrowed(search: &str, term: &str, keep: bool) -> String {
    let search = search.trim();
    let sign = if keep { "" } else { "-" };
    if search.is_empty() {
        return format!("{sign}{term}");
    }
    let has_word = |word: &str| search.split_whitespace().any(|part| part == word);
    // Clicked twice it says the same.
    if search.split_whitespace().any(|part| part == format!("{sign}{term}")) {
        return search.into();
    }
    if has_word("OR") || has_word("or") { format!("({search}) {sign}{term}") } else { format!("{search} {sign}{term}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_are_quoted_where_needed() {
        for (field, value, expected) in [
            ("service.name", "api", Some("service.name:api")),
            ("k", "GET /x y", Some("k:\"GET /x y\"")),
            ("k", "say \"a\\b\"", Some(r#"k:"say \"a\\b\"""#)),
            ("k", ">=500", Some("k:\">=500\"")),
            ("k", "co*", Some("k:\"co*\"")),
            ("k", "", Some("k:\"\"")),
            ("a b", "x", None),
            ("k", "two\nlines", None),
        ] {
            assert_eq!(term(field, value).as_deref(), expected, "{field} {value:?}");
        }
    }

    #[test]
    fn searches_are_narrowed() {
        for (search, keep, expected) in
            [("", true, "a:b"), ("x", false, "x -a:b"), ("x OR y", true, "(x OR y) a:b"), ("x a:b", true, "x a:b")]
        {
            assert_eq!(narrowed(search, "a:b", keep), expected);
        }
    }
}
