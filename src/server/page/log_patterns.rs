//! The patterns tab: what lines have in common, how often each came, and what is new.

use model::NsRange;
use model::time::NS_PER_MS;
use query::logs::{self, Search, WindowPattern, WindowPatterns};
use query::{Budget, QueryError};
use store::Snapshot;

use super::text::{Stamp, counted, grouped, one_line};
use crate::chart::{Svg, sparkline};
use model::Sample;

/// Patterns on the page.
const PATTERNS_MAX: usize = 100;
const TEXT_CHARS_MAX: usize = 400;
/// Longest pattern that becomes a filter, in bytes.
const FILTER_BYTES_MAX: usize = 400;
const PLACEHOLDER: &str = "<_>";

pub(crate) struct PatternsView {
    pub(crate) sentence: String,
    pub(crate) rows: Vec<PatternRow>,
}

pub(crate) struct PatternRow {
    pub(crate) text: String,
    pub(crate) count: String,
    /// Of all lines, in percent.
    pub(crate) share: String,
    pub(crate) is_new: bool,
    pub(crate) first: Stamp,
    pub(crate) spark: Svg,
    /// What filters for it; empty where it is too long.
    pub(crate) term: String,
}

pub(super) fn ask(
    snapshot: &Snapshot,
    search: &Search,
    range: NsRange,
    step_ns: i64,
    budget: &Budget,
) -> Result<WindowPatterns, QueryError> {
    logs::window_patterns(snapshot, search, range, range.end_ns - range.start_ns, step_ns, budget)
}

pub(crate) fn view(found: &WindowPatterns, range: NsRange, step_ns: i64, now_ms: i64) -> PatternsView {
    let total: u64 = found.patterns.iter().map(|pattern| pattern.count).sum();
    let new = found.patterns.iter().filter(|pattern| pattern.is_new()).count() as u64;
    let mut sentence = format!(
        "{}, {} new: not seen in the same time before",
        counted(found.patterns.len() as u64, "pattern", "patterns"),
        grouped(new),
    );
    if found.sampled_every > 1 {
        sentence.push_str(&format!(". Counts are estimated from every {}th line", found.sampled_every));
    }
    if found.patterns.len() > PATTERNS_MAX {
        sentence.push_str(&format!(". The {PATTERNS_MAX} most frequent are shown"));
    }
    let row = |pattern: &WindowPattern| PatternRow {
        text: one_line(&pattern.template, TEXT_CHARS_MAX),
        count: grouped(pattern.count),
        share: format!("{} %", (pattern.count * 100).div_ceil(total.max(1))),
        is_new: pattern.is_new(),
        first: Stamp::to_the_second(pattern.first_ns.div_euclid(NS_PER_MS), now_ms),
        spark: spark(pattern, range, step_ns),
        term: term(&pattern.template).unwrap_or_default(),
    };
    PatternsView { sentence, rows: found.patterns.iter().take(PATTERNS_MAX).map(row).collect() }
}

fn spark(pattern: &WindowPattern, range: NsRange, step_ns: i64) -> Svg {
    let ms = |ns: i64| ns.div_euclid(NS_PER_MS);
    let begin_ns = range.start_ns.div_euclid(step_ns) * step_ns;
    let steps = (range.end_ns - begin_ns).div_euclid(step_ns).clamp(0, 200);
    // A step without lines has none: the course goes down to zero.
    let points: Vec<Sample> = (0..=steps)
        .map(|n| {
            let start_ns = begin_ns + n * step_ns;
            let at = pattern.steps.binary_search_by_key(&start_ns, |(start_ns, _)| *start_ns);
            Sample { at_ms: ms(start_ns), value: at.map_or(0.0, |at| pattern.steps[at].1 as f64) }
        })
        .collect();
    sparkline(&points, ms(begin_ns), ms(begin_ns + steps * step_ns), ms(step_ns).max(1), 1.0)
}

/// A term that finds the pattern's lines: its text as a regular expression.
fn term(template: &str) -> Option<String> {
    if template.len() > FILTER_BYTES_MAX || template.chars().any(char::is_control) {
        return None;
    }
    let mut out = String::from("/");
    for (at, piece) in template.split(PLACEHOLDER).enumerate() {
        if at > 0 {
            out.push_str(".+");
        }
        for c in piece.chars() {
            if matches!(c, '\\' | '.' | '+' | '*' | '?' | '(' | ')' | '|' | '[' | ']' | '{' | '}' | '^' | '$' | '/') {
                out.push('\\');
            }
            out.push(c);
        }
    }
    out.push('/');
    (out.len() > 4).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_shown_with_a_search_that_finds_them() {
        for (template, expected) in
            [("GET <_> took <_>ms (a/b)", Some(r"/GET .+ took .+ms \(a\/b\)/")), ("<_>", None), ("a\nb", None)]
        {
            let found = term(template);
            assert_eq!(found.as_deref(), expected, "{template}");
            assert!(found.is_none_or(|term| logs::parse(&term).is_ok()));
        }
        let pattern = |template: &str, count, before| WindowPattern {
            template: template.into(),
            count,
            before,
            first_ns: 0,
            last_ns: 0,
            steps: vec![(60_000_000_000, count)],
        };
        let found = WindowPatterns {
            patterns: vec![pattern("a <_>\u{202e}", 3, 1), pattern("b", 1, 0)],
            other: 0,
            sampled_every: 2,
            partial: None,
        };
        let range = NsRange { start_ns: 0, end_ns: 180_000_000_000 };
        let shown = view(&found, range, 60_000_000_000, 0);
        assert_eq!(
            shown.sentence,
            "2 patterns, 1 new: not seen in the same time before. Counts are estimated from every 2th line"
        );
        let rows: Vec<String> =
            shown.rows.iter().map(|row| format!("{} {} {} {}", row.text, row.count, row.share, row.is_new)).collect();
        assert_eq!(rows, ["a <_>[U+202E] 3 75 % false", "b 1 25 % true"]);
    }
}
