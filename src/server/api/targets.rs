//! What is scraped: `/api/v1/targets`, `targets/metadata`, `scrape_pools`; and `alertmanagers`, those elsewhere that alerts are sent to
//! beside whom the appliance tells itself.

use axum::Extension;
use axum::extract::State as Shared;
use axum::response::Response;
use model::any::json_string;
use model::time::format_duration_ms;
use model::{Matcher, TenantId};
use query::promql;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::envelope::{self, Notes, push_array, push_object, push_strings, push_time};
use super::params::{Params, bad};
use crate::State;
use crate::number::push_finite;
use crate::targets::Target;

pub(super) async fn targets(
    Shared(state): Shared<State>,
    Extension(tenant): Extension<TenantId>,
    params: Params,
) -> Response {
    super::answer("targets", async {
        let pool = params.get("scrapePool");
        let wanted = params.get("state").unwrap_or("any").to_ascii_lowercase();
        let mut known = state.targets.of(&tenant);
        let mut dropped = state.targets.dropped_of(&tenant);
        let of_pool = |known: &str| pool.is_none_or(|pool| pool == known);
        // Counted by pool whatever pool was asked for.
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        dropped.iter().for_each(|target| *counts.entry(target.pool.clone()).or_default() += 1);
        dropped.retain(|target| matches!(&*wanted, "any" | "dropped") && of_pool(&target.pool));
        known.retain(|target| matches!(&*wanted, "any" | "active") && of_pool(&target.pool));
        let mut out = String::from("{\"activeTargets\":");
        push_array(&known, &mut out, push_target);
        out.push_str(",\"droppedTargets\":");
        push_array(&dropped, &mut out, |target, out| {
            out.push_str("{\"discoveredLabels\":");
            push_object(target.discovered_labels.iter(), out);
            out.push_str(",\"scrapePool\":");
            json_string(&target.pool, out);
            out.push('}');
        });
        out.push_str(",\"droppedTargetCounts\":");
        if matches!(&*wanted, "any" | "dropped") {
            push_counts(&counts, &mut out);
        } else {
            out.push_str("null");
        }
        out.push('}');
        Ok(envelope::success(&out, &Notes::default()))
    })
    .await
}

fn push_counts(counts: &BTreeMap<String, u64>, out: &mut String) {
    for (index, (pool, count)) in counts.iter().enumerate() {
        out.push(if index == 0 { '{' } else { ',' });
        json_string(pool, out);
        write!(out, ":{count}").expect("a String takes everything");
    }
    out.push_str(if counts.is_empty() { "{}" } else { "}" });
}

pub(super) async fn scrape_pools(Shared(state): Shared<State>, Extension(tenant): Extension<TenantId>) -> Response {
    super::answer("targets", async {
        let known = state.targets.of(&tenant);
        let pools: BTreeSet<&str> = known.iter().map(|target| &*target.pool).collect();
        let mut out = String::from("{\"scrapePools\":");
        push_strings(pools, &mut out);
        out.push('}');
        Ok(envelope::success(&out, &Notes::default()))
    })
    .await
}

/// What targets said of their families, where `match_target` accepts the target and `metric` the family.
pub(super) async fn metadata(
    Shared(state): Shared<State>,
    Extension(tenant): Extension<TenantId>,
    params: Params,
) -> Response {
    super::answer("targets", async {
        let matchers = match params.get("match_target") {
            None => Vec::new(),
            Some(text) => promql::parse_selector(text).map_err(|error| bad("match_target", &error.to_string()))?,
        };
        let limit = params.number("limit")?.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX);
        let metric = params.get("metric");
        let known = state.targets.of(&tenant);
        let told = known
            .iter()
            .filter(|target| matchers.iter().all(|matcher: &Matcher| matcher.matches_labels(&target.labels)))
            .flat_map(|target| target.metadata.iter().map(move |meta| (target, meta)))
            .filter(|(_, meta)| metric.is_none_or(|metric| metric == meta.family));
        let mut out = String::new();
        push_array(told.take(limit), &mut out, |(target, meta), out| {
            out.push_str("{\"target\":");
            push_object(target.labels.iter(), out);
            // Whoever asked for one family knows its name.
            if metric.is_none() {
                out.push_str(",\"metric\":");
                json_string(&meta.family, out);
            }
            for (key, value) in
                [(",\"type\":", meta.kind.as_str()), (",\"help\":", &meta.help), (",\"unit\":", &meta.unit)]
            {
                out.push_str(key);
                json_string(value, out);
            }
            out.push('}');
        });
        Ok(envelope::success(&out, &Notes::default()))
    })
    .await
}

pub(super) async fn alertmanagers(Shared(state): Shared<State>, Extension(tenant): Extension<TenantId>) -> Response {
    let of_tenant = state.alertmanagers.iter().filter(|(_, of)| of.as_ref().is_none_or(|of| *of == tenant));
    let mut out = String::from("{\"activeAlertmanagers\":");
    push_array(of_tenant, &mut out, |(url, _), out| {
        out.push_str("{\"url\":");
        json_string(url, out);
        out.push('}');
    });
    out.push_str(",\"droppedAlertmanagers\":[]}");
    envelope::success(&out, &Notes::default())
}

fn push_target(target: &Target, out: &mut String) {
    let text = |key: &str, value: &str, out: &mut String| {
        out.push_str(key);
        json_string(value, out);
    };
    out.push_str("{\"discoveredLabels\":");
    push_object(target.discovered_labels.iter(), out);
    out.push_str(",\"labels\":");
    push_object(target.labels.iter(), out);
    text(",\"scrapePool\":", &target.pool, out);
    text(",\"scrapeUrl\":", &target.url, out);
    text(",\"globalUrl\":", &target.url, out);
    text(",\"lastError\":", &target.last_error, out);
    push_time(",\"lastScrape\":", target.last_scrape_ms, out);
    out.push_str(",\"lastScrapeDuration\":");
    push_finite(target.last_scrape_duration.as_secs_f64(), out);
    text(",\"health\":", target.health.as_str(), out);
    for (key, duration) in [(",\"scrapeInterval\":", target.interval), (",\"scrapeTimeout\":", target.timeout)] {
        text(key, &format_duration_ms(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)), out);
    }
    out.push('}');
}
