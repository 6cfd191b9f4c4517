//! One alert at a time, and what may stand in its way.

use opentelemetry_proto::tonic::metrics::v1::NumberDataPoint;

use crate::table::Row;
use crate::world::{PROBE_RULE, World, hosts, now_ns};

pub(crate) async fn one_alert() -> Row {
    let mut world = World::new(PROBE_RULE).await;
    world.tell_all();
    world.start().await;
    world.fire(&hosts(0..1)).await;
    world.until("four receivers know", |world| world.count().lost == 0).await;
    world.end(&hosts(0..1)).await;
    let row = world.settle("").await;
    assert_eq!(row.counts.seen, 1 + 1 + 2 + 2, "one post edited, one incident, two mails, two calls");
    world.slack.seen.see(|seen| assert_eq!(seen.messages[0].edits, 1));
    world.smtp.seen.see(|seen| {
        assert_eq!(seen.mails[0].header("references"), seen.mails[1].header("references"), "one thread");
    });
    let (_, page) = world.appliance().get("/notifications").await;
    for words in ["slack", "pagerduty", "email", "webhook", "accepted"] {
        assert!(page.contains(words), "the deliveries page lacks {words:?}");
    }
    row
}

/// The join finds two limits for the host, which is an error; it ends when the second limit does.
pub(crate) async fn query_error() -> Row {
    let rule = "
  - alert: Probe
    expr: probe > on (host_name) limit
    labels: {severity: critical}
";
    let mut world = World::new(rule).await;
    world.tell_all();
    world.start().await;
    let limit = |of: &str, gone: bool| NumberDataPoint {
        flags: u32::from(gone),
        value: None,
        ..binnacle::otlp_out::point(now_ns(), 0, 0.0, &[("host_name", "h-000-z"), ("of", of)])
    };
    let with_value =
        |point: NumberDataPoint| NumberDataPoint { value: binnacle::otlp_out::point(0, 0, 0.5, &[]).value, ..point };
    world.push_points("limit", vec![with_value(limit("a", false))]).await;
    world.fire(&hosts(0..1)).await;
    world.until("everybody knows", |world| world.count().lost == 0).await;
    world.push_points("limit", vec![with_value(limit("b", false))]).await;
    let broken = |page: &str| page.contains("\"health\":\"err\"");
    let deadline = std::time::Instant::now() + crate::world::PATIENCE;
    while !broken(&world.appliance().get("/api/v1/rules").await.1) {
        assert!(std::time::Instant::now() < deadline, "the rule never failed");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    // Some evaluations with the error; real seconds, since the slots are.
    tokio::time::sleep(std::time::Duration::from_secs(5)).await;
    assert_eq!(world.pagerduty.seen.see(|seen| seen.open()), 1, "an error ended the alert");
    world.push_points("limit", vec![limit("b", true)]).await;
    world.end(&hosts(0..1)).await;
    world.settle("5 s of errors").await
}

pub(crate) async fn joins_group() -> Row {
    let mut world = World::new(PROBE_RULE).await;
    world.receivers = crate::world::Receivers { pagerduty: false, mail: false, hook: false, ..crate::world::ALL };
    world.write_notify("{receiver: slack, group_by: [alertname], group_wait: 0s, group_interval: 5m}", "");
    world.start().await;
    world.fire(&hosts(0..1)).await;
    world.until("the first", |world| world.count().lost == 0).await;
    world.fire(&hosts(1..2)).await;
    let joined = std::time::Instant::now();
    world.until("the second", |world| world.count().lost == 0).await;
    let took = joined.elapsed();
    assert!(took.as_secs() <= 11, "told after {took:?}");
    world.end(&hosts(0..2)).await;
    world.settle(format!("the second told after {:.1} s", took.as_secs_f64())).await
}

pub(crate) async fn hostile_text() -> Row {
    let hostile =
        "<!channel> <script>alert(1)</script> &amp; \\r\\nBcc: victim@example.org\\r\\n\\u202Eevil \u{1F525}\u{1F525}";
    let long = "x\u{1F525}".repeat(10_000);
    let rule = format!(
        "
  - alert: Probe
    expr: probe > 0
    labels: {{severity: critical, note: \"{hostile}\"}}
    annotations: {{summary: \"{hostile}\", description: \"{long}\"}}
"
    );
    let mut world = World::new(&rule).await;
    world.tell_all();
    world.start().await;
    world.fire(&hosts(0..1)).await;
    world.until("everybody knows", |world| world.count().lost == 0).await;
    world.slack.seen.see(|seen| {
        let body = seen.messages[0].body.to_string();
        assert!(!body.contains("<!channel>") && body.contains("&lt;!channel&gt;"), "{body}");
    });
    world.smtp.seen.see(|seen| {
        let mail = &seen.mails[0];
        assert_eq!(mail.header("bcc"), "", "a header was injected");
        assert_eq!(mail.to, ["oncall@example.org"]);
        assert!(!mail.text.contains("<script>alert"), "unescaped HTML");
    });
    world.end(&hosts(0..1)).await;
    world.settle("").await
}
