//! `/api/v1/notify/test`: a synthetic alert through everything that a real one passes, and how it went.

use axum::Extension;
use axum::extract::State as Shared;
use axum::response::Response;
use model::TenantId;
use model::alert::Attempt;
use model::any::json_string;
use model::time::rfc3339_ms;

use super::envelope::{self, Notes, push_array};
use super::params::{Params, bad};
use crate::error::Fault;
use crate::{State, alerting};

/// `receiver`: who is to be told. Answers with the id to ask about.
pub(super) async fn begin_test(
    Shared(state): Shared<State>,
    Extension(tenant): Extension<TenantId>,
    params: Params,
) -> Response {
    super::answer("notify", async {
        let notifier = notifier_of(&state, &tenant)?;
        let receiver = params.get("receiver").ok_or_else(|| bad("receiver", "name the receiver to test"))?;
        let id = notifier.send_test(receiver).map_err(|error| Fault::new(error.kind(), error.to_string()))?;
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
        let notifier = notifier_of(&state, &tenant)?;
        let id = params.get("id").ok_or_else(|| bad("id", "give the id that the test was begun with"))?.to_owned();
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

fn notifier_of(state: &State, tenant: &TenantId) -> Result<notify::Notifier, Fault> {
    let alerting = state.alerting_of(tenant).ok_or_else(|| alerting::none_for(tenant))?;
    Ok(alerting.notifier.clone())
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
