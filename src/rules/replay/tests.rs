use model::Sample;

use super::*;
use crate::test_runner::memory::Memory;

/// Values a minute apart from minute 0; what the rule would have done.
fn replayed(rule: &str, values: &[f64]) -> Replay {
    let memory = Memory::default();
    let labels = Labels::from_pairs([("__name__", "used"), ("host", "a")]);
    for (value, at) in values.iter().zip(0..) {
        memory.add(&labels, Sample { at_ms: at * 60_000, value: *value });
    }
    let text = format!("groups: [{{name: g, interval: 1m, rules: [{{alert: A, {rule}}}]}}]");
    let groups = crate::file::parse(&text, "f.yml", 30_000).unwrap();
    let span = Span {
        from_ms: 0,
        to_ms: (values.len() as i64 - 1) * 60_000,
        lookback_ms: 300_000,
        budget: query::Limits::default().start(),
    };
    replay(&memory, None, &groups, &span).remove(0)
}

#[track_caller]
fn check(rule: &str, values: &[f64], fired: u64, flapped: u64, minutes: &[(i64, Option<i64>)]) {
    let found = replayed(rule, values);
    let shown: Vec<(i64, Option<i64>)> =
        found.episodes.iter().map(|e| (e.fired_ms / 60_000, e.ended_ms.map(|ended_ms| ended_ms / 60_000))).collect();
    assert_eq!((found.fired, found.flapped, shown.as_slice()), (fired, flapped, minutes), "{rule}: {found:?}");
}

#[test]
fn episodes_are_those_of_the_state_machine() {
    let values = [1.0, 9.0, 9.0, 1.0, 9.0, 9.0, 9.0, 1.0, 1.0, 9.0];
    check("expr: used > 5", &values, 3, 2, &[(1, Some(3)), (4, Some(7)), (9, None)]);
    check("expr: used > 5, for: 2m", &values, 1, 0, &[(6, Some(7))]);
    check("expr: used > 5, keep_firing_for: 1m", &values, 2, 1, &[(1, Some(8)), (9, None)]);
    check("expr: used > 5, keep_firing_for: 2m", &values, 1, 0, &[(1, None)]);
    let near = [9.0, 4.5, 9.0, 4.5, 3.0, 4.5];
    check("expr: used > 5, x: {clear: 4}", &near, 1, 0, &[(0, Some(4))]);
    check("expr: used > 5, x: {resolve_expr: used < 4}", &near, 1, 0, &[(0, Some(4))]);
    check("expr: used, x: {levels: [{severity: w, above: 5, clear: 4}]}", &near, 1, 0, &[(0, Some(4))]);
    let found = replayed("expr: used > 5", &values);
    assert_eq!((found.first_ms, found.last_ms, found.firing_ms), (Some(60_000), Some(540_000), 5 * 60_000));
}

/// Timers go on from stretch to stretch.
#[test]
fn long_spans_are_cut_without_a_seam() {
    let values: Vec<f64> = (0..4_500).map(|at| if (1_990..2_010).contains(&at) { 9.0 } else { 1.0 }).collect();
    check("expr: used > 5, for: 15m", &values, 1, 0, &[(2_005, Some(2_010))]);
    check("expr: used < 5", &values, 2, 1, &[(0, Some(1_990)), (2_010, None)]);
}
