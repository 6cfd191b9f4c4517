//! Grafana's Prometheus data source: its requests as it writes them (pkg/promlib/client, packages/grafana-prometheus), the answers
//! field by field as its code reads them (pkg/promlib/converter, resource_clients.ts, metric_find_query.ts).

use codec::otlp::Translation;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, ExponentialHistogram, ExponentialHistogramDataPoint, Metric, Sum, metric,
};
use prost::Message as _;
use serde_json::{Value, json};

use crate::client::{self, Reply};
use crate::house::{House, now_ms, settings};
use crate::payload::gauge;

/// What Grafana's server sends with every request, beside what the request itself needs.
const GRAFANA: [(&str, &str); 6] = [
    ("user-agent", "Grafana/12.3.0"),
    ("accept-encoding", "gzip"),
    ("x-grafana-org-id", "1"),
    ("x-datasource-uid", "P1809F7CD0C75ACF3"),
    ("x-dashboard-uid", "ad5fca7"),
    ("x-panel-id", "2"),
];
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

struct Grafana {
    house: House,
    /// The last point's time.
    at_ms: i64,
}

impl Grafana {
    /// Two points of everything, a minute apart; names as they were sent, so that some are UTF-8.
    async fn new() -> Grafana {
        let mut settings = settings();
        settings.metrics.translation = Translation::NoTranslation;
        let house = House::open(settings).await;
        let at_ms = now_ms() / 60_000 * 60_000 - 60_000;
        let times = [at_ms - 60_000, at_ms];
        let mut requests = vec![
            gauge("up", &[(times[0], Some(1.0)), (times[1], Some(0.25))]),
            gauge("queue.depth", &[(at_ms, Some(7.0))]),
        ];
        requests.push(with_data(gauge("requests_total", &[(times[0], Some(10.0)), (times[1], Some(70.0))]), |data| {
            let metric::Data::Gauge(gauge) = data else { panic!("a gauge was made") };
            let aggregation_temporality = AggregationTemporality::Cumulative.into();
            metric::Data::Sum(Sum { data_points: gauge.data_points, is_monotonic: true, aggregation_temporality })
        }));
        requests.push(with_data(gauge("latency", &[(at_ms, None)]), |data| {
            let metric::Data::Gauge(gauge) = data else { panic!("a gauge was made") };
            let point = &gauge.data_points[0];
            let point = ExponentialHistogramDataPoint {
                time_unix_nano: point.time_unix_nano,
                attributes: point.attributes.clone(),
                count: 3,
                sum: Some(4.5),
                zero_count: 1,
                positive: Some(Buckets { offset: 0, bucket_counts: vec![2] }),
                ..ExponentialHistogramDataPoint::default()
            };
            let aggregation_temporality = AggregationTemporality::Cumulative.into();
            metric::Data::ExponentialHistogram(ExponentialHistogram {
                data_points: vec![point],
                aggregation_temporality,
            })
        }));
        for request in requests {
            let body = request.encode_to_vec();
            let pushed = house.post("/v1/metrics", &[("content-type", "application/x-protobuf")], body).await;
            assert_eq!(pushed.status, 200, "{}", pushed.text());
        }
        Grafana { house, at_ms }
    }

    async fn post(&self, path: &str, form: &str) -> Value {
        let headers: Vec<(&str, &str)> = GRAFANA.into_iter().chain([FORM]).collect();
        let url = format!("http://{}{path}", self.house.http);
        unpacked(&client::send("POST", &url, &headers, form.as_bytes().to_vec()).await)
    }

    async fn get(&self, path: &str) -> Value {
        unpacked(&self.house.get(path, &GRAFANA).await)
    }

    /// As `formatTime` writes it.
    fn seconds(&self, before_s: i64) -> String {
        (self.at_ms / 1000 - before_s).to_string()
    }

    fn range(&self) -> String {
        format!("start={}&end={}", self.seconds(3_600), self.seconds(0))
    }
}

fn with_data(
    mut request: ExportMetricsServiceRequest,
    change: impl Fn(metric::Data) -> metric::Data,
) -> ExportMetricsServiceRequest {
    let metric: &mut Metric = &mut request.resource_metrics[0].scope_metrics[0].metrics[0];
    metric.data = metric.data.take().map(change);
    metric.description = "What it counts.".into();
    request
}

/// `data` of a successful answer, packed as Go's transport asks for it.
#[track_caller]
fn unpacked(reply: &Reply) -> Value {
    use std::io::Read as _;
    let mut text = String::new();
    if reply.header("content-encoding") == "gzip" {
        flate2::read::GzDecoder::new(&reply.body[..]).read_to_string(&mut text).unwrap();
    } else {
        text = reply.text();
    }
    assert_eq!((reply.status, reply.header("content-type")), (200, "application/json"), "{text}");
    // The converter reads as it goes: it wants the type before the result.
    if let (Some(kind), Some(result)) = (text.find("\"resultType\""), text.find("\"result\"")) {
        assert!(kind < result, "{text}");
    }
    let json: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    assert_eq!(json["status"], json!("success"), "{text}");
    json["data"].clone()
}

fn labels(name: &str) -> Value {
    json!({"__name__": name, "job": "api", "service.name": "api", "zone": "a"})
}

#[tokio::test]
async fn the_health_check_passes_and_the_server_is_taken_for_a_prometheus() {
    let grafana = Grafana::new().await;
    let two = json!({"resultType": "scalar", "result": [4, "2"]});
    assert_eq!(grafana.post("/api/v1/query", "query=1%2B1&time=4").await, two);
    assert_eq!(grafana.post("/api/v1/query", "query=1%2B1&time=4&timeout=60s").await, two);
    // The path without a slash misses the list of those that take GET alone, so it comes as a POST.
    for info in [grafana.post("/api/v1/status/buildinfo", "").await, grafana.get("/api/v1/status/buildinfo").await] {
        // Features would make it a Mimir; an old version would turn label matching off.
        assert_eq!(info.get("features"), None);
        let version = info["version"].as_str().unwrap().split('.').next().unwrap().to_owned();
        assert!(version.parse::<u32>().unwrap() >= 3, "{info}");
    }
}

#[tokio::test]
async fn explore_and_panels_get_their_series() {
    let grafana = Grafana::new().await;
    let (end, at_s) = (grafana.seconds(0), grafana.at_ms / 1000);
    let start = grafana.seconds(60);

    let range =
        grafana.post("/api/v1/query_range", &format!("end={end}&query=up&start={start}&step=15&timeout=60s")).await;
    assert_eq!(range["resultType"], json!("matrix"));
    let row = &range["result"][0];
    assert_eq!(row["metric"], labels("up"));
    let values: Vec<Value> = (0..5).map(|n| json!([at_s - 60 + n * 15, if n < 4 { "1" } else { "0.25" }])).collect();
    assert_eq!(row["values"], json!(values));

    // Half a step: Grafana's steps are floats, and its times have fractions.
    let form = format!("end={end}.25&query=rate%28requests_total%5B4m%5D%29&start={end}&step=0.25");
    let rate = grafana.post("/api/v1/query_range", &form).await;
    assert_eq!(rate["result"][0]["values"].as_array().unwrap().len(), 2, "{rate}");

    let instant = grafana.post("/api/v1/query", &format!("query=up&time={end}.999")).await;
    assert_eq!(instant["resultType"], json!("vector"));
    assert_eq!(instant["result"], json!([{"metric": labels("up"), "value": [at_s as f64 + 0.999, "0.25"]}]));

    // A data source set to GET puts the same into the URL.
    let by_get = grafana.get(&format!("/api/v1/query?query=up&time={end}.999")).await;
    assert_eq!(by_get, instant);

    // A heatmap of a native histogram reads [[rule, lower, upper, count], …] with its numbers as text.
    let cells = grafana.post("/api/v1/query_range", &format!("end={end}&query=latency&start={end}&step=60")).await;
    let point = &cells["result"][0]["histograms"][0];
    assert_eq!(point[0], json!(at_s));
    assert_eq!((&point[1]["count"], &point[1]["sum"]), (&json!("3"), &json!("4.5")));
    assert_eq!(point[1]["buckets"][1], json!([0, "1", "2", "2"]), "{point}");
}

/// A panel over many series gets more than is sent at once; all of it arrives, packed too.
#[tokio::test]
async fn big_answers_arrive_whole() {
    let grafana = Grafana::new().await;
    let at_s = grafana.at_ms / 1000;
    let mut query = format!("up+%40+{at_s}");
    for n in 1..6 {
        query.push_str(&format!("+or+label_replace%28up+%40+{at_s}%2C%22n%22%2C%22{n}%22%2C%22%22%2C%22%22%29"));
    }
    let form = format!("end={}&query={query}&start={at_s}&step=1", at_s + 11_000);
    let packed = grafana.post("/api/v1/query_range", &form).await;
    assert_eq!(packed["result"].as_array().unwrap().len(), 6);
    for row in packed["result"].as_array().unwrap() {
        assert_eq!((row["values"].as_array().unwrap().len(), &row["values"][11_000][1]), (11_001, &json!("0.25")));
    }
    let url = format!("http://{}/api/v1/query_range", grafana.house.http);
    let plain = client::send("POST", &url, &[FORM], form.into_bytes()).await;
    assert!(plain.body.len() > 1 << 20, "{}", plain.body.len());
    assert_eq!(unpacked(&plain), packed);
}

#[tokio::test]
async fn the_label_browser_and_the_query_builder_find_names() {
    let grafana = Grafana::new().await;
    let range = grafana.range();
    let names = json!(["latency", "queue.depth", "requests_total", "up"]);
    assert_eq!(grafana.get(&format!("/api/v1/label/__name__/values?limit=40000&{range}")).await, names);
    let keys = json!(["__name__", "job", "service.name", "zone"]);
    assert_eq!(grafana.post("/api/v1/labels", &format!("limit=40000&{range}")).await, keys);
    let form = format!("limit=40000&{range}&match%5B%5D=%7B__name__%3D%22up%22%7D");
    assert_eq!(grafana.post("/api/v1/labels", &form).await, keys);
    // A label of UTF-8, as escapeForUtf8Support writes it.
    let path =
        format!("/api/v1/label/U__service_2e_name/values?limit=40000&{range}&match%5B%5D=%7B%22queue.depth%22%7D");
    assert_eq!(grafana.get(&path).await, json!(["api"]));
    // All series, as the series client asks for them.
    let form = format!("{range}&match%5B%5D=%7B__name__%21%3D%22%22%7D&limit=40000");
    let series = grafana.post("/api/v1/series", &form).await;
    assert_eq!(series, json!([labels("latency"), labels("queue.depth"), labels("requests_total"), labels("up")]));
    // Nothing of a time before there was anything.
    let long_ago = "start=1600000000&end=1600003600";
    assert_eq!(grafana.get(&format!("/api/v1/label/job/values?limit=40000&{long_ago}")).await, json!([]));
    assert_eq!(grafana.post("/api/v1/labels", &format!("limit=40000&{long_ago}")).await, json!([]));

    let metadata = grafana.get("/api/v1/metadata?limit=40000").await;
    assert_eq!(metadata["requests_total"], json!([{"type": "counter", "help": "What it counts.", "unit": ""}]));
    assert_eq!(metadata["up"][0]["type"], json!("gauge"));
}

#[tokio::test]
async fn variables_are_filled() {
    let grafana = Grafana::new().await;
    let (range, end) = (grafana.range(), grafana.seconds(0));
    // label_values(up{zone="a"}, job), label_values(job), metrics(que.*), label_names()
    let matched = format!("/api/v1/label/job/values?match%5B%5D=up%7Bzone%3D%22a%22%7D&{range}");
    assert_eq!(grafana.get(&matched).await, json!(["api"]));
    assert_eq!(grafana.get(&format!("/api/v1/label/job/values?{range}")).await, json!(["api"]));
    let names = grafana.get(&format!("/api/v1/label/__name__/values?{range}")).await;
    assert!(names.as_array().unwrap().contains(&json!("queue.depth")));
    // query_result(sum by (zone) (up))
    let form = format!("query=sum+by+%28zone%29+%28up%29&time={end}");
    let result = grafana.post("/api/v1/query", &form).await;
    assert_eq!(result["result"][0]["metric"], json!({"zone": "a"}));
    assert_eq!(result["result"][0]["value"][1], json!("0.25"));
    // A bare metric lists its series.
    let series = grafana.post("/api/v1/series", &format!("match%5B%5D=up&{range}")).await;
    assert_eq!(series, json!([labels("up")]));
}

#[tokio::test]
async fn rules_and_alerts_of_the_source_are_listed() {
    let grafana = Grafana::new().await;
    let rules = grafana.get("/api/v1/rules?exclude_alerts=false&group_limit=100").await;
    let group = &rules["groups"][0];
    for (place, key) in
        [(group, "name"), (group, "file"), (&group["rules"][0], "query"), (&group["rules"][1], "health")]
    {
        assert!(place[key].is_string(), "{key}: {place}");
    }
    assert!(group["interval"].is_number() && group["rules"][1]["alerts"].is_array(), "{group}");
    assert_eq!(rules.get("groupNextToken"), None);
    assert_eq!(grafana.get("/api/v1/alerts").await, json!({"alerts": []}));
}

/// What promtool's `query` verbs send (client_golang's api/prometheus/v1).
#[tokio::test]
async fn promtool_asks_the_same_way() {
    let grafana = Grafana::new().await;
    let (start, end) = (grafana.seconds(60), grafana.seconds(0));
    let instant = grafana.post("/api/v1/query", &format!("query=up&time={end}.123")).await;
    assert_eq!(instant["result"][0]["value"][1], json!("0.25"));
    let range = grafana.post("/api/v1/query_range", &format!("end={end}&query=up&start={start}&step=30")).await;
    assert_eq!(range["result"][0]["values"].as_array().unwrap().len(), 3);
    let series = grafana.post("/api/v1/series", &format!("end={end}&match%5B%5D=up&start={start}")).await;
    assert_eq!(series, json!([labels("up")]));
    let values = grafana.get(&format!("/api/v1/label/zone/values?end={end}&start={start}")).await;
    assert_eq!(values, json!(["a"]));
}
