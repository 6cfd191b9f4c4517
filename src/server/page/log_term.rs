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
    if search.starts_with('{') {
        return narrowed_logql(search, term, keep);
    }
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

/// LogQL with one more stage. It knows fields by the names that Loki gives them.
fn narrowed_logql(search: &str, term: &str, keep: bool) -> String {
    let sign = |yes: &'static str, no: &'static str| if keep { yes } else { no };
    if let Some(pattern) = term.strip_prefix('/').and_then(|rest| rest.strip_suffix('/')) {
        let pattern = pattern.replace("\\/", "/").replace('`', ".");
        return format!("{search} {} `{pattern}`", sign("|~", "!~"));
    }
    let Some((field, value)) = term.split_once(':') else { return search.into() };
    let places = ["attributes.", "resource.", "scope."];
    let name = places.iter().find_map(|place| field.strip_prefix(place)).unwrap_or(field);
    let label =
        if name == "severity" { "detected_level".into() } else { name.replace(|c: char| !c.is_alphanumeric(), "_") };
    let value = if value.starts_with('"') { value.to_owned() } else { format!("\"{value}\"") };
    format!("{search} | {label}{}{value}", sign("=", "!="))
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
        for (term, keep, expected) in [
            ("severity:error", true, "{a=\"b\"} | detected_level=\"error\""),
            ("resource.host.name:\"x \\\"y\"", false, "{a=\"b\"} | host_name!=\"x \\\"y\""),
            ("/GET \\/a.+/", true, "{a=\"b\"} |~ `GET /a.+`"),
        ] {
            let found = narrowed("{a=\"b\"}", term, keep);
            assert_eq!(found, expected);
            assert!(query::logs::parse(&found).is_ok(), "{found}");
        }
    }
}
