//! Expositions entry by entry: what each format lets pass and what it refuses, and bytes that are neither.

#[path = "support/client_model.rs"]
mod client_model;
#[path = "exposition/protobuf.rs"]
mod protobuf;

use codec::exposition::{Buckets, Entry, Format, Line, LineExemplar, Native, Numbers, Parser, series_labels};
use model::Labels;
use proptest::prelude::*;

/// One line an entry; a refusal last.
fn told(body: &[u8], format: Format) -> Vec<String> {
    told_with(body, format, Buckets::Both)
}

fn told_with(body: &[u8], format: Format, buckets: Buckets) -> Vec<String> {
    let mut parser = Parser::new(body, format, buckets);
    let mut out = Vec::new();
    loop {
        out.push(match parser.next_entry() {
            Ok(None) => return out,
            Ok(Some(Entry::Type { family, kind })) => format!("TYPE {family} {}", kind.as_str()),
            Ok(Some(Entry::Help { family, help })) => format!("HELP {family} {help:?}"),
            Ok(Some(Entry::Unit { family, unit })) => format!("UNIT {family} {unit:?}"),
            Ok(Some(Entry::Sample(line))) => sample(&line),
            Ok(Some(Entry::Histogram(native))) => histogram(&native),
            Err(error) => {
                out.push(error.to_string());
                return out;
            }
        });
    }
}

fn sample(line: &Line<'_>) -> String {
    let pairs = series_labels(&line.series, line.numbers).unwrap();
    let mut text = format!("{} {}", Labels::from_pairs(pairs), line.value);
    if let Some(at_ms) = line.at_ms {
        text += &format!(" @{at_ms}");
    }
    text += &since(line.start_ms);
    line.exemplar.iter().for_each(|one| text += &exemplar(one));
    text
}

fn since(start_ms: Option<i64>) -> String {
    start_ms.map(|start_ms| format!(" since {start_ms}")).unwrap_or_default()
}

fn exemplar(exemplar: &LineExemplar) -> String {
    let at_ms = exemplar.at_ms.map(|at_ms| format!(" @{at_ms}")).unwrap_or_default();
    format!(" # {} {}{at_ms}", Labels::from_pairs(exemplar.labels.clone()), exemplar.value)
}

fn histogram(native: &Native<'_>) -> String {
    let labels = Labels::from_pairs(series_labels(&native.series, Numbers::None).unwrap());
    let h = &native.histogram;
    let mut text = format!(
        "{labels} native count {} sum {} zero {}/{} schema {} {:?} {:?} {:?}",
        h.count, h.sum, h.zero_count, h.zero_threshold, h.schema, h.positive, h.negative, h.reset
    );
    text += &since(native.start_ms);
    native.exemplars.iter().for_each(|one| text += &exemplar(one));
    text
}

#[track_caller]
fn check(format: Format, body: impl AsRef<[u8]>, expected: &[&str]) {
    assert_eq!(told(body.as_ref(), format), expected, "{:?}", String::from_utf8_lossy(body.as_ref()));
}

#[track_caller]
fn text(body: impl AsRef<[u8]>, expected: &[&str]) {
    check(Format::Text, body, expected);
}

#[track_caller]
fn open(body: impl AsRef<[u8]>, expected: &[&str]) {
    check(Format::OpenMetrics, body, expected);
}

#[test]
fn text_says_families_and_samples() {
    text("", &[]);
    text("\n\n \n", &[]);
    text("a 1", &["a 1"]);
    text(" a\t1  \t123123 \n", &["a 1 @123123"]);
    text("a 1 -5\n", &["a 1 @-5"]);
    text("a +Inf\nb -inf\nc NaN\nd 1e3\n", &["a inf", "b -inf", "c NaN", "d 1000"]);
    text("some:rate5m{a_b=\"c\"}\t1\n", &[r#"some:rate5m{a_b="c"} 1"#]);
    text("_a{_b=\"c\",} 1\n", &[r#"_a{_b="c"} 1"#]);
    text("a { q = \"2.0\" b = \"c\" , } 1\n", &[r#"a{b="c",q="2.0"} 1"#]);
    text("a{} 1\na {} 2\n", &["a 1", "a 2"]);
    text(r#"a{b="\"x\"",c="y\\\n\z"} 1"#, &[r#"a{b="\"x\"",c="y\\\n\\z"} 1"#]);
    text("a{b=\"line\nbreak\"} 1", &[r#"a{b="line\nbreak"} 1"#]);
    text("a{b=\"x\0y\"} 1", &["a{b=\"x\0y\"} 1"]);
    text(
        "# HELP a Text with \\n, \\\\ and \\\" in it.\n# TYPE a summary\n#\n# Hello\n#TYPE b gauge\n# TYPEX\n# HELP\na{quantile=\"0\"} 1\n",
        &["HELP a \"Text with \\n, \\\\ and \\\\\\\" in it.\"", "TYPE a summary", r#"a{quantile="0.0"} 1"#],
    );
    text(
        "# HELP a\n# HELP b \n# HELP c  d\n#  HELP\t e f",
        &[r#"HELP a """#, r#"HELP b """#, r#"HELP c " d""#, r#"HELP e "f""#],
    );
    text("# TYPE u untyped\nu 1\n# UNIT u seconds\n", &["TYPE u unknown", "u 1"]);
    text("# HELP a x\0y", &["HELP a \"x\\0y\""]);
    // Buckets and quantiles are numbers, but only of histograms and summaries.
    text(
        "# TYPE h histogram\nh_bucket{le=\"1\",quantile=\"1\"} 1\nh_bucket{le=\"1e9\"} 1\nh_bucket{le=\"+Inf\"} 1\n# TYPE g gauge\ng{le=\"1\"} 1",
        &[
            "TYPE h histogram",
            r#"h_bucket{le="1.0",quantile="1"} 1"#,
            r#"h_bucket{le="1e+09"} 1"#,
            r#"h_bucket{le="+Inf"} 1"#,
            "TYPE g gauge",
            r#"g{le="1"} 1"#,
        ],
    );
}

#[test]
fn names_of_any_text_stand_in_quotes() {
    text(
        "# HELP \"go.gc\" Durations.\n# TYPE \"go.gc\" gauge\n{\"go.gc\"} 1\n{ \"go.gc\" , a = \"b\" } 2\n{a=\"b\",\"go.gc\"} 3\n",
        &[
            r#"HELP go.gc "Durations.""#,
            "TYPE go.gc gauge",
            r#"{"go.gc"} 1"#,
            r#"{"go.gc",a="b"} 2"#,
            r#"{"go.gc",a="b"} 3"#,
        ],
    );
    text(r#"{"a \"b\"\n","c.d"="e"} 1"#, &[r#"{"a \"b\"\n","c.d"="e"} 1"#]);
    open("{\"10€\",\"x.y\"=\"6\"} 1\n# EOF\n", &[r#"{"10€","x.y"="6"} 1"#]);
    text(r#"{a="ok"} 1"#, &["line 1: the metric has no name"]);
    text(r#"{""} 1"#, &["line 1: the metric's name is empty"]);
    text(r#"a{"b"} 1"#, &[r#"line 1: the metric's name stands twice, the second time as "b""#]);
    text(r#"{"a","b"} 1"#, &[r#"line 1: the metric's name stands twice, the second time as "b""#]);
    text("{\"\u{00ff}", &["line 1: a name \"ÿ is not closed"]);
    text(b"{\"\xff\"} 1".as_slice(), &["line 1: a name \u{fffd} is not UTF-8"]);
}

#[test]
fn text_refuses_what_is_not_of_it() {
    for (body, why) in [
        ("a", "line 1: a value expected after the metric, found the end"),
        ("a\n", "line 1: a value expected after the metric, found the end of the line"),
        ("\na{b='c'} 1\n", r#"line 2: a label's value expected, found "'c'} 1""#),
        ("a{b=\n", "line 1: a label's value expected, found the end of the line"),
        ("a{b", r#"line 1: = expected after the label's name "b", found the end"#),
        (r#"{"a", "b = "c"}"#, r#"line 1: = expected after the label's name "b = ", found "c\"}""#),
        ("a true\n", r#"line 1: "true" is no number"#),
        ("a{b=\"", "line 1: a label's value \" is not closed"),
        ("a{=\"\"} 0", r#"line 1: a label's name expected, found "=\"\"} 0""#),
        ("a{\"\"=\"x\"} 0", "line 1: a label's name is empty"),
        ("a{,} 0", r#"line 1: a label's name expected, found ",} 0""#),
        ("a{b=\"c\",,} 0", r#"line 1: a label's name expected, found ",} 0""#),
        ("a 1_2\n", r#"line 1: "1_2" is no number"#),
        ("a 0x1p-3\n", r#"line 1: "0x1p-3" is no number"#),
        ("a 1e999\n", r#"line 1: "1e999" is out of range"#),
        ("a 0 1_2\n", r#"line 1: a timestamp in ms or the end of the line expected, found "_2""#),
        ("a 0 1.5\n", r#"line 1: a timestamp in ms or the end of the line expected, found ".5""#),
        ("a 0 -\n", r#"line 1: the timestamp "-" is no number of ms"#),
        ("a 0 99999999999999999999\n", r#"line 1: the timestamp "99999999999999999999" is no number of ms"#),
        ("a 1 2 3\n", r#"line 1: a timestamp in ms or the end of the line expected, found "3""#),
        (
            "a 1 # {b=\"c\"} 1\n",
            r##"line 1: a timestamp in ms or the end of the line expected, found "# {b=\"c\"} 1""##,
        ),
        ("a{b=\"c\"}{d=\"e\"} 1", r#"line 1: a value expected after the metric, found "{d=\"e\"} 1""#),
        ("9 1\n", r#"line 1: a metric's name expected, found "9 1""#),
        ("# TYPE #\n", r##"line 1: a metric's name expected after TYPE, found "#""##),
        ("# HELP 1\n", r#"line 1: a metric's name expected after HELP, found "1""#),
        ("# TYPE a counter \n", r#"line 1: the metric type "counter " does not exist"#),
        ("# TYPE a  counter\n", r#"line 1: the metric type " counter" does not exist"#),
        ("\n# TYPE a info\n", r#"line 2: the metric type "info" does not exist"#),
        ("a\0 1", r#"line 1: "\0" is no number"#),
        ("<html>\n", r#"line 1: a metric's name expected, found "<html>""#),
    ] {
        text(body, &[why]);
    }
    text(b"a{b=\"\xff\"} 1".as_slice(), &["line 1: a label's value \u{fffd} is not UTF-8"]);
    text(b"a{\xff=\"b\"} 1".as_slice(), &["line 1: a label's name expected, found \"\u{fffd}=\\\"b\\\"} 1\""]);
    text(b"# HELP a \xff".as_slice(), &["line 1: the help \"\u{fffd}\" is not UTF-8"]);
    // What came before is told before.
    text("a 1\nb\n", &["a 1", "line 2: a value expected after the metric, found the end of the line"]);
}

#[test]
fn openmetrics_says_families_samples_and_exemplars() {
    open("# EOF", &[]);
    open("# EOF\n", &[]);
    open(
        "# HELP s_seconds A \\\"s\\\".\n# TYPE s_seconds summary\n# UNIT s_seconds seconds\n# UNIT n \n# HELP n \ns_seconds{quantile=\"1\"} 1\n# EOF\n",
        &[
            "HELP s_seconds \"A \\\"s\\\".\"",
            "TYPE s_seconds summary",
            r#"UNIT s_seconds "seconds""#,
            r#"UNIT n """#,
            r#"HELP n """#,
            r#"s_seconds{quantile="1.0"} 1"#,
        ],
    );
    open(
        "# TYPE gh gaugehistogram\ngh_bucket{le=\"1\"} 1\n# TYPE i info\n# TYPE s stateset\n# TYPE u unknown\n# EOF\n",
        &["TYPE gh gaugehistogram", r#"gh_bucket{le="1"} 1"#, "TYPE i info", "TYPE s stateset", "TYPE u unknown"],
    );
    open("a 33 123.123\nb 1 1520879607.789\n# EOF", &["a 33 @123123", "b 1 @1520879607789"]);
    open(
        "# TYPE h histogram\nh_bucket{le=\"2\"} 1 # {id=\"x\"} 4\nh_count 1 5.5 # {id=\"x\",\"a.b\"=\"y\",} 4 123.5\nc_total 1 # {} 0.5\nc_created 1.5\n# EOF\n",
        &[
            "TYPE h histogram",
            r#"h_bucket{le="2.0"} 1 # {id="x"} 4"#,
            r#"h_count 1 @5500 # {"a.b"="y",id="x"} 4 @123500"#,
            "c_total 1 # {} 0.5",
            "c_created 1.5",
        ],
    );
    open("a{b=\"c\",} 1\n# EOF\n", &[r#"a{b="c"} 1"#]);
}

#[test]
fn openmetrics_refuses_what_is_not_of_it() {
    let no_end = "the exposition does not end with # EOF";
    for (body, why) in [
        ("", no_end),
        ("a 1", no_end),
        ("a_total 1 # {b=\"c\"} 4", no_end),
        ("# TYPE a gauge", no_end),
        ("\n", "a metric's name expected, found the end of the line"),
        ("a", "a value expected after the metric, found the end"),
        ("a\n# EOF\n", "a value expected after the metric, found the end of the line"),
        (" a 1\n# EOF\n", r#"a metric's name expected, found " a 1""#),
        ("#EOF\n", r##"# HELP, # TYPE, # UNIT or # EOF expected, found "#EOF""##),
        ("# a comment\n# EOF\n", r##"# HELP, # TYPE, # UNIT or # EOF expected, found "# a comment""##),
        ("#  TYPE c counter\n", r##"# HELP, # TYPE, # UNIT or # EOF expected, found "#  TYPE c counter""##),
        ("#\tTYPE c counter\n", r##"# HELP, # TYPE, # UNIT or # EOF expected, found "#\tTYPE c counter""##),
        ("# TYPE u untyped\n", r#"the metric type "untyped" does not exist"#),
        ("# TYPE c counter \n", r#"the metric type "counter " does not exist"#),
        ("# TYPE c  counter\n", r#"the metric type " counter" does not exist"#),
        ("# TYPE \n", "a metric's name expected after TYPE, found the end of the line"),
        ("# TYPE m\n", "a blank and text expected after the name in TYPE"),
        ("# UNIT m suffix\n", r#"the unit "suffix" is no suffix of the metric "m""#),
        ("# UNIT metricsuffix suffix\n", r#"the unit "suffix" is no suffix of the metric "metricsuffix""#),
        ("# HELP m\n", "a blank and text expected after the name in HELP"),
        ("a\t1\n", r#"a value expected after the metric, found "\t1""#),
        ("a  1\n", r#"a value expected after the metric, found "  1""#),
        ("a 1\t2\n", r#""1\t2" is no number"#),
        ("a 1 2 \n", r#"the end of the line expected, found " ""#),
        ("a 1 2 #\n", r##"the end of the line expected, found " #""##),
        ("a 1 1z\n", r#""1z" is no number"#),
        ("a 1 NaN\n", "the timestamp NaN is no time"),
        ("a 1 Inf\n", "the timestamp inf is no time"),
        ("# EOF\na 1", r#""a 1" after # EOF"#),
        ("# EOF\n\n", "the end of the line after # EOF"),
        ("# EOFa 1", r#""a 1" after # EOF"#),
        ("a{b='c'} 1\n", r#"a label's value expected, found "'c'} 1""#),
        ("a{,b=\"c\"} 1\n", r#"a label's name expected, found ",b=\"c\"} 1""#),
        ("a{b=\"c\"d=\"e\"} 1\n", r#"a comma or a closing brace expected, found "d=\"e\"} 1""#),
        ("a{b=\"c\", d=\"e\"} 1\n", r#"a label's name expected, found " d=\"e\"} 1""#),
        ("a {b=\"c\"} 1\n", r#""{b=\"c\"}" is no number"#),
        ("a{b=\"c\nd\"} 1\n", "a label's value \"c is not closed"),
        ("a_total 1 # {b=c} 1\n", r#"a label's value expected, found "c} 1""#),
        ("a_total 1 # {b=\"c\"}\n", "a value expected after the exemplar's labels, found the end of the line"),
        ("a_total 1 # {\"b\"} 1\n", r#"= expected after the label's name "b" of an exemplar"#),
        ("a_total 1 # {b=\"c\"} 1 NaN\n", "the exemplar timestamp NaN is no time"),
        ("a_total 1 # {b=\"c\"} 1 1 1\n", r#"the end of the line expected, found " 1""#),
        ("a_total 1 #{b=\"c\"} 1\n", r##""#{b=\"c\"}" is no number"##),
    ] {
        let refusal = told(body.as_bytes(), Format::OpenMetrics).pop().unwrap();
        let (_, got) = refusal.split_once(": ").unwrap();
        assert_eq!(got, why, "{body:?}");
    }
}

#[test]
fn content_types_name_the_format() {
    for (said, expected) in [
        ("text/plain", Some(Format::Text)),
        ("text/plain; version=0.0.4; charset=utf-8", Some(Format::Text)),
        ("Text/Plain;version=1.0.0;escaping=allow-utf-8", Some(Format::Text)),
        ("application/openmetrics-text; version=1.0.0", Some(Format::OpenMetrics)),
        ("text/html", None),
        (client_model::CONTENT_TYPE, Some(Format::Protobuf)),
        ("application/json", None),
        ("", None),
    ] {
        assert_eq!(Format::of_content_type(said), expected, "{said}");
    }
}

const SEED: &str = "# HELP a_seconds Some \\n help.\n# TYPE a_seconds histogram\n# UNIT a_seconds seconds\na_seconds_bucket{le=\"1\",x=\"\\\"y\\\\\"} 1 12.5 # {id=\"z\"} 0.5 1\n{\"b.c\",d=\"e\"} NaN\n# EOF\n";

proptest! {
    #[test]
    fn damaged_expositions_never_panic(
        cut in any::<prop::sample::Index>(),
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        swaps in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 0..8),
    ) {
        let mut body = SEED.as_bytes().to_vec();
        for (one, other) in swaps {
            let length = body.len();
            body.swap(one.index(length), other.index(length));
        }
        for (at, with) in flips {
            let at = at.index(body.len());
            body[at] = with;
        }
        body.truncate(cut.index(body.len() + 1));
        for format in [Format::Text, Format::OpenMetrics] {
            drop(told(&body, format));
        }
    }

    #[test]
    fn what_is_written_comes_back(names in prop::collection::vec(("\\PC{1,8}", "\\PC{0,8}"), 0..4), value in any::<f64>(), at in -1_000_000i64..1_000_000) {
        let escape = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let labels: String = names.iter().map(|(name, value)| format!(",\"{}\"=\"{}\"", escape(name), escape(value))).collect();
        let value = if value.is_finite() { value } else { 0.5 };
        let line = format!("{{\"the name\"{labels}}} {value:e} {at}\n");
        let mut parser = Parser::new(line.as_bytes(), Format::Text, Buckets::Classic);
        let Ok(Some(Entry::Sample(read))) = parser.next_entry() else { panic!("{line}") };
        let mut expected = vec![("__name__".to_owned(), "the name".to_owned())];
        expected.extend(names);
        prop_assert_eq!(series_labels(&read.series, read.numbers).unwrap(), expected);
        prop_assert_eq!((read.value, read.at_ms), (value, Some(at)));
    }
}
