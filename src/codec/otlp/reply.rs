//! What a sender gets back: Export*ServiceResponse and google.rpc.Status, in the encoding of its request.
//!
//! Texts are bounded, since OTLP allows a client to refuse a response over 4 MiB.

use model::Rejected;
use model::any::json_string;

use super::Encoding;

/// Longest message in a response, in bytes.
pub const MESSAGE_BYTES_MAX: usize = 4096;

/// ExportMetricsServiceResponse: empty when nothing was refused, else `partial_success` with the number of data points.
pub fn encode_metrics_response(encoding: Encoding, rejected: &Rejected) -> Vec<u8> {
    response(encoding, rejected, "rejectedDataPoints")
}

/// ExportLogsServiceResponse: empty when nothing was refused, else `partial_success` with the number of records.
pub fn encode_logs_response(encoding: Encoding, rejected: &Rejected) -> Vec<u8> {
    response(encoding, rejected, "rejectedLogRecords")
}

/// google.rpc.Status, the body of every error over HTTP. `code` is a gRPC code.
pub fn encode_status(encoding: Encoding, code: i32, message: &str) -> Vec<u8> {
    let message = bounded(message);
    match encoding {
        Encoding::Protobuf => number_and_text(i64::from(code), message),
        Encoding::Json => {
            let mut out = format!("{{\"code\":{code},\"message\":");
            json_string(message, &mut out);
            out.push('}');
            out.into_bytes()
        }
    }
}

fn response(encoding: Encoding, rejected: &Rejected, count_name: &str) -> Vec<u8> {
    let empty = rejected.is_empty();
    let count = i64::try_from(rejected.total()).unwrap_or(i64::MAX);
    let message = rejected.message();
    let message = bounded(&message);
    match encoding {
        Encoding::Protobuf if empty => Vec::new(),
        Encoding::Protobuf => {
            let partial = number_and_text(count, message);
            let mut out = vec![0x0a];
            varint(partial.len() as u64, &mut out);
            out.extend(partial);
            out
        }
        Encoding::Json if empty => b"{}".to_vec(),
        Encoding::Json => {
            // An int64 is a string in proto3 JSON.
            let mut out = format!("{{\"partialSuccess\":{{\"{count_name}\":\"{count}\",\"errorMessage\":");
            json_string(message, &mut out);
            out.push_str("}}");
            out.into_bytes()
        }
    }
}

/// Both messages are a number in field 1 and a text in field 2.
fn number_and_text(number: i64, text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + 16);
    if number != 0 {
        out.push(0x08);
        varint(number as u64, &mut out);
    }
    if !text.is_empty() {
        out.push(0x12);
        varint(text.len() as u64, &mut out);
        out.extend(text.as_bytes());
    }
    out
}

fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn bounded(message: &str) -> &str {
    &message[..message.floor_char_boundary(MESSAGE_BYTES_MAX)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Reason;
    use opentelemetry_proto::tonic::collector::{logs::v1::ExportLogsServiceResponse, metrics::v1::*};
    use prost::Message;

    #[test]
    fn responses_say_what_was_refused() {
        let mut rejected = Rejected::default();
        for encode in [encode_metrics_response, encode_logs_response] {
            assert_eq!(encode(Encoding::Protobuf, &rejected), b"");
            assert_eq!(encode(Encoding::Json, &rejected), b"{}");
        }
        rejected.add(Reason::TooOld, 300, || "x\"y".into());
        rejected.add(Reason::BadTime, 1, || "z".into());
        let message = "300 too_old: x\"y; 1 bad_time: z";

        let read = ExportMetricsServiceResponse::decode(&*encode_metrics_response(Encoding::Protobuf, &rejected));
        let partial = read.unwrap().partial_success.unwrap();
        assert_eq!((partial.rejected_data_points, partial.error_message.as_str()), (301, message));
        let read = ExportLogsServiceResponse::decode(&*encode_logs_response(Encoding::Protobuf, &rejected));
        let partial = read.unwrap().partial_success.unwrap();
        assert_eq!((partial.rejected_log_records, partial.error_message.as_str()), (301, message));

        let json = |bytes: Vec<u8>| serde_json::from_slice::<serde_json::Value>(&bytes).unwrap();
        assert_eq!(
            json(encode_metrics_response(Encoding::Json, &rejected)),
            serde_json::json!({"partialSuccess": {"rejectedDataPoints": "301", "errorMessage": message}})
        );
        assert_eq!(
            json(encode_logs_response(Encoding::Json, &rejected)),
            serde_json::json!({"partialSuccess": {"rejectedLogRecords": "301", "errorMessage": message}})
        );
    }

    #[test]
    fn statuses_are_bounded_on_a_character() {
        let long = "ü".repeat(5000);
        assert_eq!(encode_status(Encoding::Protobuf, 3, "no"), [0x08, 3, 0x12, 2, b'n', b'o']);
        assert_eq!(encode_status(Encoding::Json, 3, "n\"o"), br#"{"code":3,"message":"n\"o"}"#);
        assert_eq!(encode_status(Encoding::Protobuf, 0, &long).len(), 4096 + 3);
        assert!(std::str::from_utf8(&encode_status(Encoding::Json, 0, &("x".to_owned() + &long))).is_ok());
    }
}
