//! Templates as Alertmanager's users write them.

use model::Labels;
use model::alert::{AlertState, Instance, IntentState, Progress};

use super::*;

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
