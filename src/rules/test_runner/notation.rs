//! The notation of series in rule tests: `1+2x3` is 1 3 5 7, `5x2` is 5 5 5, `_` is no sample, `stale` ends the series.

use model::{Labels, MatchOp, metric};
use query::promql;

/// Most samples of one series.
const SAMPLES_MAX: usize = 100_000;

/// A series' name and labels: a selector of equalities.
pub(super) fn labels(text: &str) -> Result<Labels, String> {
    if text.trim() == "{}" {
        return Ok(Labels::default());
    }
    let matchers = promql::parse_selector(text).map_err(|error| format!("{text:?}: {error}"))?;
    if matchers.iter().any(|matcher| matcher.op != MatchOp::Equal) {
        return Err(format!("{text:?}: a series has labels with \"=\" only"));
    }
    Ok(Labels::from_pairs(matchers.into_iter().map(|matcher| (matcher.name, matcher.value))))
}

/// Samples, one an interval; `None` where there is none.
pub(super) fn values(text: &str) -> Result<Vec<Option<f64>>, String> {
    let mut out = Vec::new();
    for word in text.split_whitespace() {
        item(word, &mut out).ok_or_else(|| {
            format!("{word:?} is no sample; write 1, 1+2x10, 5x3, _, _x10 or stale (at most {SAMPLES_MAX})")
        })?;
    }
    Ok(out)
}

fn item(word: &str, out: &mut Vec<Option<f64>>) -> Option<()> {
    // `0x5` is six zeros and no hex number, as in promtool.
    let (word, times) = match word.split_once('x') {
        Some((word, times)) => (word, Some(times.parse::<usize>().ok()?)),
        None => (word, None),
    };
    if times.unwrap_or(0) + out.len() >= SAMPLES_MAX {
        return None;
    }
    if word == "_" {
        out.extend(std::iter::repeat_n(None, times.unwrap_or(1)));
        return Some(());
    }
    if word == "stale" {
        out.push(Some(metric::stale_marker()));
        return times.is_none().then_some(());
    }
    let (start, step) = match times {
        // The sign that begins the step, neither the first one nor an exponent's.
        Some(_) => match word
            .char_indices()
            .rfind(|(at, c)| matches!(c, '+' | '-') && *at > 0 && !word[..*at].ends_with(['e', 'E']))
        {
            Some((at, _)) => (number(&word[..at])?, number(&word[at..])?),
            None => (number(word)?, 0.0),
        },
        None => (number(word)?, 0.0),
    };
    let mut value = start;
    for _ in 0..=times.unwrap_or(0) {
        out.push(Some(value));
        value += step;
    }
    Some(())
}

fn number(text: &str) -> Option<f64> {
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let shown = values(text).map(|values| {
            let words: Vec<String> = values
                .iter()
                .map(|value| match value {
                    None => "_".into(),
                    Some(value) if metric::is_stale(*value) => "stale".into(),
                    Some(value) => value.to_string(),
                })
                .collect();
            words.join(" ")
        });
        assert_eq!(shown.unwrap_or_else(|_| "error".into()), expected, "{text}");
    }

    #[test]
    fn notation() {
        check("1+2x3", "1 3 5 7");
        check("10-2x2 5x2", "10 8 6 5 5 5");
        check("-2+4x2 1e3+1e1x1 1e-1x1", "-2 2 6 1000 1010 0.1 0.1");
        check("_ _x2 1 stale NaN Inf -Inf", "_ _ _ 1 stale NaN inf -inf");
        check("0x2", "0 0 0");
        check("", "");
        for wrong in ["a", "1+x2", "1x", "1x2x3", "5x999999999", "_x999999999", "stalex2"] {
            check(wrong, "error");
        }
        assert_eq!(labels("x{a=\"b\"}").unwrap().to_string(), "x{a=\"b\"}");
        assert!(labels("x{a=~\"b\"}").is_err());
        assert!(labels("x + y").is_err());
        assert_eq!(labels("{}").unwrap(), Labels::default());
    }
}
