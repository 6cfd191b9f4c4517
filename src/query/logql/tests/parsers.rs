//! Labels out of lines.

use super::entry::{check_all, made, run, run_on};

#[test]
fn json() {
    check_all(
        &[
            (
                "| json",
                r#"{"a":"x","b":1,"c":1.50,"d":true,"e":false,"f":null,"g":[1,2],"h":-2e5}"#,
                "{a=x b=1 c=1.50 d=true e=false h=-2e5}",
            ),
            ("| json", r#"{"a":{"b":{"c":"x","d":2}},"e":"y"}"#, "{a_b_c=x a_b_d=2 e=y}"),
            ("| json", r#"{}"#, "{}"),
            ("| json", r#" { "a" : "x" } behind"#, "{a=x}"),
            (
                "| json",
                r#"{"a.b":"1","c-d":"2","e f":"3","9g":"4"," h ":"5","é":"6"}"#,
                "{_9g=4 _=6 a_b=1 c_d=2 e_f=3 h=5}",
            ),
            ("| json", r#"{" ":{"a":"b"}}"#, "{a=b}"),
            ("| json", r#"{"a":{"":"b"," ":{"c":"d"}}}"#, "{a=b a_c=d}"),
            ("| json", r#"{"0":{"1":"a"}}"#, "{_0_1=a}"),
            // A key without a name is none, unless it stands below another.
            ("| json", r#"{"":"a"," ":"b","c":{"":"d"}}"#, "{c=d}"),
            // The first value counts.
            ("| json", r#"{"a":"1","a":"2","a_b":"3","a":{"b":"4"}}"#, "{a=1 a_b=3}"),
            // Of the stream and of the metadata.
            ("| json", r#"{"app":"1","pod":"2","size":{"x":"3"}}"#, "{app_extracted=1 pod_extracted=2 size_x=3}"),
            ("| json", r#"{"app":"1","app_extracted":"2"}"#, "{app_extracted=1}"),
            // Below another key the suffix goes behind the key as it is written.
            (
                "| json",
                r#"{"":{" app ":"1","pod":"2"},"size":{"":"3"}}"#,
                "{app__extracted=1 pod_extracted=2 size__extracted=3}",
            ),
            ("| json", r#"{"a":"x\ty\"z\\ \u00e9\ud83d\ude00 \/"}"#, "{a=x\ty\"z\\ é😀 /}"),
            ("| json", r#"{"a\u0062":"x"}"#, "{ab=x}"),
            // Wrong escapes and what was no UTF-8.
            ("| json", r#"{"a":"\x","b":"\ud83d"}"#, "{a= b=}"),
            ("| json", "{\"a\":\"x\u{fffd}y\"}", "{a=x y}"),
            ("| json", r#"{"a":""}"#, "{a=}"),
            // Errors; what was read before stays.
            (
                "| json",
                "no json",
                "{__error__=JSONParserErr __error_details__=Value looks like object, but can't find closing '}' symbol}",
            ),
            (
                "| json",
                "",
                "{__error__=JSONParserErr __error_details__=Value looks like object, but can't find closing '}' symbol}",
            ),
            (
                "| json",
                r#"["a"]"#,
                "{__error__=JSONParserErr __error_details__=Value looks like object, but can't find closing '}' symbol}",
            ),
            ("| json", r#"{"a":"x","b":"#, "{__error__=JSONParserErr __error_details__=Malformed JSON error a=x}"),
            (
                "| json",
                r#"{"a":"x","b":"y"#,
                "{__error__=JSONParserErr __error_details__=Value is string, but can't find closing '\"' symbol a=x}",
            ),
            (
                "| json",
                r#"{"a":"x","b":[1"#,
                "{__error__=JSONParserErr __error_details__=Value is array, but can't find closing ']' symbol a=x}",
            ),
            ("| json", r#"{"a":"x","b":truth}"#, "{__error__=JSONParserErr __error_details__=Unknown value type a=x}"),
            (
                "| json",
                r#"{"a":"x",}"#,
                "{__error__=JSONParserErr __error_details__=Value looks like object, but can't find closing '}' symbol a=x}",
            ),
            ("| json", "{\"a\":\"x\", \"b\":{\"c\":\"y\",\n  },\"d\":1 , }", "{a=x b_c=y d=1}"),
            (
                "| json",
                r#"{"a":"x" "b":"y"}"#,
                "{__error__=JSONParserErr __error_details__=Value looks like object, but can't find closing '}' symbol a=x}",
            ),
            (
                "| json",
                r#"{"a":"x""#,
                "{__error__=JSONParserErr __error_details__=Value is array, but can't find closing ']' symbol a=x}",
            ),
        ],
        made,
    );
}

#[test]
fn json_paths() {
    check_all(
        &[
            (r#"| json a, b="c.d""#, r#"{"a":"x","c":{"d":1}}"#, "{a=x b=1}"),
            (r#"| json x="a[1].b""#, r#"{"a":[{"b":1},{"b":"two"}]}"#, "{x=two}"),
            (r#"| json x="a[0]""#, r#"{"a":["x",2]}"#, "{x=x}"),
            (r#"| json x="a[5]""#, r#"{"a":["x",2]}"#, "{x=}"),
            (r#"| json x="a", y="a.b""#, r#"{"a":{"b":[1, 2]}}"#, r#"{x={"b":[1, 2]} y=[1, 2]}"#),
            (r#"| json x="[\"a b\"].c""#, r#"{"a b":{"c":"d"}}"#, "{x=d}"),
            (r#"| json x="[1]""#, r#"["a","b"]"#, "{x=b}"),
            (r#"| json a, b"#, r#"{"a":null}"#, "{a= b=}"),
            (r#"| json a, b"#, r#"{"b":"1","a":"2"}"#, "{a=2 b=1}"),
            (r#"| json x="a.b", y="c""#, r#"{"z":{"a":{"b":"no"}},"a":{"b":"yes"},"c":true}"#, "{x=yes y=true}"),
            (r#"| json pod="a""#, r#"{"a":"1"}"#, "{pod_extracted=1}"),
            (r#"| json x="a""#, r#"{"a":"q\"\u0041"}"#, "{x=q\"A}"),
            (r#"| json x="a""#, "no json", "{__error__=JSONParserErr}"),
            (r#"| json x="a""#, "", "{}"),
            (r#"| json x="a""#, r#"{"b":1"#, "{x=}"),
            // The second of two of one name.
            (r#"| json x="a", x="b""#, r#"{"a":"1","b":"2"}"#, "{x=2}"),
        ],
        made,
    );
}

#[test]
fn logfmt() {
    check_all(
        &[
            ("| logfmt", "a=1 b=\"two words\" c d= e=\"\" f=g", "{a=1 b=two words f=g}"),
            ("| logfmt --keep-empty", "a=1 c d= e=\"\"", "{a=1 c= d= e=}"),
            ("| logfmt", "a=1 a=2", "{a=1}"),
            ("| logfmt", "a= a=2", "{a=2}"),
            ("| logfmt", r#"a="x \"y\" \\ \n\t\u00e9""#, "{a=x \"y\" \\ \n\té}"),
            ("| logfmt", "a.b=1 c-d=2 9e=3 é=4", "{_9e=3 _=4 a_b=1 c_d=2}"),
            ("| logfmt", "app=1 pod=2", "{app_extracted=1 pod_extracted=2}"),
            // What is wrong is passed over, up to the next blank.
            ("| logfmt", "=x a=1 \"b\"=2 c=d=e f=\"g", "{a=1}"),
            ("| logfmt", "a=b\"c d=1", "{d=1}"),
            // A quote ends its pair wherever it is closed.
            ("| logfmt", "a=\"x\"b c=1", "{a=x c=1}"),
            ("| logfmt --keep-empty", "a=\"x\"b c=1", "{a=x b= c=1}"),
            ("| logfmt", "a=\"x\"=1 c=2", "{a=x c=2}"),
            ("| logfmt", "m=\"he \"ann\" left now\" s=2", "{m=he  s=2}"),
            ("| logfmt --keep-empty", "m=\"he \"ann\" left now\" s=2", "{left= m=he  s=2}"),
            ("| logfmt", "t=\"10:00\"l=info m=ok", "{l=info m=ok t=10:00}"),
            ("| logfmt", "plain text here", "{}"),
            ("| logfmt", "", "{}"),
            ("| logfmt", "a=\"\\q\" b=1", "{b=1}"),
            ("| logfmt", "a=\"x\\\"\ny\tz\" b=1", "{a=x\"\ny\tz b=1}"),
            ("| logfmt", "a=x\u{fffd}y", "{a=x y}"),
            (
                "| logfmt --strict",
                "a=1 =x b=2",
                "{__error__=LogfmtParserErr __error_details__=logfmt syntax error at pos 5 : unexpected '=' a=1}",
            ),
            (
                "| logfmt --strict",
                "a=1 c=d\"e",
                "{__error__=LogfmtParserErr __error_details__=logfmt syntax error at pos 8 : unexpected '\"' a=1}",
            ),
            (
                "| logfmt --strict",
                "a=\"1",
                "{__error__=LogfmtParserErr __error_details__=logfmt syntax error at pos 5 : unterminated quoted value}",
            ),
            (
                "| logfmt --strict",
                "a=\"\\q\"",
                "{__error__=LogfmtParserErr __error_details__=logfmt syntax error at pos 7 : invalid quoted value}",
            ),
            ("| logfmt --strict", "a=1", "{a=1}"),
            ("| logfmt a, b=\"c\"", "a=1 c=2 d=3", "{a=1 b=2}"),
            ("| logfmt a, b=\"c\"", "d=3", "{a= b=}"),
            ("| logfmt a", "a=1 a=2", "{a=2}"),
            ("| logfmt pod, x=\"app\"", "pod=1 app=2", "{pod_extracted=1 x=2}"),
            ("| logfmt a=\"x\", a=\"y\"", "x=1 y=2", "{a=2}"),
            ("| logfmt a=\"\\\"x\\\"\"", "x=1", "{a=1}"),
            // No key has several parts.
            ("| logfmt a=\"x \\\"y\\\"\"", "x=1 y=2", "{a=}"),
            ("| logfmt a=\"\\\"x\\\"  \\\"y\"", "x=1 y=2", "{a=}"),
            ("| logfmt a", "a=x\u{fffd}y", "{a=}"),
            (
                "| logfmt --strict a",
                "a=1 =",
                "{__error__=LogfmtParserErr __error_details__=logfmt syntax error at pos 5 : unexpected '=' a=1}",
            ),
        ],
        made,
    );
}

#[test]
fn regexp_and_pattern() {
    check_all(
        &[
            (r#"| regexp "(?P<m>\\w+) (?P<p>/\\S*)""#, "GET /x 200", "{m=GET p=/x}"),
            (r#"| regexp "(?P<a>x)|(?P<b>y)""#, "y", "{a= b=y}"),
            (r#"| regexp "(?P<a>x)""#, "y", "{}"),
            (r#"| regexp "(?P<pod>.*)""#, "y", "{pod_extracted=y}"),
            (r#"| regexp "(?<a>\\d+)""#, "x42", "{a=42}"),
            (r#"| regexp "(?P<a>.+)""#, "x\ny", "{a=x}"),
            ("| pattern `<ip> - <_> \"<m> <p>\"`", "1.2.3.4 - me \"GET /x\"", "{ip=1.2.3.4 m=GET p=/x}"),
            ("| pattern `<a>,<b>`", "1,2,3", "{a=1 b=2,3}"),
            // What is missing ends it, with the rest for the hole before.
            ("| pattern `<a>,<b>;<c>`", "1,2", "{a=1 b=2}"),
            ("| pattern `x<a>`", "yx1", "{}"),
            ("| pattern `x<a>`", "x1", "{a=1}"),
            ("| pattern `<a>x`", "1x2", "{a=1}"),
            ("| pattern `<_> <b>`", "1 2", "{b=2}"),
            ("| pattern `<a b> <c>`", "<a b> 2", "{c=2}"),
            ("| pattern `<a> <pod>`", "1 2", "{a=1 pod_extracted=2}"),
            ("| pattern `<a>`", "", "{}"),
        ],
        made,
    );
}

#[test]
fn unpack() {
    check_all(
        &[
            ("| unpack", r#"{"a":"1","n":2,"_entry":"the \"line\""}"#, "the \"line\" {a=1}"),
            ("| unpack", r#"{"a":"1","b c":"2"}"#, r#"{"a":"1","b c":"2"} {}"#),
            ("| unpack", r#"{"pod":"1","b c":"2","_entry":""}"#, " {b_c=2 pod_extracted=1}"),
            (
                "| unpack",
                "text",
                "text {__error__=JSONParserErr __error_details__=expecting json object(6), but it is not}",
            ),
            ("| unpack", "{\"a\":", "{\"a\": {__error__=JSONParserErr __error_details__=Malformed JSON error}"),
            ("| unpack", "", " {}"),
            // What follows reads the new line; so does a filter behind it.
            ("| unpack | logfmt", r#"{"_entry":"a=1"}"#, "a=1 {a=1}"),
            ("| unpack |= \"_entry\"", r#"{"_entry":"a=1"}"#, "-"),
            ("|= \"_entry\" | unpack", r#"{"_entry":"a=1"}"#, "a=1 {}"),
        ],
        run,
    );
}

#[test]
fn one_after_another() {
    check_all(
        &[
            // The first parser's labels stay.
            ("| json | logfmt", r#"{"a":"1"} a=2 b=3"#, "{a=1 b=3}"),
            (r#"| label_format a="x" | json"#, r#"{"a":"1"}"#, "{a=x}"),
            // What was dropped is not made again; nor is metadata that was dropped in the way of it.
            ("| json | drop a | logfmt", r#"{"a":"1"} a=2"#, "{}"),
            ("| drop pod | json", r#"{"pod":"1"}"#, "{pod=1}"),
            ("| drop app | json", r#"{"app":"1"}"#, "{!app app_extracted=1}"),
            (r#"| json | regexp "(?P<a>\\d)""#, r#"{"a":"x"} 1"#, "{a=x}"),
            (r#"| json a | json b="a""#, r#"{"a":"1"}"#, "{a=1 b=1}"),
            ("| json | line_format `{{.m}}` | logfmt", r#"{"m":"b=2"}"#, "b=2 {b=2 m=b=2}"),
        ],
        made,
    );
}

#[test]
fn hostile_lines_have_an_error_and_an_end() {
    let wide = format!("{{{}\"z\":1}}", (0..3_000).map(|n| format!("\"k{n}\":{n},")).collect::<String>());
    assert!(made("| json", &wide).contains("__error_details__=the line has too many fields (at most 1024 are read)"));
    let wide: String = (0..3_000).map(|n| format!("k{n}={n} ")).collect();
    assert!(made("| logfmt", &wide).contains("__error__=LogfmtParserErr"));
    let deep = format!("{}1{}", "{\"a\":".repeat(1_000), "}".repeat(1_000));
    assert!(made("| json", &deep).contains("nested too deep (at most 128 levels"));
    let open = "{\"a\":".repeat(10_000);
    assert!(made("| json", &open).contains("JSONParserErr"));
    assert!(made("| json x=\"a.a.a\"", &deep).contains("x={"));
}

#[test]
fn labels_of_a_dropped_stream_label_stay_hidden() {
    assert_eq!(run_on("app=x job=y", "pod=p", "| drop app, pod | label_format app=\"z\"", "l"), "l {!pod app=z}");
}
