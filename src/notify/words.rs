//! Alertmanager's templates: what `title`, `text`, `description` and their like say, from the alerts of a message.
//!
//! The data and the functions are those of Alertmanager's `template/template.go`. A template that fails never stops a message: the
//! field keeps our own words, and the error is logged and shown with the channel.

mod data;
mod functions;

use std::path::Path;

use model::alert::Intent;
use template::{Language, Set, Template, Value};

use crate::config::{Channel, ChannelKind, Config};

use data::Data;

/// Named templates that files may call without defining them, as Alertmanager has them.
const DEFAULTS: &str = include_str!("words/default.tmpl");
/// Most template files of one configuration.
const FILES_MAX: usize = 100;

const LANGUAGE: Language<'static> = Language { functions: &functions::exists, variables: &[], strict: false };

/// The named templates of a configuration: ours, and those of its files.
#[derive(Debug, Clone, Default)]
pub(crate) struct Words {
    set: Set,
}

impl Words {
    /// Reads the files that these patterns name (`*` in the last part). A file that cannot be used is left out and named in the
    /// second value.
    pub(crate) fn read(patterns: &[String], dir: &Path) -> (Words, Vec<String>) {
        let mut problems = Vec::new();
        let mut texts: Vec<(String, String)> = Vec::new();
        for pattern in patterns {
            for path in matching(&dir.join(pattern)) {
                let name = path.display().to_string();
                if texts.len() >= FILES_MAX {
                    problems.push(format!("{name}: not used, {FILES_MAX} template files are read"));
                    continue;
                }
                match std::fs::read_to_string(&path) {
                    Ok(text) => texts.push((name, text)),
                    Err(error) => problems.push(format!("{name}: not used: {error}")),
                }
            }
        }
        loop {
            let all: Vec<&str> = std::iter::once(DEFAULTS).chain(texts.iter().map(|(_, text)| text.as_str())).collect();
            match Set::parse(&all, &LANGUAGE) {
                Ok(set) => return (Words { set }, problems),
                // Without the bad one: the others are still good.
                Err((at, error)) if at > 0 => {
                    let (name, _) = texts.remove(at - 1);
                    problems.push(format!("{name}: not used: {error}"));
                }
                Err((_, error)) => {
                    problems.push(format!("built-in templates: {error}"));
                    return (Words::default(), problems);
                }
            }
        }
    }

    /// What is wrong with a channel's templates, a line each.
    pub(crate) fn problems(&self, channel: &Channel) -> Vec<String> {
        let texts = texts(&channel.kind);
        let parsed = texts.into_iter().filter_map(|text| Template::parse(text, &LANGUAGE, &self.set).err());
        parsed.map(|error| format!("{}: {error}; our own words are sent in its place", channel.name)).collect()
    }

    fn render(&self, text: &str, data: &Data, now_ms: i64) -> Result<String, String> {
        if !text.contains("{{") {
            return Ok(text.into());
        }
        let template = Template::parse(text, &LANGUAGE, &self.set).map_err(|error| error.to_string())?;
        let mut functions =
            |name: &str, arguments: &[Value]| functions::call(name, arguments, now_ms).map_err(Into::into);
        template.run(data, Vec::new(), &mut functions).map_err(|error| error.to_string())
    }
}

/// Files that a pattern names, sorted. A pattern without a star names itself.
fn matching(pattern: &Path) -> Vec<std::path::PathBuf> {
    let name = pattern.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let Some(folder) = pattern.parent().filter(|_| name.contains('*')) else { return vec![pattern.to_path_buf()] };
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let parts: Vec<&str> = name.split('*').collect();
    let mut found: Vec<_> = entries
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.is_file())
        .filter(|path| path.file_name().is_some_and(|name| has_parts(&name.to_string_lossy(), &parts)))
        .collect();
    found.sort();
    found
}

/// Whether a name is these parts with anything between them.
fn has_parts(name: &str, parts: &[&str]) -> bool {
    let [first, middle @ .., last] = parts else { return false };
    let Some(mut rest) = name.strip_prefix(first) else { return false };
    for part in middle {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.len() >= last.len() && rest.ends_with(last)
}

/// Every text of a channel that may be a template.
fn texts(kind: &ChannelKind) -> Vec<&str> {
    fn given<const N: usize>(texts: [&Option<String>; N]) -> Vec<&str> {
        texts.into_iter().flatten().map(String::as_str).collect()
    }
    match kind {
        ChannelKind::Slack(slack) => {
            given([&slack.channel, &slack.username, &slack.icon_emoji, &slack.title, &slack.pretext, &slack.text])
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
            texts.extend(pagerduty.details.iter().map(|(_, text)| text.as_str()));
            let attached = pagerduty.links.iter().chain(&pagerduty.images).flatten();
            texts.extend(attached.map(|(_, text)| text.as_str()));
            texts
        }
        ChannelKind::Email(email) => {
            let mut texts = given([&email.subject, &email.html, &email.text]);
            texts.extend(email.headers.iter().map(|(_, text)| text.as_str()));
            texts
        }
        ChannelKind::Webhook(_) | ChannelKind::Unsent(_) => Vec::new(),
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
    // What alerts say is text, also in a template of HTML.
    let escaped = Data::of(&in_html_text(intent), &channel.name, config, external_url);
    let data_of = |field: &str| if field == "html" { &escaped } else { &data };
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
            for (name, text) in &mut pagerduty.details {
                let mut detail = Some(std::mem::take(text));
                field(name, &mut detail);
                *text = detail.unwrap_or_default();
            }
            pagerduty.details.retain(|(_, text)| !text.is_empty());
            for (key, text) in pagerduty.links.iter_mut().chain(&mut pagerduty.images).flatten() {
                let mut rendered = Some(std::mem::take(text));
                field(key, &mut rendered);
                *text = rendered.unwrap_or_default();
            }
        }
        ChannelKind::Email(email) => {
            field("Subject", &mut email.subject);
            field("html", &mut email.html);
            field("text", &mut email.text);
            for (name, text) in &mut email.headers {
                let mut header = Some(std::mem::take(text));
                field(name, &mut header);
                *text = header.map(|text| crate::message::one_line(&text, 500)).unwrap_or_default();
            }
            email.headers.retain(|(_, text)| !text.is_empty() && text.is_ascii());
        }
        ChannelKind::Webhook(_) | ChannelKind::Unsent(_) => {}
    }
    (channel, problems)
}

/// An intent whose alerts' texts are escaped for HTML.
fn in_html_text(intent: &Intent) -> Intent {
    let mut intent = intent.clone();
    for instance in &mut intent.instances {
        let labels = instance.labels.iter().map(|(name, value)| (name.to_owned(), template::html(value)));
        instance.labels = model::Labels::from_pairs(labels);
        for (_, text) in &mut instance.annotations {
            *text = template::html(text);
        }
    }
    intent
}

#[cfg(test)]
mod tests;
