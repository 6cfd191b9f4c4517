//! Several severities of one rule: which one a value has reached, with each level's own `for` and clear threshold.

use model::alert::Evidence;

use crate::extension::Level;

/// Where a value stands among a rule's levels.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Standing {
    /// Since when each level's condition holds, in the rule's order.
    pub(crate) since_ms: Vec<Option<i64>>,
    /// The severest level that has held for its `for`.
    pub(crate) reached: Option<u32>,
    /// The severest level whose condition holds at all; `None` means that the alert is over.
    pub(crate) leading: Option<u32>,
}

/// One step. `before` is what the instance remembers, `lost_ms` time in which nobody looked.
pub(crate) fn advance(levels: &[Level], before: Option<&Evidence>, value: f64, lost_ms: i64, at_ms: i64) -> Standing {
    let mut out = Standing { since_ms: Vec::with_capacity(levels.len()), reached: None, leading: None };
    for (at, level) in (0_u32..).zip(levels) {
        let known_ms = before.and_then(|before| before.levels_since_ms.get(at as usize).copied().flatten());
        let known_ms = known_ms.map(|since_ms| since_ms.saturating_add(lost_ms));
        let was_reached = known_ms.is_some_and(|since_ms| at_ms.saturating_sub(since_ms) > level.for_ms);
        let since_ms = level.holds(value, was_reached).then(|| known_ms.unwrap_or(at_ms));
        if let Some(since_ms) = since_ms {
            out.leading = Some(at);
            if at_ms.saturating_sub(since_ms) >= level.for_ms {
                out.reached = Some(at);
            }
        }
        out.since_ms.push(since_ms);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values a minute apart; expects the severity reached, `.` for none yet and `-` for none at all.
    #[track_caller]
    fn check(values: &[f64], expected: &str) {
        let level = |severity: &str, threshold, clear, minutes: i64| Level {
            severity: severity.into(),
            is_above: true,
            threshold,
            clear,
            for_ms: minutes * 60_000,
        };
        let levels = [level("warning", 70.0, 65.0, 2), level("critical", 90.0, 85.0, 1)];
        let mut evidence = Evidence::default();
        let mut seen = String::new();
        for (at, value) in (0..).zip(values) {
            let standing = advance(&levels, Some(&evidence), *value, 0, at * 60_000);
            seen.push(match (standing.reached, standing.leading) {
                (Some(0), _) => 'w',
                (Some(_), _) => 'c',
                (None, Some(_)) => '.',
                (None, None) => '-',
            });
            evidence.levels_since_ms = standing.since_ms;
        }
        assert_eq!(seen, expected, "{values:?}");
    }

    #[test]
    fn levels_have_their_own_wait_and_their_own_end() {
        check(&[60.0, 71.0, 71.0, 71.0, 66.0, 64.0], "-..ww-");
        check(&[95.0, 95.0, 95.0, 86.0, 84.0, 60.0], ".cccw-");
        // Not reached, it needs the threshold itself.
        check(&[71.0, 69.0, 71.0, 71.0, 71.0], ".-..w");
        check(&[95.0, 71.0, 95.0, 95.0], "..wc");
    }
}
