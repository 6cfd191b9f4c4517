//! What differs from the Prometheus that we compare with (3.5) for a reason, as rules; and when two answers are the same.

use serde_json::Value;

/// A reply without what may differ.
pub(crate) fn comparable(mut reply: Value) -> Value {
    if let Some(Value::String(error)) = reply.get_mut("error") {
        // Two series of one match group stand in the order of their labels since; before, in that of the storage.
        if let Some((before, rest)) = error.split_once("operation: [{")
            && let Some((pair, after)) = rest.split_once("}];many-to-many")
            && let Some((first, second)) = pair.split_once("}, {")
        {
            let (first, second) = (first.min(second), first.max(second));
            *error = format!("{before}operation: [{{{first}}}, {{{second}}}];many-to-many{after}");
        }
    }
    // Series of one selector come in the storage's order there.
    if let Some(Value::Array(rows)) = reply.get_mut("data") {
        rows.sort_by_key(Value::to_string);
    }
    reply
}

/// Whether what one of the two refuses is answered by the other for a reason: Prometheus answers since 3.7 where series whose names fall
/// away later never meet at a step; and whether a pair that a comparison drops counts as a match of its group has changed too.
pub(crate) fn is_repaired(ours: &Value, theirs: &Value) -> bool {
    let matched_twice =
        |reply: &Value| reply["error"].as_str().is_some_and(|error| error.contains("multiple matches for labels"));
    let differ = ours["status"] != theirs["status"];
    ours["status"] == "success" && theirs["error"] == "vector cannot contain metrics with the same labelset"
        || differ && (matched_twice(ours) || matched_twice(theirs))
}

/// What Prometheus leaves untold where a binary operator has several notes at one step: it keeps the last alone.
fn is_untold(note: &str) -> bool {
    [
        "info: incompatible sample types encountered for binary operator",
        "warning: incompatible bucket layout encountered for binary operator",
    ]
    .iter()
    .any(|text| note.contains(text))
}

/// What 3.5 takes and we do not, or the other way round: functions of the query's times are younger, and a NaN there is no duration
/// here; and a mistake of its own, of a range in parentheses that is the same at every step.
pub(crate) fn is_known_refusal(text: &str, ours: &str, theirs: &str) -> bool {
    let is_younger = ["start(", "end(", "step(", "range("].iter().any(|function| text.contains(function));
    ours.is_empty() && is_younger && theirs.ends_with("parse error: unexpected \"(\"")
        || theirs.is_empty() && ours.contains("unexpected number \"NaN\" in offset")
        || theirs == "unexpected number of samples"
}

/// Two numbers are the same within what different orders of the same additions leave.
fn near(ours: &str, theirs: &str) -> bool {
    if ours == theirs {
        return true;
    }
    let (Ok(a), Ok(b)) = (ours.parse::<f64>(), theirs.parse::<f64>()) else { return false };
    let scale = a.abs().max(b.abs());
    // The same number is written alike, but for the last digit where two are as near.
    if a.to_bits() == b.to_bits() {
        return ours.len() == theirs.len();
    }
    a.is_nan() && b.is_nan() || a == b || (a - b).abs() <= 1e-7 * scale || (a - b).abs() < 1e-7
}

/// The order of an answer's rows that counts.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    None,
    Rows,
    /// Rows of the same value may stand in any order among themselves.
    Values,
}

/// The first difference between two answers of a query, if any.
pub(crate) fn of_answers(ours: &Value, theirs: &Value, order: Order) -> Option<String> {
    for field in ["status", "errorType"] {
        if ours[field] != theirs[field] {
            return Some(format!(
                "{field}: ours {}, theirs {} ({} {})",
                ours[field], theirs[field], ours["error"], theirs["error"]
            ));
        }
    }
    if theirs["status"] == "error" {
        return None;
    }
    let told = ["warnings", "infos"].iter().any(|field| !notes(&theirs[field]).is_empty());
    for field in ["warnings", "infos"] {
        let (mut ours, theirs) = (notes(&ours[field]), notes(&theirs[field]));
        ours.retain(|note| !(told && is_untold(note)) || theirs.contains(note));
        if ours != theirs {
            return Some(format!("{field}: {ours:?}, theirs {theirs:?}"));
        }
    }
    let (ours, theirs) = (&ours["data"], &theirs["data"]);
    if ours["resultType"] != theirs["resultType"] {
        return Some(format!("a {}, theirs a {}", ours["resultType"], theirs["resultType"]));
    }
    match theirs["resultType"].as_str() {
        Some("scalar") => of_points(&ours["result"], &theirs["result"]),
        Some("vector" | "matrix") => of_rows(&ours["result"], &theirs["result"], order),
        _ => (ours["result"] != theirs["result"]).then(|| format!("{}, theirs {}", ours["result"], theirs["result"])),
    }
}

/// The first difference between the counts of samples of two answers, if any. Of histograms each counts by how it holds them; of
/// subqueries what they read counts since 3.13 too, and of windows that stand still those of all steps.
pub(crate) fn of_stats(text: &str, ours: &Value, theirs: &Value) -> Option<String> {
    let is_other = ["size", "spread", "mixed", "gauged", "fractions", "info(", "@", ":"];
    if is_other.iter().any(|other| text.contains(other)) {
        return None;
    }
    let [ours, theirs] = [ours, theirs].map(|reply| &reply["data"]["stats"]["samples"]);
    ["totalQueryableSamples", "totalQueryableSamplesPerStep"].into_iter().find_map(|name| {
        (ours[name] != theirs[name]).then(|| format!("{name}: {}, theirs {}", ours[name], theirs[name]))
    })
}

/// In an order of their own.
fn notes(list: &Value) -> Vec<String> {
    let all = list.as_array().into_iter().flatten().filter_map(Value::as_str);
    // The first is told since 3.6, the second since 3.8 where no buckets are read.
    let is_old = |text: &&str| !text.contains("sort is ineffective") && !text.contains("conflicting counter resets");
    let mut notes: Vec<String> = all.filter(is_old).map(note).collect();
    notes.sort();
    notes
}

/// A note without what may differ.
fn note(text: &str) -> String {
    // An expression that stands twice is worked out once here, and what is said of it is said of the first; there, of the last.
    let text = text.rsplit_once(" (").map_or(text, |(text, _)| text);
    // How much was repaired is told since 3.8; and a name that is none was told before.
    let text = text.split_once(", from buckets").map_or(text, |(text, _)| text);
    text.replace(" for metric name \"\"", "")
}

fn nameless(row: &Value) -> (String, String) {
    let mut labels = row["metric"].clone();
    let name = labels.as_object_mut().and_then(|labels| labels.remove("__name__"));
    (labels.to_string(), name.map_or_else(String::new, |name| name.to_string()))
}

fn of_rows(ours: &Value, theirs: &Value, order: Order) -> Option<String> {
    let rows = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let (mut ours, mut theirs) = (rows(ours), rows(theirs));
    if order == Order::Values
        && let Some((ours, theirs)) = ours.iter().zip(&theirs).find(|(a, b)| !of_values(&a["value"][1], &b["value"][1]))
    {
        return Some(format!("where theirs has {theirs} stands {ours}"));
    }
    if order != Order::Rows {
        ours.sort_by_key(nameless);
        theirs.sort_by_key(nameless);
    }
    // A name that a comparison or a subquery gives back to what had lost it stays lost since 3.7.
    for (ours, theirs) in ours.iter().zip(&mut theirs) {
        if let Some(labels) = theirs["metric"].as_object_mut().filter(|_| ours["metric"]["__name__"].is_null()) {
            labels.remove("__name__");
        }
    }
    let labels = |rows: &[Value]| rows.iter().map(|row| row["metric"].to_string()).collect::<Vec<_>>();
    let (our_labels, their_labels) = (labels(&ours), labels(&theirs));
    if our_labels != their_labels {
        let extra = our_labels.iter().find(|one| !their_labels.contains(one));
        let missing = their_labels.iter().find(|one| !our_labels.contains(one));
        return Some(format!("{} series, theirs {}; extra {extra:?}, missing {missing:?}", ours.len(), theirs.len()));
    }
    ours.iter().zip(&theirs).find_map(|(ours, theirs)| {
        ["value", "histogram"]
            .into_iter()
            .find_map(|kind| of_points(&ours[kind], &theirs[kind]))
            .or_else(|| ["values", "histograms"].into_iter().find_map(|kind| of_lists(&ours[kind], &theirs[kind])))
            .map(|told| format!("{}: {told}", theirs["metric"]))
    })
}

fn of_lists(ours: &Value, theirs: &Value) -> Option<String> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let (ours, theirs) = (list(ours), list(theirs));
    if let Some(told) = ours.iter().zip(&theirs).find_map(|(ours, theirs)| of_points(ours, theirs)) {
        return Some(told);
    }
    (ours.len() != theirs.len()).then(|| format!("{} points, theirs {}", ours.len(), theirs.len()))
}

/// Of `[time, value]`.
fn of_points(ours: &Value, theirs: &Value) -> Option<String> {
    let same = ours[0] == theirs[0] && of_values(&ours[1], &theirs[1]);
    (!same).then(|| format!("{ours}, theirs {theirs}"))
}

fn of_values(ours: &Value, theirs: &Value) -> bool {
    match (ours, theirs) {
        (Value::String(ours), Value::String(theirs)) => near(ours, theirs),
        (Value::Array(ours), Value::Array(theirs)) => {
            ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(ours, theirs)| of_values(ours, theirs))
        }
        (Value::Object(ours), Value::Object(theirs)) => {
            ours.len() == theirs.len()
                && ours.iter().all(|(key, value)| theirs.get(key).is_some_and(|theirs| of_values(value, theirs)))
        }
        _ => ours == theirs,
    }
}
