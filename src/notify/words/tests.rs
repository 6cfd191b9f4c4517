//! Templates as Alertmanager's users write them.

use model::Labels;
use model::alert::{AlertState, Instance, Intent, IntentState, Progress};

use super::*;
use crate::config::{ChannelKind, Config, Detail};

const HOUR: i64 = 3_600_000;

fn instance(host: &str, ended: bool) -> Instance {
    Instance {
        rule_id: "r1".into(),
        labels: Labels::from_pairs([("alertname", "Disk"), ("host", host), ("severity", "critical"), ("job", "node")]),
        annotations: vec![("summary".into(), format!("{host} is full"))],
        state: if ended { AlertState::Resolved } else { AlertState::Firing },
        active_at_ms: 0,
        fired_at_ms: Some(HOUR),
        keep_since_ms: None,
        resolved_at_ms: ended.then_some(2 * HOUR),
        evaluated_at_ms: 0,
        value: 1.0,
        evidence: Default::default(),
    }
}

fn intent(instances: Vec<Instance>) -> Intent {
    Intent {
        receiver: "a/slack[0]".into(),
        scope: "s".into(),
        rev: 1,
        want: IntentState::Firing,
        instances,
        created_ms: 0,
        not_before_ms: 0,
        progress: Progress::Accepted { at_ms: 0 },
        accepted: None,
        handle: Vec::new(),
        fallback_for: None,
    }
}

fn config(fields: &str) -> Config {
    let text = format!(
        "route: {{receiver: a, group_by: [alertname, job]}}\nreceivers:\n- name: a\n  slack_configs:\n  - api_url: http://x/y\n{fields}"
    );
    Config::parse(&text, "notify.yml", Path::new(".")).unwrap_or_else(|error| panic!("{error}"))
}

fn render(text: &str, instances: Vec<Instance>) -> Result<String, String> {
    let config = config("");
    let data = Data::of(&intent(instances), "a/slack[0]", &config, "http://here/");
    config.words.render(text, &data, 3 * HOUR)
}

#[test]
fn templates_say_what_alertmanagers_say() {
    let check = |text: &str, expected: &str| {
        let alerts = vec![instance("web-1", false), instance("web-2", false), instance("web-3", true)];
        assert_eq!(render(text, alerts).unwrap_or_else(|error| panic!("{text}: {error}")), expected, "{text}");
    };
    check("{{ template \"slack.default.title\" . }}", "[FIRING:2] Disk node (critical)");
    check("{{ .Status | title }} {{ .Receiver }} {{ .ExternalURL }}", "Firing a http://here");
    check("{{ .GroupLabels.alertname }} {{ .CommonLabels.severity }} {{ .CommonLabels.nope }}.", "Disk critical .");
    check(
        "{{ range .Alerts.Firing }}{{ .Labels.host }}: {{ .Annotations.summary }}; {{ end }}",
        "web-1: web-1 is full; web-2: web-2 is full; ",
    );
    check("{{ len .Alerts }} {{ .Alerts.Resolved | len }} {{ (index .Alerts 0).Labels.host }}", "3 1 web-1");
    check(
        "{{ range .CommonLabels.SortedPairs }}{{ .Name }}={{ .Value }} {{ end }}",
        "alertname=Disk job=node severity=critical ",
    );
    check(
        "{{ .CommonLabels.Names | join \",\" }} {{ (.CommonLabels.Remove (stringSlice \"job\")).Values | join \",\" }}",
        "alertname,job,severity Disk,critical",
    );
    check("{{ range $k, $v := .GroupLabels }}{{ $k }}:{{ $v }} {{ end }}", "alertname:Disk job:node ");
    check("{{ if eq .Status \"firing\" }}danger{{ else }}good{{ end }}", "danger");
    check(
        "{{ with index .Alerts 2 }}{{ .Status }} {{ .StartsAt.Format \"2006-01-02 15:04:05 MST\" }} {{ .EndsAt.Sub .StartsAt }}{{ end }}",
        "resolved 1970-01-01 01:00:00 UTC 1h0m0s",
    );
    check(
        "{{ with index .Alerts 0 }}{{ since .StartsAt | humanizeDuration }} {{ .StartsAt | tz \"Europe/Berlin\" | date \"Mon 2 Jan 15:04\" }} {{ .StartsAt.Unix }}{{ end }}",
        "2h 0m 0s Thu 1 Jan 02:00 3600",
    );
    check(
        "{{ reReplaceAll \"web-(.)\" \"w$1\" \"web-7\" }} {{ match \"^w\" \"web\" }} {{ \" a \" | trimSpace | toUpper }}",
        "w7 true A",
    );
    check(
        "{{ .GroupLabels | toJson }} {{ \"<b>\" | safeHtml }} {{ \"a%20b\" | urlUnescape }}",
        "{\"alertname\":\"Disk\",\"job\":\"node\"} <b> a b",
    );
    check(
        "{{ template \"pagerduty.default.instances\" .Alerts.Resolved }}",
        "Labels:\n - alertname = Disk\n - host = web-3\n - job = node\n - severity = critical\nAnnotations:\n - summary = web-3 is full\nSource: http://here/alerts/rule/r1\n",
    );
    check("{{ .CommonAnnotations.SortedPairs.Values | join \" \" }}plain", "plain");
}

/// Cases of Alertmanager's own tests (`template_test.go`).
#[test]
fn functions_give_what_alertmanagers_give() {
    let check = |text: &str, expected: &str| {
        let alerts = vec![instance("web-1", false), instance("web-2", true)];
        assert_eq!(render(text, alerts).unwrap_or_else(|error| panic!("{text}: {error}")), expected, "{text}");
    };
    for (text, expected) in [
        ("abc", "abc"),
        ("{{ .NotificationReason }}", "first notification"),
        ("{{ \"abc\" | toUpper }}{{ \"ABC\" | toLower }}{{ \"abc\" | title }}", "ABCabcAbc"),
        ("{{ \" a b c \" | trimSpace }}", "a b c"),
        ("{{ if match \"^a\" \"abc\" }}yes{{ end }}{{ if match \"abcd\" \"abc\" }}no{{ end }}", "yes"),
        ("{{ stringSlice \"a\" \"b\" \"c\" | join \",\" }}", "a,b,c"),
        ("{{ \"<b>\" }}", "<b>"),
        ("{{ reReplaceAll \"ab\" \"AB\" \"abcdabcda\" }}", "ABcdABcda"),
        ("{{ \"search?q=test%20foo\" | urlUnescape }}", "search?q=test foo"),
        (
            "{{ with .GroupLabels }}{{ with .Remove (stringSlice \"job\") }}{{ .SortedPairs.Values }}{{ end }}{{ end }}",
            "[Disk]",
        ),
        ("{{ \"test\" | toJson }}{{ 42 | toJson }}{{ true | toJson }}", "\"test\"42true"),
        (
            "{{ list \"a\" \"b\" | toJson }}{{ dict \"key\" \"value\" \"number\" 123 | toJson }}",
            "[\"a\",\"b\"]{\"key\":\"value\",\"number\":123}",
        ),
        ("{{- $test := dict -}}{{ $test }}", "map[]"),
        ("{{- $test := dict \"a\" 1 \"b\" 2 \"c\" 3 -}}{{ $test }}", "map[a:1 b:2 c:3]"),
        ("{{- $test := list -}}{{ $test }}", "[]"),
        ("{{- $test := list \"a\" \"b\" -}}{{ $test = append $test \"c\" \"d\" -}}{{ $test }}", "[a b c d]"),
        (
            "{{- $new := list -}}{{ range .Alerts }}{{ $m := dict \"status\" .Status \"host\" .Labels.host }}{{ $new = append $new $m }}{{ end }}{{ toJson $new }}",
            "[{\"host\":\"web-1\",\"status\":\"firing\"},{\"host\":\"web-2\",\"status\":\"resolved\"}]",
        ),
        (
            "{{ range list 0 1 60 3600 86400 90000 -183845 899.99 }}{{ humanizeDuration . }}:{{ end }}",
            "0s:1s:1m 0s:1h 0m 0s:1d 0h 0m 0s:1d 1h 0m 0s:-2d 3h 4m 5s:14m 59s:",
        ),
        (
            "{{ range list .1 .0001 .12345 60.1 60.5 1.2345 12.345 }}{{ humanizeDuration . }}:{{ end }}",
            "100ms:100us:123.5ms:1m 0s:1m 0s:1.234s:12.35s:",
        ),
        (
            "{{ range list \".1\" \".0001\" \".12345\" \"60.1\" \"12.345\" }}{{ humanizeDuration . }}:{{ end }}",
            "100ms:100us:123.5ms:1m 0s:12.35s:",
        ),
        ("{{ range list 0 -1 1 1234567 }}{{ humanizeDuration . }}:{{ end }}", "0s:-1s:1s:14d 6h 56m 7s:"),
        ("{{ (index .Alerts 0).StartsAt | tz \"Europe/Paris\" }}", "1970-01-01 02:00:00 +0100 CET"),
        (
            "{{ list now ((index .Alerts 0).StartsAt | tz \"Europe/Paris\") (index .Alerts 0).EndsAt | toJson }}",
            "[\"1970-01-01T03:00:00Z\",\"1970-01-01T02:00:00+01:00\",\"0001-01-01T00:00:00Z\"]",
        ),
        ("{{ now | date \"2006-01-02T15:04:05-0700\" }}", "1970-01-01T03:00:00+0000"),
        ("{{ \"\\u00e9\\x41\\101\\xc3\\xa9\" }}", "éAAé"),
    ] {
        check(text, expected);
    }
    for wrong in [
        "{{ ",
        "{{ dict \"a\" }}",
        "{{ dict 1 \"value\" }}",
        "{{ humanizeDuration \"one\" }}",
        "{{ .Alerts | tz \"UTC\" }}",
        "{{ (index .Alerts 0).StartsAt | tz \"Invalid/Timezone\" }}",
        "{{ \"\\101\\9\" }}",
        "{{ \"\\x+4\" }}",
    ] {
        assert!(render(wrong, vec![instance("web-1", false)]).is_err(), "{wrong}");
    }
}

#[test]
fn a_broken_template_leaves_our_own_words_and_is_named() {
    let config = config(
        "    title: '{{ .CommonLabels.alertname }} {{ .Nope }}'\n    text: '{{ .Status }}'\n    pretext: above\n",
    );
    let (_, channel) = config.channel("a/slack[0]").unwrap();
    let (channel, problems) = rendered(channel, &intent(vec![instance("a", false)]), &config, "http://here", 0);
    let ChannelKind::Slack(slack) = channel.kind else { panic!() };
    assert_eq!((slack.title, slack.text.as_deref()), (None, Some("above\nfiring")));
    assert_eq!(problems.len(), 1);
    assert!(problems[0].contains("title of a/slack[0]") && problems[0].contains("Nope"), "{problems:?}");
}

#[test]
fn a_slack_template_may_mention_and_link_and_alerts_may_not() {
    let check = |text: &str, expected: &str| {
        let config = config(&format!("    text: '{text}'\n"));
        let mut alert = instance("<!channel>", false);
        alert.annotations = vec![("summary".into(), "a < b & <@U1>".into())];
        let (_, channel) = config.channel("a/slack[0]").unwrap();
        let (channel, problems) = rendered(channel, &intent(vec![alert]), &config, "http://here", 0);
        let ChannelKind::Slack(slack) = channel.kind else { panic!() };
        assert_eq!((slack.text.as_deref(), problems.len()), (Some(expected), 0), "{text}");
    };
    check("<!here> plain", "<!here> plain");
    check("<{{ .ExternalURL }}|open> {{ .CommonLabels.host }}", "<http://here|open> &lt;!channel&gt;");
    check("<!here> {{ range .Alerts }}{{ .Annotations.summary }}{{ end }}", "<!here> a &lt; b &amp; &lt;@U1&gt;");
}

#[test]
fn fields_buttons_and_a_footer_are_templates() {
    let config = config(
        "    title_link: '{{ .ExternalURL }}/alerts?a=1&b=2'\n    fields: [{title: Host, value: '{{ .CommonLabels.host }}', short: true}, {title: None, value: '{{ .CommonLabels.nope }}'}]\n    actions: [{type: button, text: 'Runbook :green_book:', url: '{{ (index .Alerts 0).Annotations.runbook }}'}, {type: button, text: Query, url: '{{ (index .Alerts 0).GeneratorURL }}'}]\n    footer: 'by {{ .Receiver }}'\n",
    );
    let (_, channel) = config.channel("a/slack[0]").unwrap();
    let (channel, problems) = rendered(channel, &intent(vec![instance("<!here>", false)]), &config, "http://here", 0);
    let ChannelKind::Slack(slack) = channel.kind else { panic!() };
    let pair = |first: &str, second: &str| (first.to_owned(), second.to_owned());
    assert_eq!(slack.fields, [pair("Host", "&lt;!here&gt;")]);
    assert_eq!(slack.buttons, [pair("Query", "http://here/alerts/rule/r1")]);
    assert_eq!(slack.title_link.as_deref(), Some("http://here/alerts?a=1&b=2"));
    assert_eq!((slack.footer.as_deref(), problems.len()), (Some("by a"), 0), "{problems:?}");
}

#[test]
fn whom_a_mail_goes_to_may_be_a_template() {
    let check = |to: &str, expected: &[&str], problem: &str| {
        let text = format!(
            "route: {{receiver: a}}\nreceivers: [{{name: a, email_configs: [{{to: '{to}', from: '{{{{ .CommonLabels.job }}}}@x.org', smarthost: 'x.org:25'}}]}}]"
        );
        let config = Config::parse(&text, "notify.yml", Path::new(".")).unwrap();
        let (_, channel) = config.channel("a/email[0]").unwrap();
        let (channel, problems) = rendered(channel, &intent(vec![instance("web-1", false)]), &config, "http://here", 0);
        let ChannelKind::Email(email) = channel.kind else { panic!() };
        let to: Vec<String> = email.to.iter().map(ToString::to_string).collect();
        assert_eq!(to, expected, "{to:?}");
        assert_eq!(email.from.map(|from| from.to_string()).as_deref(), Some("node@x.org"));
        assert!(problems.join(" ").contains(problem) && problems.is_empty() == problem.is_empty(), "{problems:?}");
    };
    check("a@x.org", &["a@x.org"], "");
    check("a@x.org, {{ .CommonLabels.job }}@x.org", &["a@x.org", "node@x.org"], "");
    check("{{ .CommonLabels.nope }}", &[], "");
    check("{{ .CommonLabels.job }}", &[], "to of a/email[0]: \"node\" is not a mail address");
    check("{{ .Nope }}@x.org", &[], "to of a/email[0]");
}

#[test]
fn details_of_pagerduty_are_trees_of_templates() {
    let text = "route: {receiver: a}\nreceivers: [{name: a, pagerduty_configs: [{routing_key: k, details: {
        count: '{{ .Alerts.Firing | len }}', hosts: '{{ .CommonLabels | toJson }}', none: '{{ .CommonLabels.nope }}',
        tree: {'of {{ .Status }}': [plain, '{{ .CommonLabels.host }}']}, wrong: '{{ .Nope }}'}}]}]";
    let config = Config::parse(text, "notify.yml", std::path::Path::new(".")).unwrap();
    let (_, channel) = config.channel("a/pagerduty[0]").unwrap();
    let (channel, problems) = rendered(channel, &intent(vec![instance("web-1", false)]), &config, "http://here", 0);
    let ChannelKind::PagerDuty(pagerduty) = channel.kind else { panic!() };
    let details = pagerduty.details.iter().map(|(name, detail)| match detail {
        Detail::Rendered(value) => format!("{name}: {value}"),
        Detail::Template(_) => panic!("{name} is not rendered"),
    });
    let labels = serde_json::to_string(&json_map(instance("web-1", false).labels.iter())).unwrap();
    assert_eq!(
        details.collect::<Vec<_>>(),
        ["count: 1".into(), format!("hosts: {labels}"), r#"tree: {"of firing":["plain","web-1"]}"#.into()]
    );
    assert_eq!(problems.len(), 1);
    assert!(problems[0].contains("wrong of a/pagerduty[0]"), "{problems:?}");
}

fn json_map<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> serde_json::Value {
    serde_json::Value::Object(pairs.map(|(name, value)| (name.to_owned(), value.into())).collect())
}

#[test]
fn template_files_define_and_override_and_a_bad_one_is_left_out() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    write("a.tmpl", "{{ define \"mine\" }}{{ template \"slack.default.title\" . }}!{{ end }}");
    write("b.tmpl", "{{ define \"slack.default.title\" }}ours{{ end }}");
    write("bad.tmpl", "{{ define \"x\" }}{{ nope }}{{ end }}");
    write("c.txt", "{{ bad");
    let text = "templates: ['*.tmpl']\nroute: {receiver: a}\nreceivers: [{name: a, slack_configs: [{api_url: 'http://x/y', title: '{{ template \"mine\" . }}'}]}]";
    let config = Config::parse(text, "notify.yml", dir.path()).unwrap();
    let (_, channel) = config.channel("a/slack[0]").unwrap();
    let (channel, problems) = rendered(channel, &intent(vec![instance("a", false)]), &config, "http://here", 0);
    let ChannelKind::Slack(slack) = channel.kind else { panic!() };
    assert_eq!((slack.title.as_deref(), problems.len()), (Some("ours!"), 0), "{problems:?}");
    assert!(config.warnings().iter().any(|line| line.contains("bad.tmpl: not used")), "{:?}", config.warnings());
}
