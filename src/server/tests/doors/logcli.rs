//! logcli: the requests of its verbs as it writes them (loki pkg/logcli/client), and what it reads of the answers (pkg/logcli/query,
//! seriesquery, labelquery, volume, index).

use serde_json::{Value, json};

use crate::house::{House, now_ms, settings};

const LOGCLI: [(&str, &str); 1] = [("user-agent", "loki-logcli/3.7.6 (release-3.7.x, b318f282)")];

struct Logcli {
    house: House,
    /// Time of the oldest record, in ns.
    from_ns: i64,
}

impl Logcli {
    /// Twelve records of `api`, of which two in a row have one time, and one of `worker`.
    async fn new() -> Logcli {
        let house = House::open(settings()).await;
        let from_ns = (now_ms() / 60_000 * 60_000 - 120_000) * 1_000_000;
        let logcli = Logcli { house, from_ns };
        let lines: Vec<(i64, String)> = (0..12).map(|n| (n / 2, format!("level=info n={n} took={n}ms"))).collect();
        logcli.push("api", &lines).await;
        logcli.push("worker", &[(3, "done".to_owned())]).await;
        logcli
    }

    async fn push(&self, service: &str, lines: &[(i64, String)]) {
        let records: Vec<Value> = lines
            .iter()
            .map(|(at_s, line)| json!({"timeUnixNano": self.ns(*at_s).to_string(), "body": {"stringValue": line}}))
            .collect();
        let resource = json!({"attributes": [{"key": "service.name", "value": {"stringValue": service}}]});
        let request = json!({"resourceLogs": [{"resource": resource, "scopeLogs": [{"logRecords": records}]}]});
        let headers = [("content-type", "application/json")];
        let pushed = self.house.post("/v1/logs", &headers, request.to_string().into()).await;
        assert_eq!(pushed.status, 200, "{}", pushed.text());
    }

    fn ns(&self, at_s: i64) -> i64 {
        self.from_ns + at_s * 1_000_000_000
    }

    /// From the first record to behind the last, as `--from` and `--to` become.
    fn range(&self) -> (i64, i64) {
        (self.ns(0), self.ns(60))
    }

    async fn get(&self, path: &str, params: &[(&str, String)]) -> Value {
        // Go's `url.Values` writes them in order of names.
        let mut params = params.to_vec();
        params.sort_by_key(|(name, _)| *name);
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        for (name, value) in params {
            query.append_pair(name, &value);
        }
        let reply = self.house.get(&format!("/loki/api/v1/{path}?{}", query.finish()), &LOGCLI).await;
        assert_eq!(reply.status, 200, "{path}: {}", reply.text());
        reply.json()
    }

    async fn within(&self, path: &str, more: &[(&str, String)]) -> Value {
        let (start, end) = self.range();
        let range = [("start", start.to_string()), ("end", end.to_string())];
        self.get(path, &[&range, more].concat()).await
    }

    /// Time and line of all entries of an answer, in the direction asked for; each stream is in that order already.
    async fn batch(&self, start: i64, end: i64, limit: usize, direction: &str) -> Vec<(i64, String)> {
        let params = [
            ("query", r#"{service_name="api"}"#.to_owned()),
            ("limit", limit.to_string()),
            ("start", start.to_string()),
            ("end", end.to_string()),
            ("direction", direction.to_owned()),
        ];
        let answer = self.get("query_range", &params).await;
        assert_eq!(answer["data"]["resultType"], "streams");
        let streams = answer["data"]["result"].as_array().unwrap();
        let values = streams.iter().flat_map(|stream| stream["values"].as_array().unwrap());
        values
            .map(|value| (value[0].as_str().unwrap().parse().unwrap(), value[1].as_str().unwrap().to_owned()))
            .collect()
    }
}

/// `query --limit 20 --batch 5`: each batch begins at the time of the last entry, which it gets again and leaves out.
#[tokio::test]
async fn batches_meet_without_a_gap() {
    let logcli = Logcli::new().await;
    for direction in ["BACKWARD", "FORWARD"] {
        let (mut start, mut end) = logcli.range();
        let mut all: Vec<(i64, String)> = Vec::new();
        let mut overlap: Vec<(i64, String)> = Vec::new();
        loop {
            let batch = logcli.batch(start, end, 5 + overlap.len(), direction).await;
            let new: Vec<_> = batch.iter().filter(|entry| !overlap.contains(entry)).cloned().collect();
            let Some((last_ns, _)) = new.last().cloned() else { break };
            assert!(new.len() <= 5 + 1 && batch.len() == new.len() + overlap.len(), "{batch:?} after {overlap:?}");
            all.extend(new);
            overlap = all.iter().filter(|(at_ns, _)| *at_ns == last_ns).cloned().collect();
            match direction {
                "FORWARD" => start = last_ns,
                // The end is exclusive.
                _ => end = last_ns + 1,
            }
        }
        let mut numbers: Vec<i64> = all.iter().map(|(at_ns, _)| (at_ns - logcli.from_ns) / 1_000_000_000).collect();
        if direction == "BACKWARD" {
            numbers.reverse();
        }
        assert_eq!(numbers, (0..12).map(|n| n / 2).collect::<Vec<_>>(), "{direction}");
        let lines: std::collections::BTreeSet<&str> = all.iter().map(|(_, line)| line.as_str()).collect();
        assert_eq!(lines.len(), 12, "{direction}");
    }
}

#[tokio::test]
async fn instant_and_range_queries_count() {
    let logcli = Logcli::new().await;
    let query = r#"sum by (service_name) (count_over_time({service_name=~".+"} [1m]))"#;
    let at = logcli.ns(30);
    let params = [
        ("query", query.to_owned()),
        ("limit", "30".into()),
        ("time", at.to_string()),
        ("direction", "BACKWARD".into()),
    ];
    let answer = logcli.get("query", &params).await;
    let at_s = at / 1_000_000_000;
    assert_eq!(
        answer["data"]["result"],
        json!([
            {"metric": {"service_name": "api"}, "value": [at_s, "12"]},
            {"metric": {"service_name": "worker"}, "value": [at_s, "1"]},
        ])
    );
    // `--step 30s` as seconds.
    let more = [
        ("query", query.to_owned()),
        ("limit", "30".into()),
        ("direction", "BACKWARD".into()),
        ("step", "30.000000".into()),
    ];
    let answer = logcli.within("query_range", &more).await;
    let times: Vec<i64> = (0..=60).step_by(30).map(|at| logcli.ns(at) / 1_000_000_000).collect();
    let values =
        |counts: [&str; 3]| -> Value { times.iter().zip(counts).map(|(at, count)| json!([at, count])).collect() };
    assert_eq!(answer["data"]["result"][0]["values"], values(["2", "12", "10"]), "{answer}");
    // What `--stats` prints.
    for part in ["summary", "querier", "ingester", "cache", "index"] {
        assert!(answer["data"]["stats"][part].is_object(), "{part}");
    }
    for name in ["bytesProcessedPerSecond", "linesProcessedPerSecond", "totalBytesProcessed", "totalLinesProcessed"] {
        assert!(answer["data"]["stats"]["summary"][name].is_u64(), "{name}");
    }
}

#[tokio::test]
async fn labels_series_and_volumes_are_listed() {
    let logcli = Logcli::new().await;
    assert_eq!(logcli.within("labels", &[]).await["data"], json!(["service_name"]));
    assert_eq!(logcli.within("label/service_name/values", &[]).await["data"], json!(["api", "worker"]));
    let series = logcli.within("series", &[("match", r#"{service_name="api"}"#.into())]).await;
    assert_eq!(series, json!({"status": "success", "data": [{"service_name": "api"}]}));

    let every = ("query", r#"{service_name=~".+"}"#.to_owned());
    let stats = logcli.within("index/stats", &[every.clone()]).await;
    assert_eq!((&stats["streams"], &stats["entries"]), (&json!(2), &json!(13)));
    assert!(stats["chunks"].is_u64() && stats["bytes"].is_u64(), "{stats}");

    let more = [
        every.clone(),
        ("limit", "30".into()),
        ("aggregateBy", "series".into()),
        ("targetLabels", "service_name".into()),
    ];
    let volume = logcli.within("index/volume", &more).await;
    assert_eq!(volume["data"]["resultType"], "vector");
    let rows = volume["data"]["result"].as_array().unwrap();
    let bytes = |row: &Value| row["value"][1].as_str().unwrap().parse::<u64>().unwrap();
    assert_eq!(rows[0]["metric"], json!({"service_name": "api"}));
    assert!(bytes(&rows[0]) > bytes(&rows[1]) && bytes(&rows[1]) > 0, "{volume}");
    let more = [every.clone(), ("limit", "30".into()), ("step", "60.000000".into()), ("aggregateBy", "series".into())];
    let range = logcli.within("index/volume_range", &more).await;
    assert_eq!(
        (&range["data"]["resultType"], range["data"]["result"].as_array().map(Vec::len)),
        (&json!("matrix"), Some(2))
    );

    let more = [("query", r#"{service_name="api"}"#.into()), ("limit", "100".into()), ("line_limit", "1000".into())];
    let fields = logcli.within("detected_fields", &more).await;
    let took = fields["fields"].as_array().unwrap().iter().find(|field| field["label"] == "took").cloned();
    let expected = json!({"label": "took", "type": "duration", "cardinality": 12, "parsers": ["logfmt"]});
    assert_eq!((took, &fields["limit"]), (Some(expected), &json!(100)));
}
