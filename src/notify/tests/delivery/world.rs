//! One tenant's alert state, its notifier, and the fakes it speaks to.

use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use model::Labels;
use model::alert::{AlertState, Attempt, Instance, Intent, IntentState, Outcome, Transition};
use notify::{ChartSource, Config, Notifier, NotifierOptions, PresentSource, Timing};
use store::{Alerts, Evaluation};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::fakes::pagerduty::PagerDuty;
use crate::fakes::slack::Slack;
use crate::fakes::smtp::{Security, Smtp};

pub(crate) const ROUTING_KEY: &str = "0123456789abcdef0123456789abcdef";

/// Short where the product waits; long where a test would only hang.
pub(crate) fn timing() -> Timing {
    Timing {
        retry_base_ms: 20,
        retry_cap_critical_ms: 100,
        retry_cap_ms: 100,
        throttle_base_ms: 100,
        throttle_cap_ms: 200,
        probe_ms: 50,
        slack_gap_ms: 10,
        connect_timeout_ms: 5_000,
        attempt_timeout_ms: 10_000,
        ..Timing::default()
    }
}

pub(crate) struct World {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) slack: Slack,
    pub(crate) pagerduty: PagerDuty,
    pub(crate) smtp: Smtp,
    pub(crate) timing: Timing,
    pub(crate) charts: Option<ChartSource>,
    pub(crate) present: Option<PresentSource>,
    running: Option<Running>,
}

struct Running {
    alerts: Alerts,
    notifier: Notifier,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl World {
    pub(crate) async fn new() -> World {
        World::with_mail(Security::StartTls).await
    }

    pub(crate) async fn with_mail(security: Security) -> World {
        let world = World {
            dir: tempfile::tempdir().unwrap(),
            slack: Slack::start().await,
            pagerduty: PagerDuty::start().await,
            smtp: Smtp::start(security).await,
            timing: timing(),
            charts: None,
            present: None,
            running: None,
        };
        std::fs::write(world.dir.path().join("ca.pem"), &world.smtp.certificate_pem).unwrap();
        std::fs::write(world.dir.path().join("token"), "xoxb-test-token\n").unwrap();
        world
    }

    /// A configuration with receivers `slack`, `webhook`, `pagerduty`, `mail`, `all`, and what the test adds.
    pub(crate) fn config(&self, route: &str, more_receivers: &str) -> Config {
        self.config_with_key(route, more_receivers, ROUTING_KEY)
    }

    pub(crate) fn config_with_key(&self, route: &str, more_receivers: &str, routing_key: &str) -> Config {
        let slack = format!(
            "[{{api_url: '{}', channel: '#alerts', http_config: {{authorization: {{type: Bearer, credentials_file: token}}}}}}]",
            self.slack.api_url()
        );
        let pagerduty = format!("[{{routing_key: '{routing_key}', url: '{}'}}]", self.pagerduty.url());
        let mail = "[{to: 'oncall@example.org', tls_config: {ca_file: ca.pem}}]";
        let text = format!(
            r"
global:
  smtp_smarthost: '{smarthost}'
  smtp_from: 'Binnacle <binnacle@example.org>'
  smtp_auth_username: user
  smtp_auth_password: pass
route: {route}
receivers:
- {{name: slack, slack_configs: {slack}}}
- {{name: webhook, slack_configs: [{{api_url: '{webhook}'}}]}}
- {{name: pagerduty, pagerduty_configs: {pagerduty}}}
- {{name: mail, email_configs: {mail}}}
- {{name: all, slack_configs: {slack}, pagerduty_configs: {pagerduty}, email_configs: {mail}}}
- {{name: guarded, slack_configs: {slack}, x: {{fallback: {{to: mail, after: 300ms}}}}}}
{more_receivers}
",
            smarthost = self.smtp.smarthost(),
            webhook = self.slack.webhook_url(),
        );
        Config::parse(&text, "notify.yml", self.dir.path()).unwrap_or_else(|error| panic!("{error}\n{text}"))
    }

    pub(crate) fn route_to(&self, receiver: &str) -> Config {
        self.config(&format!("{{receiver: {receiver}, group_wait: 0s, group_interval: 1s}}"), "")
    }

    pub(crate) fn start(&mut self, config: Config) {
        let alerts = self.open();
        let options = NotifierOptions {
            timing: self.timing.clone(),
            charts: self.charts.clone(),
            present: self.present.clone(),
            ..NotifierOptions::new("https://binnacle.example.org:8443")
        };
        let notifier = Notifier::of_alerts(alerts.clone(), &model::TenantId::default(), config, options).unwrap();
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn({
            let notifier = notifier.clone();
            async move { notifier.run(stopped).await }
        });
        self.running = Some(Running { alerts, notifier, stop, task });
    }

    /// Ends in order, as at SIGTERM.
    pub(crate) async fn stop(&mut self) {
        let running = self.running.take().expect("running");
        running.stop.send(true).unwrap();
        running.task.await.unwrap();
    }

    /// Ends in the middle of whatever is going on, as far as one process can.
    pub(crate) async fn kill(&mut self) {
        let running = self.running.take().expect("running");
        running.task.abort();
        assert!(running.task.await.unwrap_err().is_cancelled());
    }

    /// After a kill a write may still be under way, which holds the file until it is done.
    fn open(&self) -> Alerts {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            match Alerts::open(&self.alerts_path()) {
                Ok(alerts) => return alerts,
                Err(error) => assert!(Instant::now() < deadline, "{error}"),
            }
            std::thread::yield_now();
        }
    }

    fn alerts_path(&self) -> PathBuf {
        self.dir.path().join("alerts.redb")
    }

    pub(crate) fn alerts(&self) -> &Alerts {
        &self.running.as_ref().expect("running").alerts
    }

    pub(crate) fn notifier(&self) -> &Notifier {
        &self.running.as_ref().expect("running").notifier
    }

    /// As [`World::commit`], while no notifier runs.
    pub(crate) fn commit_alone(&self, instances: &[Instance]) {
        commit(&self.open(), instances);
    }

    /// As an evaluation commits it: the state and the notice together.
    pub(crate) fn commit(&self, instances: &[Instance]) {
        commit(self.alerts(), instances);
    }

    /// Puts changes of state into the history.
    pub(crate) fn remember(&self, transitions: &[Transition]) {
        let evaluation = Evaluation {
            group: "tests".into(),
            at_ms: now_ms(),
            transitions: transitions.to_vec(),
            ..Evaluation::default()
        };
        self.alerts().commit_evaluation(&evaluation).unwrap();
    }

    pub(crate) fn intents(&self) -> Vec<Intent> {
        self.alerts().intents().unwrap()
    }

    /// As an evaluation that changes an alert without news.
    pub(crate) fn commit_quietly(&self, instances: &[Instance]) {
        let evaluation =
            Evaluation { group: "tests".into(), at_ms: now_ms(), upserts: instances.to_vec(), ..Evaluation::default() };
        self.alerts().commit_evaluation(&evaluation).unwrap();
    }

    /// Waits until so many intents are known and all are told.
    pub(crate) async fn settled(&self, count: usize) {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
        loop {
            let intents = self.intents();
            let told = |intent: &Intent| {
                intent.want == IntentState::Resolved && intent.accepted == Some((intent.rev, IntentState::Resolved))
            };
            if intents.len() == count && intents.iter().all(told) {
                return;
            }
            assert!(tokio::time::Instant::now() < deadline, "{count}: {intents:#?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Oldest first.
    pub(crate) fn attempts(&self) -> Vec<Attempt> {
        let mut attempts = self.alerts().attempts(i64::MAX, 1_000).unwrap();
        attempts.reverse();
        attempts
    }

    /// Waits until the history holds so many attempts of an outcome.
    pub(crate) async fn attempted(&self, outcome: Outcome, count: usize) -> Vec<Attempt> {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
        loop {
            let found: Vec<Attempt> =
                self.attempts().into_iter().filter(|attempt| attempt.outcome == outcome).collect();
            if found.len() >= count {
                return found;
            }
            assert!(tokio::time::Instant::now() < deadline, "{outcome:?} x{count}: {:#?}", self.attempts());
            // The store tells nobody of history; so this one looks again.
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

fn commit(alerts: &Alerts, instances: &[Instance]) {
    let evaluation = Evaluation {
        group: "tests".into(),
        at_ms: now_ms(),
        upserts: instances.to_vec(),
        notices: instances.to_vec(),
        ..Evaluation::default()
    };
    alerts.commit_evaluation(&evaluation).unwrap();
}

/// Waits for what the fake sees in its own time.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !holds() {
        assert!(Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

pub(crate) fn now_ms() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

pub(crate) fn firing(name: &str, host: &str, severity: &str) -> Instance {
    let labels = Labels::from_pairs([("alertname", name), ("host_name", host), ("severity", severity)]);
    Instance {
        rule_id: "0123abcd".into(),
        labels,
        annotations: vec![
            ("summary".into(), format!("{name} on {host}")),
            ("runbook_url".into(), "https://runbooks.example.org/x".into()),
        ],
        state: AlertState::Firing,
        active_at_ms: now_ms(),
        fired_at_ms: Some(now_ms()),
        keep_since_ms: None,
        resolved_at_ms: None,
        evaluated_at_ms: now_ms(),
        value: 0.97,
        evidence: Default::default(),
    }
}

pub(crate) fn ended(instance: &Instance) -> Instance {
    Instance { state: AlertState::Resolved, resolved_at_ms: Some(now_ms()), value: 0.1, ..instance.clone() }
}
