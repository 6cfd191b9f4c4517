//! What series there are: `/api/v1/series`, `labels`, `label/<name>/values`, `metadata`.

use std::collections::BTreeSet;

use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::response::Response;
use model::any::json_string;
use model::{Labels, Matcher, MetricMeta, MsRange, go_regex};
use query::Budget;
use query::promql::{self, Source};

use super::envelope::{self, Notes, push_array, push_object};
use super::params::{Call, Params, bad};
use super::pieces::Pieces;
use super::view::View;
use crate::error::Fault;

pub(super) async fn series(Call { state, tenant, params }: Call) -> Response {
    super::answer("series", async {
        if params.all("match[]").next().is_none() {
            return Err(Fault::invalid("no match[] parameter provided"));
        }
        let asked = Asked::read(&params).map_err(|fault| match fault {
            Bad::Selector(reason) => bad("match[]", &reason),
            Bad::Other(fault) => fault,
        })?;
        let queries = state.queries.clone();
        let answered = queries.run(params.timeout()?, move |budget| {
            let found = asked.series(&View::of(&state.store, &tenant)?, budget)?;
            let mut after = String::from("]");
            envelope::push_notes(&truncated(found.len() > asked.limit), &mut after);
            after.push('}');
            let before = "{\"status\":\"success\",\"data\":[".into();
            let push = |labels: Labels, out: &mut String| push_object(labels.iter(), out);
            Pieces::list(before, found.into_iter().take(asked.limit), push, after).begin(&state.queries, budget)
        });
        Ok(answered.await?.into_response())
    })
    .await
}

pub(super) async fn labels(Call { state, tenant, params }: Call) -> Response {
    super::answer("labels", async {
        let asked = Asked::read(&params)?;
        let queries = state.queries.clone();
        let answered = queries.run(params.timeout()?, move |budget| {
            let names = View::of(&state.store, &tenant)?.label_names(&asked.selectors, asked.range)?;
            list(names, asked.limit).begin(&state.queries, budget)
        });
        Ok(answered.await?.into_response())
    })
    .await
}

pub(super) async fn label_values(
    name: Result<Path<String>, PathRejection>,
    Call { state, tenant, params }: Call,
) -> Response {
    super::answer("label_values", async {
        let Path(name) = name.map_err(|_| Fault::invalid("invalid label name: it is not UTF-8"))?;
        let name = unescape_name(&name);
        if name.is_empty() {
            return Err(Fault::invalid("invalid label name: \"\""));
        }
        let asked = Asked::read(&params)?;
        let queries = state.queries.clone();
        let answered = queries.run(params.timeout()?, move |budget| {
            let values = View::of(&state.store, &tenant)?.label_values(&name, &asked.selectors, asked.range)?;
            list(values, asked.limit).begin(&state.queries, budget)
        });
        Ok(answered.await?.into_response())
    })
    .await
}

pub(super) async fn metadata(Call { state, tenant, params }: Call) -> Response {
    super::answer("metadata", async {
        let metric = params.get("metric").map(str::to_owned);
        // Unlike everywhere else a limit of 0 is one, and only a negative one is none.
        let limit = params.number("limit")?.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX);
        let per_metric = params.number("limit_per_metric")?.filter(|limit| *limit > 0);
        let per_metric = per_metric.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX);
        let store = state.store.clone();
        let answered = state.queries.run(params.timeout()?, move |_| {
            let mut known = View::of(&store, &tenant)?.metadata()?;
            known.retain(|meta| metric.as_ref().is_none_or(|metric| *metric == meta.family));
            Ok(envelope::success(&metadata_json(&known, limit, per_metric), &Notes::default()))
        });
        answered.await
    })
    .await
}

fn metadata_json(known: &[MetricMeta], limit: usize, per_metric: usize) -> String {
    let mut out = String::from("{");
    // A family stands together, since the store lists by name.
    for (index, family) in known.chunk_by(|a, b| a.family == b.family).take(limit).enumerate() {
        if index > 0 {
            out.push(',');
        }
        json_string(&family[0].family, &mut out);
        out.push(':');
        push_array(family.iter().take(per_metric), &mut out, |meta, out| {
            push_object([("type", meta.kind.as_str()), ("help", &meta.help), ("unit", &meta.unit)], out);
        });
    }
    out.push('}');
    out
}

/// `match[]`, `start`, `end`, `limit`.
struct Asked {
    selectors: Vec<Vec<Matcher>>,
    range: MsRange,
    limit: usize,
}

/// What is wrong with a request: of a selector Prometheus says so in one place and not in the others.
enum Bad {
    Selector(String),
    Other(Fault),
}

impl From<Fault> for Bad {
    fn from(fault: Fault) -> Bad {
        Bad::Other(fault)
    }
}

impl From<Bad> for Fault {
    fn from(bad: Bad) -> Fault {
        match bad {
            Bad::Selector(reason) => Fault::invalid(reason),
            Bad::Other(fault) => fault,
        }
    }
}

impl Asked {
    fn read(params: &Params) -> Result<Asked, Bad> {
        Ok(Asked {
            limit: params.limit()?,
            range: params.range()?,
            selectors: selectors(params.all("match[]")).map_err(Bad::Selector)?,
        })
    }

    /// Label sets that any of the selectors finds, sorted, each once.
    fn series(&self, view: &View, budget: &Budget) -> Result<BTreeSet<Labels>, Fault> {
        let series_max = usize::try_from(budget.series_max).unwrap_or(usize::MAX);
        let mut found = BTreeSet::new();
        if self.range.end_ms < self.range.start_ms {
            return Ok(found);
        }
        for matchers in &self.selectors {
            budget.check()?;
            found.extend(Source::select(view, matchers, self.range, series_max)?.into_iter().map(|one| one.labels));
        }
        Ok(found)
    }
}

/// Selectors that each demand something, as `match[]` wants them, or what is wrong with one.
pub(super) fn selectors<'p>(texts: impl Iterator<Item = &'p str>) -> Result<Vec<Vec<Matcher>>, String> {
    let parse = |text: &str| {
        let matchers = promql::parse_selector(text).map_err(|error| error.to_string())?;
        if matchers.iter().all(Matcher::matches_empty) {
            return Err("match[] must contain at least one non-empty matcher".into());
        }
        Ok(matchers)
    };
    go_regex::together(|| texts.map(parse).collect())
}

fn list(items: Vec<String>, limit: usize) -> Pieces {
    let mut after = String::from("]");
    envelope::push_notes(&truncated(items.len() > limit), &mut after);
    after.push('}');
    let before = "{\"status\":\"success\",\"data\":[".into();
    Pieces::list(before, items.into_iter().take(limit), |item, out| json_string(&item, out), after)
}

fn truncated(is_cut: bool) -> Notes {
    let warnings = if is_cut { vec!["results truncated due to limit".into()] } else { Vec::new() };
    Notes { warnings, infos: Vec::new() }
}

/// A label's name from a URL: as it is, or in Prometheus' value escaping (`U__http_2e_status`, model.UnescapeName). What begins as that
/// and is not it is a name as any other.
fn unescape_name(text: &str) -> String {
    text.strip_prefix("U__").and_then(unescape).unwrap_or_else(|| text.into())
}

fn unescape(mut rest: &str) -> Option<String> {
    let mut name = String::new();
    while let Some(at) = rest.find('_') {
        name.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('_') {
            name.push('_');
            rest = after;
            continue;
        }
        let (hex, after) = rest.split_once('_')?;
        if hex.len() > 6 || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        name.push(char::from_u32(u32::from_str_radix(hex, 16).ok()?)?);
        rest = after;
    }
    name.push_str(rest);
    Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unescaped() {
        for (text, expected) in [
            ("job", "job"),
            ("__name__", "__name__"),
            ("http.status", "http.status"),
            ("U__http_2e_status", "http.status"),
            ("U__a__b", "a_b"),
            ("U__gr_fc_n", "grün"),
            ("U___1F600_", "😀"),
            ("U__a_zz_b", "U__a_zz_b"),
            ("U__a_+61_", "U__a_+61_"),
            ("U__a_d800_b", "U__a_d800_b"),
            ("U__a_2e", "U__a_2e"),
            ("U___", "U___"),
            ("U__", ""),
            ("", ""),
        ] {
            assert_eq!(unescape_name(text), expected, "{text}");
        }
    }
}
