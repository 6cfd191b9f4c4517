//! Functions on texts that the template dialects of Prometheus, Alertmanager and Loki share.

/// Largest compiled pattern, in bytes.
const PATTERN_BYTES_MAX: usize = 1 << 20;

/// A pattern of a template; a bad or too large one is an error in words.
pub fn pattern(text: &str) -> Result<regex::Regex, String> {
    let built = regex::RegexBuilder::new(text).size_limit(PATTERN_BYTES_MAX).build();
    built.map_err(|error| format!("bad regular expression {text:?}: {error}"))
}

/// `strings.Title`: the first letter of each word; words end at ASCII other than letters, digits and underscores, and at spaces.
pub fn title(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut before = ' ';
    for c in text.chars() {
        let begins = !(before.is_alphanumeric() || before == '_') && (before.is_ascii() || before.is_whitespace());
        match begins {
            true => out.extend(c.to_uppercase()),
            false => out.push(c),
        }
        before = c;
    }
    out
}
