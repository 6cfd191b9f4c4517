//! `/api/v1/notify/test`: a synthetic alert through everything that a real one passes, and how it went.

use axum::Extension;
use axum::extract::State as Shared;
use axum::response::Response;
use model::alert::Attempt;
use model::any::json_string;
use model::time::rfc3339_ms;
use model::{Kind, TenantId};

use super::envelope::{self, Notes, push_array};
use super::params::{Params, bad};
use crate::State;
use crate::error::Fault;

/// `receiver`: who is to be told. Answers with the id to ask about.
pub(super) async fn begin_test(
    Shared(state): Shared<State>,
    Extension(tenant): Extension<TenantId>,
    params: Params,
) -> Response {
    super::answer("notify", async {
        own_tenant(&state, &tenant)?;
        let receiver = params.get("receiver").ok_or_else(|| bad("receiver", "name the receiver to test"))?;
        let id = state.notifier.send_test(receiver).map_err(|error| Fault::new(error.kind(), error.to_string()))?;
        let mut out = String::from("{\"testId\":");
        json_string(&id, &mut out);
        out.push('}');
        Ok(envelope::success(&out, &Notes::default()))
    })
    .await
}

/// `id`: of a test that was begun. Answers with its attempts, oldest first, and whether it is done.
pub(super) async fn test_steps(
    Shared(state): Shared<State>,
    Extension(tenant): Extension<TenantId>,
    params: Params,
) -> Response {
    super::answer("notify", async {
        own_tenant(&state, &tenant)?;
        let id = params.get("id").ok_or_else(|| bad("id", "give the id that the test was begun with"))?.to_owned();
        let notifier = state.notifier.clone();
        let steps = tokio::task::spawn_blocking(move || notifier.test_steps(&id))
            .await
            .map_err(|_| Fault::panicked("reading the attempts of a test"))??;
        let mut out = format!("{{\"done\":{},\"attempts\":", steps.done);
        push_array(&steps.attempts, &mut out, push_attempt);
        out.push('}');
        Ok(envelope::success(&out, &Notes::default()))
    })
    .await
}

fn own_tenant(state: &State, tenant: &TenantId) -> Result<(), Fault> {
    if *tenant == state.alerts_tenant {
        return Ok(());
    }
    Err(Fault::new(Kind::NotFound, format!("alerts are told for the tenant {} alone", state.alerts_tenant)))
}

fn push_attempt(attempt: &Attempt, out: &mut String) {
    out.push_str("{\"channel\":");
    json_string(&attempt.receiver, out);
    out.push_str(&format!(",\"at\":\"{}\"", rfc3339_ms(attempt.at_ms)));
    out.push_str(",\"words\":");
    json_string(&attempt.words, out);
    out.push_str(&format!(
        ",\"want\":\"{}\",\"outcome\":\"{}\",\"status\":{},\"number\":{},\"tookMs\":{}}}",
        attempt.want.as_str(),
        attempt.outcome.as_str(),
        attempt.status,
        attempt.number,
        attempt.took_ms
    ));
}
