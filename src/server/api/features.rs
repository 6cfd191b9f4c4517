//! `/api/v1/features`: what the server can, under the names that Prometheus gives its own (`util/features`), so that clients need not
//! guess it from a version. Of the language all that Prometheus has behind flags is on.

use std::collections::BTreeMap;

use axum::extract::State as Shared;
use axum::response::Response;
use codec::otlp::Delta;
use model::any::json_string;
use query::promql::completion::{callables, operators};

use super::envelope::{self, Notes};
use crate::State;

const FIXED: [(&str, &[(&str, bool)]); 5] = [
    (
        "api",
        &[
            ("admin", false),
            ("exclude_alerts", true),
            ("label_values_match", true),
            ("lifecycle", false),
            ("otlp_write_receiver", true),
            ("query_stats", true),
            ("query_warnings", true),
            ("remote_write_receiver", true),
            ("time_range_labels", true),
            ("time_range_series", true),
        ],
    ),
    (
        "promql",
        &[
            ("anchored", true),
            ("at_modifier", true),
            ("bool", true),
            ("by", true),
            ("delayed_name_removal", true),
            ("duration_expr", true),
            ("experimental_functions", true),
            ("fill", true),
            ("fill_left", true),
            ("fill_right", true),
            ("group_left", true),
            ("group_right", true),
            ("ignoring", true),
            ("negative_offset", true),
            ("offset", true),
            ("on", true),
            ("per_query_lookback_delta", true),
            ("smoothed", true),
            ("subqueries", true),
            ("without", true),
        ],
    ),
    // Of matchers and modifiers: what Prometheus counts among the operators.
    ("promql_operators", &[("=~", true), ("!~", true), ("@", true)]),
    ("rules", &[("keep_firing_for", true), ("query_offset", true)]),
    ("tsdb", &[("exemplars", true), ("native_histograms", true), ("out_of_order_ingestion", true)]),
];

pub(super) async fn features(Shared(state): Shared<State>) -> Response {
    let mut all: BTreeMap<&str, BTreeMap<&str, bool>> =
        FIXED.into_iter().map(|(category, features)| (category, features.iter().copied().collect())).collect();
    let delta = state.settings.metrics.delta;
    all.entry("otlp_receiver")
        .or_default()
        .extend([("delta_conversion", delta == Delta::Cumulative), ("native_delta_ingestion", delta == Delta::AsIs)]);
    for callable in callables() {
        let category = if callable.aggregates { "promql_operators" } else { "promql_functions" };
        all.entry(category).or_default().insert(callable.name, true);
    }
    all.entry("promql_operators").or_default().extend(operators().map(|operator| (operator, true)));
    let mut data = String::from("{");
    for (index, (category, features)) in all.into_iter().enumerate() {
        data.push_str(if index == 0 { "" } else { "," });
        json_string(category, &mut data);
        data.push(':');
        for (index, (name, is_on)) in features.into_iter().enumerate() {
            data.push(if index == 0 { '{' } else { ',' });
            json_string(name, &mut data);
            data.push_str(if is_on { ":true" } else { ":false" });
        }
        data.push('}');
    }
    data.push('}');
    envelope::success(&data, &Notes::default())
}
