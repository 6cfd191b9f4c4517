//! What the functions of templates take.

use template::{CallError, Value};

use super::super::go_time::Time;

/// What an argument may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Type {
    Any,
    Text,
    Int,
    Float,
    Time,
}

use Type::{Any, Float, Int, Text};

/// Arguments that must be there, what may follow them, and the functions that take these.
type Signature = (&'static [Type], Option<Type>, &'static [&'static str]);

const SIGNATURES: [Signature; 14] = [
    (&[], None, &["now", "__line__", "__timestamp__"]),
    (&[], Some(Any), &["add", "addf"]),
    (
        &[Text],
        None,
        &[
            "ToLower",
            "ToUpper",
            "TrimSpace",
            "urldecode",
            "urlencode",
            "bytes",
            "duration",
            "duration_seconds",
            "unixToTime",
            "b64enc",
            "b64dec",
            "lower",
            "upper",
            "title",
            "trim",
            "fromJson",
        ],
    ),
    (&[Any], None, &["int", "float64", "ceil", "floor"]),
    (&[Any], Some(Any), &["mul", "subf", "mulf", "divf", "max", "min", "maxf", "minf", "default"]),
    (&[Type::Time], None, &["unixEpoch", "unixEpochMillis", "unixEpochNanos"]),
    (
        &[Text, Text],
        None,
        &[
            "Trim",
            "TrimLeft",
            "TrimRight",
            "TrimPrefix",
            "TrimSuffix",
            "count",
            "contains",
            "hasPrefix",
            "hasSuffix",
            "trimAll",
            "trimSuffix",
            "trimPrefix",
            "toDate",
        ],
    ),
    (&[Int, Text], None, &["alignLeft", "alignRight", "trunc", "indent", "nindent", "repeat"]),
    (&[Any, Any], None, &["sub", "div", "mod"]),
    (&[Text, Any], None, &["date"]),
    (&[Any, Int], Some(Float), &["round"]),
    (&[Text, Text, Text], None, &["regexReplaceAll", "regexReplaceAllLiteral", "toDateInZone", "replace"]),
    (&[Int, Int, Text], None, &["substr"]),
    (&[Text, Text, Text, Int], None, &["Replace"]),
];

fn of(name: &str) -> Option<&'static Signature> {
    SIGNATURES.iter().find(|(.., names)| names.contains(&name))
}

pub(super) fn exists(name: &str) -> bool {
    of(name).is_some()
}

/// Whether a function takes these arguments.
pub(super) fn check(name: &str, arguments: &[Value]) -> Result<(), CallError> {
    let Some((fixed, more, _)) = of(name) else { return Ok(()) };
    if arguments.len() < fixed.len() || arguments.len() > fixed.len() && more.is_none() {
        return Err(CallError::Count { least: fixed.len(), takes_more: more.is_some() });
    }
    for (at, argument) in arguments.iter().enumerate() {
        if let Some(taken) = fixed.get(at).or(more.as_ref())
            && !taken.takes(argument)
        {
            return Err(CallError::Type { at, wanted: taken.as_str() });
        }
    }
    Ok(())
}

impl Type {
    fn takes(self, value: &Value) -> bool {
        match self {
            Any => true,
            Text => matches!(value, Value::Text(_)),
            Int => matches!(value, Value::Int(_)),
            // A whole number that is written is a float, too.
            Float => matches!(value, Value::Int(_) | Value::Float(_)),
            Type::Time => value.downcast::<Time>().is_some(),
        }
    }

    /// As Go names it.
    fn as_str(self) -> &'static str {
        match self {
            Any => "interface {}",
            Text => "string",
            Int => "int",
            Float => "float64",
            Type::Time => "time.Time",
        }
    }
}
