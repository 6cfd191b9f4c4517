//! Texts that are no expressions, canonical forms, and texts made to break a parser.

use proptest::prelude::*;
use query::QueryError;
use query::promql;

#[track_caller]
fn wrong(text: &str, place: (usize, usize), span: &str, reason: &str) {
    match promql::parse(text) {
        Err(QueryError::Parse { start, end, line, column, reason: got }) => {
            assert_eq!(((line, column), &text[start..end], got.as_str()), (place, span, reason), "{text}");
        }
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn errors_tell_where_and_why() {
    wrong("", (0, 0), "", "no expression found in input");
    assert_eq!(
        promql::parse("").unwrap_err().to_string(),
        "unknown position: parse error: no expression found in input"
    );
    wrong("# nothing\n\n", (1, 1), "", "no expression found in input");
    wrong("foo[5m1h]", (1, 5), "5m1h]", "not a valid duration string: \"5m1h\"");
    wrong("foo[5y1hs]", (1, 5), "5y1hs]", "unknown unit \"hs\" in duration \"5y1hs\"");
    wrong("foo[5mx]", (1, 5), "5mx]", "bad number or duration syntax: \"5mx\"");
    wrong("foo[-1]", (1, 5), "-1", "duration must be greater than 0");
    for number in ["1__2", "1_e2", "1_.5", "0x1_2__34"] {
        let read = number.find("_").unwrap() + 2 + if number.starts_with("0x") { 2 } else { 0 };
        wrong(number, (1, 1), number, &format!("bad number or duration syntax: {:?}", &number[..read]));
    }
    wrong("vector(17953261055m)", (1, 8), "17953261055m)", "duration out of range");
    wrong("{\"\"}", (1, 1), "{\"\"}", "vector selector must contain at least one non-empty matcher");
    wrong("foo[5m:1m:1m]", (1, 10), ":1m]", "unexpected colon ':'");
    wrong("foo[:1m]", (1, 6), "1m]", "unexpected colon before duration in duration expression");
    wrong("foo[\"5m\"]", (1, 5), "\"5m\"]", "unexpected character in duration expression: '\"'");
    wrong("foo[bar]", (1, 5), "bar]", "unexpected character in duration expression: 'b'");
    wrong("foo[5m+", (1, 8), "", "unclosed left bracket");
    wrong("foo a:b", (1, 5), "a:b", "unexpected metric identifier \"a:b\"");
    wrong("foo end", (1, 5), "end", "unexpected \"end\"");
    wrong("NaN (1)", (1, 5), "(", "unexpected \"(\"");
    wrong("foo @ end(1)", (1, 11), "1", "unexpected number \"1\" in @, expected timestamp");
    wrong("max_of(1,,2)", (1, 9), ",", "trailing commas not allowed in function call args");
    wrong("\x07", (1, 1), "\x07", "unexpected character: '\\a'");
    // What is wrong with the syntax comes before what is wrong with types, and then the outer count before the inner type.
    wrong("{} bar", (1, 4), "bar", "unexpected identifier \"bar\"");
    wrong("abs(1) + )", (1, 11), "", "unexpected right parenthesis ')'");
    wrong("abs(abs(1), 2)", (1, 1), "abs(abs(1), 2)", "expected 1 argument(s) in call to \"abs\", got 2");
    wrong("topk(x, 1)", (1, 9), "1", "expected type instant vector in aggregation expression, got scalar");
    wrong("1 +", (1, 4), "", "unexpected end of input");
    wrong("foo\n  bar", (2, 3), "bar", "unexpected identifier \"bar\"");
    wrong("sum(foo", (1, 8), "", "unclosed left parenthesis");
    wrong("sum(foo bar)", (1, 9), "bar", "unexpected identifier \"bar\" in aggregation");
    wrong("abs(foo bar &", (1, 9), "bar", "unexpected identifier \"bar\"");
    wrong("(1))", (1, 5), "", "unexpected right parenthesis ')'");
    wrong("foo]", (1, 4), "]", "unexpected right bracket ']'");
    wrong("foo =~ 1", (1, 5), "=~ 1", "unexpected character after '=': '~'");
    wrong("foo ! bar", (1, 5), "! bar", "unexpected character after '!': ' '");
    wrong("foo{", (1, 5), "", "unexpected end of input inside braces");
    wrong("foo{!x}", (1, 5), "!x}", "unexpected character after '!' inside braces: 'x'");
    wrong("foo{a=~\"(\"}", (1, 5), "a=~\"(\"", "error parsing regexp: missing closing ): `(`");
    wrong("foo[5m", (1, 7), "", "unclosed left bracket");
    wrong("foo[", (1, 5), "", "unexpected end of input in duration expression");
    wrong("foo + *", (1, 7), "*", "unexpected <op:*>");
    wrong("on(x)", (1, 1), "on", "unexpected <on>");
    wrong("bool", (1, 1), "bool", "unexpected <bool>");
    wrong("\"a\\qb\"", (1, 1), "\"a\\qb\"", "unknown escape sequence U+0071 'q'");
    wrong("'a\\\"b'", (1, 1), "'a\\\"b'", "unknown escape sequence U+0022 '\"'");
    wrong("\"a\\'b\"", (1, 1), "\"a\\'b\"", "unknown escape sequence U+0027 '''");
    wrong("foo{a=1}", (1, 7), "1}", "unexpected character inside braces: '1'");
    wrong("foo{a=sum}", (1, 7), "sum", "unexpected identifier \"sum\" in label matching, expected string");
    wrong("sum by (x) foo", (1, 12), "foo", "unexpected identifier \"foo\" in aggregation");
    wrong("foo{a=b}", (1, 7), "b", "unexpected identifier \"b\" in label matching, expected string");
    wrong("foo{a~\"x\"}", (1, 6), "~\"x\"}", "unexpected character inside braces: '~'");
    wrong(
        "foo{a \"x\"}",
        (1, 7),
        "\"x\"",
        "unexpected string \"\\\"x\\\"\" in label matching, expected label matching operator",
    );
    wrong(
        "foo[]",
        (1, 5),
        "]",
        "unexpected \"]\" in subquery or range selector, expected number, duration, step(), or range()",
    );
    wrong(
        "foo offset",
        (1, 11),
        "",
        "unexpected end of input in offset, expected number, duration, step(), or range()",
    );
    wrong("foo[", (1, 5), "", "unexpected end of input in duration expression");
    wrong("\"a\\x.\"", (1, 1), "\"a\\x.\"", "illegal character U+002E '.' in escape sequence");
    wrong("\"\\ud800\"", (1, 1), "\"\\ud800\"", "escape sequence is an invalid Unicode code point");
    wrong("foo[5s/0d]", (1, 7), "/", "division by zero");
    wrong("foo offset (4d%0)", (1, 15), "%", "modulo by zero");
    wrong("foo[9.5e10]", (1, 5), "9.5e10", "duration out of range");
    wrong("foo offset 9.5e10", (1, 12), "9.5e10", "duration out of range");
    wrong("1e400", (1, 1), "1e400", "error parsing number: strconv.ParseFloat: parsing \"1e400\": value out of range");
    wrong("foo @ x", (1, 7), "x", "unexpected identifier \"x\" in @, expected timestamp");
    wrong("foo offset 1m offset 1m", (1, 1), "foo offset 1m", "offset may not be set multiple times");
    wrong("a + foo @ 1 @ 2", (1, 5), "foo @ 1", "@ <timestamp> may not be set multiple times");
    wrong("a + b[1m]", (1, 5), "b[1m]", "binary expression must contain only scalar and instant vector types");
    wrong("1 + on(x) a", (1, 1), "1 + on(x) a", "vector matching only allowed between instant vectors");
    wrong("a offset 1m[5m]", (1, 12), "[5m]", "no offset modifiers allowed before range");
    wrong("a{__name__=~\"b\"}", (1, 1), "a{__name__=~\"b\"}", "metric name must not be set twice: \"a\" or \"b\"");
    wrong("sum by (inf) (a)", (1, 9), "inf", "unexpected number \"inf\" in grouping opts, expected label");
    wrong(
        "abs(foo) offset 1m",
        (1, 1),
        "abs(foo)",
        "offset modifier must be preceded by an instant vector selector or range vector selector or a subquery",
    );
    wrong("smu(foo)", (1, 1), "smu", "unknown function with name \"smu\"");
    wrong(
        "histogram_quantil(0.9, x)",
        (1, 1),
        "histogram_quantil",
        "unknown function with name \"histogram_quantil\", did you mean \"histogram_quantile\"?",
    );
    wrong("{}", (1, 1), "{}", "vector selector must contain at least one non-empty matcher");
    wrong("a{__name__=\"b\"}", (1, 1), "a{__name__=\"b\"}", "metric name must not be set twice: \"a\" or \"b\"");
    wrong("a + on(x) group_left(x) b", (1, 3), "+", "label \"x\" must not occur in ON and GROUP clause at once");
    wrong(
        "-\"a\"",
        (1, 1),
        "-\"a\"",
        "unary expression only allowed on expressions of type scalar or instant vector, got \"string\"",
    );
    wrong("foo or 1", (1, 1), "foo or 1", "set operator \"or\" not allowed in binary scalar expression");
    wrong("é", (1, 1), "é", "unexpected character: 'é'");
    wrong("abs(foo,)", (1, 8), ",", "trailing commas not allowed in function call args");
}

#[test]
fn canonical_forms() {
    for (text, canonical) in [
        ("SUM ( foo{b='1',a=~\"x\"} ) BY (job)", "sum by (job) (foo{a=~\"x\",b=\"1\"})"),
        ("topk without(a) (5,foo)", "topk without (a) (5, foo)"),
        ("a+ON(x)GROUP_LEFT(y) b", "a + on (x) group_left (y) b"),
        ("a/ignoring(x)b>bool 1", "a / ignoring (x) b > bool 1"),
        ("{'my.metric', 'a.b'='c'}", "{\"a.b\"=\"c\",__name__=\"my.metric\"}"),
        ("{``='0',_0='1'}", "{\"\"=\"0\",_0=\"1\"}"),
        ("rate(foo[300s])", "rate(foo[5m])"),
        ("foo[90]", "foo[1m30s]"),
        ("foo[5m*2]", "foo[5m * 2]"),
        ("foo offset -5m @ 10.5", "foo @ 10.500 offset -5m"),
        ("sum(foo)[1h:]", "sum(foo)[1h:]"),
        ("-(1+2)^3", "-(1 + 2) ^ 3"),
        ("1_000 + 0x10 + Inf", "1000 + 16 + +Inf"),
        ("1e22 - .00001", "10000000000000000000000 - 0.00001"),
        ("a + fill(0) b", "a + fill (0) b"),
        ("a + on(x) fill_left(1) b", "a + on (x) fill_left (1) b"),
        ("`a\\`", "\"a\\\\\""),
        (r#"'\a\b\f\v\x01\u0085\xff'"#, r#""\a\b\f\v\x01\u0085\xff""#),
        ("a[1001ms]", "a[1s1ms]"),
        ("foo # comment\n + 1", "foo + 1"),
        ("a</b >/on(x)c", "a </ b >/ on (x) c"),
        ("a smoothed offset 5m @ 1", "a @ 1.000 smoothed offset 5m"),
        ("a[5m] anchored @ 1", "a[5m] anchored @ 1.000"),
        ("info(a,{b='c'})", "info(a, {b=\"c\"})"),
        ("info(a,{})", "info(a, {})"),
        ("{'a','b'}", "{__name__=\"a\",__name__=\"b\"}"),
        ("010 + 1 + on() 2", "8 + 1 + on () 2"),
    ] {
        let expr = promql::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(promql::format(&expr), canonical);
        assert_eq!(promql::format(&promql::parse(canonical).unwrap()), canonical);
    }
}

#[test]
fn long_expressions_are_split_at_their_outermost_node() {
    let long = "a_name_of_a_metric_that_is_long{label=\"value\",other=\"value of some length\"}";
    for (text, pretty) in [
        ("sum by(x) (rate(a[5m]))>0", "sum by (x) (rate(a[5m])) > 0".to_owned()),
        (&format!("{long}*on(job)group_left(b)up"), format!("  {long}\n* on (job) group_left (b)\n  up")),
        (&format!("{long} + bool_value_of_it"), format!("{long} + bool_value_of_it")),
        (
            &format!("-sum without(x)({long} / on(job) group_left(b) {long})"),
            format!("-sum without (x) (\n    {long}\n  / on (job) group_left (b)\n    {long}\n)"),
        ),
        (
            &format!("(max_over_time(({long} > 1)[5m:1m] @ end()) + topk(3, {long}))"),
            format!("(\n    max_over_time(\n({long} > 1)[5m:1m] @ end()\n    )\n  +\n    topk(3, {long})\n)"),
        ),
    ] {
        let expr = promql::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(promql::pretty(&expr), pretty, "{text}");
        let again = promql::parse(&pretty).unwrap();
        assert_eq!(promql::format(&again), promql::format(&expr), "{text}");
    }
}

#[test]
fn selectors_are_found_and_parsed_alone() {
    let expr = promql::parse("sum(rate(a[5m])) / b{x=\"1\"} + max_over_time(c[1h:1m])").unwrap();
    let names: Vec<&str> =
        promql::selectors(&expr).iter().map(|matchers| matchers.last().unwrap().value.as_str()).collect();
    assert_eq!(names, ["a", "b", "c"]);
    assert_eq!(promql::parse_selector("up{job=\"x\"}").unwrap().len(), 2);
    assert!(promql::parse_selector("{}").unwrap().is_empty());
    for (text, reason) in [
        ("sum(up)", "1:4: parse error: unexpected \"(\""),
        ("up[5m]", "1:3: parse error: unexpected \"[\""),
        ("up offset 5m", "1:4: parse error: unexpected <offset>"),
        ("up @ 5", "1:4: parse error: unexpected <op:@>"),
        ("1", "1:1: parse error: unexpected number \"1\""),
        ("", "unknown position: parse error: unexpected end of input"),
    ] {
        assert_eq!(promql::parse_selector(text).unwrap_err().to_string(), reason, "{text}");
    }
}

/// On a thread as small as the smallest that a query runs on.
fn on_a_small_stack(run: impl FnOnce() + Send + 'static) {
    std::thread::Builder::new().stack_size(2 << 20).spawn(run).unwrap().join().unwrap();
}

#[test]
fn deep_and_long_texts_are_answered_without_a_stack() {
    on_a_small_stack(|| {
        for text in [
            "(".repeat(16_000),
            "-".repeat(16_000),
            "abs(".repeat(4_000),
            "sum(".repeat(90) + "a" + &")".repeat(90),
            "max_over_time(".repeat(90) + "a" + &"[1m:1m])".repeat(90),
            "histogram_quantile(0.9, ".repeat(90) + "a" + &")".repeat(90),
            "label_replace(".repeat(90) + "a" + &", 'a', '', '', '')".repeat(90),
            "1 + (".repeat(45) + "a" + &")".repeat(45),
            "a[".repeat(5_000),
            "1^".repeat(8_000) + "1",
            "a + ".repeat(450) + "a",
            "a or ".repeat(3_000) + "a",
            "1+".repeat(8_000) + "1",
            format!("a[{}5m]", "(".repeat(5_000)),
            format!("a[{}5m]", "-".repeat(5_000)),
            format!("a[{}1]", "1+".repeat(5_000)),
            format!("a offset {}1", "-".repeat(5_000)),
            "a offset 1m ".repeat(1_000),
            "a[1m:1m]".to_owned() + &"[1m:1m]".repeat(1_000),
            "x".repeat(20_000),
            "a{".to_owned() + &"b=\"c\",".repeat(2_000) + "}",
        ] {
            if let Ok(expr) = promql::parse(&text) {
                let canonical = promql::format(&expr);
                let budget = query::Budget::starting_now(std::time::Duration::from_secs(60));
                let options = promql::Options::new(1, budget);
                let memory = crate::memory::Memory::default();
                let answer = promql::range(&memory, &expr, 0, 1000, 100, &options);
                assert!(answer.is_ok(), "{canonical}: {answer:?}");
            }
        }
    });
}

#[test]
fn long_chains_are_parsed_up_to_the_limit() {
    assert!(promql::parse(&("1+".repeat(500) + "1")).is_ok());
    let error = promql::parse(&("1+".repeat(501) + "1")).unwrap_err().to_string();
    assert!(error.contains("more than 500 binary operators"), "{error}");
    let nested = |levels: usize| promql::parse(&("(".repeat(levels) + "1" + &")".repeat(levels)));
    assert!(nested(99).is_ok());
    assert!(nested(100).unwrap_err().to_string().contains("nested deeper than 100 levels"));
}

proptest! {
    #[test]
    fn any_text_is_parsed_or_refused(text in ".{0,60}") {
        check_any(&text);
    }

    #[test]
    fn any_words_are_parsed_or_refused(words in prop::collection::vec(prop::sample::select(WORDS.to_vec()), 0..24)) {
        check_any(&words.join(" "));
        check_any(&words.concat());
    }
}

const WORDS: &[&str] = &[
    "foo",
    "sum",
    "rate",
    "(",
    ")",
    "{",
    "}",
    "[",
    "]",
    "5m",
    "1",
    "-",
    "+",
    "*",
    "^",
    "by",
    "on",
    "ignoring",
    "bool",
    "==",
    "and",
    "or",
    "offset",
    "@",
    "start()",
    "step()",
    ",",
    "\"a\"",
    "a=\"b\"",
    "=~",
    ":",
    "fill",
    "group_left",
    "topk",
    "histogram_quantile",
    "NaN",
    "anchored",
    "smoothed",
    "0x1",
    "min_of",
    "clamp",
    "label_replace",
];

/// What parses has a canonical form that parses to itself; what does not names a place inside the text.
fn check_any(text: &str) {
    match promql::parse(text) {
        Ok(expr) => {
            let canonical = promql::format(&expr);
            let again = promql::parse(&canonical).unwrap_or_else(|error| panic!("{text:?} {canonical:?}: {error}"));
            assert_eq!(promql::format(&again), canonical, "{text:?}");
        }
        Err(QueryError::Parse { start, end, .. }) => {
            assert!(text.is_char_boundary(start) && text.is_char_boundary(end) && start <= end, "{text:?}");
        }
        Err(other) => panic!("{text:?}: {other}"),
    }
}

/// A tree as one line: enough to tell two apart.
fn shape(tree: promql::Tree<'_>) -> String {
    use promql::TreeKind as Kind;
    let at = |at| match at {
        promql::TreeAt::None => String::new(),
        other => format!(" {other:?}"),
    };
    let selector = |s: &promql::TreeSelector<'_>| {
        let matchers: Vec<String> = s.matchers.iter().map(ToString::to_string).collect();
        format!("{}|{}|{}{}", s.name, matchers.join(","), s.offset_ms, at(s.at))
    };
    match tree.kind() {
        Kind::Number(value) => value.to_string(),
        Kind::Text(text) => format!("{text:?}"),
        Kind::Paren(inner) => format!("({})", shape(inner)),
        Kind::Unary { op, expr } => format!("{op}{}", shape(expr)),
        Kind::Binary { op, lhs, rhs, matching, return_bool } => {
            let matching = matching.map(|m| {
                let fills = (m.fill_left, m.fill_right);
                format!("{} on={} {:?} {:?} {fills:?}", m.cardinality, m.on, m.labels, m.include)
            });
            format!("[{} {op} {} {matching:?} {return_bool}]", shape(lhs), shape(rhs))
        }
        Kind::Call { function, args } => {
            let args: Vec<String> = args.into_iter().map(shape).collect();
            let types = function.arg_types.join(" ");
            format!("{}<{types};{};{}>{args:?}", function.name, function.variadic, function.return_type)
        }
        Kind::Aggregate { op, expr, param, grouping, without } => {
            format!("{op} {without} {grouping:?} {:?} {}", param.map(shape), shape(expr))
        }
        Kind::Vector(s) => selector(&s),
        Kind::Matrix { selector: s, range_ms } => format!("{}[{range_ms}] {}{}", selector(&s), s.anchored, s.smoothed),
        Kind::Subquery { expr, range_ms, step_ms, offset_ms, at: pinned } => {
            format!("{}[{range_ms}:{step_ms}] {offset_ms}{}", shape(expr), at(pinned))
        }
    }
}

#[test]
fn trees_are_shown_as_they_were_parsed() {
    for (text, expected) in [
        ("-1", "-1"),
        ("(-a)", "(-a|__name__=\"a\"|0)"),
        ("a{b=\"c\"} offset -5m @ 10", "a|b=\"c\",__name__=\"a\"|-300000 Ms(10000)"),
        ("{'a'}", "|__name__=\"a\"|0"),
        ("a[5m] smoothed", "a|__name__=\"a\"|0[300000] falsetrue"),
        ("a[5m:1m] @ end()", "a|__name__=\"a\"|0[300000:60000] 0 End"),
        ("topk by (x) (2, a)", "topk false [\"x\"] Some(\"2\") a|__name__=\"a\"|0"),
        ("1 < bool 2", "[1 < 2 None true]"),
        (
            "a and on (x) b",
            "[a|__name__=\"a\"|0 and b|__name__=\"b\"|0 Some(\"many-to-many on=true [\\\"x\\\"] [] (None, None)\") false]",
        ),
        ("round(a)", "round<vector scalar;1;vector>[\"a|__name__=\\\"a\\\"|0\"]"),
    ] {
        let expr = promql::parse(text).unwrap();
        assert_eq!(shape(promql::tree(&expr)), expected, "{text}");
    }
}
