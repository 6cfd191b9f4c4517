//! What kind of server this is and how it is doing, in Prometheus' shapes: `/api/v1/status/*`, `notifications`.

use axum::extract::State as Shared;
use axum::response::Response;
use codec::otlp::Translation;
use model::Kind;
use model::any::json_string;
use model::time::{format_duration_ms, rfc3339_ms};
use std::fmt::Write as _;
use std::time::Duration;

use super::envelope::{self, Notes, push_array, push_object, push_time};
use crate::error::Fault;
use crate::{State, clock};

/// The Prometheus whose API and language these are. Grafana reads it as `version`, and would leave out label matching and other
/// requests that it believes an older server cannot answer.
const PROMETHEUS_VERSION: &str = "3.16.0";

/// Grafana reads this to learn what it talks to.
pub(super) async fn build_info(Shared(state): Shared<State>) -> Response {
    let mut data = String::new();
    let pairs = [
        ("application", "Binnacle"),
        ("applicationVersion", state.settings.version),
        ("version", PROMETHEUS_VERSION),
        ("revision", ""),
        ("branch", ""),
        ("buildUser", ""),
        ("buildDate", ""),
        ("goVersion", ""),
    ];
    push_object(pairs, &mut data);
    envelope::success(&data, &Notes::default())
}

/// What Go's runtime would say of itself is empty; its goroutines are our tasks.
pub(super) async fn runtime_info(Shared(state): Shared<State>) -> Response {
    let options = state.store.options();
    let tasks = tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut data = String::from("{\"startTime\":\"");
    data.push_str(&rfc3339_ms(state.settings.started_ms));
    data.push_str("\",\"CWD\":");
    // A folder that was removed has no name any more.
    json_string(&std::env::current_dir().unwrap_or_default().display().to_string(), &mut data);
    push_time(",\"serverTime\":", Some(clock::now_ms()), &mut data);
    let (is_good, at_ms) = state.reloaded.last();
    write!(data, ",\"reloadConfigSuccess\":{is_good}").expect("a String takes everything");
    push_time(",\"lastConfigTime\":", Some(at_ms), &mut data);
    write!(
        data,
        ",\"corruptionCount\":0,\"goroutineCount\":{tasks},\"GOMAXPROCS\":{threads},\"GOMEMLIMIT\":0,\"GOGC\":\"\",\"GODEBUG\":\"\",\"storageRetention\":\"{} or {}B\"}}",
        format_duration_ms(options.metrics_retention_ms),
        options.bytes_max,
    )
    .expect("a String takes everything");
    envelope::success(&data, &Notes::default())
}

/// Settings in force, under the names of Prometheus' flags where one means the same.
pub(super) async fn flags(Shared(state): Shared<State>) -> Response {
    let (options, settings) = (state.store.options(), &state.settings);
    let flags = [
        ("query.lookback-delta", short(settings.lookback)),
        ("query.max-concurrency", settings.query_concurrency.to_string()),
        ("query.max-samples", settings.query_limits.samples_max.to_string()),
        ("query.timeout", short(settings.query_limits.timeout)),
        ("storage.tsdb.path", options.dir.display().to_string()),
        ("storage.tsdb.retention.size", format!("{}B", options.bytes_max)),
        ("storage.tsdb.retention.time", format_duration_ms(options.metrics_retention_ms)),
        ("web.enable-admin-api", "false".into()),
        ("web.external-url", settings.external_url.clone()),
    ];
    let mut data = String::new();
    push_object(flags.iter().map(|(name, value)| (*name, &**value)), &mut data);
    envelope::success(&data, &Notes::default())
}

/// The configuration in force as Prometheus would have it written: what it has no key for is left out, and secrets are never in it.
pub(super) async fn config(Shared(state): Shared<State>, tenant: axum::Extension<model::TenantId>) -> Response {
    let quoted = |text: &str| {
        // JSON's strings are YAML's too.
        let mut out = String::new();
        json_string(text, &mut out);
        out
    };
    let (options, settings) = (state.store.options(), &state.settings);
    let mut yaml = String::from("global: {}\nscrape_configs:");
    let targets = state.targets.of(&tenant);
    if targets.is_empty() {
        yaml.push_str(" []");
    }
    for pool in targets.chunk_by(|a, b| a.pool == b.pool) {
        write!(yaml, "\n- job_name: {}\n  static_configs:", quoted(&pool[0].pool)).expect("a String takes everything");
        write!(yaml, "\n  - targets: [").expect("a String takes everything");
        for (index, target) in pool.iter().enumerate() {
            yaml.push_str(if index == 0 { "" } else { ", " });
            yaml.push_str(&quoted(target.discovered_labels.get("__address__").unwrap_or(&target.url)));
        }
        yaml.push(']');
    }
    write!(
        yaml,
        "\nstorage:\n  tsdb:\n    retention:\n      time: {}\n      size: {}B\notlp:\n  translation_strategy: {}\n",
        format_duration_ms(options.metrics_retention_ms),
        options.bytes_max,
        strategy(settings.metrics.translation),
    )
    .expect("a String takes everything");
    let mut data = String::from("{\"yaml\":");
    json_string(&yaml, &mut data);
    data.push('}');
    envelope::success(&data, &Notes::default())
}

/// Queries are answered only once the intake log is replayed, so there is never one to wait for.
pub(super) async fn wal_replay() -> Response {
    envelope::success("{\"min\":0,\"max\":0,\"current\":0}", &Notes::default())
}

/// What an operator should know now: why nothing can be stored, when that is so.
pub(super) async fn notifications(Shared(state): Shared<State>) -> Response {
    super::answer("notifications", async {
        let store = state.store.clone();
        // The disk is asked.
        let trouble = tokio::task::spawn_blocking(move || store.trouble())
            .await
            .map_err(|_| Fault::panicked("asking the store how it is"))?;
        let mut data = String::new();
        push_array(trouble, &mut data, |text, out| {
            out.push_str("{\"text\":");
            json_string(&text, out);
            push_time(",\"date\":", Some(clock::now_ms()), out);
            out.push_str(",\"active\":true}");
        });
        Ok(envelope::success(&data, &Notes::default()))
    })
    .await
}

/// Deleting and copying are done by the command line on the node itself.
pub(super) async fn admin_disabled() -> Response {
    envelope::refuse(&Fault::new(
        Kind::Forbidden,
        "admin APIs disabled: data is deleted by retention, and copied by backups",
    ))
}

fn strategy(translation: Translation) -> &'static str {
    match translation {
        Translation::UnderscoreEscapingWithSuffixes => "UnderscoreEscapingWithSuffixes",
        Translation::UnderscoreEscapingWithoutSuffixes => "UnderscoreEscapingWithoutSuffixes",
        Translation::NoUtf8EscapingWithSuffixes => "NoUTF8EscapingWithSuffixes",
        Translation::NoTranslation => "NoTranslation",
    }
}

fn short(duration: Duration) -> String {
    format_duration_ms(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX))
}
