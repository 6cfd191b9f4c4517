//! What silences hold back.

use super::*;

pub(super) fn silence(name: &str, value: &str) -> model::Silence {
    model::Silence {
        id: "s".into(),
        matchers: vec![model::Matcher::equal(name, value)],
        starts_ms: i64::MIN,
        ends_ms: i64::MAX,
        updated_ms: 0,
        created_by: "ann".into(),
        comment: "swap".into(),
        annotations: Vec::new(),
        schedule: String::new(),
    }
}

impl Bench {
    /// Lays these silences over the outbox; returns how many alerts were newly held back.
    pub(super) fn hold(&mut self, silences: &[model::Silence], now_ms: i64) -> usize {
        let suppression = crate::suppress::Suppression::new(&self.config, silences, std::iter::empty(), now_ms);
        self.outbox.suppress(&suppression, &self.config, now_ms).len()
    }
}

#[test]
fn what_is_held_back_untold_leaves_no_trace_and_what_was_told_keeps_its_end() {
    let mut bench = Bench::new("{receiver: slack, group_wait: 0s}");
    let (a, b) = (firing("a", "warning", 0), firing("b", "warning", 0));
    bench.take(&a, 0);
    bench.take(&b, 0);
    // Silenced before anything was sent: the other one goes alone.
    assert_eq!(bench.hold(&[silence("host", "a")], 0), 1);
    let sent = bench.attempt("slack/slack[0]", 0, Verdict::Accepted);
    assert_eq!(sent.intent.instances, std::slice::from_ref(&b));
    bench.take(&ended(&a, 1), 1);
    assert!(bench.due("slack/slack[0]", MINUTE).is_empty(), "nobody heard of it");
    // Told, then silenced: no repeats, and its end is quiet.
    assert_eq!(bench.hold(&[silence("host", "b")], 2), 1);
    assert_eq!(bench.hold(&[silence("host", "b")], 3), 0, "once");
    bench.sweep(5 * 60 * MINUTE);
    assert!(bench.due("slack/slack[0]", 5 * 60 * MINUTE).is_empty() && bench.next().is_none());
    bench.take(&ended(&b, 5 * 60 * MINUTE), 5 * 60 * MINUTE);
    let sent = bench.attempt("slack/slack[0]", 5 * 60 * MINUTE, Verdict::Accepted);
    assert!(is_quiet(&sent.intent) && sent.intent.want == IntentState::Resolved);
}

#[test]
fn what_is_let_go_while_it_fires_is_told_at_once() {
    let mut bench = Bench::new("{receiver: slack, group_wait: 30s}");
    let alert = firing("a", "warning", 0);
    bench.take(&alert, 0);
    bench.attempt("slack/slack[0]", 30_000, Verdict::Accepted);
    bench.hold(&[silence("host", "a")], MINUTE);
    bench.hold(&[], 2 * MINUTE);
    assert_eq!((bench.next(), is_loud(bench.only())), (Some(2 * MINUTE), true));
    // A failing attempt is not made again once it is silenced.
    bench.attempt("slack/slack[0]", 2 * MINUTE, Verdict::Transient { unsure: false });
    bench.hold(&[silence("host", "a")], 2 * MINUTE);
    assert!(bench.due("slack/slack[0]", 10 * MINUTE).is_empty());
}

#[test]
fn a_silence_during_an_attempt_waits_for_its_answer() {
    for (verdict, owed) in [(Verdict::Accepted, true), (Verdict::Transient { unsure: false }, false)] {
        let mut bench = Bench::new("{receiver: pd, group_wait: 0s}");
        let alert = firing("a", "critical", 0);
        bench.take(&alert, 0);
        let key = bench.due("pd/pagerduty[0]", 0)[0].clone();
        let sent = bench.outbox.begin(&key, &[], 0).unwrap();
        bench.hold(&[silence("host", "a")], 1);
        bench.end_attempt(&sent, 2, verdict);
        bench.take(&ended(&alert, 3), 3);
        assert_eq!(bench.due("pd/pagerduty[0]", MINUTE).len(), usize::from(owed));
    }
}
