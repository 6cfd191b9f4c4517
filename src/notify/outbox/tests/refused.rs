//! What a service refuses for good, until somebody puts it right.

use super::*;

#[test]
fn a_refusal_is_tried_again_after_as_long_as_it_is_late() {
    let check = |severity: &str, minutes: &[i64]| {
        let mut bench = Bench::new("{receiver: pd, group_wait: 0s}");
        bench.take(&firing("a", severity, 0), 0);
        for at_ms in minutes.iter().map(|minute| minute * MINUTE) {
            assert_eq!(bench.next(), Some(at_ms), "{severity}");
            bench.sweep(at_ms);
            bench.attempt("pd/pagerduty[0]", at_ms, Verdict::Refused);
        }
    };
    check("critical", &[0, 1, 2, 4, 8, 13, 18]);
    check("warning", &[0, 1, 2, 4, 8, 16, 31, 46]);
}

#[test]
fn a_refusal_is_tried_again_at_a_reload_and_when_the_channel_takes_anything() {
    let refused = || {
        let mut bench = Bench::new("{receiver: pd, group_wait: 0s}");
        bench.take(&firing("a", "warning", 0), 0);
        bench.attempt("pd/pagerduty[0]", 0, Verdict::Refused);
        bench
    };
    let mut bench = refused();
    bench.outbox.retry_refused(None);
    bench.attempt("pd/pagerduty[0]", 1, Verdict::Accepted);

    let mut bench = refused();
    bench.take(&firing("b", "warning", 10_000), 10_000);
    bench.attempt("pd/pagerduty[0]", 10_000, Verdict::Accepted);
    let sent = bench.attempt("pd/pagerduty[0]", 10_000, Verdict::Accepted);
    assert_eq!(sent.intent.instances[0].labels.value("host"), "a");
}
