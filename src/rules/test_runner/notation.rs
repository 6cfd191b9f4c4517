//! The notation of series in rule tests: `1+2x3` is 1 3 5 7, `5x2` is 5 5 5, `_` is no sample, `stale` ends the series.

use model::{Labels, MatchOp};
use query::promql;
use query::promql::notation::{Value, points};

/// A series' name and labels: a selector of equalities.
pub(super) fn labels(text: &str) -> Result<Labels, String> {
    if matches!(text.trim(), "" | "{}") {
        return Ok(Labels::default());
    }
    let matchers = promql::parse_selector(text).map_err(|error| format!("{text:?}: {error}"))?;
    if matchers.iter().any(|matcher| matcher.op != MatchOp::Equal) {
        return Err(format!("{text:?}: a series has labels with \"=\" only"));
    }
    Ok(Labels::from_pairs(matchers.into_iter().map(|matcher| (matcher.name, matcher.value))))
}

/// Samples, one an interval; `None` where there is none.
pub(super) fn values(text: &str) -> Result<Vec<Option<Value>>, String> {
    points(text).map_err(|error| {
        format!(
            "{error}; write samples as 1, 1+2x10, 5x3, _, _x10, stale or {{{{schema:0 count:1 sum:1 buckets:[1]}}}}"
        )
    })
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
                    Some(Value::Float(value)) if model::metric::is_stale(*value) => "stale".into(),
                    Some(Value::Float(value)) => value.to_string(),
                    Some(Value::Histogram(histogram)) => format!("h{}", histogram.count),
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
        check("{{schema:0 count:2 sum:3 buckets:[1 1]}}x1 stale", "h2 h2 h0");
        for wrong in ["a", "1+x2", "1x2x3", "5x999999999", "_x999999999", "{{", "{{count:a}}"] {
            check(wrong, "error");
        }
        assert_eq!(labels("x{a=\"b\"}").unwrap().to_string(), "x{a=\"b\"}");
        assert!(labels("x{a=~\"b\"}").is_err());
        assert!(labels("x + y").is_err());
        assert_eq!((labels("{}").unwrap(), labels("").unwrap()), (Labels::default(), Labels::default()));
    }
}
