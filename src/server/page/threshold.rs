//! The limit in a rule's condition, so that a chart can show the value on both sides of it.

/// `value > 0.85` taken apart.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Threshold {
    /// What is compared.
    pub(crate) value: String,
    pub(crate) operator: &'static str,
    pub(crate) limit: f64,
}

const OPERATORS: [&str; 6] = [">=", "<=", "==", "!=", ">", "<"];

/// Finds the comparison with a number at the outermost level. Of `a > 1 and b > 2` the first part counts; `None` where no number
/// stands on the right.
pub(crate) fn threshold(expr: &str) -> Option<Threshold> {
    let found = comparison(expr)?;
    let chars: Vec<char> = expr.chars().collect();
    let text = |from: usize, to: usize| chars[from..to].iter().collect::<String>().trim().to_owned();
    let limit = number(text(found.limit_at, found.end).trim_start_matches("bool").trim())?;
    let value = text(0, found.at);
    (!value.is_empty()).then_some(Threshold { value, operator: found.operator, limit })
}

/// The expression with another number in place of its threshold; `None` where it has none.
pub(crate) fn with_limit(expr: &str, limit: f64) -> Option<String> {
    threshold(expr)?;
    let found = comparison(expr)?;
    let chars: Vec<char> = expr.chars().collect();
    let text = |chars: &[char]| chars.iter().collect::<String>();
    let rest = text(&chars[found.limit_at..found.end]);
    let bool_word = if rest.trim().starts_with("bool") { " bool" } else { "" };
    let limit = model::any::double_text(limit);
    Some(
        format!("{}{bool_word} {limit} {}", text(&chars[..found.limit_at]), text(&chars[found.end..]))
            .trim_end()
            .into(),
    )
}

/// Where a comparison stands, in chars: its operator, what follows it, and where the part that counts ends.
struct Comparison {
    at: usize,
    operator: &'static str,
    limit_at: usize,
    end: usize,
}

fn comparison(expr: &str) -> Option<Comparison> {
    let outer = outermost(expr);
    let text: String = expr.chars().zip(&outer).map(|(c, outer)| if *outer { c } else { ' ' }).collect();
    // Both texts have as many chars, but not as many bytes, hence positions in chars below.
    let part_end = ["and", "unless"].iter().filter_map(|word| word_at(&text, word)).min();
    if word_at(&text, "or").is_some() {
        return None;
    }
    let chars: Vec<char> = expr.chars().take(part_end.unwrap_or(usize::MAX)).collect();
    let at = (0..chars.len()).rev().find(|at| outer[*at] && matches!(chars[*at], '>' | '<' | '=' | '!'))?;
    let at = if at > 0 && outer[at - 1] && matches!(chars[at - 1], '>' | '<' | '=' | '!') { at - 1 } else { at };
    let rest: String = chars[at..].iter().collect();
    let operator = OPERATORS.into_iter().find(|operator| rest.starts_with(operator))?;
    Some(Comparison { at, operator, limit_at: at + operator.len(), end: chars.len() })
}

/// A number, or a product of numbers (`14 * 86400`).
fn number(text: &str) -> Option<f64> {
    let mut product = 1.0;
    for factor in text.split('*') {
        product *= factor.trim().parse::<f64>().ok().filter(|number| number.is_finite())?;
    }
    Some(product)
}

/// For each char, whether it stands outside all brackets and strings.
fn outermost(expr: &str) -> Vec<bool> {
    let mut depth = 0_i32;
    let mut quote: Option<char> = None;
    let mut escaped = false;
    expr.chars()
        .map(|c| {
            if let Some(open) = quote {
                let ends = c == open && !escaped;
                escaped = c == '\\' && !escaped && open != '`';
                if ends {
                    quote = None;
                }
                return false;
            }
            match c {
                '"' | '\'' | '`' => quote = Some(c),
                '(' | '[' | '{' => depth += 1,
                ')' | ']' | '}' => {
                    depth -= 1;
                    return false;
                }
                _ => return depth == 0,
            }
            false
        })
        .collect()
}

/// Position, in chars, of a word standing alone.
fn word_at(text: &str, word: &str) -> Option<usize> {
    let chars: Vec<char> = text.chars().collect();
    let wanted: Vec<char> = word.chars().collect();
    let inside = |c: Option<&char>| c.is_some_and(|c| c.is_alphanumeric() || *c == '_' || *c == ':');
    (0..chars.len()).find(|at| {
        chars[*at..].starts_with(&wanted)
            && !inside(at.checked_sub(1).and_then(|before| chars.get(before)))
            && !inside(chars.get(at + wanted.len()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_threshold_is_replaced_in_its_place() {
        for (expr, expected) in [
            ("cpu > 0.80", Some("cpu > 0.9")),
            ("x{a=\"ä > 1\"} >= bool 14 * 86400", Some("x{a=\"ä > 1\"} >= bool 0.9")),
            ("err > 0.05 and req > 0.2", Some("err > 0.9 and req > 0.2")),
            ("a > b", None),
            ("up", None),
        ] {
            assert_eq!(with_limit(expr, 0.9).as_deref(), expected, "{expr}");
        }
    }

    #[test]
    fn thresholds_are_found_at_the_outermost_level() {
        for (expr, expected) in [
            ("binnacle:host_cpu_busy:ratio > 0.80", Some(("binnacle:host_cpu_busy:ratio", ">", 0.8))),
            ("a / b >= 1e3", Some(("a / b", ">=", 1000.0))),
            ("x < 14*86400", Some(("x", "<", 1_209_600.0))),
            ("err > 0.05 and req > 0.2", Some(("err", ">", 0.05))),
            ("sum(x > 5)", None),
            ("x{a=\"b > 3\"}", None),
            ("x{a!=\"ä\"} == bool 0", Some(("x{a!=\"ä\"}", "==", 0.0))),
            ("a > b", None),
            ("a > 1 or b > 2", None),
            ("group by (host) (x[6h]) unless group by (host) (x[3m])", None),
            ("", None),
            ("brand > 2", Some(("brand", ">", 2.0))),
        ] {
            let found = threshold(expr);
            let found = found.as_ref().map(|found| (found.value.as_str(), found.operator, found.limit));
            assert_eq!(found, expected, "{expr}");
        }
    }
}
