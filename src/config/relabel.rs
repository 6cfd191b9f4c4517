//! `relabel_configs` and `metric_relabel_configs` of a scrape job, `alert_relabel_configs` of Alertmanagers: the keys and defaults of
//! Prometheus' `relabel_config`.

use model::go_regex;
use regex::Regex;
use serde::Deserialize;

/// One step. What its source labels hold, joined, is compared with the regex, which must match all of it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Relabel {
    pub source_labels: Vec<String>,
    /// Between the values of the source labels.
    pub separator: String,
    pub regex: String,
    /// Among how many `hashmod` chooses.
    pub modulus: u64,
    /// Written by `replace`, `hashmod`, `lowercase` and `uppercase`; compared by `keepequal` and `dropequal`.
    pub target_label: String,
    /// `$1` and `${name}` stand for what the regex found.
    pub replacement: String,
    pub action: Action,
}

impl Default for Relabel {
    fn default() -> Self {
        Relabel {
            source_labels: Vec::new(),
            separator: ";".into(),
            regex: "(.*)".into(),
            modulus: 0,
            target_label: String::new(),
            replacement: "$1".into(),
            action: Action::Replace,
        }
    }
}

/// What a step does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Writes the replacement into the target label where the regex matches; an empty one removes the label.
    Replace,
    /// Writes the hash of the source labels modulo `modulus` into the target label, so that several share targets among them.
    HashMod,
    Lowercase,
    Uppercase,
    /// Drops what the regex does not match.
    Keep,
    Drop,
    KeepEqual,
    DropEqual,
    /// Copies labels whose name the regex matches to the name that the replacement gives.
    LabelMap,
    LabelDrop,
    LabelKeep,
}

impl Relabel {
    /// The regex as it is applied: to the whole text, a dot matching newlines too.
    pub fn compiled(&self) -> Result<Regex, String> {
        go_regex::compile_whole(&self.regex).map_err(|reason| format!("regex {:?}: {reason}", self.regex))
    }

    /// What is wrong with a step, if anything.
    fn wrong(&self) -> Option<String> {
        let Relabel { source_labels, target_label, action, .. } = self;
        if let Err(reason) = self.compiled() {
            return Some(reason);
        }
        let writes = matches!(action, Action::Replace | Action::HashMod | Action::Lowercase | Action::Uppercase);
        let compares = matches!(action, Action::KeepEqual | Action::DropEqual);
        let names = matches!(action, Action::LabelMap | Action::LabelDrop | Action::LabelKeep);
        if (writes || compares) && target_label.is_empty() {
            return Some(format!("{action:?} needs a target_label").to_lowercase());
        }
        if *action == Action::HashMod && self.modulus == 0 {
            return Some("hashmod needs a modulus of at least 1".into());
        }
        if names && !(source_labels.is_empty() && target_label.is_empty()) {
            return Some("labelmap, labeldrop and labelkeep look at names: they take a regex, no labels".into());
        }
        if compares && self.regex != Relabel::default().regex {
            return Some("keepequal and dropequal compare labels: they take no regex".into());
        }
        None
    }
}

/// The first step of several that is wrong: which one, and why.
pub(super) fn wrong_step(steps: &[Relabel]) -> Option<String> {
    steps.iter().enumerate().find_map(|(nth, step)| Some(format!("number {}: {}", nth + 1, step.wrong()?)))
}
