//! PromQL as its documentation has it: one step at a time, one series at a time, everything looked up anew. Written for
//! clarity, and sharing nothing with the engine.

use std::collections::{BTreeMap, BTreeSet};

use model::metric::is_stale;

use super::query::{At, Grouping, Matching, Query, Range, Selector, Shift};
use super::windows;

pub(crate) type LabelSet = BTreeMap<String, String>;

/// Series with their samples in order of time, times in ms.
pub(crate) type Data = Vec<(LabelSet, Vec<(i64, f64)>)>;

/// An element of an instant vector. The name stays with it until the end, and goes then if it is to be dropped.
#[derive(Debug, Clone)]
pub(crate) struct Element {
    pub(crate) labels: LabelSet,
    pub(crate) drop_name: bool,
    pub(crate) value: f64,
}

#[derive(Debug, Clone)]
pub(crate) enum Value {
    Scalar(f64),
    Vector(Vec<Element>),
}

pub(crate) struct Reference<'a> {
    pub(crate) data: &'a Data,
    pub(crate) lookback_ms: i64,
    /// Of the whole query, for `@ start()` and `@ end()`.
    pub(crate) start_ms: i64,
    pub(crate) end_ms: i64,
}

const NAME: &str = "__name__";

impl Reference<'_> {
    /// The answer at one step: values by label set, an empty one for a scalar.
    pub(crate) fn answer(&self, query: &Query, at_ms: i64) -> Result<BTreeMap<LabelSet, f64>, String> {
        let mut answer = BTreeMap::new();
        match self.value(query, at_ms)? {
            Value::Scalar(value) => drop(answer.insert(LabelSet::new(), value)),
            Value::Vector(elements) => {
                for mut element in elements {
                    if element.drop_name {
                        element.labels.remove(NAME);
                    }
                    if answer.insert(element.labels, element.value).is_some() {
                        return Err("the same labels twice".into());
                    }
                }
            }
        }
        Ok(answer)
    }

    fn vector(&self, query: &Query, at_ms: i64) -> Result<Vec<Element>, String> {
        match self.value(query, at_ms)? {
            Value::Vector(elements) => Ok(elements),
            Value::Scalar(_) => panic!("the generator puts vectors where vectors belong: {query}"),
        }
    }

    fn value(&self, query: &Query, at_ms: i64) -> Result<Value, String> {
        Ok(match query {
            Query::Number(value) => Value::Scalar(*value),
            Query::Time => Value::Scalar(at_ms as f64 / 1000.0),
            Query::Select(selector) => {
                let newest = self.newest(selector, at_ms);
                let element = |(labels, _, value)| Element { labels, drop_name: false, value };
                Value::Vector(newest.into_iter().map(element).collect())
            }
            Query::Timestamp(selector) => {
                let end_ms = self.shifted_ms(selector.shift, at_ms);
                // Beside `@` the offset says what is read, and not where one looks: what is seen lies in both.
                let looks_ms = match selector.shift.at {
                    Some(_) => self.shifted_ms(Shift { offset_s: 0, ..selector.shift }, at_ms),
                    None => end_ms,
                };
                let start_ms = end_ms.max(looks_ms) - self.lookback_ms;
                let newest = self.newest_in(selector, start_ms, end_ms.min(looks_ms));
                let element = |(labels, at_ms, _)| Element { labels, drop_name: true, value: at_ms as f64 / 1000.0 };
                Value::Vector(newest.into_iter().map(element).collect())
            }
            Query::Over { function, number, range } => {
                let keeps_name = matches!(*function, "last_over_time" | "first_over_time");
                let (start_ms, end_ms, windows) = self.windows(range, at_ms)?;
                let elements = windows.into_iter().filter(|(_, _, samples)| !samples.is_empty());
                let elements = elements.filter_map(|(labels, drop_name, samples)| {
                    let value = windows::compute(function, *number, &samples, start_ms, end_ms, at_ms)?;
                    Some(Element { labels, drop_name: drop_name || !keeps_name, value })
                });
                Value::Vector(elements.collect())
            }
            Query::Map { function, numbers, inner } => {
                let mut elements = self.vector(inner, at_ms)?;
                if *function == "clamp" && numbers[1] < numbers[0] {
                    elements.clear();
                }
                for element in &mut elements {
                    element.drop_name = true;
                    element.value = map(function, numbers, element.value);
                }
                Value::Vector(elements)
            }
            Query::Scalar(inner) => match &self.vector(inner, at_ms)?[..] {
                [only] => Value::Scalar(only.value),
                _ => Value::Scalar(f64::NAN),
            },
            Query::Vector(inner) => match self.value(inner, at_ms)? {
                Value::Scalar(value) => {
                    Value::Vector(vec![Element { labels: LabelSet::new(), drop_name: false, value }])
                }
                Value::Vector(_) => panic!("vector() of a vector"),
            },
            Query::Absent(inner) => {
                if !self.vector(inner, at_ms)?.is_empty() {
                    return Ok(Value::Vector(Vec::new()));
                }
                let labels = match &**inner {
                    Query::Select(selector) => certain(selector),
                    _ => LabelSet::new(),
                };
                Value::Vector(vec![Element { labels, drop_name: false, value: 1.0 }])
            }
            Query::Negate(inner) => match self.value(inner, at_ms)? {
                Value::Scalar(value) => Value::Scalar(-value),
                Value::Vector(mut elements) => {
                    for element in &mut elements {
                        element.value = -element.value;
                        element.drop_name = true;
                    }
                    Value::Vector(elements)
                }
            },
            Query::Aggregate { op, number, grouping, inner } => {
                let elements = self.vector(inner, at_ms)?;
                Value::Vector(aggregate(op, *number, grouping.as_ref(), elements))
            }
            Query::Binary { op, is_bool, matching, left, right } => {
                let (left, right) = (self.value(left, at_ms)?, self.value(right, at_ms)?);
                binary(op, *is_bool, matching.as_ref(), left, right)?
            }
        })
    }

    /// The time that a selector or subquery looks at.
    fn shifted_ms(&self, shift: Shift, at_ms: i64) -> i64 {
        let reference_ms = match shift.at {
            None => at_ms,
            Some(At::Seconds(seconds)) => seconds * 1000,
            Some(At::Start) => self.start_ms,
            Some(At::End) => self.end_ms,
        };
        reference_ms - shift.offset_s * 1000
    }

    fn matching(&self, selector: &Selector) -> impl Iterator<Item = &(LabelSet, Vec<(i64, f64)>)> {
        self.data.iter().filter(|(labels, _)| {
            let value = |label: &str| labels.get(label).cloned().unwrap_or_default();
            selector.name.is_none_or(|name| value(NAME) == name)
                && selector.matchers.iter().all(|(label, op, wanted)| {
                    let value = value(label);
                    match *op {
                        "=" => value == *wanted,
                        "!=" => value != *wanted,
                        "=~" => regex::Regex::new(&format!("^(?s:{wanted})$")).unwrap().is_match(&value),
                        _ => !regex::Regex::new(&format!("^(?s:{wanted})$")).unwrap().is_match(&value),
                    }
                })
        })
    }

    /// The newest sample of each series within the lookback, unless it is a stale marker.
    fn newest(&self, selector: &Selector, at_ms: i64) -> Vec<(LabelSet, i64, f64)> {
        let end_ms = self.shifted_ms(selector.shift, at_ms);
        self.newest_in(selector, end_ms - self.lookback_ms, end_ms)
    }

    /// The newest sample of each series after the start and not after the end, unless it is a stale marker.
    fn newest_in(&self, selector: &Selector, start_ms: i64, end_ms: i64) -> Vec<(LabelSet, i64, f64)> {
        let mut found = Vec::new();
        for (labels, samples) in self.matching(selector) {
            let newest = samples.iter().rfind(|(sample_ms, _)| *sample_ms <= end_ms);
            if let Some((sample_ms, value)) = newest
                && *sample_ms > start_ms
                && !is_stale(*value)
            {
                found.push((labels.clone(), *sample_ms, *value));
            }
        }
        found
    }

    /// Start and end of the window, and each series' samples in it: the start itself is outside, stale markers are not seen.
    #[allow(clippy::type_complexity)]
    fn windows(&self, range: &Range, at_ms: i64) -> Result<(i64, i64, Vec<(LabelSet, bool, Vec<(i64, f64)>)>), String> {
        match range {
            Range::Selector { selector, range_s } => {
                let end_ms = self.shifted_ms(selector.shift, at_ms);
                let start_ms = end_ms - range_s * 1000;
                let windows = self.matching(selector).map(|(labels, samples)| {
                    let inside = samples
                        .iter()
                        .filter(|(at_ms, value)| start_ms < *at_ms && *at_ms <= end_ms && !is_stale(*value));
                    (labels.clone(), false, inside.copied().collect())
                });
                Ok((start_ms, end_ms, windows.collect()))
            }
            Range::Subquery { inner, range_s, step_s, shift } => {
                let step_ms = step_s.unwrap_or(60) * 1000;
                let end_ms = self.shifted_ms(*shift, at_ms);
                let start_ms = end_ms - range_s * 1000;
                // At multiples of the step, whatever the window begins with.
                let mut inner_ms = start_ms.div_euclid(step_ms) * step_ms + step_ms;
                let mut series: BTreeMap<(LabelSet, bool), Vec<(i64, f64)>> = BTreeMap::new();
                while inner_ms <= end_ms {
                    for element in self.vector(inner, inner_ms)? {
                        let samples = series.entry((element.labels, element.drop_name)).or_default();
                        samples.push((inner_ms, element.value));
                    }
                    inner_ms += step_ms;
                }
                let windows = series.into_iter().map(|((labels, drop_name), samples)| (labels, drop_name, samples));
                Ok((start_ms, end_ms, windows.collect()))
            }
        }
    }
}

/// Labels that one equality alone speaks of.
fn certain(selector: &Selector) -> LabelSet {
    let mut labels = LabelSet::new();
    for (label, op, value) in &selector.matchers {
        let times = selector.matchers.iter().filter(|(other, ..)| other == label).count();
        if *op == "=" && times == 1 && !value.is_empty() {
            labels.insert((*label).into(), (*value).into());
        }
    }
    labels
}

fn map(function: &str, numbers: &[f64], value: f64) -> f64 {
    let least = |a: f64, b: f64| if a.is_nan() || b.is_nan() { f64::NAN } else { a.min(b) };
    let most = |a: f64, b: f64| if a.is_nan() || b.is_nan() { f64::NAN } else { a.max(b) };
    match function {
        "abs" => value.abs(),
        "ceil" => value.ceil(),
        "floor" => value.floor(),
        "sqrt" => value.sqrt(),
        "exp" => value.exp(),
        "ln" => value.ln(),
        "sgn" if value > 0.0 => 1.0,
        "sgn" if value < 0.0 => -1.0,
        "sgn" => value,
        "clamp" => most(numbers[0], least(numbers[1], value)),
        "clamp_min" => most(numbers[0], value),
        "clamp_max" => least(numbers[0], value),
        // To the nearest multiple, halves upwards.
        "round" => {
            let inverse = 1.0 / numbers.first().copied().unwrap_or(1.0);
            (value * inverse + 0.5).floor() / inverse
        }
        other => panic!("no function {other}"),
    }
}

fn group_of(grouping: Option<&Grouping>, labels: &LabelSet) -> LabelSet {
    let Some(Grouping { without, labels: listed }) = grouping else { return LabelSet::new() };
    let is_listed = |name: &str| listed.contains(&name);
    let kept =
        labels.iter().filter(|(name, _)| if *without { !is_listed(name) && *name != NAME } else { is_listed(name) });
    kept.map(|(name, value)| (name.clone(), value.clone())).collect()
}

fn aggregate(op: &str, number: Option<f64>, grouping: Option<&Grouping>, elements: Vec<Element>) -> Vec<Element> {
    let mut groups: BTreeMap<LabelSet, Vec<Element>> = BTreeMap::new();
    for element in elements {
        groups.entry(group_of(grouping, &element.labels)).or_default().push(element);
    }
    let mut out = Vec::new();
    for (labels, elements) in groups {
        if matches!(op, "topk" | "bottomk") {
            out.extend(best(elements, op == "topk", number.unwrap().max(0.0) as usize));
            continue;
        }
        let values: Vec<f64> = elements.iter().map(|element| element.value).collect();
        let drop_name = elements.iter().any(|element| element.drop_name);
        let value = match op {
            "sum" => windows::precise_sum(&values),
            "avg" => windows::average(&values),
            "min" => windows::extreme(&values, |value, best| value < best),
            "max" => windows::extreme(&values, |value, best| value > best),
            "count" => values.len() as f64,
            "group" => 1.0,
            "stddev" => windows::variance(&values).sqrt(),
            "stdvar" => windows::variance(&values),
            "quantile" => windows::quantile(number.unwrap(), &values),
            other => panic!("no aggregation {other}"),
        };
        out.push(Element { labels, drop_name, value });
    }
    out
}

/// The best so many, in the order in which they were: NaN is the worst of all, and of equal ones the first stay.
fn best(elements: Vec<Element>, greatest: bool, most: usize) -> Vec<Element> {
    let mut ranked: Vec<usize> = (0..elements.len()).collect();
    ranked.sort_by(|a, b| {
        let (a, b) = (elements[*a].value, elements[*b].value);
        match (a.is_nan(), b.is_nan()) {
            (true, true) => std::cmp::Ordering::Equal,
            (true, false) => std::cmp::Ordering::Greater,
            (false, true) => std::cmp::Ordering::Less,
            (false, false) if greatest => b.partial_cmp(&a).unwrap(),
            (false, false) => a.partial_cmp(&b).unwrap(),
        }
    });
    ranked.truncate(most);
    let kept = elements.into_iter().enumerate().filter(|(place, _)| ranked.contains(place));
    kept.map(|(_, element)| element).collect()
}

fn is_comparison(op: &str) -> bool {
    matches!(op, "==" | "!=" | ">" | "<" | ">=" | "<=")
}

fn holds(op: &str, a: f64, b: f64) -> bool {
    match op {
        "==" => a == b,
        "!=" => a != b,
        ">" => a > b,
        "<" => a < b,
        ">=" => a >= b,
        _ => a <= b,
    }
}

fn arithmetic(op: &str, a: f64, b: f64) -> f64 {
    match op {
        "+" => a + b,
        "-" => a - b,
        "*" => a * b,
        "/" => a / b,
        "%" => a % b,
        "^" => a.powf(b),
        "atan2" => a.atan2(b),
        other => panic!("no operator {other}"),
    }
}

/// The value of a pair; `None` where a comparison filters it out.
fn pair(op: &str, is_bool: bool, a: f64, b: f64, kept: f64) -> Option<f64> {
    if !is_comparison(op) {
        Some(arithmetic(op, a, b))
    } else if is_bool {
        Some(if holds(op, a, b) { 1.0 } else { 0.0 })
    } else {
        holds(op, a, b).then_some(kept)
    }
}

fn binary(op: &str, is_bool: bool, matching: Option<&Matching>, left: Value, right: Value) -> Result<Value, String> {
    let drops_name = !is_comparison(op);
    Ok(match (left, right) {
        (Value::Scalar(a), Value::Scalar(b)) => Value::Scalar(pair(op, true, a, b, a).unwrap()),
        (Value::Vector(elements), Value::Scalar(b)) => Value::Vector(
            elements
                .into_iter()
                .filter_map(|Element { labels, drop_name, value }| {
                    let value = pair(op, is_bool, value, b, value)?;
                    Some(Element { labels, drop_name: drop_name || drops_name || is_bool, value })
                })
                .collect(),
        ),
        (Value::Scalar(a), Value::Vector(elements)) => Value::Vector(
            elements
                .into_iter()
                .filter_map(|Element { labels, drop_name, value }| {
                    let value = pair(op, is_bool, a, value, value)?;
                    Some(Element { labels, drop_name: drop_name || drops_name || is_bool, value })
                })
                .collect(),
        ),
        (Value::Vector(left), Value::Vector(right)) => {
            let all = Matching { on: false, labels: vec![], group: None };
            let matching = matching.unwrap_or(&all);
            match op {
                "and" | "or" | "unless" => Value::Vector(set(op, matching, left, right)?),
                _ => Value::Vector(join(op, is_bool, matching, left, right)?),
            }
        }
    })
}

fn signature(matching: &Matching, labels: &LabelSet) -> LabelSet {
    let is_listed = |name: &str| matching.labels.contains(&name);
    let kept =
        labels.iter().filter(|(name, _)| if matching.on { is_listed(name) } else { !is_listed(name) && *name != NAME });
    kept.map(|(name, value)| (name.clone(), value.clone())).collect()
}

fn set(op: &str, matching: &Matching, left: Vec<Element>, right: Vec<Element>) -> Result<Vec<Element>, String> {
    let signatures = |elements: &[Element]| -> BTreeSet<LabelSet> {
        elements.iter().map(|element| signature(matching, &element.labels)).collect()
    };
    let (of_left, of_right) = (signatures(&left), signatures(&right));
    Ok(match op {
        "and" => left.into_iter().filter(|one| of_right.contains(&signature(matching, &one.labels))).collect(),
        "unless" => left.into_iter().filter(|one| !of_right.contains(&signature(matching, &one.labels))).collect(),
        _ => {
            let mut all = left;
            all.extend(right.into_iter().filter(|one| !of_left.contains(&signature(matching, &one.labels))));
            all
        }
    })
}

fn join(
    op: &str,
    is_bool: bool,
    matching: &Matching,
    left: Vec<Element>,
    right: Vec<Element>,
) -> Result<Vec<Element>, String> {
    let swapped = matching.group.as_ref().is_some_and(|(side, _)| *side == "group_right");
    let (many, one) = if swapped { (right, left) } else { (left, right) };
    if many.is_empty() || one.is_empty() {
        return Ok(Vec::new());
    }
    let mut partners: BTreeMap<LabelSet, Element> = BTreeMap::new();
    for element in one {
        if partners.insert(signature(matching, &element.labels), element).is_some() {
            return Err("many-to-many".into());
        }
    }
    let mut met = BTreeSet::new();
    let mut out: Vec<Element> = Vec::new();
    for element in many {
        let signature = signature(matching, &element.labels);
        let Some(partner) = partners.get(&signature) else { continue };
        let (a, b) = if swapped { (partner.value, element.value) } else { (element.value, partner.value) };
        let mut labels = element.labels.clone();
        if !is_comparison(op) {
            labels.remove(NAME);
        }
        match &matching.group {
            None => labels.retain(|name, _| matching.labels.contains(&name.as_str()) == matching.on),
            Some((_, include)) => {
                for name in include {
                    match partner.labels.get(*name) {
                        Some(value) => drop(labels.insert((*name).into(), value.clone())),
                        None => drop(labels.remove(*name)),
                    }
                }
            }
        }
        let is_second = match &matching.group {
            None => !met.insert((signature, LabelSet::new())),
            Some(_) => !met.insert((signature, labels.clone())),
        };
        if is_second {
            return Err("multiple matches".into());
        }
        if let Some(value) = pair(op, is_bool, a, b, a) {
            out.push(Element { labels, drop_name: element.drop_name || is_bool, value });
        }
    }
    Ok(out)
}
