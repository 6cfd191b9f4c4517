//! Expected outputs are Prometheus' (`template_test.go`) where it has the case, Go's otherwise.

use model::Labels;

use super::*;

fn expand(text: &str) -> Result<String, TemplateError> {
    let labels = Labels::from_pairs([("instance", "web-1:9100"), ("job", "api")]);
    let external = Labels::from_pairs([("site", "north")]);
    let data = Data {
        labels: &labels,
        value: &Point::Float(1234567.0),
        external_labels: &external,
        external_url: "http://host:8080/base/",
    };
    let mut query = |text: &str| match text {
        "none" => Ok(vec![]),
        "bad" => Err("parse error".to_string()),
        "histogram" => {
            let points = query::promql::notation::points("{{sum:10 count:3}}").unwrap();
            Ok(points.into_iter().flatten().map(|point| (Labels::default(), point)).collect())
        }
        _ => {
            let of = |name: &str, value| (Labels::from_pairs([("instance", name)]), Point::Float(value));
            Ok(vec![of("b", 21.0), of("a", 11.0)])
        }
    };
    Template::parse(text)?.expand(&data, &mut query)
}

#[track_caller]
fn check(text: &str, expected: &str) {
    assert_eq!(expand(text).as_deref(), Ok(expected), "{text}");
}

#[track_caller]
fn check_error(text: &str, expected: &str) {
    let error = expand(text).expect_err(text).to_string();
    assert!(error.contains(expected), "{text}: {error}");
}

#[test]
fn times_durations_and_histograms() {
    check("{{ (1435065584.128 | toTime).Format \"2006\" }}", "2015");
    check("{{ (\"1435065584.128\" | toTime).Format \"2006\" }}", "2015");
    check("{{ (toTime 0).Year }} {{ (3661.5 | toDuration) }}", "1970 1h1m1.5s");
    check("{{ query \"histogram\" | first | value }}", "{count:3, sum:10}");
    check("{{ range query \"histogram\" }}{{ .Value }}{{ end }}", "{count:3, sum:10}");
    check_error("{{ toTime \"one\" }}", "strconv.ParseFloat: parsing \"one\": invalid syntax");
    check_error("{{ toTime 1e300 }}", "overflows int64");
}

#[test]
fn values_labels_and_variables() {
    check("plain text", "plain text");
    check("{{ $labels.instance }} of {{ .Labels.job }}", "web-1:9100 of api");
    check("[{{ $labels.nope }}]", "[]");
    check("{{ $value }} {{ .Value }}", "1.234567e+06 1.234567e+06");
    check("{{ $externalLabels.site }} {{ .ExternalLabels.site }}", "north north");
    check(
        "{{ $externalURL }} {{ externalURL }} {{ pathPrefix }}",
        "http://host:8080/base/ http://host:8080/base/ /base",
    );
    check("{{ $x := 1 }}{{ $x }}{{ if true }}{{ $x = 2 }}{{ end }}{{ $x }}", "12");
    check(
        "{{ 1 }} {{ 1.5 }} {{ 1e3 }} {{ 0x10 }} {{ 'a' }} {{ true }} {{ `raw\\n` }} {{ \"\\u00e9\\t\" }}",
        "1 1.5 1000 16 97 true raw\\n é\t",
    );
    check("{{ index $labels \"job\" }} {{ len $labels }} {{ $labels }}", "api 2 map[instance:web-1:9100 job:api]");
    check("a {{- /* gone */ -}} b", "ab");
    check("a {{- 1 -}} b {{/* x */}}c", "a1b c");
}

#[test]
fn blocks() {
    check("{{ if gt $value 100.0 }}high{{ else }}low{{ end }}", "high");
    check("{{ if lt $value 100 }}low{{ else if eq $labels.job \"db\" \"api\" }}mid{{ else }}high{{ end }}", "mid");
    check("{{ if and $labels.job (not $labels.nope) }}yes{{ end }}", "yes");
    check("{{ if or $labels.nope \"\" }}yes{{ else }}no{{ end }}", "no");
    check("{{ with $labels.job }}<{{ . }}>{{ end }}{{ with $labels.nope }}x{{ else }}none{{ end }}", "<api>none");
    check(
        "{{ range query \"m\" | sortByLabel \"instance\" }}{{ .Labels.instance }}:{{ .Value }}: {{ end }}",
        "a:11: b:21: ",
    );
    check("{{ range $i, $s := query \"m\" }}{{ $i }}={{ $s | label \"instance\" }} {{ end }}", "0=b 1=a ");
    check("{{ range query \"none\" }}x{{ else }}nothing{{ end }}", "nothing");
    check("{{ range $k, $v := $labels }}{{ $k }}={{ $v }};{{ end }}", "instance=web-1:9100;job=api;");
    check(
        "{{ range query \"m\" }}{{ if eq .Value 21.0 }}{{ continue }}{{ end }}{{ .Value }}{{ break }}{{ end }}",
        "11",
    );
    check("{{ define \"x\" }}{{ .arg0 }} {{ .arg1 }}{{ end }}{{ template \"x\" (args 1 \"2\") }}", "1 2");
    check("{{ query \"m\" | first | value }} {{ (query \"m\" | first).Labels.instance }}", "21 b");
    check("{{ $x := query \"m\" | first }}{{ $x.Labels.nope }}|{{ $x.Value }}", "|21");
}

#[test]
fn functions_of_prometheus() {
    for (value, expected) in [
        ("0.0", "0"),
        ("1.0", "1"),
        ("1234567.0", "1.235M"),
        (".12", "120m"),
        ("-1", "-1"),
        ("1e30", "1e+06Y"),
        ("NaN", "NaN"),
        ("-Inf", "-Inf"),
    ] {
        check(&format!("{{{{ humanize \"{value}\" }}}}"), expected);
    }
    check("{{ humanize $value }} {{ humanize 9223372036854775807 }}", "1.235M 9.223E");
    check(
        "{{ humanize1024 1048576.0 }} {{ humanize1024 .12 }} {{ humanize1024 1234567 }} {{ humanize1024 9223372036854775807 }}",
        "1Mi 0.12 1.177Mi 8Ei",
    );
    for (value, expected) in [
        ("0", "0s"),
        ("1", "1s"),
        ("60", "1m 0s"),
        ("3600", "1h 0m 0s"),
        ("86400", "1d 0h 0m 0s"),
        ("90000", "1d 1h 0m 0s"),
        ("-183845", "-2d 3h 4m 5s"),
        ("899.99", "14m 59s"),
        (".1", "100ms"),
        (".0001", "100us"),
        (".12345", "123.5ms"),
        ("60.5", "1m 0s"),
        ("1.2345", "1.234s"),
        ("12.345", "12.35s"),
    ] {
        check(&format!("{{{{ humanizeDuration {value} }}}}"), expected);
    }
    check(
        "{{ -0.22222 | humanizePercentage }}:{{ 0.0 | humanizePercentage }}:{{ 0.1234567 | humanizePercentage }}:{{ 1.23456 | humanizePercentage }}",
        "-22.22%:0%:12.35%:123.5%",
    );
    check("{{ humanizePercentage 1234567 }}", "1.235e+08%");
    check("{{ 1435065584.128 | humanizeTimestamp }}", "2015-06-23 13:19:44.128 +0000 UTC");
    for (value, expected) in [
        (0_i64, "1970-01-01 00:00:00"),
        (-1, "1969-12-31 23:59:59"),
        (1234567, "1970-01-15 06:56:07"),
        (9223372036, "2262-04-11 23:47:16"),
    ] {
        check(&format!("{{{{ humanizeTimestamp {value} }}}}"), &format!("{expected} +0000 UTC"));
    }
    check("{{ \"aa bb CC\" | title }} {{ \"aB\" | toUpper }} {{ \"aB\" | toLower }}", "Aa Bb CC AB ab");
    check(
        "{{ match \"a+\" \"aa\" }} {{ match \"a+\" \"b\" }} {{ reReplaceAll \"(a)b\" \"x$1\" \"ab\" }}",
        "true false xa",
    );
    for (address, port, domain) in [
        ("foo.example.com", "foo.example.com", "foo"),
        ("foo.example.com:12345", "foo.example.com", "foo:12345"),
        ("192.0.2.1:12345", "192.0.2.1", "192.0.2.1:12345"),
        ("2001:0DB8::1", "2001:0DB8::1", "2001:0DB8::1"),
        ("[2001:0DB8::1]:12345", "2001:0DB8::1", "[2001:0DB8::1]:12345"),
        ("[2001:0DB8::1]::12345", "[2001:0DB8::1]::12345", "[2001:0DB8::1]::12345"),
    ] {
        check(
            &format!("{{{{ \"{address}\" | stripPort }}}} {{{{ \"{address}\" | stripDomain }}}}"),
            &format!("{port} {domain}"),
        );
    }
    check("{{ printf \"%0.2f\" (parseDuration \"1h2m10ms\") }}", "3720.01");
}

#[test]
fn printf_as_in_go() {
    for (call, expected) in [
        (r#""%s is %d" "x" 7"#, "x is 7"),
        (r#""%.2f|%f|%8.3f|%-8.1f|" 3.14159 2.5 2.5 2.5"#, "3.14|2.500000|   2.500|2.5     |"),
        (r#""%g %v %v %e %E" 1e6 1e5 1e-5 12345.678 0.5"#, "1e+06 100000 1e-05 1.234568e+04 5.000000E-01"),
        (r#""%.3g %.4g %g %G" 1234.5678 100000.0 0.1 1e-10"#, "1.23e+03 1e+05 0.1 1E-10"),
        (
            r#""%q %x %X %t %5s|%-5s|%05d|%+d" "a\"b" "hi" 255 true "ab" "ab" -42 7"#,
            r#""a\"b" 6869 FF true    ab|ab   |-0042|+7"#,
        ),
        (r#""%d%%" 50"#, "50%"),
        (r#""%d" 1.5"#, "%!d(float64=1.5)"),
        (r#""%s %s" "a""#, "a %!s(MISSING)"),
        (r#""%s" "a" 2"#, "a%!(EXTRA int=2)"),
        (r#""%c%b%o%#x" 65 5 8 255"#, "A101100xff"),
    ] {
        check(&format!("{{{{ printf {call} }}}}"), expected);
    }
    check("{{ print 1 2 \"a\" 3 }} {{ print true false }}", "1 2a3 true false");
}

#[test]
fn mistakes_are_told_when_the_template_is_parsed() {
    for (text, expected) in [
        ("{{", "unclosed action"),
        ("a\n{{ nope }}", "line 2: function \"nope\" not defined"),
        ("{{ $nope }}", "undefined variable \"$nope\""),
        ("{{ if true }}x", "{{if}} without {{end}}"),
        ("{{ end }}", "unexpected {{end}}"),
        ("{{ template \"x\" }}", "template \"x\" is not defined"),
        ("{{ define \"x\" }}{{ $labels }}{{ end }}", "undefined variable \"$labels\""),
        ("{{ \"a }}", "unterminated"),
        ("{{ 1 | 2 }}", "only a function"),
        ("{{ }}", "missing value"),
        ("{{ break }}", "outside a range"),
        ("{{ /* a }}", "unclosed comment"),
    ] {
        let error = Template::parse(text).expect_err(text).to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
    let deep = format!("{}1{}", "{{ ".to_string() + &"(".repeat(1_000), ")".repeat(1_000) + " }}");
    assert!(Template::parse(&deep).unwrap_err().reason.contains("nested deeper"));
    let blocks = "{{ if true }}".repeat(1_000) + &"{{ end }}".repeat(1_000);
    assert!(Template::parse(&blocks).unwrap_err().reason.contains("nested deeper"));
    let chain = "{{ if true }}".to_string() + &"{{ else if true }}".repeat(3_000) + "{{ end }}";
    assert!(Template::parse(&chain).unwrap_err().reason.contains("nested deeper"));
}

#[test]
fn failures_and_endless_templates_end() {
    check_error("{{ query \"none\" | first }}", "first() called on vector with no elements");
    check_error("{{ query \"bad\" }}", "error calling query: parse error");
    check_error("{{ humanize \"one\" }}", "strconv.ParseFloat: parsing \"one\": invalid syntax");
    check_error("{{ .Foo }}", "can't evaluate field Foo");
    check_error("{{ lt 1 \"a\" }}", "incompatible types");
    check_error("{{ define \"x\" }}{{ template \"x\" }}{{ end }}{{ template \"x\" }}", "deeper than");
    check_error("{{ range 90000 }}{{ range 90000 }}{{ end }}{{ end }}", "more than 100000 steps");
    check_error("{{ range 90000 }}xxxxxxxxxx{{ end }}", "longer than 65536 bytes");
    check_error("{{ range 30 }}{{ query \"m\" }}{{ end }}", "may ask 20 queries");
    check_error("{{ printf \"%99999d\" 1 }}", "at most 1000");
    check_error("{{ match \"a{1000}{1000}\" \"a\" }}", "bad regular expression");
    let labels = Labels::default();
    let data = Data { labels: &labels, value: &Point::Float(0.0), external_labels: &labels, external_url: "" };
    let text = Template::parse("{{ query \"x\" | first }}").unwrap().expand_or_error(&data, &mut |_| Ok(vec![]));
    assert!(text.starts_with("<error expanding template: "), "{text}");
}

#[test]
fn floats_are_written_as_go_writes_them() {
    for (value, expected) in [
        (0.0, "0"),
        (-0.0, "-0"),
        (0.1, "0.1"),
        (100000.0, "100000"),
        (1e6, "1e+06"),
        (123456789.0, "1.23456789e+08"),
        (999999.5, "999999.5"),
        (1e-4, "0.0001"),
        (1e-5, "1e-05"),
        (1e100, "1e+100"),
        (f64::INFINITY, "+Inf"),
        (f64::NAN, "NaN"),
    ] {
        assert_eq!(template::number::shortest(value), expected);
    }
}
