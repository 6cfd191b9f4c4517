use model::time::rfc3339_ns;

use super::*;

/// 2026-01-01T00:00:10Z.
const RECEIVED_NS: i64 = 1_767_225_610_000_000_000;

/// `time number text host app [attributes] body`; `-` for a derived time.
fn shown(bytes: &[u8]) -> String {
    let Message { resource, record } = parse(bytes, RECEIVED_NS, &TimeZone::UTC);
    assert_eq!(record.observed_time_ns, RECEIVED_NS);
    let of = |key: &str| model::log::attribute(&resource.attributes, key).map_or("-".into(), AnyValue::to_text);
    let time = if record.time_is_derived { "-".into() } else { rfc3339_ns(record.time_ns) };
    let attributes: Vec<String> =
        record.attributes.iter().map(|(key, value)| format!("{key}={}", value.to_text())).collect();
    let (number, text, body) = (record.severity_number, &record.severity_text, record.body.to_text());
    format!(
        "{time} {number} {text} {} {} [{}] {body}",
        of("host.name"),
        of("service.name"),
        attributes.join(" ").replace("syslog.", "")
    )
}

#[test]
fn messages_of_both_formats_become_records_and_others_are_kept() {
    for (line, expected) in [
        (
            "<34>1 2003-10-11T22:14:15.003Z mymachine.example.com su - ID47 - \u{feff}'su root' failed",
            "2003-10-11T22:14:15.003000000Z 18 crit mymachine.example.com su [facility=4 version=1 msgid=ID47] 'su root' failed",
        ),
        (
            r#"<165>1 2003-08-24T05:14:15.000003-07:00 192.0.2.1 app 8710 - [ex@1 a="1" b="x \" \] \\ \n"][o@2] text ] here"#,
            r#"2003-08-24T12:14:15.000003000Z 10 notice 192.0.2.1 app [facility=20 version=1 procid=8710 structured_data={"ex@1":{"a":"1","b":"x \" ] \\ \\n"},"o@2":{}}] text ] here"#,
        ),
        ("<0>1 - - - - - -", "- 21 emerg - - [facility=0 version=1] "),
        (
            "<13>Dec 31 23:59:59 host app[123]: text: more\n",
            "2025-12-31T23:59:59.000000000Z 10 notice host app [facility=1 procid=123] text: more",
        ),
        ("<14>Jan  1 00:00:01 host app: x\0", "2026-01-01T00:00:01.000000000Z 9 info host app [facility=1] x"),
        (
            "<15>2026-01-01T00:00:00.5+01:00 host app: x",
            "2025-12-31T23:00:00.500000000Z 5 debug host app [facility=1] x",
        ),
        ("<11>app[7]: without a time", "- 17 err - app [facility=1 procid=7] without a time"),
        ("<12>only words here", "- 13 warning - - [facility=1] only words here"),
        ("<9>Jan 32 00:00:00 host x", "- 19 alert - - [facility=1] Jan 32 00:00:00 host x"),
        (
            "no priority",
            "- 0  - - [binnacle.syslog_malformed=it does not begin with a priority such as <34>] no priority",
        ),
        ("<192>x", "- 0  - - [binnacle.syslog_malformed=it does not begin with a priority such as <34>] <192>x"),
        (
            "<34>1 yesterday h a p i - x",
            "- 0  - - [binnacle.syslog_malformed=its timestamp is not RFC 3339] <34>1 yesterday h a p i - x",
        ),
        (
            "<34>1 - h a p i [x a=\"1 x",
            "- 0  - - [binnacle.syslog_malformed=a value of its structured data does not end] <34>1 - h a p i [x a=\"1 x",
        ),
    ] {
        assert_eq!(shown(line.as_bytes()), expected, "{line}");
    }
    assert_eq!(shown(b"<14>a: \xff\xfe"), "- 9 info - a [facility=1 binnacle.invalid_utf8=true] \u{fffd}\u{fffd}");
}

#[test]
fn times_without_a_zone_are_those_of_the_zone_and_never_far_ahead() {
    let at = |text: &str| model::time::parse_rfc3339_ns(text).unwrap();
    for (received, zone, stamp, expected) in [
        ("2026-11-23T01:42:04Z", "UTC", "Nov 23 01:42:04", "2026-11-23T01:42:04"),
        ("2026-11-23T01:42:04Z", "Europe/Berlin", "Nov 23 02:42:04", "2026-11-23T01:42:04"),
        ("2026-11-23T01:42:04Z", "America/New_York", "Nov 22 20:42:04", "2026-11-23T01:42:04"),
        // Summer time, as of the message.
        ("2026-11-23T01:42:04Z", "Europe/Berlin", "Jul 23 02:42:04", "2026-07-23T00:42:04"),
        // Ahead of us, by as much as a zone may be.
        ("2026-12-31T23:59:59Z", "UTC", "Jan  1 13:59:59", "2027-01-01T13:59:59"),
        ("2026-11-23T01:42:04Z", "UTC", "Dec 31 23:59:59", "2025-12-31T23:59:59"),
        ("2026-01-01T00:00:10Z", "UTC", "Dec 31 23:59:59", "2025-12-31T23:59:59"),
        ("2026-11-23T01:42:04Z", "UTC", "Jun 30 23:59:60", "2026-07-01T00:00:00"),
        ("2028-02-29T12:00:00Z", "UTC", "Feb 29 11:00:00", "2028-02-29T11:00:00"),
    ] {
        let zone = TimeZone::get(zone).unwrap();
        let record = parse(format!("<13>{stamp} host app: x").as_bytes(), at(received), &zone).record;
        assert_eq!(rfc3339_ns(record.time_ns), format!("{expected}.000000000Z"), "{stamp} received at {received}");
        assert!(!record.time_is_derived);
    }
}

fn frames(pieces: &[&[u8]], bytes_max: usize) -> Vec<(String, u64)> {
    let mut framer = Framer::new(bytes_max);
    let mut out = Vec::new();
    for piece in pieces {
        framer.feed(piece);
        while let Some(frame) = framer.next_frame() {
            out.push(frame);
        }
    }
    out.extend(framer.finish());
    out.into_iter().map(|frame| (String::from_utf8(frame.bytes).unwrap(), frame.cut_bytes)).collect()
}

#[test]
fn streams_are_cut_into_messages_however_they_arrive() {
    for (stream, expected) in [
        ("<1>a\n<2>b\n\n<3>c", vec![("<1>a", 0), ("<2>b", 0), ("<3>c", 0)]),
        ("5 <1>a\n4 <2>b<3>c\n", vec![("<1>a\n", 0), ("<2>b", 0), ("<3>c", 0)]),
        ("<1>a\0<2>b\0", vec![("<1>a", 0), ("<2>b", 0)]),
        ("12 monkeys\n<1>a\n", vec![("12 monkeys", 0), ("<1>a", 0)]),
        ("<1>0123456789abc\n<2>b\n", vec![("<1>0123456", 6), ("<2>b", 0)]),
        ("14 <1>0123456789a<2>b\n", vec![("<1>0123456", 4), ("<2>b", 0)]),
        ("<1>0123456789", vec![("<1>0123456", 3)]),
        ("9 <1>ab", vec![("<1>ab", 0)]),
        ("", vec![]),
    ] {
        let expected: Vec<(String, u64)> = expected.into_iter().map(|(text, cut)| (text.into(), cut)).collect();
        assert_eq!(frames(&[stream.as_bytes()], 10), expected, "{stream:?}");
        let bytes: Vec<&[u8]> = stream.as_bytes().chunks(1).collect();
        assert_eq!(frames(&bytes, 10), expected, "{stream:?} byte by byte");
    }
}

#[test]
fn hostile_streams_keep_to_their_memory() {
    let mut framer = Framer::new(1_000);
    for _ in 0..10_000 {
        framer.feed(&[b'x'; 100]);
        assert!(framer.next_frame().is_none());
        assert!(framer.buffered() <= 1_100);
    }
    framer.feed(b"999999999 <");
    assert!(framer.next_frame().is_none());
    framer.feed(b"\n");
    assert_eq!(framer.next_frame().map(|frame| frame.cut_bytes), Some(1_000_000 - 1_000 + 11));
}
