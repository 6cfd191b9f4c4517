//! What is read, and how it is written back.

use super::super::ast::{BinaryOp, Conversion, Expr, LabelFilter, Metric, Stage};
use super::super::{parse, parse_selector};

/// The canonical text of a query, which must parse to the same tree.
fn check(query: &str, canonical: &str) {
    let expr = parse(query).unwrap_or_else(|error| panic!("{query}: {error}"));
    assert_eq!(expr.to_string(), canonical, "{query}");
    let again = parse(canonical).unwrap_or_else(|error| panic!("{canonical}: {error}"));
    assert_eq!(again, expr, "{query}");
}

#[test]
fn log_queries() {
    for (query, canonical) in [
        (r#"{app="x"}"#, r#"{app="x"}"#),
        (r#" { app = "x" } "#, r#"{app="x"}"#),
        ("{app=`x`}", r#"{app="x"}"#),
        (r#"({app="x"})"#, r#"{app="x"}"#),
        (r#"{app="x",b!="y",c=~"z",d!~"w"}"#, r#"{app="x", b!="y", c=~"z", d!~"w"}"#),
        (
            r#"{app="x"}|="a"!="b"|~"c"!~"d"|>"<_>e"!>"f<_>""#,
            r#"{app="x"} |= "a" != "b" |~ "c" !~ "d" |> "<_>e" !> "f<_>""#,
        ),
        (r#"{app="x"} |= "a" or "b" or "c""#, r#"{app="x"} |= "a" or "b" or "c""#),
        (r#"{app="x"} != "a" or "b""#, r#"{app="x"} != "a" != "b""#),
        (r#"{app="x"} !~ "a" or "b" |= "c""#, r#"{app="x"} !~ "a" !~ "b" |= "c""#),
        (
            r#"{app="x"} |= ip("10.0.0.0/8") != ip("10.1.0.1-10.1.0.9")"#,
            r#"{app="x"} |= ip("10.0.0.0/8") != ip("10.1.0.1-10.1.0.9")"#,
        ),
        (r#"{app="x"}|json"#, r#"{app="x"} | json"#),
        (r#"{app="x"} | json a, b="c.d[0]", e="f[\"g h\"]""#, r#"{app="x"} | json a="a",b="c.d[0]",e="f[\"g h\"]""#),
        (r#"{app="x"} | logfmt --strict --keep-empty"#, r#"{app="x"} | logfmt --strict --keep-empty"#),
        (r#"{app="x"} | logfmt --keep-empty a, b="c""#, r#"{app="x"} | logfmt --keep-empty a="a",b="c""#),
        (r#"{app="x"} | unpack | decolorize"#, r#"{app="x"} | unpack | decolorize"#),
        (
            r#"{app="x"} | regexp "(?P<a>b)" | pattern `<c> <_>`"#,
            r#"{app="x"} | regexp "(?P<a>b)" | pattern "<c> <_>""#,
        ),
        ("{app=\"x\"} | line_format `{{.a}}\n`", r#"{app="x"} | line_format "{{.a}}\n""#),
        (r#"{app="x"} | label_format a=b, c="{{.d}}""#, r#"{app="x"} | label_format a=b,c="{{.d}}""#),
        (r#"{app="x"} | drop a, b="c", d=~"e" | keep f"#, r#"{app="x"} | drop a,b="c",d=~"e" | keep f"#),
        (r#"{app="x"} | a="b""#, r#"{app="x"} | a="b""#),
        (r#"{app="x"} | a=1 | b==2.5 | c!=-3 | d>1e3"#, r#"{app="x"} | a==1 | b==2.5 | c!=-3 | d>1000"#),
        (r#"{app="x"} | a>1m30s | b<=-5ms | c>2d"#, r#"{app="x"} | a>1m30s | b<=-5ms | c>48h0m0s"#),
        (r#"{app="x"} | a>=1.5KiB | b<3MB"#, r#"{app="x"} | a>=1536B | b<3.0MB"#),
        (r#"{app="x"} | a=ip("1.2.3.4") | b!=ip("::1")"#, r#"{app="x"} | a=ip("1.2.3.4") | b!=ip("::1")"#),
        (r#"{app="x"} | __error__="""#, r#"{app="x"} | __error__="""#),
        // Words that are functions only before a parenthesis.
        (
            r#"{app="x", rate="1"} | sum="2" | bytes > 5 | ip = "a""#,
            r#"{app="x", rate="1"} | sum="2" | bytes>5 | ip="a""#,
        ),
        // Comments of all kinds.
        ("{app=\"x\"} # all\n|= \"a\" // of\n| json /* it */", r#"{app="x"} |= "a" | json"#),
        ("{app=\"x\"} |= \"#no comment\"", r##"{app="x"} |= "#no comment""##),
        (r#"{app="\x41\u00e9\n\t\"\\"}"#, r#"{app="Aé\n\t\"\\"}"#),
        ("{app=\"x\"} |= `\\d \"`", r#"{app="x"} |= "\\d \"""#),
        ("{application=~\".+\"} |~ \"(?i)fail(ed|ure)\"", r#"{application=~".+"} |~ "(?i)fail(ed|ure)""#),
    ] {
        check(query, canonical);
    }
}

#[test]
fn label_filters_bind_as_in_loki() {
    for (filter, canonical) in [
        ("a=1 or b=2 and c=3", "( a==1 or ( b==2 , c==3 ) )"),
        ("a=1 and b=2 or c=3", "( ( a==1 , b==2 ) or c==3 )"),
        ("a=1 or b=2 or c=3", "( ( a==1 or b==2 ) or c==3 )"),
        ("a=1, b=2", "( a==1 , b==2 )"),
        ("a=1 b=2", "( a==1 , b==2 )"),
        // A comma and a gap take all that follows, and are taken by what is before them.
        ("a=1, b=2 or c=3", "( a==1 , ( b==2 or c==3 ) )"),
        ("a=1 or b=2, c=3", "( a==1 or ( b==2 , c==3 ) )"),
        ("a=1 or b=2 c=3", "( a==1 or ( b==2 , c==3 ) )"),
        ("(a=1 or b=2) and c=3", "( ( a==1 or b==2 ) , c==3 )"),
        ("((a=1))", "a==1"),
    ] {
        check(&format!("{{app=\"x\"}} | {filter}"), &format!("{{app=\"x\"}} | {canonical}"));
    }
}

#[test]
fn metric_queries() {
    for (query, canonical) in [
        (r#"rate({app="x"}[5m])"#, r#"rate({app="x"}[5m])"#),
        (r#"count_over_time({app="x"} |= "a" | json [1d12h])"#, r#"count_over_time({app="x"} |= "a" | json[1d12h])"#),
        (r#"count_over_time({app="x"}[5m] |= "a")"#, r#"count_over_time({app="x"} |= "a"[5m])"#),
        (
            r#"count_over_time({app="x"}[5m] offset 1h |= "a")"#,
            r#"count_over_time({app="x"} |= "a"[5m] offset 1h0m0s)"#,
        ),
        (
            r#"count_over_time(({app="x"} |= "a")[5m] offset -5m)"#,
            r#"count_over_time({app="x"} |= "a"[5m] offset -5m0s)"#,
        ),
        (r#"count_over_time(({app="x"}[5m]))"#, r#"count_over_time({app="x"}[5m])"#),
        (r#"count_over_time(({app="x"}[5m] |= "a"))"#, r#"count_over_time({app="x"} |= "a"[5m])"#),
        (
            r#"bytes_over_time({app="x"}[1h]) + bytes_rate({app="x"}[1h])"#,
            r#"(bytes_over_time({app="x"}[1h]) + bytes_rate({app="x"}[1h]))"#,
        ),
        (r#"absent_over_time({app="x"}[1y])"#, r#"absent_over_time({app="x"}[1y])"#),
        (r#"sum_over_time({app="x"} | json | unwrap a [5m])"#, r#"sum_over_time({app="x"} | json | unwrap a[5m])"#),
        (r#"sum_over_time({app="x"} | unwrap a [5m])"#, r#"sum_over_time({app="x"} | unwrap a[5m])"#),
        (r#"sum_over_time({app="x"}[5m] | json | unwrap a)"#, r#"sum_over_time({app="x"} | json | unwrap a[5m])"#),
        (r#"sum_over_time(({app="x"})[5m] | unwrap a)"#, r#"sum_over_time({app="x"} | unwrap a[5m])"#),
        (
            r#"avg_over_time({app="x"} | unwrap duration(a) | __error__="" | b>1 [5m]) by (c,d)"#,
            r#"avg_over_time({app="x"} | unwrap duration(a) | __error__="" | b>1[5m]) by (c,d)"#,
        ),
        (
            r#"max_over_time({app="x"} | unwrap bytes(a) [5m]) without (c)"#,
            r#"max_over_time({app="x"} | unwrap bytes(a)[5m]) without (c)"#,
        ),
        (
            r#"min_over_time({app="x"} | unwrap duration_seconds(a) [5m]) by ()"#,
            r#"min_over_time({app="x"} | unwrap duration_seconds(a)[5m]) by ()"#,
        ),
        (r#"rate_counter({app="x"} | unwrap a [5m])"#, r#"rate_counter({app="x"} | unwrap a[5m])"#),
        (r#"rate({app="x"} | unwrap a [5m])"#, r#"rate({app="x"} | unwrap a[5m])"#),
        (r#"first_over_time({app="x"} | unwrap a [5m])"#, r#"first_over_time({app="x"} | unwrap a[5m])"#),
        (
            r#"quantile_over_time(0.99, {app="x"} | unwrap a [5m]) by (b)"#,
            r#"quantile_over_time(0.99,{app="x"} | unwrap a[5m]) by (b)"#,
        ),
        (
            r#"quantile_over_time(1.5, {app="x"} | unwrap a [5m])"#,
            r#"quantile_over_time(1.5,{app="x"} | unwrap a[5m])"#,
        ),
        (r#"sum(rate({app="x"}[5m]))"#, r#"sum(rate({app="x"}[5m]))"#),
        (r#"sum by (a, b) (rate({app="x"}[5m]))"#, r#"sum by (a,b)(rate({app="x"}[5m]))"#),
        (r#"SUM(rate({app="x"}[5m])) By (a)"#, r#"sum by (a)(rate({app="x"}[5m]))"#),
        (r#"avg without () (rate({app="x"}[5m]))"#, r#"avg without ()(rate({app="x"}[5m]))"#),
        (r#"sum by () (rate({app="x"}[5m]))"#, r#"sum(rate({app="x"}[5m]))"#),
        (r#"topk(3, rate({app="x"}[5m])) by (a)"#, r#"topk by (a)(3,rate({app="x"}[5m]))"#),
        (r#"bottomk by (a) (3, rate({app="x"}[5m]))"#, r#"bottomk by (a)(3,rate({app="x"}[5m]))"#),
        (r#"approx_topk(3, rate({app="x"}[5m]))"#, r#"approx_topk(3,rate({app="x"}[5m]))"#),
        (r#"sort_desc(sum(rate({app="x"}[5m])))"#, r#"sort_desc(sum(rate({app="x"}[5m])))"#),
        (r#"stddev(stdvar(count(rate({app="x"}[5m]))))"#, r#"stddev(stdvar(count(rate({app="x"}[5m]))))"#),
        ("1+2*3", "7"),
        ("-2 ^ 2", "4"),
        ("2 ^ 3 ^ 2", "512"),
        ("1 - -1", "2"),
        ("1 -1", "0"),
        ("10 % 4 > 1", "1"),
        ("1 / 0", "(0 / 0)"),
        ("vector(1.5)", "vector(1.5)"),
        (r#"vector(1) or rate({app="x"}[5m]) and vector(2)"#, r#"(vector(1) or (rate({app="x"}[5m]) and vector(2)))"#),
        (r#"rate({app="x"}[5m]) > bool 1"#, r#"(rate({app="x"}[5m]) > bool 1)"#),
        (r#"2 * rate({app="x"}[5m]) + 1 == 3"#, r#"(((2 * rate({app="x"}[5m])) + 1) == 3)"#),
        (r#"vector(1) / on (a, b) group_left (c) vector(2)"#, "(vector(1) / on (a,b) group_left (c) vector(2))"),
        (r#"vector(1) / on (a) group_left vector(2)"#, "(vector(1) / on (a) group_left () vector(2))"),
        (r#"vector(1) and on (a) group_left vector(2)"#, "(vector(1) and on (a) group_left () vector(2))"),
        (r#"vector(1) - ignoring (a) group_right () vector(2)"#, "(vector(1) - ignoring (a) group_right () vector(2))"),
        (r#"vector(1) * on () vector(2)"#, "(vector(1) * on () vector(2))"),
        (r#"vector(1) unless ignoring (a) vector(2)"#, "(vector(1) unless ignoring (a) vector(2))"),
        (
            r#"label_replace(rate({app="x"}[5m]), "a", "$1", "b", "(.*)-.*")"#,
            r#"label_replace(rate({app="x"}[5m]),"a","$1","b","(.*)-.*")"#,
        ),
        (r#"(sum(rate({app="x"}[5m])) - 1) * 2"#, r#"((sum(rate({app="x"}[5m])) - 1) * 2)"#),
        (r#"sum by (rate) (rate({app="x"}[5m]))"#, r#"sum by (rate)(rate({app="x"}[5m]))"#),
    ] {
        let expr = parse(query).unwrap_or_else(|error| panic!("{query}: {error}"));
        assert_eq!(expr.to_string(), canonical, "{query}");
        // No number equals itself that is none.
        if !query.contains("/ 0") {
            check(query, canonical);
        }
    }
}

#[test]
fn trees_have_their_parts() {
    let Expr::Metric(Metric::Binary(binary)) = parse("rate({a=\"b\"}[5m]) >= bool on (x) vector(1)").unwrap() else {
        panic!()
    };
    assert!(binary.op == BinaryOp::GreaterOrEqual && binary.return_bool && binary.matching.on);
    assert_eq!(binary.matching.labels, ["x"]);
    let Expr::Metric(Metric::Range(range)) =
        parse("sum_over_time({a=\"b\"} | unwrap duration(c) | d=\"e\" [90s] offset 1m)").unwrap()
    else {
        panic!()
    };
    assert_eq!((range.range.interval_ns, range.range.offset_ns), (90_000_000_000, 60_000_000_000));
    let unwrap = range.range.unwrap.unwrap();
    assert_eq!((unwrap.conversion, unwrap.label.as_str(), unwrap.filters.len()), (Conversion::Duration, "c", 1));
    let Expr::Log(log) = parse("{a=\"b\"} | c > 1.5µs").unwrap() else { panic!() };
    assert!(matches!(&log.stages[0], Stage::LabelFilter(LabelFilter::Duration { ns: 1_500, .. })));
    assert_eq!(parse_selector("{a=\"\", b=~\".*\"}").unwrap().len(), 2);
    assert!(parse_selector("{}").unwrap().is_empty());
    assert!(parse_selector("{a=\"b\"} |= \"c\"").is_err());
}

/// As Grafana, its apps and common dashboards write them.
#[test]
fn queries_that_are_in_use() {
    for query in [
        r#"sum by (detected_level) (count_over_time({service_name=`api`} | drop __error__ [1m]))"#,
        r#"{service_name="api"} |= `` | json | logfmt | drop __error__, __error_details__"#,
        r#"sum(count_over_time({service_name=`api`} |~ `(?i)error` | logger=~`.+` [5m])) by (logger)"#,
        r#"topk(10, sum(count_over_time({app="nginx"} | pattern "<ip> - - <_> \"<method> <path> <_>\" <status> <size> <_> \"<agent>\" <_>" | status >= 400 [1h])) by (path))"#,
        r#"quantile_over_time(0.99, {app="nginx"} | json | __error__="" | unwrap request_time [5m]) by (host)"#,
        r#"sum(rate({app="x"} |= "error" != "timeout" [1m])) by (pod) / sum(rate({app="x"}[1m])) by (pod) > 0.05"#,
        r#"{cluster="ops", namespace="prod"} |= "metrics.go" !~ "out of order" | logfmt | duration > 30s or status_code!="200""#,
        r#"sum by (org_id) (sum_over_time({cluster="ops"} |= "metrics.go" | logfmt | unwrap bytes_processed [1m]))"#,
        r#"avg_over_time({app="x"} | logfmt | unwrap duration(latency) | __error__="" [5m]) by (route)"#,
        r#"{app="x"} | json | line_format "{{.ts}} {{if eq .level \"error\"}}!{{end}} {{.msg | trunc 80 | upper}}" | label_format ts=`{{__timestamp__ | date "15:04"}}`"#,
        r#"{app="x"} | logfmt | addr = ip("192.168.4.5/16") | line_format "{{ .addr }}""#,
        r#"max_over_time({app="x"} | regexp "took (?P<ms>\\d+)ms" | unwrap ms [10m]) without (pod, instance)"#,
        r#"label_replace(rate({job="api"} |= "err" [1m]), "foo", "$1", "service", "(.*):.*")"#,
        r#"sort_desc(topk(5, sum by (service_name) (bytes_over_time({service_name=~".+"}[1h]))))"#,
        r#"absent_over_time({app="x"} |= "heartbeat" [10m]) == 1 or vector(0)"#,
        r#"{app="x"} | json first_server="servers[0]", ua="request.headers[\"User-Agent\"]" | ua != """#,
        r#"sum(count_over_time({app="x"}[5m] offset 1d)) - sum(count_over_time({app="x"}[5m]))"#,
        r#"sum by (host) (rate_counter({app="x"} | json | unwrap requests_total [5m]))"#,
    ] {
        let canonical = parse(query).unwrap_or_else(|error| panic!("{query}: {error}")).to_string();
        check(query, &canonical);
    }
}
