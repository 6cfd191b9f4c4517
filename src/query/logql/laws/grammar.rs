//! Random LogQL, from the rules of its grammar.

use chance::Random;

/// Names of labels, most of which some record has.
const NAMES: [&str; 10] =
    ["service_name", "host_name", "user", "ms", "size", "took", "addr", "a_b", "__error__", "detected_level"];
const NUMBERS: [&str; 5] = ["ms", "n", "size", "took", "user"];
const TEXTS: [&str; 12] = ["", "get", "err", "GET /a", "ann", "{", "\"", "\\", "é", "[0-9]", "=", "\t"];
const REGEXES: [&str; 8] = ["", ".*", "g.t|put", "(?i)ERR", "^\\{", "[0-9]+", "a?b*", "\\bann\\b"];
const TEMPLATES: [&str; 8] = [
    "{{.ms}}",
    "{{__line__}} {{.user}}",
    "x",
    "{{ .user | ToUpper }}-{{ .ms | default \"none\" }}",
    "{{ if eq .op \"get\" }}{{ .ms }}{{ else }}{{ __timestamp__ | unixEpoch }}{{ end }}",
    "a={{ .a_b }} ms={{ mul .ms 2 }}",
    "{{ range $i, $w := fromJson __line__ }}{{ $i }}{{ end }}",
    "{{ div 1 .n }}",
];
const WINDOWS: [&str; 5] = ["5s", "20s", "1m", "1m30s", "1500ms"];

/// An expression of either kind.
pub(super) fn query(random: &mut Random) -> String {
    if random.one_in(2) { log(random) } else { metric(random, 3) }
}

/// A log query.
pub(super) fn log(random: &mut Random) -> String {
    let stages: usize = random.below(5);
    let stages: Vec<String> = (0..stages).map(|_| stage(random)).collect();
    format!("{}{}", selector(random), stages.concat())
}

/// A metric query of at most so many levels.
pub(super) fn metric(random: &mut Random, levels: usize) -> String {
    if levels == 0 {
        return range(random);
    }
    let inner = |random: &mut Random| metric(random, levels - 1);
    match random.below(12) {
        0 => format!("({})", inner(random)),
        1 | 2 => binary(random, levels),
        3 => {
            let (inner, name) = (inner(random), random.pick(&NAMES));
            let (to, pattern) =
                (random.pick(&["x$1", "", "$0-$name", "${1}y"]), random.pick(&["(.*)", "(?P<name>.+)", ""]));
            format!("label_replace({inner}, {}, {}, {}, {})", quoted("made"), quoted(to), quoted(name), quoted(pattern))
        }
        4 => {
            let k: usize = 1 + random.below(3);
            let (op, inner, by) = (random.pick(&["topk", "bottomk"]), inner(random), maybe_grouping(random));
            format!("{op}{by}({k}, {inner})")
        }
        5 => format!("{}({})", random.pick(&["sort", "sort_desc"]), inner(random)),
        6..=9 => {
            let op = random.pick(&["sum", "avg", "count", "min", "max", "stddev", "stdvar"]);
            let (by, inner) = (maybe_grouping(random), inner(random));
            if random.one_in(3) { format!("{op}({inner}){by}") } else { format!("{op}{by}({inner})") }
        }
        _ => range(random),
    }
}

fn binary(random: &mut Random, levels: usize) -> String {
    let vectors = |random: &mut Random| match random.below(6) {
        0 => format!("vector({})", random.pick(&["0", "1.5", "1e3"])),
        _ => metric(random, levels - 1),
    };
    let number = |random: &mut Random| random.pick(&["0", "2", "-1.5", "1e3", "0x10", "7_0"]).to_owned();
    let arithmetic = ["+", "-", "*", "/", "%", "^"];
    let comparison = [">", ">=", "<", "<=", "==", "!=", "> bool", "== bool", "<= bool"];
    let op = match random.below(3) {
        0 => random.pick(&arithmetic),
        1 => random.pick(&comparison),
        _ => {
            let (op, left, right) = (random.pick(&["and", "or", "unless"]), vectors(random), vectors(random));
            let on = if random.one_in(2) { matching(random) } else { String::new() };
            return format!("{left} {op}{on} {right}");
        }
    };
    match random.below(4) {
        0 => format!("{} {op} {}", vectors(random), number(random)),
        1 => format!("{} {op} {}", number(random), vectors(random)),
        2 => format!("{} {op}{} {}", vectors(random), matching(random), vectors(random)),
        _ => format!("{} {op} {}", vectors(random), vectors(random)),
    }
}

fn matching(random: &mut Random) -> String {
    let names = |random: &mut Random| {
        let count: usize = random.below(3);
        (0..count).map(|_| random.pick(&NAMES)).collect::<Vec<_>>().join(",")
    };
    let list = format!(" {}({})", random.pick(&["on", "ignoring"]), names(random));
    match random.below(4) {
        0 => format!("{list} {}({})", random.pick(&["group_left", "group_right"]), names(random)),
        _ => list,
    }
}

fn maybe_grouping(random: &mut Random) -> String {
    if random.one_in(3) { String::new() } else { grouping(random) }
}

fn grouping(random: &mut Random) -> String {
    let count: usize = random.below(3);
    let names: Vec<&str> = (0..count).map(|_| random.pick(&NAMES)).collect();
    format!(" {} ({}) ", random.pick(&["by", "without"]), names.join(", "))
}

fn range(random: &mut Random) -> String {
    let log = log(random);
    let window = random.pick(&WINDOWS);
    let offset = random.pick(&["", "", "", " offset 7s", " offset -3s"]);
    if random.one_in(2) {
        let op = random.pick(&["count_over_time", "rate", "bytes_over_time", "bytes_rate", "absent_over_time"]);
        return format!("{op}({log} [{window}]{offset})");
    }
    let label = random.pick(&NUMBERS);
    let unwrap = match random.below(4) {
        0 => format!("{}({label})", random.pick(&["bytes", "duration", "duration_seconds"])),
        _ => label.to_owned(),
    };
    let clean = if random.one_in(4) { "" } else { " | __error__=\"\"" };
    let inner = format!("{log} | unwrap {unwrap}{clean} [{window}]{offset}");
    let op = random.pick(&["sum_over_time", "rate", "rate_counter"]);
    let grouped = random.pick(&[
        "avg_over_time",
        "min_over_time",
        "max_over_time",
        "stddev_over_time",
        "stdvar_over_time",
        "first_over_time",
        "last_over_time",
    ]);
    match random.below(4) {
        0 => format!("{op}({inner})"),
        1 => {
            let quantile = random.pick(&["0", "0.5", "0.99", "1"]);
            format!("quantile_over_time({quantile}, {inner}){}", maybe_grouping(random))
        }
        _ => format!("{grouped}({inner}){}", maybe_grouping(random)),
    }
}

fn selector(random: &mut Random) -> String {
    let first = random.pick(&["service_name=~`.+`", "service_name=\"api\"", "service_name=~\"api|worker\""]);
    match random.below(4) {
        0 => format!(
            "{{{first}, service_name{}{}}}",
            random.pick(&["!=", "!~"]),
            quoted(random.pick(&["worker", "x.*"]))
        ),
        _ => format!("{{{first}}}"),
    }
}

fn stage(random: &mut Random) -> String {
    match random.below(13) {
        0 | 1 => {
            let op = random.pick(&["|=", "!="]);
            format!(" {op} {}{}", quoted(random.pick(&TEXTS)), more(random, &TEXTS))
        }
        2 => {
            let op = random.pick(&["|~", "!~"]);
            format!(" {op} {}{}", quoted(random.pick(&REGEXES)), more(random, &REGEXES))
        }
        3 => format!(" {} {}", random.pick(&["|>", "!>"]), quoted(random.pick(&["<_>get<_>", "op=<_>", "{<_>"]))),
        4 => format!(
            " | {}",
            random.pick(&["json", "logfmt", "logfmt --strict", "logfmt --keep-empty", "unpack", "decolorize"])
        ),
        5 => random
            .pick(&[
                " | json ms=\"ms\", a_b=\"a.b[0]\"",
                " | json made",
                " | logfmt ms, made=\"op\"",
                " | regexp \"(?P<ms>[0-9]+)\"",
                " | pattern \"<op> <made>\"",
            ])
            .to_owned(),
        6 => format!(" | line_format {}", quoted(random.pick(&TEMPLATES))),
        7 => format!(" | label_format made={}, user=ms", quoted(random.pick(&TEMPLATES))),
        8 => {
            let (kind, name, other) = (random.pick(&["drop", "keep"]), random.pick(&NAMES), random.pick(&NAMES));
            let op = random.pick(&["=", "!=", "=~", "!~"]);
            format!(" | {kind} {name}, {other}{op}{}", quoted(random.pick(&REGEXES)))
        }
        9 => " | __error__=``".into(),
        _ => format!(" | {}", filter(random, 2)),
    }
}

fn more(random: &mut Random, texts: &[&str]) -> String {
    if random.one_in(4) { format!(" or {}", quoted(random.pick(texts))) } else { String::new() }
}

fn filter(random: &mut Random, levels: usize) -> String {
    if levels > 0 && random.one_in(3) {
        let (left, right) = (filter(random, levels - 1), filter(random, levels - 1));
        let between = random.pick(&[" and ", " or ", ", ", " "]);
        return if random.one_in(2) { format!("({left}{between}{right})") } else { format!("{left}{between}{right}") };
    }
    let name = random.pick(&NAMES);
    let compare = random.pick(&["==", "!=", ">", ">=", "<", "<="]);
    match random.below(6) {
        0 => format!("{name} {compare} {}", random.pick(&["3", "-2.5", "1e2"])),
        1 => format!("{name} {compare} {}", random.pick(&["5ms", "1m30s", "2h"])),
        2 => format!("{name} {compare} {}", random.pick(&["1KB", "2MiB", "15B"])),
        3 => format!(
            "addr{}ip({})",
            random.pick(&["=", "!="]),
            quoted(random.pick(&["10.0.0.0/8", "::1", "10.0.0.1-10.0.0.9"]))
        ),
        4 => format!("{name}{}{}", random.pick(&["=~", "!~"]), quoted(random.pick(&REGEXES))),
        _ => format!("{name}{}{}", random.pick(&["=", "!="]), quoted(random.pick(&TEXTS))),
    }
}

/// As Go quotes it; every text here is plain but for what is escaped.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\t', "\\t"))
}
