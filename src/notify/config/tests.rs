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
        matches!(&slack.kind, ChannelKind::Slack(slack) if matches!(&slack.door, SlackDoor::Bot { base, .. } if base == "https://slack.com/api"))
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
        (format!("{BASE}inhibit_rules: [{{source_mach: {{a: b}}}}]"), 5, "did you mean source_match?"),
        (format!("{BASE}inhibit_rules: [{{sources: [{{matchers: [a=b]}}], source_match: {{a: b}}}}]"), 5, "instead of"),
        (format!("{BASE}inhibit_rules: [{{sources: [{{matchers: [a=b]}}], equal: [c]}}]"), 5, "instead of"),
        (format!("{BASE}inhibit_rules: [{{sources: [{{matchers: []}}]}}]"), 5, "needs a matcher"),
        (format!("{BASE}inhibit_rules: [{{sources: [{{matchers: ['a=']}}]}}]"), 5, "needs a matcher"),
        (format!("{BASE}time_intervals: [{{name: a}}, {{name: a}}]"), 5, "stands twice"),
        ("route:\n  receiver: a\n  routes:\n  - mute_time_intervals: [nights]\nreceivers: [{name: a}]\ntime_intervals: [{name: night}]".into(), 2, "did you mean \"night\"?"),
        ("route:\n  receiver: a\n  mute_time_intervals: [x]\nreceivers: [{name: a}]\ntime_intervals: [{name: x}]".into(), 2, "root route has no time intervals"),
        ("route: {receiver: a, group_by: [a, a]}\nreceivers: [{name: a}]".into(), 1, "twice"),
        (format!("{BASE}recievers: []"), 5, "did you mean receivers?"),
        (format!("{BASE}  telegram_configs: [null]"), 5, "nothing in it"),
        (format!("{BASE}  slack_config: []"), 5, "did you mean slack_configs?"),
        (format!("{BASE}  slack_configs: [{{channel: x}}]"), 5, "needs api_url"),
        (slack("sendresolved: true"), 7, "did you mean send_resolved?"),
        (slack("api_url_file: /x"), 7, "not both"),
        (slack("http_config: {authorization: {credentials: x}}"), 6, "a webhook takes no credentials"),
        (
            format!("{BASE}  slack_configs: [{{api_url: https://slack.com/api/chat.postMessage, channel: x}}]"),
            5,
            "needs a bot token",
        ),
        (format!("{BASE}  pagerduty_configs: [{{routing_key_file: nope}}]"), 5, "/nonexistent/nope"),
        (format!("{BASE}  pagerduty_configs: [{{routing_key: x, severity: page}}]"), 5, "one of critical"),
        (format!("{BASE}  pagerduty_configs: [{{routing_key: ''}}]"), 5, "routing_key is empty"),
        (slack("fields: [{title: a}]"), 7, "needs title and value"),
        (email("headers: {Bcc: x}"), 9, "written by the appliance"),
        (email("headers: {Subject: a, subject: b}"), 9, "stands twice"),
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

/// Inhibitions among the built-in rules.
const BUILTIN: usize = 10;

#[test]
fn the_built_in_inhibitions_are_there_unless_refused() {
    let count = |more: &str| parse(&format!("{BASE}{more}")).unwrap().inhibit_rules.len();
    assert_eq!((count(""), count("x: {builtin_inhibitions: false}\n")), (BUILTIN, 0));
}

/// Every part of Alertmanager's format, in the shapes that its documentation shows.
const WHOLE: &str = r##"
global:
  resolve_timeout: 3m
  smtp_smarthost: 'localhost:25'
  smtp_from: 'alertmanager@example.org'
  smtp_auth_username: 'alertmanager'
  smtp_auth_password: "two\nlines-mysecret"
  smtp_hello: host.example.org
  smtp_tls_config: {insecure_skip_verify: true}
  slack_api_url: http://mysecret.example.com/
  opsgenie_api_key: mysecret
  http_config: {proxy_url: 'http://127.0.0.1:1025'}
templates: ['/etc/alertmanager/template/*.tmpl']
route:
  group_by: ['alertname', 'cluster', 'service']
  group_wait: 30s
  group_interval: 5m
  repeat_interval: 3h
  receiver: team-X-mails
  routes:
  - match_re: {service: '^(foo1|foo2|baz)$'}
    receiver: team-X-mails
    mute_time_intervals: [offhours, holidays]
    routes:
    - match: {severity: critical}
      receiver: team-X-pager
  - matchers: ['service = files', '"host.name" =~ "web-.+|db"']
    active_time_intervals: [offhours]
    receiver: team-Y-mails
  - matchers: ['{service="database",owner!~"team-[XY]"}']
    receiver: everything
    group_by: ['...']
    continue: true
inhibit_rules:
- source_match: {severity: critical}
  target_match_re: {severity: warning|info}
  equal: [alertname, cluster, service]
- name: down
  source_matchers: [alertname = HostDown]
  target_matchers: ['alertname != HostDown', 'severity=~".+"']
  equal: ['host.name']
mute_time_intervals:
- name: holidays
  time_intervals: [{months: ['december'], days_of_month: ['24:26']}]
time_intervals:
- name: offhours
  time_intervals:
  - times: [{start_time: '17:00', end_time: '24:00'}]
    weekdays: ['monday:friday']
    location: Europe/Berlin
  - weekdays: [saturday, sunday]
receivers:
- name: team-X-mails
  email_configs:
  - to: 'team-X+alerts@example.org'
    headers: {Subject: '{{ template "email.default.subject" . }}', To: someone, X-Team: '{{ .GroupLabels.service }}'}
    html: '{{ template "email.default.html" . }}'
    text: ''
  - {to: a@example.org, smarthost: 'relay.example.org:25', require_tls: false, threading: {enabled: true}}
- name: team-X-pager
  email_configs: [{to: team-X+alerts-critical@example.org, send_resolved: true}]
  pagerduty_configs:
  - routing_key: mysecret
    severity: '{{ .CommonLabels.severity }}'
    description: '{{ template "pagerduty.default.description" . }}'
    details: {firing: '{{ .Alerts.Firing | len }}', tree: {a: b}}
    images: [{src: 'https://example.org/i.png'}]
    http_config: {}
  - service_key: mysecret
- name: team-Y-mails
  email_configs: [{to: 'team-Y+alerts@example.org'}]
- name: everything
  slack_configs:
  - channel: '#my-channel'
    image_url: http://some.img.com/img.png
    color: '{{ if eq .Status "firing" }}danger{{ else }}good{{ end }}'
    title: '{{ template "slack.default.title" . }}'
    text: '{{ range .Alerts }}{{ .Annotations.summary }}{{ end }}'
    fields: [{title: a, value: b, short: true}]
    actions: [{type: button, text: Runbook, url: '{{ (index .Alerts 0).Annotations.runbook }}'}]
    http_config: {tls_config: {insecure_skip_verify: true}}
  - {app_token: xoxb-mysecret, channel: '#b', update_message: true}
  opsgenie_configs: [{api_key: mysecret, responders: [{name: a, type: team}]}]
  victorops_configs: [{api_key: mysecret, routing_key: Sample_route}]
  pushover_configs: [{token: mysecret, user_key: key, retry: 1m}]
  telegram_configs: [{bot_token: mysecret, chat_id: -100}]
  msteamsv2_configs: [{webhook_url: 'http://mysecret/'}]
  sns_configs: [{topic_arn: x, sigv4: {region: us-east-2}}]
- name: nobody
"##;

#[test]
fn what_http_config_asks_for_is_done_or_refused() {
    let webhook = |http: &str| {
        format!(
            "route: {{receiver: a}}\nreceivers:\n- name: a\n  webhook_configs: [{{url: 'http://x/', http_config: {{{http}}}}}]"
        )
    };
    for (http, reason) in [
        (
            "basic_auth: {username: a}, bearer_token: b",
            "give one of authorization, basic_auth, bearer_token and oauth2",
        ),
        ("oauth2: {client_id: a}", "oauth2 needs token_url"),
        ("oauth2: {client_id: a, token_url: 'ftp://x'}", "token_url must start with"),
        ("oauth2: {client_id: a, client_secret: b, token_url: 'http://x', scope: [c]}", "did you mean scopes?"),
        ("authorization: {type: Basic, credentials: x}", "for the scheme Basic give basic_auth"),
        ("proxy_url: 'ftp://x'", "proxy_url must start with http:// or https://"),
        ("proxy_url: 'http://p:1', proxy_from_environment: true", "not both"),
        ("tls_config: {ca: nonsense}", "ca: no certificate in PEM is there"),
        ("tls_config: {ca_file: missing.pem}", "missing.pem: No such file"),
        ("tls_config: {cert: a}", "needs both cert (or cert_file) and key (or key_file)"),
        ("tls_config: {server_name: 'a b'}", "server_name \"a b\" is neither"),
        ("tls_config: {max_version: TLS11}", "TLS 1.0 and 1.1 are not spoken"),
        ("tls_config: {min_version: TLS13, max_version: TLS12}", "max_version is below min_version"),
        ("http_headers: {Content-Type: {values: [x]}}", "the header Content-Type is written by the appliance"),
        ("http_headers: {X-A: {files: [missing]}}", "missing: No such file"),
        ("http_headers: {X-A: {values: [\"a\\nb\"]}}", "characters that headers cannot have"),
        ("follow_redirect: true", "did you mean follow_redirects?"),
    ] {
        let error = parse(&webhook(http)).expect_err(http);
        assert!(error.reason.contains(reason) && error.line == 4, "{http}: {error}");
    }
    for (http, reason) in [
        ("oauth2: {client_id: a, token_url: 'http://x', grant_type: 'urn:x'}", "grant_type urn:x is not spoken"),
        (
            "oauth2: {client_id: a, token_url: 'http://x', client_certificate_key: k}",
            "client_certificate_key of oauth2",
        ),
        ("proxy_url: 'socks5://x:1'", "SOCKS proxies are not spoken"),
        ("tls_config: {ca_ref: x}", "ca_ref names a secret manager"),
    ] {
        let config = parse(&webhook(http)).unwrap_or_else(|error| panic!("{http}: {error}"));
        let warnings = config.warnings().join("\n");
        assert!(warnings.contains("a/webhook[0]") && warnings.contains(reason), "{http}: {warnings}");
        assert!(matches!(config.channel("a/webhook[0]").unwrap().1.kind, ChannelKind::Unsent(_)), "{http}");
    }
    let shown = parse(&webhook(
        "proxy_url: 'http://u:mysecret@p:1', http_headers: {X-A: {values: [open], secrets: [mysecret]}}",
    ));
    let shown = shown.unwrap().shown().to_owned();
    assert!(!shown.contains("mysecret") && shown.contains("open"), "{shown}");
}

#[test]
fn dead_men_and_heartbeats_may_be_a_tenants() {
    let file = |x: &str| parse(&format!("route: {{receiver: a}}\nreceivers: [{{name: a}}]\nx:\n  {x}"));
    let beat = |more: &str| format!("{{name: b, token: {more}, every: 1h}}");
    let ours = "abcdefgh";
    let config = file(&format!("heartbeats: [{}, {}]", beat(ours), beat("ijklmnop, tenant: v-7"))).unwrap();
    let named: Vec<String> = config.tenants().into_iter().map(|(tenant, what)| format!("{what} {tenant}")).collect();
    assert_eq!(named, ["heartbeat \"b\" default", "heartbeat \"b\" v-7"]);
    let config = file("dead_man: [{url: 'http://x'}, {url: 'http://y', tenant: v-7}]").unwrap();
    assert_eq!((config.x.dead_men.len(), config.tenants().len()), (2, 1));
    for (x, reason) in [
        (format!("heartbeats: [{}, {}]", beat(ours), beat("ijklmnop")), "heartbeat \"b\" stands twice"),
        (
            format!("heartbeats: [{}, {}]", beat(ours), beat("abcdefgh, tenant: v-7")),
            "two heartbeats have the same token",
        ),
        ("dead_man: {url: 'http://x', tenant: a/b}".into(), "tenant"),
        (format!("dead_man: [{}]", "{url: 'http://x'},".repeat(51)), "at most 50 addresses"),
        ("undelivered_exec: [siren, --loud]".into(), "the whole path of a program"),
    ] {
        let error = file(&x).expect_err(&x);
        assert!(error.reason.contains(reason) && error.line == 4, "{x}: {error}");
    }
}

#[test]
fn alertmanagers_files_load_unchanged() {
    let config = parse(WHOLE).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((config.receivers.len(), config.inhibit_rules.len(), config.intervals.len()), (5, 2 + BUILTIN, 2));
    assert_eq!(config.resolve_timeout_ms, 180_000);
    let labels = |pairs: &[(&str, &str)]| Labels::from_pairs(pairs.iter().copied());
    let to = |pairs: &[(&str, &str)]| {
        let labels = labels(pairs);
        config.route.targets(&labels).into_iter().map(|target| target.receiver.clone()).collect::<Vec<_>>()
    };
    assert_eq!(to(&[("service", "foo2"), ("severity", "critical")]), ["team-X-pager"]);
    assert_eq!(to(&[("service", "foo22")]), ["team-X-mails"]);
    assert_eq!(to(&[("service", "files"), ("host.name", "db")]), ["team-Y-mails"]);
    assert_eq!(to(&[("service", "database"), ("owner", "team-Z")]), ["everything"]);
    // A child does not inherit its parent's intervals; the path tells the way.
    let labels = labels(&[("service", "foo1"), ("severity", "critical")]);
    let target = config.route.targets(&labels)[0];
    assert!(target.mute.is_empty());
    assert_eq!(target.path, r#"{}/{service=~"^(foo1|foo2|baz)$"}/{severity="critical"}"#);
    let email = |name: &str| match &config.channel(name).unwrap().1.kind {
        ChannelKind::Email(email) => (**email).clone(),
        other => panic!("{other:?}"),
    };
    let first = email("team-X-mails/email[0]");
    assert!(first.tls.insecure_skip_verify && first.subject.is_some() && first.text.is_none());
    assert_eq!(first.headers.len(), 1);
    assert_eq!(email("team-X-mails/email[1]").encryption, Encryption::IfOffered);
    assert!(matches!(
        &config.channel("everything/slack[1]").unwrap().1.kind,
        ChannelKind::Slack(slack) if matches!(slack.door, SlackDoor::Bot { .. })
    ));
    assert!(matches!(&config.channel("team-X-pager/pagerduty[1]").unwrap().1.kind, ChannelKind::Unsent(_)));
    assert!(matches!(&config.channel("everything/telegram[0]").unwrap().1.kind, ChannelKind::Unsent(_)));
}

/// Alertmanager's `conf.slack-default-app-token.yml`.
#[test]
fn an_app_token_may_stand_beside_the_address_of_the_older_way() {
    let channels = "{channel: a}, {channel: b, app_token: xoxb-2}, {channel: c, app_url: 'http://x/'}, {channel: d, http_config: {authorization: {credentials: xoxb-4}}}, {api_url: 'https://hooks/x'}";
    let text = format!(
        "global: {{slack_app_token: xoxb-1, slack_api_url: 'https://slack.com/api/chat.postMessage'}}\nroute: {{receiver: a}}\nreceivers: [{{name: a, slack_configs: [{channels}]}}]"
    );
    let config = parse(&text).unwrap_or_else(|error| panic!("{error}"));
    let doors = config.channels().map(|channel| match &channel.kind {
        ChannelKind::Slack(slack) => match &slack.door {
            SlackDoor::Bot { base, token } => format!("{base} {}", token.reveal()),
            SlackDoor::Webhook { url } => url.reveal().to_owned(),
        },
        other => panic!("{other:?}"),
    });
    let api = "https://slack.com/api";
    let expected = [
        &format!("{api} xoxb-1"),
        &format!("{api} xoxb-2"),
        "http://x xoxb-1",
        &format!("{api} xoxb-4"),
        "https://hooks/x",
    ];
    assert_eq!(doors.collect::<Vec<_>>(), expected);
}

/// Keys of Alertmanager's newest files, and what of them tells nobody.
#[test]
fn newer_files_load_and_say_what_they_do_not_do() {
    let with = |global: &str, route: &str, receiver: &str| {
        format!("global: {{{global}}}\nroute: {{receiver: a{route}}}\nreceivers: [{{name: a, {receiver}}}]")
    };
    let slack = |more: &str| format!("slack_configs: [{{channel: '#a', api_url: 'https://x/y'{more}}}]");
    let mail = |more: &str| format!("email_configs: [{{to: a@b.c, from: b@b.c, smarthost: 'b.c:25'{more}}}]");
    for (text, told, warning) in [
        (with("", "", &slack(", message_strategy: thread")), true, "message_strategy of slack_configs has no effect"),
        (with("", "", &slack(", threaded_options: {resolve_emoji: x}")), true, "threaded_options of slack_configs"),
        (with("receiver_templates: {slack: {title: x}}", "", &slack("")), true, "receiver_templates of global"),
        (with("", ", wait_on_startup: true", &slack("")), true, "wait_on_startup of route has no effect"),
        (
            with("smtp_auth_username: u, smtp_auth_secret: s", "", &mail("")),
            false,
            "a/email[0]: auth_username is given",
        ),
        (with("", "", &mail(", auth_username: u")), false, "CRAM-MD5 with auth_secret is not spoken"),
        (with("", "", "mattermost_configs: [{webhook_url: 'http://x'}]"), false, "mattermost is not spoken"),
    ] {
        let config = parse(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let warnings = config.warnings().join("\n");
        assert!(warnings.contains(warning), "{text}: {warnings}");
        let is_told = !matches!(config.channels().next().unwrap().kind, ChannelKind::Unsent(_));
        assert_eq!(is_told, told, "{text}");
    }
}

#[test]
fn what_has_no_effect_is_said_and_secrets_are_not() {
    let config = parse(WHOLE).unwrap();
    let warnings = config.warnings().join("\n");
    for part in [
        "image_url of slack_configs has no effect",
        "color of slack_configs",
        "To of headers",
        "threading of email_configs",
        "everything/opsgenie[0]: opsgenie is not spoken",
        "team-X-pager/pagerduty[1]: service_key belongs to the Events API v1",
    ] {
        assert!(warnings.contains(part), "{part}\n{warnings}");
    }
    assert!(!warnings.contains("http_config"), "it has its effect\n{warnings}");
    let shown = config.shown();
    assert!(!shown.contains("mysecret"), "{shown}");
    let shown = &shown.replace("slack_api_url: <secret>", "slack_api_url: http://x/y");
    let again = parse(shown).unwrap_or_else(|error| panic!("{error}\n{shown}"));
    assert_eq!(again.route.receivers(), config.route.receivers());
    assert_eq!(again.intervals, config.intervals);
    assert_eq!(again.inhibit_rules, config.inhibit_rules);
    assert!(
        !parse("route: {receiver: a}\nreceivers: [{name: a, x: {}}]\nx: {am_compat: true}")
            .unwrap()
            .shown()
            .contains("x:")
    );
}
