//! The pages over a real store: what was pushed is seen, what is wrong is said, and nothing is kept by shared caches.

use serde_json::{Value, json};

use crate::client::{self, Reply};
use crate::house::{House, now_ms, settings};

const JSON: [(&str, &str); 1] = [("content-type", "application/json")];

fn attributes(pairs: &[(&str, &str)]) -> Value {
    pairs.iter().map(|(key, value)| json!({"key": key, "value": {"stringValue": value}})).collect()
}

fn ns(at_ms: i64) -> String {
    (at_ms * 1_000_000).to_string()
}

/// Attributes, time in ms, and value of a point.
pub(crate) type Point<'a> = (&'a [(&'a str, &'a str)], i64, f64);

/// Points of a gauge or, with `monotonic`, of a cumulative sum: name, unit, and its points.
pub(crate) fn metric(name: &str, unit: &str, monotonic: bool, points: &[Point<'_>]) -> Value {
    let points: Vec<Value> = points
        .iter()
        .map(|(labels, at_ms, value)| {
            json!({"attributes": attributes(labels), "timeUnixNano": ns(*at_ms), "startTimeUnixNano": ns(1), "asDouble": value})
        })
        .collect();
    let data = json!({"dataPoints": points, "aggregationTemporality": 2, "isMonotonic": monotonic});
    let kind = if monotonic { "sum" } else { "gauge" };
    json!({"name": name, "unit": unit, "description": "A <b>test</b> metric.", kind: data})
}

pub(crate) async fn push_metrics(house: &House, resource: &[(&str, &str)], metrics: Vec<Value>) {
    let body = json!({"resourceMetrics": [{
        "resource": {"attributes": attributes(resource)}, "scopeMetrics": [{"metrics": metrics}]}]});
    let reply = house.post("/v1/metrics", &JSON, body.to_string().into_bytes()).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
}

async fn push_logs(house: &House, records: &[(i64, i64, &str)]) {
    let records: Vec<Value> = records
        .iter()
        .map(|(at_ms, severity, body)| {
            json!({"timeUnixNano": ns(*at_ms), "severityNumber": severity, "body": {"stringValue": body},
                "traceId": "0123456789abcdef0123456789abcdef", "attributes": attributes(&[("http.route", "/pay now")])})
        })
        .collect();
    let resource = attributes(&[("service.name", "checkout"), ("host.name", "borea")]);
    let body =
        json!({"resourceLogs": [{"resource": {"attributes": resource}, "scopeLogs": [{"logRecords": records}]}]});
    let reply = house.post("/v1/logs", &JSON, body.to_string().into_bytes()).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
}

#[track_caller]
fn holds(reply: &Reply, parts: &[&str]) {
    let text = reply.text();
    assert_eq!(reply.status, 200, "{text}");
    for part in parts {
        assert!(text.contains(part), "no {part:?} in {text}");
    }
}

/// Value of the first attribute of this name in a page.
fn attribute<'a>(html: &'a str, before: &str, name: &str) -> &'a str {
    let from = html.find(before).unwrap_or_else(|| panic!("no {before:?} in {html}"));
    let rest = &html[from..];
    let start = rest.find(&format!("{name}=\"")).expect("the attribute is there") + name.len() + 2;
    rest[start..].split('"').next().expect("the attribute ends")
}

#[tokio::test]
async fn an_empty_server_says_how_to_fill_it_and_its_words_work() {
    let house = House::open(settings()).await;
    for path in ["/", "/logs"] {
        let reply = house.get(path, &[]).await;
        holds(
            &reply,
            &["No data has been received yet", "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318", "curl -sS"],
        );
        assert_eq!(reply.header("cache-control"), "private, no-cache");
        assert!(reply.header("content-security-policy").starts_with("default-src 'none'"));
    }
    let page = house.get("/", &[]).await.text();
    let body =
        page.split("-d &#39;").nth(1).and_then(|rest| rest.split("&#39;").next()).expect("the command has a body");
    let body = body.replace("&#34;", "\"").replace("&quot;", "\"");
    let reply = house.post("/v1/logs", &JSON, body.into_bytes()).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    holds(&house.get("/logs", &[]).await, &["hello from curl", "1 record"]);
}

#[tokio::test]
async fn the_stylesheet_is_kept_for_ever() {
    let house = House::open(settings()).await;
    let page = house.get("/alerts", &[]).await.text();
    let css = house.get(attribute(&page, "rel=\"stylesheet\"", "href"), &[]).await;
    assert_eq!((css.status, css.header("content-type")), (200, "text/css; charset=utf-8"));
    assert!(css.header("cache-control").contains("immutable"));
    assert_eq!(house.get("/-/app.000000000000.css", &[]).await.status, 404);
}

#[tokio::test]
async fn metrics_are_listed_drawn_and_tabled() {
    let house = House::open(settings()).await;
    let now = now_ms();
    let resource = [("service.name", "checkout"), ("host.name", "borea")];
    let depth: Vec<_> =
        (0..40).map(|n| (&[("queue", "mail")][..], now - 10_000 - n * 15_000, 40.0 - n as f64)).collect();
    let memory = |state: &'static [(&'static str, &'static str)], value: f64| (state, now - 1_000, value);
    let memory = [memory(&[("state", "used")], 3e9), memory(&[("state", "free")], 1e9)];
    push_metrics(
        &house,
        &resource,
        vec![metric("queue.depth", "{message}", false, &depth), metric("system.memory.usage", "By", false, &memory)],
    )
    .await;

    holds(&house.get("/explore", &[]).await, &["queue_depth", "gauge", "A &#60;b&#62;test&#60;/b&#62; metric."]);
    holds(&house.get("/explore?find=nothing", &[]).await, &["has this in its name"]);
    let graph = house.get("/explore?q=queue_depth&from=now-15m", &[]).await;
    holds(
        &graph,
        &["<svg class=\"pl\" role=\"img\"", "<path class=\"s0 d0\" d=\"M", "1 series, 15 min", "Highest 40 at"],
    );
    holds(&graph, &["href=\"/logs?q=service.name:checkout%20host.name:borea&#38;from=now-15m\""]);
    holds(&house.get("/explore?q=queue_depth&view=table", &[]).await, &["1 series at", ">40</td>"]);
    holds(&house.get("/explore?q=1%2B1&view=table", &[]).await, &["scalar", ">2</td>"]);
    holds(&house.get("/explore?q=sum(queue_depth", &[]).await, &["The query cannot be answered", "^", "aria-invalid"]);
    holds(&house.get("/explore?q=queue_depth&from=yesterday", &[]).await, &["The time window cannot be read"]);
    holds(&house.get("/explore?q=queue_depth&step=0", &[]).await, &["The step is not a duration"]);
    holds(&house.get("/explore?q=no_such_metric", &[]).await, &["No series matches"]);
    holds(&house.get("/", &[]).await, &["borea", "75 %", "</svg>ok</span>", "nothing firing"]);
    let other = house.get("/explore", &[("x-scope-orgid", "other")]).await;
    holds(&other, &["No data has been received yet", "tenant other"]);
}

#[tokio::test]
async fn records_are_found_filtered_and_paged() {
    let house = House::open(settings()).await;
    let now = now_ms();
    let bodies: Vec<String> = (0..7).map(|n| format!("payment {n} refused <script>")).collect();
    let mut records: Vec<(i64, i64, &str)> =
        bodies.iter().enumerate().map(|(n, body)| (now - 1_000 * (n as i64 + 1), 17, body.as_str())).collect();
    records.push((now - 500, 9, "all is well\u{1b}[0m"));
    push_logs(&house, &records).await;

    let page = house.get("/logs", &[]).await;
    holds(
        &page,
        &["all is well<", "payment 6 refused &#60;script&#62;", "8 records in 1 h", "error 7", "class=\"v-error\""],
    );
    holds(&page, &["value=\"http.route:&#34;/pay now&#34;\" aria-label=\"Only http.route of this value\""]);
    let filtered = house.get("/logs?q=payment&with=http.route:%22/pay%20now%22&limit=3", &[]).await;
    assert_eq!(filtered.status, 303);
    let address = filtered.header("location").to_owned();
    let first = house.get(&address, &[]).await;
    holds(&first, &["payment 0", "payment 2", "rel=\"next\""]);
    assert!(!first.text().contains("payment 3"));
    let next = attribute(&first.text(), "class=\"btn\"", "href").replace("&#38;", "&").replace("&amp;", "&");
    let second = house.get(&next, &[]).await;
    holds(&second, &["payment 3", "payment 5", "Back to newest"]);
    holds(&page, &["id=\"facets\"", "title=\"Only service.name checkout\"", "<script type=\"module\" src=\"/-/app."]);
    let script = house.get(attribute(&page.text(), "<script", "src"), &[]).await;
    assert_eq!((script.status, script.header("content-type")), (200, "text/javascript; charset=utf-8"));
    let columns = house.get("/logs?q=payment&cols=http.route&col=nothing", &[]).await;
    assert_eq!((columns.status, columns.header("location")), (303, "/logs?q=payment&cols=http.route%2Cnothing"));
    holds(&house.get("/logs?q=payment&cols=http.route", &[]).await, &["<span class=\"col\">/pay now</span>"]);
    let around = attribute(&page.text(), "class=\"ctx\"", "href").replace("&#38;", "&");
    let around = house.get(&around, &[]).await;
    holds(&around, &["0 after", "id=\"here\" open", "this logger", "service.name checkout", "payment 0"]);
    holds(&house.get("/logs/context?cursor=1-1-1", &[]).await, &["not here any more"]);
    holds(&house.get("/logs/context?cursor=x", &[]).await, &["cannot be shown"]);
    holds(&house.get("/logs/trace?id=x", &[]).await, &["32 hex digits"]);
    holds(&house.get(&format!("/logs/trace?id={}", "cd".repeat(16)), &[]).await, &["No record of this trace"]);
    holds(&house.get("/logs?q=(", &[]).await, &["The search cannot be read", "aria-invalid"]);
    holds(&house.get("/logs?q=zebra", &[]).await, &["Show all 8 records of this window"]);
    let misspelt = house.get("/logs?q=servce.name:checkout%20payment&cols=a", &[]).await;
    holds(
        &misspelt,
        &[
            "No record here has a field servce.name. Search for service.name",
            "href=\"/logs?q=service.name:checkout%20payment&#38;cols=a\"",
        ],
    );
    holds(&house.get("/logs?to=now-2h", &[]).await, &["Go to the newest record"]);
    holds(&house.get("/", &[]).await, &["checkout", ">7</td>"]);
}

#[tokio::test]
async fn rules_have_their_pages() {
    let house = House::open(settings()).await;
    let list = house.get("/alerts?tab=rules", &[]).await;
    holds(&list, &["rules/test.yml", "Down", "job:up:sum", "not evaluated yet"]);
    let page = house.get(attribute(&list.text(), "<a href=\"/alerts/rule/", "href"), &[]).await;
    holds(&page, &["Condition", "Last 6 hours"]);
    holds(&house.get("/alerts", &[]).await, &["Nothing is firing. 2 rules are watched."]);
    holds(&house.get("/notifications", &[]).await, &["No receiver is configured", "No message has been sent yet."]);
    let lost = house.get("/alerts/rule/none", &[]).await;
    assert_eq!(lost.status, 404);
    assert!(lost.text().contains("rule none does not exist"), "{}", lost.text());
    let foreign = house.get("/alerts", &[("x-scope-orgid", "other")]).await;
    holds(&foreign, &["rules.tenants"]);
}

/// As a browser sends a form of one of our pages.
async fn send_form(house: &House, path: &str, form: &str, site: &str) -> Reply {
    let headers = [("content-type", "application/x-www-form-urlencoded"), ("sec-fetch-site", site)];
    client::send("POST", &format!("http://{}{path}", house.http), &headers, form.as_bytes().to_vec()).await
}

#[tokio::test]
async fn a_receiver_is_tested_from_its_page() {
    let house = House::open(settings()).await;
    // Nobody listens on port 1.
    let told =
        "route: {receiver: on&call}\nreceivers: [{name: on&call, webhook_configs: [{url: 'http://127.0.0.1:1/'}]}]";
    house.state.alerting.notifier.reload(notify::Config::parse(told, "notify.yml", std::path::Path::new(".")).unwrap());
    let (_stop, stopped) = tokio::sync::watch::channel(false);
    let notifier = house.state.alerting.notifier.clone();
    tokio::spawn(async move { notifier.run(stopped).await });
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    let waits = async |path: &str, part: &str| loop {
        let text = house.get(path, &[]).await.text();
        if text.contains(part) {
            return text;
        }
        assert!(std::time::Instant::now() < deadline, "no {part:?} in {text}");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    };
    let page = waits("/notifications", "on&#38;call/webhook[0]").await;
    assert_eq!(attribute(&page, "name=\"receiver\"", "value"), "on&#38;call");
    assert_eq!(send_form(&house, "/notifications/test", "receiver=on%26call", "cross-site").await.status, 403);
    assert_eq!(send_form(&house, "/notifications/test", "receiver=nobody", "same-origin").await.status, 404);
    let reply = send_form(&house, "/notifications/test", "receiver=on%26call", "same-origin").await;
    assert_eq!(reply.status, 303, "{}", reply.text());
    let shown = waits(reply.header("location"), "Connection refused").await;
    holds_text(&shown, &["Test message", "Under way", "firing: BinnacleTest", "Look again"]);
}

#[track_caller]
fn holds_text(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "no {part:?} in {text}");
    }
}

#[tokio::test]
async fn alerts_of_other_programs_stand_among_ours() {
    let house = House::open(settings()).await;
    let ends = model::time::rfc3339_ms(now_ms() + 600_000);
    let alert = json!([{"labels": {"alertname": "BackupLate", "severity": "critical"}, "endsAt": ends,
        "annotations": {"summary": "no <backup>"}}]);
    let url = format!("http://{}/api/v2/alerts", house.http);
    assert_eq!(client::send("POST", &url, &JSON, alert.to_string().into_bytes()).await.status, 200);
    holds(&house.get("/alerts", &[]).await, &["1 firing", "BackupLate", "no &#60;backup&#62;", "/alerts/why/"]);
    let rules = house.get("/alerts?tab=rules", &[]).await.text();
    assert!(!rules.contains("BackupLate"), "{rules}");
    holds(&house.get("/", &[]).await, &["1 firing"]);
}

#[tokio::test]
async fn an_alert_has_a_page_with_its_records_and_one_form_for_both_ways_out() {
    let house = House::open(settings()).await;
    let record =
        json!({"timeUnixNano": ns(now_ms() - 5_000), "severityNumber": 17, "body": {"stringValue": "disk <full>"}});
    let body = json!({"resourceLogs": [{"resource": {"attributes": attributes(&[("service.name", "backup")])},
        "scopeLogs": [{"logRecords": [record]}]}]});
    assert_eq!(house.post("/v1/logs", &JSON, body.to_string().into_bytes()).await.status, 200);
    let alert = json!([{"labels": {"alertname": "BackupLate", "service_name": "backup"},
        "startsAt": model::time::rfc3339_ms(now_ms() - 60_000), "endsAt": model::time::rfc3339_ms(now_ms() + 600_000)}]);
    let url = format!("http://{}/api/v2/alerts", house.http);
    assert_eq!(client::send("POST", &url, &JSON, alert.to_string().into_bytes()).await.status, 200);

    let path = attribute(&house.get("/alerts", &[]).await.text(), "class=\"name\"", "href").to_owned();
    let page = house.get(&path, &[]).await;
    holds(
        &page,
        &[
            "BackupLate",
            "service_name=backup",
            "href=\"/s/backup\"",
            "disk &#60;full&#62;",
            "1 record, warning or worse.",
        ],
    );
    let matchers = attribute(&page.text(), "name=\"matchers\"", "value").replace("&#34;", "\"");
    assert_eq!(matchers, "alertname=\"BackupLate\", service_name=\"backup\"");
    let words = "by=anna&comment=cleaning&lasts=";
    let reply = send_form(&house, &format!("{path}/ack"), words, "same-origin").await;
    assert_eq!((reply.status, reply.header("location")), (303, path.as_str()), "{}", reply.text());
    holds(&house.get(&path, &[]).await, &["Give it back (anna has it)"]);
    let silence = url::form_urlencoded::Serializer::new(words.to_owned()).append_pair("matchers", &matchers).finish();
    let reply = send_form(&house, "/silences", &silence, "same-origin").await;
    assert_eq!(reply.status, 303, "{}", reply.text());
    holds(
        &house.get("/silences", &[]).await,
        &["alertname=&#34;BackupLate&#34;", "holds back 1 alert", "anna: cleaning"],
    );
    holds(&house.get("/settings", &[]).await, &["alert acknowledged", "silence created", "anna"]);
    assert_eq!(house.get("/alerts/why/0000000000000000", &[]).await.status, 404);
}

#[tokio::test]
async fn a_service_and_a_host_have_all_their_signals_on_a_page() {
    let house = House::open(settings()).await;
    let now = now_ms();
    let points: Vec<_> = (0..40).map(|n| (&[("state", "used")][..], now - 10_000 - n * 15_000, 3e9)).collect();
    let free: Vec<_> = (0..40).map(|n| (&[("state", "free")][..], now - 10_000 - n * 15_000, 1e9)).collect();
    let memory = metric("system.memory.usage", "By", false, &[points, free].concat());
    push_metrics(&house, &[("service.name", "agent"), ("host.name", "a/b <c>")], vec![memory]).await;
    holds(&house.get("/", &[]).await, &["href=\"/h/a%2Fb%20%3Cc%3E\""]);
    let page = house.get("/h/a%2Fb%20%3Cc%3E", &[]).await;
    holds(&page, &["a/b &#60;c&#62;", "Memory in use", "75 %", "Nothing in this window of: CPU in use"]);
    holds(
        &house.get("/s/nobody?from=yesterday", &[]).await,
        &["The time window cannot be read", "No metric that these pages know"],
    );
}

#[tokio::test]
async fn the_intake_page_tells_who_sends_and_who_holds_the_series() {
    let house = House::open(settings()).await;
    holds(&house.get("/ingest", &[]).await, &["No data has been received yet"]);
    let resource = [("service.name", "checkout"), ("service.instance.id", "c-1"), ("host.name", "borea")];
    push_metrics(&house, &resource, vec![metric("queue.depth", "1", false, &[(&[], now_ms() - 1_000, 4.0)])]).await;
    holds(
        &house.get("/ingest", &[]).await,
        &["checkout", "borea", "c-1", "sends", "queue_depth", "Who holds the series", "kept for"],
    );
    holds(&house.get("/settings", &[]).await, &["retention.metrics", "default", "binnacle token create"]);
}

#[tokio::test]
async fn a_browser_gets_refusals_as_pages_and_a_script_as_a_sentence() {
    let house = House::open(settings()).await;
    let page = house.get("/nothing", &[("accept", "text/html,*/*")]).await;
    assert_eq!((page.status, page.header("content-type")), (404, "text/html; charset=utf-8"));
    assert!(page.text().contains("nothing at /nothing") && page.text().contains("<nav"), "{}", page.text());
    let text = house.get("/nothing", &[]).await;
    assert_eq!((text.status, text.text().as_str()), (404, "nothing at /nothing; start at /\n"));
}

#[tokio::test]
async fn a_rule_tells_how_often_it_would_have_fired() {
    let house = House::open(settings()).await;
    let now = now_ms();
    let points: Vec<_> = (0..40).map(|n| (&[][..], now - 10_000 - n * 15_000, 0.0)).collect();
    push_metrics(&house, &[("service.name", "api")], vec![metric("up", "", false, &points)]).await;
    let rules = house.get("/alerts?tab=rules", &[]).await.text();
    let from = rules.find(">Down</a>").expect("the rule is listed");
    let start = rules[..from].rfind("href=\"").expect("it is a link") + 6;
    let path = &rules[start..from - 1];
    holds(&house.get(path, &[]).await, &["How often in the last 7 d?", "name=\"for\" value=\"1m\""]);
    let asked = house.get(&format!("{path}?limit=-1&for=2m"), &[]).await;
    holds(
        &asked,
        &["As it is it would have fired once in the last 7 d", "Like this it would have fired never", "value=\"-1\""],
    );
    holds(&house.get(&format!("{path}?for=soon"), &[]).await, &["is no duration"]);
}

#[tokio::test]
async fn dashboards_are_files_and_what_is_chosen_is_in_the_address() {
    let house = House::open(settings()).await;
    holds(&house.get("/d", &[]).await, &["This appliance", "href=\"/d/services\"", "built in"]);
    holds(&house.get("/d/services", &[]).await, &["No data has been received yet"]);
    assert_eq!(house.get("/d/none", &[]).await.status, 404);
    let text = "title: Rooms\nvariables: [{name: room, label: room, of: temp}]\npanels:\n  - {title: Heat, limit: 85, query: 'temp{room=~\"$room\"}'}\n  - {title: Cold, query: 'cold{room=~\"$room\"}'}\n";
    house.state.dashboards.replace(vec![
        server::Dashboard::parse("rooms", text, "dashboards/rooms.yml"),
        server::Dashboard::parse("bad", "title: [", "dashboards/bad.yml"),
    ]);
    let at_ms = now_ms() - 60_000;
    let points: [Point<'_>; 2] = [(&[("room", "engine")], at_ms, 91.2), (&[("room", "bridge (1)")], at_ms, 20.5)];
    push_metrics(&house, &[], vec![metric("temp", "", false, &points)]).await;
    holds(&house.get("/d", &[]).await, &["href=\"/d/rooms\"", "dashboards/bad.yml:1: "]);
    let all = ["<option value=\"engine\">engine", "Nothing in this window of: Cold.", "91.2", "20.5"];
    holds(&house.get("/d/rooms", &[]).await, &all);
    let one = house.get("/d/rooms?room=bridge%20(1)&from=now-2h", &[]).await;
    holds(&one, &["<option value=\"bridge (1)\" selected>", "20.5", "room=bridge%20(1)&#38;from=now-6h"]);
    assert!(!one.text().contains("91.2"), "{}", one.text());
    let gone = house.get("/d/rooms?room=gone", &[]).await;
    holds(&gone, &["<option value=\"gone\" selected>", "Nothing in this window of: Heat, Cold."]);
}

#[tokio::test]
async fn histograms_are_drawn_as_heatmaps() {
    let house = House::open(settings()).await;
    let at_ms = now_ms() - 60_000;
    let buckets: [Point<'_>; 3] =
        [(&[("le", "0.1")], at_ms, 3.0), (&[("le", "0.5")], at_ms, 9.0), (&[("le", "+Inf")], at_ms, 9.0)];
    push_metrics(
        &house,
        &[],
        vec![metric("lat_bucket", "", false, &buckets), metric("temp", "", false, &buckets[..1])],
    )
    .await;
    let page = house.get("/explore?q=lat_bucket&view=heatmap&from=now-5m", &[]).await;
    holds(
        &page,
        &[
            "class=\"chart heat\"",
            "class=\"h7\"",
            "The fullest bucket is 0.1 to 0.5, with 66.7 % of all.",
            "aria-current=\"page\">Heatmap",
        ],
    );
    let none = house.get("/explore?q=sum(temp)&view=heatmap", &[]).await;
    holds(&none, &["There are no buckets in this answer"]);
}

#[tokio::test]
async fn the_status_page_is_for_strangers_only_where_it_is_said_to_be() {
    let everything = server::StatusComponent { name: "Shop".into(), alerts: Vec::new() };
    for (public, status) in [(false, 401), (true, 200)] {
        let components = vec![everything.clone()];
        let house = House::open(server::ServerSettings {
            auth: server::AuthMode::Token,
            status: server::StatusSettings { public, components },
            ..settings()
        })
        .await;
        for path in ["/status", "/status.json"] {
            assert_eq!(house.get(path, &[]).await.status, status, "{path}");
        }
        assert_eq!(house.get("/alerts", &[]).await.status, 401);
        if public {
            let page = house.get("/status", &[]).await;
            holds(&page, &["All works", "Shop", "100 % up in the last 0 s, down on 0 days", "class=\"k0\""]);
            assert_eq!(page.header("cache-control"), "public, max-age=30");
            assert!(page.body.len() < 15_000, "{} bytes", page.body.len());
            let json = house.get("/status.json", &[]).await.json();
            assert_eq!(json["components"][0]["state"], "operational");
        }
    }
}

#[tokio::test]
async fn a_misspelt_metric_leads_to_the_one_that_was_meant() {
    let house = House::open(settings()).await;
    let points: [Point<'_>; 1] = [(&[("room", "engine")], now_ms() - 60_000, 91.2)];
    push_metrics(&house, &[], vec![metric("engine_temp", "", false, &points)]).await;
    for view in ["", "&view=table"] {
        let page = house.get(&format!("/explore?q=max(engin_temp)&from=now-5m{view}"), &[]).await;
        holds(&page, &["No metric is called engin_temp. Ask for engine_temp", "href=\"/explore?q=max(engine_temp)"]);
        let page = house.get(&format!("/explore?q=bridge_humidity{view}"), &[]).await;
        holds(&page, &["No metric is called bridge_humidity. All of them"]);
        let page = house.get(&format!("/explore?q=engine_temp%7Broom%3D%22x%22%7D{view}"), &[]).await;
        assert!(!page.text().contains("No metric is called"), "{}", page.text());
    }
}
