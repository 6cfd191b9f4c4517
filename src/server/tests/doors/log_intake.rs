//! Log records in by every door, hostile ones too, and out again as they were sent.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_client::LogsServiceClient;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, any_value::Value as Any};
use prost::Message as _;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::watch;

use crate::house::{House, now_ms, settings};
use crate::payload;

const PROTOBUF: (&str, &str) = ("content-type", "application/x-protobuf");
const JSON: (&str, &str) = ("content-type", "application/json");

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn records_are_exported_as_they_were_sent() {
    let house = House::open(settings()).await;
    let at_ns = now_ms() * 1_000_000;
    let sent = json!({"resourceLogs": [
        {
            "resource": {
                "attributes": [
                    {"key": "service.name", "value": {"stringValue": "a"}},
                    {"key": "twice", "value": {"intValue": "1"}},
                    {"key": "twice", "value": {"stringValue": "1"}},
                ],
                "droppedAttributesCount": 3,
            },
            "scopeLogs": [{
                "scope": {"name": "n", "version": "v", "attributes": [{"key": "s", "value": {"boolValue": true}}]},
                "logRecords": [
                    {
                        "timeUnixNano": (at_ns - 9).to_string(),
                        "observedTimeUnixNano": (at_ns - 3).to_string(),
                        "severityNumber": 18,
                        "severityText": "odd",
                        "body": {"kvlistValue": {"values": [
                            {"key": "bytes", "value": {"bytesValue": "/+4="}},
                            {"key": "list", "value": {"arrayValue": {"values": [{}, {"intValue": "9007199254740993"}]}}},
                        ]}},
                        "attributes": [
                            {"key": "nan", "value": {"doubleValue": "NaN"}},
                            {"key": "empty"},
                            {"key": "text", "value": {"stringValue": ""}},
                            {"key": "half", "value": {"doubleValue": 0.5}},
                        ],
                        "droppedAttributesCount": 2,
                        "flags": 257,
                        "traceId": "ab".repeat(16),
                        "spanId": "cd".repeat(8),
                        "eventName": "e",
                    },
                    {"observedTimeUnixNano": (at_ns - 2).to_string(), "body": {"stringValue": "\u{0}\u{1b}[31m\u{202e}"}},
                ],
                "schemaUrl": "scope",
            }],
            "schemaUrl": "resource",
        },
        {"scopeLogs": [{"logRecords": [{"timeUnixNano": (at_ns - 1).to_string()}]}]},
    ]});
    let pushed = house.post("/v1/logs", &[JSON], sent.to_string().into_bytes()).await;
    assert_eq!((pushed.status, pushed.text().as_str()), (200, "{}"));
    let exported = house.get("/api/v1/logs/export?start=now-1m", &[]).await;
    assert_eq!((exported.status, exported.header("content-type")), (200, "application/x-ndjson"));
    assert_eq!(lines(&exported.text()), [sent]);

    let of = async |query: &str| {
        let reply = house.get(&format!("/api/v1/logs/export?start=now-1m&query={query}"), &[]).await;
        (reply.status, lines(&reply.text()).len())
    };
    assert_eq!(of("service.name:a").await, (200, 1));
    assert_eq!(of("service.name:b").await, (200, 0));
    assert_eq!(house.get("/api/v1/logs/export?start=x", &[]).await.status, 400);
    assert_eq!(house.get("/api/v1/logs/export?query=(", &[]).await.status, 400);

    // More than one line holds.
    let many: Vec<(i64, &str)> = (0..2_500).map(|n| (at_ns - 60_000_000_000 - n, "many")).collect();
    let pushed = house.post("/v1/logs", &[PROTOBUF], payload::logs(&many).encode_to_vec()).await;
    assert_eq!(pushed.status, 200);
    let exported = lines(&house.get("/api/v1/logs/export?start=now-10m&query=many", &[]).await.text());
    let counts: Vec<usize> = exported
        .iter()
        .map(|line| line["resourceLogs"][0]["scopeLogs"][0]["logRecords"].as_array().unwrap().len())
        .collect();
    assert_eq!(counts, [1_000, 1_000, 500]);
}

#[tokio::test]
async fn limits_of_a_tenant_tell_the_sender() {
    let house = House::open_over(settings(), |options| {
        options.log_bytes_per_second_max = 10;
        options.log_streams_per_day_max = 1;
    })
    .await;
    let at_ns = now_ms() * 1_000_000;
    let request = |service: &str| {
        let mut request = payload::logs(&[(at_ns, "twenty bytes and more of text")]);
        let resource = request.resource_logs[0].resource.as_mut().unwrap();
        resource.attributes[0].value = Some(AnyValue { value: Some(Any::StringValue(service.into())) });
        request.resource_logs.push(payload::logs(&[(at_ns, "of the same old stream")]).resource_logs.remove(0));
        request.encode_to_vec()
    };
    // As JSON, since that tells what was refused in words.
    let other = json!({"resourceLogs": [
        {"resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "one"}}]},
         "scopeLogs": [{"logRecords": [{"body": {"stringValue": "x"}}]}]},
        {"resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "two"}}]},
         "scopeLogs": [{"logRecords": [{"body": {"stringValue": "y"}}, {"body": {"stringValue": "z"}}]}]},
    ]});
    let reply = house.post("/v1/logs", &[JSON], other.to_string().into_bytes()).await;
    assert_eq!(reply.status, 200);
    let partial = reply.json()["partialSuccess"].take();
    assert_eq!(partial["rejectedLogRecords"], "2", "{partial}");
    assert!(partial["errorMessage"].as_str().unwrap().contains("limits.log_streams_per_day"), "{partial}");
    assert_eq!(lines(&house.get("/api/v1/logs", &[]).await.text()).len(), 1);

    // Overdrawn by what came before.
    let refused = house.post("/v1/logs", &[PROTOBUF], request("one")).await;
    let refused =
        if refused.status == 200 { house.post("/v1/logs", &[PROTOBUF], request("one")).await } else { refused };
    assert_eq!(refused.status, 429);
    assert!(refused.header("retry-after").parse::<u32>().unwrap() >= 1);
    assert!(refused.text().contains("limits.log_bytes_per_second"), "{}", refused.text());
    let mut client = LogsServiceClient::connect(format!("http://{}", house.grpc)).await.unwrap();
    let refused = client.export(payload::logs(&[(at_ns, "x")])).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::ResourceExhausted);
    assert!(String::from_utf8_lossy(refused.details()).contains("google.rpc.RetryInfo"));
}

fn nested(depth: usize) -> AnyValue {
    (0..depth).fold(AnyValue { value: Some(Any::IntValue(1)) }, |inner, _| AnyValue {
        value: Some(Any::ArrayValue(ArrayValue { values: vec![inner] })),
    })
}

/// What is stored or refused is told exactly, and what is stored comes back; by OTLP in both encodings and over gRPC.
#[tokio::test]
async fn odd_records_are_stored_or_refused() {
    let mut settings = settings();
    settings.request_bytes_max = 4 << 20;
    let house = House::open(settings).await;
    let at_ns = now_ms() * 1_000_000;
    let with = |change: &dyn Fn(&mut opentelemetry_proto::tonic::logs::v1::LogRecord)| {
        let mut request = payload::logs(&[(at_ns, "marker")]);
        change(&mut request.resource_logs[0].scope_logs[0].log_records[0]);
        request
    };
    let mut client = LogsServiceClient::connect(format!("http://{}", house.grpc)).await.unwrap();
    for (name, request, stored, refused) in [
        ("deep enough", with(&|record| record.body = Some(nested(30))), 1, 0),
        ("odd numbers", with(&|record| record.severity_number = i32::MIN), 1, 0),
        ("long key", with(&|record| record.attributes[0].key = "k".repeat(100_000)), 0, 1),
    ] {
        let before = lines(&house.get("/api/v1/logs?limit=1000", &[]).await.text()).len();
        let reply = house.post("/v1/logs", &[PROTOBUF], request.encode_to_vec()).await;
        assert_eq!(reply.status, 200, "{name}: {}", reply.text());
        let answer = client.export(request.clone()).await.unwrap().into_inner();
        assert_eq!(answer.partial_success.map_or(0, |partial| partial.rejected_log_records), refused, "{name}");
        let after = lines(&house.get("/api/v1/logs?limit=1000", &[]).await.text()).len();
        assert_eq!(after - before, 2 * stored, "{name}");
        let exported = house.get("/api/v1/logs/export?start=now-1m", &[]).await;
        assert_eq!(exported.status, 200, "{name}");
        let again = house.post("/v1/logs", &[JSON, ("x-scope-orgid", "copy")], exported.body.to_vec()).await;
        assert_eq!((again.status, again.text().as_str()), (200, "{}"), "{name}");
    }
    let too_deep = with(&|record| record.body = Some(nested(45)));
    assert_eq!(house.post("/v1/logs", &[PROTOBUF], too_deep.encode_to_vec()).await.status, 400);
    for body in
        ["{\"resourceLogs\":[{\"scopeLogs\":[{\"logRecords\":[{\"body\":{\"stringValue\":\"\\ud800\"}}]}]}]}", "[[["]
    {
        assert_eq!(house.post("/v1/logs", &[JSON], body.into()).await.status, 400, "{body}");
    }
    assert_eq!(
        ExportLogsServiceRequest::decode(&*with(&|_| ()).encode_to_vec()).unwrap().resource_logs.len(),
        1,
        "the sample itself is sound"
    );
}

#[tokio::test]
async fn syslog_comes_in_over_tcp_and_udp() {
    let mut settings = settings();
    settings.logs.body_bytes_max = 1 << 20;
    settings.logs.record_bytes_max = 2 << 20;
    let house = House::open(settings).await;
    let (stop, stopped) = watch::channel(false);
    let tenant = model::TenantId::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let tcp = listener.local_addr().unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let udp = socket.local_addr().unwrap();
    let over_tcp =
        tokio::spawn(server::serve_syslog_tcp(listener, house.state.clone(), tenant.clone(), 4, stopped.clone()));
    let over_udp = tokio::spawn(server::serve_syslog_udp(socket, house.state.clone(), tenant, stopped));

    let mut stream = TcpStream::connect(tcp).await.unwrap();
    stream.write_all(b"<11>app[7]: by line\n33 <165>1 - host api - - - by octets").await.unwrap();
    let mut long = b"<14>long: ".to_vec();
    long.extend(std::iter::repeat_n(b'y', 1_500_000));
    long.extend(b"\nno syslog at all \xff\n<14>last: word");
    stream.write_all(&long).await.unwrap();
    stream.shutdown().await.unwrap();
    let sender = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    sender.send_to(b"<13>udp: datagram\n", udp).await.unwrap();
    let all = async {
        loop {
            let rows = lines(&house.get("/api/v1/logs?limit=100", &[]).await.text());
            assert!(rows.len() <= 6, "{}", rows.len());
            if rows.len() == 6 {
                break rows;
            }
        }
    };
    let rows = tokio::time::timeout(std::time::Duration::from_secs(60), all).await.unwrap();
    let found = |word: &str| {
        let is_it = |row: &&Value| row["body"].as_str().is_some_and(|body| body.starts_with(word));
        rows.iter().find(is_it).unwrap_or_else(|| panic!("no {word}")).clone()
    };
    assert_eq!(found("by line")["severity_number"], 17);
    assert_eq!(found("by line")["attributes"]["syslog.procid"], "7");
    assert_eq!(found("by octets")["resource"]["attributes"], json!({"host.name": "host", "service.name": "api"}));
    let cut = found("yyy");
    let kept = cut["body"].as_str().unwrap().len() as i64;
    assert_eq!(kept + cut["attributes"]["binnacle.truncated_bytes"].as_i64().unwrap(), 1_500_000);
    assert_eq!(found("no syslog")["attributes"]["binnacle.invalid_utf8"], true);
    assert!(found("no syslog")["attributes"]["binnacle.syslog_malformed"].is_string());
    found("word");
    found("datagram");
    stop.send_replace(true);
    over_tcp.await.unwrap();
    over_udp.await.unwrap();
}
