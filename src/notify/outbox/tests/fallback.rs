//! What nobody takes: fallbacks, ends that are given up.

use super::*;

#[test]
fn a_fallback_is_told_when_its_time_has_come_and_not_twice() {
    let deadline = 60_000;
    // Late, refused, or held back: each is a reason, with its own moment.
    let mut bench = Bench::new("{receiver: guarded, group_wait: 0s}");
    bench.take(&firing("a", "warning", 0), 0);
    bench.attempt("guarded/slack[0]", 0, Verdict::Transient { unsure: false });
    bench.sweep(deadline - 1);
    assert_eq!(bench.outbox.iter().count(), 1);
    bench.sweep(deadline);
    let due = bench.due("stand-in/slack[0]", deadline);
    assert_eq!(due.len(), 1);
    let stand_in = bench.outbox.get(&due[0]).unwrap().clone();
    assert_eq!(stand_in.fallback_for.as_deref(), Some("guarded/slack[0]"));
    assert_eq!(handle(&stand_in, mark::WHY), "guarded/slack[0] was not reached (1 attempt): words");
    // The channel comes back before the stand-in was sent: that is taken back.
    bench.attempt("guarded/slack[0]", deadline + 1, Verdict::Accepted);
    bench.sweep(deadline + 1);
    assert_eq!(bench.only().receiver, "guarded/slack[0]");

    let mut bench = Bench::new("{receiver: guarded, group_wait: 0s}");
    let alert = firing("a", "warning", 0);
    bench.take(&alert, 0);
    bench.attempt("guarded/slack[0]", 0, Verdict::Refused);
    bench.sweep(1);
    bench.attempt("stand-in/slack[0]", 1, Verdict::Accepted);
    bench.take(&ended(&alert, 2), 2);
    bench.attempt("stand-in/slack[0]", 2, Verdict::Accepted);
    bench.sweep(2 + bench.timing.done_keep_ms);
    bench.sweep(3 + bench.timing.done_keep_ms);
    assert_eq!(bench.only().receiver, "guarded/slack[0]", "a stand-in that is done is not begun again");

    let mut bench = Bench::new("{receiver: guarded, group_wait: 0s}");
    bench.take(&alert, 0);
    for _ in 0..5 {
        bench.health.failed(1, "down", &Timing::default());
    }
    bench.sweep(1);
    assert_eq!(bench.due("stand-in/slack[0]", 1).len(), 1);
}

#[test]
fn an_end_that_nobody_takes_is_given_up_after_a_day_and_said() {
    let mut bench = Bench::new("{receiver: slack, group_wait: 0s}");
    let alert = firing("a", "warning", 0);
    let day = bench.timing.resolve_expires_ms;
    bench.take(&alert, 0);
    // A firing is tried for as long as it fires.
    bench.attempt("slack/slack[0]", 3 * day, Verdict::Transient { unsure: false });
    assert_eq!(bench.sweep(3 * day), 0);
    bench.take(&ended(&alert, 3 * day), 3 * day);
    bench.attempt("slack/slack[0]", 4 * day - 1, Verdict::Transient { unsure: false });
    assert_eq!(bench.sweep(4 * day - 1), 0);
    assert_eq!(bench.sweep(4 * day), 1);
    assert!(bench.due("slack/slack[0]", 5 * day).is_empty());
    bench.sweep(5 * day);
    assert_eq!(bench.outbox.iter().count(), 0);
}

#[test]
fn an_end_that_waited_while_nothing_ran_is_tried_before_it_is_given_up() {
    for verdict in [Verdict::Accepted, Verdict::Transient { unsure: false }] {
        let mut bench = Bench::new("{receiver: slack, group_wait: 0s}");
        let alert = firing("a", "warning", 0);
        let day = bench.timing.resolve_expires_ms;
        bench.take(&alert, 0);
        bench.attempt("slack/slack[0]", 0, Verdict::Accepted);
        bench.take(&ended(&alert, MINUTE), MINUTE);
        let key = bench.due("slack/slack[0]", MINUTE)[0].clone();
        bench.outbox.begin(&key, &[], MINUTE).unwrap();
        // Stopped in the middle of the attempt, and started two days later.
        let (intents, _) = bench.outbox.unwritten();
        bench.outbox = Outbox::load(intents);
        bench.outbox.recover(2 * day);
        assert_eq!(bench.sweep(2 * day), 0);
        bench.attempt("slack/slack[0]", 2 * day, verdict.clone());
        assert_eq!(bench.sweep(2 * day), usize::from(verdict != Verdict::Accepted));
        assert!(bench.due("slack/slack[0]", 3 * day).is_empty());
    }
}
