//! One appliance, the four receivers it speaks to, and the metrics that make its rules fire.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use binnacle::otlp_out;
use opentelemetry_proto::tonic::metrics::v1::{Metric, NumberDataPoint};
use prost::Message as _;

use crate::appliance::Appliance;
use crate::fakes::pagerduty::PagerDuty;
use crate::fakes::slack::Slack;
use crate::fakes::smtp::{Security, Smtp};
use crate::fakes::webhook::{Call, Webhook};
use crate::oracle::{self, Counts, Episode};
use crate::table::Row;

/// Longest wait for anything that must come, on a loaded machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);
/// After everybody knows: for what would come twice.
const AFTERMATH: Duration = Duration::from_secs(3);
pub(crate) const LOOK_EVERY: Duration = Duration::from_millis(50);

pub(crate) const ROUTING_KEY: &str = "0123456789abcdef0123456789abcdef";

/// Fires for every host whose `probe` is above zero.
pub(crate) const PROBE_RULE: &str = "
  - alert: Probe
    expr: probe > 0
    labels: {severity: critical}
    annotations: {summary: 'the probe of {{ $labels.host_name }} says {{ $value }}'}
";

/// Which of the receivers the oracle expects to be told.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Receivers {
    pub(crate) slack: bool,
    pub(crate) pagerduty: bool,
    pub(crate) mail: bool,
    pub(crate) hook: bool,
}

pub(crate) const ALL: Receivers = Receivers { slack: true, pagerduty: true, mail: true, hook: true };

/// A clock that goes faster than ours.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FastClock {
    /// When it was read, by ours, and what it said.
    pub(crate) read: Instant,
    pub(crate) then_ns: u64,
    pub(crate) factor: u32,
}

impl FastClock {
    pub(crate) fn at_ns(&self, at: Instant) -> u64 {
        let since = at.saturating_duration_since(self.read) * self.factor;
        self.then_ns.saturating_add(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
    }

    /// What has libfaketime start a process at this clock's time and pace.
    fn setting(&self) -> String {
        let ahead_s = (self.at_ns(Instant::now()) as f64 - now_ns() as f64) / 1e9;
        format!("{ahead_s:+.3} x{}", self.factor)
    }
}

pub(crate) struct World {
    pub(crate) home: tempfile::TempDir,
    pub(crate) slack: Slack,
    pub(crate) pagerduty: PagerDuty,
    pub(crate) smtp: Smtp,
    pub(crate) hook: Webhook,
    pub(crate) receivers: Receivers,
    pub(crate) episodes: Vec<Episode>,
    /// How often a firing may be told in a message of its own.
    pub(crate) tellings_max: usize,
    /// Of the appliance, from its next start on.
    pub(crate) env: Vec<(String, String)>,
    /// How far the senders' clocks are ahead of ours, in s.
    pub(crate) ahead_s: i64,
    /// Theirs in place of ours, where it goes faster.
    pub(crate) fast: Option<FastClock>,
    values: BTreeMap<String, f64>,
    appliance: Option<Appliance>,
}

impl World {
    /// Nothing runs yet. `rules` is the list of a group that is evaluated every second.
    pub(crate) async fn new(rules: &str) -> World {
        let world = World {
            home: tempfile::tempdir().expect("a folder"),
            slack: Slack::start().await,
            pagerduty: PagerDuty::start().await,
            smtp: Smtp::start(Security::Plain).await,
            hook: Webhook::start().await,
            receivers: ALL,
            episodes: Vec::new(),
            tellings_max: 1,
            env: Vec::new(),
            ahead_s: 0,
            fast: None,
            values: BTreeMap::new(),
            appliance: None,
        };
        world.slack.seen.change(|seen| seen.enforce_rate = true);
        let toml = "[rules]\nbuiltin = false\n[host_metrics]\nenabled = false\n[notify]\nexternal_url = \"https://binnacle.example.org\"\n";
        world.write("binnacle.toml", toml);
        std::fs::create_dir(world.home.path().join("rules")).expect("an empty folder");
        world.write_rules(rules);
        world
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.home.path().join(name), text).expect("a writable folder");
    }

    pub(crate) fn write_rules(&self, rules: &str) {
        self.write_rules_every("1s", rules);
    }

    pub(crate) fn write_rules_every(&self, interval: &str, rules: &str) {
        let rules = rules.trim_start_matches('\n');
        self.write("rules/test.yml", &format!("groups:\n- name: test\n  interval: {interval}\n  rules:\n{rules}"));
    }

    /// `notify.yml` with the given route and receivers `slack`, `pagerduty`, `mail`, `hook`, `all`, and `more` of them.
    pub(crate) fn write_notify(&self, route: &str, more: &str) {
        self.write_notify_with_key(route, more, ROUTING_KEY);
    }

    pub(crate) fn write_notify_with_key(&self, route: &str, more: &str, routing_key: &str) {
        let slack = self.slack_config();
        let pagerduty = format!("[{{routing_key: '{routing_key}'}}]");
        let mail = "[{to: 'oncall@example.org'}]";
        let hook = format!("[{{url: '{}'}}]", self.hook.url());
        let text = format!(
            "
global:
  smtp_smarthost: '{smarthost}'
  smtp_from: binnacle@example.org
  smtp_require_tls: false
  pagerduty_url: '{pagerduty_url}'
route: {route}
receivers:
- {{name: slack, slack_configs: {slack}}}
- {{name: pagerduty, pagerduty_configs: {pagerduty}}}
- {{name: mail, email_configs: {mail}}}
- {{name: hook, webhook_configs: {hook}}}
- {{name: all, slack_configs: {slack}, pagerduty_configs: {pagerduty}, email_configs: {mail}, webhook_configs: {hook}}}
{more}
",
            smarthost = self.smtp.smarthost(),
            pagerduty_url = self.pagerduty.url(),
        );
        self.write("notify.yml", &text);
    }

    pub(crate) fn slack_config(&self) -> String {
        format!(
            "[{{api_url: '{}', channel: '#alerts', http_config: {{authorization: {{credentials: xoxb-test}}}}}}]",
            self.slack.api_url()
        )
    }

    /// Every alert a group of its own, told at once to every receiver.
    pub(crate) fn tell_all(&self) {
        self.write_notify("{receiver: all, group_by: [alertname, host_name], group_wait: 0s, group_interval: 1s}", "");
    }

    pub(crate) async fn start(&mut self) {
        let (home, mut env) = (self.home.path().to_owned(), self.env.clone());
        env.extend(self.fast.map(|fast| ("FAKETIME".into(), fast.setting())));
        let started = tokio::task::spawn_blocking(move || Appliance::start_in(&home, &[], &env)).await;
        let mut appliance = started.expect("the appliance starts");
        if self.fast.is_some() {
            appliance.goes_fast();
        }
        self.appliance = Some(appliance);
        // Data newer than the start, as a living host sends it.
        if !self.values.is_empty() {
            self.push().await;
        }
    }

    pub(crate) fn appliance(&self) -> &Appliance {
        self.appliance.as_ref().expect("the appliance runs")
    }

    pub(crate) fn is_down(&self) -> bool {
        self.appliance.is_none()
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        self.appliance = None;
    }

    /// Without an appliance: noted, and pushed by the next start.
    pub(crate) async fn set(&mut self, host: &str, value: f64) {
        self.values.insert(host.into(), value);
        if self.appliance.is_some() {
            self.push().await;
        }
    }

    /// Noted, and pushed with the next value.
    pub(crate) fn set_quietly(&mut self, host: &str, value: f64) {
        self.values.insert(host.into(), value);
    }

    /// Begins an episode of each host.
    pub(crate) async fn fire(&mut self, hosts: &[String]) {
        for host in hosts {
            self.values.insert(host.clone(), 1.0);
            self.episodes.push(Episode { host: host.clone(), began: Instant::now(), over: false, suppressed: false });
        }
        if self.appliance.is_some() {
            self.push().await;
        }
    }

    /// Ends the episodes of hosts.
    pub(crate) async fn end(&mut self, hosts: &[String]) {
        for host in hosts {
            self.values.insert(host.clone(), 0.0);
            self.episodes.iter_mut().filter(|episode| episode.host == *host).for_each(|episode| episode.over = true);
        }
        if self.appliance.is_some() {
            self.push().await;
        }
    }

    /// Sends every probe's present value.
    pub(crate) async fn push(&self) {
        let now = self.now_ns();
        let points =
            self.values.iter().map(|(host, value)| otlp_out::point(now, 0, *value, &[("host_name", host)])).collect();
        self.push_points("probe", points).await;
    }

    pub(crate) async fn push_points(&self, name: &str, points: Vec<NumberDataPoint>) {
        let metrics = vec![otlp_out::gauge(name, "", "", points)];
        assert_eq!(self.push_metrics(vec![(String::new(), metrics)]).await, 200);
    }

    /// Sends what hosts measured: the name of each (none when empty) and its metrics, in one request. The answer's status.
    pub(crate) async fn push_metrics(&self, of_hosts: Vec<(String, Vec<Metric>)>) -> u16 {
        let resources = of_hosts.into_iter().map(|(host, metrics)| {
            let of_host = if host.is_empty() { 1 } else { 2 };
            let from = otlp_out::resource(&[("service.name", "test"), ("host.name", &host)][..of_host]);
            otlp_out::resource_metrics(from, "alerting", metrics)
        });
        let body = otlp_out::request(resources.collect());
        self.appliance().push("/v1/metrics", body.encode_to_vec()).await.expect("the door is open")
    }

    /// Pushes every second for so long: rules look at fresh data meanwhile.
    pub(crate) async fn live(&self, seconds: u64) {
        for _ in 0..seconds {
            self.push().await;
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    pub(crate) fn reload(&self) {
        self.appliance().signal(rustix::process::Signal::HUP);
    }

    pub(crate) async fn until(&self, what: &str, look: impl Fn(&World) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let looked = Instant::now();
            if look(self) {
                return;
            }
            assert!(looked < deadline, "waited in vain for {what}: {:?}\n{}", self.count(), self.log_tail());
            // Counting much takes long: most of the time is the appliance's.
            tokio::time::sleep(LOOK_EVERY.max(2 * looked.elapsed())).await;
        }
    }

    /// As [`World::until`], with fresh data every second.
    pub(crate) async fn until_live(&self, what: &str, look: impl Fn(&World) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !look(self) {
            assert!(Instant::now() < deadline, "waited in vain for {what}: {:?}\n{}", self.count(), self.log_tail());
            self.live(1).await;
        }
    }

    /// Until everybody was told what the oracle expects, and a while longer, for what would come twice.
    pub(crate) async fn settle(&mut self, remark: impl Into<String>) -> Row {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let looked = Instant::now();
            let counts = self.count();
            if counts.lost + counts.orphaned == 0 || looked > deadline {
                break;
            }
            tokio::time::sleep(LOOK_EVERY.max(2 * looked.elapsed())).await;
        }
        tokio::time::sleep(AFTERMATH).await;
        let mut remark = remark.into();
        let (after_429, unknown) = self.slack.seen.see(|seen| (seen.after_429, seen.unknown_ts));
        if after_429 + unknown > 0 {
            remark.push_str(&format!("; Slack: {after_429} requests after a 429, {unknown} edits of nothing"));
        }
        self.pagerduty.seen.see(|seen| assert!(seen.complaints.is_empty(), "{:?}", seen.complaints));
        let counts = self.count();
        if !counts.is_clean() {
            eprintln!("{counts:?}\n{}", self.log_tail());
        }
        Row { counts, remark }
    }

    pub(crate) fn count(&self) -> Counts {
        oracle::count(self)
    }

    pub(crate) fn posts(&self) -> usize {
        self.slack.seen.see(|seen| seen.messages.iter().filter(|message| message.thread_ts.is_none()).count())
    }

    /// Whether the webhook was told of a host.
    pub(crate) fn hook_knows(&self, host: &str) -> bool {
        let said = |call: &Call| String::from_utf8_lossy(&call.raw).contains(host);
        self.hook.seen.see(|seen| seen.calls.iter().any(said))
    }

    pub(crate) fn mails(&self) -> usize {
        self.smtp.seen.see(|seen| seen.mails.len())
    }

    /// Whether no incident is open and no post of the channel says that anything fires.
    pub(crate) fn is_all_over(&self) -> bool {
        let is_quiet = |seen: &crate::fakes::slack::Seen| {
            let mut posts = seen.messages.iter().filter(|post| post.thread_ts.is_none());
            posts.all(|post| !post.text().contains("[FIRING"))
        };
        self.pagerduty.seen.see(|seen| seen.open() == 0) && self.slack.seen.see(is_quiet)
    }

    /// Whether a post's present text has all these words.
    pub(crate) fn slack_says(&self, words: &[&str]) -> bool {
        self.slack.seen.see(|seen| {
            seen.messages.iter().any(|message| {
                let text = message.body.to_string();
                words.iter().all(|word| text.contains(word))
            })
        })
    }

    /// The senders' time.
    pub(crate) fn now_ns(&self) -> u64 {
        match self.fast {
            Some(fast) => fast.at_ns(Instant::now()),
            None => now_ns().saturating_add_signed(self.ahead_s * 1_000_000_000),
        }
    }

    /// The appliance's last words, and those about hosts of whom something is missing.
    pub(crate) fn log_tail(&self) -> String {
        let text = std::fs::read_to_string(self.home.path().join("stderr.log")).unwrap_or_default();
        let notes = self.count().notes;
        let missing: Vec<&str> = notes.iter().filter_map(|note| note.rsplit(' ').next()).collect();
        let lines: Vec<&str> = text.lines().collect();
        let last = lines.len().saturating_sub(25);
        let about = |line: &str| missing.iter().any(|host| line.contains(host));
        let told = lines.iter().enumerate().filter(|(at, line)| *at >= last || about(line));
        told.map(|(_, line)| *line).collect::<Vec<_>>().join("\n")
    }
}

pub(crate) fn hosts(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|number| format!("h-{number:03}-z")).collect()
}

pub(crate) fn now_ns() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    u64::try_from(since.as_nanos()).expect("before 2554")
}
