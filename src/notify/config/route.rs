//! The route tree: which receivers an alert goes to, and how its messages are grouped and timed.
//!
//! Alertmanager's meaning: depth first, the first child that matches takes the alert unless it says `continue`, a node's
//! own receiver takes what none of its children took, and children inherit what they do not set.

use std::collections::BTreeSet;

use model::{Labels, MatchOp, Matcher};

use super::fields::{Fields, scalar};
use super::matchers;
use super::tree::{Bad, Node};

/// Of Alertmanager's, without effect here: rules hold back after a start what fresh data does not bear out.
pub(super) const IDLE: [&str; 1] = ["wait_on_startup"];

#[derive(Debug, Clone)]
pub(crate) struct Route {
    pub(crate) target: Target,
    matchers: Vec<Matcher>,
    goes_on: bool,
    children: Vec<Route>,
}

/// Where a route leads, inheritance applied.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Target {
    pub(crate) receiver: String,
    pub(crate) group_by: GroupBy,
    pub(crate) group_wait_ms: i64,
    pub(crate) group_interval_ms: i64,
    pub(crate) repeat_interval_ms: i64,
    /// Names of time intervals: nothing is told while one of them holds.
    pub(crate) mute: Vec<String>,
    /// Names of time intervals: unless there are none, something is told only while one of them holds.
    pub(crate) active: Vec<String>,
    /// The matchers on the way here, as Alertmanager names a route: `{}/{severity="critical"}`.
    pub(crate) path: String,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum GroupBy {
    Labels(BTreeSet<String>),
    /// `...`: every alert is a group of its own.
    All,
}

impl Target {
    /// Alertmanager's defaults.
    pub(crate) fn to(receiver: impl Into<String>) -> Target {
        Target {
            receiver: receiver.into(),
            group_by: GroupBy::Labels(BTreeSet::new()),
            group_wait_ms: 30_000,
            group_interval_ms: 5 * 60_000,
            repeat_interval_ms: 4 * 3_600_000,
            mute: Vec::new(),
            active: Vec::new(),
            path: "{}".into(),
        }
    }

    /// The labels that alerts of one group have in common by definition.
    pub(crate) fn group_labels(&self, labels: &Labels) -> Labels {
        match &self.group_by {
            GroupBy::All => labels.clone(),
            GroupBy::Labels(names) => labels.filtered(|name| names.contains(name)),
        }
    }
}

impl Route {
    pub(crate) fn leaf(target: Target) -> Route {
        Route { target, matchers: Vec::new(), goes_on: false, children: Vec::new() }
    }

    /// Reads the root: it needs a receiver, and takes everything.
    pub(crate) fn root(node: &Node) -> Result<Route, Bad> {
        let root = Route::read(node, None)?;
        if !root.matchers.is_empty() || root.goes_on {
            return Err(Bad::new(
                node.line,
                "the root route takes every alert: move its matchers into routes below it",
            ));
        }
        if !root.target.mute.is_empty() || !root.target.active.is_empty() {
            return Err(Bad::new(node.line, "the root route has no time intervals: move them into routes below it"));
        }
        Ok(root)
    }

    fn read(node: &Node, parent: Option<&Target>) -> Result<Route, Bad> {
        let mut fields = Fields::of(node, "a route")?;
        let mut target = match (parent, fields.text("receiver")?) {
            (None, Some((name, _))) => Target::to(name),
            (None, None) => return Err(Bad::new(node.line, "the root route needs a receiver")),
            (Some(parent), Some((name, _))) => Target { receiver: name.into(), ..parent.clone() },
            (Some(parent), None) => parent.clone(),
        };
        // These are not inherited, as in Alertmanager.
        target.mute = names(&mut fields, "mute_time_intervals")?;
        target.active = names(&mut fields, "active_time_intervals")?;
        if let Some(group_by) = read_group_by(&mut fields)? {
            target.group_by = group_by;
        }
        if let Some((ms, _)) = fields.duration_ms("group_wait")? {
            target.group_wait_ms = ms;
        }
        for (name, slot) in
            [("group_interval", &mut target.group_interval_ms), ("repeat_interval", &mut target.repeat_interval_ms)]
        {
            match fields.duration_ms(name)? {
                Some((0, line)) => return Err(Bad::new(line, format!("{name} cannot be zero"))),
                Some((ms, _)) => *slot = ms,
                None => {}
            }
        }
        let old = [("match", MatchOp::Equal), ("match_re", MatchOp::Regex)];
        let matchers = read_matchers(&mut fields, &old, "matchers")?;
        if parent.is_some() {
            let texts: Vec<String> = matchers.iter().map(ToString::to_string).collect();
            target.path = format!("{}/{{{}}}", target.path, texts.join(","));
        }
        let goes_on = fields.flag("continue")?.unwrap_or(false);
        let children =
            fields.list("routes")?.iter().map(|child| Route::read(child, Some(&target))).collect::<Result<_, _>>()?;
        fields.end(&IDLE)?;
        Ok(Route { target, matchers, goes_on, children })
    }

    /// Every receiver named anywhere in the tree.
    pub(crate) fn receivers(&self) -> Vec<&str> {
        let mut names = vec![self.target.receiver.as_str()];
        for child in &self.children {
            names.extend(child.receivers());
        }
        names
    }

    /// Every time interval named anywhere in the tree.
    pub(crate) fn intervals(&self) -> Vec<&str> {
        let own = self.target.mute.iter().chain(&self.target.active).map(String::as_str);
        own.chain(self.children.iter().flat_map(Route::intervals)).collect()
    }

    /// Where an alert goes: at least one target for the root, in the order of the tree.
    pub(crate) fn targets(&self, labels: &Labels) -> Vec<&Target> {
        if !self.matchers.iter().all(|matcher| matcher.matches_labels(labels)) {
            return Vec::new();
        }
        let mut found = Vec::new();
        for child in &self.children {
            let taken = child.targets(labels);
            let stop = !taken.is_empty() && !child.goes_on;
            found.extend(taken);
            if stop {
                break;
            }
        }
        if found.is_empty() {
            found.push(&self.target);
        }
        found
    }
}

fn read_group_by(fields: &mut Fields<'_>) -> Result<Option<GroupBy>, Bad> {
    let Some(node) = fields.take("group_by") else { return Ok(None) };
    let super::tree::Value::List(items) = &node.value else {
        return Err(Bad::new(node.line, "group_by must be a list of label names, or ['...']"));
    };
    let names = items.iter().map(|item| scalar(item, "group_by")).collect::<Result<Vec<_>, _>>()?;
    if names.contains(&"...") {
        if names.len() > 1 {
            return Err(Bad::new(node.line, "group_by: '...' stands for all labels and must stand alone"));
        }
        return Ok(Some(GroupBy::All));
    }
    let mut labels = BTreeSet::new();
    for name in names {
        if name.is_empty() || !labels.insert(name.to_owned()) {
            return Err(Bad::new(node.line, format!("group_by names {name:?} twice, or not at all")));
        }
    }
    Ok(Some(GroupBy::Labels(labels)))
}

fn names(fields: &mut Fields<'_>, key: &'static str) -> Result<Vec<String>, Bad> {
    fields.list(key)?.iter().map(|item| Ok(scalar(item, key)?.to_owned())).collect()
}

/// Matchers in the old keys, each of one operator, and in the new one.
pub(super) fn read_matchers(
    fields: &mut Fields<'_>,
    old: &[(&'static str, MatchOp)],
    new: &'static str,
) -> Result<Vec<Matcher>, Bad> {
    let mut all = Vec::new();
    for &(key, op) in old {
        for entry in fields.map(key)? {
            let value = scalar(&entry.node, key)?;
            let matcher =
                Matcher::new(&*entry.key, op, value).map_err(|error| Bad::new(entry.line, error.to_string()))?;
            all.push(matcher);
        }
    }
    for item in fields.list(new)? {
        let found = matchers::parse(scalar(item, new)?).map_err(|reason| Bad::new(item.line, reason))?;
        all.extend(found);
    }
    Ok(all)
}
