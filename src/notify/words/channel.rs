//! A channel's own fields: which of them are templates, and what they say of one message.

use model::alert::Intent;

use crate::config::{Channel, ChannelKind, Config, Detail, Node, NodeValue, Payload, Secret, mailbox, mailboxes};

use super::data::Data;
use super::payload;

/// Every text of a channel that may be a template.
pub(super) fn texts(kind: &ChannelKind) -> Vec<&str> {
    fn given<const N: usize>(texts: [&Option<String>; N]) -> Vec<&str> {
        texts.into_iter().flatten().map(String::as_str).collect()
    }
    match kind {
        ChannelKind::Slack(slack) => {
            let mut texts = given([
                &slack.channel,
                &slack.username,
                &slack.icon_emoji,
                &slack.title,
                &slack.pretext,
                &slack.text,
                &slack.title_link,
                &slack.footer,
            ]);
            let pairs = slack.fields.iter().chain(&slack.buttons);
            texts.extend(pairs.flat_map(|(first, second)| [first.as_str(), second]));
            texts
        }
        ChannelKind::PagerDuty(pagerduty) => {
            let mut texts = given([
                &pagerduty.severity,
                &pagerduty.description,
                &pagerduty.client_url,
                &pagerduty.source,
                &pagerduty.class,
                &pagerduty.component,
                &pagerduty.group,
            ]);
            texts.push(&pagerduty.client);
            for (_, detail) in &pagerduty.details {
                if let Detail::Template(node) = detail {
                    texts_of(node, &mut texts);
                }
            }
            let attached = pagerduty.links.iter().chain(&pagerduty.images).flatten();
            texts.extend(attached.map(|(_, text)| text.as_str()));
            texts
        }
        ChannelKind::Email(email) => {
            let mut texts = given([&email.to_template, &email.from_template, &email.subject, &email.html, &email.text]);
            texts.extend(email.headers.iter().map(|(_, text)| text.as_str()));
            texts
        }
        ChannelKind::Webhook(webhook) => {
            let mut texts = vec![webhook.url.reveal()];
            if let Some(Payload::Template(node)) = &webhook.payload {
                texts_of(node, &mut texts);
            }
            texts
        }
        ChannelKind::Unsent(_) => Vec::new(),
    }
}

fn texts_of<'a>(node: &'a Node, texts: &mut Vec<&'a str>) {
    match &node.value {
        NodeValue::Null => {}
        NodeValue::Scalar(text) => texts.push(text),
        NodeValue::List(items) => items.iter().for_each(|item| texts_of(item, texts)),
        NodeValue::Map(entries) => {
            for entry in entries {
                texts.push(&entry.key);
                texts_of(&entry.node, texts);
            }
        }
    }
}

/// A channel with its templates rendered for one message, and what went wrong with them.
pub(crate) fn rendered(
    channel: &Channel,
    intent: &Intent,
    config: &Config,
    external_url: &str,
    now_ms: i64,
) -> (Channel, Vec<String>) {
    let mut channel = channel.clone();
    let mut problems = Vec::new();
    let data = Data::of(intent, &channel.name, config, external_url);
    let name = channel.name.clone();
    // What alerts say is text, also in a template of HTML, or of Slack's markup: the template's own links and mentions count.
    let of_texts = |escape: fn(&str) -> String| Data::of(&escaped(intent, escape), &channel.name, config, external_url);
    let (in_html, in_slack) = match &channel.kind {
        ChannelKind::Email(_) => (Some(of_texts(template::html)), None),
        ChannelKind::Slack(_) => (None, Some(of_texts(slack_text))),
        _ => (None, None),
    };
    let data_of = |field: &str| match field {
        "html" => in_html.as_ref().unwrap_or(&data),
        "pretext" | "text" | "fields" | "actions" | "footer" => in_slack.as_ref().unwrap_or(&data),
        _ => &data,
    };
    let mut one = |field: &str, text: &str| match config.words.render(text, data_of(field), now_ms) {
        Ok(text) => Some(text),
        Err(error) => {
            problems.push(format!("{field} of {name}: {error}"));
            None
        }
    };
    // An empty text asks for nothing, so our own words stay.
    let mut field = |field: &str, text: &mut Option<String>| {
        *text = text.take().and_then(|text| one(field, &text)).filter(|text| !text.trim().is_empty());
    };
    match &mut channel.kind {
        ChannelKind::Slack(slack) => {
            field("channel", &mut slack.channel);
            field("username", &mut slack.username);
            field("icon_emoji", &mut slack.icon_emoji);
            field("title", &mut slack.title);
            field("pretext", &mut slack.pretext);
            field("text", &mut slack.text);
            if let Some(pretext) = slack.pretext.take() {
                let text = slack.text.take().map(|text| format!("\n{text}")).unwrap_or_default();
                slack.text = Some(pretext + &text);
            }
            field("title_link", &mut slack.title_link);
            field("footer", &mut slack.footer);
            let mut both = |pairs: &mut Vec<(String, String)>, first: &str, second: &str| {
                for (one, other) in pairs.iter_mut() {
                    in_place(&mut field, first, one);
                    in_place(&mut field, second, other);
                }
                // Without an address, or a value, there is nothing to show.
                pairs.retain(|(one, other)| !one.is_empty() && !other.is_empty());
            };
            both(&mut slack.fields, "fields", "fields");
            both(&mut slack.buttons, "actions", "url of an action");
        }
        ChannelKind::PagerDuty(pagerduty) => {
            field("severity", &mut pagerduty.severity);
            field("description", &mut pagerduty.description);
            field("client_url", &mut pagerduty.client_url);
            field("source", &mut pagerduty.source);
            field("class", &mut pagerduty.class);
            field("component", &mut pagerduty.component);
            field("group", &mut pagerduty.group);
            let mut client = Some(std::mem::take(&mut pagerduty.client));
            field("client", &mut client);
            pagerduty.client = client.unwrap_or_else(|| "Binnacle".into());
            for (key, text) in pagerduty.links.iter_mut().chain(&mut pagerduty.images).flatten() {
                in_place(&mut field, key, text);
            }
            let mut render = |text: &str| config.words.render(text, &data, now_ms);
            let mut details = Vec::with_capacity(pagerduty.details.len());
            for (key, detail) in std::mem::take(&mut pagerduty.details) {
                let Detail::Template(node) = &detail else { continue };
                match payload::json(node, &mut render) {
                    Ok(value) if payload::is_empty(&value) => {}
                    Ok(value) => details.push((key, Detail::Rendered(value))),
                    Err(error) => problems.push(format!("{key} of {name}: {error}")),
                }
            }
            pagerduty.details = details;
        }
        ChannelKind::Email(email) => {
            let (mut to, mut from) = (email.to_template.take(), email.from_template.take());
            field("to", &mut to);
            field("from", &mut from);
            field("Subject", &mut email.subject);
            field("html", &mut email.html);
            field("text", &mut email.text);
            for (name, text) in &mut email.headers {
                in_place(&mut field, name, text);
                *text = crate::message::one_line(text, 500);
            }
            email.headers.retain(|(_, text)| !text.is_empty() && text.is_ascii());
            // Without an address it counts as refused, which tells the fallback.
            let mut complain = |what: &str, error: String| problems.push(format!("{what} of {name}: {error}"));
            if let Some(text) = to {
                email.to = mailboxes(&text).map_err(|error| complain("to", error)).unwrap_or_default();
            }
            if let Some(text) = from {
                email.from = mailbox(&text).map_err(|error| complain("from", error)).ok();
            }
        }
        ChannelKind::Webhook(webhook) => {
            let most = if webhook.max_alerts == 0 { usize::MAX } else { webhook.max_alerts };
            let shown = Intent { instances: intent.instances.iter().take(most).cloned().collect(), ..intent.clone() };
            let data = Data::of(&shown, &name, config, external_url);
            let mut render = |text: &str| config.words.render(text, &data, now_ms);
            // Without an address it counts as refused, which tells the fallback.
            webhook.url = Secret::new(render(webhook.url.reveal()).unwrap_or_else(|error| {
                problems.push(format!("url of {name}: {error}"));
                String::new()
            }));
            if let Some(Payload::Template(node)) = &webhook.payload {
                match payload::body(node, &mut render) {
                    Ok(body) => webhook.payload = Some(Payload::Rendered(body.to_string())),
                    Err(error) => problems.push(format!("payload of {name}: {error}")),
                }
            }
        }
        ChannelKind::Unsent(_) => {}
    }
    (channel, problems)
}

/// Of a text that is always there: empty where its template gives nothing, or fails.
fn in_place(field: &mut dyn FnMut(&str, &mut Option<String>), name: &str, text: &mut String) {
    let mut rendered = Some(std::mem::take(text));
    field(name, &mut rendered);
    *text = rendered.unwrap_or_default();
}

/// What a rendered channel's own fields say, by their names; nothing of those that are not given.
pub(crate) fn said(kind: &ChannelKind) -> Vec<(String, String)> {
    let mut out = Vec::new();
    let mut push = |name: &str, text: &Option<String>| {
        out.extend(text.iter().map(|text| (name.to_owned(), text.clone())));
    };
    match kind {
        ChannelKind::Slack(slack) => {
            push("channel", &slack.channel);
            push("title", &slack.title);
            push("text", &slack.text);
            push("title_link", &slack.title_link);
            for (name, text) in slack.fields.iter().chain(&slack.buttons) {
                push(name, &Some(text.clone()));
            }
            push("footer", &slack.footer);
        }
        ChannelKind::PagerDuty(pagerduty) => {
            push("severity", &pagerduty.severity);
            push("description", &pagerduty.description);
            for (name, detail) in &pagerduty.details {
                if let Detail::Rendered(value) = detail {
                    push(name, &Some(payload::text(value)));
                }
            }
        }
        ChannelKind::Email(email) => {
            push("subject", &email.subject);
            push("text", &email.text);
            push("html", &email.html);
        }
        ChannelKind::Webhook(webhook) => match &webhook.payload {
            Some(Payload::Rendered(body)) => push("payload", &Some(body.clone())),
            Some(Payload::Template(_)) | None => {}
        },
        ChannelKind::Unsent(unsent) => push("not sent", &Some(unsent.reason.clone())),
    }
    out
}

/// An intent whose alerts' texts are escaped.
fn escaped(intent: &Intent, escape: fn(&str) -> String) -> Intent {
    let mut intent = intent.clone();
    for instance in &mut intent.instances {
        let labels = instance.labels.iter().map(|(name, value)| (name.to_owned(), escape(value)));
        instance.labels = model::Labels::from_pairs(labels);
        for (_, text) in &mut instance.annotations {
            *text = escape(text);
        }
    }
    intent
}

/// Text in which Slack sees neither links nor mentions.
fn slack_text(text: &str) -> String {
    crate::delivery::slack_escape(text, usize::MAX)
}
