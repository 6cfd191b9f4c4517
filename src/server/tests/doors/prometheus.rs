//! The Prometheus API: shapes, parameters, errors.

use prost::Message as _;
use serde_json::{Value, json};

use crate::client::{self, Reply};
use crate::house::{House, now_ms, settings};
use crate::payload::gauge;

/// Two points of `up`, a minute apart, in a store of their own; the second one's time in ms.
async fn house() -> (House, i64) {
    let house = House::open(settings()).await;
    let at_ms = now_ms() / 60_000 * 60_000 - 60_000;
    let body = gauge("up", &[(at_ms - 60_000, Some(1.0)), (at_ms, Some(0.25))]).encode_to_vec();
    let pushed = house.post("/v1/metrics", &[("content-type", "application/x-protobuf")], body).await;
    assert_eq!(pushed.status, 200, "{}", pushed.text());
    (house, at_ms)
}

fn metric() -> Value {
    json!({"__name__": "up", "job": "api", "service_name": "api", "zone": "a"})
}

#[tokio::test]
async fn answers_have_prometheus_shapes() {
    let (house, at_ms) = house().await;
    let at_s = at_ms / 1_000;
    for (path, expected) in [
        (
            format!("query?query=up&time={at_s}"),
            json!({"resultType": "vector", "result": [{"metric": metric(), "value": [at_s, "0.25"]}]}),
        ),
        (
            format!("query?query=up[90s]&time={at_s}"),
            json!({"resultType": "matrix", "result": [{"metric": metric(), "values": [[at_s - 60, "1"], [at_s, "0.25"]]}]}),
        ),
        (
            format!("query_range?query=up&start={}&end={at_s}&step=1m", at_s - 60),
            json!({"resultType": "matrix", "result": [{"metric": metric(), "values": [[at_s - 60, "1"], [at_s, "0.25"]]}]}),
        ),
        (
            format!("query?query=1%2B1&time={at_s}.5"),
            json!({"resultType": "scalar", "result": [at_s as f64 + 0.5, "2"]}),
        ),
        (format!("query?query=%22x%22&time={at_s}"), json!({"resultType": "string", "result": [at_s, "x"]})),
        (format!("query?query=up&time={}", at_s + 301), json!({"resultType": "vector", "result": []})),
        (
            format!("query?query=up&time={}&lookback_delta=10m", at_s + 301),
            json!({"resultType": "vector", "result": [{"metric": metric(), "value": [at_s + 301, "0.25"]}]}),
        ),
        ("series?match[]=up".into(), json!([metric()])),
        ("series?match[]=up&match[]={job=\"api\"}&start=0&unknown=x".into(), json!([metric()])),
        ("series?match[]=down".into(), json!([])),
        ("labels".into(), json!(["__name__", "job", "service_name", "zone"])),
        ("labels?match[]=up&limit=2".into(), json!(["__name__", "job"])),
        ("label/job/values".into(), json!(["api"])),
        ("label/U__zone/values?match[]=up".into(), json!(["a"])),
        ("label/absent/values".into(), json!([])),
        ("metadata?metric=up".into(), json!({"up": [{"type": "gauge", "help": "", "unit": ""}]})),
        ("metadata?metric=none".into(), json!({})),
        ("alerts".into(), json!({"alerts": []})),
        ("format_query?query=sum(up)by(job)".into(), json!("sum by (job) (up)")),
    ] {
        let path = format!("/api/v1/{}", path.replace('{', "%7B").replace('}', "%7D").replace('"', "%22"));
        assert_eq!(House::data(&house.get(&path, &[]).await), expected, "{path}");
    }
}

#[tokio::test]
async fn forms_are_read_and_answers_packed() {
    let (house, at_ms) = house().await;
    let form = |text: &str| {
        let url = format!("http://{}/api/v1/query", house.http);
        let body = text.as_bytes().to_vec();
        async move { client::send("POST", &url, &[("content-type", "application/x-www-form-urlencoded")], body).await }
    };
    let reply = form(&format!("query=up+%2B+1&time={}", at_ms / 1_000)).await;
    assert_eq!(House::data(&reply)["result"][0]["value"][1], json!("1.25"));
    let long = form(&format!("query={}", "x".repeat(2 << 20))).await;
    assert_eq!(long.status, 400, "{}", long.text());

    for (packing, magic) in [("gzip", &[0x1f, 0x8b][..]), ("zstd", &[0x28, 0xb5])] {
        let reply = house.get("/api/v1/labels", &[("accept-encoding", packing)]).await;
        assert_eq!(reply.header("content-encoding"), packing);
        assert!(reply.body.starts_with(magic));
    }
}

#[tokio::test]
async fn an_absent_tenant_answers_with_nothing_and_still_counts() {
    let house = House::open(settings()).await;
    let empty = [("x-scope-orgid", "never-seen")];
    for (path, expected) in [
        (
            "query?query=vector(1)&time=5",
            json!({"resultType": "vector", "result": [{"metric": {}, "value": [5, "1"]}]}),
        ),
        (
            "query?query=absent(up)&time=5",
            json!({"resultType": "vector", "result": [{"metric": {}, "value": [5, "1"]}]}),
        ),
        ("query?query=up", json!({"resultType": "vector", "result": []})),
        ("query_range?query=up&start=0&end=9&step=1", json!({"resultType": "matrix", "result": []})),
        ("series?match[]=up", json!([])),
        ("labels", json!([])),
        ("label/job/values", json!([])),
        ("metadata", json!({})),
        ("rules", json!({"groups": []})),
    ] {
        assert_eq!(House::data(&house.get(&format!("/api/v1/{path}"), &empty).await), expected, "{path}");
    }
    house.assert_nothing_stored("never-seen").await;
}

#[tokio::test]
async fn bad_requests_are_told_why() {
    let (house, _) = house().await;
    let check = async |path: &str, status: u16, kind: &str, says: &str| {
        let reply = house.get(&format!("/api/v1/{path}"), &[]).await;
        let json = reply.json();
        assert_eq!(
            (reply.status, &json["status"], &json["errorType"]),
            (status, &json!("error"), &json!(kind)),
            "{path}: {json}"
        );
        let error = json["error"].as_str().unwrap();
        assert!(error.contains(says), "{path}: {error}");
    };
    for (path, says) in [
        ("query", "invalid parameter \"query\""),
        ("query?query=up%7B", "invalid parameter \"query\": 1:"),
        ("query?query=sum(", "parse error"),
        (
            "query?query=up&time=yesterday",
            "invalid parameter \"time\": invalid time value for 'time': cannot parse \"yesterday\" to a valid timestamp",
        ),
        ("query?query=up&lookback_delta=x", "error parsing lookback delta duration: cannot parse \"x\""),
        ("query?query=up&timeout=0", "timeout"),
        ("query?query=up&limit=-1", "invalid parameter \"limit\": limit must be non-negative"),
        ("query?query=up&limit=x", "invalid parameter \"limit\""),
        ("query_range?query=up&end=1&step=1", "invalid parameter \"start\": cannot parse \"\" to a valid timestamp"),
        ("query_range?query=up&start=0&end=x&step=1", "invalid parameter \"end\": cannot parse \"x\""),
        ("query_range?query=up&start=0&end=1", "invalid parameter \"step\": cannot parse \"\" to a valid duration"),
        ("query_range?query=up%7B&start=0&end=1&step=1", "invalid parameter \"query\": 1:"),
        ("query_range?query=up[5m]&start=0&end=1&step=1", "invalid expression type"),
        ("query_exemplars?query=up&start=5&end=1", "end timestamp must not be before start timestamp"),
        ("query_exemplars", "parse error"),
        ("parse_query?query=sum(", "invalid parameter \"query\""),
        ("metadata?limit=x", "limit must be a number"),
        ("metadata?limit_per_metric=x", "limit_per_metric must be a number"),
        ("status/tsdb?limit=0", "limit must be a positive number"),
        ("status/tsdb?limit=10001", "limit must not exceed 10000"),
        ("cardinality?limit=0", "1 to 10000"),
        ("cardinality?grown=perhaps", "grown"),
        ("query_range?query=up&start=0&end=1&step=0", "zero or negative"),
        ("query_range?query=up&start=5&end=1&step=1", "end timestamp must not be before start time"),
        ("query_range?query=up&start=0&end=11001&step=1", "11,000 points"),
        ("series", "match[]"),
        ("series?match[]=sum(up)", "match[]"),
        ("series?match[]=%7Ba=%22%22%7D", "non-empty matcher"),
        ("labels?start=x", "\"start\""),
        ("labels?match[]=up[", "1:"),
        ("label/%FF/values", "label name"),
        ("rules?type=x", "type"),
        ("rules?match[]=up[", "1:"),
        ("rules?exclude_alerts=x", "exclude_alerts"),
        ("rules?group_limit=0", "greater than 0"),
        ("rules?group_limit=x", "valid number"),
        ("rules?group_next_token=x", "group_limit needs to be present"),
        ("rules?group_limit=1&group_next_token=x", "invalid group_next_token 'x'"),
        ("logs?q=%22open", ""),
        ("logs?from=yesterday", "now-1h"),
        ("logs?limit=100000", "5000"),
        ("logs?direction=up", "direction"),
        ("logs/histogram?buckets=0", "buckets"),
        ("logs/histogram?from=9&to=8", "before"),
    ] {
        check(path, 400, "bad_data", says).await;
    }
    check("query?query=up%20%2B%20on()%20group_left()%20(up%20or%20vector(1))", 422, "execution", "").await;
    check("nothing/here", 404, "not_found", "nothing at /api/v1/nothing/here").await;
    let many = "label_replace(up,\"a\",\"$1\",\"b\",\"(.*)\")";
    let reply: Reply = house.get(&format!("/api/v1/query?query={}", many.replace('"', "%22")), &[]).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
}

#[tokio::test]
async fn rules_have_prometheus_shape() {
    let house = House::open(settings()).await;
    let groups = House::data(&house.get("/api/v1/rules", &[]).await);
    let group = &groups["groups"][0];
    assert_eq!(
        (&group["name"], &group["file"], &group["interval"]),
        (&json!("tests"), &json!("rules/test.yml"), &json!(30))
    );
    let (recording, alerting) = (&group["rules"][0], &group["rules"][1]);
    assert_eq!((&recording["type"], &recording["name"]), (&json!("recording"), &json!("job:up:sum")));
    assert_eq!(
        (&alerting["type"], &alerting["name"], &alerting["duration"]),
        (&json!("alerting"), &json!("Down"), &json!(60))
    );
    assert_eq!(alerting["labels"], json!({"severity": "critical"}));
    for (filter, names) in [
        ("type=Alert", vec!["Down"]),
        ("rule_name[]=job:up:sum", vec!["job:up:sum"]),
        ("file[]=x", vec![]),
        ("match[]=%7Bseverity=%22critical%22%7D", vec!["Down"]),
        ("match[]=%7Bseverity=%22info%22%7D&match[]=%7Bseverity=~%22crit.%2B%22%7D", vec!["Down"]),
        ("group_limit=1", vec!["job:up:sum", "Down"]),
    ] {
        let groups = House::data(&house.get(&format!("/api/v1/rules?{filter}"), &[]).await);
        let found: Vec<Value> = groups["groups"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|group| group["rules"].as_array().unwrap().iter().map(|rule| rule["name"].clone()))
            .collect();
        assert_eq!(json!(found), json!(names), "{filter}");
    }
}

#[tokio::test]
async fn others_scrape_and_read_what_is_stored() {
    let (house, at_ms) = house().await;
    let scraped = house.get("/federate?match[]=up&match[]=down", &[]).await;
    assert_eq!(
        (scraped.status, scraped.header("content-type"), scraped.text()),
        (
            200,
            "text/plain; version=0.0.4; charset=utf-8; escaping=underscores",
            format!(
                "# TYPE up untyped\nup{{job=\"api\",service_name=\"api\",zone=\"a\",instance=\"\"}} 0.25 {at_ms}\n"
            )
        )
    );
    for (path, part) in [("/federate?match[]=%7B%7D", "non-empty matcher"), ("/federate?match[]=up[", "parse error")] {
        let refused = house.get(path, &[]).await;
        assert_eq!(refused.status, 400, "{path}");
        assert!(refused.text().contains(part), "{}", refused.text());
    }
    // A ReadRequest of `{__name__="up"}` from 0 on, by its bytes: queries[0] with end and one matcher.
    let mut query = vec![0x10];
    prost::encoding::encode_varint(u64::try_from(at_ms).unwrap(), &mut query);
    query.extend(b"\x1a\x0e\x12\x08__name__\x1a\x02up");
    let request = [&[0x0a, u8::try_from(query.len()).unwrap()][..], &query].concat();
    let pack = |plain: &[u8]| snap::raw::Encoder::new().compress_vec(plain).unwrap();
    let headers = [("content-type", "application/x-protobuf"), ("content-encoding", "snappy")];
    let url = format!("http://{}/api/v1/read", house.http);
    let read = client::send("POST", &url, &headers, pack(&request)).await;
    assert_eq!((read.status, read.header("content-encoding")), (200, "snappy"), "{}", read.text());
    let plain = snap::raw::Decoder::new().decompress_vec(&read.body).unwrap();
    // The last sample ends the only series of the only result: a fixed64 and the time.
    let mut sample = vec![0x09];
    sample.extend(0.25_f64.to_le_bytes());
    sample.push(0x10);
    prost::encoding::encode_varint(u64::try_from(at_ms).unwrap(), &mut sample);
    assert!(plain.ends_with(&sample), "{plain:?}");
    // The same as chunks, asked for first: a frame's length, its checksum, and one chunk of one sample in it.
    let streamed = client::send("POST", &url, &headers, pack(&[&request[..], b"\x10\x01\x10\x00"].concat())).await;
    let told = (streamed.status, streamed.header("content-encoding"), streamed.header("content-type"));
    assert_eq!(told, (200, "", "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse"));
    assert_eq!(usize::from(streamed.body[0]), streamed.body.len() - 5);
    // Both samples: the first as it is, the other as what changed.
    let first = 1.0_f64.to_be_bytes();
    assert!(streamed.body.windows(first.len()).any(|bytes| bytes == first), "{:?}", streamed.body);
    for (body, part) in
        [(pack(b"\xff"), "no ReadRequest"), (b"plain".to_vec(), "snappy"), (pack(b"\x10\x07"), "SAMPLES")]
    {
        let refused = client::send("POST", &url, &headers, body).await;
        assert_eq!(refused.status, 400);
        assert!(refused.text().contains(part), "{}", refused.text());
    }
}
