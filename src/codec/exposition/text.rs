//! Prometheus' text format 0.0.4 (prometheus.io/docs/instrumenting/exposition_formats), as Prometheus' promlex.l reads it.

use model::MetricKind;

use super::cursor::{Cursor, Read};
use super::meta;
use super::number::parse_float;
use super::series::{Grammar, scan, unescaped_but};
use super::{Entry, Line, Numbers};

const GRAMMAR: Grammar = Grammar { loose: true };

pub(super) fn next<'a>(cursor: &mut Cursor<'a>) -> Read<Option<Entry<'a>>> {
    loop {
        cursor.blanks();
        match cursor.peek() {
            None => return Ok(None),
            Some(b'\n') => drop(cursor.eat(b'\n')),
            Some(b'#') => {
                if let Some(entry) = comment(cursor)? {
                    return Ok(Some(entry));
                }
            }
            Some(_) => return sample(cursor).map(Some),
        }
    }
}

/// What a comment says of a family, if that is what it does.
fn comment<'a>(cursor: &mut Cursor<'a>) -> Read<Option<Entry<'a>>> {
    cursor.eat(b'#');
    let keyword = if cursor.blanks() { cursor.name(false) } else { &[] };
    if !matches!(keyword, b"HELP" | b"TYPE") || !cursor.blanks() {
        cursor.rest_of_line();
        return Ok(None);
    }
    let is_help = keyword == b"HELP";
    let family = meta::family(cursor, if is_help { "HELP" } else { "TYPE" })?;
    let at = cursor.at();
    let (rest, _) = cursor.rest_of_line();
    // The blank that ends the name.
    let rest = rest.get(1..).unwrap_or_default();
    let entry = if is_help {
        meta::text(rest, "help").map(|text| Entry::Help { family, help: unescaped_but(text, false) })
    } else {
        meta::kind(rest, &[("untyped", MetricKind::Unknown)]).map(|kind| Entry::Type { family, kind })
    };
    entry.map(Some).inspect_err(|_| cursor.go_back(at))
}

fn sample<'a>(cursor: &mut Cursor<'a>) -> Read<Entry<'a>> {
    let series = scan(cursor, GRAMMAR, |_, _| {})?;
    cursor.blanks();
    let word = cursor.take_while(|byte| !matches!(byte, b'{' | b' ' | b'\t' | b'\n'));
    if word.is_empty() {
        return Err(format!("a value expected after the metric, found {}", cursor.found()));
    }
    let value = parse_float(meta::text(word, "value")?)?;
    cursor.blanks();
    let start = cursor.at();
    cursor.eat(b'-');
    cursor.take_while(|byte| byte.is_ascii_digit());
    let digits = meta::text(cursor.since(start), "timestamp")?;
    let at_ms = match digits {
        "" => None,
        _ => Some(digits.parse().map_err(|_| format!("the timestamp {digits:?} is no number of ms"))?),
    };
    cursor.blanks();
    if !cursor.is_at_end() && !cursor.eat(b'\n') {
        return Err(format!("a timestamp in ms or the end of the line expected, found {}", cursor.found()));
    }
    let series = series.into();
    Ok(Entry::Sample(Line { series, numbers: Numbers::None, value, at_ms, start_ms: None, exemplar: None }))
}
