//! Metric queries beside the reference.

use std::collections::BTreeMap;

use model::Labels;
use store::Tenant;

use super::super::{By, Expr, Points, Value, instant, parse, range};
use super::reference::Kept;
use super::{S, budget};

fn only(one: &Kept, names: &[&str]) -> Labels {
    Labels::from_pairs(names.iter().filter_map(|name| {
        let value = one.stream.get(*name).or_else(|| one.metadata.get(*name))?;
        Some((*name, value.as_str()))
    }))
}

/// Query, labels of a sample, its value, and the value of a window.
type Case = (&'static str, fn(&Kept) -> Option<(Labels, f64)>, fn(&[f64]) -> f64);

const METRICS: [Case; 11] = [
    (
        r#"sum by (service_name) (count_over_time({service_name=~".+"} [20s]))"#,
        |one| Some((only(one, &["service_name"]), 1.0)),
        |values| values.len() as f64,
    ),
    (
        r#"sum by (detected_level) (rate({service_name=~".+"} |= "GET" [10s]))"#,
        |one| one.line.contains("GET").then(|| (only(one, &["detected_level"]), 1.0)),
        |values| values.len() as f64 / 10.0,
    ),
    (
        r#"sum(bytes_over_time({service_name="api"} [20s]))"#,
        |one| (one.stream["service_name"] == "api").then(|| (Labels::default(), one.line.len() as f64)),
        |values| values.iter().sum(),
    ),
    (
        r#"sum by (job, host_name) (count_over_time({service_name=~".+"} [5s]))"#,
        |one| Some((only(one, &["job", "host_name"]), 1.0)),
        |values| values.len() as f64,
    ),
    (
        r#"max by (user) (max_over_time({service_name=~".+"} | unwrap took [30s]))"#,
        |one| Some((only(one, &["user"]), one.metadata.get("took")?.parse().unwrap())),
        |values| values.iter().copied().fold(f64::MIN, f64::max),
    ),
    (
        r#"quantile_over_time(0.5, {service_name=~".+"} | unwrap took [30s]) by (service_name)"#,
        |one| Some((only(one, &["service_name"]), one.metadata.get("took")?.parse().unwrap())),
        |values| {
            let mut sorted = values.to_vec();
            sorted.sort_by(f64::total_cmp);
            let rank = 0.5 * (sorted.len() - 1) as f64;
            let (lower, upper) = (sorted[rank.floor() as usize], sorted[rank.ceil() as usize]);
            (lower + upper) / 2.0
        },
    ),
    // Samples of one time are in the order of their streams.
    (
        r#"first_over_time({service_name=~".+"} | unwrap took [30s]) by (detected_level)"#,
        |one| Some((only(one, &["detected_level"]), one.metadata.get("took")?.parse().unwrap())),
        |values| values[0],
    ),
    (
        r#"last_over_time({service_name=~".+"} | unwrap took [30s]) by ()"#,
        |one| Some((Labels::default(), one.metadata.get("took")?.parse().unwrap())),
        |values| values[values.len() - 1],
    ),
    (
        r#"sum by (user) (sum_over_time({service_name=~".+"} | unwrap took [30s] offset 5s))"#,
        |one| Some((only(one, &["user"]), one.metadata.get("took")?.parse().unwrap())),
        |values| values.iter().sum(),
    ),
    (
        r#"sum by (path) (count_over_time({service_name=~".+"} | regexp "GET (?P<path>.*)" [20s]))"#,
        |one| {
            let path = one.line.strip_prefix("GET ").unwrap_or_default();
            Some((Labels::from_pairs([("path", path)]), 1.0))
        },
        |values| values.len() as f64,
    ),
    (
        r#"label_replace(sum by (user) (count_over_time({service_name=~".+"} [20s])), "user", "x-$1", "user", "(a.*)") * 2"#,
        |one| {
            let labels = only(one, &["user"]);
            let renamed = labels.get("user").filter(|user| user.starts_with('a')).map(|user| format!("x-{user}"));
            Some((renamed.map_or(labels.clone(), |user| labels.with("user", &user)), 1.0))
        },
        |values| values.len() as f64 * 2.0,
    ),
];

pub(super) fn check_metrics(tenant: &Tenant, all: &[&Kept], start_ns: i64, end_ns: i64, step_ns: i64) {
    let snapshot = tenant.snapshot().unwrap();
    for (query, sample, value) in METRICS {
        let Expr::Metric(metric) = parse(query).unwrap() else { panic!("{query}") };
        let window_ns = match query {
            _ if query.contains("[30s") => 30 * S,
            _ if query.contains("[20s") => 20 * S,
            _ if query.contains("[10s") => 10 * S,
            _ => 5 * S,
        };
        let offset_ns = if query.contains("offset 5s") { 5 * S } else { 0 };
        let mut expected: BTreeMap<Labels, Points> = BTreeMap::new();
        let mut at_ns = start_ns;
        while at_ns <= end_ns {
            let mut windows: BTreeMap<Labels, Vec<f64>> = BTreeMap::new();
            let end = at_ns - offset_ns;
            for one in all.iter().filter(|one| one.time_ns > end - window_ns && one.time_ns <= end) {
                if let Some((labels, value)) = sample(one) {
                    windows.entry(labels).or_default().push(value);
                }
            }
            for (labels, values) in windows {
                expected.entry(labels).or_default().push((at_ns / 1_000_000, value(&values)));
            }
            at_ns += step_ns;
        }
        let answer = range(Some(&snapshot), &metric, start_ns, end_ns, step_ns, By::Ruler, &budget()).unwrap();
        let Value::Matrix(found) = answer.value else { panic!("{query}") };
        let expected: Vec<(Labels, Points)> = expected.into_iter().collect();
        assert_eq!(found.len(), expected.len(), "{query}: {found:?}\n{expected:?}");
        for (found, expected) in found.iter().zip(&expected) {
            assert_eq!(found.0, expected.0, "{query}");
            let close =
                |(left, right): (&(i64, f64), &(i64, f64))| left.0 == right.0 && (left.1 - right.1).abs() < 1e-9;
            assert!(
                found.1.len() == expected.1.len() && found.1.iter().zip(&expected.1).all(close),
                "{query} {}: {:?}\n{:?}",
                found.0,
                found.1,
                expected.1
            );
        }
        let answer = instant(&snapshot, query, end_ns, &budget()).unwrap();
        let last = |(labels, points): &(Labels, Points)| {
            let (at_ms, value) = *points.last()?;
            (at_ms == end_ns / 1_000_000).then(|| (labels.clone(), value))
        };
        if (end_ns - start_ns) % step_ns == 0 {
            let expected: Vec<(Labels, f64)> = expected.iter().filter_map(last).collect();
            assert_eq!(answer.len(), expected.len(), "{query}");
        }
    }
}
