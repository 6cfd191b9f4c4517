//! Thousands of alerts in one group.

use super::*;

/// Each step takes every alert by itself, as an evaluation brings them: work that grew with the square of their number would take
/// minutes here.
#[test]
fn thousands_of_alerts_are_one_message_and_one_end() {
    let mut bench = Bench::new("{receiver: slack, group_by: [alertname], group_wait: 0s, group_interval: 1m}");
    let mut all: Vec<Instance> = (0..2_000).map(|at| firing(&format!("host-{at}"), "warning", 0)).collect();
    all.iter().for_each(|instance| bench.take(instance, 0));
    assert_eq!(bench.only().instances.len(), all.len());
    let sent = bench.attempt("slack/slack[0]", 0, Verdict::Accepted);
    assert_eq!(sent.intent.instances.len(), all.len());
    assert_eq!(bench.hold(&[held::silence("severity", "warning")], MINUTE), all.len());
    assert_eq!(bench.hold(&[], 2 * MINUTE), 0);
    let last = all.pop().unwrap();
    all.iter().for_each(|instance| bench.take(&ended(instance, 3 * MINUTE), 3 * MINUTE));
    bench.attempt("slack/slack[0]", 4 * MINUTE, Verdict::Accepted);
    assert_eq!(bench.only().instances, [last]);
}
