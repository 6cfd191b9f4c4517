//! `/labels`, `/label/<name>/values`, `/series`, `/detected_labels`: what streams there are.

use std::collections::{BTreeMap, BTreeSet};

use axum::extract::Path;
use axum::response::Response;
use model::any::json_string;
use model::{Labels, Matcher, NsRange, go_regex};
use query::logql::{self, Expr};

use super::params::{bounds, check_length};
use super::{answer, fault, json, length_max_ns, result_json};
use crate::api::envelope::push_array;
use crate::api::params::Call;
use crate::api::view::View;
use crate::clock;
use crate::error::Fault;

/// Labels that Logs Drilldown shows whatever their values look like.
const ALWAYS_SHOWN: [&str; 4] = ["cluster", "namespace", "instance", "pod"];

/// The matchers of a selector; a pipeline behind it is refused. `{}` and nothing at all take every stream.
pub(super) fn selector(text: &str) -> Result<Vec<Matcher>, Fault> {
    let bare = text.trim();
    if bare.is_empty() || bare.strip_prefix('{').is_some_and(|rest| rest.trim() == "}") {
        return Ok(Vec::new());
    }
    match logql::parse_selector(bare) {
        Ok(matchers) => Ok(matchers.into_iter().map(|matcher| matcher.matcher).collect()),
        // A query says better what is wrong with it.
        Err(_) => match super::query::parse(bare)? {
            Expr::Log(_) | Expr::Metric(_) => Err(Fault::invalid("only label matchers are supported")),
        },
    }
}

/// The streams that a request asks about: `query`, or any of `match[]`, between `start` and `end`.
async fn asked(Call { state, tenant, params }: Call) -> Result<Vec<Labels>, Fault> {
    let asked = bounds(&params, clock::now_ns())?;
    let texts = params.get("query").into_iter().chain(params.all("match[]")).chain(params.all("match"));
    let selectors: Vec<Vec<Matcher>> = go_regex::together(|| texts.map(selector).collect::<Result<_, Fault>>())?;
    check_length(asked, length_max_ns(&state))?;
    let store = state.store.clone();
    let work = move |budget: &query::Budget| {
        let view = View::of(&store, &tenant)?;
        // The end is included where labels are asked for.
        let range = NsRange { start_ns: asked.start_ns, end_ns: asked.end_ns.saturating_add(1) };
        logql::streams(view.snapshot(), &selectors, range, budget).map_err(fault)
    };
    state.queries.run(None, work).await
}

pub(super) async fn labels(call: Call) -> Response {
    answer("loki_labels", async {
        let streams = asked(call).await?;
        let names: BTreeSet<&str> = streams.iter().flat_map(|labels| labels.iter().map(|(name, _)| name)).collect();
        let names: Vec<String> = names.into_iter().map(str::to_owned).collect();
        Ok(json(result_json::list(&names)))
    })
    .await
}

pub(super) async fn label_values(Path(name): Path<String>, call: Call) -> Response {
    answer("loki_label_values", async {
        let streams = asked(call).await?;
        let values: BTreeSet<&str> = streams.iter().filter_map(|labels| labels.get(&name)).collect();
        let values: Vec<String> = values.into_iter().map(str::to_owned).collect();
        Ok(json(result_json::list(&values)))
    })
    .await
}

pub(super) async fn series(call: Call) -> Response {
    answer("loki_series", async { Ok(json(result_json::label_sets(&asked(call).await?))) }).await
}

pub(super) async fn detected_labels(call: Call) -> Response {
    answer("loki_detected_labels", async {
        let streams = asked(call).await?;
        let mut values: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for (name, value) in streams.iter().flat_map(Labels::iter) {
            values.entry(name).or_default().insert(value);
        }
        // A label of nothing but ids is no place to start from.
        values.retain(|name, values| ALWAYS_SHOWN.contains(name) || !values.iter().all(|value| is_id(value)));
        let mut out = String::from("{\"detectedLabels\":");
        push_array(values, &mut out, |(name, values), out| {
            out.push_str("{\"label\":");
            json_string(name, out);
            out.push_str(&format!(",\"cardinality\":{}}}", values.len()));
        });
        out.push('}');
        Ok(json(out))
    })
    .await
}

/// A number or a UUID.
fn is_id(text: &str) -> bool {
    let is_uuid = || {
        text.len() == 36
            && text.bytes().enumerate().all(|(at, byte)| match at {
                8 | 13 | 18 | 23 => byte == b'-',
                _ => byte.is_ascii_hexdigit(),
            })
    };
    text.parse::<f64>().is_ok() || is_uuid()
}
