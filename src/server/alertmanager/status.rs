//! `/api/v2/status` and `/api/v2/receivers`.

use axum::response::Response;
use model::any::json_string;

use super::json::time_text;
use super::{Asker, answer, ok, passes};
use crate::api::envelope::{push_array, push_object};

/// Clients decide by Alertmanager's version what they may ask for; this is the one whose API is spoken here.
const API_OF: &str = "0.28.0";

/// The metric by which clients (karma) learn the same, in Prometheus' text format.
pub(crate) fn build_info() -> String {
    format!(
        "# HELP alertmanager_build_info The version of Alertmanager whose API is spoken here.\n\
         # TYPE alertmanager_build_info gauge\nalertmanager_build_info{{version=\"{API_OF}\"}} 1\n"
    )
}

pub(super) async fn status(asker: Asker) -> Response {
    let result = asker.work(|asker| {
        let settings = &asker.state.settings;
        let config = asker.alerting().map(|alerting| alerting.notifier.config());
        let mut out = String::from("{\"cluster\":{\"peers\":[],\"status\":\"disabled\"},\"config\":{\"original\":");
        json_string(config.as_ref().map_or("", |config| config.shown()), &mut out);
        out.push_str("},\"uptime\":");
        json_string(&time_text(settings.started_ms), &mut out);
        out.push_str(",\"versionInfo\":{\"branch\":\"binnacle\",\"buildDate\":\"\",\"buildUser\":\"\",\"goVersion\":\"\",\"revision\":");
        json_string(settings.version, &mut out);
        out.push_str(",\"version\":");
        json_string(API_OF, &mut out);
        out.push_str("}}");
        Ok(ok(out))
    });
    answer(result.await)
}

pub(super) async fn receivers(asker: Asker) -> Response {
    let result = asker.work(|asker| {
        let mut out = String::new();
        let Some(alerting) = asker.alerting() else { return Ok(ok("[]".into())) };
        let board = alerting.notifier.board(crate::clock::now_ms())?;
        let matchers = asker.receiver_matchers()?;
        let found = board.receivers().filter(|(_, labels)| passes(&matchers, |name| labels.get(name)));
        push_array(found, &mut out, |(name, labels), out| {
            out.push_str("{\"labels\":");
            push_object(labels.iter(), out);
            out.push_str(",\"name\":");
            json_string(name, out);
            out.push('}');
        });
        Ok(ok(out))
    });
    answer(result.await)
}
