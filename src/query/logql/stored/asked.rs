//! What Loki's API answers otherwise than its ruler: see `plan`.

use super::*;

fn records() -> LogBatch {
    let resource =
        |name: &str| Resource { attributes: vec![("service.name".into(), text(name))], ..Resource::default() };
    let record = |resource: u32, before_s: i64, line: &str| {
        (resource, 0, LogRecord { time_ns: START_NS - before_s * S, body: text(line), ..LogRecord::default() })
    };
    let records = vec![
        record(0, 40, "v=83.2"),
        record(0, 30, "v=42.2"),
        record(0, 20, "v=79.0"),
        record(0, 10, "v=12.6"),
        record(1, 30, "v=2"),
        record(1, 20, "v=4"),
        record(1, 10, "hello"),
        record(2, 20, "at=one"),
        record(2, 10, "at=one"),
        record(2, 3_640, "at=one"),
        record(2, 3_630, "at=two"),
        record(2, 3_620, "at=two"),
        record(3, 30, "v=high"),
        record(3, 20, "v=Inf n=1"),
        record(3, 10, "v=Inf n=2"),
    ];
    LogBatch { resources: ["a", "b", "c", "d"].map(resource).to_vec(), scopes: vec![Scope::default()], records }
}

#[test]
fn the_api_divides_and_splits_where_the_ruler_does_not() {
    let dir = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let store = Store::open(Options::new(dir.path()), START_MS).unwrap();
    let tenant = store.tenant(&TenantId::default()).unwrap();
    runtime.block_on(tenant.submit_logs(records())).unwrap();
    let snapshot = tenant.snapshot().unwrap();
    let check = |query: &str, ruler: &str, api: &str| {
        let Expr::Metric(metric) = parse(query).unwrap() else { panic!("{query} is no metric query") };
        let shown = |by| match instant_of(Some(&snapshot), &metric, START_NS, by, &budget()).map(|answer| answer.value)
        {
            Ok(Value::Vector(found)) => found.iter().map(|(_, value)| value.to_string()).collect::<Vec<_>>().join(" "),
            Ok(other) => panic!("{query}: {other:?}"),
            Err(error) => error.to_string(),
        };
        assert_eq!((shown(By::Ruler).as_str(), shown(By::Api).as_str()), (ruler, api), "{query}");
    };
    let avg = |service: &str, more: &str| {
        format!(r#"avg_over_time({{service_name="{service}"}} | logfmt | unwrap v {more}[5m])"#)
    };
    // What a Loki 3.7.4 was measured to answer for these values.
    let running = "54.24999999999999";
    check(&avg("a", ""), running, running);
    check(&format!("{} without ()", avg("a", "")), running, running);
    check(&format!("{} by (service_name)", avg("a", "")), running, "54.25");
    check(&format!("{} by ()", avg("a", "")), running, "54.25");
    check(&format!("{} without (v)", avg("a", "")), running, "54.25");
    // A line without the label counts, and one that a filter behind `unwrap` refuses.
    check(&format!("{} by (service_name)", avg("b", "")), "3", "2");
    check(&format!("topk(1, {} by (service_name))", avg("b", "")), "3", "2");
    check(&format!("sum({} by (service_name))", avg("b", "")), "3", "3");
    check(&format!("{} by (service_name)", avg("b", "| v>3 ")), "4", "1.3333333333333333");
    // A running mean of infinities is none.
    let infinite = r#"avg(sum_over_time({service_name="d"} | logfmt | unwrap v | __error__="" [5m]))"#;
    check(infinite, "NaN", "inf");
    // What each hour has most of, added up; behind a parser that makes many labels the most of any hour.
    let count = r#"count_over_time({service_name="c"} | regexp "at=(?P<at>.*)" [2h])"#;
    check(&format!("max({count})"), "3", "4");
    check(&format!("sum({count})"), "5", "5");
    check(r#"max(count_over_time({service_name="c"} | logfmt [2h]))"#, "3", "2");
}
