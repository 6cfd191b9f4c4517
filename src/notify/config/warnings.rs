//! What of an Alertmanager file is read and has no effect here: said once, when the file is loaded, with its line.

use super::tree::{Node, Value};
use super::{email, receiver, route, slack};

/// Keys without effect, by where they stand: a path of keys, `*` for each entry of a list.
const WITHOUT_EFFECT: [(&str, &[&str]); 6] = [
    ("global", &receiver::GLOBAL_IDLE),
    ("route", &route::IDLE),
    ("receivers/*/slack_configs/*", &slack::IDLE),
    ("receivers/*/email_configs/*", &email::IDLE),
    ("receivers/*/email_configs/*/headers", &["To", "From"]),
    ("", &super::IDLE),
];

/// One line for each key that is given and has no effect.
pub(super) fn of(root: &Node, file: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (path, keys) in WITHOUT_EFFECT {
        let steps: Vec<&str> = path.split('/').filter(|step| !step.is_empty()).collect();
        let place =
            if path.is_empty() { "notify.yml" } else { steps.iter().rfind(|step| **step != "*").unwrap_or(&"") };
        walk(root, &steps, &mut |node| {
            let Value::Map(entries) = &node.value else { return };
            for entry in entries.iter().filter(|entry| keys.contains(&entry.key.as_str())) {
                if !is_empty(&entry.node) {
                    let text = format!("{file}:{}: {} of {place} has no effect here", entry.line, entry.key);
                    found.push((entry.line, text));
                }
            }
        });
    }
    found.sort();
    found.into_iter().map(|(_, text)| text).collect()
}

fn walk(node: &Node, steps: &[&str], visit: &mut impl FnMut(&Node)) {
    match (steps.split_first(), &node.value) {
        (None, _) => visit(node),
        (Some((&"*", rest)), Value::List(items)) => items.iter().for_each(|item| walk(item, rest, visit)),
        (Some((key, rest)), Value::Map(entries)) => {
            entries.iter().filter(|entry| entry.key == *key).for_each(|entry| walk(&entry.node, rest, visit));
        }
        _ => {}
    }
}

/// Whether a value asks for nothing.
fn is_empty(node: &Node) -> bool {
    match &node.value {
        Value::Null => true,
        Value::Scalar(text) => text.is_empty() || text == "false",
        Value::List(items) => items.is_empty(),
        Value::Map(entries) => entries.is_empty(),
    }
}
