//! What parsers leave out because a query does not need it, as it shows in answers.

use super::entry::{check_all, made, sample};

#[test]
fn lines_are_not_parsed_where_no_label_is_used() {
    check_all(
        &[
            (r#"sum(count_over_time({app="x"} | json [5m]))"#, "no json", "1 {}"),
            (
                r#"sum by (pod) (count_over_time({app="x"} | json [5m]))"#,
                "no json",
                "1 {__error__=JSONParserErr __error_details__=Value looks like object, but can't find closing '}' symbol app=x pod=p1 size=12KB}",
            ),
            (r#"sum by (pod) (count_over_time({app="x"} | json | __error__="" [5m]))"#, "no json", "-"),
            (r#"sum by (a) (count_over_time({app="x"} | json [5m]))"#, r#"{"a":"1", broken"#, "1 {a=1}"),
            (
                r#"sum by (b) (count_over_time({app="x"} | json [5m]))"#,
                r#"{"a":"1", broken"#,
                "1 {__error__=JSONParserErr __error_details__=Value looks like object, but can't find closing '}' symbol app=x pod=p1 size=12KB}",
            ),
            (r#"sum(count_over_time({app="x"} | json | a="1" [5m]))"#, r#"{"a":"1", broken"#, "1 {}"),
            (r#"sum(count_over_time({app="x"} | json | a="2" [5m]))"#, r#"{"a":"1", broken"#, "-"),
            (
                r#"count_over_time({app="x"} | json [5m])"#,
                "no json",
                "1 {__error__=JSONParserErr __error_details__=Value looks like object, but can't find closing '}' symbol app=x pod=p1 size=12KB}",
            ),
            // Asked for, errors are kept and marked.
            (
                r#"sum by (__error__) (count_over_time({app="x"} | json [5m]))"#,
                "no json",
                "1 {__error__=JSONParserErr __error_details__=Value looks like object, but can't find closing '}' symbol __preserve_error__=true app=x pod=p1 size=12KB}",
            ),
            // Nothing is unpacked either.
            (r#"sum(bytes_over_time({app="x"} | unpack [5m]))"#, r#"{"_entry":"four"}"#, "17 {}"),
            (r#"bytes_over_time({app="x"} | unpack [5m])"#, r#"{"_entry":"four"}"#, "4 {app=x pod=p1 size=12KB}"),
            // Only what is needed is made.
            (r#"sum by (a) (count_over_time({app="x"} | logfmt [5m]))"#, "b=1 a=2 =", "1 {a=2}"),
            (r#"sum by (pod_extracted) (count_over_time({app="x"} | logfmt [5m]))"#, "pod=9", "1 {pod_extracted=9}"),
            (r#"sum by (a_b) (count_over_time({app="x"} | json [5m]))"#, r#"{"z":{"a_b":1},"a":{"b":2}}"#, "1 {a_b=2}"),
            // As in Loki the seeds of `logfmt` expressions count as found, and keys are asked for by their name in the line.
            (r#"sum by (a,b) (count_over_time({app="x"} | logfmt a, b [5m]))"#, "b=1 a=2", "1 {a= b=1}"),
            (r#"sum by (a) (count_over_time({app="x"} | logfmt a="b_c" [5m]))"#, "b.c=4", "1 {a=}"),
            (r#"sum by (a,x) (count_over_time({app="x"} | logfmt a="x" [5m]))"#, "x=3", "1 {a=3}"),
        ],
        sample,
    );
}

#[test]
fn a_filter_refuses_a_line_as_soon_as_its_label_is_made() {
    check_all(
        &[
            ("| json | a=`1`", r#"{"a":"2","b":broken"#, "-"),
            (
                "| json | a=`1`",
                r#"{"a":"1","b":broken"#,
                "{__error__=JSONParserErr __error_details__=Unknown value type a=1}",
            ),
            ("| json | a=`1` or b=`2`", r#"{"a":"2","b":broken"#, "-"),
            // Wherever it stands.
            ("| logfmt | label_format a=`1` | a=`1`", "a=2", "-"),
            ("| logfmt | drop a | a=``", "a=2", "-"),
            ("| logfmt | a=`2` | label_format a=`1`", "a=2", "{a=1}"),
            ("| logfmt | label_format a=`1` | (a=`1` or a=`3`)", "a=2", "{a=1}"),
            // A parser before a filter on metadata makes a label of another name.
            ("| logfmt | pod=`p1`", "pod=other", "{pod_extracted=other}"),
            ("| logfmt --strict | __error__=``", "a=1 =", "-"),
        ],
        made,
    );
}
