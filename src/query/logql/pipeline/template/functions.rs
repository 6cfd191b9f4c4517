//! What the functions of templates answer.

use jiff::tz::TimeZone;
use template::text::title;
use template::{Int64, Value, query_escape, truth};

use super::super::super::units;
use super::super::decimal::Op;
use super::super::go_time::{self, Time};
use super::Around;
use super::numbers::{decimals, divided, float, integer, of_numbers, rounded};
use super::texts::{
    align, base64_decoded, base64_encoded, bounded, indent, one_by_one, query_unescape, repeat, replace, substring,
    truncated,
};

/// Answers a function whose arguments [`signature::check`](super::signature::check) let through.
pub(super) fn call(name: &str, arguments: &[Value], around: &mut Around<'_>) -> Result<Value, String> {
    let text = |text: String| Ok(Value::Text(text));
    let whole = |number: i64| Ok(Value::object(Int64(number)));
    let unknown = || format!("{name} does not take these arguments");
    use Value::{Int, Text};
    match (name, arguments) {
        ("__line__", []) => text(around.line.to_owned()),
        ("__timestamp__", []) => Ok(Time::of_ns(around.ts_ns).value()),
        ("now", []) => Ok(Time::of_ns(around.now_ns).value()),
        ("ToLower" | "lower", [Text(of)]) => text(one_by_one(of, |c| c.to_lowercase().next())),
        ("ToUpper" | "upper", [Text(of)]) => {
            text(one_by_one(of, |c| Some(c.to_uppercase()).filter(|all| all.len() == 1)?.next()))
        }
        ("title", [Text(of)]) => text(title(of)),
        ("Replace", [Text(of), Text(old), Text(new), Int(count)]) => text(replace(of, old, new, *count)?),
        ("replace", [Text(old), Text(new), Text(of)]) => text(replace(of, old, new, -1)?),
        ("Trim", [Text(of), Text(set)]) | ("trimAll", [Text(set), Text(of)]) => {
            text(of.trim_matches(|c| set.contains(c)).into())
        }
        ("TrimLeft", [Text(of), Text(set)]) => text(of.trim_start_matches(|c| set.contains(c)).into()),
        ("TrimRight", [Text(of), Text(set)]) => text(of.trim_end_matches(|c| set.contains(c)).into()),
        ("TrimPrefix", [Text(of), Text(start)]) | ("trimPrefix", [Text(start), Text(of)]) => {
            text(of.strip_prefix(start.as_str()).unwrap_or(of).into())
        }
        ("TrimSuffix", [Text(of), Text(end)]) | ("trimSuffix", [Text(end), Text(of)]) => {
            text(of.strip_suffix(end.as_str()).unwrap_or(of).into())
        }
        ("TrimSpace" | "trim", [Text(of)]) => text(of.trim().into()),
        ("contains", [Text(part), Text(of)]) => Ok(Value::Bool(of.contains(part.as_str()))),
        ("hasPrefix", [Text(start), Text(of)]) => Ok(Value::Bool(of.starts_with(start.as_str()))),
        ("hasSuffix", [Text(end), Text(of)]) => Ok(Value::Bool(of.ends_with(end.as_str()))),
        ("trunc", [Int(count), Text(of)]) => text(truncated(*count, of)),
        ("substr", [Int(start), Int(end), Text(of)]) => text(substring(*start, *end, of)?),
        ("indent", [Int(spaces), Text(of)]) => text(indent(*spaces, of)?),
        ("nindent", [Int(spaces), Text(of)]) => text(format!("\n{}", indent(*spaces, of)?)),
        ("repeat", [Int(count), Text(of)]) => text(repeat(*count, of)?),
        ("alignLeft", [Int(width), Text(of)]) => text(align(*width, of, false)?),
        ("alignRight", [Int(width), Text(of)]) => text(align(*width, of, true)?),
        ("regexReplaceAll", [Text(pattern), Text(of), Text(new)]) => {
            bounded(around.regexes.get(pattern)?.replace_all(of, new.as_str()).into_owned())
        }
        ("regexReplaceAllLiteral", [Text(pattern), Text(of), Text(new)]) => {
            let literal = regex::NoExpand(new);
            bounded(around.regexes.get(pattern)?.replace_all(of, literal).into_owned())
        }
        ("count", [Text(pattern), Text(of)]) => {
            let found = around.regexes.get(pattern)?.find_iter(of).count();
            Ok(Int(i64::try_from(found).unwrap_or(i64::MAX)))
        }
        ("urlencode", [Text(of)]) => text(query_escape(of)),
        ("urldecode", [Text(of)]) => text(query_unescape(of)?),
        ("b64enc", [Text(of)]) => text(base64_encoded(of)),
        ("b64dec", [Text(of)]) => text(base64_decoded(of)),
        ("bytes", [Text(of)]) => Ok(Value::Float(units::bytes(of)? as f64)),
        ("duration" | "duration_seconds", [Text(of)]) => Ok(Value::Float(units::seconds(units::go_duration(of)?))),
        ("int", [of]) => Ok(Int(integer(of))),
        ("float64", [of]) => Ok(Value::Float(float(of))),
        ("add", all) => whole(all.iter().map(integer).fold(0, i64::wrapping_add)),
        ("mul", [first, rest @ ..]) => whole(rest.iter().map(integer).fold(integer(first), i64::wrapping_mul)),
        ("sub", [left, right]) => whole(integer(left).wrapping_sub(integer(right))),
        ("div", [left, right]) => divided(integer(left), integer(right), i64::wrapping_div),
        ("mod", [left, right]) => divided(integer(left), integer(right), i64::wrapping_rem),
        ("max", [first, rest @ ..]) => whole(rest.iter().map(integer).fold(integer(first), i64::max)),
        ("min", [first, rest @ ..]) => whole(rest.iter().map(integer).fold(integer(first), i64::min)),
        ("maxf", [first, rest @ ..]) => {
            Ok(Value::Float(rest.iter().map(float).fold(float(first), |most, one| of_numbers(most, one, f64::max))))
        }
        ("minf", [first, rest @ ..]) => {
            Ok(Value::Float(rest.iter().map(float).fold(float(first), |least, one| of_numbers(least, one, f64::min))))
        }
        ("addf", all) => decimals(Op::Add, &[&[Int(0)], all].concat()),
        ("subf", all @ [_, ..]) => decimals(Op::Sub, all),
        ("mulf", all @ [_, ..]) => decimals(Op::Mul, all),
        ("divf", all @ [_, ..]) => decimals(Op::Div, all),
        ("ceil", [of]) => Ok(Value::Float(float(of).ceil())),
        ("floor", [of]) => Ok(Value::Float(float(of).floor())),
        ("round", [of, Int(places)]) => Ok(Value::Float(rounded(float(of), *places, 0.5))),
        ("round", [of, Int(places), up_from]) => Ok(Value::Float(rounded(float(of), *places, float(up_from)))),
        ("fromJson", [Text(of)]) => Ok(serde_json::from_str(of).map_or(Value::Nil, of_json)),
        ("default", [default, given @ ..]) => Ok(given.first().filter(|given| truth(given)).unwrap_or(default).clone()),
        ("date", [Text(layout), of]) => {
            let at = match of {
                Int(seconds) => Time::of_seconds(*seconds),
                of => match of.downcast::<Int64>() {
                    Some(seconds) => Time::of_seconds(seconds.0),
                    None => of.downcast::<Time>().cloned(),
                },
            };
            text(go_time::format(&at.unwrap_or_else(|| Time::of_ns(around.now_ns)).0, layout))
        }
        ("toDate", [Text(layout), Text(of)]) => Ok(read_time(layout, of, &TimeZone::UTC)),
        ("toDateInZone", [Text(layout), Text(zone), Text(of)]) => {
            Ok(read_time(layout, of, &TimeZone::get(zone).unwrap_or(TimeZone::UTC)))
        }
        ("unixToTime", [Text(of)]) => unix_to_time(of),
        ("unixEpoch" | "unixEpochMillis" | "unixEpochNanos", [of]) => {
            let at = of.downcast::<Time>().ok_or_else(unknown)?.0.timestamp();
            text(match name {
                "unixEpoch" => at.as_second().to_string(),
                "unixEpochMillis" => at.as_millisecond().to_string(),
                _ => at.as_nanosecond().to_string(),
            })
        }
        _ => Err(unknown()),
    }
}

fn of_json(json: serde_json::Value) -> Value {
    match json {
        serde_json::Value::Null => Value::Nil,
        serde_json::Value::Bool(value) => Value::Bool(value),
        serde_json::Value::Number(value) => Value::Float(value.as_f64().unwrap_or(0.0)),
        serde_json::Value::String(text) => Value::Text(text),
        serde_json::Value::Array(items) => Value::List(items.into_iter().map(of_json).collect()),
        serde_json::Value::Object(fields) => {
            Value::Map(fields.into_iter().map(|(name, value)| (name, of_json(value))).collect())
        }
    }
}

fn read_time(layout: &str, text: &str, zone: &TimeZone) -> Value {
    go_time::parse(layout, text, zone).map_or_else(Time::zero, Time).value()
}

/// Days, seconds, milliseconds, microseconds or nanoseconds since 1970, told apart by the count of digits.
fn unix_to_time(text: &str) -> Result<Value, String> {
    // Loki formats an error that is not there.
    let unable = |reason: &str| format!("unable to parse time '{text}': {reason}");
    let number: i64 = text
        .parse()
        .map_err(|_| unable(&format!("strconv.ParseInt: parsing {}: invalid syntax", units::quote(text))))?;
    let at = match text.len() {
        5 => Time::of_seconds(number.saturating_mul(86_400)),
        10 => Time::of_seconds(number),
        13 => Some(Time::of_ns(number.saturating_mul(1_000_000))),
        16 => Some(Time::of_ns(number.saturating_mul(1_000))),
        19 => Some(Time::of_ns(number)),
        _ => None,
    };
    at.map(Time::value).ok_or_else(|| unable("%!w(<nil>)"))
}
