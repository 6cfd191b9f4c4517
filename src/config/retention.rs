//! `[[retention.logs_streams]]`: log records that are kept for less than `retention.logs`.

use serde::Deserialize;

use super::{Duration, Retention};

/// Rules of this kind; the store tells them apart by the bits of a number.
const RULES_MAX: usize = 64;

/// Which records, and for how long. Of the rules that match a record the one of the highest priority counts, of several such the shortest.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogsStream {
    /// A LogQL selector over resource attributes (`{service_name="api", host_name=~"test-.*"}`), and `severity` (`debug`, `info`, ...).
    pub selector: String,
    /// Age of the oldest records of these; at most `retention.logs`.
    pub keep: Duration,
    /// Default 1, as Loki's.
    #[serde(default = "one")]
    pub priority: u32,
}

fn one() -> u32 {
    1
}

/// The rules in the store's terms.
///
/// # Errors
/// The place that is wrong, and why.
pub fn stream_rules(retention: &Retention) -> Result<Vec<store::StreamRetention>, (String, String)> {
    let streams = &retention.logs_streams;
    if streams.len() > RULES_MAX {
        return Err((
            "retention.logs_streams".into(),
            format!("there are {} of them, at most {RULES_MAX}", streams.len()),
        ));
    }
    let rule = |(at, stream): (usize, &LogsStream)| {
        let place = |key: &str| format!("retention.logs_streams[{at}].{key}");
        let matchers = query::logql::parse_selector(&stream.selector)
            .map_err(|error| (place("selector"), format!("{:?}: {error}", stream.selector)))?;
        let matchers = matchers.into_iter().map(|matcher| matcher.matcher).collect();
        if stream.keep.ms > retention.logs.ms {
            let reason =
                "must be at most retention.logs; raise that, and keep the others for less by a rule of their own";
            return Err((place("keep"), reason.into()));
        }
        Ok(store::StreamRetention { matchers, keep_ms: stream.keep.ms, priority: stream.priority })
    };
    streams.iter().enumerate().map(rule).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_are_read_and_what_is_wrong_is_named() {
        let check = |text: &str, expected: Result<usize, &str>| {
            let retention: Retention = toml::from_str(text).unwrap();
            match (stream_rules(&retention), expected) {
                (Ok(rules), Ok(matchers)) => assert_eq!(rules[0].matchers.len(), matchers, "{text}"),
                (Err((place, reason)), Err(words)) => {
                    assert!(format!("{place}: {reason}").contains(words), "{place}: {reason}")
                }
                (found, _) => panic!("{text}: {found:?}"),
            }
        };
        let of = |selector: &str, keep: &str| {
            format!("logs = \"9d\"\n[[logs_streams]]\nselector = '{selector}'\nkeep = \"{keep}\"\n")
        };
        check(&of("{service_name=\"x\", severity=~\"debug|trace\"}", "3d"), Ok(2));
        check(&of("{service_name=\"x\"", "3d"), Err("retention.logs_streams[0].selector"));
        check(&of("{service_name=\"x\"} |= \"y\"", "3d"), Err("only label matchers"));
        check(&of("{service_name=\"x\"}", "10d"), Err("retention.logs_streams[0].keep"));
    }
}
