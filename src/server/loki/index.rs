//! `/index/stats`, `/index/volume`, `/index/volume_range`: how much there is of which streams.

use std::collections::{BTreeMap, BTreeSet};

use axum::Extension;
use axum::extract::State as Shared;
use axum::response::Response;
use model::{Labels, MatchOp, Matcher, NsRange, TenantId};
use query::logql::{self, Volume};
use query::logs::SearchStats;

use super::labels::selector;
use super::params::{aligned, bounds, check_length, count, step};
use super::result_json::{self, Cost};
use super::{answer, fault, json, length_max_ns};
use crate::api::params::Params;
use crate::api::view::View;
use crate::error::Fault;
use crate::{State, clock};

const NS_PER_MS: i64 = 1_000_000;
const SERIES_DEFAULT: usize = 100;
/// Most series of a volume (Loki's `volume_max_series`).
pub(super) const SERIES_MAX: usize = 1_000;
/// Most `targetLabels`: each is looked for in every stream, and no stream that is kept has more of them than a few.
const TARGETS_MAX: usize = 64;

pub(super) async fn stats(
    Shared(state): Shared<State>,
    Extension(tenant): Extension<TenantId>,
    params: Params,
) -> Response {
    answer("loki_stats", async {
        let asked = bounds(&params, clock::now_ns())?;
        let matchers = selector(params.query())?;
        check_length(asked, length_max_ns(&state))?;
        let range = NsRange { start_ns: asked.start_ns, end_ns: asked.end_ns };
        let (found, ..) = volumes(&state, tenant, matchers, range, None).await?;
        let sum = |of: fn(&Volume) -> u64| found.iter().map(of).sum::<u64>();
        Ok(json(format!(
            "{{\"streams\":{},\"chunks\":{},\"bytes\":{},\"entries\":{}}}",
            found.len(),
            sum(|volume| volume.chunks),
            sum(|volume| volume.bytes),
            sum(|volume| volume.records)
        )))
    })
    .await
}

async fn volumes(
    state: &State,
    tenant: TenantId,
    matchers: Vec<Matcher>,
    range: NsRange,
    step_ns: Option<i64>,
) -> Result<(Vec<Volume>, SearchStats, Vec<String>), Fault> {
    let store = state.store.clone();
    let work = move |budget: &query::Budget| {
        let view = View::of(&store, &tenant)?;
        let (found, stats) = logql::volumes(view.snapshot(), &[matchers], range, step_ns, budget).map_err(fault)?;
        Ok((found, stats, budget.damage.warnings()))
    };
    state.queries.run(None, work).await
}

/// By which labels volumes are added up.
enum By {
    /// Sets of these labels; all of them when there are none.
    Series(BTreeSet<String>),
    /// Each label's name, of these; all of them when there are none.
    Labels(BTreeSet<String>),
}

impl By {
    fn groups(&self, labels: &Labels) -> Vec<Labels> {
        match self {
            By::Series(names) if names.is_empty() => vec![labels.clone()],
            By::Series(names) => vec![labels.filtered(|name| names.contains(name))],
            By::Labels(names) => {
                let wanted = labels.iter().filter(|(name, _)| names.is_empty() || names.contains(*name));
                // A label without a value is none; the value is not shown.
                wanted.map(|(name, _)| Labels::from_pairs([(name, "any")])).collect()
            }
        }
    }
}

/// What a volume request says: whose, by what, and how many.
struct Asked {
    matchers: Vec<Matcher>,
    by: By,
    limit: usize,
}

fn asked(params: &Params) -> Result<Asked, Fault> {
    let mut matchers = selector(params.query())?;
    let targets: BTreeSet<String> = params
        .get("targetLabels")
        .into_iter()
        .flat_map(|text| text.split(','))
        .map(|name| name.trim().to_owned())
        .collect();
    if targets.len() > TARGETS_MAX {
        let reason = format!("targetLabels names {} labels, volumes are told by at most {TARGETS_MAX}", targets.len());
        return Err(Fault::invalid(reason));
    }
    // A stream without a target label counts nowhere.
    for name in &targets {
        if !matchers.iter().any(|matcher| matcher.name == *name) {
            let any = Matcher::new(name.as_str(), MatchOp::NotEqual, "");
            matchers.push(any.map_err(|error| Fault::invalid(error.to_string()))?);
        }
    }
    let names = match targets.is_empty() {
        true => matchers.iter().map(|matcher| matcher.name.clone()).collect(),
        false => targets,
    };
    let by = match params.get("aggregateBy") {
        None | Some("series") => By::Series(names),
        Some("labels") => By::Labels(names),
        Some(_) => {
            return Err(Fault::invalid("invalid aggregation option: must be one of [series, labels]"));
        }
    };
    // As in Loki 0 is the default here.
    let limit = match params.get("limit") {
        Some("0") => SERIES_DEFAULT,
        _ => count(params, "limit", SERIES_DEFAULT)?.min(SERIES_MAX),
    };
    Ok(Asked { matchers, by, limit })
}

/// Sums by group, the largest first, at most `limit`.
fn largest<T: Clone>(groups: BTreeMap<Labels, (u64, T)>, limit: usize) -> Vec<(Labels, u64, T)> {
    let mut all: Vec<(Labels, u64, T)> =
        groups.into_iter().map(|(labels, (bytes, rest))| (labels, bytes, rest)).collect();
    all.sort_by(|left, right| right.1.cmp(&left.1).then_with(|| left.0.cmp(&right.0)));
    all.truncate(limit);
    all
}

/// A group by a label's name is told as that label with an empty value.
fn shown(by: &By, labels: Labels) -> Vec<(String, String)> {
    let pairs = labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
    match by {
        By::Series(_) => pairs.collect(),
        By::Labels(_) => pairs.map(|(name, _)| (name, String::new())).collect(),
    }
}

pub(super) async fn volume(
    Shared(state): Shared<State>,
    Extension(tenant): Extension<TenantId>,
    params: Params,
) -> Response {
    answer("loki_volume", async {
        let begun = std::time::Instant::now();
        let bounds = bounds(&params, clock::now_ns())?;
        let Asked { matchers, by, limit } = asked(&params)?;
        check_length(bounds, length_max_ns(&state))?;
        let range = NsRange { start_ns: bounds.start_ns, end_ns: bounds.end_ns };
        let (found, stats, warnings) = volumes(&state, tenant, matchers, range, None).await?;
        let mut groups: BTreeMap<Labels, (u64, ())> = BTreeMap::new();
        for volume in &found {
            for group in by.groups(&volume.labels) {
                groups.entry(group).or_default().0 += volume.bytes;
            }
        }
        let rows: Vec<_> =
            largest(groups, limit).into_iter().map(|(labels, bytes, ())| (shown(&by, labels), bytes as f64)).collect();
        let cost = Cost { stats, took: begun.elapsed(), queued: std::time::Duration::ZERO, entries: 0, warnings };
        Ok(json(result_json::vector(&rows, bounds.end_ns.div_euclid(NS_PER_MS), &cost)))
    })
    .await
}

pub(super) async fn volume_range(
    Shared(state): Shared<State>,
    Extension(tenant): Extension<TenantId>,
    params: Params,
) -> Response {
    answer("loki_volume_range", async {
        let begun = std::time::Instant::now();
        let bounds = bounds(&params, clock::now_ns())?;
        let step_ns = step(&params, bounds)?;
        let Asked { matchers, by, limit } = asked(&params)?;
        check_length(bounds, length_max_ns(&state))?;
        let grid = aligned(bounds, step_ns);
        let range = NsRange { start_ns: grid.start_ns, end_ns: grid.end_ns };
        let (found, stats, warnings) = volumes(&state, tenant, matchers, range, Some(step_ns)).await?;
        let mut groups: BTreeMap<Labels, (u64, BTreeMap<u64, u64>)> = BTreeMap::new();
        for volume in &found {
            for group in by.groups(&volume.labels) {
                let (bytes, steps) = groups.entry(group).or_default();
                *bytes += volume.bytes;
                volume.steps.iter().for_each(|(step, bytes)| *steps.entry(*step).or_insert(0) += bytes);
            }
        }
        // Loki stamps a step's volume with the step's end, a millisecond short.
        let at_ms = |step: u64| {
            let end_ns = grid.start_ns.saturating_add(step_ns.saturating_mul(step as i64 + 1));
            end_ns.div_euclid(NS_PER_MS) - 1
        };
        let rows: Vec<_> = largest(groups, limit)
            .into_iter()
            .map(|(labels, _, steps)| {
                let points: logql::Points =
                    steps.into_iter().map(|(step, bytes)| (at_ms(step), bytes as f64)).collect();
                (shown(&by, labels), points)
            })
            .collect();
        let cost = Cost { stats, took: begun.elapsed(), queued: std::time::Duration::ZERO, entries: 0, warnings };
        Ok(json(result_json::matrix(&rows, &cost)))
    })
    .await
}
