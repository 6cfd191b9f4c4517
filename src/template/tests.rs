//! Expected outputs are Go's.

use super::*;

/// A root with a field, a method, and nothing else.
#[derive(Debug)]
struct Ship;

impl Object for Ship {
    fn kind(&self) -> &'static str {
        "ship"
    }

    fn show(&self) -> String {
        "{ship}".into()
    }

    fn field(&self, name: &str) -> Result<Value, String> {
        match name {
            "Name" => Ok("Beagle".into()),
            "Self" => Ok(Value::object(Ship)),
            "Rank" => Ok(Value::object(Rank)),
            "Crew" => Ok(Value::List(vec!["Ann".into(), "Bo".into()])),
            other => Err(format!("can't evaluate field {other} in type {}", self.kind())),
        }
    }

    fn call(&self, name: &str, arguments: &[Value]) -> Result<Value, String> {
        match (name, arguments) {
            ("Hail", [Value::Text(whom)]) => Ok(format!("ahoy {whom}").into()),
            (name, []) => self.field(name),
            _ => Err(format!("wrong number of args for {name}")),
        }
    }

    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
}

/// A number with a name.
#[derive(Debug)]
struct Rank;

impl Object for Rank {
    fn kind(&self) -> &'static str {
        "rank"
    }

    fn show(&self) -> String {
        "mate".into()
    }

    fn number(&self) -> Option<i64> {
        Some(12)
    }

    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
}

fn run(text: &str, others: &[&str]) -> Result<String, TemplateError> {
    run_as(text, others, false)
}

fn run_as(text: &str, others: &[&str], strict: bool) -> Result<String, TemplateError> {
    let language = Language { functions: &|name| name == "shout", variables: &["loud"], strict };
    let set = Set::parse(others, &language).map_err(|(_, error)| error)?;
    let mut functions = |_: &str, arguments: &[Value]| match arguments {
        [Value::Text(text)] => Ok(Value::Text(text.to_uppercase())),
        [_] => Err(CallError::Failed("shout takes a text".into())),
        _ => Err(CallError::Count { least: 1, takes_more: false }),
    };
    Template::parse(text, &language, &set)?.run(&Ship, vec![("loud", Value::Bool(true))], &mut functions)
}

#[track_caller]
fn check(text: &str, expected: &str) {
    assert_eq!(run(text, &[]).as_deref(), Ok(expected), "{text}");
}

#[test]
fn numbers_have_the_bases_of_go() {
    check("{{ 5 }} {{ -5 }} {{ 0x1F }} {{ 0o17 }} {{ 017 }} {{ 0b101 }} {{ 1_000 }}", "5 -5 31 15 15 5 1000");
    check("{{ 0.5 }} {{ -1.5e2 }} {{ 1e3 }} {{ 0 }} {{ 09.5 }}", "0.5 -150 1000 0 9.5");
    check("{{ 9223372036854775807 }} {{ -9223372036854775808 }}", "9223372036854775807 -9223372036854775808");
    for (text, expected) in [
        ("{{ 9223372036854775808 }}", "9223372036854775808 overflows int"),
        ("{{ 18446744073709551615 }}", "18446744073709551615 overflows int"),
        ("{{ 18446744073709551616 }}", "integer overflow: \"18446744073709551616\""),
        ("{{ 123456789012345678901234567890123456789012345 }}", "integer overflow"),
        ("{{ 09 }}", "integer overflow: \"09\""),
        ("{{ 1x }}", "bad number syntax: \"1x\""),
        ("{{ 0x }}", "bad number syntax: \"0x\""),
        ("{{ 0x-5 }}", "bad number syntax"),
    ] {
        let error = run(text, &[]).unwrap_err().to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
}

#[test]
fn fields_methods_and_functions() {
    check("{{ . }} {{ .Name }} {{ $.Self.Name }}", "{ship} Beagle Beagle");
    check("{{ .Hail \"Bo\" }}, {{ \"Ann\" | .Self.Hail }}", "ahoy Bo, ahoy Ann");
    check("{{ .Name | shout }}{{ if $loud }}!{{ end }}", "BEAGLE!");
    check(
        "{{ range .Crew }}{{ . }} {{ end }}{{ len .Crew }} {{ index .Crew 1 }} {{ slice .Name 1 3 }}",
        "Ann Bo 2 Bo ea",
    );
    check("{{ range $i, $of := .Crew }}{{ $i }}{{ $of }}{{ end }}", "0Ann1Bo");
    check("{{ js \"a<'b'\" }} {{ html \"<b>\" }} {{ urlquery \"a b&c\" }}", "a\\u003C\\'b\\' &lt;b&gt; a+b%26c");
    check("{{ with .Self }}{{ .Name }}{{ end }}", "Beagle");
    check("{{ slice .Crew 0 1 2 }} {{ eq nil .Name }} {{ ne nil nil }} {{ eq true true }}", "[Ann] false false true");
}

#[test]
fn formats_take_their_sizes_and_arguments_as_they_say() {
    for (call, expected) in [
        (r#""%*d|%-*d|%0*d" 5 42 5 42 5 42"#, "   42|42   |00042"),
        (r#""%*d|" -4 7"#, "7   |"),
        (r#""%.*f %.*s" 2 3.14159 2 "abc""#, "3.14 ab"),
        (r#""%[2]s %[1]s" "a" "b""#, "b a"),
        (r#""%[2]*[1]d|" 7 4"#, "   7|"),
        (r#""%[1]s %s" "a" "b""#, "a b"),
        (r#""%[3]s|%[x]s|%[1]2d|" "a""#, "%!s(BADINDEX)|%!s(BADINDEX)|%!d(BADINDEX)|"),
        (r#""%*d" "x" 1"#, "%!(BADWIDTH)1"),
        (r#""%.*f" "x" 1.5"#, "%!(BADPREC)1.500000"),
        (r#""%d" 1 2 "x""#, "1%!(EXTRA int=2, string=x)"),
        (r#""%d %s" 1"#, "1 %!s(MISSING)"),
        (r#""%z %!" 1"#, "%!z(int=1) %!!(MISSING)"),
        (r#""%""#, "%!(NOVERB)"),
        // What fits no verb has its size, too.
        (r#""%-5d|%5E|%05s|%-05d|" 1 2 "ab" 3"#, "1    |%!E(int=    2)|000ab|3    |"),
        (
            r#""%.2x|% x|%#x|%# X|%8x|%-8x|" "abc" "abc" "abc" "abc" "ab" "ab""#,
            "6162|61 62 63|0x616263|0X61 0X62 0X63|    6162|6162    |",
        ),
        (r#""%.3d|%05d|%+d|% d|%#x|%#o|%O|%08.3d|" 7 -7 7 7 255 8 8 5"#, "007|-0007|+7| 7|0xff|010|0o10|     005|"),
        (r#""%+v %#v %#v" 5 "a\"b" 5"#, r#"5 "a\"b" 5"#),
        (r#""%q %#q %q" "é\n" "a b" 233"#, r#""é\n" `a b` 'é'"#),
        (r#""%U %#U %c %08b" 65 66 67 5"#, "U+0041 U+0042 'B' C 00000101"),
        (
            r#""%6.2f|%-8.3f|%+.1e|%08.2f|% f|%G|" 3.14159 2.5 12345.678 -1.5 1.5 1e-7"#,
            "  3.14|2.500   |+1.2e+04|-0001.50| 1.500000|1E-07|",
        ),
        (r#""%5t|%d" true true"#, " true|%!d(bool=true)"),
        (r#""%5v|%-5v|%05v" "ab" 1 2.5"#, "   ab|1    |002.5"),
    ] {
        check(&format!("{{{{ printf {call} }}}}"), expected);
    }
    check("{{ print nil \"a\" nil 1 }} {{ println nil }}{{ html nil }}", "<nil>a<nil> 1 <nil>\n&lt;no value&gt;");
}

#[test]
fn what_go_only_finds_when_it_runs_is_so_where_it_is_gos_to_the_letter() {
    for (text, expected) in [
        ("{{ 1 2 }}", "can't give argument to non-function 1"),
        ("{{ \"x\" .Name }}", "can't give argument to non-function \"x\""),
        ("{{ call .Name }}", "error calling call: non-function .Name of type string"),
        ("{{ .Name | call }}", "error calling call: non-function Beagle of type string"),
        ("{{ call nil }}", "error calling call: call of nil"),
        ("{{ call }}", "wrong number of args for call: want at least 1 got 0"),
        // These it finds before.
        ("{{ if true }}{{ define \"x\" }}a{{ end }}{{ end }}", "unexpected <define> in command"),
        ("{{ .Name..Self }}", "unexpected <.> in operand"),
        ("{{ printf \"%d\"3 }}", "unexpected \"3\" in operand"),
    ] {
        let error = run_as(text, &[], true).unwrap_err();
        assert_eq!(error.reason, expected, "{text}");
    }
    assert_eq!(run_as("{{ .Name | }}|{{ (.Name |) }}", &[], true).as_deref(), Ok("Beagle|Beagle"));
    assert!(run("{{ 1 2 }}", &[]).unwrap_err().command.is_none());
}

#[test]
fn verbs_print_the_items_of_lists_and_numbers_with_names() {
    check("{{ printf \"%q %5s\" .Crew .Crew }}", "[\"Ann\" \"Bo\"] [  Ann    Bo]");
    check("{{ printf \"%d\" .Crew }}", "[%!d(string=Ann) %!d(string=Bo)]");
    check("{{ printf \"%T %T %T %T\" .Name 1 1.5 nil }}", "string int float64 <nil>");
    check("{{ printf \"%v %s %d %q %x\" .Rank .Rank .Rank .Rank .Rank }}", "mate mate 12 \"mate\" c");
    check("{{ if .Rank }}{{ gt .Rank 11 }} {{ eq .Rank 12 }}{{ end }}", "true true");
}

/// What Go refuses is refused where the language does not say otherwise.
#[test]
fn a_strict_language_is_gos_to_the_letter() {
    let run = |text: &str, strict: bool| {
        let language = Language { functions: &|_| false, variables: &[], strict };
        let template = Template::parse(text, &language, &Set::default())?;
        let mut functions = |_: &str, _: &[Value]| Err(CallError::Failed("there are none".into()));
        template.run(&Ship, Vec::new(), &mut functions)
    };
    let numbers = "{{ eq 1 1.0 }} {{ gt 1.5 1 }}";
    assert_eq!(run(numbers, false).as_deref(), Ok("true true"));
    let refused = run(numbers, true).unwrap_err();
    assert_eq!(refused.reason, "error calling eq: incompatible types for comparison: int and float64");
    let call = "a\n{{ if false }}{{ template \"x\" }}{{ end }}{{ template \"nope\" .Name }}";
    assert_eq!(run(call, false).unwrap_err().reason, "template \"x\" is not defined");
    let refused = run(call, true).unwrap_err();
    assert_eq!(refused.reason, "template \"nope\" not defined");
    let written = Command { line: 2, column: 53, text: "{{template \"nope\" .Name}}".into() };
    assert_eq!((refused.line, refused.command), (2, Some(written)));
}

#[test]
fn what_is_wrong_is_said_with_its_line() {
    for (text, expected) in [
        ("{{ nope }}", "line 1: function \"nope\" not defined"),
        ("a\n{{ $nope }}", "line 2: undefined variable \"$nope\""),
        ("{{ .Nope }}", "can't evaluate field Nope in type ship"),
        ("{{ .Name.Nope }}", "can't evaluate field Nope in type string"),
        ("{{ .Hail }}", "can't evaluate field Hail"),
        ("{{ .Crew.Hail 1 }}", "is no method"),
        ("{{ shout 1 }}", "error calling shout: shout takes a text"),
        ("{{ template \"nope\" . }}", "template \"nope\" is not defined"),
        ("{{ index .Crew 7 }}", "index out of range: 7"),
        ("{{ slice .Name 3 1 }}", "invalid slice index"),
        ("{{ range .Name }}{{ end }}", "range can't iterate over Beagle"),
        ("{{ range $i, $of := 3 }}{{ end }}", "can't use 3 to iterate over more than one variable"),
        ("{{ slice .Crew 0 2 1 }}", "invalid slice index: 2 > 1"),
        ("{{ slice .Crew 0 1 3 }}", "index out of range: 3"),
        ("{{ slice .Name 0 1 2 }}", "cannot 3-index slice a string"),
        ("{{ slice nil 0 }}", "slice of untyped nil"),
        ("{{ index .Crew .Name }}", "cannot index slice/array with type string"),
        ("{{ index .Crew nil }}", "cannot index slice/array with nil"),
        ("{{ index nil 1 }}", "index of untyped nil"),
        ("{{ len nil }}", "reflect: call of reflect.Value.Type on zero Value"),
        ("{{ nil }}", "nil is not a command"),
        ("{{ lt true false }}", "invalid type for comparison"),
        ("{{ ge .Crew .Crew }}", "invalid type for comparison"),
        ("{{ eq .Crew .Crew }}", "non-comparable type [Ann Bo]: []interface {}"),
        ("{{ eq 1 .Name }}", "incompatible types for comparison: int and string"),
        ("{{ if true }}", "without {{end}}"),
        ("{{ 1 | 2 }}", "only a function can take what stands before |"),
    ] {
        let error = run(text, &[]).expect_err(text).to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
}

#[test]
fn files_share_their_definitions_and_the_later_one_counts() {
    let one = "{{ define \"a\" }}one {{ template \"b\" . }}{{ end }}";
    let two = "{{ define \"b\" }}{{ .Name }}{{ end }}";
    assert_eq!(run("{{ template \"a\" . }}", &[one, two]).as_deref(), Ok("one Beagle"));
    assert_eq!(run("{{ template \"a\" . }}", &[one, two, "{{ define \"a\" }}other{{ end }}"]).as_deref(), Ok("other"));
    let own = "{{ define \"b\" }}own{{ end }}{{ template \"a\" . }}";
    assert_eq!(run(own, &[one, two]).as_deref(), Ok("one own"));
    assert!(run("", &[one]).is_err_and(|error| error.reason.contains("\"b\" is not defined")));
}

#[test]
fn a_run_is_bounded() {
    let forever = "{{ define \"x\" }}{{ template \"x\" . }}{{ end }}{{ template \"x\" . }}";
    assert!(run(forever, &[]).is_err_and(|error| error.reason.contains("deeper than 50")));
    let loops = "{{ range 1000 }}{{ range 1000 }}{{ end }}{{ end }}";
    assert!(run(loops, &[]).is_err_and(|error| error.reason.contains("steps")));
    let long = "{{ range 90000 }}0123456789{{ end }}";
    assert!(run(long, &[]).is_err());
}
