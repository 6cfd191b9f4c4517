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
        record(4, 20, r#"{"x":""}"#),
        record(4, 10, "{}"),
    ];
    LogBatch { resources: ["a", "b", "c", "d", "e"].map(resource).to_vec(), scopes: vec![Scope::default()], records }
}

#[test]
fn the_api_divides_and_splits_where_the_ruler_does_not() {
    let dir = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let store = Store::open(Options::new(dir.path()), START_MS).unwrap();
    let tenant = store.tenant(&TenantId::default()).unwrap();
    runtime.block_on(tenant.submit_logs(records())).unwrap();
    let snapshot = tenant.snapshot().unwrap();
    let check_by = |query: &str, one: fn(&(Labels, f64)) -> String, ruler: &str, api: &str| {
        let Expr::Metric(metric) = parse(query).unwrap() else { panic!("{query} is no metric query") };
        let shown = |by| match instant_of(Some(&snapshot), &metric, START_NS, by, &budget()).map(|answer| answer.value)
        {
            Ok(Value::Vector(found)) => found.iter().map(one).collect::<Vec<_>>().join(" "),
            Ok(other) => panic!("{query}: {other:?}"),
            Err(error) => error.to_string(),
        };
        assert_eq!((shown(By::Ruler).as_str(), shown(By::Api).as_str()), (ruler, api), "{query}");
    };
    let check = |query: &str, ruler: &str, api: &str| check_by(query, |(_, value)| value.to_string(), ruler, api);
    let labelled = |query: &str, ruler: &str, api: &str| {
        check_by(query, |(labels, value)| format!("{labels} {value}"), ruler, api);
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
    // An empty label stays where a list names it and goes where labels are put together anew.
    let count = r#"count_over_time({service_name="e"} | json [5m])"#;
    let kept = r#"count_over_time({service_name="e"} | json | keep x [5m])"#;
    let by_x = format!("sum by (x) ({count})");
    labelled(&by_x, r#"{} 1 {x=""} 1"#, r#"{} 1 {x=""} 1"#);
    labelled(&format!("sum without (detected_level) ({count})"), r#"{service_name="e"} 2"#, r#"{service_name="e"} 2"#);
    labelled(kept, r#"{} 1 {x=""} 1"#, "{} 2");
    labelled(&format!("avg by (x) ({count})"), r#"{} 1 {x=""} 1"#, "{} 1 {} 1");
    labelled(&format!("{by_x} * 2"), r#"{} 2 {x=""} 2"#, r#"{} 2 {x=""} 2"#);
    let twice = "found duplicate series on the right hand-side;many-to-many matching not allowed: matching labels must be unique on \
                 one side";
    labelled(&format!("{by_x} / {by_x}"), twice, twice);
}
