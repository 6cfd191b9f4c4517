//! Why a message is sent, in Alertmanager's words (`notify.NotifyReason`), for its templates and its webhooks.

use model::alert::{AlertState, Instance, Intent, IntentState};

use crate::outbox::Marks;

pub(crate) fn of(intent: &Intent) -> &'static str {
    let marks = Marks::of(intent);
    let is_firing = |instance: &Instance| instance.state == AlertState::Firing;
    match (intent.accepted, intent.want) {
        (None, _) => "first notification",
        (Some(_), IntentState::Resolved) => "all alerts resolved",
        _ if intent.instances.iter().any(|one| is_firing(one) && !marks.is_told(one)) => "new alerts added",
        _ if intent.instances.iter().any(|one| !is_firing(one)) => "some alerts resolved",
        _ => "repeat interval elapsed",
    }
}
