//! What receivers would be told of alerts: the messages of a dry run. Nothing is sent, and nothing is held back.

use std::collections::BTreeMap;

use model::alert::{Instance, Intent};

use crate::config::{Channel, ChannelKind, Config, Receiver};
use crate::message::compose;
use crate::outbox::new_intent;
use crate::words::{rendered, said};

/// Most messages made.
const MESSAGES_MAX: usize = 50;

/// One message that a channel would be given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preview {
    pub receiver: String,
    /// `oncall/slack[0]`.
    pub channel: String,
    /// `[FIRING critical] HostDown aurora`, in our own words.
    pub title: String,
    pub text: String,
    /// What the channel's own templates give, by the name of the field.
    pub templates: Vec<(String, String)>,
    /// Templates that failed.
    pub problems: Vec<String>,
}

/// The first message of each group to each channel, as if these alerts began together; at most 50.
pub fn preview(config: &Config, external_url: &str, instances: &[Instance], now_ms: i64) -> Vec<Preview> {
    let mut groups: BTreeMap<(&str, String), (&Receiver, Vec<Instance>)> = BTreeMap::new();
    for instance in instances {
        for target in config.route.targets(&instance.labels) {
            let Some(receiver) = config.receiver(&target.receiver) else { continue };
            let key = (receiver.name.as_str(), target.group_labels(&instance.labels).to_string());
            groups.entry(key).or_insert_with(|| (receiver, Vec::new())).1.push(instance.clone());
        }
    }
    let mut out = Vec::new();
    for (receiver, instances) in groups.into_values() {
        for channel in &receiver.channels {
            let alone = matches!(&channel.kind, ChannelKind::PagerDuty(pagerduty) if !pagerduty.by_group);
            let together = if alone { 1 } else { instances.len() };
            for part in instances.chunks(together.max(1)) {
                let intent = new_intent(&channel.name, "dry-run".into(), part.to_vec(), now_ms, now_ms);
                out.push(one(receiver, channel, &intent, config, external_url, now_ms));
            }
        }
    }
    out.truncate(MESSAGES_MAX);
    out
}

fn one(
    receiver: &Receiver,
    channel: &Channel,
    intent: &Intent,
    config: &Config,
    external_url: &str,
    now_ms: i64,
) -> Preview {
    let message = compose(intent, external_url);
    let (channel, problems) = rendered(channel, intent, config, external_url, now_ms);
    Preview {
        receiver: receiver.name.clone(),
        channel: channel.name.clone(),
        title: message.headline(),
        text: crate::delivery::plain_text(&message),
        templates: said(&channel.kind),
        problems,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use model::Labels;

    use super::*;
    use crate::fixtures::firing;

    const NOTIFY: &str = "
route: {receiver: team, group_by: [alertname], routes: [{matchers: [severity=critical], receiver: oncall, continue: true}, {matchers: [host!=c], receiver: team}]}
receivers:
- {name: team, slack_configs: [{api_url: 'http://x/y', title: '{{ len .Alerts }} of {{ .GroupLabels.alertname }}', text: '{{ .Nope }}'}]}
- {name: oncall, pagerduty_configs: [{routing_key: k, description: '{{ .CommonLabels.host }}'}], webhook_configs: [{url: 'http://x/', payload: {n: '{{ len .Alerts }}'}}]}
";

    #[test]
    fn each_channel_says_what_it_would_send() {
        let config = Config::parse(NOTIFY, "notify.yml", Path::new(".")).unwrap();
        let alert = |host: &str, severity: &str| Instance {
            annotations: vec![("summary".into(), format!("{host} is full"))],
            value: 0.9,
            ..firing(Labels::from_pairs([("alertname", "Disk"), ("host", host), ("severity", severity)]), 0)
        };
        let alerts = [alert("a", "critical"), alert("b", "critical"), alert("c", "warning")];
        let found = preview(&config, "http://here", &alerts, 0);
        let lines: Vec<String> = found
            .iter()
            .map(|one| {
                let templates: Vec<String> =
                    one.templates.iter().map(|(field, text)| format!("{field}={text}")).collect();
                format!("{} {} {} {}", one.channel, one.title, templates.join(" "), one.problems.len())
            })
            .collect();
        assert_eq!(
            lines,
            [
                "oncall/pagerduty[0] [FIRING critical] Disk a description=a 0",
                "oncall/pagerduty[0] [FIRING critical] Disk b description=b 0",
                "oncall/webhook[0] [FIRING critical] Disk a (+1) payload={\"n\":2} 0",
                "team/slack[0] [FIRING critical] Disk a (+2) title=3 of Disk 1",
            ]
        );
        assert!(found[0].text.contains("a is full"), "{}", found[0].text);
    }
}
