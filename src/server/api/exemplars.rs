//! `/api/v1/query_exemplars`: the exemplars of every series that a query's selectors find.

use std::collections::BTreeMap;

use axum::Extension;
use axum::extract::State as Shared;
use axum::response::Response;
use model::{Exemplar, Labels, SeriesId, TenantId};
use query::promql::{self, Source};

use super::envelope::push_object;
use super::params::Params;
use super::pieces::Pieces;
use super::view::View;
use crate::error::Fault;
use crate::number::{push_seconds, push_value};
use crate::{State, clock};

/// Series whose exemplars are read together.
const SERIES_AT_ONCE: usize = 256;

pub(super) async fn query_exemplars(
    Shared(state): Shared<State>,
    Extension(tenant): Extension<TenantId>,
    params: Params,
) -> Response {
    super::answer("exemplars", async {
        let range = params.range()?;
        if range.end_ms < range.start_ms {
            return Err(Fault::invalid("end timestamp must not be before start timestamp"));
        }
        let text = params.query().to_owned();
        let queries = state.queries.clone();
        let answered = queries.run(params.timeout()?, move |budget| {
            // Prometheus does not name the parameter here.
            let expr = promql::parse(&text).map_err(|error| Fault::invalid(error.to_string()))?;
            let selectors = promql::selectors(&expr);
            state.asked_metrics.note(&tenant, &selectors, clock::now_ms());
            let view = View::of(&state.store, &tenant)?;
            let series_max = usize::try_from(budget.series_max).unwrap_or(usize::MAX);
            // A series that several selectors find is answered once.
            let mut found: BTreeMap<Labels, SeriesId> = BTreeMap::new();
            for matchers in selectors {
                let series = Source::select(&view, matchers, range, series_max)?;
                found.extend(series.into_iter().map(|series| (series.labels, series.id)));
            }
            let found: Vec<(Labels, SeriesId)> = found.into_iter().collect();
            let mut rows: Vec<(Labels, Vec<Exemplar>)> = Vec::new();
            for some in found.chunks(SERIES_AT_ONCE) {
                budget.check()?;
                let ids: Vec<SeriesId> = some.iter().map(|(_, id)| *id).collect();
                let read = view.exemplars(&ids, range)?;
                let with = some.iter().zip(read).filter(|(_, exemplars)| !exemplars.is_empty());
                rows.extend(with.map(|((labels, _), exemplars)| (labels.clone(), exemplars)));
            }
            let before = "{\"status\":\"success\",\"data\":[".into();
            Pieces::list(before, rows.into_iter(), push_row, "]}".into()).begin(&state.queries, budget)
        });
        Ok(answered.await?.into_response())
    })
    .await
}

fn push_row((labels, exemplars): (Labels, Vec<Exemplar>), out: &mut String) {
    out.push_str("{\"seriesLabels\":");
    push_object(labels.iter(), out);
    out.push_str(",\"exemplars\":");
    super::envelope::push_array(&exemplars, out, |exemplar, out| {
        out.push_str("{\"labels\":");
        push_object(exemplar.labels.iter(), out);
        out.push_str(",\"value\":\"");
        push_value(exemplar.value, out);
        out.push_str("\",\"timestamp\":");
        push_seconds(exemplar.at_ms, out);
        out.push('}');
    });
    out.push('}');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_prometheus_shape() {
        let mut out = String::new();
        let labels = Labels::from_pairs([("__name__", "x_total"), ("job", "a")]);
        let told = Labels::from_pairs([("trace_id", "5b8e")]);
        push_row((labels, vec![Exemplar { at_ms: 1_600_096_945_479, value: 6.5, labels: told }]), &mut out);
        assert_eq!(
            out,
            r#"{"seriesLabels":{"__name__":"x_total","job":"a"},"exemplars":[{"labels":{"trace_id":"5b8e"},"value":"6.5","timestamp":1600096945.479}]}"#
        );
    }
}
