//! What is most likely a mistake in rules that can be read: conditions that always or never hold, labels that change with the
//! value, metrics that nobody sends.

use std::collections::HashSet;

use model::MatchOp;
use model::labels::METRIC_NAME;
use query::promql::{self, Tree, TreeKind};

use crate::file::{Group, Rule, RuleKind};

/// Most names suggested for a misspelt one.
const NEAREST_MAX: usize = 3;

/// One finding.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    pub file: String,
    pub line: usize,
    pub message: String,
}

/// Looks at every rule. `metrics` are the names that are stored, where somebody knows them.
pub fn lint(groups: &[Group], metrics: Option<&[String]>) -> Vec<Finding> {
    let recorded: HashSet<&str> = groups
        .iter()
        .flat_map(|group| &group.rules)
        .filter(|rule| rule.kind == RuleKind::Recording)
        .map(|rule| rule.name.as_str())
        .collect();
    let mut out = Vec::new();
    for group in groups {
        for rule in &group.rules {
            let mut messages = Vec::new();
            look(rule, &mut messages);
            if let Some(metrics) = metrics {
                unknown_metrics(rule, metrics, &recorded, &mut messages);
            }
            out.extend(messages.into_iter().map(|message| Finding {
                file: group.file.clone(),
                line: rule.line,
                message: format!("rule {:?}: {message}", rule.name),
            }));
        }
    }
    out
}

fn look(rule: &Rule, messages: &mut Vec<String>) {
    let Some(expr) = rule.condition.promql() else { return };
    let root = bare(promql::tree(expr));
    never(root, messages);
    if rule.kind == RuleKind::Recording {
        return;
    }
    for (name, text) in &rule.labels {
        if text.contains("$value") || text.contains(".Value") {
            messages.push(format!(
                "label {name:?} holds the value, so each new value ends the alert and begins another; put it into an annotation"
            ));
        }
    }
    let is_watchdog = rule.labels.iter().any(|(name, value)| name == "severity" && value == "none");
    if !is_watchdog && rule.extension.levels.is_empty() {
        if let TreeKind::Binary { op, return_bool: true, .. } = root.kind() {
            messages.push(format!(
                "always holds: \"{op} bool\" gives 0 or 1 and filters nothing out; leave \"bool\" away, or compare with == 1"
            ));
        } else if !is_heartbeat(root) && !can_be_empty(root) {
            messages.push("always holds: there is no comparison in it, so whatever it finds fires".into());
        }
    }
}

/// `vector(1)`: nobody writes this by mistake, its alert is there to show that alerts arrive.
fn is_heartbeat(root: Tree<'_>) -> bool {
    matches!(root.kind(), TreeKind::Call { function, .. } if function.name == "vector")
}

fn bare(tree: Tree<'_>) -> Tree<'_> {
    match tree.kind() {
        TreeKind::Paren(inner) => bare(inner),
        _ => tree,
    }
}

fn is_comparison(op: &str) -> bool {
    matches!(op, "==" | "!=" | ">" | "<" | ">=" | "<=")
}

/// Whether something in the expression can leave samples out, so that it is a condition at all.
fn can_be_empty(tree: Tree<'_>) -> bool {
    match bare(tree).kind() {
        TreeKind::Binary { op, lhs, rhs, return_bool, .. } => {
            (is_comparison(op) && !return_bool)
                || matches!(op, "and" | "unless")
                || match op {
                    "or" => can_be_empty(lhs) && can_be_empty(rhs),
                    _ => can_be_empty(lhs) || can_be_empty(rhs),
                }
        }
        TreeKind::Call { function, args } => function.name.starts_with("absent") || args.into_iter().any(can_be_empty),
        TreeKind::Aggregate { expr, .. } | TreeKind::Subquery { expr, .. } | TreeKind::Unary { expr, .. } => {
            can_be_empty(expr)
        }
        // ALERTS is there only while something is wrong; a label can stand for a condition.
        TreeKind::Vector(selector) | TreeKind::Matrix { selector, .. } => {
            selector.name == "ALERTS" || selector.matchers.iter().any(|matcher| matcher.name != METRIC_NAME)
        }
        _ => false,
    }
}

/// Comparisons that no data can satisfy.
fn never(tree: Tree<'_>, messages: &mut Vec<String>) {
    match tree.kind() {
        TreeKind::Paren(expr) | TreeKind::Unary { expr, .. } | TreeKind::Subquery { expr, .. } => never(expr, messages),
        TreeKind::Aggregate { expr, .. } => never(expr, messages),
        TreeKind::Call { args, .. } => args.into_iter().for_each(|arg| never(arg, messages)),
        TreeKind::Binary { op, lhs, rhs, return_bool, .. } => {
            never(lhs, messages);
            never(rhs, messages);
            if !return_bool && is_comparison(op) {
                impossible(op, bare(lhs), bare(rhs), messages);
            }
        }
        _ => {}
    }
}

fn impossible(op: &str, lhs: Tree<'_>, rhs: Tree<'_>, messages: &mut Vec<String>) {
    let Some(number) = number(rhs) else { return };
    if number.is_nan() && op != "!=" {
        messages.push("never holds: nothing compares with NaN; \"x != x\" finds it".into());
    }
    let below = |limit: f64| match op {
        "<" => number <= limit,
        "<=" | "==" => number < limit,
        _ => false,
    };
    match lhs.kind() {
        TreeKind::Aggregate { op: "count", .. } if below(1.0) => messages.push(
            "never holds: a count of nothing is no sample, and not 0; use absent(), or add \"or vector(0)\"".into(),
        ),
        TreeKind::Call { function, .. }
            if matches!(function.name, "rate" | "increase" | "irate" | "changes" | "resets" | "count_over_time")
                && below(0.0) =>
        {
            messages.push(format!("never holds: {}() is not negative", function.name));
        }
        TreeKind::Number(_) => messages.push("compares two numbers: it holds always or never".into()),
        _ => {}
    }
}

fn number(tree: Tree<'_>) -> Option<f64> {
    match bare(tree).kind() {
        TreeKind::Number(value) => Some(value),
        TreeKind::Unary { op: "-", expr } => number(expr).map(|value| -value),
        _ => None,
    }
}

fn unknown_metrics(rule: &Rule, metrics: &[String], recorded: &HashSet<&str>, messages: &mut Vec<String>) {
    let mut told = HashSet::new();
    let Some(expr) = rule.condition.promql() else { return };
    for matchers in promql::selectors(expr) {
        let is_name = |matcher: &&model::Matcher| matcher.name == METRIC_NAME && matcher.op == MatchOp::Equal;
        let Some(name) = matchers.iter().find(is_name).map(|matcher| matcher.value.as_str()) else { continue };
        let is_own = recorded.contains(name) || matches!(name, "ALERTS" | "ALERTS_FOR_STATE");
        if is_own || metrics.iter().any(|known| known == name) || !told.insert(name) {
            continue;
        }
        let nearest = nearest(name, metrics);
        let hint = if nearest.is_empty() { String::new() } else { format!("; the nearest are {}", nearest.join(", ")) };
        messages.push(format!("no series is named {name:?}{hint}"));
    }
}

/// Known names that a misspelt one is likeliest to mean, the likeliest first: at most a third of the letters differ.
pub fn nearest<'a>(name: &str, known: &'a [String]) -> Vec<&'a str> {
    let start: String = name.chars().take(100).collect();
    let mut ranked: Vec<(usize, &str)> = known
        .iter()
        .map(|known| (model::spelling::distance(&start, known), known.as_str()))
        .filter(|(distance, known)| *distance <= known.len().max(3) / 3)
        .collect();
    ranked.sort_unstable();
    ranked.into_iter().take(NEAREST_MAX).map(|(_, known)| known).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(rule: &str, expected: &[&str]) {
        let text = format!("groups: [{{name: g, rules: [{{{rule}}}]}}]");
        let groups = crate::file::parse(&text, "f.yml", 30_000).unwrap();
        let metrics = ["node_load1", "node_load5", "up", "http_requests_total"].map(String::from);
        let found: Vec<String> = lint(&groups, Some(&metrics)).into_iter().map(|finding| finding.message).collect();
        assert_eq!(found.len(), expected.len(), "{rule}: {found:?}");
        for (found, expected) in found.iter().zip(expected) {
            assert!(found.contains(expected), "{rule}: {found}");
        }
    }

    #[test]
    fn likely_mistakes_are_found_and_good_rules_are_left_alone() {
        for good in [
            "up == 0",
            "absent(up)",
            "absent_over_time(up[5m])",
            "up unless node_load1",
            "rate(http_requests_total[5m]) > 1 or node_load1 > 5",
            "count(up == 0) > 0",
            "count(up) < 3",
            "up{job=\"a\"} == 0 and on() (node_load1 > 1)",
            "ALERTS{alertstate=\"firing\"}",
        ] {
            check(&format!("alert: A, expr: '{good}'"), &[]);
        }
        check("record: 'a:b', expr: up", &[]);
        check("alert: Watchdog, expr: vector(1), labels: {severity: none}", &[]);
        check("alert: A, expr: vector(1), labels: {severity: critical}", &[]);
        check("alert: A, expr: up", &["no comparison"]);
        check("alert: A, expr: up == bool 0", &["filters nothing out"]);
        check("alert: A, expr: count(up) == 0", &["a count of nothing is no sample"]);
        check("alert: A, expr: 'rate(http_requests_total[5m]) < 0'", &["rate() is not negative"]);
        check("alert: A, expr: up == NaN", &["nothing compares with NaN"]);
        check("alert: A, expr: up == 0, labels: {was: '{{ $value }}'}", &["\"was\" holds the value"]);
        check(
            "alert: A, expr: nod_load1 > 1",
            &["no series is named \"nod_load1\"; the nearest are node_load1, node_load5"],
        );
        check("alert: A, expr: 'zzz > 1 or zzz > 2'", &["no series is named \"zzz\""]);
    }
}
