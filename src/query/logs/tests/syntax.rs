//! What searches say, and how they are refused.

use super::records::batch;
use super::*;

#[test]
fn bad_searches_say_where() {
    for (text, line, column, reason) in [
        ("a (b", 1, 3, "never closed"),
        ("a)", 1, 2, "closes nothing"),
        ("a\n\"b", 2, 1, "never closed"),
        ("x AND", 1, 6, "missing"),
        ("OR x", 1, 1, "on its left"),
        ("status:>=high", 1, 10, "compares numbers"),
        ("severty:>=warn", 1, 11, "did you mean severity?"),
        ("ü /(a/ x", 1, 3, "unclosed group"),
        ("a:/x{9999}{9999}/", 1, 3, "memory"),
        ("severity:>loud", 1, 11, "no severity is called"),
        ("service.name:", 1, 1, "needs a value"),
        ("time:>yesterday", 1, 7, "is no time"),
        ("a ()", 1, 4, "missing"),
    ] {
        match parse(text) {
            Err(QueryError::Parse { line: at_line, column: at_column, reason: given, start, end }) => {
                assert!(given.contains(reason), "{text}: {given}");
                assert_eq!((at_line, at_column), (line, column), "{text}: {given}");
                assert!(start <= end && text.is_char_boundary(start) && end <= text.len() + 1, "{text}");
            }
            other => panic!("{text}: {other:?}"),
        }
    }
    // One is within its limit, and so are fifteen more.
    let patterns = r"/\pL{18}/ ".repeat(17);
    assert!(parse(&patterns).unwrap_err().to_string().contains("together take more than 16777216 bytes"));
    assert!(parse(&"(".repeat(65)).unwrap_err().to_string().contains("nests deeper"));
    assert!(parse(&"-".repeat(16_000)).unwrap_err().to_string().contains("nests deeper"));
    assert!(parse(&"a ".repeat(9_000)).unwrap_err().to_string().contains("16384"));
}

#[test]
fn words_that_look_like_operators_or_fields_are_words() {
    for text in [
        "",
        "  ",
        "and or not",
        "-",
        "12:30:05",
        "http://x.y/z",
        "::1",
        "a-b",
        "-(a b) OR c",
        "\"weird key\":v",
        "*",
        "/api/orders",
        "/",
        "//",
        "/a/b/",
        "a*b",
        "k:a*b",
        "/a b/i",
        "k:/a\\/b/",
    ] {
        assert!(parse(text).is_ok(), "{text}");
    }
}

#[test]
fn budgets_end_a_search_and_say_which() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(Options::new(dir.path()), START_MS).unwrap();
    let tenant = store.tenant(&TenantId::default()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(tenant.submit_logs(batch(&mut Random::new(7)))).unwrap();
    let snapshot = tenant.snapshot().unwrap();
    let run = |budget: &Budget| {
        let all = parse("").unwrap();
        super::search(&snapshot, &all, NsRange::ALL, Direction::NewestFirst, 5, None, budget)
    };
    let late = Budget { deadline: std::time::Instant::now(), ..budget() };
    assert!(matches!(run(&late), Err(QueryError::Timeout { seconds: 60.0 })));
    let cancelled = budget();
    cancelled.cancelled.store(true, std::sync::atomic::Ordering::Relaxed);
    assert!(matches!(run(&cancelled), Err(QueryError::Cancelled)));
    let small = Budget { bytes_max: 10, ..budget() };
    assert!(run(&small).unwrap_err().to_string().contains("query.memory_max"));
    assert_eq!(run(&budget()).unwrap().rows.len(), 5);
    let bad =
        super::search(&snapshot, &parse("").unwrap(), NsRange::ALL, Direction::NewestFirst, 5, Some("x"), &budget());
    assert!(matches!(bad, Err(QueryError::Evaluation { .. })));
    let wide = histogram(&snapshot, &parse("").unwrap(), NsRange::ALL, 1, &budget());
    assert!(wide.unwrap_err().to_string().contains("11000"));
}

#[test]
fn searches_find_what_they_say() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(Options::new(dir.path()), START_MS).unwrap();
    let tenant = store.tenant(&TenantId::default()).unwrap();
    let bodies = [
        r#"{"status":500,"http":{"route":"/pay","ms":12.5},"msg":"card \"visa\" refused"}"#,
        "level=warn status=500 http.route=/pay msg=\"card refused\"",
        "GET /api/v1/orders 503 connection-refused",
        "Payment refused: id 9007199254740993",
        r#"{"status":"5e2","id":9007199254740993}"#,
    ];
    let at_ns = START_MS * 1_000_000;
    let record = |(n, body): (usize, &&str)| LogRecord {
        time_ns: at_ns + n as i64,
        body: AnyValue::Str((*body).into()),
        ..LogRecord::default()
    };
    let records = bodies.iter().enumerate().map(record).map(|record| (0, 0, record)).collect();
    let batch = LogBatch { resources: vec![Resource::default()], scopes: vec![Scope::default()], records };
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(tenant.submit_logs(batch)).unwrap();
    let check = |stage: &str| {
        let snapshot = tenant.snapshot().unwrap();
        for (text, expected) in [
            ("status:500", "01"),
            ("status:>=500", "01"),
            ("status:*", "014"),
            ("status:5e2", "01"),
            ("status:\"5e2\"", "4"),
            ("body.http.route:/pay", "01"),
            ("http.route:\"/pay\"", "01"),
            ("http.ms:>12", "0"),
            ("http.ms:12.5", "0"),
            ("msg:\"card \\\"visa\\\" refused\"", "0"),
            ("msg:card*refused", "01"),
            ("level:WARN", "1"),
            ("id:9007199254740993", "4"),
            ("id:9007199254740992", ""),
            ("resource.status:500", ""),
            ("attributes.status:500", ""),
            ("conn*refused", "2"),
            ("/v[0-9]+\\/orders/", "2"),
            ("/PAYMENT/i", "3"),
            ("/PAYMENT/", ""),
            ("msg:/vis[ab]/", "0"),
            ("-status:* refused", "23"),
            ("NOT /./", ""),
            ("{service_name=\"unknown_service\"} | json | status=\"500\"", "0"),
            (" {service_name=~\".+\"} |= \"refused\" != \"card\"", "23"),
            ("{service_name=\"api\"}", ""),
        ] {
            let search = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            let answer =
                super::search(&snapshot, &search, NsRange::ALL, Direction::OldestFirst, 9, None, &budget()).unwrap();
            let found: String = answer.rows.iter().map(|row| (row.record.time_ns - at_ns).to_string()).collect();
            assert_eq!(found, expected, "{text} {stage}");
        }
    };
    check("in the head");
    for hours in [0, 1, 3, 6] {
        store.maintain(START_MS + hours * 3_600_000).unwrap();
    }
    check("in a block that is indexed");
}
