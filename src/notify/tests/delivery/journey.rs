//! From a firing to its end when everything works: who is told, how often, under which keys.

use model::alert::{AlertState, Instance, IntentState, Outcome, Transition};

use crate::fakes::webhook::Webhook;
use crate::world::{ROUTING_KEY, World, ended, firing, now_ms};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alert_and_its_end_are_one_thing_to_everyone() {
    let mut world = World::new().await;
    world.start(world.route_to("all"));
    let alert = firing("HostDiskFull", "web-1", "critical");
    world.commit(std::slice::from_ref(&alert));
    world.attempted(Outcome::Accepted, 3).await;
    world.slack.seen.see(|seen| {
        assert_eq!(seen.messages.len(), 1);
        let text = seen.messages[0].text();
        for part in ["FIRING critical", "HostDiskFull", "web-1"] {
            assert!(text.contains(part), "{text}");
        }
        assert_eq!(seen.tokens[0], "Bearer xoxb-test-token");
        let all = seen.messages[0].body["blocks"].to_string();
        assert!(all.contains("https://binnacle.example.org:8443/alerts/why/"), "{all}");
    });
    world.commit(&[ended(&alert)]);
    let accepted = world.attempted(Outcome::Accepted, 6).await;
    assert!(accepted[3..].iter().all(|attempt| attempt.want == IntentState::Resolved && attempt.number == 1));

    world.slack.seen.see(|seen| {
        assert_eq!(seen.messages.len(), 1, "an end edits the message and posts nothing");
        assert_eq!(seen.messages[0].edits, 1);
        assert!(seen.messages[0].text().contains("RESOLVED"), "{}", seen.messages[0].text());
    });
    world.pagerduty.seen.see(|seen| {
        assert!(seen.complaints.is_empty(), "{:?}", seen.complaints);
        assert_eq!(seen.events.len(), 2);
        assert_eq!(seen.events[0]["dedup_key"], seen.events[1]["dedup_key"]);
        assert_eq!(seen.events[1]["event_action"], "resolve");
        let ((routing_key, _), incident) = seen.incidents.first_key_value().unwrap();
        assert_eq!((routing_key.as_str(), incident.opened, incident.open), (ROUTING_KEY, 1, false));
        assert_eq!(incident.severity, "critical");
    });
    world.smtp.seen.see(|seen| {
        assert_eq!(seen.mails.len(), 2);
        let [fired, over] = &seen.mails[..] else { unreachable!("two mails") };
        assert_eq!(fired.header("Subject"), "[FIRING critical] HostDiskFull web-1");
        assert_eq!(over.header("Subject"), "[RESOLVED critical] HostDiskFull web-1");
        assert_eq!(fired.header("References"), over.header("References"));
        assert_eq!(fired.header("Auto-Submitted"), "auto-generated");
        assert_ne!(fired.header("Message-ID"), over.header("Message-ID"));
        assert!(fired.header("Message-ID").ends_with("@binnacle.example.org>"), "{}", fired.header("Message-ID"));
        assert!(fired.encrypted && fired.login == Some(("user".into(), "pass".into())));
    });
    for view in world.notifier().receivers() {
        for channel in view.channels {
            let told = ["all/slack[0]", "all/pagerduty[0]", "all/email[0]"].contains(&channel.name.as_str());
            assert_eq!((channel.last_success_ms.is_some(), channel.broken), (told, false), "{}", channel.name);
        }
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn alerts_of_a_group_share_a_message_and_incidents_stay_apart() {
    let mut world = World::new().await;
    let route = "{receiver: slack, group_by: [alertname], group_wait: 200ms, group_interval: 1s, routes: [{receiver: pagerduty, matchers: ['severity=critical'], group_wait: 0s, continue: true}, {receiver: slack}]}";
    world.start(world.config(route, ""));
    let alerts: Vec<_> = (0..30).map(|n| firing("HostDown", &format!("web-{n}"), "critical")).collect();
    world.commit(&alerts);
    world.pagerduty.seen.until("an incident each", |seen| (seen.open() == 30).then_some(())).await;
    world.slack.seen.until("one message for all", |seen| (seen.messages.len() == 1).then_some(())).await;
    world.slack.seen.see(|seen| {
        let all = seen.messages[0].body["blocks"].to_string();
        assert!(all.contains("+10 more"), "{all}");
        assert!(seen.messages[0].text().contains("(+29)"), "{}", seen.messages[0].text());
    });
    // One more: the message is edited, and its thread rings.
    world.commit(&[firing("HostDown", "db-1", "critical")]);
    world.slack.seen.until("a reply in the thread", |seen| (seen.messages.len() == 2).then_some(())).await;
    world.slack.seen.see(|seen| {
        assert_eq!(seen.messages[1].thread_ts.as_deref(), Some(seen.messages[0].ts.as_str()));
        assert_eq!(seen.messages[1].body["reply_broadcast"], true);
        assert_eq!(seen.messages[0].edits, 1);
    });
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_lasts_is_repeated_and_what_was_never_told_is_told_after_a_reload() {
    let mut world = World::new().await;
    world.start(notify::Config::silent());
    let alert = firing("Nobody", "web-1", "warning");
    world.commit(std::slice::from_ref(&alert));
    let route = "{receiver: webhook, group_wait: 0s, group_interval: 100ms, repeat_interval: 300ms}";
    world.notifier().reload(world.config(route, ""));
    world.slack.seen.until("a message and two repeats", |seen| (seen.messages.len() >= 3).then_some(())).await;
    // What is stored without a word is said by the next repeat.
    world.commit_quietly(&[model::Instance { value: 0.123, ..alert.clone() }]);
    let said =
        |seen: &crate::fakes::slack::Seen| seen.messages.last()?.body.to_string().contains("0.123").then_some(());
    world.slack.seen.until("the present value", said).await;
    world.commit(&[ended(&alert)]);
    world.slack.seen.until("the end", |seen| seen.messages.last()?.text().contains("RESOLVED").then_some(())).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_message_says_how_its_alerts_are_when_it_is_sent() {
    let mut world = World::new().await;
    let evaluations = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(7));
    let value = evaluations.clone();
    world.present = Some(notify::PresentSource::new(move |alerts| {
        let now = value.load(std::sync::atomic::Ordering::SeqCst);
        let known = |alert: &Instance| {
            let summary = ("summary".into(), format!("now at {now}"));
            Some(Instance { value: now as f64, annotations: vec![summary], ..alert.clone() })
        };
        alerts.iter().map(known).collect()
    }));
    let route = "{receiver: webhook, group_wait: 0s, group_interval: 100ms, repeat_interval: 200ms}";
    world.start(world.config(route, ""));
    let alert = firing("Depth", "web-1", "warning");
    world.commit(std::slice::from_ref(&alert));
    for now in [7, 8] {
        evaluations.store(now, std::sync::atomic::Ordering::SeqCst);
        let says = |seen: &crate::fakes::slack::Seen| {
            let said = seen.messages.last()?.body.to_string();
            (said.contains(&format!("now at {now}")) && said.contains(&format!("value {now}"))).then_some(())
        };
        world.slack.seen.until(&format!("the value {now}"), says).await;
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_text_stays_text() {
    let mut world = World::new().await;
    world.start(world.route_to("all"));
    let long = "ü".repeat(5_000_000 / 2);
    let mut alert = firing("Evil", "a\r\nBcc: victim@example.org", "critical");
    alert.labels = alert.labels.with("note", "<!channel> & <script>alert(1)</script> \u{202e}שלום 🔥");
    alert.annotations = vec![("summary".into(), "<!here> down\r\n.\r\nQUIT".into()), ("description".into(), long)];
    world.commit(&[alert]);
    world.attempted(Outcome::Accepted, 3).await;
    world.slack.seen.see(|seen| {
        let body = seen.messages[0].body.to_string();
        assert!(!body.contains("<!") && !body.contains("<script"), "{body}");
        assert!(body.contains("&lt;!channel&gt; &amp;"), "{body}");
    });
    world.pagerduty.seen.see(|seen| {
        assert!(seen.complaints.is_empty(), "{:?}", seen.complaints);
        let incident = seen.incidents.values().next().unwrap();
        assert!(!incident.summary.contains(char::is_control), "{:?}", incident.summary);
    });
    world.smtp.seen.see(|seen| {
        let mail = &seen.mails[0];
        assert_eq!((seen.mails.len(), mail.to.as_slice()), (1, &["oncall@example.org".to_owned()][..]));
        assert_eq!(mail.header("Bcc"), "");
        assert!(mail.text.len() < 100_000);
    });
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_test_message_goes_the_whole_way() {
    let mut world = World::new().await;
    world.start(world.route_to("slack"));
    assert!(world.notifier().send_test("nobody").is_err());
    let id = world.notifier().send_test("all").unwrap();
    let accepted = world.attempted(Outcome::Accepted, 6).await;
    assert_eq!(accepted.iter().filter(|attempt| attempt.want == IntentState::Resolved).count(), 3);
    let intents = world.intents();
    assert!(intents.iter().all(|intent| intent.instances.iter().all(|one| one.labels.value("test_id") == id)));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_was_told_is_told_the_end_after_a_reload_and_the_new_route_all_that_fires() {
    let mut world = World::new().await;
    world.start(world.route_to("slack"));
    let alert = firing("HostDown", "web-1", "critical");
    world.commit(std::slice::from_ref(&alert));
    world.attempted(Outcome::Accepted, 1).await;
    world.notifier().reload(world.route_to("pagerduty"));
    let other = firing("HostDown", "web-2", "critical");
    world.commit(std::slice::from_ref(&other));
    world.pagerduty.seen.until("the new route", |seen| (seen.open() == 2).then_some(())).await;
    world.commit(&[ended(&alert), ended(&other)]);
    world.attempted(Outcome::Accepted, 6).await;
    world.slack.seen.see(|seen| assert_eq!((seen.messages.len(), seen.messages[0].edits), (1, 1)));
    world.pagerduty.seen.see(|seen| assert_eq!((seen.events.len(), seen.open()), (4, 0)));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_channel_says_what_is_known() {
    let mut world = World::new().await;
    let webhook = Webhook::start().await;
    let hook = format!(
        "- {{name: own, slack_configs: [{{api_url: '{}'}}], webhook_configs: [{{url: '{}'}}], email_configs: [{{to: a@example.org, tls_config: {{ca_file: ca.pem}}}}], pagerduty_configs: [{{routing_key: '{ROUTING_KEY}', url: '{}'}}]}}",
        world.slack.webhook_url(),
        webhook.url(),
        world.pagerduty.url()
    );
    world.start(world.config("{receiver: own, group_wait: 0s}", &hook));
    let alert = evident();
    let change = |before_ms: i64, from, to| Transition {
        at_ms: now_ms() - before_ms,
        rule_id: alert.rule_id.clone(),
        labels: alert.labels.clone(),
        from,
        to,
        value: 1.0,
        note: String::new(),
    };
    let firing = Some(AlertState::Firing);
    world.remember(&[change(900_000, None, firing), change(600_000, firing, Some(AlertState::Resolved))]);
    world.commit(std::slice::from_ref(&alert));
    world.attempted(Outcome::Accepted, 4).await;
    let parts = ["wiki page 7", "team-storage", "line 5", "Fired once before", "for 5m"];
    let check = |what: &str, text: &str| {
        for part in parts {
            assert!(text.contains(part), "{what} has no {part:?}: {text}");
        }
        assert!(!text.contains("line 6"), "{what} has more lines than wanted: {text}");
    };
    world.slack.seen.see(|seen| check("slack", &seen.messages.last().unwrap().body.to_string()));
    world
        .pagerduty
        .seen
        .see(|seen| check("pagerduty", &seen.events.last().unwrap()["payload"]["custom_details"].to_string()));
    world.smtp.seen.see(|seen| check("mail", &seen.mails.last().unwrap().text));
    webhook.seen.see(|seen| check("webhook", &seen.calls.last().unwrap().body.to_string()));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pagerduty_has_an_incident_for_each_alert_or_for_the_group() {
    for (x, incidents) in [("", 3), (", x: {dedup_scope: group}", 1)] {
        let mut world = World::new().await;
        let url = world.pagerduty.url();
        let receiver =
            format!("- {{name: own, pagerduty_configs: [{{routing_key: '{ROUTING_KEY}', url: '{url}'{x}}}]}}");
        world.start(
            world.config("{receiver: own, group_wait: 0s, group_interval: 1s, group_by: [alertname]}", &receiver),
        );
        let alerts: Vec<_> = ["a", "b", "c"].map(|host| firing("Disk", host, "critical")).into();
        world.commit(&alerts);
        world.attempted(Outcome::Accepted, incidents).await;
        world.commit(&alerts.iter().map(ended).collect::<Vec<_>>());
        world.settled(incidents).await;
        world.pagerduty.seen.see(|seen| {
            assert_eq!(seen.incidents.len(), incidents, "{x}");
            assert!(seen.incidents.values().all(|incident| incident.opened == 1 && !incident.open), "{x}");
            assert!(seen.complaints.is_empty(), "{:?}", seen.complaints);
        });
        world.stop().await;
    }
}

/// An acknowledgement of one would stop PagerDuty's escalation of the others, which nobody has.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_incident_of_several_alerts_is_acknowledged_once_all_of_them_are() {
    let mut world = World::new().await;
    let url = world.pagerduty.url();
    let receiver = format!(
        "- {{name: own, pagerduty_configs: [{{routing_key: '{ROUTING_KEY}', url: '{url}', x: {{dedup_scope: group}}}}]}}"
    );
    world.start(world.config("{receiver: own, group_wait: 0s, group_interval: 1s, group_by: [alertname]}", &receiver));
    let alerts: Vec<_> = ["a", "b"].map(|host| firing("Disk", host, "critical")).into();
    world.commit(&alerts);
    let event = async |what: &str, count: usize| {
        let found = |seen: &crate::fakes::pagerduty::Seen| seen.events.get(count - 1).cloned();
        world.pagerduty.seen.until(what, found).await
    };
    let told = event("both", 1).await;
    let firing = told["payload"]["custom_details"]["firing"].as_str().unwrap();
    assert!(firing.contains("Disk a: 0.97") && firing.contains("Disk b: 0.97"), "{told}");
    let take = |alert: &Instance, by: &str| {
        world.notifier().acknowledge(&alert.fingerprint(), by, "mine", None, now_ms()).unwrap();
    };
    take(&alerts[0], "ann");
    let said = event("that one is looked after", 2).await;
    assert_eq!(said["event_action"], "trigger", "{said}");
    assert!(said.to_string().contains("Acknowledged by ann: mine (Disk a only)"), "{said}");
    take(&alerts[1], "bert");
    let said = event("that both are", 3).await;
    assert_eq!(said["event_action"], "acknowledge", "{said}");
    world.stop().await;
}

/// With everything that a rule can say beside its labels.
fn evident() -> Instance {
    let mut alert = firing("HostDiskFull", "web-1", "critical");
    alert.evidence.log_lines = (1..=6).map(|n| format!("line {n}")).collect();
    alert.evidence.context = vec![("runbook".into(), "wiki page 7".into()), ("owner".into(), "team-storage".into())];
    alert
}

/// What PagerDuty would refuse the event for is left out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pagerduty_has_the_links_and_images_of_the_configuration() {
    let mut world = World::new().await;
    let url = world.pagerduty.url();
    let attached = "links: [{href: 'https://wiki/{{ .CommonLabels.host_name }}', text: Wiki}, {text: nowhere}], images: [{src: 'https://img/{{ .CommonLabels.host_name }}.png', alt: Load}, {src: 'http://img/x.png'}]";
    let receiver =
        format!("- {{name: own, pagerduty_configs: [{{routing_key: '{ROUTING_KEY}', url: '{url}', {attached}}}]}}");
    world.start(world.config("{receiver: own, group_wait: 0s}", &receiver));
    world.commit(&[firing("HostDown", "web-1", "critical")]);
    world.attempted(Outcome::Accepted, 1).await;
    world.pagerduty.seen.see(|seen| {
        let event = seen.events.last().unwrap();
        let links = event["links"].as_array().unwrap();
        assert_eq!(
            links.last().unwrap(),
            &serde_json::json!({"href": "https://wiki/web-1", "text": "Wiki"}),
            "{links:?}"
        );
        assert_eq!(event["images"], serde_json::json!([{"src": "https://img/web-1.png", "alt": "Load"}]), "{event}");
    });
    world.stop().await;
}
