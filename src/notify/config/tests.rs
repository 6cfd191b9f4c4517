//! What a file means, and what is refused where.

use model::Labels;

use super::*;

const BASE: &str = "
route: {receiver: a}
receivers:
- name: a
";

fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::parse(text, "notify.yml", Path::new("/nonexistent"))
}

#[test]
fn routes_mean_what_they_mean_to_alertmanager() {
    let config = parse(
        "
global: {resolve_timeout: 5m}
inhibit_rules: []
route:
  receiver: root
  group_by: [alertname]
  group_wait: 10s
  repeat_interval: 1h
  routes:
  - matchers: ['severity=\"critical\"']
    receiver: page
    continue: true
    group_wait: 0s
  - match: {team: db}
    group_by: ['...']
    routes:
    - match_re: {host_name: 'pg-.*'}
      receiver: pg
    receiver: db
  - matchers: [team =~ \"x|y\", 'host_name != web-1']
    receiver: xy
receivers: [{name: root}, {name: page}, {name: db}, {name: pg}, {name: xy}]
",
    )
    .unwrap();
    let check = |labels: &[(&str, &str)], expected: &[&str]| {
        let labels = Labels::from_pairs(labels.iter().copied());
        let found: Vec<&str> = config.route.targets(&labels).iter().map(|target| target.receiver.as_str()).collect();
        assert_eq!(found, expected, "{labels}");
    };
    check(&[], &["root"]);
    check(&[("severity", "critical")], &["page"]);
    check(&[("severity", "critical"), ("team", "db")], &["page", "db"]);
    check(&[("team", "db"), ("host_name", "pg-1")], &["pg"]);
    check(&[("team", "x")], &["xy"]);
    check(&[("team", "x"), ("host_name", "web-1")], &["root"]);
    let labels = Labels::from_pairs([("team", "db"), ("host_name", "pg-1")]);
    let target = config.route.targets(&labels)[0];
    assert_eq!(
        (target.group_wait_ms, target.group_interval_ms, target.repeat_interval_ms),
        (10_000, 300_000, 3_600_000)
    );
    assert_eq!(target.group_labels(&labels), labels);
}

#[test]
fn channels_take_what_global_gives() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("key"), "0123456789abcdef0123456789abcdef\n").unwrap();
    let text = "
global:
  slack_api_url: https://hooks.slack.com/services/T/B/s3cret
  smtp_smarthost: mail.example.org:465
  smtp_from: b@example.org
route: {receiver: a}
receivers:
- name: a
  slack_configs:
  - {}
  - {api_url: https://slack.com/api/chat.postMessage, channel: '#x', http_config: {authorization: {credentials: xoxb-1}}}
  pagerduty_configs: [{routing_key_file: key}]
  email_configs: [{to: 'a@example.org, B <b@example.org>', smarthost: 'mail.example.org:587', send_resolved: false}, {to: c@example.org}]
  x: {fallback: {to: b, after: 2m, on: [config]}}
- {name: b, email_configs: [{to: d@example.org, smarthost: 'localhost:25', require_tls: false}]}
";
    let config = Config::parse(text, "notify.yml", dir.path()).unwrap();
    let names: Vec<&str> = config.channels().map(|channel| channel.name.as_str()).collect();
    assert_eq!(names, ["a/slack[0]", "a/slack[1]", "a/pagerduty[0]", "a/email[0]", "a/email[1]", "b/email[0]"]);
    let encryption = |name: &str| match &config.channel(name).unwrap().1.kind {
        ChannelKind::Email(email) => email.encryption,
        other => panic!("{other:?}"),
    };
    assert_eq!(encryption("a/email[0]"), Encryption::StartTls);
    assert_eq!(encryption("a/email[1]"), Encryption::Implicit);
    assert_eq!(encryption("b/email[0]"), Encryption::None);
    assert!(!config.channel("a/email[0]").unwrap().1.send_resolved);
    assert!(config.channel("a/slack[0]").unwrap().1.send_resolved);
    let (receiver, slack) = config.channel("a/slack[1]").unwrap();
    assert!(
        matches!(&slack.kind, ChannelKind::Slack(SlackConfig { door: SlackDoor::Bot { base, .. }, .. }) if base == "https://slack.com/api")
    );
    let fallback = receiver.fallback.as_ref().unwrap();
    assert_eq!(
        (fallback.after_ms, fallback.on_config, fallback.on_breaker_open, fallback.on_deadline),
        (120_000, true, false, false)
    );
    let printed = format!("{config:?}");
    for secret in ["s3cret", "xoxb-1", "0123456789abcdef"] {
        assert!(!printed.contains(secret), "{printed}");
    }
}

#[test]
fn what_has_no_effect_is_refused_where_it_stands() {
    let slack =
        |more: &str| format!("{BASE}  slack_configs:\n  - api_url: https://hooks.slack.com/services/x\n    {more}\n");
    let email = |more: &str| {
        format!(
            "{BASE}  email_configs:\n  - to: a@example.org\n    from: b@example.org\n    smarthost: m.example.org:587\n    {more}\n"
        )
    };
    for (text, line, part) in [
        (String::new(), 1, "needs a route"),
        ("route: {receiver: b}\nreceivers: [{name: a}]".into(), 1, "no receiver \"b\""),
        ("route: {receiver: oncal}\nreceivers: [{name: oncall}]".into(), 1, "did you mean \"oncall\"?"),
        (
            format!("{BASE}inhibit_rules: [{{source_match: {{a: b}}}}]"),
            5,
            "inhibit_rules of notify.yml is not supported yet",
        ),
        (format!("{BASE}recievers: []"), 5, "did you mean receivers?"),
        (format!("{BASE}  webhook_configs: [{{url: http://x}}]"), 5, "not supported yet"),
        (format!("{BASE}  slack_config: []"), 5, "did you mean slack_configs?"),
        (format!("{BASE}  slack_configs: [{{channel: x}}]"), 5, "needs api_url"),
        (slack("title: '{{ .CommonLabels.alertname }}'"), 7, "templates are not supported"),
        (slack("color: danger"), 7, "color of slack_configs of receiver \"a\" is not supported yet"),
        (slack("sendresolved: true"), 7, "did you mean send_resolved?"),
        (slack("api_url_file: /x"), 7, "not both"),
        (slack("http_config: {authorization: {credentials: x}}"), 6, "a webhook takes no credentials"),
        (
            format!("{BASE}  slack_configs: [{{api_url: https://slack.com/api/chat.postMessage, channel: x}}]"),
            5,
            "needs a bot token",
        ),
        (format!("{BASE}  pagerduty_configs: [{{service_key: x}}]"), 5, "Events API v1"),
        (format!("{BASE}  pagerduty_configs: [{{routing_key_file: nope}}]"), 5, "/nonexistent/nope"),
        (format!("{BASE}  pagerduty_configs: [{{routing_key: x, severity: page}}]"), 5, "one of critical"),
        (email("require_tls: false"), 8, "plain text"),
        (email("headers: {Subject: x}"), 9, "written by the appliance"),
        (email("headers: {X-A: \"a\\r\\nBcc: x\"}"), 9, "cannot be a mail header"),
        (email("to: x"), 9, "duplicate mapping key: to"),
        (format!("{BASE}  x: {{fallback: {{to: a}}}}"), 5, "in a circle: a -> a"),
        (format!("{BASE}  x: {{fallback: {{to: c}}}}"), 5, "no receiver \"c\""),
        (format!("{BASE}  x: {{fallback: {{to: b}}}}\n- name: b\n"), 5, "tells nobody"),
        (format!("{BASE}- name: a\n"), 5, "stands twice"),
        ("route:\n  receiver: a\n  repeat_interval: 0s\nreceivers: [{name: a}]".into(), 3, "cannot be zero"),
        ("route:\n  receiver: a\n  group_wait: 5\nreceivers: [{name: a}]".into(), 3, "duration"),
        (
            "route:\n  receiver: a\n  routes:\n  - matchers: ['a=~(']\nreceivers: [{name: a}]".into(),
            4,
            "bad regular expression",
        ),
        ("route:\n  receiver: a\n  matchers: [a=b]\nreceivers: [{name: a}]".into(), 2, "root route takes every alert"),
    ] {
        let error = parse(&text).expect_err(&text);
        assert!(error.reason.contains(part), "{error}\n{text}");
        assert_eq!((error.line, error.file.as_str()), (line, "notify.yml"), "{error}\n{text}");
    }
}

#[test]
fn hostile_nesting_is_an_error_and_no_overflow() {
    let deep = format!("route: {}", "{receiver: a, routes: [".repeat(5_000));
    assert!(parse(&deep).is_err());
    let lists = "[".repeat(100_000);
    assert!(parse(&lists).is_err());
    let tree = |depth: usize| {
        format!("route: {}{}\nreceivers: [{{name: a}}]", "{receiver: a, routes: [".repeat(depth), "]}".repeat(depth))
    };
    assert!(parse(&tree(10)).is_ok(), "deeper than anybody's tree");
    assert!(parse(&tree(12)).unwrap_err().reason.contains("24"));
    let bomb = "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e]\ng: [*f,*f,*f,*f,*f,*f,*f,*f,*f]\n";
    assert!(parse(bomb).is_err());
}
