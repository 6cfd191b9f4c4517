//! `/api/v1/query`, `/api/v1/query_range`, and what kind of server this is.

use std::collections::BTreeMap;

use axum::Extension;
use axum::extract::State as Shared;
use axum::response::Response;
use model::any::json_string;
use model::{Labels, Sample, TenantId};
use query::promql::{self, Answer, HistogramRow, Value};

use super::envelope::{self, Notes, push_array, push_object};
use super::histogram_json::push_histogram;
use super::params::{Params, bad};
use super::view::View;
use crate::error::Fault;
use crate::number::{push_seconds, push_value};
use crate::{State, clock};

/// Most points of one series in one answer, as in Prometheus: a screen has no more pixels.
const POINTS_MAX: i64 = 11_000;

pub(super) async fn instant(
    Shared(state): Shared<State>,
    Extension(tenant): Extension<TenantId>,
    params: Params,
) -> Response {
    super::answer("instant", async {
        let text = params.required("query")?.to_owned();
        let at_ms = params.time_ms("time")?.unwrap_or_else(clock::now_ms);
        let limit = params.limit()?;
        let lookback_ms = lookback_ms(&state, &params)?;
        let store = state.store.clone();
        let answered = state.queries.run(params.timeout()?, move |budget| {
            let expr = promql::parse(&text)?;
            let view = View::of(&store, &tenant)?;
            let options = promql::Options { lookback_ms, budget: budget.clone() };
            let answer = promql::instant(&view, &expr, at_ms, &options)?;
            Ok(render(answer, limit))
        });
        answered.await
    })
    .await
}

pub(super) async fn range(
    Shared(state): Shared<State>,
    Extension(tenant): Extension<TenantId>,
    params: Params,
) -> Response {
    super::answer("range", async {
        let text = params.required("query")?.to_owned();
        params.required("start")?;
        params.required("end")?;
        let range = params.range()?;
        params.required("step")?;
        let step_ms = params.duration_ms("step")?.unwrap_or_default();
        if step_ms <= 0 {
            return Err(bad(
                "step",
                "zero or negative query resolution step widths are not accepted. Try a positive integer",
            ));
        }
        if (range.end_ms - range.start_ms) / step_ms > POINTS_MAX {
            return Err(Fault::invalid(
                "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)",
            ));
        }
        let limit = params.limit()?;
        let lookback_ms = lookback_ms(&state, &params)?;
        let store = state.store.clone();
        let answered = state.queries.run(params.timeout()?, move |budget| {
            let expr = promql::parse(&text)?;
            let view = View::of(&store, &tenant)?;
            let options = promql::Options { lookback_ms, budget: budget.clone() };
            let answer = promql::range(&view, &expr, range.start_ms, range.end_ms, step_ms, &options)?;
            Ok(render(answer, limit))
        });
        answered.await
    })
    .await
}

/// An expression in its canonical form.
pub(super) async fn format_query(params: Params) -> Response {
    super::answer("format_query", async {
        let expr = promql::parse(params.required("query")?)?;
        let mut data = String::new();
        json_string(&promql::format(&expr), &mut data);
        Ok(envelope::success(&data, &Notes::default()))
    })
    .await
}

/// Grafana reads this to learn what it talks to.
pub(super) async fn build_info(Shared(state): Shared<State>) -> Response {
    let mut data = String::new();
    let pairs = [
        ("application", "Binnacle"),
        ("version", state.settings.version),
        ("revision", ""),
        ("branch", ""),
        ("buildUser", ""),
        ("buildDate", ""),
        ("goVersion", ""),
    ];
    push_object(pairs, &mut data);
    envelope::success(&data, &Notes::default())
}

fn lookback_ms(state: &State, params: &Params) -> Result<i64, Fault> {
    match params.duration_ms("lookback_delta")? {
        Some(ms) if ms > 0 => Ok(ms),
        Some(_) => Err(bad("lookback_delta", "it must be positive")),
        None => Ok(i64::try_from(state.settings.lookback.as_millis()).unwrap_or(i64::MAX)),
    }
}

fn render(answer: Answer, limit: usize) -> Response {
    let mut data = String::new();
    let truncated = push_result(&answer.value, &answer.histograms, limit, &mut data);
    let mut notes = Notes { warnings: answer.warnings, infos: answer.infos };
    if truncated {
        notes.warnings.push("results truncated due to limit".into());
    }
    envelope::success(&data, &notes)
}

/// Writes `{"resultType":…,"result":…}`; tells whether series were left out for the limit.
fn push_result(value: &Value, histograms: &[HistogramRow], limit: usize, out: &mut String) -> bool {
    let kind = match value {
        Value::Scalar(_) => "scalar",
        Value::String { .. } => "string",
        Value::Vector(_) => "vector",
        Value::Matrix(_) => "matrix",
    };
    out.push_str("{\"resultType\":\"");
    out.push_str(kind);
    out.push_str("\",\"result\":");
    let series = match value {
        Value::Scalar(sample) => {
            push_sample(sample, out);
            0
        }
        Value::String { at_ms, text } => {
            out.push('[');
            push_seconds(*at_ms, out);
            out.push(',');
            json_string(text, out);
            out.push(']');
            0
        }
        Value::Vector(elements) => {
            let series = elements.len() + histograms.len();
            let floats = elements.iter().map(|(labels, sample)| (labels, Some(sample), &[][..]));
            let histograms = histograms.iter().map(|(labels, points)| (labels, None, &points[..]));
            push_array(floats.chain(histograms).take(limit), out, |(labels, sample, points), out| {
                push_metric(labels, out);
                if let Some(sample) = sample {
                    out.push_str(",\"value\":");
                    push_sample(sample, out);
                }
                for (at_ms, histogram) in points {
                    out.push_str(",\"histogram\":");
                    push_histogram(*at_ms, histogram, out);
                }
                out.push('}');
            });
            series
        }
        Value::Matrix(rows) => {
            // By labels: a series that changed its form has both kinds of points in one row.
            let mut merged: BTreeMap<&Labels, (&[Sample], &[_])> = BTreeMap::new();
            for (labels, samples) in rows {
                merged.entry(labels).or_default().0 = samples;
            }
            for (labels, points) in histograms {
                merged.entry(labels).or_default().1 = points;
            }
            push_array(merged.iter().take(limit), out, |(labels, (samples, points)), out| {
                push_metric(labels, out);
                if !samples.is_empty() || points.is_empty() {
                    out.push_str(",\"values\":");
                    push_array(*samples, out, push_sample);
                }
                if !points.is_empty() {
                    out.push_str(",\"histograms\":");
                    push_array(*points, out, |(at_ms, histogram), out| push_histogram(*at_ms, histogram, out));
                }
                out.push('}');
            });
            merged.len()
        }
    };
    out.push('}');
    series > limit
}

fn push_metric(labels: &Labels, out: &mut String) {
    out.push_str("{\"metric\":");
    push_object(labels.iter(), out);
}

fn push_sample(sample: &Sample, out: &mut String) {
    out.push('[');
    push_seconds(sample.at_ms, out);
    out.push_str(",\"");
    push_value(sample.value, out);
    out.push_str("\"]");
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use model::Histogram;

    use super::*;

    #[track_caller]
    fn check(value: Value, limit: usize, expected: &str) {
        check_with(value, &[], limit, expected);
    }

    #[track_caller]
    fn check_with(value: Value, histograms: &[HistogramRow], limit: usize, expected: &str) {
        let mut out = String::new();
        push_result(&value, histograms, limit, &mut out);
        assert_eq!(out, expected);
        serde_json::from_str::<serde_json::Value>(&out).expect("it is JSON");
    }

    #[test]
    fn results_have_prometheus_shapes() {
        let sample = |at_ms, value| Sample { at_ms, value };
        let labels = Labels::from_pairs([("__name__", "up"), ("job", "a\"b\n")]);
        check(Value::Scalar(sample(1_500, 2.0)), 9, r#"{"resultType":"scalar","result":[1.500,"2"]}"#);
        check(Value::String { at_ms: 0, text: "a\"".into() }, 9, r#"{"resultType":"string","result":[0,"a\""]}"#);
        check(
            Value::Vector(vec![(labels.clone(), sample(1_000, f64::NAN)), (Labels::default(), sample(0, 1.0))]),
            1,
            r#"{"resultType":"vector","result":[{"metric":{"__name__":"up","job":"a\"b\n"},"value":[1,"NaN"]}]}"#,
        );
        check(
            Value::Matrix(vec![(Labels::default(), vec![sample(0, 1.0), sample(60_000, f64::INFINITY)])]),
            9,
            r#"{"resultType":"matrix","result":[{"metric":{},"values":[[0,"1"],[60,"+Inf"]]}]}"#,
        );
        check(Value::Vector(vec![]), 9, r#"{"resultType":"vector","result":[]}"#);
    }

    #[test]
    fn histograms_stand_beside_floats() {
        let histogram = Arc::new(Histogram {
            schema: 0,
            zero_threshold: 0.5,
            zero_count: 1.0,
            count: 7.0,
            sum: 2.5,
            positive: vec![(1, 2.0), (2, 0.0), (3, 3.0)],
            negative: vec![(1, 1.0)],
        });
        let shown = concat!(
            r#"{"count":"7","sum":"2.5","buckets":[[1,"-2","-1","1"],[3,"-0.5","0.5","1"],"#,
            r#"[0,"1","2","2"],[0,"4","8","3"]]}"#
        );
        let bare = Arc::new(Histogram { count: 1.0, sum: f64::NAN, ..Histogram::default() });
        let (a, b) = (Labels::from_pairs([("a", "1")]), Labels::from_pairs([("b", "1")]));
        let one = Sample { at_ms: 0, value: 1.0 };
        check_with(
            Value::Vector(vec![(b.clone(), one)]),
            &[(a.clone(), vec![(1_500, histogram.clone())])],
            9,
            &format!(
                r#"{{"resultType":"vector","result":[{{"metric":{{"b":"1"}},"value":[0,"1"]}},{{"metric":{{"a":"1"}},"histogram":[1.500,{shown}]}}]}}"#
            ),
        );
        check_with(
            Value::Matrix(vec![(a.clone(), vec![one])]),
            &[(a, vec![(60_000, histogram)]), (b, vec![(0, bare)])],
            9,
            &format!(
                r#"{{"resultType":"matrix","result":[{{"metric":{{"a":"1"}},"values":[[0,"1"]],"histograms":[[60,{shown}]]}},{{"metric":{{"b":"1"}},"histograms":[[0,{{"count":"1","sum":"NaN"}}]]}}]}}"#
            ),
        );
    }
}
