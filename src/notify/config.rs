//! `notify.yml`: Alertmanager's format, with extensions under `x:`.
//!
//! A file is used whole or not at all, and every key in it has an effect: what this release does not act on is refused with
//! its line. Differences from Alertmanager: `send_resolved` is true for every kind of channel, and templates are refused.

use std::path::Path;

mod email;
mod fields;
mod matchers;
mod pagerduty;
mod receiver;
mod route;
mod secret;
mod slack;
mod tree;

pub(crate) use email::{EmailConfig, Encryption};
pub(crate) use pagerduty::{PagerDutyConfig, SEVERITIES};
pub(crate) use receiver::{Channel, ChannelKind, Fallback, Receiver};
pub(crate) use route::{GroupBy, Route, Target};
pub(crate) use slack::{SlackConfig, SlackDoor};

use fields::{Fields, nearest};
use receiver::Globals;
use tree::Bad;

/// A configuration that cannot be used, and where.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{file}:{line}: {reason}")]
pub struct ConfigError {
    pub file: String,
    pub line: usize,
    pub reason: String,
}

impl ConfigError {
    pub fn kind(&self) -> model::Kind {
        model::Kind::Invalid
    }
}

/// A checked configuration.
#[derive(Debug, Clone)]
pub struct Config {
    pub(crate) route: Route,
    pub(crate) receivers: Vec<Receiver>,
}

impl Config {
    /// Nobody is told; alerts show on the pages only. What applies while there is no file.
    pub fn silent() -> Config {
        let name = "nobody";
        Config {
            route: Route::leaf(Target::to(name)),
            receivers: vec![Receiver { name: name.into(), channels: Vec::new(), fallback: None }],
        }
    }

    /// Reads and checks a file's text; `dir` is where relative `*_file` paths start. Reads the files and environment
    /// variables that the text names.
    pub fn parse(text: &str, file: &str, dir: &Path) -> Result<Config, ConfigError> {
        let config = tree::read(text, &|name| std::env::var(name).ok()).and_then(|node| Config::of(&node, dir));
        config.map_err(|bad| ConfigError { file: file.into(), line: bad.line, reason: bad.reason })
    }

    fn of(node: &tree::Node, dir: &Path) -> Result<Config, Bad> {
        let mut fields = Fields::of(node, "notify.yml")?;
        let globals = match fields.take("global") {
            Some(node) => Globals::read(node, dir)?,
            None => Globals::default(),
        };
        let mut receivers: Vec<Receiver> = Vec::new();
        for item in fields.list("receivers")? {
            let receiver = Receiver::read(item, &globals, dir)?;
            if receivers.iter().any(|other| other.name == receiver.name) {
                return Err(Bad::new(item.line, format!("receiver {:?} stands twice", receiver.name)));
            }
            receivers.push(receiver);
        }
        let route_node = fields.take("route").ok_or_else(|| Bad::new(node.line, "notify.yml needs a route"))?;
        let route = Route::root(route_node)?;
        fields.end(&[
            "templates",
            "inhibit_rules",
            "time_intervals",
            "mute_time_intervals",
            "tracing",
            "event_recorder",
        ])?;
        let config = Config { route, receivers };
        for name in config.route.receivers() {
            config.check_name(name, route_node.line)?;
        }
        config.check_fallbacks()?;
        Ok(config)
    }

    fn check_name(&self, name: &str, line: usize) -> Result<(), Bad> {
        if self.receiver(name).is_some() {
            return Ok(());
        }
        let hint = nearest(name, self.receivers.iter().map(|receiver| receiver.name.as_str()))
            .map(|name| format!("; did you mean {name:?}?"))
            .unwrap_or_default();
        Err(Bad::new(line, format!("there is no receiver {name:?}{hint}")))
    }

    fn check_fallbacks(&self) -> Result<(), Bad> {
        for start in &self.receivers {
            let mut seen = vec![start.name.as_str()];
            let mut at = start;
            while let Some(fallback) = &at.fallback {
                self.check_name(&fallback.to, fallback.line)?;
                if seen.contains(&fallback.to.as_str()) {
                    let reason = format!("fallbacks go in a circle: {} -> {}", seen.join(" -> "), fallback.to);
                    return Err(Bad::new(fallback.line, reason));
                }
                seen.push(&fallback.to);
                let Some(next) = self.receiver(&fallback.to) else { break };
                if next.channels.is_empty() {
                    return Err(Bad::new(fallback.line, format!("receiver {:?} tells nobody", fallback.to)));
                }
                at = next;
            }
        }
        Ok(())
    }

    pub(crate) fn receiver(&self, name: &str) -> Option<&Receiver> {
        self.receivers.iter().find(|receiver| receiver.name == name)
    }

    /// The receiver and the channel of a channel's full name (`oncall/slack[0]`).
    pub(crate) fn channel(&self, name: &str) -> Option<(&Receiver, &Channel)> {
        self.receivers
            .iter()
            .find_map(|receiver| Some((receiver, receiver.channels.iter().find(|channel| channel.name == name)?)))
    }

    pub(crate) fn channels(&self) -> impl Iterator<Item = &Channel> {
        self.receivers.iter().flat_map(|receiver| &receiver.channels)
    }
}

#[cfg(test)]
mod tests;
