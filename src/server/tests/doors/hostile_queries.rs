//! Questions made to cost time or memory: each is refused with a word, or answered, before it does.

use url::form_urlencoded::Serializer;

use crate::house::{House, settings};

/// What is answered to a GET: the status, and a part of the text.
async fn check(house: &House, path: &str, parameters: &[(&str, String)], expected: (u16, &str)) {
    let query = Serializer::new(String::new()).extend_pairs(parameters).finish();
    let reply = house.get(&format!("{path}?{query}"), &[]).await;
    let text = reply.text();
    assert!(reply.status == expected.0 && text.contains(expected.1), "{path}: {} {text}", reply.status);
}

/// Each pattern is one that is taken alone.
#[tokio::test]
async fn patterns_of_one_request_share_its_room() {
    let house = House::open(settings()).await;
    let refused = (400, "it compiles to more than 16777216 bytes");
    let thrice = |name, value: &str| vec![(name, value.to_owned()); 3];
    let metric = r#"a{b=~"\\pL{100}"}"#;
    let stream = r#"{b=~"\\pL{100}"}"#;
    let chain = [("query", [metric; 3].join(" or "))];
    check(&house, "/api/v1/query", &chain, refused).await;
    check(&house, "/api/v1/series", &thrice("match[]", metric), refused).await;
    check(
        &house,
        "/loki/api/v1/query_range",
        &[("query", format!("{stream}{}", r#" |~ "\\pL{100}""#.repeat(2)))],
        refused,
    )
    .await;
    check(&house, "/loki/api/v1/labels", &thrice("match[]", stream), refused).await;
    check(&house, "/api/v2/alerts", &thrice("filter", r#"b=~"\\pL{100}""#), refused).await;
}

#[tokio::test]
async fn volumes_are_told_by_a_bounded_number_of_labels() {
    let house = House::open(settings()).await;
    let targets = |count: usize| {
        let names: Vec<String> = (0..count).map(|at| format!("l{at}")).collect();
        [("query", r#"{a=~".+"}"#.to_owned()), ("targetLabels", names.join(","))]
    };
    let volume = "/loki/api/v1/index/volume";
    check(&house, volume, &targets(64), (200, "vector")).await;
    check(&house, volume, &targets(65), (400, "targetLabels names 65 labels, volumes are told by at most 64")).await;
}

#[tokio::test]
async fn steps_begin_no_earlier_than_time_does() {
    let house = House::open(settings()).await;
    let asked = [
        ("query", r#"count_over_time({a="b"}[5m])"#),
        // A nanosecond after the first of 64 bits.
        ("start", "1677-09-21T00:12:43.145224193Z"),
        ("end", "1677-09-21T00:12:50Z"),
        ("step", "1"),
    ];
    let asked = asked.map(|(name, value)| (name, value.to_owned()));
    check(&house, "/loki/api/v1/query_range", &asked, (200, "matrix")).await;
}
