//! The configuration as others may see it: YAML again, without secrets and without our extensions, so that `amtool config show` and
//! `amtool config routes` read it as they read Alertmanager's.

use super::tree::{Node, Value};

/// What stands in place of a secret, as in Alertmanager.
const SECRET: &str = "<secret>";
/// Keys whose value is a secret wherever they stand.
const SECRET_KEYS: [&str; 18] = [
    "slack_api_url",
    "slack_app_token",
    "app_token",
    "smtp_auth_password",
    "auth_password",
    "smtp_auth_secret",
    "auth_secret",
    "routing_key",
    "service_key",
    "api_key",
    "api_secret",
    "user_key",
    "token",
    "bot_token",
    "webhook_url",
    "credentials",
    "bearer_token",
    "password",
];

/// The document as YAML.
pub(super) fn yaml(root: &Node) -> String {
    let mut out = String::new();
    write(root, "", 0, &mut out);
    out
}

/// A path's last key decides what is a secret; `url` is one in a webhook, `api_url` in a Slack channel.
fn is_secret(key: &str, parent: &str) -> bool {
    SECRET_KEYS.contains(&key)
        || key.ends_with("_api_key")
        || key.ends_with("_api_secret")
        || key.ends_with("_bot_token")
        || key == "api_url" && parent == "slack_configs"
        || key == "url" && parent == "webhook_configs"
        || key == "key" && parent == "tls_config"
        || key == "client_secret"
        || key == "x-headers"
}

fn write(node: &Node, parent: &str, depth: usize, out: &mut String) {
    let indent = "  ".repeat(depth);
    match &node.value {
        Value::Map(entries) => {
            for entry in entries.iter().filter(|entry| entry.key != "x") {
                out.push_str(&indent);
                out.push_str(&text(&entry.key));
                out.push(':');
                let scalar = match &entry.node.value {
                    Value::Scalar(text) => Some(text.as_str()),
                    _ => None,
                };
                let is_password = scalar.is_some_and(|text| entry.key == "proxy_url" && text.contains('@'));
                // Of `http_headers`: a list of them.
                let is_list = entry.key == "secrets" && parent != "receivers";
                if is_list || is_password || scalar.is_some() && is_secret(&entry.key, parent) {
                    out.push(' ');
                    out.push_str(SECRET);
                    out.push('\n');
                    continue;
                }
                nested(&entry.node, &entry.key, depth, out);
            }
        }
        Value::List(items) => {
            for item in items {
                out.push_str(&indent);
                out.push('-');
                nested(item, parent, depth, out);
            }
        }
        Value::Scalar(value) => {
            out.push_str(&indent);
            out.push_str(&text(value));
            out.push('\n');
        }
        Value::Null => {}
    }
}

fn nested(node: &Node, parent: &str, depth: usize, out: &mut String) {
    match &node.value {
        Value::Null => out.push('\n'),
        Value::Scalar(value) => {
            out.push(' ');
            out.push_str(&text(value));
            out.push('\n');
        }
        Value::Map(entries) if entries.iter().all(|entry| entry.key == "x") => out.push_str(" {}\n"),
        Value::List(items) if items.is_empty() => out.push_str(" []\n"),
        Value::Map(_) | Value::List(_) => {
            out.push('\n');
            write(node, parent, depth + 1, out);
        }
    }
}

/// A scalar that reads back as itself: plain where that is safe, in double quotes otherwise.
fn text(value: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/');
    let safe = value.chars().all(plain) && value.starts_with(|c: char| c.is_ascii_alphanumeric());
    if safe {
        return value.into();
    }
    let mut out = String::new();
    // JSON strings are YAML's double-quoted scalars.
    model::any::json_string(value, &mut out);
    out
}
