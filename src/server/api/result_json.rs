//! A query's answer as `{"resultType":…,"result":…}`, in pieces. Rows are let go of as they are written.

use std::iter::Peekable;
use std::sync::Arc;
use std::vec::IntoIter;

use model::any::json_string;
use model::{Histogram, Labels, Sample};
use query::promql::{Answer, HistogramRow, Value};

use super::envelope::{Notes, push_notes, push_object};
use super::explain::push_explain;
use super::histogram_json::push_histogram;
use super::pieces::Pieces;
use crate::number::{push_fixed, push_seconds, push_value};

/// Points written between two looks at the size of the piece.
const POINTS_AT_ONCE: usize = 500;

/// The whole envelope of an answer, at most `limit` series of it. `stats` is a JSON object, or empty.
pub(super) fn pieces(answer: Answer, limit: usize, stats: String) -> Pieces {
    let Answer { value, histograms, warnings, infos, explain, .. } = answer;
    let mut notes = Notes { warnings, infos };
    let (kind, series) = match &value {
        Value::Scalar(_) => ("scalar", 0),
        Value::String { .. } => ("string", 0),
        Value::Vector(elements) => ("vector", elements.len() + histograms.len()),
        Value::Matrix(rows) => ("matrix", count_of_labels(rows, &histograms)),
    };
    if series > limit {
        notes.warnings.push("results truncated due to limit".into());
    }
    let before = format!("{{\"status\":\"success\",\"data\":{{\"resultType\":\"{kind}\",\"result\":");
    let mut after = String::new();
    if !stats.is_empty() {
        after.push_str(",\"stats\":");
        after.push_str(&stats);
    }
    after.push('}');
    if let Some(explain) = &explain {
        after.push_str(",\"explain\":");
        push_explain(explain, &mut after);
    }
    push_notes(&notes, &mut after);
    after.push('}');

    match value {
        Value::Scalar(sample) => {
            // Written out with all its digits: in Prometheus too a scalar alone has no exponent.
            let push = |sample: Sample, out: &mut String| {
                out.push('[');
                push_seconds(sample.at_ms, out);
                out.push_str(",\"");
                push_fixed(sample.value, out);
                out.push_str("\"]");
            };
            Pieces::list(before, [sample].into_iter(), push, after)
        }
        Value::String { at_ms, text } => {
            let push = |(at_ms, text): (i64, String), out: &mut String| {
                out.push('[');
                push_seconds(at_ms, out);
                out.push(',');
                json_string(&text, out);
                out.push(']');
            };
            Pieces::list(before, [(at_ms, text)].into_iter(), push, after)
        }
        Value::Vector(elements) => {
            let floats = elements.into_iter().map(|(labels, sample)| (labels, Some(sample), Vec::new()));
            let histograms = histograms.into_iter().map(|(labels, points)| (labels, None, points));
            let elements = floats.chain(histograms).take(limit);
            Pieces::list(before + "[", elements, push_element, format!("]{after}"))
        }
        Value::Matrix(rows) => {
            let mut writer = MatrixWriter { rows: Rows::new(rows, histograms), left: limit, row: None, is_first: true };
            let mut before = Some(before + "[");
            Pieces::of(move |out| {
                if let Some(before) = before.take() {
                    out.push_str(&before);
                }
                let more = writer.write(out);
                if !more {
                    out.push(']');
                    out.push_str(&after);
                }
                more
            })
        }
    }
}

type Element = (Labels, Option<Sample>, Vec<(i64, Arc<Histogram>)>);

fn push_element((labels, sample, points): Element, out: &mut String) {
    push_metric(&labels, out);
    if let Some(sample) = sample {
        out.push_str(",\"value\":");
        push_sample(&sample, out);
    }
    for (at_ms, histogram) in points {
        out.push_str(",\"histogram\":");
        push_histogram(at_ms, &histogram, out);
    }
    out.push('}');
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

/// How many label sets two lists sorted by labels have together.
fn count_of_labels(rows: &[(Labels, Vec<Sample>)], histograms: &[HistogramRow]) -> usize {
    let both = histograms.iter().filter(|(labels, _)| rows.binary_search_by(|(known, _)| known.cmp(labels)).is_ok());
    rows.len() + histograms.len() - both.count()
}

/// Floats and histograms by label set: a series that changed its form has both kinds of points in one row.
struct Rows {
    floats: Peekable<IntoIter<(Labels, Vec<Sample>)>>,
    histograms: Peekable<IntoIter<HistogramRow>>,
}

impl Rows {
    fn new(rows: Vec<(Labels, Vec<Sample>)>, histograms: Vec<HistogramRow>) -> Rows {
        Rows { floats: rows.into_iter().peekable(), histograms: histograms.into_iter().peekable() }
    }
}

impl Iterator for Rows {
    type Item = (Labels, Vec<Sample>, Vec<(i64, Arc<Histogram>)>);

    fn next(&mut self) -> Option<Self::Item> {
        use std::cmp::Ordering::{Equal, Greater, Less};
        let order = match (self.floats.peek(), self.histograms.peek()) {
            (Some((left, _)), Some((right, _))) => left.cmp(right),
            (Some(_), None) => Less,
            (None, Some(_)) => Greater,
            (None, None) => return None,
        };
        let floats = if order == Greater { None } else { self.floats.next() };
        let histograms = if order == Less { None } else { self.histograms.next() };
        Some(match (order, floats, histograms) {
            (Equal, Some((labels, samples)), Some((_, points))) => (labels, samples, points),
            (_, Some((labels, samples)), _) => (labels, samples, Vec::new()),
            (_, None, Some((labels, points))) => (labels, Vec::new(), points),
            (_, None, None) => return None,
        })
    }
}

struct MatrixWriter {
    rows: Rows,
    /// Rows that may still be begun.
    left: usize,
    row: Option<Row>,
    is_first: bool,
}

/// A row whose labels are written.
struct Row {
    samples: IntoIter<Sample>,
    histograms: IntoIter<(i64, Arc<Histogram>)>,
    in_samples: bool,
    in_histograms: bool,
}

impl MatrixWriter {
    /// Writes a bit; false when all is written.
    fn write(&mut self, out: &mut String) -> bool {
        let Some(row) = &mut self.row else {
            if self.left == 0 {
                return false;
            }
            let Some((labels, samples, histograms)) = self.rows.next() else { return false };
            self.left -= 1;
            if !std::mem::take(&mut self.is_first) {
                out.push(',');
            }
            push_metric(&labels, out);
            let (samples, histograms) = (samples.into_iter(), histograms.into_iter());
            self.row = Some(Row { samples, histograms, in_samples: false, in_histograms: false });
            return true;
        };
        let mut points = 0;
        for sample in row.samples.by_ref().take(POINTS_AT_ONCE) {
            out.push_str(if std::mem::replace(&mut row.in_samples, true) { "," } else { ",\"values\":[" });
            push_sample(&sample, out);
            points += 1;
        }
        if points == POINTS_AT_ONCE {
            return true;
        }
        if std::mem::take(&mut row.in_samples) {
            out.push(']');
        }
        for (at_ms, histogram) in row.histograms.by_ref().take(POINTS_AT_ONCE) {
            out.push_str(if std::mem::replace(&mut row.in_histograms, true) { "," } else { ",\"histograms\":[" });
            push_histogram(at_ms, &histogram, out);
            points += 1;
        }
        if points > 0 && row.histograms.len() > 0 {
            return true;
        }
        out.push_str(if row.in_histograms { "]}" } else { "}" });
        self.row = None;
        true
    }
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
        let answer = Answer {
            value,
            histograms: histograms.to_vec(),
            warnings: Vec::new(),
            infos: vec!["so".into()],
            samples_read: 0,
            series_read: 0,
            stats: query::promql::Stats::default(),
            explain: None,
        };
        let out: String = pieces(answer, limit, "{}".into()).text();
        let json: serde_json::Value = serde_json::from_str(&out).expect("it is JSON");
        let is_cut = json["warnings"] == serde_json::json!(["results truncated due to limit"]);
        let head = format!("{{\"status\":\"success\",\"data\":{}", &expected[..expected.len() - 1]);
        let warnings = if is_cut { ",\"warnings\":[\"results truncated due to limit\"]" } else { "" };
        assert_eq!(out, format!("{head},\"stats\":{{}}}}{warnings},\"infos\":[\"so\"]}}"));
    }

    #[test]
    fn results_have_prometheus_shapes() {
        let sample = |at_ms, value| Sample { at_ms, value };
        let labels = Labels::from_pairs([("__name__", "up"), ("job", "a\"b\n")]);
        check(Value::Scalar(sample(1_500, 2.0)), 9, r#"{"resultType":"scalar","result":[1.500,"2"]}"#);
        check(Value::Scalar(sample(0, 1e-7)), 9, r#"{"resultType":"scalar","result":[0,"0.0000001"]}"#);
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
            ..Histogram::default()
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
