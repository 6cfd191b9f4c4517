//! What an Alertmanager is sent over HTTP, and what becomes of it when it does not take it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::routing::any;
use model::Labels;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::due::Alert;
use super::endpoint::Endpoint;
use crate::config::Alertmanagers;

const PATIENCE: Duration = Duration::from_secs(30);

/// What a request brought: path, `Authorization`, body.
type Request = (String, String, Value);

/// Answers with the statuses of a script, then with 200.
#[derive(Clone, Default)]
struct Fake {
    script: Arc<Mutex<Vec<u16>>>,
    seen: watch::Sender<Vec<Request>>,
}

impl Fake {
    async fn start(script: &[u16]) -> (Fake, String) {
        let fake = Fake { script: Arc::new(Mutex::new(script.to_vec())), ..Fake::default() };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let router = Router::new().fallback(any(take)).with_state(fake.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (fake, address)
    }

    async fn requests(&self, count: usize) -> Vec<Request> {
        let mut seen = self.seen.subscribe();
        let waited = tokio::time::timeout(PATIENCE, seen.wait_for(|seen| seen.len() >= count)).await;
        waited.expect("too few requests").unwrap().clone()
    }
}

async fn take(State(fake): State<Fake>, uri: Uri, headers: HeaderMap, body: String) -> StatusCode {
    let said = headers.get("authorization").map_or("", |value| value.to_str().unwrap()).to_owned();
    fake.seen.send_modify(|seen| seen.push((uri.path().into(), said, serde_json::from_str(&body).unwrap())));
    let mut script = fake.script.lock().unwrap();
    let status = if script.is_empty() { 200 } else { script.remove(0) };
    StatusCode::from_u16(status).unwrap()
}

/// The only endpoint of an entry, running.
fn endpoint(address: &str, more: &str) -> (Arc<Endpoint>, watch::Sender<bool>) {
    let entry: Alertmanagers = toml::from_str(&format!("targets = [\"{address}\"]\n{more}")).unwrap();
    let endpoint = Arc::new(Endpoint::of(&entry).unwrap().remove(0));
    let (stop, stopped) = watch::channel(false);
    let running = endpoint.clone();
    tokio::spawn(async move { running.run(stopped).await });
    (endpoint, stop)
}

fn alert(host: &str, ends_ms: i64) -> Arc<Alert> {
    Arc::new(Alert {
        labels: Labels::from_pairs([("alertname", "Down"), ("host", host)]),
        annotations: vec![("summary".into(), "it is \"down\"".into())],
        starts_ms: 1_795_226_400_000,
        ends_ms,
        generator_url: "http://b/alerts/rule/1".into(),
    })
}

fn hosts(body: &Value) -> Vec<String> {
    let of = |alert: &Value| {
        format!("{}@{}", alert["labels"]["host"].as_str().unwrap(), &alert["endsAt"].as_str().unwrap()[..4])
    };
    body.as_array().unwrap().iter().map(of).collect()
}

#[tokio::test]
async fn an_alert_is_posted_as_alertmanager_wants_it() {
    let (fake, address) = Fake::start(&[]).await;
    let more = "path_prefix = '/am/'\nbearer_token = 't'\nexternal_labels = {replica = 'one', host = 'never'}\n\
                alert_relabel_configs = [{source_labels = ['host'], regex = 'quiet', action = 'drop'}, \
                {regex = 'replica', action = 'labelmap', replacement = 'from'}]";
    let (endpoint, _stop) = endpoint(&address, more);
    assert_eq!(endpoint.url, format!("http://{address}/am/api/v2/alerts"));
    endpoint.push(&[alert("a", 1_795_226_640_000), alert("quiet", 0)]);
    let expected = serde_json::json!([{
        "labels": {"alertname": "Down", "host": "a", "replica": "one", "from": "one"},
        "annotations": {"summary": "it is \"down\""},
        "startsAt": "2026-11-21T02:00:00.000Z",
        "endsAt": "2026-11-21T02:04:00.000Z",
        "generatorURL": "http://b/alerts/rule/1",
    }]);
    assert_eq!(fake.requests(1).await, [("/am/api/v2/alerts".into(), "Bearer t".into(), expected)]);
}

#[tokio::test]
async fn batches_are_small() {
    let (fake, address) = Fake::start(&[]).await;
    let (endpoint, _stop) = endpoint(&address, "");
    let all: Vec<_> = (0..100).map(|n| alert(&n.to_string(), 0)).collect();
    endpoint.push(&all);
    let sizes: Vec<usize> = fake.requests(2).await.iter().map(|(.., body)| body.as_array().unwrap().len()).collect();
    assert_eq!(sizes, [64, 36]);
}

#[tokio::test]
async fn what_is_not_reached_waits_and_what_is_refused_goes() {
    const YEAR_MS: i64 = 366 * 86_400_000;
    let (fake, address) = Fake::start(&[503, 400]).await;
    let (endpoint, _stop) = endpoint(&address, "");
    endpoint.push(&[alert("a", 0), alert("b", 0)]);
    fake.requests(1).await;
    // Word that is newer than what waits.
    endpoint.push(&[alert("b", YEAR_MS)]);
    let seen = fake.requests(2).await;
    assert_eq!(hosts(&seen[0].2), ["a@1970", "b@1970"]);
    let mut second = hosts(&seen[1].2);
    second.sort();
    assert_eq!(second, ["a@1970", "b@1971"]);
    // Refused: not sent again.
    endpoint.push(&[alert("c", 0)]);
    assert_eq!(hosts(&fake.requests(3).await[2].2), ["c@1970"]);
}

#[tokio::test]
async fn one_that_is_down_delays_no_other() {
    // Nobody listens at a port that was just given back.
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().to_string();
    let (fake, address) = Fake::start(&[]).await;
    let ((down, _stop), (up, _too)) = (endpoint(&free, ""), endpoint(&address, ""));
    for endpoint in [down, up] {
        endpoint.push(&[alert("a", 0)]);
    }
    assert_eq!(hosts(&fake.requests(1).await[0].2), ["a@1970"]);
}
