//! Rules over the logs of a real store: thresholds with their lines, and events handled once each through restarts.

use model::{AnyValue, LogBatch, LogRecord, Resource, Scope};

use super::*;

const RULES: &str = r#"
groups:
- name: spikes
  type: logs
  interval: 30s
  rules:
  - record: logs:errors:count
    expr: sum by (service_name) (count_over_time({service_name=~".+"} |= "error" [5m]))
  - alert: ManyErrors
    expr: sum by (service_name) (count_over_time({service_name=~".+"} |= "error" [5m])) > 2
    annotations: {summary: '{{ $value }} errors of {{ $labels.service_name }}'}
- name: cve
  type: events
  rules:
  - alert: Cve
    expr: '{service_name="scanner"} | cvss_score >= 9'
    labels: {severity: critical}
    annotations: {summary: '{{ $labels.cve_id }} in {{ $labels.package }}'}
    x:
      key: [cve_id]
      resolve_after: 1h
      resolve_when: '{service_name="scanner"} |= "fixed"'
      max_instances: 3
- name: both
  interval: 30s
  rules:
  - alert: DownAndComplaining
    expr: up == 0
    x: {logs: 'sum(count_over_time({service_name="api"} |= "error" [5m])) > 0'}
"#;

struct House {
    dir: tempfile::TempDir,
    opened: Option<(Store, Tenant, Engine)>,
    now_ms: i64,
}

impl House {
    fn new() -> House {
        let mut house = House { dir: tempfile::tempdir().unwrap(), opened: None, now_ms: now_ms() };
        house.start();
        house
    }

    fn start(&mut self) {
        self.opened = None;
        let (store, tenant) = open(self.dir.path());
        let options = EngineOptions {
            external_url: String::new(),
            lookback_ms: 300_000,
            query_limits: query::Limits::default().into(),
            started_ms: self.now_ms,
        };
        let groups = rules::file::parse(RULES, "t.yml", 30_000).unwrap();
        let engine = Engine::new(tenant.clone(), groups, options).unwrap();
        self.opened = Some((store, tenant, engine));
    }

    fn tenant(&self) -> &Tenant {
        &self.opened.as_ref().unwrap().1
    }

    async fn log(&self, service: &str, at_ms: i64, body: &str, attributes: &[(&str, &str)]) {
        let text = |value: &str| AnyValue::Str(value.to_string());
        let resource = Resource { attributes: vec![("service.name".into(), text(service))], ..Resource::default() };
        let attributes = attributes.iter().map(|(key, value)| ((*key).into(), text(value))).collect();
        let record = LogRecord {
            time_ns: at_ms * 1_000_000,
            body: text(body),
            attributes,
            trace_id: Some(trace_id(body)),
            ..LogRecord::default()
        };
        let batch =
            LogBatch { resources: vec![resource], scopes: vec![Scope::default()], records: vec![(0, 0, record)] };
        assert!(self.tenant().submit_logs(batch).await.unwrap().is_empty());
    }

    /// What came so far goes to blocks of its own.
    fn seal(&self) {
        let (store, ..) = self.opened.as_ref().unwrap();
        store.maintain(self.now_ms).unwrap();
        store.maintain(self.now_ms + 3_600_000).unwrap();
    }

    /// Changes a bit of the block that holds the record of this body, while nobody has the store open.
    fn damage(&mut self, body: &str) {
        self.opened.take().unwrap().0.close().unwrap();
        let days = std::fs::read_dir(self.dir.path().join("tenants/default/logs")).unwrap();
        let mut found = 0;
        for path in days.map(|entry| entry.unwrap().path()).filter(|path| path.is_file()) {
            let mut file = std::fs::read(&path).unwrap();
            // Ids stand in the file as they are.
            let Some(at) = file.windows(16).position(|bytes| bytes == trace_id(body)) else { continue };
            file[at] ^= 1;
            std::fs::write(&path, file).unwrap();
            found += 1;
        }
        assert_eq!(found, 1, "{body}");
        self.start();
    }

    /// Half a minute passes; what is told, by alert, key and state.
    async fn pass(&mut self) -> Vec<String> {
        let (told, errors) = self.pass_with_errors().await;
        assert!(errors.iter().all(|error| error.is_empty() || error.contains("x.max_instances")), "{errors:?}");
        told
    }

    /// As [`House::pass`], and the health of all rules, in their order.
    async fn pass_with_errors(&mut self) -> (Vec<String>, Vec<String>) {
        self.now_ms += 30_000;
        let (_, tenant, engine) = self.opened.as_ref().unwrap();
        for group in 0..3 {
            engine.evaluate(group, self.now_ms).await.unwrap();
        }
        let errors: Vec<String> =
            engine.view().into_iter().flat_map(|group| group.rules).map(|rule| rule.last_error).collect();
        let alerts = tenant.alerts().unwrap();
        let notices = alerts.notices(100).unwrap();
        if let Some(last) = notices.last() {
            alerts.route_notices(last.seq, &[]).unwrap();
        }
        let shown = notices.iter().map(|notice| {
            let labels = &notice.instance.labels;
            let key = format!("{}{}{}", labels.value("cve_id"), labels.value("service_name"), labels.value("overflow"));
            format!("{} {key} {} {}", labels.value("alertname"), notice.instance.state.as_str(), notice.instance.value)
        });
        (shown.collect(), errors)
    }
}

/// One of a body alone.
fn trace_id(body: &str) -> [u8; 16] {
    let fold = |sum: u128, byte: u8| (sum ^ u128::from(byte)).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    body.bytes().fold(1, fold).to_be_bytes()
}

const NOTHING: [String; 0] = [];

#[tokio::test(flavor = "multi_thread")]
async fn a_threshold_over_logs_fires_with_its_lines_and_is_recorded() {
    let mut house = House::new();
    for n in 0..3 {
        house.log("api", house.now_ms + n, &format!("error {n}"), &[]).await;
        house.log("web", house.now_ms + n, "all is well", &[]).await;
    }
    assert_eq!(house.pass().await, ["ManyErrors api firing 3"]);
    let view = house.opened.as_ref().unwrap().2.view();
    let alert = &view[0].rules[1].instances[0];
    assert_eq!(alert.evidence.log_lines, ["error 2", "error 1", "error 0"]);
    assert_eq!(alert.annotations[0].1, "3 errors of api");
    let context =
        |name: &str| alert.evidence.context.iter().find(|(of, _)| of == name).map(|(_, value)| value.as_str());
    assert_eq!(context("logs_query"), Some(r#"{service_name=~".+"} |= "error""#));
    assert!(context("logs_from").is_some() && context("logs_to").is_some());
    // The lines stay with the alert while it fires.
    assert_eq!(house.pass().await, NOTHING);
    let view = house.opened.as_ref().unwrap().2.view();
    assert_eq!(view[0].rules[1].instances[0].evidence.log_lines.len(), 3);
    let recorded = query::promql::parse("logs:errors:count").unwrap();
    let options = query::promql::Options::new(300_000, query::Limits::default().start());
    let snapshot = house.tenant().snapshot().unwrap();
    let found = query::promql::instant(&snapshot, &recorded, house.now_ms, &options).unwrap().value;
    let query::promql::Value::Vector(found) = found else { panic!("{found:?}") };
    assert_eq!((found.len(), found[0].1.value, found[0].0.value("service_name")), (1, 3.0, "api"));
    house.now_ms += 600_000;
    assert_eq!(house.pass().await, ["ManyErrors api resolved 3"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_event_is_handled_once_whatever_its_time_and_through_restarts() {
    let mut house = House::new();
    let cve = |id: &'static str| [("cve_id", id), ("package", "tls"), ("cvss_score", "9.8")];
    // Before the first evaluation, and a day late.
    house.log("scanner", house.now_ms, "found", &cve("A")).await;
    house.log("scanner", house.now_ms - 86_400_000, "found", &cve("B")).await;
    house.log("scanner", house.now_ms, "found", &[("cve_id", "mild"), ("cvss_score", "4")]).await;
    assert_eq!(house.pass().await, ["Cve A firing 1", "Cve B firing 1"]);
    let alert = house.opened.as_ref().unwrap().2.view()[1].rules[0].instances[0].clone();
    assert_eq!(alert.annotations[0].1, format!("{} in tls", alert.labels.value("cve_id")));
    assert_eq!(alert.evidence.log_lines, ["found"]);
    assert_eq!(house.pass().await, NOTHING);
    // While nobody evaluates, and then the process begins anew.
    house.log("scanner", house.now_ms, "found", &cve("C")).await;
    house.start();
    assert_eq!(house.pass().await, ["Cve C firing 1"]);
    house.start();
    assert_eq!(house.pass().await, NOTHING);
    // Seen again: the same alert, counted. Said to be fixed: its end.
    house.log("scanner", house.now_ms, "found again", &cve("A")).await;
    assert_eq!(house.pass().await, NOTHING);
    let view = house.opened.as_ref().unwrap().2.view();
    let again = view[1].rules[0].instances.iter().find(|i| i.labels.value("cve_id") == "A").unwrap();
    assert_eq!(
        (again.value, again.evidence.log_lines.as_slice()),
        (2.0, &["found again".to_string(), "found".into()][..])
    );
    house.log("scanner", house.now_ms, "fixed", &[("cve_id", "A")]).await;
    assert_eq!(house.pass().await, ["Cve A resolved 2"]);
    // Beyond x.max_instances all are one.
    for id in ["D", "E", "F"] {
        house.log("scanner", house.now_ms, "found", &cve(id)).await;
    }
    let mut told = house.pass().await;
    told.sort();
    assert_eq!(told, ["Cve D firing 1", "Cve true firing 2"]);
    // An hour after the last record of each.
    house.now_ms += 3_600_000;
    assert_eq!(house.pass().await.len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_and_logs_can_be_one_condition() {
    let mut house = House::new();
    set(house.tenant(), 0.0).await;
    assert_eq!(house.pass().await, NOTHING);
    house.log("api", house.now_ms, "an error", &[]).await;
    assert_eq!(house.pass().await, ["DownAndComplaining  firing 0"]);
    let view = house.opened.as_ref().unwrap().2.view();
    assert_eq!(view[2].rules[0].instances[0].evidence.log_lines, ["an error"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_over_logs_are_replayed_by_the_records_own_times() {
    let house = House::new();
    let minute = |n: i64| house.now_ms + n * 60_000;
    // Of one time and text there is one.
    for (nth, n) in (0..).zip([10, 10, 11, 30, 30, 30]) {
        house.log("api", minute(n) - nth, "an error", &[]).await;
    }
    let cve = |id: &'static str| [("cve_id", id), ("cvss_score", "9.8")];
    house.log("scanner", minute(5), "found", &cve("A")).await;
    house.log("scanner", minute(40), "again", &cve("A")).await;
    house.log("scanner", minute(8), "found", &cve("B")).await;
    house.log("scanner", minute(20), "fixed", &[("cve_id", "B")]).await;
    house.log("scanner", minute(25), "found", &cve("B")).await;
    let snapshot = house.tenant().snapshot().unwrap();
    let groups = rules::file::parse(RULES, "t.yml", 30_000).unwrap();
    let span = rules::replay::Span {
        from_ms: minute(0),
        to_ms: minute(90),
        lookback_ms: 300_000,
        budget: query::Limits::default().start(),
    };
    let found = rules::replay::replay(&snapshot, Some(&snapshot), &groups, &span);
    let shown: Vec<String> = found
        .iter()
        .flat_map(|replay| {
            assert_eq!(replay.error, "");
            replay.episodes.iter().map(|episode| {
                let minute = |at_ms: i64| (at_ms - house.now_ms) as f64 / 60_000.0;
                let key = format!("{}{}", episode.labels.value("cve_id"), episode.labels.value("service_name"));
                format!("{} {key} {}-{:?}", replay.rule, minute(episode.fired_ms), episode.ended_ms.map(minute))
            })
        })
        .collect();
    let expected = [
        "ManyErrors api 11-Some(15.0)",
        "ManyErrors api 30-Some(35.0)",
        "Cve A 5-None",
        "Cve B 8-Some(20.0)",
        "Cve B 25-Some(85.0)",
    ];
    assert_eq!(shown, expected);
    let cve = found.iter().find(|replay| replay.rule == "Cve").unwrap();
    assert_eq!((cve.fired, cve.flapped, cve.series), (3, 1, 2));
    // Both conditions at once: the host is not down while its logs complain.
    assert_eq!(found.last().unwrap().fired, 0);
}

fn states(house: &House) -> Vec<(AlertState, String)> {
    let groups = house.opened.as_ref().unwrap().2.view();
    let instances = groups.into_iter().flat_map(|group| group.rules).flat_map(|rule| rule.instances);
    instances.map(|instance| (instance.state, instance.evidence.reason)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn records_that_cannot_be_read_resolve_nothing_and_are_named() {
    let mut house = House::new();
    for n in 0..3 {
        house.log("api", house.now_ms + n, &format!("error {n}"), &[]).await;
    }
    assert_eq!(house.pass().await, ["ManyErrors api firing 3"]);
    house.seal();
    house.damage("error 1");
    house.log("web", house.now_ms, "all is well", &[]).await;
    let before = samples(&house.tenant().snapshot().unwrap(), "logs:errors:count");
    // Longer than what fires is held over a start.
    for _ in 0..6 {
        let (told, errors) = house.pass_with_errors().await;
        assert_eq!(told, NOTHING);
        for (place, error) in errors.iter().enumerate() {
            // The events were all handled before.
            let asks = place != 2;
            let is_named = error.contains("stored log records are missing") && error.contains("log block");
            assert_eq!(is_named, asks, "{errors:?}");
        }
    }
    assert_eq!(states(&house), [(AlertState::Firing, "query_error".to_string())]);
    assert_eq!(samples(&house.tenant().snapshot().unwrap(), "logs:errors:count"), before);
    // Once the window has passed what cannot be read, all is known again; it takes two evaluations after a start.
    house.now_ms += 300_000;
    assert_eq!(house.pass().await, NOTHING);
    assert_eq!(house.pass().await, ["ManyErrors api resolved 3"]);
}

/// Times and values of a recorded series.
fn samples(snapshot: &store::Snapshot, name: &str) -> usize {
    let expr = query::promql::parse(&format!("count_over_time({name}[1h])")).unwrap();
    let options = query::promql::Options::new(300_000, query::Limits::default().start());
    let found = query::promql::instant(snapshot, &expr, now_ms() + 600_000, &options).unwrap().value;
    let query::promql::Value::Vector(found) = found else { panic!("{found:?}") };
    found.iter().map(|(_, sample)| sample.value as usize).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_cannot_be_read_may_have_refreshed_any_alert() {
    let mut house = House::new();
    let cve = |id: &'static str| [("cve_id", id), ("package", "tls"), ("cvss_score", "9.8")];
    house.log("scanner", house.now_ms, "found", &cve("A")).await;
    assert_eq!(house.pass().await, ["Cve A firing 1"]);
    house.seal();
    house.now_ms += 1_800_000;
    house.log("scanner", house.now_ms, "found again", &cve("A")).await;
    house.seal();
    house.damage("found again");
    let (told, errors) = house.pass_with_errors().await;
    assert_eq!(told, NOTHING);
    assert!(errors.iter().any(|error| error.contains("log block")), "{errors:?}");
    // What can be read comes as ever.
    house.log("scanner", house.now_ms, "found", &cve("B")).await;
    assert_eq!(house.pass_with_errors().await.0, ["Cve B firing 1"]);
    // An hour after the first, and then an hour after the last that there may have been.
    house.now_ms += 1_800_000;
    assert_eq!(house.pass_with_errors().await.0, NOTHING);
    house.now_ms += 1_710_000;
    let mut told = house.pass().await;
    told.sort();
    assert_eq!(told, ["Cve A resolved 1"]);
}
