//! Values and labels of samples.

use super::super::ast::{Expr, Metric};
use super::super::parse;
use super::super::pipeline::{Extractor, Reads};
use super::entry::{check_all, sample};

#[test]
fn values() {
    check_all(
        &[
            (r#"count_over_time({app="x"}[5m])"#, "line", "1 {app=x pod=p1 size=12KB}"),
            (r#"rate({app="x"} |= "no" [5m])"#, "line", "-"),
            (r#"bytes_over_time({app="x"}[5m])"#, "línea", "6 {app=x pod=p1 size=12KB}"),
            (r#"bytes_over_time({app="x"} | line_format `{{.pod}}` [5m])"#, "line", "2 {app=x pod=p1 size=12KB}"),
            (r#"absent_over_time({app="x"}[5m])"#, "line", "1 {}"),
            (r#"sum_over_time({app="x"} | logfmt | unwrap a [5m])"#, "a=1.5 b=2", "1.5 {app=x b=2 pod=p1 size=12KB}"),
            (r#"sum_over_time({app="x"} | unwrap bytes(size) [5m])"#, "line", "12000 {app=x pod=p1}"),
            (
                r#"sum_over_time({app="x"} | logfmt | unwrap duration(a) [5m])"#,
                "a=1m30s",
                "90 {app=x pod=p1 size=12KB}",
            ),
            (
                r#"sum_over_time({app="x"} | logfmt | unwrap duration_seconds(a) [5m])"#,
                "a=250ms",
                "0.25 {app=x pod=p1 size=12KB}",
            ),
            // As Go counts seconds.
            (
                r#"sum(sum_over_time({app="x"} | logfmt | unwrap duration(a) [5m]))"#,
                "a=1.118s",
                "1.1179999999999999 {}",
            ),
            // No label, no sample; a wrong value is an error.
            (r#"sum_over_time({app="x"} | logfmt | unwrap a [5m])"#, "b=2", "-"),
            (r#"sum_over_time({app="x"} | logfmt --keep-empty | unwrap a [5m])"#, "a=", "-"),
            (
                r#"sum(sum_over_time({app="x"} | logfmt | unwrap a [5m]))"#,
                "a=x",
                "0 {__error__=SampleExtractionErr __error_details__=strconv.ParseFloat: parsing \"x\": invalid syntax a=x app=x pod=p1 size=12KB}",
            ),
            (r#"sum(sum_over_time({app="x"} | logfmt | unwrap a | __error__="" [5m]))"#, "a=x", "-"),
            (r#"sum(sum_over_time({app="x"} | logfmt | unwrap a | __error__="" [5m]))"#, "a=2", "2 {}"),
            (r#"sum(sum_over_time({app="x"} | logfmt | unwrap a | b="1" | c="2" [5m]))"#, "a=2 b=1 c=2", "2 {}"),
            (r#"sum(sum_over_time({app="x"} | logfmt | unwrap a | b="1" | c="3" [5m]))"#, "a=2 b=1 c=2", "-"),
            (r#"sum(sum_over_time({app="x"} | logfmt | unwrap a | b=ip("none") [5m]))"#, "a=2 b=1", "-"),
            (r#"sum(sum_over_time({app="x"} | logfmt | unwrap a | b=ip("none") or c="1" [5m]))"#, "a=2 c=1", "2 {}"),
        ],
        sample,
    );
}

#[test]
fn labels() {
    check_all(
        &[
            (r#"sum by (app) (rate({app="x"}[5m]))"#, "l", "1 {app=x}"),
            (r#"sum by (pod, none, app) (rate({app="x"}[5m]))"#, "l", "1 {app=x pod=p1}"),
            (r#"sum without (pod) (rate({app="x"}[5m]))"#, "l", "1 {app=x size=12KB}"),
            (r#"sum without () (rate({app="x"}[5m]))"#, "l", "1 {app=x pod=p1 size=12KB}"),
            (r#"sum(rate({app="x"}[5m]))"#, "l", "1 {}"),
            (r#"max(rate({app="x"}[5m]))"#, "l", "1 {app=x pod=p1 size=12KB}"),
            (r#"sum by (a) (rate({app="x"} | logfmt [5m]))"#, "a=1 b=2", "1 {a=1}"),
            (r#"sum without (a) (rate({app="x"} | logfmt [5m]))"#, "a=1 b=2", "1 {app=x b=2 pod=p1 size=12KB}"),
            (r#"sum by (app) (rate({app="x"} | logfmt [5m]))"#, "app=1", "1 {app=x}"),
            (r#"avg_over_time({app="x"} | logfmt | unwrap a [5m]) by (b)"#, "a=1 b=2", "1 {b=2}"),
            (r#"avg_over_time({app="x"} | logfmt | unwrap a [5m]) by (a)"#, "a=1 b=2", "1 {a=1}"),
            (
                r#"avg_over_time({app="x"} | logfmt | unwrap a [5m]) without (b)"#,
                "a=1 b=2",
                "1 {app=x pod=p1 size=12KB}",
            ),
            (r#"avg_over_time({app="x"} | logfmt | unwrap a [5m]) by ()"#, "a=1 b=2", "1 {}"),
            (
                r#"sum by (b) (avg_over_time({app="x"} | logfmt | unwrap a [5m]))"#,
                "a=1 b=2",
                "1 {app=x b=2 pod=p1 size=12KB}",
            ),
            // As in Loki what was dropped is in no grouping, even when it was set again.
            (r#"sum by (pod) (rate({app="x"} | drop pod [5m]))"#, "l", "1 {}"),
            (r#"sum by (pod) (rate({app="x"} | drop pod | label_format pod=`1` [5m]))"#, "l", "1 {}"),
            (
                r#"sum without (app) (rate({app="x"} | drop pod | label_format pod=`1` [5m]))"#,
                "l",
                "1 {pod=1 size=12KB}",
            ),
            (r#"sum by (a) (rate({app="x"} | logfmt --keep-empty [5m]))"#, "a=", "1 {a=}"),
        ],
        sample,
    );
}

/// A label that has an error's name and is none is seen only where a grouping keeps it.
#[test]
fn labels_named_as_errors() {
    let details = "__error_details__=strconv.ParseFloat: parsing \"abc\": invalid syntax";
    let marked = "__preserve_error__=true latency=abc";
    let failed =
        format!("1 {{__error__=LabelFilterErr {details} __preserve_error__=true app=x latency=abc pod=p1 size=12KB}}");
    let unmarked = format!("1 {{__error__=LabelFilterErr {details} app=x latency=abc pod=p1 size=12KB}}");
    let boom = r#"{"latency":5,"__error__":"boom"}"#;
    check_all(
        &[
            (r#"count_over_time({app="x"} | json [5m])"#, boom, "1 {__error__=boom app=x latency=5 pod=p1 size=12KB}"),
            (r#"sum by (pod) (count_over_time({app="x"} | json [5m]))"#, boom, "1 {pod=p1}"),
            (r#"sum by (pod) (sum_over_time({app="x"} | json | unwrap latency [5m]))"#, boom, "5 {pod=p1}"),
            (r#"sum by (__error__) (count_over_time({app="x"} | json [5m]))"#, boom, "1 {__error__=boom}"),
            (
                r#"sum without (__error__) (count_over_time({app="x"} | json [5m]))"#,
                boom,
                "1 {app=x latency=5 pod=p1 size=12KB}",
            ),
            (r#"sum by (pod) (count_over_time({app="x"} | json | __error__="" [5m]))"#, boom, "1 {pod=p1}"),
            (r#"sum by (pod) (count_over_time({app="x"} | pattern "<__error__> <b>" [5m]))"#, "boom 5", "1 {pod=p1}"),
            // A mark in the line counts as the pipeline's own, where the query leaves room for it.
            (r#"count_over_time({app="x"} | logfmt | latency > 1 [5m])"#, marked, &failed),
            (r#"sum without (app) (count_over_time({app="x"} | logfmt | latency > 1 [5m]))"#, marked, &failed),
            (r#"sum by (pod) (count_over_time({app="x"} | logfmt | latency > 1 [5m]))"#, marked, &unmarked),
            (
                r#"sum by (__preserve_error__) (count_over_time({app="x"} | logfmt | latency > 1 [5m]))"#,
                marked,
                &failed,
            ),
        ],
        sample,
    );
}

/// What nothing reads is not formatted: its template neither fails nor makes labels needed.
#[test]
fn lines_that_nothing_reads() {
    check_all(
        &[
            (r#"sum by (a) (rate({app="x"} | logfmt | line_format `{{ div 1 0 }}` [5m]))"#, "a=1", "1 {a=1}"),
            (
                r#"sum by (l) (rate({app="x"} | line_format `new` | label_format l=`{{ __line__ }}` [5m]))"#,
                "old",
                "1 {l=old}",
            ),
            (
                r#"sum by (l) (rate({app="x"} | line_format `a` | line_format `b` |= `b` | label_format l=`{{ __line__ }}` [5m]))"#,
                "old",
                "1 {l=b}",
            ),
            (r#"sum by (a) (rate({app="x"} | line_format `a=2` | logfmt [5m]))"#, "a=1", "1 {a=2}"),
            (r#"sum(bytes_over_time({app="x"} | line_format `12345` [5m]))"#, "a", "5 {}"),
            (r#"sum(sum_over_time({app="x"} | logfmt | line_format `{{ div 1 0 }}` | unwrap a [5m]))"#, "a=7", "7 {}"),
        ],
        sample,
    );
}

#[test]
fn what_a_query_reads() {
    for (query, expected) in [
        (r#"count_over_time({app="x"}[5m])"#, None),
        (r#"sum(count_over_time({app="x"}[5m]))"#, Some("")),
        (r#"sum by (b, a) (count_over_time({app="x"} | c="1" [5m]))"#, Some("a b c")),
        (r#"sum by (a) (count_over_time({app="x"} |= "b" [5m]))"#, Some("a")),
        (r#"sum without (a) (count_over_time({app="x"}[5m]))"#, None),
        (r#"sum(count_over_time({app="x"} | json [5m]))"#, Some("")),
        (r#"sum by (a) (count_over_time({app="x"} | json | b > 5 [5m]))"#, Some("a b")),
        (r#"sum by (a_extracted) (count_over_time({app="x"} | json [5m]))"#, Some("a a_extracted")),
        (
            r#"sum by (a) (count_over_time({app="x"} | line_format `{{.c}} {{if .d}}{{.e}}{{end}}` |= `x` [5m]))"#,
            Some("a c d e"),
        ),
        (r#"sum by (a) (count_over_time({app="x"} | line_format `{{range .}}{{end}}` |= `x` [5m]))"#, None),
        (r#"sum by (a) (count_over_time({app="x"} | drop b [5m]))"#, None),
        (r#"sum(sum_over_time({app="x"} | unwrap a | b="1" [5m]))"#, Some("a b")),
        (r#"avg_over_time({app="x"} | unwrap a [5m]) by (c)"#, Some("a c")),
        (r#"avg_over_time({app="x"} | unwrap a [5m])"#, None),
        (r#"absent_over_time({app="x"} | a="1" [5m])"#, Some("a")),
    ] {
        let extractor = match parse(query).unwrap() {
            Expr::Metric(Metric::Range(range)) => Extractor::new(&range, None),
            Expr::Metric(Metric::Vector(vector)) => match &*vector.inner {
                Metric::Range(range) => Extractor::new(range, Some(&vector.grouping)),
                _ => panic!(),
            },
            _ => panic!(),
        };
        let found = extractor.unwrap().reads();
        let expected = match expected {
            None => Reads::All,
            Some(names) => {
                let mut names: Vec<String> = names.split_whitespace().map(str::to_owned).collect();
                // Where stages can fail, what an entry was sent with is an error too.
                if !names.is_empty() && query.contains(" | ") {
                    names.extend(["__error__", "__error_details__", "__preserve_error__"].map(str::to_owned));
                    names.sort();
                }
                Reads::Only(names)
            }
        };
        assert_eq!(found, expected, "{query}");
    }
}
