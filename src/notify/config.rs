//! `notify.yml`: Alertmanager's format, with extensions under `x:`.
//!
//! A file is used whole or not at all. Alertmanager's own files load unchanged: an unknown key is refused with its line, and what
//! Alertmanager knows and this release does not act on is a warning. `send_resolved` is true for every kind of channel.

use std::collections::BTreeMap;
use std::path::Path;

mod email;
mod extensions;
mod fields;
mod http;
mod inhibit;
mod intervals;
mod matchers;
mod oauth2;
mod pagerduty;
mod receiver;
mod route;
mod secret;
mod shown;
mod slack;
mod tls;
mod tree;
mod unsent;
mod warnings;
mod webhook;

pub(crate) use email::{EmailConfig, Encryption, mailbox, mailboxes};
pub(crate) use extensions::{BACK_WITHIN_MS, DeadMan, OfFile, Step};
pub(crate) use http::{Authorization, HttpConfig, Proxy, Way};
pub(crate) use inhibit::InhibitRule;
pub(crate) use intervals::Interval;
pub use matchers::parse as parse_matchers;
pub(crate) use oauth2::OAuth2;
pub(crate) use pagerduty::{Attached, Detail, PagerDutyConfig, SEVERITIES};
pub(crate) use receiver::{Channel, ChannelKind, Fallback, Receiver};
pub(crate) use route::{GroupBy, Route, Target};
pub(crate) use secret::Secret;
pub(crate) use slack::{SlackConfig, SlackDoor};
pub(crate) use tls::TlsConfig;
pub(crate) use tree::{Node, Value as NodeValue};
pub(crate) use webhook::{Payload, WebhookConfig, check_url as check_webhook_url};

use fields::{Fields, nearest};
use model::TenantId;
use receiver::Globals;
use tree::Bad;

use crate::words::Words;

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
    /// Channels of an earlier configuration that still owe somebody an end; no route leads to them.
    leaving: Vec<Receiver>,
    pub(crate) inhibit_rules: Vec<InhibitRule>,
    /// Those of a name hold when one of them does.
    pub(crate) intervals: BTreeMap<String, Vec<Interval>>,
    /// How long a pushed alert fires that names no end.
    pub(crate) resolve_timeout_ms: i64,
    /// Named templates.
    pub(crate) words: Words,
    /// What stands under `x:` of the whole file.
    pub(crate) x: OfFile,
    warnings: Vec<String>,
    /// YAML without secrets.
    shown: String,
}

/// Keys of the whole file without effect here.
const IDLE: [&str; 2] = ["tracing", "event_recorder"];

/// Alertmanager's default for pushed alerts without an end, in ms.
const RESOLVE_TIMEOUT_MS: i64 = 5 * 60_000;

impl Config {
    /// Nobody is told; alerts show on the pages only. What applies while there is no file.
    pub fn silent() -> Config {
        let name = "nobody";
        Config {
            route: Route::leaf(Target::to(name)),
            receivers: vec![Receiver::silent(name)],
            leaving: Vec::new(),
            inhibit_rules: Vec::new(),
            intervals: BTreeMap::new(),
            resolve_timeout_ms: RESOLVE_TIMEOUT_MS,
            words: Words::default(),
            x: OfFile::default(),
            warnings: Vec::new(),
            shown: format!("route:\n  receiver: {name}\nreceivers:\n  - name: {name}\n"),
        }
    }

    /// Reads and checks a file's text; `dir` is where relative `*_file` paths start. Reads the files and environment
    /// variables that the text names.
    pub fn parse(text: &str, file: &str, dir: &Path) -> Result<Config, ConfigError> {
        let config = tree::read(text, &|name| std::env::var(name).ok()).and_then(|node| Config::of(&node, file, dir));
        config.map_err(|bad| ConfigError { file: file.into(), line: bad.line, reason: bad.reason })
    }

    fn of(node: &tree::Node, file: &str, dir: &Path) -> Result<Config, Bad> {
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
        let inhibit = fields.list("inhibit_rules")?.iter().enumerate();
        let mut inhibit_rules: Vec<InhibitRule> =
            inhibit.map(|(at, item)| InhibitRule::read(item, at)).collect::<Result<_, _>>()?;
        let intervals = read_intervals(&mut fields)?;
        let x = fields.take("x").map(|node| extensions::of_file(node, dir)).transpose()?.unwrap_or_default();
        if x.builtin_inhibitions {
            inhibit_rules.extend(builtin_inhibitions()?);
        }
        let patterns = fields.list("templates")?.iter();
        let patterns: Vec<String> =
            patterns.map(|item| Ok(fields::scalar(item, "templates")?.to_owned())).collect::<Result<_, Bad>>()?;
        fields.end(&IDLE)?;
        for name in route.intervals() {
            if !intervals.contains_key(name) {
                let hint = nearest(name, intervals.keys().map(String::as_str))
                    .map(|name| format!("; did you mean {name:?}?"))
                    .unwrap_or_default();
                return Err(Bad::new(route_node.line, format!("there is no time interval {name:?}{hint}")));
            }
        }
        let mut warnings = warnings::of(node, file);
        for channel in receivers.iter().flat_map(|receiver| &receiver.channels) {
            if let ChannelKind::Unsent(unsent) = &channel.kind {
                warnings.push(format!("{file}: {}: {}", channel.name, unsent.reason));
            }
        }
        let (words, problems) = Words::read(&patterns, dir);
        warnings.extend(problems);
        let channels = receivers.iter().flat_map(|receiver| &receiver.channels);
        warnings.extend(channels.flat_map(|channel| words.problems(channel)).map(|line| format!("{file}: {line}")));
        let resolve_timeout_ms = globals.resolve_timeout_ms.unwrap_or(RESOLVE_TIMEOUT_MS);
        let shown = shown::yaml(node);
        let config = Config {
            route,
            receivers,
            leaving: Vec::new(),
            inhibit_rules,
            intervals,
            resolve_timeout_ms,
            words,
            x,
            warnings,
            shown,
        };
        for name in config.route.receivers() {
            config.check_name(name, route_node.line)?;
        }
        config.check_fallbacks()?;
        for step in config.receivers.iter().flat_map(|receiver| &receiver.escalate) {
            config.check_name(&step.to, step.line)?;
        }
        Ok(config)
    }

    /// What the file asks for and does not get, a line each.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Tenants that the file speaks of, and what it wants of each: whether they have rules is for others to know.
    pub fn tenants(&self) -> Vec<(&TenantId, String)> {
        let heartbeats = self.x.heartbeats.iter().map(|one| (&one.tenant, format!("heartbeat {:?}", one.name)));
        let dead_men = self.x.dead_men.iter().filter_map(|one| Some((one.tenant.as_ref()?, "x.dead_man".into())));
        heartbeats.chain(dead_men).collect()
    }

    /// The file as YAML again, without its secrets and without our extensions.
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// How long a pushed alert fires that names no end, in ms.
    pub fn resolve_timeout_ms(&self) -> i64 {
        self.resolve_timeout_ms
    }

    /// Whether a named interval holds.
    pub(crate) fn interval_holds(&self, name: &str, at_ms: i64) -> bool {
        self.intervals.get(name).is_some_and(|all| all.iter().any(|interval| interval.contains(at_ms)))
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
        self.all().find_map(|receiver| Some((receiver, receiver.channels.iter().find(|channel| channel.name == name)?)))
    }

    /// Whether anybody can be told of anything.
    pub fn tells_anybody(&self) -> bool {
        self.channels().next().is_some()
    }

    pub(crate) fn channels(&self) -> impl Iterator<Item = &Channel> {
        self.all().flat_map(|receiver| &receiver.channels)
    }

    fn all(&self) -> impl Iterator<Item = &Receiver> {
        self.receivers.iter().chain(&self.leaving)
    }

    /// Whether the file has this channel.
    pub(crate) fn is_present(&self, channel: &str) -> bool {
        self.receivers.iter().flat_map(|receiver| &receiver.channels).any(|one| one.name == channel)
    }

    /// Keeps those channels of the configuration before this one that it does not have and that `is_owed` names.
    pub(crate) fn keep_leaving(&mut self, before: &Config, is_owed: impl Fn(&str) -> bool) {
        let gone = |channel: &&Channel| !self.is_present(&channel.name) && is_owed(&channel.name);
        let of_it = |receiver: &Receiver| Receiver {
            channels: receiver.channels.iter().filter(gone).cloned().collect(),
            ..Receiver::silent(&receiver.name)
        };
        let leaving: Vec<Receiver> = before.all().map(of_it).filter(|kept| !kept.channels.is_empty()).collect();
        self.leaving = leaving;
    }
}

/// Inhibitions among the built-in rules.
fn builtin_inhibitions() -> Result<Vec<InhibitRule>, Bad> {
    let node = tree::read(include_str!("config/builtin_inhibit.yml"), &|_| None)?;
    let tree::Value::List(items) = &node.value else { return Ok(Vec::new()) };
    items.iter().enumerate().map(|(at, item)| InhibitRule::read(item, at)).collect()
}

/// Both lists of named intervals: the old key's and the new one's.
fn read_intervals(fields: &mut Fields<'_>) -> Result<BTreeMap<String, Vec<Interval>>, Bad> {
    let mut all = BTreeMap::new();
    for key in ["mute_time_intervals", "time_intervals"] {
        for item in fields.list(key)? {
            let mut one = Fields::of(item, key)?;
            let (name, line) = one.required_text("name")?;
            let intervals = one.list("time_intervals")?.iter().map(Interval::read).collect::<Result<_, _>>()?;
            one.end(&[])?;
            if all.insert(name.to_owned(), intervals).is_some() {
                return Err(Bad::new(line, format!("time interval {name:?} stands twice")));
            }
        }
    }
    Ok(all)
}

/// YAML that a template gave, in which nothing of the environment is put in place; `None` when it is none.
pub(crate) fn read_rendered(text: &str) -> Option<Node> {
    tree::read(text, &|name| Some(format!("${{{name}}}"))).ok()
}

#[cfg(test)]
pub(crate) fn read_tree(text: &str) -> Node {
    tree::read(text, &|_| None).unwrap_or_else(|bad| panic!("{}: {}", bad.line, bad.reason))
}

#[cfg(test)]
mod damaged;
#[cfg(test)]
mod tests;
