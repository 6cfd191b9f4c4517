//! OpenMetrics 1.0 (github.com/prometheus/OpenMetrics), as Prometheus' openmetricslex.l reads it: one blank where one is due, no other
//! comments, and `# EOF` at the end.

use model::MetricKind;

use super::cursor::{Cursor, Read};
use super::meta;
use super::number::parse_float;
use super::series::{Grammar, labels, scan, unescaped};
use super::{Entry, Line, LineExemplar, Numbers};

const GRAMMAR: Grammar = Grammar { loose: false };

const NO_END: &str = "the exposition does not end with # EOF";

/// The words of `TYPE` that the text format does not have.
const WORDS: [(&str, MetricKind); 4] = [
    ("gaugehistogram", MetricKind::GaugeHistogram),
    ("info", MetricKind::Info),
    ("stateset", MetricKind::StateSet),
    ("unknown", MetricKind::Unknown),
];

pub(super) fn next<'a>(cursor: &mut Cursor<'a>) -> Read<Option<Entry<'a>>> {
    if cursor.is_at_end() {
        return Err(NO_END.into());
    }
    if cursor.peek() == Some(b'#') {
        return comment(cursor);
    }
    sample(cursor).map(Some)
}

fn comment<'a>(cursor: &mut Cursor<'a>) -> Read<Option<Entry<'a>>> {
    let start = cursor.at();
    if cursor.eat_text(b"# EOF") {
        cursor.eat(b'\n');
        return if cursor.is_at_end() { Ok(None) } else { Err(format!("{} after # EOF", cursor.found())) };
    }
    let keywords = [("HELP", &b"# HELP "[..]), ("TYPE", b"# TYPE "), ("UNIT", b"# UNIT ")];
    let Some((keyword, _)) = keywords.into_iter().find(|(_, text)| cursor.eat_text(text)) else {
        return Err(format!("# HELP, # TYPE, # UNIT or # EOF expected, found {}", cursor.found()));
    };
    let family = meta::family(cursor, keyword)?;
    let (rest, has_end) = cursor.rest_of_line();
    let read = match rest.split_first() {
        _ if !has_end => Err(NO_END.into()),
        Some((b' ', rest)) => match keyword {
            "HELP" => meta::text(rest, "help").map(|text| Entry::Help { family, help: unescaped(text) }),
            "TYPE" => meta::kind(rest, &WORDS).map(|kind| Entry::Type { family, kind }),
            _ => meta::text(rest, "unit").and_then(|unit| {
                let before = family.strip_suffix(unit).unwrap_or_default();
                if unit.is_empty() || before.ends_with('_') {
                    Ok(Entry::Unit { family, unit })
                } else {
                    Err(format!("the unit {unit:?} is no suffix of the metric {family:?}"))
                }
            }),
        },
        _ => Err(format!("a blank and text expected after the name in {keyword}")),
    };
    read.map(Some).inspect_err(|_| cursor.go_back(start))
}

fn sample<'a>(cursor: &mut Cursor<'a>) -> Read<Entry<'a>> {
    let series = scan(cursor, GRAMMAR, |_, _| {})?;
    let value = number(cursor, "the metric")?;
    let series = series.into();
    let mut line = Line { series, numbers: Numbers::None, value, at_ms: None, start_ms: None, exemplar: None };
    if !is_at_exemplar(cursor) && cursor.peek() == Some(b' ') {
        line.at_ms = Some(seconds(cursor, "timestamp")?);
    }
    if is_at_exemplar(cursor) {
        line.exemplar = Some(exemplar(cursor)?);
    }
    end_of_line(cursor)?;
    Ok(Entry::Sample(line))
}

fn is_at_exemplar(cursor: &mut Cursor<'_>) -> bool {
    let start = cursor.at();
    let fits = cursor.eat_text(b" # {");
    cursor.go_back(start);
    fits
}

fn exemplar(cursor: &mut Cursor<'_>) -> Read<LineExemplar> {
    cursor.eat_text(b" # {");
    let mut pairs = Vec::new();
    labels(cursor, GRAMMAR, |name, value| match value {
        Some(value) => {
            pairs.push((unescaped(name).into_owned(), unescaped(value).into_owned()));
            Ok(())
        }
        None => Err(format!("= expected after the label's name {name:?} of an exemplar")),
    })?;
    let value = number(cursor, "the exemplar's labels")?;
    let at_ms = if cursor.peek() == Some(b' ') { Some(seconds(cursor, "exemplar timestamp")?) } else { None };
    Ok(LineExemplar { labels: pairs, value, at_ms })
}

/// One blank and a number.
fn number(cursor: &mut Cursor<'_>, after: &str) -> Read<f64> {
    let expected = |cursor: &Cursor<'_>| Err(format!("a value expected after {after}, found {}", cursor.found()));
    if cursor.peek() != Some(b' ') {
        return expected(cursor);
    }
    let start = cursor.at();
    cursor.eat(b' ');
    let word = cursor.take_while(|byte| byte != b' ' && byte != b'\n');
    if word.is_empty() {
        cursor.go_back(start);
        return expected(cursor);
    }
    parse_float(meta::text(word, "value")?)
}

/// One blank and a time in seconds, as ms; what is finer is cut off.
fn seconds(cursor: &mut Cursor<'_>, what: &str) -> Read<i64> {
    let seconds = number(cursor, "a value")?;
    if !seconds.is_finite() {
        return Err(format!("the {what} {seconds} is no time"));
    }
    Ok((seconds * 1000.0) as i64)
}

fn end_of_line(cursor: &mut Cursor<'_>) -> Read<()> {
    if cursor.is_at_end() {
        return Err(NO_END.into());
    }
    if !cursor.eat(b'\n') {
        return Err(format!("the end of the line expected, found {}", cursor.found()));
    }
    Ok(())
}
