//! Templates, and the stages that change labels.

use super::entry::{check_all, run};

/// The line that a template makes of the line `a=1 m="Hello World" n=-2.5 j="{\"k\":[1,{\"x\":\"y\"}],\"f\":1.5}"`.
fn line(template: &str, _: &str) -> String {
    let line = r#"a=1 m="Hello World" n=-2.5 d=1m30s b=1.5KiB j="{\"k\":[1,{\"x\":\"y\"}],\"f\":1.5,\"n\":null}""#;
    let shown = run(&format!("| logfmt | line_format `{template}` | keep __nothing__"), line);
    let (line, errors) = shown.rsplit_once(" {").expect("labels");
    match errors.contains("__error__=TemplateFormatErr") {
        true => format!("! {}", errors.split_once("__error_details__=").map_or("", |(_, details)| details)),
        false => line.into(),
    }
}

#[test]
fn templates() {
    check_all(
        &[
            ("plain", "", "plain"),
            ("{{.m}}", "", "Hello World"),
            ("{{ .m }}-{{.a}}", "", "Hello World-1"),
            ("{{.none}}", "", ""),
            ("[{{.none}}]", "", "[]"),
            ("{{.app}} {{.pod}} {{.size}}", "", "x p1 12KB"),
            ("{{__line__ | trunc 3}}", "", "a=1"),
            // What is calculated is an int64, which is no int to Go.
            (
                "{{trunc (add 1 2) .m}}",
                "",
                "! template: line:1:15: executing \"line\" at <2>: wrong type for value; expected int; got int64}",
            ),
            (
                "{{trunc (int (add 1 2)) .m}} {{printf \"%T %v %T\" (add 1 2) (mul 2 3) (len .m)}}",
                "",
                "Hel int64 6 int",
            ),
            (
                "{{index (index (fromJson .j) \"k\") (sub 1 1)}} {{range add 1 1}}x{{.}}{{end}} {{date \"2006\" (mul 1 0)}} {{divf (add 1 2) 2}}",
                "",
                "1 x0x1 1970 1.5",
            ),
            (
                "{{eq (add 1 2) 3}} {{lt (sub 1 2) 0}} {{max 1 2.9}} {{add \"2\" 1.9 true}} {{if add 0}}y{{else}}n{{end}}",
                "",
                "true true 2 4 n",
            ),
            ("{{__timestamp__}}", "", "2026-11-21 12:34:56.789 +0000 UTC"),
            ("{{__timestamp__ | date \"2006-01-02T15:04:05.000Z07:00\"}}", "", "2026-11-21T12:34:56.789Z"),
            (
                "{{__timestamp__ | unixEpoch}} {{__timestamp__ | unixEpochMillis}} {{__timestamp__ | unixEpochNanos}}",
                "",
                "1795264496 1795264496789 1795264496789000000",
            ),
            ("{{(__timestamp__).Unix}} {{(__timestamp__).Year}}", "", "1795264496 2026"),
            ("{{ now | date \"Jan _2 Mon 3:04PM\" }}", "", "Nov 22 Sun 12:34PM"),
            (
                "{{ToLower .m}}{{ToUpper .m}}{{lower .m}}{{.m | upper}}",
                "",
                "hello worldHELLO WORLDhello worldHELLO WORLD",
            ),
            (
                "{{Replace .m \"l\" \"L\" 2}} {{Replace .m \"l\" \"L\" -1}} {{replace \"o\" \"0\" .m}}",
                "",
                "HeLLo World HeLLo WorLd Hell0 W0rld",
            ),
            (
                "{{Trim .m \"Hd\"}} {{TrimLeft .m \"Hel\"}}|{{TrimRight .m \"dl\"}} {{trimAll \"Hd\" .m}}",
                "",
                "ello Worl o World|Hello Wor ello Worl",
            ),
            (
                "{{TrimPrefix .m \"Hello\"}} {{TrimSuffix .m \"World\"}}|{{trimPrefix \"Hello\" .m}} {{trimSuffix \"World\" .m}}",
                "",
                " World Hello | World Hello ",
            ),
            ("[{{TrimSpace \" x \"}}][{{trim \" y \"}}]", "", "[x][y]"),
            ("{{title \"hello big world\"}} {{repeat 3 \"ab\"}}", "", "Hello Big World ababab"),
            (
                "{{trunc 5 .m}} {{trunc -5 .m}} {{trunc 50 .m}} {{trunc 1 \"é\"}}",
                "",
                "Hello World Hello World \u{fffd}",
            ),
            (
                "{{substr 0 5 .m}} {{substr 6 -1 .m}} {{substr -1 5 .m}} {{substr 6 99 .m}}",
                "",
                "Hello World Hello World",
            ),
            (
                "{{substr 5 2 .m}}",
                "",
                "! template: line:1:2: executing \"line\" at <substr 5 2 .m>: error calling substr: runtime error: slice bounds out of range [5:2]}",
            ),
            ("{{contains \"ell\" .m}} {{hasPrefix \"He\" .m}} {{hasSuffix \"x\" .m}}", "", "true true false"),
            ("{{indent 2 .m}}|{{nindent 1 \"a\\nb\"}}", "", "  Hello World|\n a\n b"),
            (
                "{{regexReplaceAll \"(l+)\" .m \"<$1>\"}} {{regexReplaceAllLiteral \"(l+)\" .m \"$1\"}}",
                "",
                "He<ll>o Wor<l>d He$1o Wor$1d",
            ),
            (
                "{{regexReplaceAll \"(\" .m \"x\"}}",
                "",
                "! template: line:1:2: executing \"line\" at <regexReplaceAll \"(\" .m \"x\">: error calling regexReplaceAll: error parsing regexp: missing closing ): `(`}",
            ),
            ("{{count \"o\" .m}} {{ .m | count \"l+\"}}", "", "2 2"),
            // Each would take some megabytes and some time; all of one entry share what one query may take.
            (
                "{{count \"\\\\pL{100}a\" .m}}{{count \"\\\\pL{100}b\" .m}}{{count \"\\\\pL{100}c\" .m}}",
                "",
                "! template: line:1:52: executing \"line\" at <count \"\\\\pL{100}c\" .m>: error calling count: the patterns of a template compile to more than 16777216 bytes}",
            ),
            ("{{urlencode \"a b&c\"}} {{urldecode \"a+b%26c\"}}", "", "a+b%26c a b&c"),
            (
                "{{urldecode \"%zz\"}}",
                "",
                "! template: line:1:2: executing \"line\" at <urldecode \"%zz\">: error calling urldecode: invalid URL escape \"%zz\"}",
            ),
            (
                "{{b64enc \"hé\"}} {{b64dec \"aMOp\"}} {{b64dec \"a\"}}",
                "",
                "aMOp hé illegal base64 data at input byte 0",
            ),
            (
                "{{alignLeft 5 \"abc\"}}|{{alignRight 5 \"abc\"}}|{{alignLeft 2 \"abc\"}}|{{alignRight 2 \"abc\"}}",
                "",
                "abc  |  abc|ab|bc",
            ),
            ("{{duration .d}} {{duration_seconds .d}} {{bytes .b}}", "", "90 90 1536"),
            (
                "{{duration .m}}",
                "",
                "! template: line:1:2: executing \"line\" at <duration .m>: error calling duration: time: invalid duration \"Hello World\"}",
            ),
            ("{{add 1 2 .a}} {{sub 5 .a}} {{mul 2 3 4}} {{div 7 2}} {{mod 7 2}}", "", "4 4 24 3 1"),
            (
                "{{div 1 0}}",
                "",
                "! template: line:1:2: executing \"line\" at <div 1 0>: error calling div: runtime error: integer divide by zero}",
            ),
            (
                "{{addf 0.1 0.2}} {{subf 1 0.9}} {{mulf 1.1 1.1}} {{divf 1 3}} {{addf 1 .n}}",
                "",
                "0.3 0.1 1.21 0.3333333333333333 -1.5",
            ),
            ("{{max 1 5 3}} {{min 4 2}} {{maxf 1.5 .n}} {{minf 1.5 .n}}", "", "5 2 1.5 -2.5"),
            ("{{maxf 1 (float64 \"NaN\")}} {{minf (float64 \"NaN\") 1}}", "", "NaN NaN"),
            // Each character becomes one, or stays.
            ("{{upper \"größe\"}} {{lower \"İX\"}}", "", "GRÖßE ix"),
            (
                "{{b64dec \"aGVsbG8\"}}, {{b64dec \"aGVsbA=\"}}",
                "",
                "illegal base64 data at input byte 4, illegal base64 data at input byte 7",
            ),
            (
                "{{substr -1 99 \"ab\"}}",
                "",
                "! template: line:1:2: executing \"line\" at <substr -1 99 \"ab\">: error calling substr: runtime error: slice bounds out of range [:99] with length 2}",
            ),
            (
                "{{substr 7 9 \"ab\"}}",
                "",
                "! template: line:1:2: executing \"line\" at <substr 7 9 \"ab\">: error calling substr: runtime error: slice bounds out of range [7:2]}",
            ),
            ("{{int \"1.9\"}} {{int \".5\"}} {{int \"-3.\"}} {{int \"1.x\"}}", "", "1 0 -3 0"),
            (
                "{{printf \"%v %v\" (fromJson \"no\") (fromJson \"[null,1]\")}} {{fromJson \"[null]\"}}",
                "",
                "<nil> [<nil> 1] [<nil>]",
            ),
            ("{{ceil 1.2}} {{floor 1.8}} {{round 3.14159 2}} {{round 1.5 0}} {{round .n 0}}", "", "2 1 3.14 2 -3"),
            (
                "{{int \"12.00\"}} {{int .n}} {{int \"x\"}} {{int \"010\"}} {{int \"0x1f\"}} {{float64 .n}} {{int 2.9}}",
                "",
                "12 -2 0 8 31 -2.5 2",
            ),
            ("{{default \"none\" .none}} {{default \"none\" .a}} {{.none | default \"d\"}}", "", "none 1 d"),
            ("{{(index (fromJson .j).k 1).x}} {{(fromJson .j).f}} {{(fromJson .j).none}}", "", "y 1.5 <no value>"),
            ("{{range $i, $v := fromJson \"[1,2]\"}}{{$i}}={{$v}};{{end}}", "", "0=1;1=2;"),
            ("{{range $k, $v := fromJson .j}}{{$k}} {{end}}", "", "f k n "),
            ("{{fromJson \"no\"}}", "", "<no value>"),
            ("{{if eq .a \"1\"}}one{{else}}other{{end}} {{if and .none .a}}x{{else}}y{{end}}", "", "one y"),
            ("{{with .m}}{{.}}{{end}}{{with .none}}x{{else}}none{{end}}", "", "Hello Worldnone"),
            ("{{$x := .a}}{{$x}}{{ $x | printf \"%s-%s\" .m }}", "", "1Hello World-1"),
            ("{{printf \"%-5s|%5.2f|%d\" .a 1.5 7}}", "", "1    | 1.50|7"),
            (
                "{{unixToTime \"1673798889\"}} {{unixToTime \"19373\" | date \"06/1/2\"}}",
                "",
                "2023-01-15 16:08:09 +0000 UTC 23/1/16",
            ),
            (
                "{{unixToTime \"12\"}}",
                "",
                "! template: line:1:2: executing \"line\" at <unixToTime \"12\">: error calling unixToTime: unable to parse time '12': %!w(<nil>)}",
            ),
            ("{{((toDate \"2006-01-02\" \"2023-01-31\").AddDate 1 -11 0).Format \"2006-01-02\"}}", "", "2023-03-03"),
            ("{{((__timestamp__).AddDate 0 0 -21).Day}} {{((__timestamp__).Add 60000000000).Minute}}", "", "31 35"),
            ("{{(__timestamp__).After ((__timestamp__).AddDate 0 -1 0)}}", "", "true"),
            ("{{toDate \"2006-01-02\" \"2021-11-02\" | unixEpoch}}", "", "1635811200"),
            ("{{toDate \"2006-01-02T15:04:05Z07:00\" \"2021-11-02T10:00:00+02:00\" | unixEpoch}}", "", "1635840000"),
            (
                "{{toDateInZone \"2006-01-02 15:04\" \"Europe/Berlin\" \"2021-11-02 10:00\" | unixEpoch}}",
                "",
                "1635843600",
            ),
            (
                "{{toDateInZone \"2006-01-02 15:04\" \"No/Where\" \"2021-11-02 10:00\" | date \"15:04 MST -0700\"}}",
                "",
                "10:00 UTC +0000",
            ),
            ("{{toDate \"2006-01-02\" \"x\" | date \"2006\"}}", "", "0001"),
            ("{{date \"15:04\" 3600}}", "", "01:00"),
            (
                "{{ .a | ToUpper 5 }}",
                "",
                "! template: line:1:8: executing \"line\" at <ToUpper>: wrong number of args for ToUpper: want 1 got 2}",
            ),
            (
                "x {{ round 1.5 }}",
                "",
                "! template: line:1:5: executing \"line\" at <round>: wrong number of args for round: want at least 2 got 1}",
            ),
            (
                "{{.pod ToUpper \"x\"}}",
                "",
                "! template: line:1:2: executing \"line\" at <.pod>: pod is not a method but has arguments}",
            ),
            (
                "{{trunc .pod 1}}",
                "",
                "! template: line:1:8: executing \"line\" at <.pod>: wrong type for value; expected int; got string}",
            ),
            (
                "{{trunc \"5\" .m}}",
                "",
                "! template: line:1:8: executing \"line\" at <\"5\">: expected integer; found \"5\"}",
            ),
            (
                "{{.m | ToUpper | repeat 2.5}}",
                "",
                "! template: line:1:24: executing \"line\" at <2.5>: expected integer; found 2.5}",
            ),
            ("{{ToUpper 5}}", "", "! template: line:1:10: executing \"line\" at <5>: expected string; found 5}"),
            (
                "{{5 | int | ToUpper}}",
                "",
                "! template: line:1:12: executing \"line\" at <ToUpper>: wrong type for value; expected string; got int}",
            ),
            (
                "{{now | replace \"a\" \"b\"}}",
                "",
                "! template: line:1:20: executing \"line\" at <\"b\">: wrong type for value; expected string; got time.Time}",
            ),
            (
                "{{ToUpper (len .m)}}",
                "",
                "! template: line:1:15: executing \"line\" at <.m>: wrong type for value; expected string; got int}",
            ),
            (
                "{{fromJson \"null\" | lower}}",
                "",
                "! template: line:1:20: executing \"line\" at <lower>: invalid value; expected string}",
            ),
            (
                "{{unixEpoch .a}}",
                "",
                "! template: line:1:12: executing \"line\" at <.a>: wrong type for value; expected time.Time; got string}",
            ),
            (
                "{{unixEpoch 5}}",
                "",
                "! template: line:1:12: executing \"line\" at <5>: can't handle 5 for arg of type time.Time}",
            ),
            ("{{lower nil}}", "", "! template: line:1:8: executing \"line\" at <nil>: cannot assign nil to string}"),
            (
                "{{.m.x}}",
                "",
                "! template: line:1:4: executing \"line\" at <.m.x>: can't evaluate field x in type string}",
            ),
            ("{{(fromJson \"null\").x.y}}", "", "<no value>"),
            (
                "{{ (__timestamp__).Nope }}",
                "",
                "! template: line:1:18: executing \"line\" at <(__timestamp__).Nope>: can't evaluate field Nope in type time.Time}",
            ),
            ("{{mod -9223372036854775808 -1}} {{div -9223372036854775808 -1}}", "", "0 -9223372036854775808"),
            (
                "{{printf \"%s|%T\" (fromJson .j) (fromJson .j).f}}",
                "",
                "map[f:%!s(float64=1.5) k:[%!s(float64=1) map[x:y]] n:<nil>]|float64",
            ),
            ("{{len .m}} {{not .none}} {{index . \"pod\"}}", "", "11 true p1"),
            ("{{range $k, $v := .}}{{$k}},{{end}}", "", "a,app,b,d,j,m,n,pod,size,"),
            (
                "{{repeat 100000 \"ab\"}}",
                "",
                "! template: line:1:2: executing \"line\" at <repeat 100000 \"ab\">: error calling repeat: the text is longer than 65536 bytes}",
            ),
            ("{{/* nothing */}}x {{- \" y \" -}} z", "", "x y z"),
        ],
        line,
    );
}

#[test]
fn times_and_durations() {
    check_all(
        &[
            ("{{$t := __timestamp__}}{{$t.Sub ($t.Add -5400000000000)}} {{($t.Sub $t).Seconds}}", "", "1h30m0s 0"),
            (
                "{{$t := __timestamp__}}{{with $t.Sub ($t.AddDate 0 0 -1)}}{{.Hours}} {{.Abs}} {{.Truncate 7200000000001}}{{end}}",
                "",
                "24 24h0m0s 22h0m0.000000011s",
            ),
            ("{{if gt (__timestamp__.Sub (unixToTime \"19000\")) 1}}later{{end}}", "", "later"),
            (
                "{{(__timestamp__.Truncate 3600000000000).Format \"15:04\"}} {{(__timestamp__.Round 3600000000000).Format \"15:04\"}}",
                "",
                "12:00 13:00",
            ),
            (
                "{{__timestamp__.Truncate 0}} {{__timestamp__.Location}} {{__timestamp__.Local.IsDST}}",
                "",
                "2026-11-21 12:34:56.789 +0000 UTC UTC false",
            ),
            (
                "{{__timestamp__.Month}} {{printf \"%02d\" __timestamp__.Month}} {{eq __timestamp__.Weekday 6}} {{__timestamp__.Weekday.String}}",
                "",
                "November 11 true Saturday",
            ),
            (
                "{{$z := (toDateInZone \"2006\" \"Europe/Oslo\" \"2024\").Location}}{{__timestamp__.In $z}} {{$z}}",
                "",
                "2026-11-21 13:34:56.789 +0100 CET Europe/Oslo",
            ),
            // A clock that is shown twice is the later one, one that is skipped is after the gap.
            (
                "{{toDateInZone \"2006-01-02 15:04\" \"Europe/Oslo\" \"2024-10-27 02:15\"}}",
                "",
                "2024-10-27 02:15:00 +0100 CET",
            ),
            (
                "{{toDateInZone \"2006-01-02 15:04\" \"Europe/Oslo\" \"2024-03-31 02:15\"}}",
                "",
                "2024-03-31 03:15:00 +0200 CEST",
            ),
            (
                "{{toDate \"2006-01-02 -0700\" \"2024-05-06 -0330\"}} {{toDate \"2006 MST\" \"2024 NZST\"}}",
                "",
                "2024-05-06 00:00:00 -0330 -0330 2024-01-01 00:00:00 +0000 NZST",
            ),
        ],
        line,
    );
}

#[test]
fn what_templates_refuse_is_worded_as_in_go() {
    let failed = |at: usize, what: &str, reason: &str| {
        format!("! template: line:1:{at}: executing \"line\" at <{what}>: {reason}}}")
    };
    let cases = [
        ("{{gt .n 1}}", failed(2, "gt .n 1", "error calling gt: incompatible types for comparison: string and int")),
        (
            "{{gt (float64 .n) 1}}",
            failed(2, "gt (float64 .n) 1", "error calling gt: incompatible types for comparison: float64 and int"),
        ),
        ("{{range .m}}{{end}}", failed(8, ".m", "range can't iterate over Hello World")),
        ("{{range $i, $x := (int .a)}}{{end}}", failed(23, ".a", "can't use 1 to iterate over more than one variable")),
        (
            "{{index (fromJson .j) 2}}",
            failed(2, "index (fromJson .j) 2", "error calling index: value has type int; should be string"),
        ),
        (
            "{{index (fromJson .j) \"n\" 0}}",
            failed(2, "index (fromJson .j) \"n\" 0", "error calling index: index of nil pointer"),
        ),
        (
            "{{duration \"7½h\"}}",
            failed(
                2,
                "duration \"7½h\"",
                "error calling duration: time: unknown unit \"\\xc2\\xbdh\" in duration \"7\\xc2\\xbdh\"",
            ),
        ),
        (
            "{{mulf 2 (float64 \"-Inf\")}}",
            failed(2, "mulf 2 (float64 \"-Inf\")", "error calling mulf: Cannot create a Decimal from -Inf"),
        ),
        (
            "{{repeat 6000000000000000000 .m}}",
            failed(2, "repeat 6000000000000000000 .m", "error calling repeat: strings: Repeat output length overflow"),
        ),
    ];
    let cases: Vec<_> = cases.iter().map(|(template, expected)| (*template, "", expected.as_str())).collect();
    check_all(&cases, line);
}

#[test]
fn lines_and_labels() {
    check_all(
        &[
            ("| line_format `{{.pod}}`", "l", "p1 {}"),
            (
                "| line_format `{{.pod}} {{div 1 0}}`",
                "l",
                "l {__error__=TemplateFormatErr __error_details__=template: line:1:11: executing \"line\" at <div 1 0>: error calling div: runtime error: integer divide by zero}",
            ),
            (
                "| json | line_format `{{.__error__}} {{.__error_details__ | trunc 5}}` | drop __error__,__error_details__",
                "l",
                "JSONParserErr Value {}",
            ),
            (
                "| line_format `{{(fromJson __line__).n.x}}`",
                r#"{"n":null}"#,
                r#"{"n":null} {__error__=TemplateFormatErr __error_details__=template: line:1:12: executing "line" at <__line__>: nil pointer evaluating interface {}.x}"#,
            ),
            ("| label_format a=`{{.pod}}-{{.app}}`", "l", "l {a=p1-x}"),
            ("| label_format a=pod", "l", "l {!pod a=p1}"),
            ("| label_format a=none", "l", "l {}"),
            // What is renamed to itself is gone.
            ("| label_format pod=pod", "l", "l {!pod}"),
            // An error hides what a stage gives its name.
            (
                "| json | label_format __error_details__=`mine`",
                "l",
                "l {__error__=JSONParserErr __error_details__=Value looks like object, but can't find closing '}' symbol}",
            ),
            (
                "| logfmt | json | drop __error__, __error_details__",
                "__error_details__=mine",
                "__error_details__=mine {__error_details__=mine}",
            ),
            ("| label_format pod=`x`", "l", "l {pod=x}"),
            ("| label_format app=`y`", "l", "l {app=y}"),
            // All templates of one stage see what was before it; renames are done at once.
            ("| label_format a=`1`, b=`{{.a}}`", "l", "l {a=1 b=}"),
            ("| label_format a=`1` | label_format b=`{{.a}}`", "l", "l {a=1 b=1}"),
            // Unless there was none before it.
            (
                "| drop app, pod, size | label_format a=`1`, b=`{{.a}}`, c=`{{.b}}`",
                "l",
                "l {!app !pod !size a=1 b=1 c=}",
            ),
            ("| label_format a=pod, b=`{{.a}}{{.pod}}`", "l", "l {!pod a=p1 b=p1}"),
            (
                "| label_format a=`{{add 1 (div  1 0)}}`",
                "l",
                "l {__error__=TemplateFormatErr __error_details__=template: label:1:9: executing \"label\" at <div 1 0>: error calling div: runtime error: integer divide by zero}",
            ),
            ("| label_format a=`{{__line__}}!`", "l", "l {a=l!}"),
            ("| drop pod", "l", "l {!pod}"),
            ("| drop app, none", "l", "l {!app}"),
            ("| drop pod=\"p2\", size=~\"12.*\"", "l", "l {!size}"),
            (
                "| json | drop __error__",
                "l",
                "l {__error_details__=Value looks like object, but can't find closing '}' symbol}",
            ),
            ("| json | drop __error__, __error_details__", "l", "l {}"),
            (
                "| json | drop __error__=\"other\"",
                "l",
                "l {__error__=JSONParserErr __error_details__=Value looks like object, but can't find closing '}' symbol}",
            ),
            ("| keep pod", "l", "l {!app !size}"),
            ("| keep pod=\"p2\", app=~\"x|y\"", "l", "l {!pod !size}"),
            (
                "| json | keep pod",
                "l",
                "l {!app !size __error__=JSONParserErr __error_details__=Value looks like object, but can't find closing '}' symbol}",
            ),
            ("| logfmt | keep a", "a=1 b=2", "a=1 b=2 {!app !pod !size a=1}"),
            ("| decolorize", "\u{1b}[1;31mred\u{1b}[0m \u{9b}0mx", "red x {}"),
            ("| decolorize", "plain é", "plain é {}"),
            ("| decolorize | logfmt", "\u{1b}[31ma=1\u{1b}[0m", "a=1 {a=1}"),
            // A filter behind a format of its label sees the label as the parser made it.
            ("| logfmt | label_format a=`2` | a=`2`", "a=1", "-"),
            ("| logfmt | label_format a=`2` | a=`1`", "a=1", "-"),
            ("| logfmt | label_format c=a | c=`1`", "a=1", "a=1 {c=1}"),
        ],
        run,
    );
}
