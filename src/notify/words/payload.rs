//! `payload` of a webhook: a tree whose keys and texts are templates, in place of Alertmanager's own JSON.
//!
//! As in Alertmanager's `DeepCopyWithTemplate`, a text that comes to a number, a truth value, a list or a mapping is sent as that:
//! `'{{ .Alerts | toJson }}'` gives a list. Here only JSON counts, and not all of YAML: a summary with a colon in it stays a text.
//! What alerts say is never run as a template.

use serde_json::{Map, Value};

use crate::config::{Node, NodeValue};

/// The JSON of a tree; `render` runs one template.
pub(super) fn json(node: &Node, render: &mut dyn FnMut(&str) -> Result<String, String>) -> Result<Value, String> {
    Ok(match &node.value {
        NodeValue::Null => Value::Null,
        NodeValue::Scalar(text) => typed(render(text)?),
        NodeValue::List(items) => Value::Array(items.iter().map(|item| json(item, render)).collect::<Result<_, _>>()?),
        NodeValue::Map(entries) => {
            let mut map = Map::new();
            for entry in entries {
                map.insert(render(&entry.key)?, json(&entry.node, render)?);
            }
            Value::Object(map)
        }
    })
}

fn typed(text: String) -> Value {
    match serde_json::from_str(&text) {
        Ok(Value::String(_)) | Err(_) => Value::String(text),
        Ok(value) => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_become_what_they_look_like() {
        let check = |yaml: &str, expected: &str| {
            let node = crate::config::read_tree(yaml);
            let mut render = |text: &str| Ok(text.replace("{{ list }}", "[{\"a\":\"{{ x }}\"}]"));
            assert_eq!(json(&node, &mut render).unwrap().to_string(), expected, "{yaml}");
        };
        check("text: 'Disk full: web-1'", r#"{"text":"Disk full: web-1"}"#);
        check(
            "n: 5\nb: true\nq: '7'\nnone: ~\nquoted: '\"x\"'",
            r#"{"b":true,"n":5,"none":null,"q":7,"quoted":"\"x\""}"#,
        );
        check("version: '1.10.0'\nzip: '007'", r#"{"version":"1.10.0","zip":"007"}"#);
        check("alerts: '{{ list }}'", r#"{"alerts":[{"a":"{{ x }}"}]}"#);
        check("- a\n- [b, {'k{{ list }}': c}]", r#"["a",["b",{"k[{\"a\":\"{{ x }}\"}]":"c"}]]"#);
    }
}
