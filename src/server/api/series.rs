//! What series there are: `/api/v1/series`, `labels`, `label/<name>/values`, `metadata`.

use std::collections::BTreeSet;

use axum::Extension;
use axum::extract::{Path, State as Shared};
use axum::response::Response;
use model::any::json_string;
use model::{Labels, Matcher, MetricMeta, MsRange, TenantId};
use query::promql::{self, Source};

use super::envelope::{self, Notes, push_array, push_object, push_strings};
use super::params::{Params, bad};
use super::view::View;
use crate::State;
use crate::error::Fault;

pub(super) async fn series(
    Shared(state): Shared<State>,
    Extension(tenant): Extension<TenantId>,
    params: Params,
) -> Response {
    super::answer("series", async {
        let asked = Asked::read(&params)?;
        if asked.selectors.is_empty() {
            return Err(Fault::invalid("no match[] parameter provided"));
        }
        let store = state.store.clone();
        let answered = state.queries.run(params.timeout()?, move |budget| {
            let found = asked.series(&View::of(&store, &tenant)?, budget.series_max)?;
            let mut data = String::new();
            push_array(found.iter().take(asked.limit), &mut data, |labels, out| push_object(labels.iter(), out));
            Ok(envelope::success(&data, &truncated(found.len() > asked.limit)))
        });
        answered.await
    })
    .await
}

pub(super) async fn labels(
    Shared(state): Shared<State>,
    Extension(tenant): Extension<TenantId>,
    params: Params,
) -> Response {
    super::answer("labels", async {
        let asked = Asked::read(&params)?;
        let store = state.store.clone();
        let answered = state.queries.run(params.timeout()?, move |budget| {
            let view = View::of(&store, &tenant)?;
            // Without a selector all series count, whatever the time asked for, as Prometheus' index does by the block.
            let names = if asked.selectors.is_empty() {
                view.label_names()?
            } else {
                let found = asked.series(&view, budget.series_max)?;
                let names: BTreeSet<&str> = found.iter().flat_map(Labels::iter).map(|(name, _)| name).collect();
                names.into_iter().map(Into::into).collect()
            };
            Ok(list(&names, asked.limit))
        });
        answered.await
    })
    .await
}

pub(super) async fn label_values(
    Shared(state): Shared<State>,
    Extension(tenant): Extension<TenantId>,
    Path(name): Path<String>,
    params: Params,
) -> Response {
    super::answer("label_values", async {
        let name = unescape_name(&name).ok_or_else(|| bad("name", &format!("invalid label name: {name:?}")))?;
        let asked = Asked::read(&params)?;
        let store = state.store.clone();
        let answered = state.queries.run(params.timeout()?, move |budget| {
            let view = View::of(&store, &tenant)?;
            let values = if asked.selectors.is_empty() {
                view.label_values(&name)?
            } else {
                let found = asked.series(&view, budget.series_max)?;
                let values: BTreeSet<&str> = found.iter().filter_map(|labels| labels.get(&name)).collect();
                values.into_iter().map(Into::into).collect()
            };
            Ok(list(&values, asked.limit))
        });
        answered.await
    })
    .await
}

pub(super) async fn metadata(
    Shared(state): Shared<State>,
    Extension(tenant): Extension<TenantId>,
    params: Params,
) -> Response {
    super::answer("metadata", async {
        let metric = params.get("metric").map(str::to_owned);
        let limit = params.limit()?;
        let per_metric = params.count("limit_per_metric")?.filter(|limit| *limit > 0).unwrap_or(usize::MAX);
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

impl Asked {
    fn read(params: &Params) -> Result<Asked, Fault> {
        let parse = |text: &str| -> Result<Vec<Matcher>, Fault> {
            let matchers = promql::parse_selector(text).map_err(|error| bad("match[]", &error.to_string()))?;
            if matchers.iter().all(Matcher::matches_empty) {
                return Err(bad("match[]", "match[] must contain at least one non-empty matcher"));
            }
            Ok(matchers)
        };
        Ok(Asked {
            selectors: params.all("match[]").map(parse).collect::<Result<_, _>>()?,
            range: params.range()?,
            limit: params.limit()?,
        })
    }

    /// Label sets that any of the selectors finds, sorted, each once.
    fn series(&self, view: &View, series_max: u64) -> Result<BTreeSet<Labels>, Fault> {
        let series_max = usize::try_from(series_max).unwrap_or(usize::MAX);
        let mut found = BTreeSet::new();
        for matchers in &self.selectors {
            found.extend(Source::select(view, matchers, self.range, series_max)?.into_iter().map(|one| one.labels));
        }
        Ok(found)
    }
}

fn list(items: &[String], limit: usize) -> Response {
    let mut data = String::new();
    push_strings(items.iter().take(limit).map(String::as_str), &mut data);
    envelope::success(&data, &truncated(items.len() > limit))
}

fn truncated(is_cut: bool) -> Notes {
    let warnings = if is_cut { vec!["results truncated due to limit".into()] } else { Vec::new() };
    Notes { warnings, infos: Vec::new() }
}

/// A label's name from a URL: as it is, or in Prometheus' value escaping (`U__http_2e_status`, model.UnescapeName).
fn unescape_name(text: &str) -> Option<String> {
    let Some(mut rest) = text.strip_prefix("U__") else {
        return (!text.is_empty()).then(|| text.into());
    };
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
        if hex.is_empty() || hex.len() > 6 {
            return None;
        }
        name.push(char::from_u32(u32::from_str_radix(hex, 16).ok()?)?);
        rest = after;
    }
    name.push_str(rest);
    (!name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unescaped() {
        for (text, expected) in [
            ("job", Some("job")),
            ("__name__", Some("__name__")),
            ("http.status", Some("http.status")),
            ("U__http_2e_status", Some("http.status")),
            ("U__a__b", Some("a_b")),
            ("U__gr_fc_n", Some("grün")),
            ("U__a_zz_b", None),
            ("U__a_2e", None),
            ("U__", None),
            ("", None),
        ] {
            assert_eq!(unescape_name(text).as_deref(), expected, "{text}");
        }
    }
}
