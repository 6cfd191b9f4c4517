//! `/api/v1/rules/dryrun`: what a rule's alerts would say if they fired now, and to whom. Nothing is sent.

use axum::Extension;
use axum::extract::State as Shared;
use axum::response::Response;
use model::any::json_string;
use model::{Kind, TenantId};
use notify::Preview;
use query::Budget;

use super::envelope::{self, Notes, push_array, push_object, push_strings};
use super::params::{Params, bad};
use crate::dry_run::Said;
use crate::error::Fault;
use crate::{State, alerting, clock};

/// `id`: of the rule, as in the address of its page.
pub(super) async fn dry_run(
    Shared(state): Shared<State>,
    Extension(tenant): Extension<TenantId>,
    params: Params,
) -> Response {
    super::answer("rules", async {
        let id = params.get("id").ok_or_else(|| bad("id", "give a rule's id, as in /alerts/rule/<id>"))?.to_owned();
        let ours = state.alerting_of(&tenant).ok_or_else(|| alerting::none_for(&tenant))?.clone();
        let timeout = params.timeout()?;
        let work = move |_: &Budget| Ok(Said::ask(&ours, &id, clock::now_ms()));
        let said = state.queries.run(timeout, work).await?;
        let said = said.ok_or_else(|| Fault::new(Kind::NotFound, "no rule has this id"))?;
        let said = said.map_err(|reason| bad("id", &reason))?;
        let mut out = format!("{{\"holds\":{},\"words\":", said.run.holds);
        json_string(said.sentence(), &mut out);
        out.push_str(",\"alerts\":");
        push_array(&said.run.instances, &mut out, |instance, out| {
            out.push_str("{\"labels\":");
            push_object(instance.labels.iter(), out);
            out.push_str(",\"annotations\":");
            push_object(instance.annotations.iter().map(|(name, text)| (name.as_str(), text.as_str())), out);
            out.push_str(",\"value\":");
            json_string(&model::any::double_text(instance.value), out);
            out.push('}');
        });
        out.push_str(",\"messages\":");
        push_array(&said.messages, &mut out, push_message);
        out.push('}');
        Ok(envelope::success(&out, &Notes::default()))
    })
    .await
}

fn push_message(message: &Preview, out: &mut String) {
    for (key, text) in [
        ("{\"receiver\":", &message.receiver),
        (",\"channel\":", &message.channel),
        (",\"title\":", &message.title),
        (",\"text\":", &message.text),
    ] {
        out.push_str(key);
        json_string(text, out);
    }
    out.push_str(",\"templates\":");
    push_object(message.templates.iter().map(|(name, text)| (name.as_str(), text.as_str())), out);
    out.push_str(",\"problems\":");
    push_strings(message.problems.iter().map(String::as_str), out);
    out.push('}');
}
