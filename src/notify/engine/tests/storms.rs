//! Storms, told through every kind of channel.

use store::Evaluation;

use super::*;
use crate::rehearsal::rehearse;

const MINUTE: i64 = 60_000;
/// So many alerts of a name each are a storm.
const MANY: i64 = 12;

fn firing(name: &str, at_ms: i64) -> Instance {
    crate::fixtures::firing(Labels::from_pairs([("alertname", name), ("severity", "critical")]), at_ms)
}

fn at(at_ms: i64, notices: Vec<Instance>) -> Evaluation {
    Evaluation { at_ms, upserts: notices.clone(), notices, ..Evaluation::default() }
}

#[tokio::test]
async fn whoever_joins_a_storm_is_told_of_by_every_channel() {
    let channels = [
        "email_configs: [{to: a@example.org, from: b@example.org, smarthost: 'mail.example.org:25'}]",
        "slack_configs: [{api_url: 'http://x/services/y'}]",
        "slack_configs: [{api_url: 'http://x/api/chat.postMessage', channel: '#a', http_config: {authorization: {credentials: t}}}]",
        "pagerduty_configs: [{routing_key: k}]",
        "webhook_configs: [{url: 'http://x/'}]",
    ];
    for channel in channels {
        let text = format!(
            "{{route: {{receiver: a, group_by: [alertname], group_wait: 0s}}, receivers: [{{name: a, {channel}}}]}}"
        );
        let config = Config::parse(&text, "notify.yml", Path::new(".")).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let storm = (0..MANY).map(|n| firing(&format!("Down{n}"), 0)).collect();
        let steps = [at(0, storm), at(2 * MINUTE, vec![firing("Late", 2 * MINUTE)])];
        let told = rehearse(dir.path(), config, "http://here", &steps, 20 * MINUTE).await.unwrap();
        let of = |words: &str| -> Vec<i64> {
            told.iter().filter(|one| one.text.contains(words)).map(|one| one.at_ms / MINUTE).collect()
        };
        assert!(of("Late").first().is_some_and(|minute| *minute <= 7), "{channel}: {told:#?}");
        assert!(!of("The storm is over").is_empty(), "{channel}: {told:#?}");
        assert!(told.len() <= 12, "{channel}: {} messages: {told:#?}", told.len());
    }
}
