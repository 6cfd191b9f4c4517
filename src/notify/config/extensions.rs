//! What stands under `x:` beyond Alertmanager: of a receiver its fallback and its escalation; of the whole file the dead man's
//! switch and the heartbeats that are expected.

use std::path::Path;

use model::TenantId;
use sha2::{Digest, Sha256};
use url::Url;

use super::fields::{Fields, scalar};
use super::receiver::Fallback;
use super::secret::{self, Secret};
use super::tree::{Bad, Node, Value};

/// Until when a fallback waits if it does not say, in ms.
const FALLBACK_AFTER_MS: i64 = 60_000;
/// Between two pings of the dead man's switch if it does not say, in ms; and the least.
const DEAD_MAN_EVERY_MS: i64 = 60_000;
const DEAD_MAN_EVERY_MIN_MS: i64 = 1_000;
/// Addresses that are pinged: one for the whole, and one for each of some tenants.
const DEAD_MEN_MAX: usize = 50;
/// Least time between two tests of the receivers, in ms: each is a message to people.
const SELF_TEST_MIN_MS: i64 = 3_600_000;
/// How soon after its end an alert begins again whose next end is held back, if the file does not say, in ms: twice Alertmanager's
/// `group_interval`, so that the 5 minutes of a usual `for` and a firing fit in.
pub(crate) const BACK_WITHIN_MS: i64 = 10 * 60_000;
/// How long something critical stays undelivered before the ping is held back, if it does not say, in ms.
const DEAD_MAN_UNDELIVERED_MS: i64 = 5 * 60_000;
/// Steps of one escalation, and heartbeats of one file.
const STEPS_MAX: usize = 10;
const HEARTBEATS_MAX: usize = 200;
/// Shortest token of a heartbeat: whoever guesses it can hide a job that does not run.
const TOKEN_CHARS_MIN: usize = 8;

/// One step of an escalation.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Step {
    /// From the alert's beginning.
    pub(crate) after_ms: i64,
    pub(crate) to: String,
    /// Not when somebody acknowledged the alert by then.
    pub(crate) unless_acked: bool,
    /// The line of `to`, for complaints about the name.
    pub(crate) line: usize,
}

/// A ping that stops when alerts would not come through.
#[derive(Debug, Clone)]
pub(crate) struct DeadMan {
    /// Whose alerts it watches over; of all tenants when it does not say.
    pub(crate) tenant: Option<TenantId>,
    pub(crate) url: Secret,
    pub(crate) interval_ms: i64,
    /// The ping is held back when something critical could not be told for so long.
    pub(crate) undelivered_ms: i64,
}

/// A sign of life that a job gives.
#[derive(Debug, Clone)]
pub(crate) struct Heartbeat {
    pub(crate) name: String,
    /// Among whose series its age is, and whose rules look at it.
    pub(crate) tenant: TenantId,
    /// SHA-256 of the token, so that comparing takes as long whatever was sent.
    pub(crate) token_hash: [u8; 32],
    /// Missing when it did not come for so long.
    pub(crate) allowed_ms: i64,
}

/// What a receiver adds.
#[derive(Debug, Default)]
pub(crate) struct OfReceiver {
    pub(crate) fallback: Option<Fallback>,
    pub(crate) escalate: Vec<Step>,
}

/// What the whole file adds.
#[derive(Debug, Clone)]
pub(crate) struct OfFile {
    /// Whether a label that source and target of an inhibition both lack counts as equal, as in Alertmanager.
    pub(crate) am_compat: bool,
    /// Whether the inhibitions among the built-in rules are part of the file's.
    pub(crate) builtin_inhibitions: bool,
    /// Between two tests of all receivers that nobody asks for; `None` for none.
    pub(crate) self_test_ms: Option<i64>,
    pub(crate) dead_men: Vec<DeadMan>,
    pub(crate) heartbeats: Vec<Heartbeat>,
    /// Alerts that begin again so soon after an end have their next one held back; 0 for none.
    pub(crate) back_within_ms: i64,
    /// Program and arguments, run for each alert that nobody could be told of; empty for none.
    pub(crate) undelivered_exec: Vec<String>,
}

impl Default for OfFile {
    fn default() -> OfFile {
        OfFile {
            am_compat: false,
            builtin_inhibitions: true,
            self_test_ms: None,
            dead_men: Vec::new(),
            heartbeats: Vec::new(),
            back_within_ms: BACK_WITHIN_MS,
            undelivered_exec: Vec::new(),
        }
    }
}

pub(crate) fn of_receiver(node: &Node) -> Result<OfReceiver, Bad> {
    let mut fields = Fields::of(node, "x of a receiver")?;
    let fallback = fields.take("fallback").map(read_fallback).transpose()?;
    let steps = fields.list("escalate")?;
    if steps.len() > STEPS_MAX {
        return Err(Bad::new(node.line, format!("x.escalate takes at most {STEPS_MAX} steps")));
    }
    let escalate = steps.iter().map(read_step).collect::<Result<_, _>>()?;
    fields.end(&[])?;
    Ok(OfReceiver { fallback, escalate })
}

fn read_fallback(node: &Node) -> Result<Fallback, Bad> {
    let mut fields = Fields::of(node, "x.fallback")?;
    let (to, line) = fields.required_text("to")?;
    let after_ms = fields.duration_ms("after")?.map_or(FALLBACK_AFTER_MS, |(ms, _)| ms);
    let on = fields.list("on")?;
    let mut fallback = Fallback {
        to: to.into(),
        line,
        after_ms,
        on_config: on.is_empty(),
        on_breaker_open: on.is_empty(),
        on_deadline: on.is_empty(),
    };
    for item in on {
        match scalar(item, "on")? {
            "config" => fallback.on_config = true,
            "breaker_open" => fallback.on_breaker_open = true,
            "deadline" => fallback.on_deadline = true,
            other => {
                let reason = format!("on knows config, breaker_open and deadline, not {other:?}");
                return Err(Bad::new(item.line, reason));
            }
        }
    }
    fields.end(&[])?;
    Ok(fallback)
}

fn read_step(node: &Node) -> Result<Step, Bad> {
    let mut fields = Fields::of(node, "a step of x.escalate")?;
    let (to, line) = fields.required_text("to")?;
    let after_ms = fields.duration_ms("after")?.map_or(0, |(ms, _)| ms);
    let unless_acked = match fields.text("unless")? {
        None => false,
        Some(("acked", _)) => true,
        Some((other, line)) => return Err(Bad::new(line, format!("unless knows acked, not {other:?}"))),
    };
    fields.end(&[])?;
    Ok(Step { after_ms, to: to.into(), unless_acked, line })
}

pub(crate) fn of_file(node: &Node, dir: &Path) -> Result<OfFile, Bad> {
    let mut fields = Fields::of(node, "x of notify.yml")?;
    let dead_men = fields.take("dead_man").map(|node| read_dead_men(node, dir)).transpose()?.unwrap_or_default();
    let mut heartbeats: Vec<Heartbeat> = Vec::new();
    for item in fields.list("heartbeats")? {
        let heartbeat = read_heartbeat(item, dir)?;
        if heartbeats.iter().any(|other| other.name == heartbeat.name && other.tenant == heartbeat.tenant) {
            return Err(Bad::new(item.line, format!("heartbeat {:?} stands twice", heartbeat.name)));
        }
        if heartbeats.iter().any(|other| other.token_hash == heartbeat.token_hash) {
            return Err(Bad::new(item.line, "two heartbeats have the same token"));
        }
        heartbeats.push(heartbeat);
    }
    if heartbeats.len() > HEARTBEATS_MAX {
        return Err(Bad::new(node.line, format!("more than {HEARTBEATS_MAX} heartbeats")));
    }
    let am_compat = fields.flag("am_compat")?.unwrap_or(false);
    let builtin_inhibitions = fields.flag("builtin_inhibitions")?.unwrap_or(true);
    let self_test_ms = match fields.duration_ms("self_test")? {
        Some((ms, line)) if ms < SELF_TEST_MIN_MS => return Err(Bad::new(line, "self_test is at least 1h")),
        given => given.map(|(ms, _)| ms),
    };
    let back_within_ms = fields.duration_ms("back_within")?.map_or(BACK_WITHIN_MS, |(ms, _)| ms);
    let undelivered_exec = read_command(fields.list("undelivered_exec")?)?;
    fields.end(&[])?;
    Ok(OfFile { am_compat, builtin_inhibitions, self_test_ms, dead_men, heartbeats, back_within_ms, undelivered_exec })
}

fn read_command(items: &[Node]) -> Result<Vec<String>, Bad> {
    let words = items.iter().map(|item| Ok(scalar(item, "a word of undelivered_exec")?.to_owned()));
    let words = words.collect::<Result<Vec<String>, Bad>>()?;
    match (words.first(), items.first()) {
        (Some(program), Some(item)) if !program.starts_with('/') => {
            Err(Bad::new(item.line, "undelivered_exec starts with the whole path of a program"))
        }
        _ => Ok(words),
    }
}

/// One, or a list of them.
fn read_dead_men(node: &Node, dir: &Path) -> Result<Vec<DeadMan>, Bad> {
    let Value::List(items) = &node.value else { return Ok(vec![read_dead_man(node, dir)?]) };
    if items.len() > DEAD_MEN_MAX {
        return Err(Bad::new(node.line, format!("x.dead_man takes at most {DEAD_MEN_MAX} addresses")));
    }
    items.iter().map(|item| read_dead_man(item, dir)).collect()
}

fn read_dead_man(node: &Node, dir: &Path) -> Result<DeadMan, Bad> {
    let mut fields = Fields::of(node, "x.dead_man")?;
    let url = secret::take(&mut fields, "url", "url_file", dir)?;
    let (url, line) = url.ok_or_else(|| Bad::new(node.line, "x.dead_man needs url or url_file"))?;
    let parsed = Url::parse(url.reveal()).map_err(|error| Bad::new(line, format!("url is not a URL: {error}")))?;
    if !matches!(parsed.scheme(), "http" | "https") {
        return Err(Bad::new(line, "the dead man's url must start with http:// or https://"));
    }
    let interval_ms = match fields.duration_ms("interval")? {
        Some((ms, line)) if ms < DEAD_MAN_EVERY_MIN_MS => {
            return Err(Bad::new(line, "interval must be a second or more"));
        }
        Some((ms, _)) => ms,
        None => DEAD_MAN_EVERY_MS,
    };
    let undelivered_ms = fields.duration_ms("undelivered_for")?.map_or(DEAD_MAN_UNDELIVERED_MS, |(ms, _)| ms);
    let tenant = read_tenant(&mut fields)?;
    fields.end(&[])?;
    Ok(DeadMan { tenant, url, interval_ms, undelivered_ms })
}

fn read_heartbeat(node: &Node, dir: &Path) -> Result<Heartbeat, Bad> {
    let mut fields = Fields::of(node, "a heartbeat")?;
    let (name, _) = fields.required_text("name")?;
    let token = secret::take(&mut fields, "token", "token_file", dir)?;
    let (token, line) = token.ok_or_else(|| Bad::new(node.line, "a heartbeat needs token or token_file"))?;
    let fit = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if token.reveal().len() < TOKEN_CHARS_MIN || !token.reveal().chars().all(fit) {
        let reason = format!("a token is {TOKEN_CHARS_MIN} or more letters, digits, - and _: it stands in a path");
        return Err(Bad::new(line, reason));
    }
    let every = fields.duration_ms("every")?;
    let (every_ms, _) = every.ok_or_else(|| Bad::new(node.line, "a heartbeat needs every, such as 24h"))?;
    let grace_ms = fields.duration_ms("grace")?.map_or(0, |(ms, _)| ms);
    let tenant = read_tenant(&mut fields)?.unwrap_or_default();
    fields.end(&[])?;
    let token_hash = Sha256::digest(token.reveal().as_bytes()).into();
    Ok(Heartbeat { name: name.into(), tenant, token_hash, allowed_ms: every_ms.saturating_add(grace_ms) })
}

fn read_tenant(fields: &mut Fields<'_>) -> Result<Option<TenantId>, Bad> {
    let Some((name, line)) = fields.text("tenant")? else { return Ok(None) };
    TenantId::new(name).map(Some).map_err(|error| Bad::new(line, error.to_string()))
}
