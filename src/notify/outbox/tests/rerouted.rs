//! Routes that a reload changed while an alert fires.

use super::*;

#[test]
fn whom_routes_no_longer_lead_an_alert_to_is_told_its_end_and_nothing_else() {
    let mut bench = Bench::new("{receiver: slack, group_wait: 0s}");
    let alert = firing("a", "critical", 0);
    bench.take(&alert, 0);
    bench.attempt("slack/slack[0]", 0, Verdict::Accepted);
    assert_eq!(bench.next(), Some(4 * 60 * MINUTE), "the repeat");
    assert!(bench.outbox.refresh(&alert, &bench.config), "everybody who should knows");

    bench.config = Bench::new("{receiver: pd, group_wait: 0s}").config;
    assert_eq!(bench.next(), None, "no repeat where no route leads");
    assert!(!bench.outbox.refresh(&alert, &bench.config), "the other one does not know");
    bench.take(&alert, MINUTE);
    bench.attempt("pd/pagerduty[0]", MINUTE, Verdict::Accepted);
    assert!(bench.outbox.refresh(&alert, &bench.config));
    bench.take(&ended(&alert, 2 * MINUTE), 2 * MINUTE);
    for channel in ["slack/slack[0]", "pd/pagerduty[0]"] {
        let sent = bench.attempt(channel, 2 * MINUTE, Verdict::Accepted);
        assert_eq!(sent.intent.want, IntentState::Resolved, "{channel}");
    }
}
