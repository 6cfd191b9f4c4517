//! Which entries pass.

use super::super::ast::Expr;
use super::super::parse;
use super::super::pipeline::Pipeline;
use super::entry::{check_all, run};
use store::IndexQuery;

/// `+` for an entry that passes, `-` for one that does not, `!` for one that passes with an error.
fn passes(stages: &str, line: &str) -> String {
    match run(stages, line) {
        refused if refused == "-" => refused,
        passed if passed.contains("__error__") => "!".into(),
        _ => "+".into(),
    }
}

#[test]
fn lines() {
    check_all(
        &[
            (r#"|= "b""#, "abc", "+"),
            (r#"|= "B""#, "abc", "-"),
            (r#"!= "b""#, "abc", "-"),
            (r#"!= "x""#, "abc", "+"),
            (r#"|= """#, "abc", "+"),
            (r#"!= """#, "abc", "-"),
            (r#"|= "" or "x""#, "abc", "-"),
            (r#"|= "x" or "c""#, "abc", "+"),
            (r#"|= "x" or "y""#, "abc", "-"),
            (r#"!= "x" or "c""#, "abc", "-"),
            (r#"|= "a" |= "c" != "x""#, "abc", "+"),
            (r#"|~ "a.c""#, "abc", "+"),
            (r#"|~ "a.c""#, "a\nc", "-"),
            (r#"|~ "(?s)a.c""#, "a\nc", "+"),
            (r#"|~ "^b""#, "abc", "-"),
            (r#"|~ "a|x""#, "abc", "+"),
            (r#"!~ "a|x""#, "abc", "-"),
            (r#"!~ "x|y""#, "abc", "+"),
            (r#"|~ "x" or "b.""#, "abc", "+"),
            (r#"|~ "(?i)ABC""#, "xabcx", "+"),
            (r#"|~ "(?i)(error|warn)""#, "an ERRor", "+"),
            (r#"|~ "(?i)straße""#, "STRAßE", "+"),
            (r#"|~ "(?i)s""#, "ſ", "-"),
            (r#"|~ "\\d+ms""#, "took 12ms", "+"),
            (r#"|~ "\\d""#, "٣", "-"),
            (r#"|~ "\\w""#, "é", "-"),
            (r#"|~ "\\bfoo\\b""#, "a foo b", "+"),
            (r#"|~ "\\bfoo\\b""#, "éfoo", "+"),
            (r#"|~ "\\<b>""#, "<b>", "+"),
            (r#"|~ "\\Qa.b\\E""#, "axb", "-"),
            (r#"|~ "a{,2}""#, "a{,2}", "+"),
            (r#"|~ "a{,2}""#, "aa", "-"),
            (r#"|~ "{\"a\":\\d}""#, "{\"a\":1}", "+"),
            (r#"|~ "[[]x[\\]]""#, "[x]", "+"),
            (r#"|~ "[a&&b]&""#, "&&", "+"),
            (r#"|~ "\\x41\\101\\x{42}""#, "AAB", "+"),
            (r#"|~ "a\ud83db""#, "a\u{fffd}b", "+"),
            (r#"|= "\U0000dfff""#, "plain", "-"),
            (r#"|~ """#, "abc", "+"),
            (r#"!~ """#, "abc", "-"),
            (r#"|~ ".+""#, "", "-"),
            (r#"|~ ".*""#, "", "+"),
            (r#"|~ "foo.*(bar|baz)""#, "foo and bar", "+"),
            (r#"|> "a <_> c""#, "a b c", "+"),
            (r#"|> "a <_> c""#, "a b cd", "-"),
            (r#"|> "<_> c""#, " c", "-"),
            (r#"|> "a <_>""#, "a ", "-"),
            (r#"|> "<_>b<_>""#, "abc", "+"),
            (r#"|> "b<_>""#, "abc", "+"),
            (r#"|> """#, "", "+"),
            (r#"|> """#, "a", "-"),
            (r#"!> "a <_>""#, "b c", "+"),
            (r#"|> "x" or "a <_>""#, "a b", "+"),
            (r#"|= ip("10.0.0.0/8")"#, "from 10.1.2.3 to", "+"),
            (r#"|= ip("10.0.0.0/8")"#, "from 11.1.2.3:80", "-"),
            (r#"|= ip("10.0.0.1-10.0.0.9")"#, "10.0.0.5", "+"),
            (r#"|= ip("10.0.0.1-10.0.0.9")"#, "10.0.0.10", "-"),
            (r#"|= ip("10.0.0.1")"#, "x=10.0.0.1,", "+"),
            (r#"!= ip("10.0.0.1")"#, "x=10.0.0.1", "-"),
            (r#"|= ip("2001:db8::/32")"#, "from [2001:db8::1]:80", "+"),
            (r#"|= ip("::1")"#, "at ::1 and on", "+"),
            // As in Loki not where fewer than five bytes are left.
            (r#"|= ip("::1")"#, "at ::1", "-"),
            (r#"|= ip("10.0.0.1")"#, "", "-"),
        ],
        passes,
    );
}

#[test]
fn line_filters_move_forward_in_the_pipeline() {
    check_all(
        &[
            // Only `line_format`, `unpack` and label filters stop them.
            ("| decolorize |= \"ab\"", "a\u{1b}[31mb\u{1b}[0m", "-"),
            ("|= \"a\" | decolorize", "a\u{1b}[31mb\u{1b}[0m", "+"),
            ("| line_format `xy` |= \"xy\"", "ab", "+"),
            ("| line_format `xy` |= \"ab\"", "ab", "-"),
            ("| logfmt | label_format c=`x` |= \"a\"", "a=b", "+"),
        ],
        passes,
    );
}

#[test]
fn labels() {
    check_all(
        &[
            (r#"| app="x""#, "l", "+"),
            (r#"| app!="x""#, "l", "-"),
            (r#"| pod="p1""#, "l", "+"),
            (r#"| pod=~"p.""#, "l", "+"),
            (r#"| pod!~"p.""#, "l", "-"),
            (r#"| none="""#, "l", "+"),
            (r#"| none!="x""#, "l", "+"),
            (r#"| none=~"x?""#, "l", "+"),
            (r#"| none=~".+""#, "l", "-"),
            (r#"| size > 11KB"#, "l", "+"),
            (r#"| size > 12KB"#, "l", "-"),
            (r#"| size = 12KB"#, "l", "+"),
            (r#"| size >= 12KB and pod="p1""#, "l", "+"),
            (r#"| size < 1MB or pod="p2""#, "l", "+"),
            (r#"| (size > 1MB or pod="p1"), app="x""#, "l", "+"),
            // No label, no comparison.
            (r#"| none > 5"#, "l", "-"),
            (r#"| none != 5"#, "l", "-"),
            // What cannot be converted passes with an error.
            (r#"| pod > 5"#, "l", "!"),
            (r#"| pod > 5s"#, "l", "!"),
            (r#"| pod > 5KB"#, "l", "!"),
            (r#"| pod > 5 | __error__="""#, "l", "-"),
            (r#"| pod > 5 | __error__=~"Label.*""#, "l", "!"),
            (r#"| pod > 5 | drop __error__"#, "l", "+"),
            // Numbers as Go reads them.
            (r#"| logfmt | n=5"#, "n=5.0", "+"),
            (r#"| logfmt | n=1500"#, "n=1.5e3", "+"),
            (r#"| logfmt | n>-1"#, "n=-0.5", "+"),
            (r#"| logfmt | n>1"#, "n=inf", "+"),
            (r#"| logfmt | n!=1"#, "n=NaN", "+"),
            (r#"| logfmt | n>1"#, "n=1e999", "!"),
            (r#"| logfmt | n>1"#, "n=1_000", "+"),
            (r#"| logfmt | n==0x1p3"#, "n=0x.8p4", "+"),
            (r#"| logfmt | d>1s"#, "d=1.5s", "+"),
            (r#"| logfmt | d>1s"#, "d=1000ms", "-"),
            (r#"| logfmt | d=90m"#, "d=1h30m", "+"),
            (r#"| logfmt | d>1s"#, "d=1d", "!"),
            (r#"| logfmt | d>1s"#, "d=5", "!"),
            (r#"| logfmt | d<0s"#, "d=-1s", "+"),
            // Sizes are compared as Loki writes them: in thousands, with two digits.
            (r#"| logfmt | b>=1KiB"#, "b=1000", "+"),
            (r#"| logfmt | b>=1KiB"#, "b=999", "-"),
            (r#"| logfmt | b>=1536B"#, "b=1.5kB", "+"),
            (r#"| logfmt | b=20MB"#, "b=\"20 MB\"", "+"),
            (r#"| logfmt | b=1024"#, "b=1024", "+"),
            (r#"| logfmt | b<1KB"#, "b=x", "!"),
            (r#"| logfmt | a=ip("10.0.0.0/8")"#, "a=10.9.8.7", "+"),
            (r#"| logfmt | a!=ip("10.0.0.0/8")"#, "a=10.9.8.7", "-"),
            (r#"| logfmt | a=ip("10.0.0.0/8")"#, "b=10.9.8.7", "-"),
            (r#"| logfmt | a!=ip("10.0.0.0/8")"#, "b=10.9.8.7", "-"),
            // A pattern that is none is refused only where it is the whole stage; elsewhere it takes nothing, but what has an error.
            (r#"| logfmt | a=ip("none") or b="1""#, "a=10.9.8.7 b=1", "+"),
            (r#"| logfmt | a!=ip("none") or b="1""#, "a=10.9.8.7 b=2", "-"),
            (r#"| logfmt | b="1", a=ip("none")"#, "a=10.9.8.7 b=1", "-"),
            (r#"| logfmt | b > 1 and a=ip("none")"#, "a=10.9.8.7 b=x", "!"),
            (r#"| logfmt | a=ip("none") and b > 1"#, "a=10.9.8.7 b=x", "-"),
            // A side of `or` that is not needed sets no error.
            (r#"| logfmt | a="1" or b > 1"#, "a=1 b=x", "+"),
            (r#"| logfmt | b > 1 or a="1""#, "a=1 b=x", "!"),
            // One error is kept, and filters on text go on.
            (r#"| json | a > 5"#, "no json", "-"),
            (r#"| json | pod > 5 | pod="p1""#, "no json", "!"),
            (r#"| json | __error__="JSONParserErr""#, "no json", "!"),
            (r#"| json | __error_details__!="""#, "no json", "-"),
        ],
        passes,
    );
}

/// As Loki takes simple expressions apart, not as they say.
#[test]
fn simple_expressions_on_labels() {
    check_all(
        &[
            // A whole text and its alternatives are compared whole.
            (r#"| logfmt | a=~"abc""#, "a=abc", "+"),
            (r#"| logfmt | a=~"abc""#, "a=xabc", "-"),
            (r#"| logfmt | a=~"abc|def""#, "a=def", "+"),
            (r#"| logfmt | a=~"abc|def""#, "a=xdef", "-"),
            (r#"| logfmt | a=~"(abc|def)""#, "a=xdef", "-"),
            (r#"| logfmt | a=~"(?i)abc""#, "a=ABC", "+"),
            (r#"| logfmt | a=~"(?i)abc""#, "a=ABCD", "-"),
            // With `.*` it is any value that contains the text.
            (r#"| logfmt | a=~"err.*""#, "a=xerr", "+"),
            (r#"| logfmt | a=~".*err""#, "a=errx", "+"),
            (r#"| logfmt | a!~"err.*""#, "a=xerr", "-"),
            // So with alternatives that begin alike.
            (r#"| logfmt | a=~"api|apix""#, "a=xapiy", "+"),
            (r#"| logfmt | a=~"error|err""#, "a=xerrx", "+"),
            // What is more is an expression, anchored.
            (r#"| logfmt | a=~"20[01]""#, "a=201", "+"),
            (r#"| logfmt | a=~"20[01]""#, "a=x201", "-"),
            (r#"| logfmt | a=~"200|201""#, "a=x201", "-"),
            (r#"| logfmt | a=~"a|b""#, "a=xb", "-"),
            (r#"| logfmt | a=~"5..""#, "a=503", "+"),
            (r#"| logfmt | a=~"5..""#, "a=5033", "-"),
            (r#"| logfmt | a=~"a.+""#, "a=xab", "-"),
            (r#"| logfmt | a=~"a.*b.*""#, "a=xab", "-"),
            (r#"| logfmt | a=~".+""#, "b=1", "-"),
            (r#"| logfmt | a=~".*""#, "b=1", "+"),
            (r#"| logfmt | a=~"""#, "a=1", "+"),
            (r#"| logfmt | a!~"""#, "b=1", "-"),
            // A side that takes everything is forgotten.
            (r#"| logfmt | a=~"x|.*""#, "a=y", "-"),
        ],
        passes,
    );
}

#[test]
fn what_an_index_is_told() {
    // What the index is told of a text that a line has anywhere; nothing of it twice.
    let of_texts = |texts: &[&str]| {
        let mut all = Vec::new();
        for text in texts {
            match crate::logs::body_terms(text, true, true) {
                IndexQuery::And(inner) => all.extend(inner),
                one => all.push(one),
            }
        }
        all.retain(|query| *query != IndexQuery::All);
        match all.len() {
            0 => IndexQuery::All,
            1 => all.remove(0),
            _ => IndexQuery::And(all),
        }
    };
    let either = |texts: &[&str]| IndexQuery::Or(texts.iter().map(|text| of_texts(&[*text])).collect());
    let all = IndexQuery::All;
    let together = |one: IndexQuery, other: IndexQuery| match other {
        IndexQuery::And(others) => IndexQuery::And([vec![one], others].concat()),
        IndexQuery::All => one,
        other => IndexQuery::And(vec![one, other]),
    };
    for (stages, expected) in [
        ("", all.clone()),
        ("|= \"a big Word here\"", of_texts(&["a big word here"])),
        ("!= \"a big word here\"", all.clone()),
        ("| json | a=\"b\" |= \"a big word here\"", of_texts(&["a big word here"])),
        ("| line_format `x` |= \"a big word here\"", all.clone()),
        ("| unpack |= \"a big word here\"", all.clone()),
        ("|= \"a big thing\" |= \"one more word\"", of_texts(&["a big thing", "one more word"])),
        ("|= \"a big thing\" or \"one more word\"", either(&["a big thing", "one more word"])),
        ("|~ \"a big thing|one more word\"", either(&["a big thing", "one more word"])),
        ("|~ \"(?i)A Big Thing\"", of_texts(&["a big thing"])),
        ("|> \"<_> of big queries <_>\"", of_texts(&[" of big queries "])),
        // What every match of an expression has.
        ("|~ \"took \\\\d+ms for big queries\"", of_texts(&["took ", "ms for big queries"])),
        ("|~ \"(?i)A Big T[eh]ing\"", of_texts(&["a big t", "ing"])),
        ("|~ \"(big words here)?\\\\d\"", all.clone()),
        ("|~ \"(a big one|the small one) \\\\d\"", together(either(&["a big one", "the small one"]), of_texts(&[" "]))),
        ("!~ \"took \\\\d+ms for big queries\"", all),
    ] {
        let Expr::Log(log) = parse(&format!("{{app=\"x\"}} {stages}")).unwrap() else { panic!() };
        assert_eq!(Pipeline::new(&log).unwrap().index_query(), expected, "{stages}");
    }
}
