//! Hostile log records at every door: each is kept, cut with a mark, or refused with a word, as decided. What is kept comes out of every
//! other door again.

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::watch;

use crate::client;
use crate::grpc::send_h2;
use crate::house::{House, now_ms, settings, until_ok};

#[derive(Debug, Clone, Copy, PartialEq)]
enum Door {
    OtlpProtobuf,
    OtlpJson,
    OtlpGrpc,
    LokiProtobuf,
    LokiJson,
    SyslogTcp,
    SyslogUdp,
}

use Door::{LokiJson, LokiProtobuf, OtlpGrpc, OtlpJson, OtlpProtobuf, SyslogTcp, SyslogUdp};

const DOORS: [Door; 7] = [OtlpProtobuf, OtlpJson, OtlpGrpc, LokiProtobuf, LokiJson, SyslogTcp, SyslogUdp];
const BODY_BYTES_MAX: usize = 64 << 10;
/// A datagram holds no more.
const DATAGRAM_BYTES: usize = 60_000;
/// Comes after what is hostile over a door that does not answer.
const MARKER: &str = "<14>marker: end";

/// One record.
#[derive(Default)]
struct Hostile {
    text: Vec<u8>,
    attributes: usize,
    /// Lists around the body; a door that knows text only gets them as JSON.
    nested: usize,
}

fn field(tag: u8, inner: &[u8]) -> Vec<u8> {
    let mut out = vec![tag << 3 | 2];
    prost::encode_length_delimiter(inner.len(), &mut out).unwrap();
    out.extend_from_slice(inner);
    out
}

impl Hostile {
    fn line(&self) -> Vec<u8> {
        match self.nested {
            0 => self.text.clone(),
            deep => format!("{}1{}", "[".repeat(deep), "]".repeat(deep)).into_bytes(),
        }
    }

    /// An `ExportLogsServiceRequest`.
    fn otlp(&self) -> Vec<u8> {
        let mut value = field(1, &self.text);
        for _ in 0..self.nested {
            value = field(5, &field(1, &value));
        }
        let attribute = |n| field(6, &[field(1, format!("k{n}").as_bytes()), field(2, &field(1, b"v"))].concat());
        let time = [&[0x09][..], &(now_ms() * 1_000_000).to_le_bytes()].concat();
        let record = [time, field(5, &value), (0..self.attributes).flat_map(attribute).collect()].concat();
        field(1, &field(2, &field(2, &record)))
    }

    fn otlp_json(&self) -> Vec<u8> {
        let attribute = |n| json!({"key": format!("k{n}"), "value": {"stringValue": "v"}});
        let attributes: Vec<Value> = (0..self.attributes).map(attribute).collect();
        let (open, close) = (r#"{"arrayValue":{"values":["#.repeat(self.nested), "]}}".repeat(self.nested));
        let head = format!(
            r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{{"timeUnixNano":"{}","body":{open}{{"stringValue":"#,
            now_ms() * 1_000_000
        );
        let tail = format!(r#"}}{close},"attributes":{}}}]}}]}}]}}"#, Value::from(attributes));
        [head.into_bytes(), self.json_text(), tail.into_bytes()].concat()
    }

    /// As JSON has it, but for bytes that are no UTF-8, which stand as they are.
    fn json_text(&self) -> Vec<u8> {
        match std::str::from_utf8(&self.line()) {
            Ok(text) => Value::from(text).to_string().into_bytes(),
            Err(_) => [b"\"", &*self.text, b"\""].concat(),
        }
    }

    /// A `logproto.PushRequest`, packed.
    fn loki(&self) -> Vec<u8> {
        let mut time = vec![0x08];
        prost::encode_length_delimiter(usize::try_from(now_ms() / 1_000).unwrap(), &mut time).unwrap();
        let label = |n| field(3, &[field(1, format!("k{n}").as_bytes()), field(2, b"v")].concat());
        let metadata: Vec<u8> = (0..self.attributes).flat_map(label).collect();
        let entry = [field(1, &time), field(2, &self.line()), metadata].concat();
        let stream = [field(1, br#"{service_name="api"}"#), field(2, &entry)].concat();
        snap::raw::Encoder::new().compress_vec(&field(1, &stream)).unwrap()
    }

    fn loki_json(&self) -> Vec<u8> {
        let labels: serde_json::Map<String, Value> =
            (0..self.attributes).map(|n| (format!("k{n}"), Value::from("v"))).collect();
        let head =
            format!(r#"{{"streams":[{{"stream":{{"service_name":"api"}},"values":[["{}","#, now_ms() * 1_000_000);
        let tail = format!(",{}]]}}]}}", Value::from(labels));
        [head.into_bytes(), self.json_text(), tail.into_bytes()].concat()
    }

    fn syslog(&self) -> Vec<u8> {
        let data = match self.attributes {
            0 => "-".to_owned(),
            count => format!("[x{}]", r#" k="v""#.repeat(count)),
        };
        [format!("<14>1 - - api - - {data} ").into_bytes(), self.line()].concat()
    }
}

/// The word of a refusal, nothing where the door took the request.
async fn send(house: &House, door: Door, tenant: &str, hostile: &Hostile) -> String {
    let orgid = ("x-scope-orgid", tenant);
    let (protobuf, json) = (("content-type", "application/x-protobuf"), ("content-type", "application/json"));
    let push = format!("http://{}/loki/api/v1/push", house.http);
    let reply = match door {
        OtlpProtobuf => house.post("/v1/logs", &[orgid, protobuf], hostile.otlp()).await,
        OtlpJson => house.post("/v1/logs", &[orgid, json], hostile.otlp_json()).await,
        LokiProtobuf => client::send("POST", &push, &[orgid, protobuf], hostile.loki()).await,
        LokiJson => client::send("POST", &push, &[orgid, json], hostile.loki_json()).await,
        OtlpGrpc => {
            let message = hostile.otlp();
            let frame = [&[0][..], &u32::try_from(message.len()).unwrap().to_be_bytes(), &message].concat();
            const EXPORT: &str = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";
            let reply = send_h2(house, EXPORT, &[orgid, ("content-type", "application/grpc")], frame).await;
            let partial = String::from_utf8_lossy(reply.body.get(5..).unwrap_or_default()).into_owned();
            return if reply.code == "0" { partial } else { format!("{} {}", reply.code, reply.message) };
        }
        SyslogTcp | SyslogUdp => return syslog(house, door, tenant, hostile).await,
    };
    match reply.status {
        200 | 204 => reply.text().trim_matches(['{', '}']).to_owned(),
        status => format!("{status} {}", reply.text()),
    }
}

async fn syslog(house: &House, door: Door, tenant: &str, hostile: &Hostile) -> String {
    let (stop, stopped) = watch::channel(false);
    let tenant_id = model::TenantId::new(tenant).unwrap();
    let message = hostile.syslog();
    let serving = if door == SyslogTcp {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let serving = tokio::spawn(server::serve_syslog_tcp(listener, house.state.clone(), tenant_id, 1, stopped));
        stream.write_all(format!("{} ", message.len()).as_bytes()).await.unwrap();
        stream.write_all(&message).await.unwrap();
        stream.write_all(format!("{} {MARKER}", MARKER.len()).as_bytes()).await.unwrap();
        serving
    } else {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let sender = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        sender.connect(socket.local_addr().unwrap()).await.unwrap();
        let serving = tokio::spawn(server::serve_syslog_udp(socket, house.state.clone(), tenant_id, stopped));
        sender.send(&message).await.unwrap();
        sender.send(MARKER.as_bytes()).await.unwrap();
        serving
    };
    let is_there = until_ok(async || rows(house, tenant).await.iter().any(|row| row["body"] == "end")).await;
    assert!(is_there, "{door:?} took no more after it");
    stop.send_replace(true);
    serving.await.unwrap();
    String::new()
}

async fn rows(house: &House, tenant: &str) -> Vec<Value> {
    let reply = house.get("/api/v1/logs?limit=10&from=now-1h&to=now%2B1h", &[("x-scope-orgid", tenant)]).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// What became of a record: `kept`, `cut`, `replaced`, or why it was refused.
async fn outcome(house: &House, door: Door, tenant: &str, hostile: &Hostile) -> String {
    let refusal = send(house, door, tenant, hostile).await;
    let rows: Vec<Value> = rows(house, tenant).await.into_iter().filter(|row| row["body"] != "end").collect();
    let [row] = &rows[..] else {
        assert!(rows.is_empty(), "{door:?} {tenant}: {} rows", rows.len());
        return format!("refused {refusal}");
    };
    assert_eq!(refusal, "", "{door:?} {tenant}");
    let (line, body) = (hostile.line(), row["body"].as_str().unwrap());
    if row["attributes"]["binnacle.invalid_utf8"] == true {
        assert_eq!(body, String::from_utf8_lossy(&line), "{door:?} {tenant}");
        return "replaced".into();
    }
    if let Some(gone) = row["attributes"]["binnacle.truncated_bytes"].as_u64() {
        assert_eq!((body.len(), gone as usize), (BODY_BYTES_MAX, line.len() - BODY_BYTES_MAX), "{door:?} {tenant}");
        assert!(line.starts_with(body.as_bytes()), "{door:?} {tenant}");
        return "cut".into();
    }
    assert_eq!(body.as_bytes(), line, "{door:?} {tenant}");
    "kept".into()
}

/// The doors out answer over it, and neither a page nor a terminal gets what it could take for a command.
async fn check_out(house: &House, tenant: &str) {
    let orgid = ("x-scope-orgid", tenant);
    for path in [
        "/loki/api/v1/query_range?query=%7Bservice_name%3D~%22.%2B%22%7D%7Cjson%7Clogfmt",
        "/api/v1/logs/patterns",
        "/api/v1/logs/facets?fields=body,k1",
        "/logs?range=1h",
    ] {
        let reply = house.get(path, &[orgid]).await;
        assert_eq!(reply.status, 200, "{tenant} {path}: {}", reply.text());
        // JSON may hold what is above ASCII as it is.
        let is_bad = |c: char| match path {
            "/logs?range=1h" => {
                c.is_control() && c != '\n' || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
            }
            _ => c < ' ' && c != '\n',
        };
        assert_eq!(reply.text().chars().find(|c| is_bad(*c)), None, "{tenant} {path}");
    }
    let exported = house.get("/api/v1/logs/export?start=now-1h&end=now%2B1h", &[orgid]).await;
    assert_eq!(exported.status, 200, "{tenant}");
    let copy = [("content-type", "application/json"), ("x-scope-orgid", "copy")];
    let again = house.post("/v1/logs", &copy, exported.body.to_vec()).await;
    assert_eq!((again.status, again.text().as_str()), (200, "{}"), "{tenant}");
}

/// Checks a record at each door; `expected` is how the outcome begins, and what stands in it.
async fn check(house: &House, name: &str, hostile: Hostile, expected: impl Fn(Door) -> (&'static str, &'static str)) {
    for door in DOORS {
        let short = Hostile { text: hostile.text[..hostile.text.len().min(DATAGRAM_BYTES)].to_vec(), ..hostile };
        let hostile = if door == SyslogUdp { &short } else { &hostile };
        let tenant = format!("{name}-{door:?}").to_lowercase();
        let found = outcome(house, door, &tenant, hostile).await;
        let (begins, says) = expected(door);
        assert!(found.starts_with(begins) && found.contains(says), "{tenant}: {found}");
        if !found.starts_with("refused") {
            check_out(house, &tenant).await;
        }
    }
}

#[tokio::test]
async fn hostile_records_are_kept_cut_or_refused_at_every_door() {
    let mut settings = settings();
    settings.request_bytes_max = 4 << 20;
    settings.logs.body_bytes_max = BODY_BYTES_MAX;
    let house = House::open(settings).await;
    let text = |text: &str| Hostile { text: text.into(), ..Hostile::default() };

    check(&house, "long", text(&"x".repeat(1_500_000)), |door| match door {
        SyslogUdp => ("kept", ""),
        _ => ("cut", ""),
    })
    .await;
    check(&house, "wide", Hostile { attributes: 10_000, ..text("wide") }, |door| match door {
        // Its parameters are one attribute.
        SyslogTcp | SyslogUdp => ("refused", ""),
        _ => ("refused", "limits.log_attributes"),
    })
    .await;
    check(&house, "deep", Hostile { nested: 5_000, ..text("") }, |door| match door {
        OtlpProtobuf | OtlpJson => ("refused 400", "nest"),
        OtlpGrpc => ("refused 3", "nest"),
        _ => ("kept", ""),
    })
    .await;
    for (name, odd) in [
        ("control", "a \u{0}\u{1}\u{7}\u{8}\u{7f}\r\n\u{85}\u{9b}31m\u{feff} z"),
        ("ansi", "a \u{1b}[31mred\u{1b}[0m \u{1b}]0;title\u{7} \u{1b}[2J z"),
        ("rtl", "a \u{202e}txt.exe\u{202c} \u{2066}x\u{2069} </script><b> z"),
    ] {
        check(&house, name, text(odd), |_| ("kept", "")).await;
    }
    let torn = Hostile { text: b"a \xff\xfe\xed\xa0\x80 z".to_vec(), ..Hostile::default() };
    check(&house, "torn", torn, |door| match door {
        SyslogTcp | SyslogUdp => ("replaced", ""),
        OtlpGrpc => ("refused 3", "UTF-8"),
        _ => ("refused 400", "UTF-8"),
    })
    .await;
}
