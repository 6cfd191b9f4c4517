//! How much and how fast Slack lets one write.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::Slack;

/// Messages to one channel that may come at once before the pace counts.
const BURST: f64 = 4.0;

impl Slack {
    /// Seconds to wait, when a channel gets more than its pace.
    pub(super) fn pace(&self, channel: &str) -> Option<u64> {
        self.seen.change(|seen| {
            let now = Instant::now();
            if let Some(until) = seen.patience.get(channel) {
                if now < *until {
                    seen.after_429 += 1;
                } else {
                    seen.patience.remove(channel);
                }
            }
            if !seen.enforce_rate {
                return None;
            }
            let (left, as_of) = seen.buckets.get(channel).copied().unwrap_or((BURST, now));
            let left = (left + (now - as_of).as_secs_f64()).min(BURST);
            if left < 1.0 {
                seen.buckets.insert(channel.into(), (left, now));
                seen.patience.insert(channel.into(), now + Duration::from_secs(1));
                return Some(1);
            }
            seen.buckets.insert(channel.into(), (left - 1.0, now));
            None
        })
    }
}

/// Slack's limits (docs.slack.dev, Block Kit), and the undocumented total.
pub(super) fn check(body: &Value) -> Result<(), &'static str> {
    let text = body["text"].as_str().unwrap_or_default();
    let blocks = body["blocks"].as_array().cloned().unwrap_or_default();
    if text.is_empty() {
        return Err("no_text");
    }
    let mut total = 0;
    for block in &blocks {
        let kind = block["type"].as_str().unwrap_or_default();
        let limit = match kind {
            "header" => 150,
            "section" => 3_000,
            "context" => 2_000,
            "image" | "divider" | "actions" => 0,
            _ => return Err("invalid_blocks"),
        };
        let texts = block["text"]["text"]
            .as_str()
            .into_iter()
            .chain(block["elements"].as_array().into_iter().flatten().filter_map(|element| element["text"].as_str()));
        for text in texts {
            let chars = text.chars().count();
            total += chars;
            if chars == 0 || chars > limit {
                return Err("invalid_blocks");
            }
        }
    }
    if blocks.len() > 50 || total > 13_000 || text.chars().count() > 40_000 {
        return Err("msg_blocks_too_long");
    }
    Ok(())
}
