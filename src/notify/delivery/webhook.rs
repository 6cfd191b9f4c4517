//! Alertmanager's webhook, version 4 of its JSON, with a key that makes a repeat harmless and, where asked for, a signature.
//!
//! Format: <https://prometheus.io/docs/alerting/latest/configuration/#webhook_config>.

use std::time::Duration;

use model::Labels;
use model::alert::{AlertState, Instance, Intent, label_fingerprint};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::config::{Payload, WebhookConfig, check_webhook_url};
use crate::message::{LOG_LINES_MAX, compose, generator_url, worst_first};
use crate::reason;

use super::context::Context;
use super::http_clients::{plain_error, read_some, retry_after_ms};
use super::{Clients, Report, Speaker, Verdict};

/// What stands for an end that has not come, as Go's zero time.
const NOT_ENDED: &str = "0001-01-01T00:00:00Z";
/// Alerts in a body after one that was too large (413).
const SHORT_ALERTS: usize = 5;
/// Block size of SHA-256, in bytes (RFC 2104).
const HMAC_BLOCK: usize = 64;

pub(super) async fn deliver(
    config: &WebhookConfig,
    intent: &Intent,
    speaker: &Speaker,
    context: &Context,
    clients: &Clients,
    limit: Duration,
) -> Report {
    if let Err(reason) = check_webhook_url(config.url.reveal()) {
        return Report::new(Verdict::Refused, 0, &format!("its template gave no address: {reason}"));
    }
    let limit = config.timeout_ms.map_or(limit, |ms| Duration::from_millis(ms).min(limit));
    if let Some(Payload::Rendered(text)) = &config.payload {
        return post(config, text.clone(), intent, speaker, clients, limit).await;
    }
    // Templates that failed leave Alertmanager's own form.
    let shown = if config.max_alerts == 0 { usize::MAX } else { config.max_alerts };
    let of = |shown: usize| body(shown, intent, speaker, context).to_string();
    let report = post(config, of(shown), intent, speaker, clients, limit).await;
    if report.status == 413 && intent.instances.len().min(shown) > SHORT_ALERTS {
        return post(config, of(SHORT_ALERTS), intent, speaker, clients, limit).await;
    }
    report
}

async fn post(
    config: &WebhookConfig,
    body: String,
    intent: &Intent,
    speaker: &Speaker,
    clients: &Clients,
    limit: Duration,
) -> Report {
    let rev = intent.rev.to_string();
    let mut request = match clients.post_with_token(&config.http, config.url.reveal(), limit).await {
        Ok(request) => request,
        Err(report) => return report,
    };
    request = request
        .header("content-type", "application/json")
        .header("idempotency-key", speaker.key(&[&intent.receiver, &intent.scope, &rev]));
    if let Some(key) = &config.signing_key {
        let mac = hmac_sha256(key.reveal().as_bytes(), body.as_bytes());
        request = request.header("x-signature", format!("sha256={}", model::any::hex(&mac)));
    }
    let response = match request.body(body).send().await {
        Ok(response) => response,
        // Never unsure: a repeat under the same key is the same call.
        Err(error) => return Report::new(Verdict::Transient { unsure: false }, 0, &plain_error(error)),
    };
    let status = response.status().as_u16();
    let retry_after_ms = retry_after_ms(response.headers());
    let answer = read_some(response).await;
    let verdict = match status {
        200..=299 => Verdict::Accepted,
        401 => clients.unauthorized(&config.http),
        429 => Verdict::Throttled { retry_after_ms },
        408 | 500.. => Verdict::Transient { unsure: false },
        _ => Verdict::Refused,
    };
    Report::new(verdict, status, &format!("HTTP {status} {answer}"))
}

/// With so many of its alerts at most; of those that are left out the number alone.
fn body(shown: usize, intent: &Intent, speaker: &Speaker, context: &Context) -> Value {
    let base = speaker.external_url.trim_end_matches('/');
    let mut instances: Vec<&Instance> = intent.instances.iter().collect();
    if shown < instances.len() {
        instances = worst_first(&intent.instances);
        instances.sort_by_key(|instance| instance.state != AlertState::Firing);
        instances.truncate(shown);
    }
    let alerts: Vec<Value> = instances.iter().map(|instance| alert(instance, base)).collect();
    let firing = intent.instances.iter().any(|instance| instance.state == AlertState::Firing);
    let group = context.group_labels.iter().map(|(name, value)| format!("{name}={value:?}")).collect::<Vec<_>>();
    json!({
        "version": "4",
        "groupKey": format!("{{}}:{{{}}}", group.join(", ")),
        "truncatedAlerts": intent.instances.len() - instances.len(),
        "status": if firing { "firing" } else { "resolved" },
        "receiver": context.receiver,
        "notification_reason": reason::of(intent),
        "groupLabels": map(context.group_labels.iter()),
        "commonLabels": map(common(&intent.instances, |instance| pairs(&instance.labels))),
        "commonAnnotations": map(common(&intent.instances, |instance| {
            instance.annotations.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
        })),
        "externalURL": base,
        "alerts": alerts,
        "x": {"notes": compose(intent, &speaker.external_url).notes},
    })
}

/// An alert as Alertmanager has it; under `x` what the other channels say of it as well.
fn alert(instance: &Instance, base: &str) -> Value {
    let context = |name: &str| {
        let found = instance.evidence.context.iter().find(|(key, _)| key == name);
        found.map_or("", |(_, value)| value.as_str())
    };
    let fired_ms = instance.began_ms();
    let (status, ends_at) = match (instance.state, instance.resolved_at_ms) {
        (AlertState::Resolved, Some(ended_ms)) => ("resolved", model::time::rfc3339_ms(ended_ms)),
        _ => ("firing", NOT_ENDED.into()),
    };
    json!({
        "status": status,
        "labels": map(instance.labels.iter()),
        "annotations": map(instance.annotations.iter().map(|(name, value)| (name.as_str(), value.as_str()))),
        "startsAt": model::time::rfc3339_ms(fired_ms),
        "endsAt": ends_at,
        "generatorURL": generator_url(base, instance),
        "fingerprint": label_fingerprint(&instance.labels),
        "x": {
            "value": model::any::double_text(instance.value),
            "owner": context("owner"),
            "runbook": context("runbook"),
            "logLines": instance.evidence.log_lines.iter().take(LOG_LINES_MAX).collect::<Vec<_>>(),
        },
    })
}

fn map<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Value {
    Value::Object(pairs.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect::<Map<_, _>>())
}

fn pairs(labels: &Labels) -> Vec<(&str, &str)> {
    labels.iter().collect()
}

/// What all alerts say alike.
fn common<'a>(
    instances: &'a [Instance],
    of: impl Fn(&'a Instance) -> Vec<(&'a str, &'a str)>,
) -> Vec<(&'a str, &'a str)> {
    let Some((first, rest)) = instances.split_first() else { return Vec::new() };
    let mut shared = of(first);
    for instance in rest {
        let its = of(instance);
        shared.retain(|pair| its.contains(pair));
    }
    shared
}

/// RFC 2104.
fn hmac_sha256(key: &[u8], text: &[u8]) -> Vec<u8> {
    let mut block = [0u8; HMAC_BLOCK];
    if key.len() > HMAC_BLOCK {
        block[..32].copy_from_slice(&Sha256::digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let keyed = |pad: u8, text: &[u8]| {
        let mut hash = Sha256::new();
        hash.update(block.map(|byte| byte ^ pad));
        hash.update(text);
        hash.finalize()
    };
    keyed(0x5c, &keyed(0x36, text)).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_are_those_of_the_rfc() {
        // RFC 4231, test cases 2 and 6.
        let check = |key: &[u8], text: &[u8], expected: &str| {
            assert_eq!(model::any::hex(&hmac_sha256(key, text)), expected);
        };
        check(
            b"Jefe",
            b"what do ya want for nothing?",
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
        );
        check(
            &[0xaa; 131],
            b"Test Using Larger Than Block-Size Key - Hash Key First",
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
        );
    }
}
