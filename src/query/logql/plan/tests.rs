//! Plans as text: parts in «», everything else as LogQL would write it.

use super::super::{Expr, parse};
use super::*;

fn shown(plan: &Plan) -> String {
    match plan {
        Plan::Part(metric) => format!("«{metric}»"),
        Plan::Quotient(of) => format!("«sum/count{} {}»", of.grouping, of.inner),
        Plan::Number(value) => value.to_string(),
        Plan::Vector(value) => format!("vector({value})"),
        Plan::All(plans) => plans.iter().map(shown).collect::<Vec<_>>().join(" ++ "),
        Plan::Aggregation { op, k, grouping, inner } => {
            let k = k.map_or(String::new(), |k| format!("{k}, "));
            let grouping = if grouping.is_single() { String::new() } else { grouping.to_string() };
            format!("{}{grouping}({k}{})", op.as_str(), shown(inner))
        }
        Plan::Operation { op, lhs, rhs, .. } => format!("({} {} {})", shown(lhs), op.as_str(), shown(rhs)),
        Plan::Replaced { inner, .. } => format!("label_replace({})", shown(inner)),
    }
}

#[track_caller]
fn check(query: &str, plan: impl Fn(&Metric) -> Plan, expected: &str) {
    let Expr::Metric(metric) = parse(query).unwrap() else { panic!("{query} is no metric query") };
    let plain = |text: &str| text.split_whitespace().collect::<String>();
    assert_eq!(plain(&shown(&plan(&metric))), plain(expected), "{query}");
}

const RATE: &str = r#"rate({a="b"} | json [5m])"#;
const SUM_RATE: &str = r#"sum by (c) (rate({a="b"} | json [5m]))"#;
const STDDEV: &str = r#"stddev_over_time({a="b"} | unwrap c [5m])"#;
const LAST: &str = r#"last_over_time({a="b"} | unwrap c [5m])"#;
const QUANTILE: &str = r#"quantile_over_time(0.5, {a="b"} | unwrap c [5m])"#;
const MAX: &str = r#"max_over_time({a="b"} | unwrap c [5m])"#;
const AVG: &str = r#"avg_over_time({a="b"} | unwrap c [5m])"#;

#[test]
fn what_streams_share_is_asked_for_by_itself() {
    let check = |query: &str, expected: &str| check(query, Plan::over_steps, expected);
    let whole = |query: &str| check(query, &format!("«{}»", parse(query).unwrap()));
    whole(RATE);
    whole(&format!("sum({RATE})"));
    whole(&format!("max by (c) ({RATE})"));
    whole(&format!("sum(sum by (c) ({RATE}))"));
    whole(&format!("sum({RATE} * 60)"));
    whole(&format!("sum by (d) ({RATE} + {MAX})"));
    whole(&format!("count({RATE} * 2)"));
    whole(&format!("sum({LAST})"));
    whole(&format!("sum({QUANTILE})"));
    whole(&format!("sum by (d) ({AVG} by (d))"));
    whole(&format!("approx_topk(3, {RATE})"));
    // Nothing to share: a querier evaluates all of it.
    for query in [
        STDDEV.into(),
        format!("topk(3, {STDDEV})"),
        format!("avg({STDDEV})"),
        LAST.into(),
        "vector(1)".into(),
        "vector(1) + 1".into(),
        format!("{QUANTILE} by (d)"),
    ] {
        whole(&query);
    }
    check(&format!("topk(3, {RATE})"), &format!("topk(3, «{RATE}»)"));
    check(&format!("stddev({RATE})"), &format!("stddev(«{RATE}»)"));
    check(&format!("topk(3, sum({LAST}))"), &format!("topk(3, «sum({LAST})»)"));
    check(&format!("topk(3, sum({QUANTILE}))"), &format!("«topk(3, sum({QUANTILE}))»"));
    check(&format!("max({SUM_RATE})"), &format!("max(«{SUM_RATE}»)"));
    check(&format!("sum(max({RATE}))"), &format!("sum(«max({RATE})»)"));
    check(&format!("sum({RATE} / 60)"), &format!("sum((«{RATE}» / 60))"));
    check(&format!("sum({RATE} + on (d) {MAX})"), &format!("sum((«{RATE}» + «{MAX}»))"));
    // Series that labels were taken from meet again, those of a list do not.
    const KEPT: &str = r#"rate({a="b"} | json | keep c [5m])"#;
    const KEPT_MAX: &str = r#"max_over_time({a="b"} | drop d | unwrap c [5m])"#;
    check(KEPT, &format!("sum without () («{KEPT}»)"));
    check(&format!("topk(3, {KEPT})"), &format!("topk(3, sum without () («{KEPT}»))"));
    check(&format!("{KEPT_MAX} without (e)"), &format!("max without (e) («{KEPT_MAX} without (e)»)"));
    whole(&format!("{KEPT_MAX} by (e)"));
    whole(&format!("sum({KEPT})"));
    check(&format!("{STDDEV} > 5"), &format!("(«{STDDEV}» > 5)"));
    check(&format!("{SUM_RATE} or vector(0)"), &format!("(«{SUM_RATE}» or vector(0))"));
    check(&format!(r#"label_replace({RATE}, "c", "$1", "d", "(.*)")"#), &format!("label_replace(«{RATE}»)"));
    // One label set may come from two streams.
    let dropped = r#"rate({a="b"} | drop c [5m])"#;
    check(&format!("sum({dropped})"), &format!("«sum({dropped})»"));
    check(&format!("count({dropped})"), &format!("count(sum without () («{dropped}»))"));
    check(&format!("max({dropped})"), &format!("max(sum without () («{dropped}»))"));
    check(&format!("count({MAX} by (d))"), &format!("count(«{MAX} by (d)»)"));
    check(&format!("count({MAX} by ())"), &format!("«count({MAX} by ())»"));
}

#[test]
fn averages_are_quotients() {
    let check = |query: &str, expected: &str| check(query, Plan::over_steps, expected);
    check(&format!("avg by (d) ({RATE})"), &format!("«sum/count by (d) {RATE}»"));
    check(&format!("avg({AVG})"), &format!("«sum/count by () {AVG}»"));
    check(&format!("avg({SUM_RATE})"), &format!("avg(«{SUM_RATE}»)"));
    check(AVG, &format!("«{AVG}»"));
    check(&format!("{AVG} without ()"), &format!("«{AVG} without ()»"));
    let sum = |grouping: &str| format!(r#"«sum {grouping} (sum_over_time({{a="b"}} | unwrap c [5m]))»"#);
    let count = |grouping: &str| format!(r#"«sum {grouping} (count_over_time({{a="b"}} [5m]))»"#);
    check(&format!("{AVG} by (d)"), &format!("({} / {})", sum("by (d)"), count("by (d)")));
    check(&format!("{AVG} by ()"), &format!("({} / {})", sum(""), count("")));
    check(&format!("{AVG} without (d)"), &format!("({} / {})", sum("without (d)"), count("without (d, c)")));
    check(&format!("topk(2, {AVG} by (d))"), &format!("topk(2, ({} / {}))", sum("by (d)"), count("by (d)")));
    check(&format!("max({AVG} by (d))"), &format!("max(({} / {}))", sum("by (d)"), count("by (d)")));
    // A filter behind `unwrap` goes with it, one before stays; so does an offset.
    check(
        r#"avg_over_time({a="b"} | e="f" | unwrap duration(c) | __error__="" [5m] offset 1m) by (d)"#,
        r#"(«sum by (d) (sum_over_time({a="b"} | e="f" | unwrap duration(c) | __error__="" [5m] offset 1m0s))»
            / «sum by (d) (count_over_time({a="b"} | e="f" [5m] offset 1m0s))»)"#,
    );
    // Where labels go the samples of several streams are one series.
    check(
        r#"avg_over_time({a="b"} | keep c | unwrap c [5m])"#,
        r#"(«sum without () (sum_over_time({a="b"} | keep c | unwrap c [5m]))»
            / «sum without (c) (count_over_time({a="b"} | keep c [5m]))»)"#,
    );
}

#[test]
fn long_windows_are_asked_for_hour_by_hour() {
    let check = |query: &str, expected: &str| check(query, Plan::at_instant, expected);
    let whole = |query: &str| check(query, &format!("«{}»", parse(query).unwrap()));
    // Not longer than an hour, or the same either way.
    whole(r#"max(count_over_time({a="b"}[1h]))"#);
    whole(r#"sum by (c) (count_over_time({a="b"} | json [2h]))"#);
    whole(r#"sum(rate({a="b"}[2h]))"#);
    whole(r#"max(max_over_time({a="b"} | unwrap c [2h]))"#);
    whole(r#"max(count_over_time({a="b"}[30d2h]))"#);
    whole(r#"max(rate({a="b"} | json [2h]))"#);
    check(r#"topk(2, count_over_time({a="b"}[2h]))"#, r#"topk(2, «count_over_time({a="b"}[2h])»)"#);
    check(r#"count(count_over_time({a="b"}[2h]))"#, r#"count(«count_over_time({a="b"}[2h])»)"#);
    // Each hour's largest, added up.
    check(
        r#"max(count_over_time({a="b"}[2h30m] offset 5m))"#,
        r#"max(sum without () («max(count_over_time({a="b"}[30m] offset 2h5m0s))»
            ++ «max(count_over_time({a="b"}[1h] offset 1h5m0s))» ++ «max(count_over_time({a="b"}[1h] offset 5m0s))»))"#,
    );
    // With a parser they are not added up.
    check(
        r#"max by (c) (count_over_time({a="b"} | logfmt [2h]))"#,
        r#"max by (c) («max by (c) (count_over_time({a="b"} | logfmt [1h] offset 1h0m0s))»
            ++ «max by (c) (count_over_time({a="b"} | logfmt [1h]))»)"#,
    );
    check(
        r#"avg by (c) (rate({a="b"}[2h]))"#,
        r#"avg by (c) ((sum without () («sum/count by (c) count_over_time({a="b"}[1h] offset 1h0m0s)»
            ++ «sum/count by (c) count_over_time({a="b"}[1h])») / 7200))"#,
    );
    check(
        r#"sum by (c) (max_over_time({a="b"} | unwrap d [2h]))"#,
        r#"sum by (c) (max without () («sum by (c) (max_over_time({a="b"} | unwrap d [1h] offset 1h0m0s))»
            ++ «sum by (c) (max_over_time({a="b"} | unwrap d [1h]))»))"#,
    );
    check(
        r#"sum by (c) (label_replace(count_over_time({a="b"}[2h]), "c", "$1", "a", "(.*)"))"#,
        r#"sum by (c) (label_replace(sum without () (
            sum by (c) (label_replace(«count_over_time({a="b"}[1h] offset 1h0m0s)»))
            ++ sum by (c) (label_replace(«count_over_time({a="b"}[1h])»)))))"#,
    );
    // An operator is split where both its sides are.
    check(r#"sum(count_over_time({a="b"}[2h])) / 5"#, r#"(«sum(count_over_time({a="b"}[2h]))» / 5)"#);
    check(
        r#"min(count_over_time({a="b"}[2h])) / max(count_over_time({a="b"}[5m]))"#,
        r#"(«min(count_over_time({a="b"}[2h]))» / «max(count_over_time({a="b"}[5m]))»)"#,
    );
    check(r#"min(count_over_time({a="b"}[2h])) or vector(0)"#, r#"(«min(count_over_time({a="b"}[2h]))» or vector(0))"#);
}
