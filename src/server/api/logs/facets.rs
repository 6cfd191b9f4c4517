//! `/api/v1/logs/facets`: how the values of fields spread; `/api/v1/logs/fields`: which fields there are.

use std::fmt::Write as _;

use axum::Extension;
use axum::extract::State as Shared;
use axum::response::{IntoResponse, Response};
use http::header;
use model::TenantId;
use model::any::json_string;
use query::logs::{self, Facet, Partial, SeenField};

use super::{lines, range};
use crate::State;
use crate::api::envelope::push_array;
use crate::api::params::{Params, bad};
use crate::api::view::View;

/// Counted where no field is named.
const FIELDS_DEFAULT: [&str; 3] = ["severity", "service.name", "host.name"];
/// Most fields of one answer: each keeps up to 10,000 values while it counts.
const FIELDS_MAX: usize = 20;
const VALUES_DEFAULT: usize = 10;
const VALUES_MAX: usize = 1_000;

pub(in crate::api) async fn facets(
    Shared(state): Shared<State>,
    Extension(tenant): Extension<TenantId>,
    params: Params,
) -> Response {
    crate::api::answer("logs_facets", async {
        let search = logs::parse(params.either("q", "query").unwrap_or_default())?;
        let range = range(&params)?;
        let listed = params.all("fields").flat_map(|names| names.split(','));
        let named = params.all("field").chain(listed).map(str::trim).filter(|name| !name.is_empty());
        let mut names: Vec<String> = named.map(str::to_owned).collect();
        if names.is_empty() {
            names = FIELDS_DEFAULT.map(str::to_owned).to_vec();
        }
        if names.len() > FIELDS_MAX {
            return Err(bad("field", &format!("there are {} of them, at most {FIELDS_MAX} are counted", names.len())));
        }
        let limit = params.count("limit")?.unwrap_or(VALUES_DEFAULT);
        if limit == 0 || limit > VALUES_MAX {
            return Err(bad("limit", &format!("it is {limit}, it may be 1 to {VALUES_MAX}")));
        }
        let store = state.store.clone();
        let counted = state.queries.run(params.timeout()?, move |budget| {
            let view = View::of(&store, &tenant)?;
            let Some(snapshot) = view.snapshot() else { return Ok((Vec::new(), None)) };
            Ok(logs::facets(snapshot, &search, range, &names, limit, budget)?)
        });
        let (facets, partial) = counted.await?;
        Ok(([(header::CONTENT_TYPE, "application/json")], facets_json(&facets, partial.as_ref())).into_response())
    })
    .await
}

fn facets_json(facets: &[Facet], partial: Option<&Partial>) -> String {
    let mut out = String::from("{\"facets\":");
    push_array(facets, &mut out, |facet, out| {
        out.push_str("{\"field\":");
        json_string(&facet.field, out);
        out.push_str(",\"values\":");
        push_array(&facet.top, out, |(value, count), out| {
            out.push_str("{\"value\":");
            json_string(value, out);
            write!(out, ",\"count\":{count}}}").expect("a String takes everything");
        });
        let Facet { others, without, values, overflows, .. } = facet;
        write!(out, ",\"others\":{others},\"without\":{without},\"distinct\":{values},\"overflows\":{overflows}}}")
            .expect("a String takes everything");
    });
    lines::push_partial_member(partial, &mut out);
    out.push('}');
    out
}

pub(in crate::api) async fn fields(
    Shared(state): Shared<State>,
    Extension(tenant): Extension<TenantId>,
    params: Params,
) -> Response {
    crate::api::answer("logs_fields", async {
        let range = range(&params)?;
        let store = state.store.clone();
        let seen = state.queries.run(params.timeout()?, move |budget| {
            let view = View::of(&store, &tenant)?;
            let Some(snapshot) = view.snapshot() else { return Ok((Vec::new(), true)) };
            Ok(logs::fields(snapshot, range, budget)?)
        });
        let (seen, whole) = seen.await?;
        let mut out = format!("{{\"complete\":{whole},\"fields\":");
        push_array(&seen, &mut out, |SeenField { name, place, seen_in }, out| {
            out.push_str("{\"name\":");
            json_string(name, out);
            write!(out, ",\"in\":\"{place}\",\"seen_in\":{seen_in}}}").expect("a String takes everything");
        });
        out.push('}');
        Ok(([(header::CONTENT_TYPE, "application/json")], out).into_response())
    })
    .await
}
