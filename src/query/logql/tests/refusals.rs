//! What is refused, and in which words.

use std::time::{Duration, Instant};

use super::super::{parse, parse_form};

fn check(query: &str, message: &str) {
    match parse(query) {
        Ok(expr) => panic!("{query} is taken as {expr}"),
        Err(error) => assert_eq!(error.to_string(), message, "{query}"),
    }
}

/// Each would compile to megabytes.
#[test]
fn patterns_share_the_room_of_their_query() {
    for stage in
        [r#" |~ "\\pL{100}""#, r#" | a=~"\\pL{100}""#, r#" | regexp "(?P<a>\\pL{100})""#, r#" | drop a=~"\\pL{100}""#]
    {
        let query = format!("{{a=\"b\"}}{}", stage.repeat(3));
        let told = parse(&query).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(told.contains("with those before it, it compiles to more than 16777216 bytes"), "{query}: {told:?}");
    }
}

#[test]
fn as_loki_says_it() {
    let no_matcher = "parse error : queries require at least one regexp or equality matcher that does not have an empty-compatible value. \
                      For instance, app=~\".*\" does not meet this requirement, but app=~\".+\" will";
    for (query, message) in [
        ("{}", no_matcher),
        (r#"{a=""}"#, no_matcher),
        (r#"{a=~".*"}"#, no_matcher),
        (r#"{a!="b"} |= "c""#, no_matcher),
        (r#"sum(rate({a=~".*"}[5m]))"#, no_matcher),
        (r#"{a="b",}"#, "parse error at line 1, col 8: syntax error: unexpected }, expecting IDENTIFIER"),
        (r#"{a="b""#, "parse error at line 1, col 7: syntax error: unexpected $end, expecting } or ,"),
        // Go takes the P for an exponent, so sizes end with tera.
        (r#"{a="b"} | c > 1PB"#, "parse error at line 1, col 15: 'P' exponent requires hexadecimal mantissa"),
        (r#"{a="b"} | c > 1kb"#, "parse error at line 1, col 18: syntax error: unexpected $end"),
        (r#"unk({ foo = "bar" }[5m])"#, "parse error at line 1, col 1: syntax error: unexpected IDENTIFIER"),
        (r#"min({ foo = "bar" }[5m])"#, "parse error at line 0, col 20: syntax error: unexpected RANGE"),
        (r#"rate({ foo = "bar" }[5)"#, "parse error at line 0, col 21: missing closing ']' in duration"),
        (
            r#"rate({ foo = "bar" }[5minutes])"#,
            "parse error at line 0, col 21: unknown unit \"minutes\" in duration \"5minutes\"",
        ),
        (r#"rate({a="b"}[5000000ns])"#, "parse error at line 0, col 13: unknown unit \"ns\" in duration \"5000000ns\""),
        (r#"rate({a="b"}[1.5h])"#, "parse error at line 0, col 13: unknown unit \".\" in duration \"1.5h\""),
        (
            r#"absent_over_time({ foo = "bar" }[5h]) by (foo)"#,
            "parse error : grouping not allowed for absent_over_time aggregation",
        ),
        (r#"rate({a="b"}[5m]) by (c)"#, "parse error : grouping not allowed for rate aggregation"),
        (
            r#"sum_over_time({a="b"} | unwrap c [5m]) by (c)"#,
            "parse error : grouping not allowed for sum_over_time aggregation",
        ),
        (
            r#"approx_topk(2, count_over_time({ foo = "bar" }[5h])) by (foo)"#,
            "parse error : grouping not allowed for approx_topk aggregation",
        ),
        (r#"sort by (a) (rate({a="b"}[5m]))"#, "parse error : sort and sort_desc doesn't allow grouping by "),
        (r#"avg_over_time({a="b"}[5m])"#, "parse error : invalid aggregation avg_over_time without unwrap"),
        (
            r#"count_over_time({a="b"} | unwrap c [5m])"#,
            "parse error : invalid aggregation count_over_time with unwrap",
        ),
        (r#"bytes_rate({a="b"} | unwrap c [5m])"#, "parse error : invalid aggregation bytes_rate with unwrap"),
        (
            r#"quantile_over_time({a="b"} | unwrap c [5m])"#,
            "parse error : parameter required for operation quantile_over_time",
        ),
        (r#"rate(1, {a="b"}[5m])"#, "parse error : parameter 1 not supported for operation rate"),
        (r#"topk(rate({a="b"}[5m]))"#, "parse error : parameter required for operation topk"),
        (r#"topk(0, rate({a="b"}[5m]))"#, "parse error : invalid parameter (must be greater than 0) topk(0"),
        (r#"topk(1.5, rate({a="b"}[5m]))"#, "parse error : invalid parameter topk(1.5,"),
        (r#"sum(2, rate({a="b"}[5m]))"#, "parse error : unsupported parameter for operation sum(2,"),
        (
            r#"1 or rate({a="b"}[5m])"#,
            "parse error : unexpected literal for left leg of logical/set binary operation (or): 1.000000",
        ),
        (
            r#"{a="b"} and {c="d"}"#,
            "parse error : unexpected type for left leg of binary operation (and): *syntax.MatchersExpr",
        ),
        (
            r#"rate({a="b"}[5m]) + {a="b"} |= "c""#,
            "parse error : unexpected type for right leg of binary operation (+): *syntax.PipelineExpr",
        ),
        (
            r#"label_replace(rate({ foo = "bar" }[5m]),"")"#,
            "parse error at line 1, col 43: syntax error: unexpected ), expecting ,",
        ),
        (r#"{ foo = "bar" }|logfmt|addr>=ip("1.2.3.4")"#, "parse error at line 1, col 30: syntax error: unexpected ip"),
        (r#"{a=~"b("}"#, "parse error : error parsing regexp: missing closing ): `b(`"),
        (
            r#"{a="b"} |~ "c**""#,
            "parse error : stage '|~ \"c**\"' : error parsing regexp: invalid nested repetition operator: `**`",
        ),
        (r#"{a="b"} | c=~"[z-a]""#, "parse error : error parsing regexp: invalid character class range: `z-a`"),
        (
            r#"{a="b"} | drop c=~"*""#,
            "parse error : error parsing regexp: missing argument to repetition operator: `*`",
        ),
        (
            r#"{a="b"} | regexp "(?P<c>d""#,
            "parse error : invalid regexp parser: error parsing regexp: missing closing ): `(?P<c>d`",
        ),
        (
            r#"label_replace(rate({a="b"}[5m]), "c", "$1", "d", "(")"#,
            "parse error : invalid regex in label_replace: error parsing regexp: missing closing ): `^(?:()$`",
        ),
        (
            r#"{a="b"} | regexp "(.*)""#,
            "parse error : invalid regexp parser: at least one named capture must be supplied",
        ),
        (r#"{a="b"} | pattern "c""#, "parse error : invalid pattern parser: at least one capture is required"),
        (
            r#"{a="b"} | pattern "<c><d>""#,
            "parse error : invalid pattern parser: found consecutive capture '<c><d>': invalid expression",
        ),
        (
            r#"{a="b"} | pattern "<c> <c>""#,
            "parse error : invalid pattern parser: duplicate capture name (c): invalid expression",
        ),
        (r#"{a="b"} |> "<c> d""#, "parse error : stage '|> \"<c> d\"' : named captures are not allowed: found '<c>'"),
        (
            r#"{a="b"} | label_format c=d,c=e"#,
            "parse error : stage '| label_format c=d,c=e' : multiple label name 'c' not allowed in a single format operation",
        ),
        (
            r#"{a="b"} | label_format __error__=d"#,
            "parse error : stage '| label_format __error__=d' : __error__ cannot be formatted",
        ),
        (r#"{a="b"} |= ip("1.2.3")"#, "parse error : stage '|= ip(\"1.2.3\")' : ip: invalid pattern: \"1.2.3\""),
        (r#"{a="b"} |~ ip("1.2.3.4")"#, "parse error : stage '|~ ip(\"1.2.3.4\")' : ip: invalid operation"),
        (
            r#"{a="b"} | logfmt u="user.id""#,
            "parse error : stage '| logfmt u=\"user.id\"' : cannot parse expression [user.id]: unexpected char .",
        ),
        (
            r#"variants(rate({a="b"}[5m])) of ({a="b"}[5m])"#,
            "parse error : multi variant queries are disabled for this instance",
        ),
    ] {
        check(query, message);
    }
}

#[test]
fn and_many_more() {
    for query in [
        "",
        "   ",
        "{",
        "}",
        "app=\"x\"",
        "{app}",
        "{app=}",
        "{app=x}",
        "{app='x'}",
        "{app=\"x}",
        "{app=\"x\" b=\"y\"}",
        "{app=\"x\"}}",
        "{app=\"x\"} extra",
        "{app=\"x\"} |",
        "{app=\"x\"} | ",
        "{app=\"x\"} |= ",
        "{app=\"x\"} |= a",
        "{app=\"x\"} |= \"a\" or",
        "{app=\"x\"} | = \"a\"",
        "{app==\"x\"}",
        "{app>\"x\"}",
        "{by=\"x\"}",
        "{json=\"x\"}",
        "{app=~\"(\"}",
        "{app=~\"(?x)a\"}",
        "{app=\"x\"} |~ \"[\"",
        "{app=\"x\"} |~ \"a**\"",
        "{app=\"x\"} |~ \"a{1001}\"",
        "{app=\"x\"} |~ \"(?=a)\"",
        "{app=\"x\"} |~ \"\\\\1\"",
        "{app=\"x\"} |~ \"(a\"",
        "{app=\"x\"} |> \"<a>\"",
        "{app=\"x\"} |> \"<_><_>\"",
        "{app=\"x\"} | json a=",
        "{app=\"x\"} | json a=\"b.\"",
        "{app=\"x\"} | json a=\"b[x]\"",
        "{app=\"x\"} | json a=\"b[0\"",
        "{app=\"x\"} | json a=\"\"",
        "{app=\"x\"} | logfmt --lax",
        "{app=\"x\"} | logfmt a=\"b c\"",
        "{app=\"x\"} | regexp \"a\"",
        "{app=\"x\"} | regexp a",
        "{app=\"x\"} | unpack \"a\"",
        "{app=\"x\"} | line_format \"{{\"",
        "{app=\"x\"} | line_format \"{{.a | nothing}}\"",
        "{app=\"x\"} | line_format \"{{if .a}}\"",
        "{app=\"x\"} | label_format a",
        "{app=\"x\"} | label_format a=1",
        "{app=\"x\"} | label_format a=\"{{\"",
        "{app=\"x\"} | drop",
        "{app=\"x\"} | keep a,",
        "{app=\"x\"} | a",
        "{app=\"x\"} | a=",
        "{app=\"x\"} | a==\"b\"",
        "{app=\"x\"} | a=~5",
        "{app=\"x\"} | a>\"b\"",
        "{app=\"x\"} | a=1 or",
        "{app=\"x\"} | (a=1",
        "{app=\"x\"} | a=ip(5)",
        "{app=\"x\"} | a=ip(\"x\")",
        "{app=\"x\"} | a > 0x10",
        "{app=\"x\"} | a > 0B",
        "{app=\"x\"} | a > 0KB",
        "{app=\"x\"} | distinct",
        "{app=\"x\"} | distinct a,",
        "{app=\"x\"} | distinct a=\"b\"",
        "{app=\"x\"} | distinct a | distinct b",
        "count_over_time({app=\"x\"} | distinct a [5m])",
        "{app=\"x\"} | unwrap a",
        "{app=\"x\"}[5m]",
        "({app=\"x\"}) |= \"a\"",
        "rate({app=\"x\"})",
        "rate({app=\"x\"}[])",
        "rate({app=\"x\"}[5])",
        "rate({app=\"x\"}[ 5m ])",
        "rate({app=\"x\"}[-5m])",
        "rate({app=\"x\"}[5m:1m])",
        "rate({app=\"x\"}[5m]) offset 5m",
        "rate({app=\"x\"}[5m] offset)",
        "rate({app=\"x\"}[5m] offset 5)",
        "rate({app=\"x\"}[5m] offset -1d)",
        "rate({app=\"x\"} |= \"a\" [5m] |= \"b\")",
        "rate(({app=\"x\"})[5m] |= \"b\")",
        "rate()",
        "rate",
        "sum()",
        "sum({app=\"x\"})",
        "sum(rate({app=\"x\"}[5m])",
        "sum by a (rate({app=\"x\"}[5m]))",
        "sum by (a,) (rate({app=\"x\"}[5m]))",
        "sum by (a) (rate({app=\"x\"}[5m])) by (a)",
        "sum(rate({app=\"x\"}[5m])) by (a) by (b)",
        "topk(-1, rate({app=\"x\"}[5m]))",
        "quantile_over_time(-0.5, {app=\"x\"} | unwrap a [5m])",
        "sum_over_time({app=\"x\"} | unwrap [5m])",
        "sum_over_time({app=\"x\"} | unwrap minutes(a) [5m])",
        "sum_over_time({app=\"x\"} | unwrap a | json [5m])",
        "sum_over_time({app=\"x\"} | unwrap a |= \"b\" [5m])",
        "sum_over_time({app=\"x\"} | unwrap a | unwrap b [5m])",
        "vector(-1)",
        "vector(rate({app=\"x\"}[5m]))",
        "1 +",
        "+ + 1",
        "-rate({app=\"x\"}[5m])",
        "1 and 2",
        "vector(1) group_left vector(2)",
        "vector(1) on a vector(2)",
        "label_replace(vector(1), \"a\", \"b\", \"c\")",
        "label_replace(vector(1), \"a\", \"b\", \"c\", \"(\")",
        "label_join(vector(1), \"a\", \"b\")",
        "{app=\"x\"} /* open",
        "{app=\"x\"} |= \"a\\q\"",
        "{app=\"x\"} |= \"a\\'\"",
        "{app=\"x\"} |= \"\\xff\"",
        "{app=\"x\"} | é…",
    ] {
        assert!(parse(query).is_err(), "{query} is taken");
    }
}

#[test]
fn what_is_too_much() {
    let long = |bytes: usize| format!("{{app=\"x\"}} |= \"{}\"", "a".repeat(bytes - 15));
    assert!(parse(&long((128 << 10) - 1)).is_ok());
    assert_eq!(parse(&long(128 << 10)).unwrap_err().to_string(), "parse error : input size too long (131072 > 131072)");
    let deep = format!("{}1{}", "(".repeat(200), ")".repeat(200));
    assert!(parse(&deep).unwrap_err().message.contains("nested deeper than 100"));
    let wide = format!("1{}", "+1".repeat(600));
    assert!(parse(&wide).unwrap_err().message.contains("more than 500 operators"));
    let stages = format!("{{app=\"x\"}}{}", "|json".repeat(300));
    assert!(parse(&stages).unwrap_err().message.contains("more than 200 stages"));
    let filters = format!("{{app=\"x\"}} | {}a=1", "(".repeat(150));
    assert!(parse(&filters).is_err());
    assert!(parse("{app=\"x\"} |~ \"(\\\\pL{100}){10}\"").unwrap_err().message.contains("too large"));
}

/// Each in far less than a second, where comparing every name with all before it took many.
#[test]
fn long_lists_of_names_are_read_once() {
    let many = |one: fn(usize) -> String, count: usize| (0..count).map(one).collect::<String>();
    for (query, is_taken) in [
        (format!("{{app=\"x\"}} | pattern \"{}\"", many(|n| format!("<a{n}> "), 14_000)), true),
        (format!("{{app=\"x\"}} | pattern \"{}\"", many(|_| "<a".into(), 60_000)), false),
        (format!("{{app=\"x\"}} | label_format {}z=y", many(|n| format!("a{n}=b,"), 14_000)), true),
    ] {
        let begun = Instant::now();
        assert_eq!(parse(&query).is_ok(), is_taken, "{}", &query[..40]);
        assert!(begun.elapsed() < Duration::from_secs(2), "{}: {:?}", &query[..40], begun.elapsed());
    }
}

#[test]
fn paths_say_what_is_unexpected() {
    for (path, reason) in [
        ("json u=\"a..b\"", "syntax error: unexpected DOT, expecting FIELD"),
        ("json u=\"a b\"", "syntax error: unexpected FIELD"),
        ("json u=\"a[b]\"", "syntax error: unexpected FIELD, expecting STRING or INDEX"),
        ("json u=\"a[\\\"b\"", "syntax error: unexpected $end, expecting RSB"),
        ("json u=\"a[\\\"b]\"", "syntax error: unexpected $end, expecting RSB"),
        ("json u=\"[1\\\"b\\\"]\"", "syntax error: unexpected $end, expecting STRING or INDEX"),
        ("json u=\"]\"", "syntax error: unexpected RSB, expecting LSB or FIELD"),
        ("json u=\"\"", "syntax error: unexpected $end, expecting LSB or FIELD"),
        ("json u=\"a-b\"", "unexpected char -"),
        ("json u=\"a 9223372036854775808\"", "strconv.Atoi: parsing \"9223372036854775808\": value out of range"),
        ("json u=\"a[9223372036854775808]\"", "syntax error: unexpected $end, expecting STRING or INDEX"),
        ("logfmt u=\"a b\"", "syntax error: unexpected KEY"),
        ("logfmt u=\"\\\"a\\\" b\"", "syntax error: unexpected KEY"),
        ("logfmt u=\"\\\"a]b\\\"\"", "syntax error: unexpected KEY"),
        ("logfmt u=\"5a\"", "syntax error: unexpected $end"),
        ("logfmt u=\"a]\"", "unexpected char ]"),
        ("logfmt u=\"a.b\"", "unexpected char ."),
    ] {
        let query = format!("{{a=\"b\"}} | {path}");
        let message = parse(&query).unwrap_err().message;
        assert!(message.ends_with(&format!("]: {reason}")), "{query}: {message}");
    }
}

/// Loki lists what could stand there if it is at most four things. Where an expression has just ended, an operator could, so nothing is listed.
#[test]
fn what_was_expected() {
    for (query, message) in [
        // The heads of calls.
        ("rate(", "$end, expecting NUMBER or { or ("),
        ("rate(a)", "IDENTIFIER, expecting NUMBER or { or ("),
        ("rate((1))", "NUMBER, expecting { or ("),
        ("quantile_over_time(0.5)", "), expecting ,"),
        ("quantile_over_time(0.5,)", "), expecting { or ("),
        ("rate", "IDENTIFIER"),
        ("sum by (a)", "$end, expecting ("),
        ("sum by a", "IDENTIFIER"),
        ("sum by (", "$end, expecting IDENTIFIER or )"),
        ("sum by (rate(", "RATE, expecting IDENTIFIER or )"),
        ("sum by (a b)", "IDENTIFIER, expecting , or )"),
        ("sum by (a,)", "), expecting IDENTIFIER"),
        ("vector(1", "$end, expecting )"),
        // The ends of calls.
        (r#"rate({a="b"}[1m]"#, "$end, expecting )"),
        (r#"rate({a="b"}[1m] by (c))"#, "by, expecting )"),
        (r#"rate(({a="b"}[1m]) offset 1m)"#, "offset, expecting )"),
        (r#"rate({a="b"})"#, ")"),
        (r#"rate({a="b"} | json)"#, ")"),
        (r#"rate(({a="b"}))"#, "), expecting RANGE"),
        (r#"sum(rate({a="b"}[1m])"#, "$end"),
        (r#"(rate({a="b"}[1m])"#, "$end"),
        ("(1", "$end"),
        (r#"label_replace(rate({a="b"}[1m]))"#, ")"),
        (r#"label_replace(rate({a="b"}[1m]), "a""#, "$end, expecting ,"),
        // What stands behind `unwrap`.
        (
            r#"rate({a="b"} | unwrap)"#,
            "), expecting IDENTIFIER or BYTES_CONV or DURATION_CONV or DURATION_SECONDS_CONV",
        ),
        (r#"rate({a="b"} | unwrap c)"#, "), expecting RANGE or |"),
        (r#"rate(({a="b"} | unwrap c"#, "$end, expecting RANGE or ) or |"),
        (r#"rate({a="b"} | unwrap c | json [1m])"#, "json, expecting IDENTIFIER or ("),
        (r#"rate({a="b"} | unwrap bytes(1) [1m])"#, "NUMBER, expecting IDENTIFIER"),
        // Label filters.
        (r#"{a="b"} |"#, "$end"),
        (r#"{a="b"} | "c""#, "STRING"),
        (r#"{a="b"} | c"#, "$end"),
        (r#"{a="b"} | c=~5"#, "NUMBER, expecting STRING"),
        (r#"{a="b"} | c=~ip("1.1.1.1")"#, "ip, expecting STRING"),
        (r#"{a="b"} | c=="d""#, "STRING"),
        (r#"{a="b"} | c>"d""#, "STRING"),
        (r#"{a="b"} | c="#, "$end"),
        (r#"{a="b"} | c>-"#, "$end, expecting NUMBER"),
        (r#"{a="b"} | c="d" or"#, "$end, expecting IDENTIFIER or ("),
        (r#"{a="b"} | ("#, "$end, expecting IDENTIFIER or ("),
        (r#"{a="b"} | (c="d""#, "$end"),
        // Other stages.
        (r#"{a="b"} |= ip"#, "IDENTIFIER, expecting STRING or ip"),
        (r#"{a="b"} |= "c" or"#, "$end, expecting STRING or ip"),
        (r#"{a="b"} | regexp c"#, "IDENTIFIER, expecting STRING"),
        (r#"{a="b"} | json c="#, "$end, expecting STRING"),
        (r#"{a="b"} | json c,"#, "$end, expecting IDENTIFIER"),
        (r#"{a="b"} | label_format c"#, "$end, expecting ="),
        (r#"{a="b"} | label_format c=1"#, "NUMBER, expecting IDENTIFIER or STRING"),
        (r#"{a="b"} | drop"#, "$end, expecting IDENTIFIER"),
        // Operators.
        ("1 + ", "$end"),
        ("-", "$end, expecting NUMBER"),
        ("1 + on", "$end, expecting ("),
        ("1 + on (a) group_left (", "$end, expecting IDENTIFIER or )"),
    ] {
        match parse(query) {
            Ok(expr) => panic!("{query} is taken as {expr}"),
            Err(error) => {
                let told = error.to_string();
                let told = told.split_once("syntax error: unexpected ").map_or(told.as_str(), |(_, told)| told);
                assert_eq!(told, message, "{query}");
            }
        }
    }
}

#[test]
fn what_fails_only_when_stages_are_made_can_be_laid_out() {
    for (stage, is_form) in [
        ("| line_format `{{`", true),
        ("| label_format a=`{{.b`", true),
        ("|~ `(`", true),
        ("| json a=`b[`", true),
        ("| a=ip(`x`)", true),
        ("| regexp `(`", false),
        ("| pattern `<a><b>`", false),
        ("| a=~`(`", false),
    ] {
        for query in [format!("{{a=`b`}} {stage}"), format!("rate({{a=`b`}} {stage} [5m])")] {
            assert!(parse(&query).is_err(), "{query}");
            assert_eq!(parse_form(&query).is_ok(), is_form, "{query}");
        }
    }
    assert!(parse_form("{a=~`.*`} | line_format `{{`").is_err());
}
