//! Taking a mapping's keys one by one: what is left at the end is unknown, or known to Alertmanager and without effect here.

use model::time::parse_duration_ms;

use super::tree::{Bad, Entry, Node, Value};

/// The keys of one mapping.
pub(crate) struct Fields<'a> {
    /// What the mapping is, for messages: `receiver "oncall"`.
    what: String,
    pub(crate) line: usize,
    entries: Vec<&'a Entry>,
    asked: Vec<&'static str>,
}

impl<'a> Fields<'a> {
    pub(crate) fn of(node: &'a Node, what: impl Into<String>) -> Result<Fields<'a>, Bad> {
        let what = what.into();
        match &node.value {
            Value::Map(entries) => {
                Ok(Fields { what, line: node.line, entries: entries.iter().collect(), asked: Vec::new() })
            }
            Value::Null => Ok(Fields { what, line: node.line, entries: Vec::new(), asked: Vec::new() }),
            _ => Err(Bad::new(node.line, format!("{what} must be a mapping of keys and values"))),
        }
    }

    /// The value of a key; null is the same as absent.
    pub(crate) fn take(&mut self, name: &'static str) -> Option<&'a Node> {
        self.asked.push(name);
        let at = self.entries.iter().position(|entry| entry.key == name)?;
        let entry = self.entries.swap_remove(at);
        (!matches!(entry.node.value, Value::Null)).then_some(&entry.node)
    }

    pub(crate) fn text(&mut self, name: &'static str) -> Result<Option<(&'a str, usize)>, Bad> {
        let Some(node) = self.take(name) else { return Ok(None) };
        Ok(Some((scalar(node, name)?, node.line)))
    }

    pub(crate) fn required_text(&mut self, name: &'static str) -> Result<(&'a str, usize), Bad> {
        match self.text(name)? {
            Some((text, line)) if !text.is_empty() => Ok((text, line)),
            _ => Err(Bad::new(self.line, format!("{} needs {name}", self.what))),
        }
    }

    /// A text that may be a template, rendered for each message.
    pub(crate) fn template(&mut self, name: &'static str) -> Result<Option<String>, Bad> {
        Ok(self.text(name)?.map(|(text, _)| text.to_owned()).filter(|text| !text.is_empty()))
    }

    pub(crate) fn flag(&mut self, name: &'static str) -> Result<Option<bool>, Bad> {
        match self.text(name)? {
            None => Ok(None),
            Some(("true" | "yes" | "on", _)) => Ok(Some(true)),
            Some(("false" | "no" | "off", _)) => Ok(Some(false)),
            Some((other, line)) => Err(Bad::new(line, format!("{name} must be true or false, not {other:?}"))),
        }
    }

    /// A duration in ms, and its line.
    pub(crate) fn duration_ms(&mut self, name: &'static str) -> Result<Option<(i64, usize)>, Bad> {
        let Some((text, line)) = self.text(name)? else { return Ok(None) };
        let ms = parse_duration_ms(text)
            .ok_or_else(|| Bad::new(line, format!("{name} must be a duration such as 30s or 5m, not {text:?}")))?;
        Ok(Some((ms, line)))
    }

    /// `timeout` of one attempt, in ms; none or 0 leaves it to the room.
    pub(crate) fn timeout_ms(&mut self) -> Result<Option<u64>, Bad> {
        let found = self.duration_ms("timeout")?;
        Ok(found.and_then(|(ms, _)| u64::try_from(ms).ok()).filter(|ms| *ms > 0))
    }

    pub(crate) fn list(&mut self, name: &'static str) -> Result<&'a [Node], Bad> {
        match self.take(name).map(|node| (&node.value, node.line)) {
            None => Ok(&[]),
            Some((Value::List(items), _)) => Ok(items),
            Some((_, line)) => Err(Bad::new(line, format!("{name} must be a list"))),
        }
    }

    pub(crate) fn map(&mut self, name: &'static str) -> Result<&'a [Entry], Bad> {
        match self.take(name).map(|node| (&node.value, node.line)) {
            None => Ok(&[]),
            Some((Value::Map(entries), _)) => Ok(entries),
            Some((_, line)) => Err(Bad::new(line, format!("{name} must be a mapping"))),
        }
    }

    /// Refuses whatever was not taken. `idle` are keys of Alertmanager that may stand here without effect; `warnings` says so.
    pub(crate) fn end(self, idle: &[&'static str]) -> Result<(), Bad> {
        let unknown = self.entries.iter().filter(|entry| !idle.contains(&entry.key.as_str()));
        let Some(entry) = unknown.min_by_key(|entry| entry.line) else { return Ok(()) };
        let names = self.asked.iter().chain(idle).copied();
        let hint = nearest(&entry.key, names).map(|name| format!("; did you mean {name}?")).unwrap_or_default();
        Err(Bad::new(entry.line, format!("{} has no key {:?}{hint}", self.what, entry.key)))
    }
}

pub(crate) fn scalar<'a>(node: &'a Node, name: &str) -> Result<&'a str, Bad> {
    match &node.value {
        Value::Scalar(text) => Ok(text),
        _ => Err(Bad::new(node.line, format!("{name} must be a single value"))),
    }
}

/// The name that was probably meant: at most a third of its letters, and at least one, differ.
pub(crate) fn nearest<'a>(wrong: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    names
        .map(|name| (model::spelling::distance(wrong, name), name))
        .filter(|(far, name)| *far <= (name.len() / 3).max(1))
        .min()
        .map(|(_, name)| name)
}
