//! `&explain=1`: what each node of a query cost, as a tree beside the data.

use std::fmt::Write as _;

use model::any::json_string;
use query::promql::{Detail, Explain};

use super::envelope::push_array;
use super::params::Params;

/// What the parameters `explain` (anything but `0` and `false`) and `stats` (`all`) ask for.
pub(super) fn detail(params: &Params) -> Detail {
    let explain = params.get("explain").is_some_and(|value| !matches!(value, "0" | "false"));
    Detail { explain, per_step: params.get("stats") == Some("all") }
}

/// Writes `{"expr":…,"kind":…,"steps":…,"series":…,"chunks":…,"samples":…,"bytes":…,"ms":…,"children":[…]}`; every number
/// includes the children's.
pub(super) fn push_explain(node: &Explain, out: &mut String) {
    out.push_str("{\"expr\":");
    json_string(&node.expr, out);
    // Writing to a String cannot fail.
    _ = write!(
        out,
        ",\"kind\":\"{}\",\"steps\":{},\"series\":{},\"chunks\":{},\"samples\":{},\"bytes\":{},\"ms\":{:.3},\"children\":",
        node.kind,
        node.steps,
        node.series,
        node.chunks,
        node.samples,
        node.bytes,
        node.time.as_secs_f64() * 1e3,
    );
    push_array(&node.children, out, push_explain);
    out.push('}');
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_tree_is_json() {
        let leaf = Explain {
            expr: "x[5m]".into(),
            kind: "range",
            steps: 2,
            series: 3,
            chunks: 4,
            samples: 5,
            bytes: 6,
            time: Duration::from_micros(1_500),
            children: vec![],
        };
        let expr = "rate(x[5m]) # \"".into();
        let mut out = String::new();
        push_explain(&Explain { expr, kind: "call", children: vec![leaf.clone()], ..leaf }, &mut out);
        assert_eq!(
            out,
            concat!(
                r#"{"expr":"rate(x[5m]) # \"","kind":"call","steps":2,"series":3,"chunks":4,"samples":5,"bytes":6,"ms":1.500,"#,
                r#""children":[{"expr":"x[5m]","kind":"range","steps":2,"series":3,"chunks":4,"samples":5,"bytes":6,"ms":1.500,"#,
                r#""children":[]}]}"#
            )
        );
        serde_json::from_str::<serde_json::Value>(&out).expect("it is JSON");
    }
}
