//! Random text and random trees: nothing panics, and what is written is read as the same.

use std::borrow::Cow;

use super::super::ast::Expr;
use super::super::parse;
use super::super::pipeline::{Entry, Pipeline, Scratch};
use chance::Random;

const SEED: u64 = 0x5eed_1091;

const PIECES: [&str; 64] = [
    "{",
    "}",
    "{app=\"x\"}",
    "{a=~\".+\"}",
    "|",
    "|=",
    "!=",
    "|~",
    "!~",
    "|>",
    "!>",
    "\"a\"",
    "`b`",
    "\"\\\"",
    "\"<_>\"",
    "ip(\"1.2.3.4\")",
    "json",
    "logfmt",
    "regexp",
    "pattern",
    "unpack",
    "line_format",
    "label_format",
    "drop",
    "keep",
    "decolorize",
    "unwrap",
    "--strict",
    "a",
    "b",
    "app",
    "=",
    "==",
    ">",
    ">=",
    "<",
    "5",
    "5m",
    "5KB",
    "-",
    "+",
    "*",
    "^",
    "%",
    "/",
    "(",
    ")",
    ",",
    "[5m]",
    "[",
    "]",
    "offset",
    "by",
    "without",
    "sum",
    "rate",
    "topk",
    "quantile_over_time",
    "or",
    "and",
    "bool",
    "on",
    "#",
    "é",
];

#[test]
fn random_tokens_never_panic() {
    let mut random = Random::new(SEED);
    let mut taken = 0;
    for case in 0..60_000 {
        let count = 1 + random.below(14);
        let mut text = String::new();
        if random.below(2) == 0 {
            text.push_str("{app=\"x\"}");
        }
        for _ in 0..count {
            text.push_str(random.pick(&PIECES));
            if random.below(3) > 0 {
                text.push(' ');
            }
        }
        if let Ok(expr) = parse(&text) {
            taken += 1;
            let canonical = expr.to_string();
            match parse(&canonical) {
                Ok(again) => assert_eq!(again.to_string(), canonical, "seed {SEED:#x} case {case}: {text}"),
                Err(error) => panic!("seed {SEED:#x} case {case}: {text} became {canonical}: {error}"),
            }
        }
    }
    assert!(taken > 100, "{taken} were taken");
}

#[test]
fn cut_and_mangled_queries_never_panic() {
    let queries = [
        r#"sum by (a, b) (rate({app="x", c!~"d.*"} |= "e" or "f" | json g="h[0].i" | j > 5m and k="l" | line_format "{{.m}}" [5m] offset 1h)) > bool 1"#,
        r#"quantile_over_time(0.9, {app="x"} | logfmt --strict | unwrap duration(n) | __error__="" [1d]) by (o) / on (p) group_left (q) vector(2)"#,
        r#"label_replace(topk(3, count_over_time(({app="x"} |> "<_> a" | pattern `<r> <_>`)[90s])), "s", "$1", "t", "(.*)")"#,
    ];
    let mut random = Random::new(SEED);
    for query in queries {
        parse(query).unwrap();
        for cut in (0..query.len()).filter(|at| query.is_char_boundary(*at)) {
            parse(&query[..cut]).err();
            parse(&query[cut..]).err();
        }
        for _ in 0..5_000 {
            let mut text: Vec<char> = query.chars().collect();
            for _ in 0..1 + random.below(4) {
                let at = random.below(text.len());
                let new = ['"', '`', '{', '}', '(', ')', '[', ']', '|', '\\', '\0', 'µ', '\u{10ffff}', '5', ' ']
                    [random.below(15)];
                match random.below(3) {
                    0 => text[at] = new,
                    1 => text.insert(at, new),
                    _ => {
                        text.remove(at);
                    }
                }
            }
            parse(&text.into_iter().collect::<String>()).err();
        }
    }
}

#[test]
fn random_lines_never_panic() {
    let pipelines: Vec<Pipeline> = [
        r#"| json | logfmt | a > 5 | b = "x""#,
        r#"| json x="a.b[1].c", y="[0]", z="a" | line_format "{{.x}}{{.y}}""#,
        r#"| logfmt --strict --keep-empty | json"#,
        r#"| logfmt a, b="c" | unpack | decolorize | pattern "<p> <_> <q>""#,
        r#"| regexp "(?P<r>\\w+)=(?P<s>\\S*)" | label_format t="{{.r | trunc 3}}{{substr 0 2 .s}}" | r > 1KB or s < 2s"#,
        r#"|= ip("10.0.0.0/8") or "a" | c = ip("::1")"#,
        r#"!> "<_>a<_>" | unpack"#,
    ]
    .into_iter()
    .map(|stages| match parse(&format!("{{app=\"x\"}} {stages}")).unwrap() {
        Expr::Log(log) => Pipeline::new(&log).unwrap(),
        Expr::Metric(_) => panic!(),
    })
    .collect();
    let pieces = [
        "{",
        "}",
        "[",
        "]",
        "\"",
        ":",
        ",",
        "\\",
        "a",
        "b",
        "=",
        " ",
        "1",
        "x",
        "null",
        "true",
        "\\u",
        "d83d",
        "\u{fffd}",
        "é",
        "\u{1b}[31m",
        "\"a\":",
        "{\"a\":{\"b\":[1,{\"c\":2}]}}",
        "_entry",
        "10.1.2.3",
        "::1",
        "a=\"",
        "\n",
        "\0",
        "12ms",
        "-",
    ];
    let stream = [(Cow::Borrowed("app"), Cow::Borrowed("x"))];
    let metadata = [(Cow::Borrowed("a"), Cow::Borrowed("1"))];
    let mut random = Random::new(SEED);
    let mut scratch = Scratch::new(0);
    for _ in 0..20_000 {
        let mut line = String::new();
        if random.below(2) == 0 {
            line.push_str("{\"a\":");
        }
        for _ in 0..random.below(16) {
            line.push_str(random.pick(&pieces));
        }
        for pipeline in &pipelines {
            let entry = Entry { ts_ns: 1, line: &line, stream: &stream, metadata: &metadata };
            if let Some(passed) = pipeline.run(&entry, &mut scratch) {
                let mut names: Vec<&str> = passed.labels.all().map(|(name, _)| name).collect();
                names.sort_unstable();
                assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "{line}: {names:?}");
                scratch.recycle(passed.labels);
            }
        }
    }
}
