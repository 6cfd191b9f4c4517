//! `/explore/suggest`: what may be written next in a PromQL query, for the query box.

use std::collections::{BTreeSet, HashMap};

use axum::Json;
use axum::extract::Query;
use model::labels::{METRIC_NAME, is_label_name};
use model::{MetricMeta, MsRange};
use query::promql::completion::{WORDS, Wanted, callables, place};
use serde::{Deserialize, Serialize};
use store::StoreError;

use super::asked::{Asked, Asking};
use super::failure::Failure;
use super::metric_list::selector;
use super::text::one_line;
use super::window::Window;
use crate::api::view::View;

/// More than this nobody reads; another letter narrows it.
const ROWS_MAX: usize = 20;
const NOTE_CHARS_MAX: usize = 120;
/// How far back is usual behind `[` and `offset`.
const DURATIONS: [&str; 7] = ["1m", "5m", "10m", "30m", "1h", "6h", "1d"];

#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct Parameters {
    /// The query up to where somebody writes, and what follows.
    before: String,
    after: String,
    /// The page's window: labels and values are those of series in it.
    from: String,
    to: String,
}

#[derive(Serialize, Default)]
pub(crate) struct Suggestions {
    /// How much of what stands before remains, in UTF-16 units, which is how scripts count.
    keep: usize,
    rows: Vec<Suggestion>,
}

#[derive(Serialize, Debug, Clone, PartialEq, Eq)]
struct Suggestion {
    text: String,
    /// What is written in the place of what was typed of it.
    insert: String,
    /// One word; empty where it goes without saying.
    kind: &'static str,
    note: String,
}

pub(super) async fn suggest(
    asking: Asking,
    Query(parameters): Query<Parameters>,
) -> Result<Json<Suggestions>, Failure> {
    Ok(Json(asking.answer(move |asked| suggestions(asked, &parameters)).await?))
}

fn suggestions(asked: &Asked, parameters: &Parameters) -> Result<Suggestions, Failure> {
    let view = View::of(&asked.state.store, &asked.tenant)?;
    let window = Window::parse(&parameters.from, &parameters.to, asked.now_ms);
    Ok(of(&view, &parameters.before, &parameters.after, window.ms())?)
}

fn of(names: &View, before: &str, after: &str, range: MsRange) -> Result<Suggestions, StoreError> {
    let text = [before, after].concat();
    let place = place(&text, before.len());
    let typed = &before[place.start..];
    let plain = |text: &str, insert: String| Suggestion { text: text.into(), insert, kind: "", note: String::new() };
    let rows: Vec<Suggestion> = match &place.wanted {
        Wanted::Operand => operands(names, typed, after, range)?,
        Wanted::Word if typed.is_empty() => Vec::new(),
        Wanted::Word => {
            ranked(WORDS.map(String::from).to_vec(), typed).iter().map(|word| plain(word, format!("{word} "))).collect()
        }
        Wanted::LabelName { selectors, in_braces } => {
            let mut found = names.label_names(selectors, range)?;
            found.retain(|name| name != METRIC_NAME);
            let insert = |name: &String| {
                let name = if is_label_name(name) { name.clone() } else { quoted(name, '"') };
                if *in_braces && !after.trim_start().starts_with(['=', '!']) { format!("{name}=\"") } else { name }
            };
            ranked(found, typed).iter().map(|name| plain(name, insert(name))).collect()
        }
        Wanted::LabelValue { label, selectors, quote } => {
            let found = names.label_values(label, selectors, range)?;
            let insert = |value: &String| match quote {
                None => quoted(value, '"'),
                Some(quote) => {
                    // The opening quote is there, and perhaps the closing one.
                    let whole = quoted(value, *quote);
                    let end = if after.starts_with(*quote) { whole.len() - 1 } else { whole.len() };
                    whole[1..end].to_owned()
                }
            };
            ranked(found, typed).iter().map(|value| plain(value, insert(value))).collect()
        }
        Wanted::Duration => {
            let in_brackets = before.trim_end().ends_with('[') && !after.trim_start().starts_with(']');
            let end = if in_brackets { "]" } else { "" };
            DURATIONS.iter().map(|length| plain(length, format!("{length}{end}"))).collect()
        }
        Wanted::Nothing => Vec::new(),
    };
    // What is there already is no suggestion.
    let alone = rows.len() == 1 && rows[0].text == typed;
    Ok(Suggestions { keep: before[..place.start].encode_utf16().count(), rows: if alone { Vec::new() } else { rows } })
}

/// Metrics, and what can be called; nothing before the first letter, when it could be anything.
fn operands(names: &View, typed: &str, after: &str, range: MsRange) -> Result<Vec<Suggestion>, StoreError> {
    if typed.is_empty() {
        return Ok(Vec::new());
    }
    let callables = callables();
    let metadata = names.metadata()?;
    let known: HashMap<&str, &MetricMeta> = metadata.iter().map(|meta| (meta.family.as_str(), meta)).collect();
    let metrics: BTreeSet<String> = names.label_values(METRIC_NAME, &[], range)?.into_iter().collect();
    let all = metrics.iter().cloned().chain(callables.iter().map(|callable| callable.name.to_owned()));
    Ok(ranked(all.collect(), typed)
        .into_iter()
        .map(|name| match callables.iter().find(|callable| callable.name == name && !metrics.contains(&name)) {
            Some(callable) => Suggestion {
                insert: if after.starts_with('(') { name.clone() } else { format!("{name}(") },
                text: name,
                kind: "function",
                note: callable.arguments.clone(),
            },
            None => {
                let family = ["", "_bucket", "_sum", "_count"]
                    .iter()
                    .find_map(|suffix| known.get(name.strip_suffix(suffix).unwrap_or(&name)).copied());
                Suggestion {
                    insert: selector(&name),
                    kind: family.map_or("", |meta| meta.kind.as_str()),
                    note: family.map(|meta| one_line(&meta.help, NOTE_CHARS_MAX)).unwrap_or_default(),
                    text: name,
                }
            }
        })
        .collect())
}

/// The names in which the typed text stands, in any case: those that begin with it first, then those in which a word does.
/// Without any, those that are a letter or two from it, since the rest of a misspelt name helps nobody.
fn ranked(names: Vec<String>, typed: &str) -> Vec<String> {
    let wanted = typed.to_lowercase();
    let rank = |name: &str| {
        let lower = name.to_lowercase();
        let at = lower.find(&wanted)?;
        let begins = at == 0 || lower[..at].ends_with(|c: char| !c.is_alphanumeric());
        Some(match (at, begins) {
            (0, _) => 0,
            (_, true) => 1,
            _ => 2,
        })
    };
    let mut found: Vec<(usize, String)> = names.iter().filter_map(|name| Some((rank(name)?, name.clone()))).collect();
    let typed_chars = wanted.chars().count();
    if found.is_empty() && (4..=64).contains(&typed_chars) {
        // Its beginning is misspelt, and the rest is not written yet.
        let near = |name: &String| {
            let begin: String = name.to_lowercase().chars().take(typed_chars).collect();
            let distance = model::spelling::distance(&wanted, &begin);
            (distance <= 1 + typed_chars / 6).then(|| (distance, name.clone()))
        };
        found = names.iter().filter_map(near).collect();
    }
    found.sort_unstable();
    found.dedup();
    found.into_iter().take(ROWS_MAX).map(|(_, name)| name).collect()
}

/// In quotes as PromQL reads them.
fn quoted(value: &str, quote: char) -> String {
    let mut out = String::from(quote);
    for c in value.chars() {
        match c {
            '\n' if quote != '`' => out.push_str("\\n"),
            '\\' if quote != '`' => out.push_str("\\\\"),
            c if c == quote && quote != '`' => out.extend(['\\', c]),
            c => out.push(c),
        }
    }
    out.push(quote);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_ten_thousand_names_the_best_are_few() {
        let names: Vec<String> = (0..10_000).map(|n| format!("metric_{n:05}_total")).collect();
        assert_eq!(ranked(names.clone(), "metric").len(), ROWS_MAX);
        assert_eq!(ranked(names.clone(), "09999"), ["metric_09999_total"]);
        assert_eq!(ranked(names.clone(), "mertic_0000")[..2], ["metric_00000_total", "metric_00001_total"]);
        assert_eq!(ranked(names, "nothing_like_it"), [""; 0]);
    }
}
