//! The methods of Slack's Web API: what is posted, edited, read back and uploaded.

use std::time::Instant;

use serde_json::{Value, json};

use super::{Message, Slack};

impl Slack {
    pub(super) fn post(&self, body: &Value) -> Value {
        self.seen.change(|seen| {
            let channel = format!("C-{}", body["channel"].as_str().unwrap_or("webhook").trim_start_matches(['#', 'C', '-']));
            let ts = format!("1700000000.{:06}", seen.messages.len() + 1);
            seen.messages.push(Message {
                channel: channel.clone(),
                ts: ts.clone(),
                thread_ts: body["thread_ts"].as_str().map(str::to_owned),
                body: body.clone(),
                edits: 0,
                posted: Instant::now(),
                said: vec![body.to_string()],
            });
            json!({"ok": true, "channel": channel, "ts": ts, "message": {"ts": ts, "text": body["text"], "bot_id": "B0"}})
        })
    }

    pub(super) fn update(&self, body: &Value) -> Value {
        self.seen.change(|seen| {
            let found = seen
                .messages
                .iter_mut()
                .find(|message| Some(message.ts.as_str()) == body["ts"].as_str() && Some(message.channel.as_str()) == body["channel"].as_str());
            let Some(message) = found else {
                seen.unknown_ts += 1;
                return json!({"ok": false, "error": "message_not_found"});
            };
            message.body = body.clone();
            message.edits += 1;
            message.said.push(body.to_string());
            json!({"ok": true, "channel": message.channel, "ts": message.ts, "text": body["text"], "message": {"text": body["text"]}})
        })
    }

    /// Newest first, as Slack gives them.
    pub(super) fn history(&self, body: &Value) -> Value {
        self.seen.change(|seen| {
            if !seen.history_scope {
                return json!({"ok": false, "error": "missing_scope", "needed": "channels:history"});
            }
            let channel = format!("C-{}", body["channel"].as_str().unwrap_or_default().trim_start_matches(['#', 'C', '-']));
            let messages: Vec<Value> = seen
                .messages
                .iter()
                .rev()
                .filter(|message| message.channel == channel && message.thread_ts.is_none())
                .take(100)
                .map(|message| json!({"type": "message", "ts": message.ts, "text": message.text(), "metadata": message.body["metadata"]}))
                .collect();
            json!({"ok": true, "messages": messages, "has_more": false})
        })
    }

    pub(super) fn upload_url(&self, body: &Value) -> Value {
        if !self.seen.see(|seen| seen.files_scope) {
            return json!({"ok": false, "error": "missing_scope", "needed": "files:write"});
        }
        let name = body["filename"].as_str().unwrap_or("file").to_owned();
        let id = self.seen.see(|seen| format!("F{:03}", seen.files.len() + 1));
        json!({"ok": true, "file_id": id, "upload_url": format!("http://{}/upload/{name}", self.seen.see(|seen| seen.own_address.clone()))})
    }

    /// A file that was uploaded, into a channel that is named by its id.
    pub(super) fn share(&self, body: &Value) -> Value {
        let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        let files: Vec<Value> = serde_json::from_str(&text("files")).unwrap_or_default();
        self.seen.change(|seen| {
            let known = |file: &Value| file["id"].as_str() == Some(format!("F{:03}", seen.files.len()).as_str());
            if files.is_empty() || !files.iter().all(known) {
                return json!({"ok": false, "error": "file_not_found"});
            }
            if !text("channel_id").starts_with('C') {
                return json!({"ok": false, "error": "channel_not_found"});
            }
            seen.shared.push((text("channel_id"), text("thread_ts")));
            json!({"ok": true, "files": files})
        })
    }
}
