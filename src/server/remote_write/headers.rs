//! Which message a request carries, by its headers.

use codec::remote_write::Message;
use http::{HeaderMap, StatusCode, header};

use crate::error::Fault;

/// The message by `Content-Type`; what is not taken is answered with 415, on which a sender may try another.
///
/// The type must be said: a page in a browser can send a body without one to any address, and with auth off nothing else tells it from
/// an agent.
pub(super) fn message(headers: &HeaderMap) -> Result<Message, Fault> {
    let said = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let message = of_content_type(said).ok_or_else(|| {
        unsupported(format!(
            "Content-Type is {said:?}; send application/x-protobuf, with ;proto=prometheus.WriteRequest or \
             ;proto=io.prometheus.write.v2.Request"
        ))
    })?;
    let mut packings = headers.get_all(header::CONTENT_ENCODING).iter();
    // Early senders of 1.0 left the header out, and packed all the same.
    let packing = packings.next().map_or(Some("snappy"), |value| value.to_str().ok());
    if !packing.is_some_and(|packing| packing.trim().eq_ignore_ascii_case("snappy")) || packings.next().is_some() {
        let said: Vec<_> = headers.get_all(header::CONTENT_ENCODING).iter().collect();
        return Err(unsupported(format!("Content-Encoding {said:?} is not read here; send snappy (block format)")));
    }
    Ok(message)
}

fn of_content_type(said: &str) -> Option<Message> {
    let mut parts = said.split(';').map(str::trim);
    if !parts.next()?.eq_ignore_ascii_case("application/x-protobuf") {
        return None;
    }
    for parameter in parts.filter(|part| !part.is_empty()) {
        let (name, value) = parameter.split_once('=')?;
        if name.trim().eq_ignore_ascii_case("proto") {
            return match value.trim().trim_matches('"') {
                "prometheus.WriteRequest" => Some(Message::V1),
                "io.prometheus.write.v2.Request" => Some(Message::V2),
                _ => None,
            };
        }
    }
    Some(Message::V1)
}

fn unsupported(message: String) -> Fault {
    Fault::invalid(message).with_status(StatusCode::UNSUPPORTED_MEDIA_TYPE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_types() {
        for (said, expected) in [
            ("application/x-protobuf", Some(Message::V1)),
            ("application/x-protobuf;proto=prometheus.WriteRequest", Some(Message::V1)),
            ("application/x-protobuf;proto=io.prometheus.write.v2.Request", Some(Message::V2)),
            ("Application/X-Protobuf ; charset=x ; Proto=\"io.prometheus.write.v2.Request\"", Some(Message::V2)),
            ("application/x-protobuf;", Some(Message::V1)),
            ("application/x-protobuf;proto=io.prometheus.write.v3.Request", None),
            ("application/x-protobuf;proto", None),
            ("application/json", None),
            ("application/x-protobuffer", None),
            ("", None),
        ] {
            assert_eq!(of_content_type(said), expected, "{said}");
        }
    }
}
