//! `/federate`: the newest sample of each series that a selector finds, as an exposition for another Prometheus to scrape
//! (web/federate.go in Prometheus). Native histograms have no place in this format and are left out, as there.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use axum::Extension;
use axum::extract::State as Shared;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, header};
use model::labels::{METRIC_NAME, is_label_name, is_metric_name};
use model::metric::is_stale;
use model::{Labels, Matcher, MsRange, TenantId};
use query::Budget;
use query::promql;

use super::params::Params;
use super::series::selectors;
use super::view::View;
use crate::error::Fault;
use crate::number::push_general;
use crate::{State, clock};

/// What is asked of for names that not every scraper can read.
const ANY_NAME: &str = "escaping=allow-utf-8";

pub(crate) async fn federate(
    Shared(state): Shared<State>,
    Extension(tenant): Extension<TenantId>,
    headers: HeaderMap,
    params: Params,
) -> Response {
    super::answer("federate", async {
        let selectors = selectors(params.all("match[]")).map_err(Fault::invalid)?;
        let lookback_ms = params.lookback_ms()?.unwrap_or_else(|| state.lookback_ms());
        let names = Names::wanted(&headers);
        let now_ms = clock::now_ms();
        let range = MsRange { start_ms: now_ms.saturating_sub(lookback_ms) + 1, end_ms: now_ms };
        let store = state.store.clone();
        let work = move |budget: &Budget| {
            let newest = newest(&View::of(&store, &tenant)?, &selectors, range, budget)?;
            Ok(exposition(&newest, names))
        };
        let text = state.queries.run(None, work).await?;
        Ok(([(header::CONTENT_TYPE, names.content_type())], text).into_response())
    })
    .await
}

/// How names are written that are no words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Names {
    /// With underscores for what old formats do not know.
    Escaped,
    Quoted,
}

impl Names {
    /// By the request's `Accept`: quoted only for whoever says to read it.
    fn wanted(headers: &HeaderMap) -> Names {
        let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let quoted = |accepted: &str| {
            accepted.split(',').any(|kind| {
                let kind: String = kind.split_whitespace().collect();
                kind.starts_with("text/plain;") && kind.contains("version=1.0.0") && kind.contains(ANY_NAME)
            })
        };
        if accepted.into_iter().any(quoted) { Names::Quoted } else { Names::Escaped }
    }

    fn content_type(self) -> &'static str {
        match self {
            Names::Escaped => "text/plain; version=0.0.4; charset=utf-8; escaping=underscores",
            Names::Quoted => "text/plain; version=1.0.0; charset=utf-8; escaping=allow-utf-8",
        }
    }
}

/// The newest floats, unless their series ended.
fn newest(
    view: &View,
    selectors: &[Vec<Matcher>],
    range: MsRange,
    budget: &Budget,
) -> Result<BTreeMap<Labels, (i64, f64)>, Fault> {
    let mut found = BTreeMap::new();
    for matchers in selectors {
        for (labels, samples) in promql::raw(view, matchers, range, budget)? {
            let (Some(at_ms), Some(value)) = (samples.at_ms.last(), samples.values.last()) else { continue };
            let histogram_after = samples.histograms.last().is_some_and(|(after_ms, _)| after_ms > at_ms);
            if !histogram_after && !is_stale(*value) {
                found.insert(labels, (*at_ms, *value));
            }
        }
    }
    Ok(found)
}

/// By metric, each with the type it has once it is scraped from here: none.
fn exposition(newest: &BTreeMap<Labels, (i64, f64)>, names: Names) -> String {
    let mut rows: Vec<(&str, &Labels, &(i64, f64))> =
        newest.iter().filter_map(|(labels, point)| Some((labels.get(METRIC_NAME)?, labels, point))).collect();
    rows.sort_by(|a, b| (a.0, a.1).cmp(&(b.0, b.1)));
    let mut out = String::new();
    let mut last = None;
    for (metric, labels, (at_ms, value)) in rows {
        let plain = is_metric_name(metric);
        if last != Some(metric) {
            out.push_str("# TYPE ");
            push_name(metric, plain, names, &mut out);
            out.push_str(" untyped\n");
            last = Some(metric);
        }
        let quoted = !plain && names == Names::Quoted;
        if quoted {
            out.push('{');
        }
        push_name(metric, plain, names, &mut out);
        let mut open = quoted;
        // An instance that is empty keeps the scraper from adding its own.
        let instance = labels.get("instance").is_none().then_some(("instance", ""));
        for (name, value) in labels.iter().filter(|(name, _)| *name != METRIC_NAME).chain(instance) {
            out.push(if open { ',' } else { '{' });
            open = true;
            push_name(name, is_label_name(name), names, &mut out);
            out.push('=');
            push_quoted(value, &mut out);
        }
        out.push_str("} ");
        push_general(*value, &mut out);
        writeln!(out, " {at_ms}").expect("a String takes everything");
    }
    out
}

fn push_name(name: &str, plain: bool, names: Names, out: &mut String) {
    match names {
        _ if plain => out.push_str(name),
        Names::Quoted => push_quoted(name, out),
        Names::Escaped => {
            if name.starts_with(|first: char| first.is_ascii_digit()) {
                out.push('_');
            }
            out.extend(name.chars().map(|c| if c.is_ascii_alphanumeric() || c == ':' { c } else { '_' }));
        }
    }
}

fn push_quoted(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            other => out.push(other),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_written_by_metric() {
        let labels = |pairs: &[(&'static str, &'static str)]| Labels::from_pairs(pairs.iter().copied());
        let newest = BTreeMap::from([
            (labels(&[("__name__", "b"), ("a", "x"), ("instance", "i:1")]), (2_500, 1_500_000.0)),
            (labels(&[("__name__", "a.b"), ("c.d", "1\"2\\3\n")]), (1, f64::INFINITY)),
            (labels(&[("__name__", "b")]), (3, 0.25)),
            (labels(&[("nameless", "x")]), (3, 0.25)),
        ]);
        assert_eq!(
            exposition(&newest, Names::Escaped),
            "# TYPE a_b untyped\na_b{c_d=\"1\\\"2\\\\3\\n\",instance=\"\"} +Inf 1\n\
             # TYPE b untyped\nb{instance=\"\"} 0.25 3\nb{a=\"x\",instance=\"i:1\"} 1.5e+06 2500\n"
        );
        assert!(
            exposition(&newest, Names::Quoted)
                .starts_with("# TYPE \"a.b\" untyped\n{\"a.b\",\"c.d\"=\"1\\\"2\\\\3\\n\",instance=\"\"} +Inf 1\n")
        );
    }

    #[test]
    fn names_are_quoted_for_those_who_can_read_it() {
        for (accept, expected) in [
            ("", Names::Escaped),
            ("text/plain;version=0.0.4;q=0.2,*/*;q=0.1", Names::Escaped),
            ("text/plain; version=1.0.0; escaping=allow-utf-8; q=0.3, */*;q=0.1", Names::Quoted),
        ] {
            let headers = HeaderMap::from_iter([(header::ACCEPT, accept.parse().unwrap())]);
            assert_eq!(Names::wanted(&headers), expected, "{accept}");
        }
    }
}
