//! Random metric queries over a real store answer as a plain reading of the records does: parsers behind parsers, `unwrap`, groupings,
//! offsets, binary operators.

use std::collections::BTreeMap;
use std::time::Duration;

use model::{AnyValue, Labels, LogBatch, LogRecord, Resource, Scope, TenantId};
use store::{Options, Store};

use super::*;
use crate::Budget;
use chance::Random;

const START_MS: i64 = 1_795_226_400_000;
const MS: i64 = 1_000_000;
/// Steps of a query, and how far they lie apart, in ms.
const STEPS: i64 = 5;
const STEP_MS: i64 = 9_000;

type Map = BTreeMap<String, String>;
/// A vector: labels and value.
type Vector = BTreeMap<Map, f64>;

/// A record, and what stages have made of it.
#[derive(Debug, Clone)]
struct Entry {
    at_ms: i64,
    labels: Map,
    line: String,
}

#[derive(Debug, Clone, Copy)]
enum Stage {
    Contains(&'static str),
    Lacks(&'static str),
    /// With the filter that takes its errors out.
    Json,
    Logfmt,
    Equals(&'static str, &'static str),
    Differs(&'static str, &'static str),
    AtLeast(&'static str, i64),
    /// Makes a label the line.
    Line(&'static str),
    Format,
    Drop(&'static str),
}

/// `key=value` pairs, or the fields of a flat JSON object, in order.
fn fields(line: &str, json: bool) -> Option<Vec<(String, String)>> {
    if !json {
        let pairs = line.split(' ').filter_map(|word| word.split_once('=')).filter(|(_, value)| !value.is_empty());
        return Some(pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect());
    }
    let serde_json::Value::Object(found) = serde_json::from_str(line).ok()? else { return None };
    let text = |value: serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    Some(found.into_iter().map(|(key, value)| (key, text(value))).collect())
}

impl Stage {
    fn text(self) -> String {
        match self {
            Stage::Contains(text) => format!(" |= `{text}`"),
            Stage::Lacks(text) => format!(" != `{text}`"),
            Stage::Json => " | json | __error__=``".into(),
            Stage::Logfmt => " | logfmt".into(),
            Stage::Equals(name, value) => format!(" | {name}=`{value}`"),
            Stage::Differs(name, value) => format!(" | {name}!=`{value}`"),
            Stage::AtLeast(name, value) => format!(" | {name} >= {value}"),
            Stage::Line(name) => format!(" | line_format `{{{{.{name}}}}}`"),
            Stage::Format => " | label_format both=`{{.zone}}-{{.op}}`".into(),
            Stage::Drop(name) => format!(" | drop {name}"),
        }
    }

    fn run(self, mut entry: Entry) -> Option<Entry> {
        let value = |entry: &Entry, name: &str| entry.labels.get(name).cloned().unwrap_or_default();
        match self {
            Stage::Contains(text) if !entry.line.contains(text) => return None,
            Stage::Lacks(text) if entry.line.contains(text) => return None,
            Stage::Equals(name, wanted) if value(&entry, name) != wanted => return None,
            Stage::Differs(name, other) if value(&entry, name) == other => return None,
            Stage::AtLeast(name, least) if !value(&entry, name).parse::<i64>().is_ok_and(|value| value >= least) => {
                return None;
            }
            Stage::Json | Stage::Logfmt => {
                for (name, value) in fields(&entry.line, matches!(self, Stage::Json))? {
                    entry.labels.entry(name).or_insert(value);
                }
            }
            Stage::Line(name) => entry.line = value(&entry, name),
            Stage::Format => {
                let both = format!("{}-{}", value(&entry, "zone"), value(&entry, "op"));
                entry.labels.insert("both".into(), both);
            }
            Stage::Drop(name) => drop(entry.labels.remove(name)),
            _ => {}
        }
        Some(entry)
    }
}

/// `by (…)`, or `without (…)`.
type Grouping = (bool, Vec<&'static str>);

fn grouped(labels: &Map, (without, names): &Grouping) -> Map {
    labels
        .iter()
        .filter(|(name, _)| names.contains(&name.as_str()) != *without)
        .map(|(n, v)| (n.clone(), v.clone()))
        .collect()
}

fn grouping_text((without, names): &Grouping) -> String {
    format!("{} ({})", if *without { "without" } else { "by" }, names.join(", "))
}

/// `sum by (…) (rate({…} … [5s] offset 2s))`
struct Aggregation {
    outer: &'static str,
    outer_by: Grouping,
    inner: &'static str,
    stages: Vec<Stage>,
    unwrap: Option<&'static str>,
    range_s: i64,
    offset_s: i64,
    inner_by: Option<Grouping>,
}

impl Aggregation {
    fn random(random: &mut Random, outer_by: Grouping) -> Aggregation {
        let mut stages = Vec::new();
        if random.one_in(3) {
            stages.push(random.pick(&[Stage::Contains("get"), Stage::Lacks("put"), Stage::Contains("1")]));
        }
        if random.one_in(3) {
            stages.push(random.pick(&[
                Stage::Equals("zone", "a"),
                Stage::Differs("zone", "b"),
                Stage::Equals("zone", ""),
            ]));
        }
        let filters = [Stage::Equals("op", "get"), Stage::Differs("op", "put"), Stage::AtLeast("ms", 4)];
        match random.below(4) {
            0 => stages.extend([Stage::Lacks("{"), Stage::Logfmt]),
            1 => stages.push(Stage::Json),
            2 => stages.extend([Stage::Json, random.pick(&filters)]),
            _ => {
                stages.push(Stage::Json);
                stages.extend(random.one_in(2).then(|| random.pick(&filters)));
                stages.extend([Stage::Line("in"), Stage::Logfmt]);
                stages.push(random.pick(&[
                    Stage::Differs("user", "ann"),
                    Stage::AtLeast("n", 2),
                    Stage::Lacks("none"),
                ]));
            }
        }
        if random.one_in(3) {
            stages.push(random.pick(&[Stage::Format, Stage::Drop("op"), Stage::Drop("zone")]));
        }
        let unwrap = random.one_in(2).then(|| random.pick(&["ms", "n"]));
        let inner = match unwrap {
            None => random.pick(&["count_over_time", "rate", "bytes_over_time", "bytes_rate"]),
            Some(_) => random.pick(&[
                "sum_over_time",
                "avg_over_time",
                "min_over_time",
                "max_over_time",
                "first_over_time",
                "last_over_time",
                "rate",
            ]),
        };
        let groups = unwrap.is_some() && !matches!(inner, "sum_over_time" | "rate");
        let inner_by = (groups && random.one_in(2)).then(|| (random.one_in(3), vec!["op", "zone"]));
        Aggregation {
            outer: random.pick(&["sum", "min", "max", "count", "avg"]),
            outer_by,
            inner,
            stages,
            unwrap,
            range_s: random.pick(&[4, 9, 20]),
            offset_s: random.pick(&[0, 0, 5, -5]),
            inner_by,
        }
    }

    fn text(&self) -> String {
        let stages: String = self.stages.iter().map(|stage| stage.text()).collect();
        let unwrap = self.unwrap.map(|name| format!(" | unwrap {name}")).unwrap_or_default();
        let offset = if self.offset_s == 0 { String::new() } else { format!(" offset {}s", self.offset_s) };
        let inner_by = self.inner_by.as_ref().map(grouping_text).unwrap_or_default();
        let range = self.range_s;
        let inner = format!(r#"{}({{service_name="api"}}{stages}{unwrap} [{range}s]{offset}) {inner_by}"#, self.inner);
        format!("{} {} ({inner})", self.outer, grouping_text(&self.outer_by))
    }

    fn at(&self, entries: &[Entry], at_ms: i64) -> Vector {
        let end_ms = at_ms - self.offset_s * 1000;
        let mut windows: BTreeMap<Map, Vec<f64>> = BTreeMap::new();
        for entry in entries.iter().filter(|entry| entry.at_ms > end_ms - self.range_s * 1000 && entry.at_ms <= end_ms)
        {
            let left = self.stages.iter().try_fold(entry.clone(), |entry, stage| stage.run(entry));
            let Some(Entry { mut labels, line, .. }) = left else { continue };
            let value = match self.unwrap {
                Some(name) => match labels.get(name).map(|value| value.parse::<f64>().unwrap()) {
                    Some(value) => value,
                    None => continue,
                },
                None if self.inner.starts_with("bytes") => line.len() as f64,
                None => 1.0,
            };
            // What is unwrapped is no label any more, but to a list that names it.
            if self.inner_by.as_ref().is_none_or(|(without, _)| *without)
                && let Some(name) = self.unwrap
                && (!self.sums_up() || self.outer_by.0)
            {
                labels.remove(name);
            }
            let labels = self.inner_by.as_ref().map_or(labels.clone(), |by| grouped(&labels, by));
            windows.entry(labels).or_default().push(value);
        }
        let seconds = self.range_s as f64;
        let mut groups: BTreeMap<Map, Vec<f64>> = BTreeMap::new();
        for (labels, values) in windows {
            let sum: f64 = values.iter().sum();
            let value = match self.inner {
                "rate" | "bytes_rate" => sum / seconds,
                "avg_over_time" => sum / values.len() as f64,
                "min_over_time" => values.iter().copied().fold(f64::INFINITY, f64::min),
                "max_over_time" => values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
                "first_over_time" => values[0],
                "last_over_time" => values[values.len() - 1],
                _ => sum,
            };
            groups.entry(grouped(&labels, &self.outer_by)).or_default().push(value);
        }
        let fold = |values: Vec<f64>| match self.outer {
            "sum" => values.iter().sum(),
            "min" => values.iter().copied().fold(f64::INFINITY, f64::min),
            "max" => values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            "count" => values.len() as f64,
            _ => values.iter().sum::<f64>() / values.len() as f64,
        };
        groups.into_iter().map(|(labels, values)| (labels, fold(values))).collect()
    }

    /// Whether a `sum` around it hands its grouping in.
    fn sums_up(&self) -> bool {
        self.outer == "sum" && matches!(self.inner, "sum_over_time" | "rate")
    }
}

/// What a query is at a time.
type Expected = Box<dyn Fn(&[Entry], i64) -> Vector>;

fn random_query(random: &mut Random) -> (String, Expected) {
    let by = (random.one_in(3), random.pick(&[&["op"][..], &["zone", "op"], &["zone", "user"], &[]]).to_vec());
    let left = Aggregation::random(random, by.clone());
    match random.below(4) {
        0 => {
            let right = Aggregation::random(random, by);
            let op = random.pick(&["+", "-", "*", "/", ">", "<= bool", "and", "or", "unless"]);
            let text = format!("{} {op} {}", left.text(), right.text());
            (text, Box::new(move |entries, at_ms| joined(op, left.at(entries, at_ms), &right.at(entries, at_ms))))
        }
        1 => {
            let (op, number) = (random.pick(&["+", "/", ">", "== bool"]), random.pick(&[0.0, 2.0, 7.0]));
            let text = format!("{} {op} {number}", left.text());
            let each = move |value| applied(op, value, number);
            let answer = move |vector: Vector| {
                vector.into_iter().filter_map(|(labels, value)| Some((labels, each(value)?))).collect()
            };
            (text, Box::new(move |entries, at_ms| answer(left.at(entries, at_ms))))
        }
        _ => (left.text(), Box::new(move |entries, at_ms| left.at(entries, at_ms))),
    }
}

fn applied(op: &str, left: f64, right: f64) -> Option<f64> {
    Some(match op {
        "+" => left + right,
        "-" => left - right,
        "*" => left * right,
        "/" if right == 0.0 => f64::NAN,
        "/" => left / right,
        ">" => return (left > right).then_some(left),
        "<= bool" => f64::from(left <= right),
        _ => f64::from(left == right),
    })
}

fn joined(op: &str, mut left: Vector, right: &Vector) -> Vector {
    match op {
        "and" => left.retain(|labels, _| right.contains_key(labels)),
        "unless" => left.retain(|labels, _| !right.contains_key(labels)),
        "or" => {
            for (labels, value) in right {
                left.entry(labels.clone()).or_insert(*value);
            }
        }
        op => {
            let pairs = left.into_iter().filter_map(|(labels, value)| {
                let value = applied(op, value, *right.get(&labels)?)?;
                Some((labels, value))
            });
            return pairs.collect();
        }
    }
    left
}

fn entry(random: &mut Random, at_ms: i64) -> Entry {
    let op = random.pick(&["get", "put", "del"]);
    let (ms, n, user, other) =
        (random.below(9), random.below(5), random.pick(&["ann", "bob"]), random.pick(&["get", "put"]));
    let line = match random.below(5) {
        0 => format!("op={op} ms={ms} user={user}"),
        1 => "nothing to read".into(),
        2 => format!(r#"{{"op":"{op}","in":"x"}}"#),
        _ => format!(r#"{{"op":"{op}","ms":{ms},"in":"user={user} n={n} op={other}"}}"#),
    };
    let mut labels =
        Map::from([("service_name".to_owned(), "api".to_owned()), ("detected_level".into(), "unknown".into())]);
    if !random.one_in(4) {
        labels.insert("zone".into(), random.pick(&["a", "b"]).into());
    }
    Entry { at_ms, labels, line }
}

#[test]
fn random_queries_answer_as_a_plain_reading_does() {
    let mut random = Random::new(chance::seed(11));
    let dir = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let store = Store::open(Options::new(dir.path()), START_MS).unwrap();
    let tenant = store.tenant(&TenantId::default()).unwrap();
    // Each record has a time of its own.
    let entries: Vec<Entry> = (0..150).map(|n| START_MS + n * 400).map(|at_ms| entry(&mut random, at_ms)).collect();
    for (n, part) in entries.chunks(60).enumerate() {
        let record = |entry: &Entry| LogRecord {
            time_ns: entry.at_ms * MS,
            body: AnyValue::Str(entry.line.as_str().into()),
            attributes: entry
                .labels
                .get("zone")
                .map(|zone| ("zone".into(), AnyValue::Str(zone.as_str().into())))
                .into_iter()
                .collect(),
            ..LogRecord::default()
        };
        let resource =
            Resource { attributes: vec![("service.name".into(), AnyValue::Str("api".into()))], ..Resource::default() };
        let records = part.iter().map(|entry| (0, 0, record(entry))).collect();
        runtime
            .block_on(tenant.submit_logs(LogBatch {
                resources: vec![resource],
                scopes: vec![Scope::default()],
                records,
            }))
            .unwrap();
        if n == 0 {
            store.maintain(START_MS + 20 * 60_000).unwrap();
        }
    }
    let snapshot = tenant.snapshot().unwrap();
    let mut found_any = 0;
    for _ in 0..400 {
        let (text, expected) = random_query(&mut random);
        let Expr::Metric(metric) = parse(&text).unwrap_or_else(|error| panic!("{text}: {error}")) else {
            panic!("{text}")
        };
        let (start_ms, budget) = (START_MS + 3_000, Budget::starting_now(Duration::from_secs(60)));
        let end_ms = start_ms + (STEPS - 1) * STEP_MS;
        for by in [By::Ruler, By::Api] {
            // A grouped one is another in the API, which the test beside this one shows.
            if by == By::Api && text.contains("avg_over_time") {
                continue;
            }
            let answer = range(Some(&snapshot), &metric, start_ms * MS, end_ms * MS, STEP_MS * MS, by, &budget);
            let Value::Matrix(rows) = answer.unwrap_or_else(|error| panic!("{text}: {error}")).value else {
                panic!("{text}")
            };
            let map = |labels: &Labels| {
                labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect::<Map>()
            };
            for at_ms in (0..STEPS).map(|step| start_ms + step * STEP_MS) {
                let at = |points: &Points| points.iter().find(|(at, _)| *at == at_ms).map(|(_, value)| *value);
                let found: Vector =
                    rows.iter().filter_map(|(labels, points)| Some((map(labels), at(points)?))).collect();
                let expected = expected(&entries, at_ms);
                let is_close = |left: f64, right: f64| left.is_nan() && right.is_nan() || (left - right).abs() < 1e-9;
                let alike = found.len() == expected.len()
                    && found
                        .iter()
                        .zip(&expected)
                        .all(|(left, right)| left.0 == right.0 && is_close(*left.1, *right.1));
                assert!(alike, "{by:?} {text} at {}: {found:?}\nexpected {expected:?}", at_ms - START_MS);
                found_any += usize::from(!found.is_empty());
            }
        }
    }
    assert!(found_any > 500, "{found_any} answers were not empty");
}
