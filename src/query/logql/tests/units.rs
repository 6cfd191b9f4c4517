//! Durations, sizes and numbers as Go's libraries read and write them.

use super::super::units::{
    bytes, bytes_text, float, go_duration, go_duration_text, prometheus_duration, prometheus_duration_text, quote,
};

#[test]
fn durations_of_go() {
    for (text, ns) in [
        ("0", 0),
        ("5s", 5_000_000_000),
        ("1h30m", 5_400_000_000_000),
        ("1.5h", 5_400_000_000_000),
        ("-1.5s", -1_500_000_000),
        ("+2ms", 2_000_000),
        (".5s", 500_000_000),
        ("5.s", 5_000_000_000),
        ("100us", 100_000),
        ("100µs", 100_000),
        ("1ns", 1),
        ("0.1ns", 0),
        ("9223372036854775807ns", i64::MAX),
        ("-9223372036854775808ns", i64::MIN),
        ("0.3333333333333333333h", 1_200_000_000_000),
    ] {
        assert_eq!(go_duration(text), Ok(ns), "{text}");
    }
    for (text, reason) in [
        ("", "time: invalid duration \"\""),
        ("5", "time: missing unit in duration \"5\""),
        ("s", "time: invalid duration \"s\""),
        (".s", "time: invalid duration \".s\""),
        ("5d", "time: unknown unit \"d\" in duration \"5d\""),
        ("5 s", "time: unknown unit \" s\" in duration \"5 s\""),
        ("9223372036854775808ns", "time: invalid duration \"9223372036854775808ns\""),
        ("99999999999h", "time: invalid duration \"99999999999h\""),
    ] {
        assert_eq!(go_duration(text), Err(reason.into()), "{text}");
    }
    for (ns, text) in [
        (0, "0s"),
        (1, "1ns"),
        (1_500, "1.5µs"),
        (2_000_000, "2ms"),
        (1_500_000_000, "1.5s"),
        (90_000_000_000, "1m30s"),
        (3_600_000_000_000, "1h0m0s"),
        (-5_000_000_000, "-5s"),
        (i64::MIN, "-2562047h47m16.854775808s"),
    ] {
        assert_eq!(go_duration_text(ns), text);
        assert_eq!(go_duration(text), Ok(ns), "{text}");
    }
}

#[test]
fn durations_of_prometheus() {
    let minute = 60_000_000_000;
    for (text, ns, canonical) in [
        ("5m", 5 * minute, "5m"),
        ("0", 0, "0s"),
        ("90s", 90_000_000_000, "1m30s"),
        ("1d12h", 36 * 60 * minute, "1d12h"),
        ("1w", 7 * 24 * 60 * minute, "1w"),
        ("8d", 8 * 24 * 60 * minute, "8d"),
        ("1y", 365 * 24 * 60 * minute, "1y"),
        ("1h0m1ms", 60 * minute + 1_000_000, "1h1ms"),
    ] {
        assert_eq!(prometheus_duration(text), Ok(ns), "{text}");
        assert_eq!(prometheus_duration_text(ns), canonical);
    }
    for text in ["", "5", "m", "5x", "1m1h", "5m5m", "-5m", "1.5h", " 5m", "5ns", "300y", "99999999999999999999s"] {
        assert!(prometheus_duration(text).is_err(), "{text}");
    }
}

#[test]
fn sizes_and_numbers() {
    for (text, count) in [
        ("42", 42),
        ("42B", 42),
        ("1kB", 1_000),
        ("1KB", 1_000),
        ("1k", 1_000),
        ("1KiB", 1_024),
        ("1.5 KiB", 1_536),
        ("1,000", 1_000),
        ("20MB", 20_000_000),
        ("20mib", 20_971_520),
        ("3 GB", 3_000_000_000),
        ("1EiB", 1 << 60),
    ] {
        assert_eq!(bytes(text), Ok(count), "{text}");
    }
    for (text, reason) in [
        ("", "strconv.ParseFloat: parsing \"\": invalid syntax"),
        ("x", "strconv.ParseFloat: parsing \"\": invalid syntax"),
        ("1 parsec", "unhandled size name: parsec"),
        ("-1B", "strconv.ParseFloat: parsing \"\": invalid syntax"),
        ("1.2.3B", "strconv.ParseFloat: parsing \"1.2.3\": invalid syntax"),
        ("99EB", "too large: 99EB"),
    ] {
        assert_eq!(bytes(text), Err(reason.into()), "{text}");
    }
    for (count, text) in [
        (0, "0B"),
        (9, "9B"),
        (10, "10B"),
        (1_000, "1.0kB"),
        (1_024, "1.0kB"),
        (1_536, "1.5kB"),
        (82_854_982, "83MB"),
        (3_000, "3.0kB"),
    ] {
        assert_eq!(bytes_text(count), text);
    }
    assert_eq!(float("1e3"), Ok(1000.0));
    assert_eq!(float("Inf"), Ok(f64::INFINITY));
    assert_eq!(float("1e400"), Err("strconv.ParseFloat: parsing \"1e400\": value out of range".into()));
    assert!(float("NaN").unwrap().is_nan() && float("1_000") == Ok(1_000.0) && float(" 1").is_err());
    assert_eq!(quote("a\"\\\n\u{7f}é\u{200b}"), "\"a\\\"\\\\\\n\\x7fé\u{200b}\"");
}
