//! What pages say of data that is not there: a live tail without a hole, days that are gone, files that cannot be read.

use crate::client::{Reply, Stream};
use crate::house::{House, now_ms, settings};
use crate::pages::{metric, push_metrics};
use crate::payload;

const DAY_MS: i64 = 86_400_000;

async fn push(house: &House, at_ms: i64, body: &str) {
    use prost::Message as _;
    let body = payload::logs(&[(at_ms * 1_000_000, body)]).encode_to_vec();
    let reply = house.post("/v1/logs", &[("content-type", "application/x-protobuf")], body).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
}

#[track_caller]
fn check(reply: &Reply, says: &[&str], not: &[&str]) {
    let text = reply.text();
    assert_eq!(reply.status, 200, "{text}");
    for part in says {
        assert!(text.contains(part), "no {part:?} in {text}");
    }
    for part in not {
        assert!(!text.contains(part), "{part:?} in {text}");
    }
}

/// Where a page's live tail goes on from.
fn place(reply: &Reply) -> String {
    let text = reply.text();
    let place = text.split("data-place=\"").nth(1).and_then(|rest| rest.split('"').next());
    place.unwrap_or_else(|| panic!("no place in {text}")).to_owned()
}

#[tokio::test]
async fn a_live_tail_begins_behind_what_the_page_shows() {
    let house = House::open(settings()).await;
    push(&house, now_ms() - 1_000, "payment shown").await;
    let shown = house.get("/logs?q=payment", &[]).await;
    let nothing = house.get("/logs?q=zebra", &[]).await;
    check(&nothing, &["No record in this window matches", "class=\"logs\"", "id=\"say\""], &[]);
    push(&house, now_ms(), "payment of a zebra in between").await;
    for (q, page) in [("payment", &shown), ("zebra", &nothing)] {
        let url = format!("http://{}/logs/tail?q={q}&cursor={}", house.http, place(page));
        let first = Stream::open(&url, &[]).await.until("</details>").await.expect("a row comes");
        assert!(first.contains("in between") && !first.contains("payment shown"), "{q}: {first}");
    }
    // Of lists that do not reach up to the present nobody could tell that they have a hole.
    for path in ["/logs?to=now-1m", "/logs?q=(", "/logs?view=patterns"] {
        check(&house.get(path, &[]).await, &["id=\"live\""], &["data-place"]);
    }
}

#[tokio::test]
async fn a_counting_query_in_the_search_leads_to_what_it_counts() {
    let house = House::open(settings()).await;
    push(&house, now_ms(), "counted").await;
    let page = house.get("/logs?q=sum(count_over_time({service_name=%22a%22}[5m]))&limit=20", &[]).await;
    check(
        &page,
        &["It is a LogQL query that counts", "href=\"/logs?q=%7Bservice_name%3D%22a%22%7D&#38;limit=20\""],
        &[],
    );
    check(&house.get("/logs?q=zebra", &[]).await, &["No record in this window"], &["LogQL"]);
}

#[tokio::test]
async fn a_page_says_that_it_holds_fewer_rows_than_were_asked_for() {
    let house = House::open(settings()).await;
    for n in 0..201 {
        push(&house, now_ms() - n, "one of many").await;
    }
    const MOST: &str = "200 records, the most of one page, more match";
    check(&house.get("/logs?limit=1000", &[]).await, &[MOST], &[]);
    check(&house.get("/logs?limit=200", &[]).await, &["200 records, more match"], &[MOST]);
}

#[tokio::test]
async fn days_before_the_oldest_record_are_not_said_to_have_been_calm() {
    let house = House::open(settings()).await;
    let oldest_ms = now_ms() - 2 * DAY_MS;
    push(&house, oldest_ms, "the oldest").await;
    push(&house, now_ms(), "the newest").await;
    const GONE: &str = "is held: what came before that is not here any more, or never came.";
    let date = &model::time::rfc3339_ms(oldest_ms)[5..10];
    check(&house.get("/logs?from=now-9d", &[]).await, &[GONE, &format!("No record from before {date} ")], &[]);
    for path in ["/logs", "/logs?from=now-1d"] {
        check(&house.get(path, &[]).await, &["the newest"], &[GONE]);
    }
    check(&house.get("/ingest", &[]).await, &["<dt>oldest data</dt><dd>", &format!("logs of {date} ")], &[]);
}

#[tokio::test]
async fn bars_of_other_days_say_which_day() {
    let house = House::open(settings()).await;
    let at_ms = now_ms() - 2 * DAY_MS;
    push(&house, at_ms, "long ago").await;
    let from = model::time::rfc3339_ms(at_ms.div_euclid(60_000) * 60_000 - 60_000);
    let to = model::time::rfc3339_ms(at_ms.div_euclid(60_000) * 60_000 + 120_000);
    let bar = model::time::rfc3339_ms(at_ms.div_euclid(5_000) * 5_000);
    let title = format!("{} {}: 1 ", &bar[5..10], &bar[11..19]);
    check(&house.get(&format!("/logs?from={from}&to={to}"), &[]).await, &[&title], &[]);
}

#[tokio::test]
async fn intake_is_not_called_empty_where_anything_is_stored() {
    const EMPTY: &str = "No data has been received yet";
    let house = House::open(settings()).await;
    check(&house.get("/ingest", &[]).await, &[EMPTY], &[]);
    push(&house, now_ms(), "the first").await;
    check(&house.get("/ingest", &[]).await, &["newest data"], &[EMPTY]);
    let house = House::open(settings()).await;
    let point = (&[("job", "node")][..], now_ms() - 1_000, 1.0);
    push_metrics(&house, &[], vec![metric("up", "", false, &[point])]).await;
    check(&house.get("/ingest", &[]).await, &["newest data"], &[EMPTY]);
}

#[tokio::test]
async fn a_copied_link_keeps_the_times_of_what_is_seen() {
    let house = House::open(settings()).await;
    let year = &model::time::rfc3339_ms(now_ms())[..5];
    for (path, kept) in [
        ("/explore?q=up&view=table&from=now-3h", "/explore?q=up&#38;view=table&#38;from="),
        ("/d/services?service=api", "/d/services?service=api&#38;from="),
        ("/s/api", "/s/api?from="),
        ("/h/borea", "/h/borea?from="),
    ] {
        push(&house, now_ms(), "there is something").await;
        check(&house.get(path, &[]).await, &[&format!("data-frozen=\"{kept}{year}")], &[]);
    }
}

#[tokio::test]
async fn a_dashboard_whose_file_was_spoiled_goes_on_as_it_was() {
    let house = House::open(settings()).await;
    let good = "title: Rooms\npanels:\n  - {title: Heat, query: temp}\n";
    let spoiled = good.replace("query: temp", "query: temp(");
    let read = |name: &str, text: &str| server::Dashboard::parse(name, text, &format!("dashboards/{name}.yml"));
    house.state.dashboards.replace(vec![read("rooms", good)]);
    house.state.dashboards.replace(vec![read("rooms", &spoiled), read("new", &spoiled)]);
    let page = house.get("/d/rooms", &[]).await;
    check(&page, &["<h1>Rooms</h1>", "this is what was read of it before", "dashboards/rooms.yml:3: "], &[]);
    let page = house.get("/d/new", &[]).await;
    assert_eq!(page.status, 404);
    assert!(page.text().contains("cannot be shown: dashboards/new.yml:3: "), "{}", page.text());
    house.state.dashboards.replace(vec![read("rooms", good)]);
    check(&house.get("/d/rooms", &[]).await, &["<h1>Rooms</h1>"], &["read of it before"]);
    house.state.dashboards.replace(Vec::new());
    assert_eq!(house.get("/d/rooms", &[]).await.status, 404);
}
