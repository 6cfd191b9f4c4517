//! A clock that is set back while messages wait.

use super::*;

/// 2026-11-22.
const NOW: i64 = 1_795_305_600_000;
const HOUR: i64 = 60 * MINUTE;

/// The same bench after a restart.
fn restarted(bench: Bench, now_ms: i64) -> Bench {
    let intents = bench.outbox.iter().map(|(_, intent)| intent.clone()).collect();
    let mut outbox = Outbox::load(intents);
    outbox.follow_start(now_ms);
    Bench { outbox, ..bench }
}

#[test]
fn what_waits_waits_no_longer() {
    for restart in [false, true] {
        let set_back = |mut bench: Bench, now_ms: i64| match restart {
            true => restarted(bench, now_ms),
            false => {
                bench.outbox.shift(-HOUR, now_ms);
                bench
            }
        };
        // A group waits for company.
        let mut bench = Bench::new("{receiver: slack}");
        bench.take(&firing("a", "warning", NOW), NOW);
        let mut bench = set_back(bench, NOW - HOUR);
        assert_eq!(bench.next(), Some(NOW - HOUR + 30_000), "{restart}");
        // A failed attempt waits for the next, a refused one too.
        bench.attempt("slack/slack[0]", NOW, Verdict::Transient { unsure: false });
        let bench = set_back(bench, NOW - HOUR);
        assert!(bench.next().is_some_and(|next_ms| next_ms <= NOW - HOUR + 30_000), "{restart} {:?}", bench.next());
        let mut bench = Bench::new("{receiver: pd, group_wait: 0s}");
        bench.take(&firing("a", "critical", NOW), NOW);
        bench.attempt("pd/pagerduty[0]", NOW, Verdict::Refused);
        let bench = set_back(bench, NOW - HOUR);
        assert_eq!(bench.next(), Some(NOW - HOUR + MINUTE), "{restart}");
        // Whoever joins a group that was told.
        let mut bench = Bench::new("{receiver: slack, group_wait: 0s}");
        bench.take(&firing("a", "warning", NOW), NOW);
        bench.attempt("slack/slack[0]", NOW, Verdict::Accepted);
        let mut bench = set_back(bench, NOW - HOUR);
        bench.take(&firing("b", "warning", NOW - HOUR), NOW - HOUR);
        assert_eq!(bench.next(), Some(NOW - HOUR + 5 * MINUTE), "{restart}");
    }
}

#[test]
fn what_was_said_is_not_said_again_when_the_clock_is_put_right() {
    let mut bench = Bench::new("{receiver: slack, group_wait: 0s, repeat_interval: 1h}");
    bench.take(&firing("a", "warning", NOW), NOW);
    bench.attempt("slack/slack[0]", NOW, Verdict::Accepted);
    bench.outbox.shift(-24 * HOUR, NOW - 24 * HOUR);
    bench.sweep(NOW + MINUTE);
    assert!(bench.due("slack/slack[0]", NOW + MINUTE).is_empty());
    // A clock that was never set says nothing.
    let before = bench.only().clone();
    bench.outbox.shift(MINUTE - NOW, MINUTE);
    assert_eq!(*bench.only(), before);
}
