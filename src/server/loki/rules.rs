//! Loki's ruler, to read: rules over logs as YAML, by the file that they are in.
//!
//! Source: Loki's HTTP API reference (ruler), with the words of its `pkg/ruler/base/api.go`.

use axum::Extension;
use axum::body::Body;
use axum::extract::{Path, State as Shared};
use axum::handler::Handler;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get};
use http::{StatusCode, header};
use model::any::json_string;
use model::{Kind, TenantId};
use query::logql::units::prometheus_duration_text;
use rules::{GroupView, RuleKind};

use super::{answer_or, refuse_with_line};
use crate::State;
use crate::api::rules::groups_of_logs;
use crate::error::Fault;

async fn answer(work: impl Future<Output = Result<Response, Fault>>) -> Response {
    answer_or("loki_rules", work, refuse_with_line).await
}

/// A page to read; Loki would let it be written, too.
pub(super) fn kept_in_files<H: Handler<T, State>, T: 'static>(handler: H) -> MethodRouter<State> {
    get(handler).fallback(async || {
        let message = "rules are kept in the files that rules.files names: change them there and reload";
        refuse_with_line(&Fault::new(Kind::Invalid, message).with_status(StatusCode::METHOD_NOT_ALLOWED))
    })
}

pub(super) async fn all(Shared(state): Shared<State>, Extension(tenant): Extension<TenantId>) -> Response {
    answer(async { by_namespace(&groups_of_logs(&state, &tenant)) }).await
}

pub(super) async fn namespace(
    Shared(state): Shared<State>,
    Extension(tenant): Extension<TenantId>,
    Path(namespace): Path<String>,
) -> Response {
    answer(async {
        let mut groups = groups_of_logs(&state, &tenant);
        groups.retain(|group| group.file == namespace);
        by_namespace(&groups)
    })
    .await
}

pub(super) async fn group(
    Shared(state): Shared<State>,
    Extension(tenant): Extension<TenantId>,
    Path((namespace, name)): Path<(String, String)>,
) -> Response {
    answer(async {
        let groups = groups_of_logs(&state, &tenant);
        let group = groups.iter().find(|group| group.file == namespace && group.name == name);
        let group = group.ok_or_else(|| Fault::new(Kind::NotFound, "group does not exist"))?;
        let mut out = String::new();
        push_group(group, "", "", &mut out);
        Ok(yaml(out))
    })
    .await
}

fn yaml(text: String) -> Response {
    ([(header::CONTENT_TYPE, "application/yaml")], Body::from(text)).into_response()
}

/// Groups of one file stand together.
fn by_namespace(groups: &[GroupView]) -> Result<Response, Fault> {
    if groups.is_empty() {
        return Err(Fault::new(Kind::NotFound, "no rule groups found"));
    }
    let mut files: Vec<&str> = groups.iter().map(|group| &*group.file).collect();
    files.sort_unstable();
    files.dedup();
    let mut out = String::new();
    for file in files {
        json_string(file, &mut out);
        out.push_str(":\n");
        for group in groups.iter().filter(|group| group.file == file) {
            push_group(group, "    - ", "      ", &mut out);
        }
    }
    Ok(yaml(out))
}

/// `first` and `indent` begin the first line and the others. Texts are written as JSON has them, which is YAML too.
fn push_group(group: &GroupView, first: &str, indent: &str, out: &mut String) {
    let text = |begin: &str, key: &str, value: &str, out: &mut String| {
        out.push_str(&format!("{begin}{key}: "));
        json_string(value, out);
        out.push('\n');
    };
    let pairs = |key: &str, pairs: &[(String, String)], out: &mut String| {
        if pairs.is_empty() {
            return;
        }
        out.push_str(&format!("{indent}      {key}:\n"));
        for (name, value) in pairs {
            out.push_str(indent);
            out.push_str("        ");
            json_string(name, out);
            out.push_str(": ");
            json_string(value, out);
            out.push('\n');
        }
    };
    let span = |ms: i64| prometheus_duration_text(ms.saturating_mul(1_000_000));
    text(first, "name", &group.name, out);
    out.push_str(&format!("{indent}interval: {}\n", span(group.interval_ms)));
    if group.limit > 0 {
        out.push_str(&format!("{indent}limit: {}\n", group.limit));
    }
    out.push_str(&format!("{indent}rules:\n"));
    for rule in &group.rules {
        let kind = if rule.kind == RuleKind::Recording { "record" } else { "alert" };
        text(&format!("{indent}    - "), kind, &rule.name, out);
        text(&format!("{indent}      "), "expr", &rule.expr, out);
        if let RuleKind::Alerting { for_ms, keep_firing_for_ms } = rule.kind {
            for (key, ms) in [("for", for_ms), ("keep_firing_for", keep_firing_for_ms)] {
                if ms > 0 {
                    out.push_str(&format!("{indent}      {key}: {}\n", span(ms)));
                }
            }
        }
        pairs("labels", &rule.labels, out);
        pairs("annotations", &rule.annotations, out);
    }
}
