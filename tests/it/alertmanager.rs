//! Debian's Alertmanager and amtool against ours: amtool's verbs, and what random routes, inhibitions, silences and filters make of
//! random alerts. `tests/alertmanager/setup` fetches both; without them these tests say so and pass.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use chance::Random;
use serde_json::{Value, json};

use crate::appliance::Appliance;
use crate::free_address::free_address;
use crate::peers::{Peer, program};
use crate::until::until;

/// Random configurations compared in one run.
const ROUNDS: u64 = 12;
/// Alertmanager takes a reload and inhibitions up in its own time.
const AGREE_WITHIN: Duration = Duration::from_secs(30);

struct Amtool {
    program: PathBuf,
    url: String,
}

impl Amtool {
    /// Runs a verb: whether it succeeded, and what it printed on both streams without its word on versions.
    fn run(&self, args: &[&str]) -> (bool, String) {
        let url = format!("--alertmanager.url={}", self.url);
        let output = Command::new(&self.program).args([&url, "--no-version-check"]).args(args).output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8(text).unwrap().trim().to_owned())
    }

    #[track_caller]
    fn ok(&self, args: &[&str]) -> String {
        let (is_ok, text) = self.run(args);
        assert!(is_ok, "{args:?}: {text}");
        text
    }

    /// Names of the alerts that a query shows.
    #[track_caller]
    fn alerts(&self, args: &[&str]) -> Vec<String> {
        let shown: Value = serde_json::from_str(&self.ok(&[&["-o", "json", "alert", "query"], args].concat())).unwrap();
        let mut names: Vec<String> = shown
            .as_array()
            .unwrap()
            .iter()
            .map(|alert| alert["labels"]["alertname"].as_str().unwrap().to_owned())
            .collect();
        names.sort();
        names
    }
}

const NOTIFY: &str = r#"
route:
  receiver: team
  group_by: [alertname]
  routes:
  - {matchers: ['severity="critical"'], receiver: pager, continue: true}
  - {matchers: ['severity="critical"', 'site=~"a|b"'], receiver: team}
inhibit_rules:
- {source_matchers: ['alertname="Down"'], target_matchers: ['severity="warning"'], equal: [host]}
receivers:
- name: team
- name: pager
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn amtool_works() {
    let Some(program) = program("alertmanager", "amtool") else { return };
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("notify.yml"), NOTIFY).unwrap();
    let appliance = Appliance::start(home.path());
    let amtool = Amtool { program, url: appliance.http.clone() };

    amtool.ok(&["alert", "add", "Down", "severity=critical", "host=web-1", "--annotation=summary=a b"]);
    amtool.ok(&["alert", "add", "alertname=Slow", "severity=warning", "host=web-1"]);
    amtool.ok(&["alert", "add", "Other", "severity=warning", "host=web-2", "--generator-url=http://x/y"]);
    assert_eq!(amtool.alerts(&[]), ["Down", "Other"], "active ones alone");
    assert_eq!(amtool.alerts(&["-a", "-i"]), ["Down", "Other", "Slow"]);
    assert_eq!(amtool.alerts(&["-i"]), ["Slow"]);
    assert_eq!(amtool.alerts(&["-r", "pag.*"]), ["Down"]);
    assert_eq!(amtool.alerts(&["host=~web-.*", "severity!=critical"]), ["Other"]);
    assert_eq!(amtool.alerts(&["Other"]), ["Other"]);
    assert!(amtool.ok(&["-o", "extended", "alert", "query", "Down"]).contains("summary=\"a b\""));

    let id = amtool.ok(&["silence", "add", "Other", "host=web-2", "-a", "ann", "-c", "swap", "-d", "2h"]);
    assert_eq!(amtool.alerts(&["-s"]), ["Other"]);
    assert_eq!(amtool.alerts(&[]), ["Down"]);
    assert_eq!(amtool.ok(&["silence", "query", "-q", "alertname=Other"]), id);
    assert_eq!(amtool.ok(&["silence", "query", "-q", "--created-by", "bob"]), "");
    assert_eq!(amtool.ok(&["silence", "query", "-q", "--within", "1h"]), "");
    amtool.ok(&["silence", "update", "-d", "30m", "-c", "sooner", &id]);
    assert_eq!(amtool.ok(&["silence", "query", "-q", "--within", "1h"]), id, "updated in its place");
    let exported = amtool.ok(&["-o", "json", "silence", "query"]);
    let file = home.path().join("silences.json");
    std::fs::write(&file, exported).unwrap();
    amtool.ok(&["silence", "expire", &id]);
    assert_eq!(amtool.ok(&["silence", "query", "-q", "--expired"]), id);
    amtool.ok(&["silence", "expire", &id]);
    amtool.ok(&["silence", "import", file.to_str().unwrap()]);
    let again = amtool.ok(&["silence", "query", "-q"]);
    assert!(again.len() == id.len() && again != id, "{again}");
    amtool.ok(&["silence", "import", "--force", file.to_str().unwrap()]);
    assert_eq!(amtool.ok(&["silence", "query", "-q"]).lines().count(), 2);
    let (is_ok, said) = amtool.run(&["silence", "add", "-c", "all", "host=~.*"]);
    assert!(!is_ok && said.contains("at least one matcher"), "{said}");

    assert!(amtool.ok(&["config", "show"]).contains("severity=\\\"critical\\\""));
    assert!(amtool.ok(&["config", "routes"]).contains("{severity=\"critical\"}  continue: true  receiver: pager"));
    for (labels, receivers) in [
        (&["severity=critical", "site=a"][..], "pager,team"),
        (&["severity=critical", "site=c"], "pager"),
        (&["site=a"], "team"),
    ] {
        let verified = format!("--verify.receivers={receivers}");
        assert_eq!(amtool.ok(&[&["config", "routes", "test", &verified], labels].concat()), receivers);
    }
    assert!(amtool.ok(&["cluster", "show"]).contains("disabled"));
    amtool.ok(&["check-config", home.path().join("notify.yml").to_str().unwrap()]);
    let said = amtool.ok(&["config", "routes", "test", "severity=critical"]);
    assert_eq!(said, "pager");
}

/// Karma takes the version from the metrics, to know what it may ask.
#[tokio::test]
async fn the_version_is_in_the_metrics() {
    let home = tempfile::tempdir().unwrap();
    let appliance = Appliance::start(home.path());
    let status: Value = serde_json::from_str(&appliance.get("/api/v2/status").await.1).unwrap();
    let version = status["versionInfo"]["version"].as_str().unwrap();
    let line = format!("alertmanager_build_info{{version=\"{version}\"}} 1\n");
    assert!(appliance.get("/metrics").await.1.contains(&line), "{line}");
}

/// Configurations, alerts and queries from a few words that often meet.
struct Arbitrary(Random);

impl Arbitrary {
    fn label(&mut self) -> (&'static str, &'static str) {
        let name = self.0.pick(&["alertname", "severity", "host", "site", "team"]);
        (name, self.value_of(name))
    }

    fn value_of(&mut self, name: &str) -> &'static str {
        match name {
            "alertname" => self.0.pick(&["Down", "Slow", "Full", "Odd"]),
            "severity" => self.0.pick(&["critical", "warning", "info"]),
            "host" => self.0.pick(&["web-1", "web-2", "db-1", "ü\"b er"]),
            "site" => self.0.pick(&["a", "b", "ab"]),
            _ => self.0.pick(&["x", "y"]),
        }
    }

    fn labels(&mut self) -> Value {
        let mut labels = json!({ "alertname": self.value_of("alertname") });
        for name in ["severity", "host", "site", "team"] {
            if !self.0.one_in(4) {
                labels[name] = self.value_of(name).into();
            }
        }
        labels
    }

    /// Name, operator and value; of several also those that match what is absent.
    fn matcher(&mut self) -> (&'static str, &'static str, String) {
        let (name, value) = self.label();
        let op = self.0.pick(&["=", "=", "!=", "=~", "!~"]);
        let value = match op {
            "=" | "!=" if self.0.one_in(6) => String::new(),
            "=" | "!=" => value.to_owned(),
            _ => self
                .0
                .pick(&["web-.*", "a|b", ".*", ".+", "", "[ab]", "crit.*|info", "^a$", "(Down|Slow)", "b"])
                .to_owned(),
        };
        (name, op, value)
    }

    fn matcher_text(&mut self) -> String {
        let (name, op, value) = self.matcher();
        format!("{name}{op}{value:?}").replace("\\u{fc}", "ü")
    }

    fn matcher_list(&mut self, most: usize) -> String {
        let count = self.0.below(most) + 1;
        let texts: Vec<Value> = (0..count).map(|_| self.matcher_text().into()).collect();
        Value::from(texts).to_string()
    }

    fn route(&mut self, depth: usize) -> String {
        let mut fields = vec![format!("matchers: {}", self.matcher_list(2))];
        if self.0.one_in(4) {
            let (name, value) = self.label();
            fields.push(format!("match: {{{name}: {}}}", json!(value)));
        }
        if self.0.one_in(5) {
            fields.push(format!("match_re: {{site: {}}}", json!(self.0.pick(&["a|b", ".*b", "a", ""]))));
        }
        if !self.0.one_in(3) {
            fields.push(format!("receiver: {}", self.0.pick(&["r0", "r1", "r2", "r3"])));
        }
        if self.0.one_in(3) {
            fields.push("continue: true".into());
        }
        if self.0.one_in(3) {
            fields
                .push(format!("group_by: [{}]", self.0.pick(&["'...'", "host", "alertname, site", "team, severity"])));
        }
        let children: Vec<String> = match depth {
            0 => Vec::new(),
            _ => (0..self.0.below(3)).map(|_| self.route(depth - 1)).collect(),
        };
        format!("{{{}, routes: [{}]}}", fields.join(", "), children.join(", "))
    }

    fn configuration(&mut self) -> String {
        let routes: Vec<String> = (0..4).map(|_| self.route(2)).collect();
        let inhibit: Vec<String> = (0..self.0.below(4))
            .map(|_| {
                let equal = self.0.pick(&["", "host", "host, site", "team"]);
                let (source, target) = (self.matcher_list(2), self.matcher_list(2));
                format!("{{source_matchers: {source}, target_matchers: {target}, equal: [{equal}]}}")
            })
            .collect();
        format!(
            "route: {{receiver: r0, group_by: [alertname], routes: [{}]}}\ninhibit_rules: [{}]\nreceivers: [{{name: r0}}, {{name: r1}}, {{name: r2}}, {{name: r3}}]\n",
            routes.join(",\n  "),
            inhibit.join(",\n  ")
        )
    }

    fn query(&mut self) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        for _ in 0..self.0.below(3) {
            query.append_pair("filter", &self.matcher_text());
        }
        for name in ["active", "silenced", "inhibited"] {
            if self.0.one_in(4) {
                query.append_pair(name, "false");
            }
        }
        if self.0.one_in(3) {
            query.append_pair("receiver", self.0.pick(&["r0", "r1|r2", "r", ".*3", "r[12]"]));
        }
        query.finish()
    }
}

struct Pair<'a> {
    client: &'a reqwest::Client,
    ours: &'a str,
    theirs: &'a str,
}

impl Pair<'_> {
    async fn get(&self, base: &str, path: &str) -> Value {
        let reply = self.client.get(format!("{base}/api/v2/{path}")).send().await.unwrap();
        let status = reply.status().as_u16();
        let text = reply.text().await.unwrap();
        if status != 200 {
            return json!({ "status": status });
        }
        serde_json::from_str(&text).unwrap()
    }

    /// Sends the same to both: their statuses.
    async fn post(&self, path: &str, body: &Value) -> (u16, u16) {
        let send = async |base: &str| {
            self.client.post(format!("{base}/api/v2/{path}")).json(body).send().await.unwrap().status().as_u16()
        };
        (send(self.ours).await, send(self.theirs).await)
    }

    /// Waits until both say the same of a path.
    async fn agree(&self, path: &str, of: &str) {
        let deadline = Instant::now() + AGREE_WITHIN;
        loop {
            let comments = (self.comments(self.ours).await, self.comments(self.theirs).await);
            let ours = shown(self.get(self.ours, path).await, &comments.0);
            let theirs = shown(self.get(self.theirs, path).await, &comments.1);
            if ours == theirs {
                return;
            }
            let lone = |these: &[Value], others: &[Value]| -> String {
                let lone = these.iter().filter(|item| !others.contains(item));
                lone.map(|item| format!("\n  {item}")).collect()
            };
            let (lone_ours, lone_theirs) = (lone(&ours, &theirs), lone(&theirs, &ours));
            assert!(Instant::now() < deadline, "{of}\n{path}\nours alone{lone_ours}\ntheirs alone{lone_theirs}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Comments of silences by their ids, which both choose for themselves.
    async fn comments(&self, base: &str) -> Value {
        let mut all = json!({});
        for silence in self.get(base, "silences").await.as_array().unwrap() {
            all[silence["id"].as_str().unwrap()] = silence["comment"].clone();
        }
        all
    }
}

/// What both must agree on, in an order of its own.
fn shown(answer: Value, comments: &Value) -> Vec<Value> {
    let Value::Array(items) = answer else { return vec![answer] };
    let mut items: Vec<Value> = items.into_iter().map(|item| one(item, comments)).collect();
    items.sort_by_key(Value::to_string);
    items
}

fn one(mut item: Value, comments: &Value) -> Value {
    if item["alerts"].is_array() {
        item["alerts"] = shown(item["alerts"].take(), comments).into();
        return item;
    }
    if item["matchers"].is_array() {
        let fields = ["matchers", "comment", "createdBy", "startsAt", "endsAt", "status"];
        let mut kept = json!({});
        for field in fields {
            kept[field] = match field {
                // A beginning in the past is when it came.
                "startsAt" => Value::Null,
                _ => item[field].take(),
            };
        }
        let matchers = kept["matchers"].as_array_mut().unwrap();
        matchers.sort_by_key(Value::to_string);
        return kept;
    }
    let mut silences: Vec<Value> = item["status"]["silencedBy"]
        .as_array()
        .unwrap()
        .iter()
        .map(|id| comments[id.as_str().unwrap()].clone())
        .collect();
    silences.sort_by_key(Value::to_string);
    // Alertmanager names one inhibiting alert, we name all.
    let is_inhibited = !item["status"]["inhibitedBy"].as_array().unwrap().is_empty();
    json!({
        "labels": item["labels"], "annotations": item["annotations"], "receivers": item["receivers"],
        "fingerprint": item["fingerprint"], "starts": item["startsAt"], "ends": item["endsAt"],
        "state": item["status"]["state"], "silenced": silences, "inhibited": is_inhibited,
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_routes_inhibitions_and_silences_mean_what_they_mean_to_alertmanager() {
    let from = chance::seed(1);
    let home = tempfile::tempdir().unwrap();
    let write = |text: &str| {
        std::fs::write(home.path().join("alertmanager.yml"), text).unwrap();
        let ours = format!("{text}x: {{am_compat: true, builtin_inhibitions: false}}\n");
        std::fs::write(home.path().join("notify.yml"), ours).unwrap();
    };
    write("route: {receiver: r0}\nreceivers: [{name: r0}]\n");
    std::fs::write(home.path().join("binnacle.toml"), "[rules]\nbuiltin = false\n").unwrap();
    let appliance = Appliance::start(home.path());
    let Some(alertmanager) = Peer::alertmanager(home.path(), &free_address()) else { return };
    let client = appliance.client().clone();
    let pair = Pair { client: &client, ours: &appliance.http, theirs: &alertmanager.url };
    until("Alertmanager", AGREE_WITHIN, || async {
        client.get(format!("{}/-/ready", alertmanager.url)).send().await.ok().filter(|reply| reply.status() == 200)
    })
    .await;
    for seed in from..from + ROUNDS {
        let mut random = Arbitrary(Random::new(seed));
        let config = random.configuration();
        let of = format!("SEED={seed}\n{config}");
        write(&config);
        appliance.signal(rustix::process::Signal::HUP);
        let reloaded = client.post(format!("{}/-/reload", alertmanager.url)).send().await.unwrap();
        assert_eq!(reloaded.status(), 200, "{of}");
        until("our reload", AGREE_WITHIN, || async {
            let status = pair.get(pair.ours, "status").await;
            let shown = status["config"]["original"].as_str().unwrap().matches("receiver:").count();
            (shown == config.matches("receiver:").count()).then_some(())
        })
        .await;
        let second = |at: i64| model::time::rfc3339_ms(at / 1_000 * 1_000);
        let now_ms = i64::try_from(binnacle::clock::now_ns() / 1_000_000).unwrap();
        let alerts: Vec<Value> = (0..8)
            .map(|_| {
                let ends_ms = if random.0.one_in(6) { now_ms - 5_000 } else { now_ms + 3_600_000 };
                let mut labels = random.labels();
                // What is over is not pushed again: here its next firing is an episode of its own.
                if ends_ms < now_ms {
                    labels["over"] = seed.to_string().into();
                }
                json!({"labels": labels, "annotations": {"n": seed.to_string()},
                    "startsAt": second(now_ms - 60_000), "endsAt": second(ends_ms)})
            })
            .collect();
        assert_eq!(pair.post("alerts", &alerts.into()).await, (200, 200), "{of}");
        for nth in 0..2 {
            let matchers: Vec<Value> = (0..random.0.below(2) + 1)
                .map(|_| {
                    let (name, op, value) = random.matcher();
                    json!({"name": name, "value": value, "isRegex": op.ends_with('~'), "isEqual": op.starts_with('=')})
                })
                .collect();
            let silence = json!({"matchers": matchers, "startsAt": second(now_ms), "endsAt": second(now_ms + 7_200_000),
                "createdBy": "ann", "comment": format!("{seed} {nth}")});
            let (ours, theirs) = pair.post("silences", &silence).await;
            assert_eq!(ours, theirs, "{of}\n{silence}");
        }
        for path in ["alerts", "alerts/groups", "silences"] {
            pair.agree(path, &of).await;
        }
        for _ in 0..6 {
            let query = random.query();
            pair.agree(&format!("alerts?{query}"), &of).await;
            pair.agree(&format!("alerts/groups?{query}"), &of).await;
            let filter = url::form_urlencoded::Serializer::new(String::new())
                .append_pair("filter", &random.matcher_text())
                .finish();
            pair.agree(&format!("silences?{filter}"), &of).await;
        }
    }
}
