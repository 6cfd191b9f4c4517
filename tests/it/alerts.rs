//! From an incident in the demo's fleet to the pages and three receivers, and back, with the settings a newcomer has.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::appliance::Appliance;
use crate::fakes::pagerduty::PagerDuty;
use crate::fakes::slack::Slack;
use crate::fakes::smtp::{Security, Smtp};
use crate::until::until;

/// What the README promises, from the beginning of the incident to the alerts page.
const SHOWN_WITHIN: Duration = Duration::from_secs(120);
/// From the end of the incident: the rate's window, the rule's hysteresis, an evaluation, a margin for a loaded machine.
const RESOLVED_WITHIN: Duration = Duration::from_secs(480);
/// A notice is routed and sent at once; group_wait is 0 here.
const TOLD_WITHIN: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_incident_of_the_demo_is_shown_and_told_once_and_so_is_its_end() {
    let (slack, pagerduty, smtp) = (Slack::start().await, PagerDuty::start().await, Smtp::start(Security::Plain).await);
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("notify.yml"), notify_yml(&slack, &pagerduty, &smtp)).unwrap();
    let appliance = Appliance::start(home.path());
    let _demo = Demo::start(&appliance, &["--incident", "errors", "--incident-after", "1s", "--incident-for", "90s"]);
    let began = Instant::now();

    until("the alert on the alerts page", SHOWN_WITHIN, || async {
        let (status, page) = appliance.get("/alerts").await;
        assert_eq!(status, 200);
        (page.contains("ErrorRateCritical") && page.contains("firing")).then_some(())
    })
    .await;
    println!("on the alerts page after {:.0} s", began.elapsed().as_secs_f64());
    until("one message at each receiver", TOLD_WITHIN, || async {
        let counts = counts(&slack, &pagerduty, &smtp);
        (counts.0 == 1 && counts.1 == 1 && counts.2 == 1).then_some(())
    })
    .await;
    println!("told after {:.0} s", began.elapsed().as_secs_f64());
    let firing: Vec<Value> = appliance.query("ALERTS{alertname=\"ErrorRateCritical\",alertstate=\"firing\"}").await;
    assert_eq!(firing.len(), 1, "{firing:?}");
    assert_eq!(firing[0]["metric"]["service_name"], "gateway");
    slack.seen.see(|seen| assert!(seen.messages[0].text().contains("ErrorRateCritical"), "{:?}", seen.messages[0]));
    smtp.seen.see(|seen| assert!(seen.mails[0].header("subject").contains("ErrorRateCritical"), "{:?}", seen.mails[0]));

    until("one resolve at each receiver", RESOLVED_WITHIN, || async {
        let resolved_slack = slack.seen.see(|seen| seen.messages.iter().all(|message| message.edits == 1));
        let resolved_pagerduty = pagerduty.seen.see(|seen| seen.open() == 0);
        let resolved_mail = smtp.seen.see(|seen| seen.mails.len() == 2);
        (resolved_slack && resolved_pagerduty && resolved_mail).then_some(())
    })
    .await;
    println!("ended for all after {:.0} s", began.elapsed().as_secs_f64());
    assert_eq!(counts(&slack, &pagerduty, &smtp), (1, 1, 2), "posts, incidents and mails");
    pagerduty.seen.see(|seen| assert!(seen.complaints.is_empty(), "{:?}", seen.complaints));
    let (status, page) = appliance.get("/notifications").await;
    assert_eq!(status, 200);
    for words in ["slack", "pagerduty", "email", "accepted", "ErrorRateCritical"] {
        assert!(page.contains(words), "the deliveries page lacks {words:?}");
    }
}

/// Slack posts, PagerDuty incidents ever opened, mails.
fn counts(slack: &Slack, pagerduty: &PagerDuty, smtp: &Smtp) -> (usize, usize, usize) {
    (
        slack.seen.see(|seen| seen.messages.len()),
        pagerduty.seen.see(|seen| seen.incidents.values().map(|incident| incident.opened).sum()),
        smtp.seen.see(|seen| seen.mails.len()),
    )
}

fn notify_yml(slack: &Slack, pagerduty: &PagerDuty, smtp: &Smtp) -> String {
    format!(
        "
global:
  smtp_smarthost: {smarthost}
  smtp_from: binnacle@example.com
  smtp_require_tls: false
  pagerduty_url: {pagerduty}
route:
  receiver: nobody
  routes:
    - receiver: oncall
      matchers: ['alertname=\"ErrorRateCritical\"']
      group_by: [alertname, service_name]
      group_wait: 0s
receivers:
  - name: nobody
  - name: oncall
    slack_configs:
      - channel: '#ops'
        api_url: {slack}
        http_config: {{authorization: {{credentials: xoxb-test}}}}
    pagerduty_configs:
      - routing_key: 0123456789abcdef0123456789abcdef
    email_configs:
      - to: oncall@example.com
",
        smarthost = smtp.smarthost(),
        pagerduty = pagerduty.url(),
        slack = slack.api_url(),
    )
}

/// A running `binnacle demo`.
struct Demo(Child);

impl Demo {
    fn start(appliance: &Appliance, args: &[&str]) -> Demo {
        let child = Command::new(env!("CARGO_BIN_EXE_binnacle"))
            .args(["demo", "--endpoint", &appliance.otlp_grpc, "--backfill", "10m"])
            .args(args)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Demo(child)
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}
