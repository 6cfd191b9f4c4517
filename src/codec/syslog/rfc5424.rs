//! RFC 5424: `<34>1 2003-10-11T22:14:15.003Z host app procid msgid [id name="value"] text`.

use model::time::parse_rfc3339_ns;

use super::Fields;

/// What follows the version. `-` stands for a field that is not there.
pub(super) fn fields(rest: &str) -> Result<Fields<'_>, &'static str> {
    let mut rest = rest;
    let mut next = || {
        let (field, after) = rest.split_once(' ').unwrap_or((rest, ""));
        rest = after;
        if field == "-" { "" } else { field }
    };
    let (time, host, app, process, id) = (next(), next(), next(), next(), next());
    let time_ns = match time {
        "" => None,
        time => Some(parse_rfc3339_ns(time).ok_or("its timestamp is not RFC 3339")?),
    };
    let (data, rest) = structured_data(rest)?;
    let message = rest.strip_prefix(' ').unwrap_or(rest);
    let message = message.strip_prefix('\u{feff}').unwrap_or(message);
    Ok(Fields { version: Some(1), time_ns, host, app, process, id, data, message, ..Fields::default() })
}

type Elements<'a> = Vec<(&'a str, Vec<(&'a str, String)>)>;

fn structured_data(text: &str) -> Result<(Elements<'_>, &str), &'static str> {
    if let Some(rest) = text.strip_prefix('-') {
        return Ok((Vec::new(), rest));
    }
    if !text.starts_with('[') {
        return Err("it has no structured data, not even -");
    }
    let mut elements = Vec::new();
    let mut rest = text;
    while let Some(inner) = rest.strip_prefix('[') {
        let end = inner.find([' ', ']']).ok_or("its structured data does not end")?;
        let (id, mut inner) = inner.split_at(end);
        let mut parameters = Vec::new();
        while let Some(parameter) = inner.strip_prefix(' ') {
            let parameter = parameter.trim_start_matches(' ');
            if parameter.starts_with(']') {
                inner = parameter;
                break;
            }
            let (name, after) = parameter.split_once("=\"").ok_or("a parameter of its structured data has no value")?;
            let (value, after) = quoted(after).ok_or("a value of its structured data does not end")?;
            parameters.push((name, value));
            inner = after;
        }
        rest = inner.strip_prefix(']').ok_or("its structured data does not end")?;
        elements.push((id, parameters));
    }
    Ok((elements, rest))
}

/// A value up to its closing quote; `\"`, `\\` and `\]` are escapes, any other backslash is itself.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => match chars.clone().next() {
                Some((_, escaped @ ('"' | '\\' | ']'))) => {
                    chars.next();
                    value.push(escaped);
                }
                _ => value.push('\\'),
            },
            c => value.push(c),
        }
    }
    None
}
