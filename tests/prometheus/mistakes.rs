//! Queries with a mistake in them: refused by both, with the same status and type, and mostly in the same words.

use futures_util::StreamExt as _;

use crate::data::{self, SPAN_S};
use crate::differences;
use crate::grammar::Grammar;
use crate::peer::Pair;
use chance::Random;

/// Requests under way at a time.
const AT_ONCE: usize = 6;
/// Differences told in full.
const TOLD_MAX: usize = 40;
/// What is put in a wrong place.
const WORDS: [&str; 26] = [
    "(",
    ")",
    "{",
    "}",
    "[",
    "]",
    ",",
    "by",
    "on",
    "bool",
    "and",
    "+",
    "==",
    "=~",
    "!",
    "offset",
    "@",
    "5m",
    "1",
    "\"x\"",
    "rate",
    "sum",
    "foo",
    "group_left",
    "NaN",
    "[5m]",
];

/// A query as it would be typed, one word of it left out, doubled, replaced or moved.
fn mistaken(rng: &mut Random, grammar: &Grammar) -> String {
    let depth = rng.below(3);
    let text = grammar.vector(rng, depth).text;
    let mut words = words(&text);
    let place = rng.below(words.len());
    let word = rng.pick(&WORDS);
    match rng.below(5) {
        0 => drop(words.remove(place)),
        1 => words.insert(place, words[place]),
        2 => words[place] = word,
        3 => words.insert(place, word),
        _ => words.truncate(place),
    }
    words.concat()
}

/// Names and numbers, and every other character by itself.
fn words(text: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let in_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let length = if in_name(first) { rest.find(|c| !in_name(c)).unwrap_or(rest.len()) } else { first.len_utf8() };
        words.push(&rest[..length]);
        rest = &rest[length..];
    }
    words
}

#[tokio::test]
async fn mistakes_are_refused_alike() {
    let (seed, count) = (chance::seed(1), chance::from_env("QUERIES").unwrap_or(2_000));
    let now_s = i64::try_from(binnacle::clock::now_ns() / 1_000_000_000).unwrap();
    let start_s = (now_s - SPAN_S - 1_800) / 3_600 * 3_600;
    let Some(pair) = Pair::with(&data::series(seed, start_s * 1000)).await else { return };
    let grammar = Grammar { middle_s: start_s + SPAN_S / 2, pins: true };
    let at = grammar.middle_s.to_string();
    let mut rng = Random::new(seed);
    let asked: Vec<String> = (0..count).map(|_| mistaken(&mut rng, &grammar)).collect();
    let (pair, at) = (&pair, &at);
    let mut replies = futures_util::stream::iter(asked)
        .map(|text| async move {
            let replies = pair.post("/api/v1/query", &[("query", &*text), ("time", at)]).await;
            (text, replies)
        })
        .buffered(AT_ONCE);
    let (mut told, mut reworded, mut refused, mut same_words) = (Vec::new(), Vec::new(), 0, 0);
    while let Some((text, [ours, theirs])) = replies.next().await {
        let [our_reply, their_reply] = [ours.json(), theirs.json()].map(differences::comparable);
        let [our_error, their_error] =
            [&our_reply, &their_reply].map(|reply| reply["error"].as_str().unwrap_or_default().to_owned());
        if differences::is_known_refusal(&text, &our_error, &their_error) {
            continue;
        }
        if (ours.status, &our_reply["errorType"]) != (theirs.status, &their_reply["errorType"]) {
            told.push(format!("{text}\n    {} {our_error}\n    {} {their_error}", ours.status, theirs.status));
        } else if theirs.status == 400 {
            refused += 1;
            if our_error == their_error {
                same_words += 1;
            } else {
                reworded.push(format!("{text}\n    {our_error}\n    {their_error}"));
            }
        }
    }
    for one in reworded.iter().take(TOLD_MAX) {
        println!("{one}");
    }
    println!("SEED={seed}: {count} queries, {refused} refused by both, {same_words} in the same words");
    let differ = told.len();
    told.truncate(TOLD_MAX);
    assert!(told.is_empty(), "SEED={seed}: {differ} of {count} differ:\n{}", told.join("\n"));
    assert!(refused * 3 > count && same_words * 4 > refused * 3, "most mistakes must be told in the same words");
}
