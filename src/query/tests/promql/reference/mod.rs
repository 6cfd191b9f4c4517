//! The engine against a reference: random series and random expressions, the same answers within rounding.
//!
//! `SEED=n` begins with that seed, `SEEDS=n` tries so many (some hundreds without it). A failure prints its seed.

mod evaluate;
mod query;
mod random;
mod windows;

use std::collections::BTreeMap;
use std::time::Duration;

use ::query::Budget;
use ::query::promql::{self, Options};
use chance::Random;
use model::Labels;

use crate::memory::Memory;
use crate::notation;
use evaluate::{Data, LabelSet, Reference};
use random::{SPAN_S, START_S};

const LOOKBACK_MS: i64 = 120_000;

fn variable(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

/// Values by step and labels; `None` when it cannot be answered.
type Answers = Option<BTreeMap<(i64, LabelSet), f64>>;

fn of_engine(memory: &Memory, text: &str, (start_ms, end_ms, step_ms): (i64, i64, i64)) -> Result<Answers, String> {
    let expr = promql::parse(text).map_err(|error| format!("it does not parse: {error}"))?;
    let options = Options::new(LOOKBACK_MS, Budget::starting_now(Duration::from_secs(60)));
    let Ok(answer) = promql::range(memory, &expr, start_ms, end_ms, step_ms, &options) else { return Ok(None) };
    let promql::Value::Matrix(rows) = answer.value else { return Err("a range's answer is a matrix".into()) };
    let mut answers = BTreeMap::new();
    for (labels, samples) in rows {
        let labels: LabelSet = labels.iter().map(|(name, value)| (name.into(), value.into())).collect();
        for sample in samples {
            if answers.insert((sample.at_ms, labels.clone()), sample.value).is_some() {
                return Err(format!("{labels:?} twice at {}", sample.at_ms));
            }
        }
    }
    Ok(Some(answers))
}

fn of_reference(data: &Data, query: &query::Query, (start_ms, end_ms, step_ms): (i64, i64, i64)) -> Answers {
    let reference = Reference { data, lookback_ms: LOOKBACK_MS, start_ms, end_ms };
    let mut answers = BTreeMap::new();
    let mut at_ms = start_ms;
    while at_ms <= end_ms {
        for (labels, value) in reference.answer(query, at_ms).ok()? {
            answers.insert((at_ms, labels), value);
        }
        at_ms += step_ms;
    }
    Some(answers)
}

fn near(a: f64, b: f64) -> bool {
    a == b || a.is_nan() && b.is_nan() || (a - b).abs() <= 1e-12 * a.abs().max(b.abs())
}

/// The first difference, told.
fn difference(engine: &Answers, reference: &Answers) -> Option<String> {
    let (engine, reference) = match (engine, reference) {
        (None, None) => return None,
        (Some(engine), Some(reference)) => (engine, reference),
        (engine, reference) => {
            let told =
                |answers: &Answers| answers.as_ref().map_or("an error".into(), |all| format!("{} values", all.len()));
            return Some(format!("the engine has {}, the reference {}", told(engine), told(reference)));
        }
    };
    for (key, expected) in reference {
        match engine.get(key) {
            None => return Some(format!("the engine lacks {key:?} = {expected}")),
            Some(value) if !near(*value, *expected) => {
                return Some(format!("{key:?} is {value}, the reference has {expected}"));
            }
            Some(_) => {}
        }
    }
    let extra = engine.iter().find(|(key, _)| !reference.contains_key(*key));
    extra.map(|(key, value)| format!("the reference lacks {key:?} = {value}"))
}

#[test]
fn random_queries_answer_as_the_reference_does() {
    let (first, count) = (variable("SEED", 1), variable("SEEDS", 600));
    let (mut failures, mut answered, mut values) = (Vec::new(), 0, 0);
    for seed in first..first + count {
        let mut random = Random::new(seed);
        let data = random::data(&mut random);
        let mut memory = Memory::default();
        for (labels, samples) in &data {
            let labels = Labels::from_pairs(labels.iter().map(|(name, value)| (name.as_str(), value.as_str())));
            memory.add(labels, samples.iter().map(|(at_ms, value)| (*at_ms, notation::Value::Float(*value))));
        }
        for _ in 0..4 {
            let depth = random.below(4);
            let query = random::vector(&mut random, depth);
            let start_ms = (START_S + random.below(SPAN_S as usize) as i64) * 1000 + random.below(3) as i64 * 500;
            let step_ms = [1_000, 15_000, 60_000, 77_700][random.below(4)];
            let grid = (start_ms, start_ms + step_ms * random.below(12) as i64, step_ms);
            let text = query.to_string();
            let reference = of_reference(&data, &query, grid);
            let told = match of_engine(&memory, &text, grid) {
                Ok(engine) => difference(&engine, &reference),
                Err(reason) => Some(reason),
            };
            answered += u64::from(reference.is_some());
            values += reference.map_or(0, |answers| answers.len());
            if let Some(told) = told {
                failures.push(format!("SEED={seed} SEEDS=1: {text}\n    at {grid:?}: {told}"));
            }
        }
    }
    println!("{} queries, {answered} answered, {values} values", 4 * count);
    for failure in failures.iter().take(20) {
        println!("{failure}");
    }
    assert!(failures.is_empty(), "{} of {} queries differ", failures.len(), 4 * count);
    assert!(count < 100 || answered > 2 * count && values as u64 > 10 * count, "too little is found");
}
