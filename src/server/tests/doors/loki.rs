//! Loki's query API as its clients use it: Grafana's data source and Logs Drilldown, logcli. Requests as they write them, answers field
//! by field as their code reads them (grafana public/app/plugins/datasource/loki, loki pkg/logcli).

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client;
use crate::house::{House, now_ms, settings};

const CATEGORIZE: [(&str, &str); 2] =
    [("user-agent", "Grafana/12.3.0"), ("x-loki-response-encoding-flags", "categorize-labels")];

fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

struct Loki {
    house: House,
    /// Time of the newest record, in ns; the others come a second before each.
    at_ns: i64,
}

impl Loki {
    /// Four records of `api`, one of `worker`, one without a service.
    async fn new() -> Loki {
        let house = House::open(settings()).await;
        let at_ns = (now_ms() / 60_000 * 60_000 - 60_000) * 1_000_000;
        let loki = Loki { house, at_ns };
        loki.push("api", 0, 9, r#"{"status":200,"path":"/a"}"#).await;
        loki.push("api", 1, 17, r#"{"status":500,"path":"/b"}"#).await;
        loki.push("api", 2, 0, "level=warn msg=\"slow query\" took=2s").await;
        loki.push("api", 3, 0, "plain text 1").await;
        loki.push("worker", 4, 9, "done <ok>").await;
        loki.push("", 5, 0, "nobody's").await;
        loki
    }

    fn ns(&self, before_s: i64) -> i64 {
        self.at_ns - before_s * 1_000_000_000
    }

    async fn push(&self, service: &str, before_s: i64, severity: i32, line: &str) {
        let mut attributes = vec![json!({"key": "host.name", "value": {"stringValue": "h1"}})];
        if !service.is_empty() {
            attributes.push(json!({"key": "service.name", "value": {"stringValue": service}}));
        }
        let record = json!({
            "timeUnixNano": self.ns(before_s).to_string(), "severityNumber": severity, "body": {"stringValue": line},
        });
        let request = json!({"resourceLogs": [{"resource": {"attributes": attributes}, "scopeLogs": [{"logRecords": [record]}]}]});
        let headers = [("content-type", "application/json")];
        let pushed = self.house.post("/v1/logs", &headers, request.to_string().into()).await;
        assert_eq!(pushed.status, 200, "{}", pushed.text());
    }

    /// The range of all records, as Grafana writes it.
    fn range(&self) -> String {
        format!("start={}&end={}", self.ns(10), self.ns(-1))
    }

    async fn get(&self, path: &str) -> Value {
        let reply = self.house.get(&format!("/loki/api/v1/{path}"), &CATEGORIZE).await;
        assert_eq!(reply.status, 200, "{path}: {}", reply.text());
        assert_eq!(reply.header("content-type"), "application/json; charset=UTF-8");
        reply.json()
    }

    async fn query(&self, query: &str) -> Value {
        self.get(&format!("query?query={}&time={}", encoded(query), self.at_ns)).await
    }

    async fn lines(&self, query: &str, more: &str) -> Value {
        self.get(&format!("query_range?query={}&{}{more}", encoded(query), self.range())).await
    }
}

/// Without what differs from run to run.
fn result(answer: &Value) -> (&Value, &Value) {
    assert_eq!(answer["status"], "success");
    assert!(answer["data"]["stats"]["summary"]["totalLinesProcessed"].is_u64(), "{answer}");
    (&answer["data"]["resultType"], &answer["data"]["result"])
}

#[tokio::test]
async fn grafana_asks_for_lines_and_gets_labels_apart() {
    let loki = Loki::new().await;
    let answer =
        loki.lines(r#"{service_name="api"} |= `status` | json"#, "&direction=backward&limit=1000&step=1000ms").await;
    assert_eq!(answer["data"]["encodingFlags"], json!(["categorize-labels"]));
    assert_eq!(
        result(&answer),
        (
            &json!("streams"),
            &json!([{
                "stream": {"service_name": "api"},
                "values": [
                    [loki.ns(0).to_string(), r#"{"status":200,"path":"/a"}"#, {
                        "structuredMetadata": {"detected_level": "info", "host_name": "h1", "severity_number": "9"},
                        "parsed": {"path": "/a", "status": "200"},
                    }],
                    [loki.ns(1).to_string(), r#"{"status":500,"path":"/b"}"#, {
                        "structuredMetadata": {"detected_level": "error", "host_name": "h1", "severity_number": "17"},
                        "parsed": {"path": "/b", "status": "500"},
                    }],
                ],
            }])
        )
    );
    // Without the flag a stream has all labels, as logcli shows them.
    let path = format!(
        "/loki/api/v1/query_range?query={}&{}&direction=FORWARD&limit=2",
        encoded(r#"{service_name=~".+"} |~ "t.*1|<ok>""#),
        loki.range()
    );
    let answer = loki.house.get(&path, &[]).await.json();
    assert_eq!(
        result(&answer).1,
        &json!([
            {
                "stream": {"detected_level": "info", "host_name": "h1", "service_name": "worker", "severity_number": "9"},
                "values": [[loki.ns(4).to_string(), "done <ok>"]],
            },
            {
                "stream": {"detected_level": "unknown", "host_name": "h1", "service_name": "api"},
                "values": [[loki.ns(3).to_string(), "plain text 1"]],
            },
        ])
    );
    assert_eq!(result(&loki.lines(r#"{service_name="nope"}"#, "").await), (&json!("streams"), &json!([])));
}

#[tokio::test]
async fn grafana_counts_and_checks_health() {
    let loki = Loki::new().await;
    let at_s = loki.at_ns / 1_000_000_000;
    assert_eq!(
        result(&loki.query("vector(1)+vector(1)").await),
        (&json!("vector"), &json!([{"metric": {}, "value": [at_s, "2"]}]))
    );
    assert_eq!(result(&loki.query("1.5").await), (&json!("scalar"), &json!([at_s, "1.5"])));
    assert_eq!(
        result(&loki.query(r#"sum by (service_name) (count_over_time({service_name=~"api|worker"}[1m]))"#).await),
        (
            &json!("vector"),
            &json!([
                {"metric": {"service_name": "api"}, "value": [at_s, "4"]},
                {"metric": {"service_name": "worker"}, "value": [at_s, "1"]},
            ])
        )
    );
    // The volume histogram over the lines.
    let query = r#"sum by (level, detected_level) (count_over_time({service_name="api"}[1m]))"#;
    let step = format!("&step=60000ms&start={}&end={}", loki.ns(30), loki.ns(0));
    let answer = loki.get(&format!("query_range?query={}{step}", encoded(query))).await;
    let levels = |at: i64| {
        ["error", "info", "unknown", "warn"]
            .map(|level| json!({"metric": {"detected_level": level}, "values": [[at, "1"]]}))
    };
    assert_eq!(result(&answer), (&json!("matrix"), &json!(levels(at_s))), "start and end are moved to whole steps");
    let answer = loki.query(r#"sum by (status) (rate({service_name="api"} | json | __error__="" [10s]))"#).await;
    let expected = json!([
        {"metric": {"status": "200"}, "value": [at_s, "0.1"]},
        {"metric": {"status": "500"}, "value": [at_s, "0.1"]},
    ]);
    assert_eq!(result(&answer).1, &expected);
    // As a form, too.
    let url = format!("http://{}/loki/api/v1/query", loki.house.http);
    let form = format!("query={}&time={}", encoded("vector(7)"), at_s);
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    let answer = client::send("POST", &url, &headers, form.into()).await.json();
    assert_eq!(result(&answer).1, &json!([{"metric": {}, "value": [at_s, "7"]}]));
}

#[tokio::test]
async fn browsers_of_labels_find_streams() {
    let loki = Loki::new().await;
    let range = loki.range();
    assert_eq!(loki.get(&format!("labels?{range}")).await, json!({"status": "success", "data": ["service_name"]}));
    assert_eq!(
        loki.get(&format!("label/service_name/values?{range}")).await["data"],
        json!(["api", "unknown_service", "worker"])
    );
    let query = encoded(r#"{service_name=~"a.*"}"#);
    assert_eq!(loki.get(&format!("label/service_name/values?{range}&query={query}")).await["data"], json!(["api"]));
    // `host.name` is structured metadata.
    assert_eq!(loki.get(&format!("label/host_name/values?{range}")).await, json!({"status": "success"}));
    let series =
        loki.get(&format!("series?{range}&match%5B%5D={query}&match%5B%5D=%7Bservice_name%3D%22worker%22%7D")).await;
    assert_eq!(series, json!({"status": "success", "data": [{"service_name": "api"}, {"service_name": "worker"}]}));
    // logcli series '{}'
    let series = loki.get(&format!("series?{range}&match=%7B%7D")).await;
    assert_eq!(series["data"].as_array().map(Vec::len), Some(3));
    assert_eq!(loki.get("labels?start=1000000000&end=1000000001").await, json!({"status": "success"}));
    let detected = loki.get(&format!("detected_labels?{range}&query=%7B%7D")).await;
    assert_eq!(detected, json!({"detectedLabels": [{"label": "service_name", "cardinality": 3}]}));
}

#[tokio::test]
async fn drilldown_finds_volumes_fields_and_patterns() {
    let loki = Loki::new().await;
    let range = loki.range();
    let query = encoded(r#"{service_name=~".+"}"#);
    let stats = loki.get(&format!("index/stats?{range}&query={query}")).await;
    assert_eq!((&stats["streams"], &stats["entries"]), (&json!(3), &json!(6)), "{stats}");
    assert!(stats["bytes"].as_u64() > Some(50) && stats["chunks"].as_u64() > Some(0), "{stats}");

    let volume = loki.get(&format!("index/volume?{range}&query={query}&limit=5000")).await;
    let names: Vec<&Value> =
        result(&volume).1.as_array().unwrap().iter().map(|row| &row["metric"]["service_name"]).collect();
    assert_eq!(names, ["api", "worker", "unknown_service"], "{volume}");
    let path = format!("index/volume_range?{range}&query={query}&step=10s&aggregateBy=labels");
    let volume = loki.get(&path).await;
    assert_eq!(result(&volume).0, "matrix");
    assert_eq!(result(&volume).1[0]["metric"], json!({"service_name": ""}));

    let query = encoded(r#"{service_name="api"}"#);
    let found = loki.get(&format!("detected_fields?{range}&query={query}")).await;
    assert_eq!(found["limit"], 1000);
    let fields: Vec<String> = found["fields"]
        .as_array()
        .unwrap()
        .iter()
        .map(|field| {
            let path = field.get("jsonPath").map(|path| format!(" {path}")).unwrap_or_default();
            format!("{} {} {} {}{path}", field["label"], field["type"], field["cardinality"], field["parsers"])
        })
        .collect();
    assert_eq!(
        fields,
        [
            r#""detected_level" "string" 4 null"#,
            r#""host_name" "string" 1 null"#,
            r#""level" "string" 1 ["logfmt"]"#,
            r#""msg" "string" 1 ["logfmt"]"#,
            r#""path" "string" 2 ["json"] ["path"]"#,
            r#""severity_number" "int" 2 null"#,
            r#""status" "int" 2 ["json"] ["status"]"#,
            r#""took" "duration" 1 ["logfmt"]"#,
        ]
    );
    // Streams in falling order of their labels: a field has the kind of the value seen last.
    loki.push("shop", 2, 9, r#"{"ship":{" to ":"x"},"v":"7"}"#).await;
    loki.push("shop", 1, 17, "v=many").await;
    let of_shop = encoded(r#"{service_name="shop"} | label_format seen=`{{.v}}yes`"#);
    let found = loki.get(&format!("detected_fields?{range}&query={of_shop}&limit=5")).await;
    let field = |name: &str| found["fields"].as_array().unwrap().iter().find(|field| field["label"] == name).cloned();
    assert_eq!(found["fields"].as_array().map(Vec::len), Some(5), "{found}");
    assert_eq!(
        field("ship_to"),
        Some(
            json!({"label": "ship_to", "type": "string", "cardinality": 1, "parsers": ["json"], "jsonPath": ["ship", " to "]})
        )
    );
    assert_eq!(field("seen").map(|field| field["parsers"].clone()), Some(json!(["json", "logfmt"])));
    let values = loki.get(&format!("detected_field/status/values?{range}&query={query}")).await;
    assert_eq!(values, json!({"values": ["200", "500"], "limit": 1000}));

    // As a query would name them: a duration of a minute is a size, too.
    loki.push("sizes", 1, 9, "took=1m size=1536B name=ab").await;
    let of_sizes = encoded(r#"{service_name="sizes"}"#);
    for (name, expected) in [("took", "1.0MB"), ("size", "1.5kB"), ("name", "ab"), ("host_name", "h1")] {
        let values = loki.get(&format!("detected_field/{name}/values?{range}&query={of_sizes}")).await;
        assert_eq!(values, json!({"values": [expected], "limit": 1000}), "{name}");
    }
    let nobody = encoded(r#"{service_name="nobody"}"#);
    for path in ["detected_fields", "detected_field/took/values", "detected_field/none/values"] {
        assert_eq!(loki.get(&format!("{path}?{range}&query={nobody}")).await, json!({}), "{path}");
    }

    let patterns = loki.get(&format!("patterns?{range}&query={query}&step=10s")).await;
    assert_eq!(patterns["data"][0]["samples"][0][1].as_u64().map(|count| count > 0), Some(true), "{patterns}");
    // A series for each level, as the lines of a template differ in it.
    let of_json =
        patterns["data"].as_array().unwrap().iter().filter(|one| one["pattern"] == r#"{"status":<_>,"path":"<_>"}"#);
    assert_eq!(of_json.map(|one| &one["level"]).collect::<Vec<_>>(), ["info", "error"], "{patterns}");
    assert_eq!(loki.get("status/buildinfo").await["version"], "3.7.6");
    let limits = loki.get("drilldown-limits").await;
    assert_eq!(limits["pattern_ingester_enabled"], true);
    let limits = &limits["limits"];
    assert_eq!((&limits["retention_period"], &limits["query_timeout"]), (&json!("30d"), &json!("20s")), "{limits}");
    assert_eq!((&limits["max_query_length"], &limits["volume_max_series"]), (&json!("30d1h"), &json!(1000)));
    assert_eq!(
        (&limits["log_level_fields"][0], &limits["discover_service_name"][12]),
        (&json!("level"), &json!("k8s_job_name"))
    );
    let labels = &limits["otlp_config"]["resource_attributes"]["attributes_config"][0];
    assert_eq!((&labels["action"], &labels["attributes"][0]), (&json!("index_label"), &json!("service.name")));
}

#[tokio::test]
async fn refusals_are_lokis() {
    let loki = Loki::new().await;
    for (path, status, expected) in [
        ("query?query=%7B", 400, "parse error"),
        ("query?query=%7Ba%3D%22b%22%7D", 400, "log queries are not supported as an instant query type"),
        ("query?query=1&direction=up", 400, "invalid direction 'up'"),
        ("query_range?query=%7Ba%3D%22b%22%7D&limit=0", 400, "limit must be a positive value"),
        ("query_range?query=%7Ba%3D%22b%22%7D&limit=5001", 400, "max entries limit per query exceeded"),
        ("query_range?query=%7Ba%3D%22b%22%7D&start=2&end=1", 400, "end timestamp must not be before"),
        (
            "query_range?query=%7Ba%3D%22b%22%7D&start=soon",
            400,
            r#"could not parse 'start' parameter: strconv.ParseInt: parsing "soon": invalid syntax"#,
        ),
        ("query_range?query=%7Ba%3D%22b%22%7D&since=long", 400, "could not parse 'since' parameter"),
        ("query_range?query=%7Ba%3D%22b%22%7D&step=often", 400, r#"cannot parse "often" to a valid duration"#),
        ("index/volume?query=%7Ba%3D%22b%22%7D&limit=-1", 400, "limit must be a positive value"),
        ("index/volume?query=%7Ba%3D%22b%22%7D&aggregateBy=days", 400, "invalid aggregation option"),
        ("series?match%5B%5D=%7Ba%3D%22b%22%7D%7Cjson", 400, "only label matchers are supported"),
        ("labels?query=%7Ba%3D%22b%22%7D%7C%3D%22c%22", 400, "only label matchers are supported"),
        ("index/stats?query=rate(%7Ba%3D%22b%22%7D%5B1m%5D)", 400, "only label matchers are supported"),
        ("detected_fields?query=%7Ba%3D%22b%22%7D&line_limit=5001", 400, "max entries limit per query exceeded"),
        ("query_range?query=%7Ba%3D%22b%22%7D&step=0", 400, "zero or negative query resolution step"),
        ("query_range?query=%7Ba%3D%22b%22%7D&step=1&start=0&end=1000000", 400, "exceeded maximum resolution"),
        ("query_range?query=%7Ba%3D%22b%22%7D&direction=up", 400, "invalid direction 'up'"),
        ("query_range?query=%7Ba%3D%22b%22%7D&interval=-1", 400, "interval must be >= 0"),
        ("tail?query=%7Ba%3D%22b%22%7D", 400, "WebSocket"),
        ("delete?query=%7Ba%3D%22b%22%7D&start=1", 501, "[[retention.logs_streams]]"),
        ("nothing", 404, "nothing at /loki/api/v1/nothing"),
    ] {
        let reply = loki.house.get(&format!("/loki/api/v1/{path}"), &[]).await;
        assert_eq!(reply.status, status, "{path}: {}", reply.text());
        assert!(reply.text().contains(expected), "{path}: {}", reply.text());
        assert!(!reply.text().ends_with('\n'), "{path}: {:?}", reply.text());
        assert_eq!(reply.header("content-type"), "text/plain; charset=utf-8");
    }
    let reply = loki.house.get("/loki/api/v1/detected_fields?query=%7Ba%3D%22b%22%7D&line_limit=0", &[]).await;
    assert_eq!((reply.status, reply.text().as_str()), (400, "limit must be a positive value"));
    // A tenant that does not exist has no lines, and no query makes it.
    let headers = [("x-scope-orgid", "nobody")];
    let reply = loki.house.get("/loki/api/v1/query_range?query=%7Ba%3D%22b%22%7D", &headers).await;
    assert_eq!(reply.json()["data"]["result"], json!([]));
    loki.house.assert_nothing_stored("nobody").await;
}

/// Loki finds these while it evaluates, and calls them its own failure.
#[tokio::test]
async fn what_cannot_be_applied_is_lokis_failure_but_not_ours() {
    let loki = Loki::new().await;
    let by_line = r#"sum by (service_name, detected_level) (count_over_time({service_name=~".+"}[1m]))"#;
    let by_service = r#"sum by (service_name) (count_over_time({service_name=~".+"}[1m]))"#;
    let twice = "found duplicate series on the right hand-side;many-to-many matching not allowed: matching labels must be unique on one side";
    let unwanted = "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)";
    for (query, path, expected) in [
        (format!("{by_line} / on (service_name) {by_service}"), "query", unwanted),
        (format!("{by_service} / on (service_name) {by_line}"), "query_range", twice),
        ("sum(2)".into(), "query", "sum needs series, not a number; vector() makes one of it"),
        ("approx_topk(1, vector(1))".into(), "query_range", "count min sketches are only supported on instant queries"),
    ] {
        let range = format!("time={}&{}", loki.at_ns, loki.range());
        let reply = loki.house.get(&format!("/loki/api/v1/{path}?query={}&{range}", encoded(&query)), &[]).await;
        assert_eq!((reply.status, reply.text().as_str()), (500, expected), "{query}");
    }
    // Rules watch for answers of 5xx.
    let metrics = loki.house.get("/metrics", &[]).await.text();
    let has = |kind: &str, code: &str| {
        let labels = [format!("kind=\"{kind}\""), format!("code=\"{code}\"")];
        let is_counted = |line: &str| line.starts_with("binnacle_search_requests_total{");
        metrics.lines().any(|line| is_counted(line) && labels.iter().all(|label| line.contains(label)))
    };
    for kind in ["loki_instant", "loki_range"] {
        assert!(has(kind, "400") && !has(kind, "500"), "{kind}: {metrics}");
    }
}

/// Where Loki's frontend asks how long a range is.
#[tokio::test]
async fn a_range_is_no_longer_than_what_is_kept() {
    let loki = Loki::new().await;
    let end_s = loki.at_ns / 1_000_000_000;
    let query = encoded(r#"{service_name="api"}"#);
    let count = encoded(r#"sum(count_over_time({service_name="api"}[1m]))"#);
    for (path, is_bounded) in [
        (format!("query_range?query={query}"), true),
        (format!("query_range?query={count}&step=1h"), true),
        ("labels?".into(), true),
        ("label/service_name/values?".into(), true),
        (format!("series?match%5B%5D={query}"), true),
        (format!("index/stats?query={query}"), true),
        (format!("index/volume?query={query}"), true),
        (format!("index/volume_range?query={query}&step=1h"), true),
        (format!("detected_fields?query={query}"), true),
        (format!("detected_field/status/values?query={query}"), true),
        (format!("detected_labels?query={query}"), true),
        (format!("patterns?query={query}&step=1h"), false),
    ] {
        for (hours, more_s) in [(721, 0), (721, 1)] {
            let start_s = end_s - hours * 3_600 - more_s;
            let path = format!("/loki/api/v1/{path}&start={start_s}&end={end_s}");
            let reply = loki.house.get(&path, &[]).await;
            if is_bounded && more_s > 0 {
                let expected = "the query time range exceeds the limit (query length: 721h0m1s, limit: 30d1h)";
                assert_eq!((reply.status, reply.text().as_str()), (400, expected), "{path}");
            } else {
                assert_eq!(reply.status, 200, "{path}: {}", reply.text());
            }
        }
    }
}

/// Loki's frontend asks for the series that `topk` chooses from; they must not be too many, though the answer's are few.
#[tokio::test]
async fn parts_of_a_query_have_no_more_series_than_an_answer_may() {
    let house = House::open(settings()).await;
    let at_ns = (now_ms() - 60_000) * 1_000_000;
    let record = |n: i64| json!({"timeUnixNano": (at_ns + n).to_string(), "body": {"stringValue": format!("n={n}")}});
    let records: Vec<Value> = (0..501).map(record).collect();
    let resource = json!({"attributes": [{"key": "service.name", "value": {"stringValue": "wide"}}]});
    let request = json!({"resourceLogs": [{"resource": resource, "scopeLogs": [{"logRecords": records}]}]});
    let headers = [("content-type", "application/json")];
    assert_eq!(house.post("/v1/logs", &headers, request.to_string().into()).await.status, 200);
    let count = r#"count_over_time({service_name="wide"} | logfmt [5m])"#;
    for (query, status) in [
        (format!("sum({count})"), 200),
        (format!("max({count})"), 200),
        (format!("sum by (n) ({count})"), 400),
        (format!("topk(3, {count})"), 400),
        (format!("stddev({count})"), 400),
        (format!("{count} > 5"), 400),
        (format!("sum({count}) > 5"), 200),
        (format!("topk(3, sum by (service_name) ({count}))"), 200),
    ] {
        for path in ["query", "query_range"] {
            let reply = house.get(&format!("/loki/api/v1/{path}?query={}", encoded(&query)), &[]).await;
            assert_eq!(reply.status, status, "{path} {query}: {}", reply.text());
            assert!(status == 200 || reply.text().contains("maximum number of series (500)"), "{}", reply.text());
        }
    }
}

/// A text message of a server, which never masks its frames.
async fn message(socket: &mut TcpStream) -> Value {
    let mut head = [0; 2];
    socket.read_exact(&mut head).await.unwrap();
    assert_eq!(head[0], 0x81, "one whole text message");
    let mut length = usize::from(head[1]);
    if length == 126 {
        let mut more = [0; 2];
        socket.read_exact(&mut more).await.unwrap();
        length = usize::from(u16::from_be_bytes(more));
    }
    let mut text = vec![0; length];
    socket.read_exact(&mut text).await.unwrap();
    serde_json::from_slice(&text).unwrap()
}

#[tokio::test]
async fn a_tail_tells_what_comes() {
    let loki = Loki::new().await;
    let mut socket = TcpStream::connect(loki.house.http).await.unwrap();
    let query = encoded(r#"{service_name="api"} |= "text""#);
    let start = loki.ns(10);
    let request = format!(
        "GET /loki/api/v1/tail?query={query}&limit=10&start={start} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n\
         Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(socket.read_u8().await.unwrap());
    }
    assert!(head.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&head));
    let stream = |level: &str| json!({"detected_level": level, "host_name": "h1", "service_name": "api"});
    let before = message(&mut socket).await;
    let expected = json!([{"stream": stream("unknown"), "values": [[loki.ns(3).to_string(), "plain text 1"]]}]);
    assert_eq!(before["streams"], expected);
    // Late, and of another stream, and as wanted.
    loki.push("worker", 0, 0, "text of another").await;
    loki.push("api", 100_000, 0, "late text error").await;
    let found = message(&mut socket).await;
    let expected = json!([{"stream": stream("error"), "values": [[loki.ns(100_000).to_string(), "late text error"]]}]);
    assert_eq!(found["streams"], expected);
}

#[tokio::test]
async fn queries_are_laid_out_and_refused_in_json() {
    let loki = Loki::new().await;
    for (query, status, expected) in [
        ("sum(rate({a=`b`}[5m]))by(c)", 200, json!({"status": "success", "data": r#"sum by (c)(rate({a="b"}[5m]))"#})),
        ("{a=`b`}|line_format`{{`", 200, json!({"status": "success", "data": r#"{a="b"} | line_format "{{""#})),
        (
            "{a=`b`",
            400,
            json!({"status": "invalid-query", "error": "parse error at line 1, col 7: syntax error: unexpected $end, expecting } or ,"}),
        ),
    ] {
        let reply = loki.house.get(&format!("/loki/api/v1/format_query?query={}", encoded(query)), &[]).await;
        assert_eq!((reply.status, reply.json()), (status, expected), "{query}");
    }
}
