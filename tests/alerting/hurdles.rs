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
    world.until_page("the rule fails", "/api/v1/rules", |page| page.contains("\"health\":\"err\"")).await;
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

/// A group whose evaluation takes many times its interval, beside one that must be on time.
pub(crate) async fn slow_rule() -> Row {
    let mut world = World::new(PROBE_RULE).await;
    let slow = "  - {record: slow, expr: 'sum(quantile_over_time(0.5, load[2m:10ms]))'}\n".repeat(100);
    world.write("rules/slow.yml", &format!("groups:\n- name: slow\n  interval: 1s\n  rules:\n{slow}"));
    world.write(
        "rules/own.yml",
        "groups:\n- name: own\n  interval: 1s\n  rules:\n  - alert: RuleGroupTooSlow\n    expr: binnacle_rule_group_missed_slots_in_a_row >= 3\n    annotations: {summary: 'group {{ $labels.group }} is slow'}\n",
    );
    world.write("binnacle.toml", "[rules]\nbuiltin = false\n[host_metrics]\nenabled = false\ninterval = \"1s\"\n");
    world.tell_all();
    world.start().await;
    let now = now_ns();
    let loads = (0..1_000).flat_map(|n| {
        let series = n.to_string();
        (0..2).map(move |ago| binnacle::otlp_out::point(now - ago * 60_000_000_000, 0, 1.0, &[("unit", &series)]))
    });
    world.push_points("load", loads.collect()).await;
    world.until("it is said", |world| world.slack_says(&["RuleGroupTooSlow", "group slow is slow"])).await;
    // While an evaluation runs on, its missed slots are in a row; when it has ended they are in the total.
    let in_a_row = world.counted("binnacle_rule_group_missed_slots_in_a_row").await;
    let missed = in_a_row.max(world.counted("binnacle_rule_group_missed_slots_total").await);
    let began = std::time::Instant::now();
    world.fire(&hosts(0..1)).await;
    world.until("everybody knows", |world| world.count().lost == 0).await;
    let took = began.elapsed();
    assert!(took.as_secs() <= 5, "the other group was {took:?} late");
    world.end(&hosts(0..1)).await;
    let row = world
        .settle(format!("{missed:.0} slots passed over; the other group told in {:.1} s", took.as_secs_f64()))
        .await;
    assert!(missed >= 3.0, "{missed} missed slots are counted");
    row
}

/// A file that is no YAML, one whose rule does not parse and a template that fails, beside good ones; five megabytes of text;
/// text that means something to Slack, HTML, mail headers and terminals, in labels and in a log line.
pub(crate) async fn hostile_text() -> Row {
    let hostile =
        "<!channel> <script>alert(1)</script> &amp; \\r\\nBcc: victim@example.org\\r\\n\\u202Eevil \u{1F525}\u{1F525}";
    // As much as a template may have, many times over.
    let once = "x\u{1F525}".repeat(10_000);
    let long = format!("{{{{ define \"a\" }}}}{once}{{{{ end }}}}{}", "{{ template \"a\" }}".repeat(100));
    let rule = format!(
        "
  - alert: Probe
    expr: probe > 0
    labels: {{severity: critical, note: \"{hostile}\"}}
    annotations: {{summary: \"{hostile}\", description: '{long}', broken: '{{{{ .Nope.Deep | humanize }}}}'}}
"
    );
    let mut world = World::new(&rule).await;
    world.write("rules/a-bad.yml", "groups:\n- name: [\n");
    world.write("rules/z-bad.yml", "groups:\n- name: z\n  rules:\n  - {alert: Z, expr: 'sum(('}\n  - {alert: Y, expr: 'up', labels: {a: '{{ template \"none\" }}'}}\n");
    world.write(
        "rules/logs.yml",
        "groups:\n- name: logs\n  type: events\n  interval: 1s\n  rules:\n  - alert: Line\n    expr: '{service_name=\"scanner\"} |= \"found\"'\n    labels: {severity: critical}\n    annotations: {summary: 'a line of {{ $labels.host_name }}'}\n    x: {key: [host_name], resolve_when: '{service_name=\"scanner\"} |= \"never\"'}\n",
    );
    world.tell_all();
    world.start().await;
    let now = now_ns();
    let line = crate::logs::request_of(&[("host_name", "h-001-z")], &format!("found <!channel> <b>{hostile}</b>"), now);
    assert_eq!(world.appliance().push("/v1/logs", line).await.expect("the door is open"), 200);
    world.fire(&hosts(0..1)).await;
    let began = std::time::Instant::now();
    world.episodes.push(crate::oracle::Episode { host: "h-001-z".into(), began, over: false, suppressed: false });
    world.until("everybody knows", |world| world.count().lost == 0).await;
    let (_, page) = world.appliance().get("/alerts").await;
    let log = world.appliance().log();
    for file in ["a-bad.yml", "z-bad.yml"] {
        assert!(page.contains(file) || log.contains(file), "nothing is said of {file}");
    }
    world.slack.seen.see(|seen| {
        for message in &seen.messages {
            let body = message.body.to_string();
            assert!(!body.contains("<!channel>") && body.contains("&lt;!channel&gt;"), "{body}");
        }
    });
    world.smtp.seen.see(|seen| {
        for mail in &seen.mails {
            assert_eq!(mail.header("bcc"), "", "a header was injected");
            assert_eq!(mail.to, ["oncall@example.org"]);
            // The plain part says it as it is.
            let html = mail.text.split("Content-Type: text/html").nth(1).expect("two parts").replace("=\r\n", "");
            assert!(!html.contains("<script>") && html.contains("&lt;script&gt;"), "unescaped HTML: {html}");
        }
    });
    let largest = world.smtp.seen.see(|seen| seen.mails.iter().map(|mail| mail.text.len()).max().unwrap_or(0));
    world.end(&hosts(0..1)).await;
    world.settle(format!("two bad files beside; of 5 MB of text the largest mail has {} KB", largest / 1024)).await
}
