//! What counts as undelivered: nothing that fires waits for a channel that does not work without a word.

use super::*;

#[test]
fn what_waits_behind_others_that_fail_is_undelivered_too() {
    let mut bench = Bench::new("{receiver: pd, group_wait: 0s}");
    let subjects = |bench: &Bench, now_ms| {
        let health = bench.health.clone();
        let found = bench.outbox.undelivered(&|_| health.clone(), now_ms);
        found.into_iter().map(|one| format!("{}: {}", one.subject, one.reason)).collect::<Vec<_>>()
    };
    bench.take(&firing("a", "critical", 0), 0);
    assert!(subjects(&bench, 60_000).is_empty(), "not tried, and nothing says that it would fail");
    for at_ms in [0, 10_000, 20_000] {
        bench.attempt("pd/pagerduty[0]", at_ms, Verdict::Transient { unsure: false });
    }
    bench.take(&firing("b", "critical", 21_000), 21_000);
    assert_eq!(subjects(&bench, 25_999), ["X a: words"]);
    assert_eq!(subjects(&bench, 26_000), ["X a: words", "X b: not tried yet, as others are not taken: words"]);
    // Once one is taken the others are only next.
    bench.attempt("pd/pagerduty[0]", 30_000, Verdict::Accepted);
    assert!(subjects(&bench, 30_000).is_empty(), "{:?}", subjects(&bench, 30_000));
}

#[test]
fn what_is_held_back_is_not_undelivered() {
    let mut bench = Bench::new("{receiver: slack, group_wait: 0s}");
    bench.take(&firing("a", "critical", 0), 0);
    bench.attempt("slack/slack[0]", 0, Verdict::Transient { unsure: true });
    let health = bench.health.clone();
    assert_eq!(bench.outbox.undelivered(&|_| health.clone(), MINUTE).len(), 1);
    bench.hold(&[held::silence("host", "a")], MINUTE);
    assert!(bench.outbox.undelivered(&|_| health.clone(), MINUTE).is_empty());
}
