//! Expressions as such: `/api/v1/format_query` and `/api/v1/parse_query`.

use axum::response::Response;
use model::any::json_string;
use model::{MatchOp, Matcher};
use query::promql::{self, Tree, TreeAt, TreeKind, TreeMatching, TreeSelector};

use super::envelope::{self, Notes, push_array, push_strings};
use super::params::{Params, bad_query};
use crate::number::{push_finite, push_fixed};

/// An expression in its canonical form, over several lines where it is long.
pub(super) async fn format_query(params: Params) -> Response {
    super::answer("format_query", async {
        let expr = promql::parse(params.query()).map_err(bad_query)?;
        let mut data = String::new();
        json_string(&promql::pretty(&expr), &mut data);
        Ok(envelope::success(&data, &Notes::default()))
    })
    .await
}

/// An expression's tree, as Prometheus' own page reads it (web/api/v1/translate_ast.go).
pub(super) async fn parse_query(params: Params) -> Response {
    super::answer("parse_query", async {
        let expr = promql::parse(params.query()).map_err(bad_query)?;
        let mut data = String::new();
        push_tree(promql::tree(&expr), &mut data);
        Ok(envelope::success(&data, &Notes::default()))
    })
    .await
}

/// As deep as the parser lets an expression be.
fn push_tree(tree: Tree<'_>, out: &mut String) {
    match tree.kind() {
        TreeKind::Number(value) => {
            out.push_str("{\"type\":\"numberLiteral\",\"val\":\"");
            push_fixed(value, out);
            out.push_str("\"}");
        }
        TreeKind::Text(text) => {
            out.push_str("{\"type\":\"stringLiteral\",\"val\":");
            json_string(text, out);
            out.push('}');
        }
        TreeKind::Paren(inner) => {
            out.push_str("{\"type\":\"parenExpr\",\"expr\":");
            push_tree(inner, out);
            out.push('}');
        }
        TreeKind::Unary { op, expr } => {
            open("unaryExpr", op, out);
            out.push_str(",\"expr\":");
            push_tree(expr, out);
            out.push('}');
        }
        TreeKind::Binary { op, lhs, rhs, matching, return_bool } => {
            open("binaryExpr", op, out);
            out.push_str(",\"lhs\":");
            push_tree(lhs, out);
            out.push_str(",\"rhs\":");
            push_tree(rhs, out);
            out.push_str(",\"matching\":");
            match matching {
                Some(matching) => push_matching(&matching, out),
                None => out.push_str("null"),
            }
            push_bool(",\"bool\":", return_bool, out);
            out.push('}');
        }
        TreeKind::Call { function, args } => {
            out.push_str("{\"type\":\"call\",\"func\":{\"name\":");
            json_string(function.name, out);
            out.push_str(",\"argTypes\":");
            push_strings(function.arg_types, out);
            push_int(",\"variadic\":", function.variadic, out);
            out.push_str(",\"returnType\":");
            json_string(function.return_type, out);
            out.push_str("},\"args\":");
            push_array(args, out, push_tree);
            out.push('}');
        }
        TreeKind::Aggregate { op, expr, param, grouping, without } => {
            open("aggregation", op, out);
            out.push_str(",\"expr\":");
            push_tree(expr, out);
            out.push_str(",\"param\":");
            match param {
                Some(param) => push_tree(param, out),
                None => out.push_str("null"),
            }
            out.push_str(",\"grouping\":");
            push_strings(grouping.iter().map(String::as_str), out);
            push_bool(",\"without\":", without, out);
            out.push('}');
        }
        TreeKind::Vector(selector) => {
            out.push_str("{\"type\":\"vectorSelector\"");
            push_selector(&selector, out);
            out.push('}');
        }
        TreeKind::Matrix { selector, range_ms } => {
            out.push_str("{\"type\":\"matrixSelector\"");
            push_int(",\"range\":", range_ms, out);
            push_selector(&selector, out);
            out.push('}');
        }
        TreeKind::Subquery { expr, range_ms, step_ms, offset_ms, at } => {
            out.push_str("{\"type\":\"subquery\",\"expr\":");
            push_tree(expr, out);
            push_int(",\"range\":", range_ms, out);
            push_int(",\"offset\":", offset_ms, out);
            push_int(",\"step\":", step_ms, out);
            push_at(at, out);
            out.push('}');
        }
    }
}

fn open(kind: &str, op: &str, out: &mut String) {
    out.push_str("{\"type\":");
    json_string(kind, out);
    out.push_str(",\"op\":");
    json_string(op, out);
}

fn push_selector(selector: &TreeSelector<'_>, out: &mut String) {
    out.push_str(",\"name\":");
    json_string(selector.name, out);
    push_int(",\"offset\":", selector.offset_ms, out);
    out.push_str(",\"matchers\":");
    push_array(selector.matchers, out, push_matcher);
    push_at(selector.at, out);
    push_bool(",\"anchored\":", selector.anchored, out);
    push_bool(",\"smoothed\":", selector.smoothed, out);
}

fn push_matcher(matcher: &Matcher, out: &mut String) {
    let op = match matcher.op {
        MatchOp::Equal => "=",
        MatchOp::NotEqual => "!=",
        MatchOp::Regex => "=~",
        MatchOp::NotRegex => "!~",
    };
    envelope::push_object([("name", &*matcher.name), ("value", &matcher.value), ("type", op)], out);
}

fn push_matching(matching: &TreeMatching<'_>, out: &mut String) {
    out.push_str("{\"card\":");
    json_string(matching.cardinality, out);
    out.push_str(",\"labels\":");
    push_strings(matching.labels.iter().map(String::as_str), out);
    push_bool(",\"on\":", matching.on, out);
    out.push_str(",\"include\":");
    push_strings(matching.include.iter().map(String::as_str), out);
    for (key, fill) in [(",\"fillValues\":{\"lhs\":", matching.fill_left), (",\"rhs\":", matching.fill_right)] {
        out.push_str(key);
        match fill.filter(|fill| fill.is_finite()) {
            Some(fill) => push_finite(fill, out),
            None => out.push_str("null"),
        }
    }
    out.push_str("}}");
}

fn push_at(at: TreeAt, out: &mut String) {
    let (at_ms, word) = match at {
        TreeAt::None => (None, "null"),
        TreeAt::Ms(at_ms) => (Some(at_ms), "null"),
        TreeAt::Start => (None, "\"start\""),
        TreeAt::End => (None, "\"end\""),
    };
    match at_ms {
        Some(at_ms) => push_int(",\"timestamp\":", at_ms, out),
        None => out.push_str(",\"timestamp\":null"),
    }
    out.push_str(",\"startOrEnd\":");
    out.push_str(word);
}

fn push_int(key: &str, value: i64, out: &mut String) {
    out.push_str(key);
    out.push_str(&value.to_string());
}

fn push_bool(key: &str, value: bool, out: &mut String) {
    out.push_str(key);
    out.push_str(if value { "true" } else { "false" });
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Value) {
        let mut out = String::new();
        push_tree(promql::tree(&promql::parse(text).unwrap()), &mut out);
        let found: Value = serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}"));
        assert_eq!(found, expected, "{text}");
    }

    fn vector(name: &str) -> Value {
        json!({
            "type": "vectorSelector", "name": name, "offset": 0, "timestamp": null, "startOrEnd": null,
            "matchers": [{"name": "__name__", "value": name, "type": "="}], "anchored": false, "smoothed": false,
        })
    }

    #[test]
    fn trees_have_prometheus_shapes() {
        check("-1.50", json!({"type": "numberLiteral", "val": "-1.5"}));
        check("-up", json!({"type": "unaryExpr", "op": "-", "expr": vector("up")}));
        check("1e21", json!({"type": "numberLiteral", "val": "1000000000000000000000"}));
        check("(\"x\\\"y\")", json!({"type": "parenExpr", "expr": {"type": "stringLiteral", "val": "x\"y"}}));
        check("up", vector("up"));
        check(
            "topk without (a) (2, up)",
            json!({
                "type": "aggregation", "op": "topk", "expr": vector("up"), "param": {"type": "numberLiteral", "val": "2"},
                "grouping": ["a"], "without": true,
            }),
        );
        check(
            "a + on (x) group_left (y) b",
            json!({
                "type": "binaryExpr", "op": "+", "lhs": vector("a"), "rhs": vector("b"), "bool": false,
                "matching": {
                    "card": "many-to-one", "labels": ["x"], "on": true, "include": ["y"],
                    "fillValues": {"lhs": null, "rhs": null},
                },
            }),
        );
        check(
            "1 > bool 2",
            json!({
                "type": "binaryExpr", "op": ">", "bool": true, "matching": null,
                "lhs": {"type": "numberLiteral", "val": "1"}, "rhs": {"type": "numberLiteral", "val": "2"},
            }),
        );
        check(
            "rate(up{a!~\"b\"}[5m] offset 1m @ start())",
            json!({
                "type": "call",
                "func": {"name": "rate", "argTypes": ["matrix"], "variadic": 0, "returnType": "vector"},
                "args": [{
                    "type": "matrixSelector", "name": "up", "range": 300_000, "offset": 60_000, "timestamp": null,
                    "startOrEnd": "start", "anchored": false, "smoothed": false,
                    "matchers": [
                        {"name": "a", "value": "b", "type": "!~"}, {"name": "__name__", "value": "up", "type": "="},
                    ],
                }],
            }),
        );
        check(
            "up[1h:5m] @ 1.5",
            json!({
                "type": "subquery", "expr": vector("up"), "range": 3_600_000, "offset": 0, "step": 300_000,
                "timestamp": 1_500, "startOrEnd": null,
            }),
        );
    }
}
