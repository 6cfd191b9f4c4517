//! `payload` of a webhook, in place of Alertmanager's own JSON, and `details` of PagerDuty: trees whose keys and texts are templates.
//!
//! As in Alertmanager's `DeepCopyWithTemplate`, a text that comes to a number, a truth value, a list or a mapping is sent as that:
//! `'{{ .Alerts | toJson }}'` gives a list. Here only JSON counts, and not all of YAML: a summary with a colon in it stays a text. A
//! payload that is one text may be a list or a mapping in YAML. What alerts say is never run as a template.

use serde_json::{Map, Value};

use crate::config::{Node, NodeValue, read_rendered};

/// The JSON of a whole payload; `render` runs one template.
pub(super) fn body(node: &Node, render: &mut dyn FnMut(&str) -> Result<String, String>) -> Result<Value, String> {
    let NodeValue::Scalar(text) = &node.value else { return json(node, render) };
    let text = render(text)?;
    let value = typed(text);
    let Some(tree) = value.as_str().and_then(read_rendered) else { return Ok(value) };
    match tree.value {
        NodeValue::List(_) | NodeValue::Map(_) => json(&tree, &mut |text| Ok(text.to_owned())),
        NodeValue::Null | NodeValue::Scalar(_) => Ok(value),
    }
}

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

/// Whether there is nothing to show.
pub(super) fn is_empty(value: &Value) -> bool {
    value.is_null() || value.as_str().is_some_and(|text| text.trim().is_empty())
}

/// A value as a person reads it.
pub(super) fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
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
        let check_body = |yaml: &str, expected: &str| {
            let node = crate::config::read_tree(yaml);
            let mut render = |text: &str| Ok(text.replace("{{ labels }}", "{\"a\":\"${HOME} {{ x }}\"}"));
            assert_eq!(body(&node, &mut render).unwrap().to_string(), expected, "{yaml}");
        };
        check_body(
            "|\n  - labels: {{ labels }}\n  - foo: bar",
            r#"[{"labels":{"a":"${HOME} {{ x }}"}},{"foo":"bar"}]"#,
        );
        check_body("'{{ labels }}'", r#"{"a":"${HOME} {{ x }}"}"#);
        check_body("plain words", r#""plain words""#);
        check_body("'7'", "7");
        check_body("'[not: closed'", r#""[not: closed""#);
        check_body("a: '- b'", r#"{"a":"- b"}"#);
        check("- a\n- [b, {'k{{ list }}': c}]", r#"["a",["b",{"k[{\"a\":\"{{ x }}\"}]":"c"}]]"#);
    }
}
