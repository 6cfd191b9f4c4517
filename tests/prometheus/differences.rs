//! What Prometheus 3 changed, as rules; and when two answers are the same.

use serde_json::Value;

/// A query in Prometheus 3's words.
pub(crate) fn in_our_words(query: &str) -> String {
    // Renamed in 3.0.
    query.replace("holt_winters(", "double_exponential_smoothing(")
}

/// A reply as Prometheus 2 would have it.
pub(crate) fn in_their_words(mut reply: Value) -> Value {
    // Of which parameter an error speaks is told everywhere since 3.0; a word began with a capital; the engine of regular
    // expressions, whose words these are, is another.
    if let Some(Value::String(error)) = reply.get_mut("error") {
        for prefix in ["invalid parameter \"query\": ", "invalid parameter \"match[]\": "] {
            *error = error.replace(prefix, "");
        }
        *error = error.replace("Invalid time value", "invalid time value");
        if error.contains("regular expression") || error.contains("parsing regexp") {
            *error = error.split("parse error").next().unwrap_or_default().to_owned();
        }
        // Two series of one match group stand in the order of their labels now; before, in that of the storage.
        if let Some((before, rest)) = error.split_once("operation: [{")
            && let Some((pair, after)) = rest.split_once("}];many-to-many")
            && let Some((first, second)) = pair.split_once("}, {")
        {
            let (first, second) = (first.min(second), first.max(second));
            *error = format!("{before}operation: [{{{first}}}, {{{second}}}];many-to-many{after}");
        }
    }
    // Since 2.48.
    if let Some(Value::Object(data)) = reply.get_mut("data") {
        data.remove("droppedTargetCounts");
    }
    reply
}

/// Two numbers are the same within what different orders of the same additions leave.
fn near(ours: &str, theirs: &str) -> bool {
    if ours == theirs {
        return true;
    }
    let (Ok(a), Ok(b)) = (ours.parse::<f64>(), theirs.parse::<f64>()) else { return false };
    let scale = a.abs().max(b.abs());
    a.is_nan() && b.is_nan() || a == b || (a - b).abs() <= 1e-8 * scale || (a - b).abs() < 1e-7
}

/// The order of an answer's rows that counts.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    None,
    Rows,
    /// Rows of the same value may stand in any order among themselves.
    Values,
}

/// The first difference between two answers of a query, if any. Warnings and infos, which Prometheus 2 lacked, don't count.
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

fn of_rows(ours: &Value, theirs: &Value, order: Order) -> Option<String> {
    let rows = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let (mut ours, mut theirs) = (rows(ours), rows(theirs));
    if order == Order::Values
        && let Some((ours, theirs)) = ours.iter().zip(&theirs).find(|(a, b)| !of_values(&a["value"][1], &b["value"][1]))
    {
        return Some(format!("where theirs has {theirs} stands {ours}"));
    }
    if order != Order::Rows {
        ours.sort_by_key(|row| row["metric"].to_string());
        theirs.sort_by_key(|row| row["metric"].to_string());
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
    // The deviation of NaN and of the infinities is NaN since 3.0; that of a single one was 0.
    let single = ours[1] == "NaN" && theirs[1] == "0";
    let same = ours[0] == theirs[0] && (single || of_values(&ours[1], &theirs[1]));
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
