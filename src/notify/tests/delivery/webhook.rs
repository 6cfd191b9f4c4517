//! Webhooks whose address and body are the user's own, and what stands in them of alerts that others pushed.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use model::Labels;
use model::alert::Outcome;
use notify::PushDraft;
use serde_json::{Value, json};

use crate::http_config::{Server, ok};
use crate::world::{World, firing, now_ms};

/// A world that tells one webhook with these settings; its address ends in `path`.
async fn world(server: &Server, path: &str, settings: &str) -> World {
    let mut world = World::new().await;
    let receiver = format!(
        "- name: own\n  webhook_configs:\n  - url: 'http://{}{path}'\n    {settings}\n  x: {{fallback: {{to: mail, after: 1h}}}}",
        server.address
    );
    world.start(world.config("{receiver: own, group_by: [alertname], group_wait: 0s}", &receiver));
    world
}

fn body_of(request: &str) -> Value {
    serde_json::from_str(request.split_once("\r\n\r\n").unwrap().1).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_address_and_the_body_are_templates() {
    let server = Server::start(None, ok).await;
    let payload =
        "payload: {text: '{{ .CommonLabels.host_name }}: {{ .Status }}', alerts: '{{ .Alerts | toJson }}', n: 7}";
    let mut world = world(&server, "/{{ .GroupLabels.alertname }}?to=ops", payload).await;
    world.commit(&[firing("HostDown", "web-1", "critical")]);
    world.attempted(Outcome::Accepted, 1).await;
    let request = server.seen().pop().unwrap();
    assert!(request.starts_with("POST /HostDown?to=ops HTTP/1.1"), "{request}");
    let body = body_of(&request);
    assert_eq!((&body["text"], &body["n"]), (&json!("web-1: firing"), &json!(7)));
    assert_eq!(body["alerts"][0]["labels"]["alertname"], "HostDown");
    world.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_cannot_be_made_leaves_alertmanagers_form() {
    let server = Server::start(None, ok).await;
    let mut world = world(&server, "/", "payload: {text: '{{ .Nope }}'}").await;
    world.commit(&[firing("HostDown", "web-1", "critical")]);
    world.attempted(Outcome::Accepted, 1).await;
    assert_eq!(body_of(&server.seen().pop().unwrap())["version"], "4");
    world.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_is_too_large_is_sent_again_with_the_worst_of_its_alerts() {
    static ASKED: AtomicUsize = AtomicUsize::new(0);
    fn small_ones(_: &str, _: SocketAddr) -> String {
        let is_first = ASKED.fetch_add(1, Ordering::SeqCst) == 0;
        if is_first { "HTTP/1.1 413 Content Too Large" } else { "HTTP/1.1 200 OK" }.into()
    }
    let server = Server::start(None, small_ones).await;
    let mut world = world(&server, "/", "").await;
    let host = |n: u32| firing("HostDown", &format!("web-{n}"), if n == 7 { "critical" } else { "warning" });
    world.commit(&(0..8).map(host).collect::<Vec<_>>());
    world.attempted(Outcome::Accepted, 1).await;
    let bodies: Vec<Value> = server.seen().iter().map(|request| body_of(request)).collect();
    let count = |body: &Value| (body["alerts"].as_array().map(Vec::len), body["truncatedAlerts"].as_u64());
    assert_eq!(bodies.iter().map(count).collect::<Vec<_>>(), [(Some(8), Some(0)), (Some(5), Some(3))]);
    assert_eq!(bodies[1]["alerts"][0]["labels"]["host_name"], "web-7");
    assert_eq!(bodies[1]["commonLabels"], bodies[0]["commonLabels"]);
    world.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_an_address_the_fallback_is_told() {
    let server = Server::start(None, ok).await;
    let mut world = world(&server, "/{{ .Nope }}", "").await;
    world.commit(&[firing("HostDown", "web-1", "critical")]);
    let refused = world.attempted(Outcome::Permanent, 1).await;
    assert!(refused[0].words.contains("its template gave no address"), "{refused:?}");
    let told = world.attempted(Outcome::Accepted, 1).await;
    assert_eq!(told[0].receiver, "mail/email[0]");
    assert!(server.seen().is_empty());
    world.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pushed_alert_names_the_page_that_its_sender_named() {
    let server = Server::start(None, ok).await;
    let mut world = world(&server, "/", "").await;
    let push = |name: &str, url: &str| PushDraft {
        labels: Labels::from_pairs([("alertname", name)]),
        annotations: Vec::new(),
        starts_ms: None,
        ends_ms: None,
        generator_url: url.into(),
    };
    let drafts = vec![push("Theirs", "http://prometheus:9090/graph?g0.expr=up"), push("Bare", "")];
    assert!(world.notifier().push_alerts(drafts, now_ms()).unwrap().is_empty());
    world.commit(&[firing("HostDown", "web-1", "critical")]);
    world.attempted(Outcome::Accepted, 3).await;
    let mut urls: Vec<String> = server
        .seen()
        .iter()
        .map(|request| body_of(request)["alerts"][0]["generatorURL"].as_str().unwrap().to_owned())
        .collect();
    urls.sort();
    assert_eq!(urls[0], "http://prometheus:9090/graph?g0.expr=up");
    assert!(urls[1].starts_with("https://binnacle.example.org:8443/alerts/rule/"), "{urls:?}");
    assert!(urls[2].starts_with("https://binnacle.example.org:8443/alerts/why/"), "{urls:?}");
    world.kill().await;
}
