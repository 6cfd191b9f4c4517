//! On a rule's page: the messages that it would lead to now.

use serde::Deserialize;

use super::text::{one_line, shown};
use crate::dry_run::Said;

/// Messages shown, fields of each, and characters of each of their texts: the page stays small.
const MESSAGES_MAX: usize = 5;
const FIELDS_MAX: usize = 6;
const TEXT_CHARS_MAX: usize = 2_000;

#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct Parameters {
    /// Whether the messages are asked for; anything but empty.
    pub(crate) say: String,
}

pub(crate) struct RuleSays {
    pub(crate) sentence: String,
    pub(crate) messages: Vec<Message>,
    /// What is wrong, if something is.
    pub(crate) trouble: String,
}

pub(crate) struct Message {
    pub(crate) channel: String,
    pub(crate) text: String,
    /// Fields with templates of their own.
    pub(crate) templates: Vec<(String, String)>,
    pub(crate) problems: Vec<String>,
}

impl RuleSays {
    pub(crate) fn new(said: Result<Said, String>) -> RuleSays {
        let said = match said {
            Ok(said) => said,
            Err(reason) => {
                let (sentence, messages) = (String::new(), Vec::new());
                return RuleSays { sentence, messages, trouble: one_line(&reason, 500) };
            }
        };
        let messages = said.messages.iter().take(MESSAGES_MAX).map(|message| Message {
            channel: one_line(&message.channel, 120),
            text: shown(&message.text, TEXT_CHARS_MAX),
            templates: message
                .templates
                .iter()
                .take(FIELDS_MAX)
                .map(|(field, text)| (one_line(field, 60), shown(text, TEXT_CHARS_MAX)))
                .collect(),
            problems: message.problems.iter().map(|problem| one_line(problem, 400)).collect(),
        });
        let more = said.messages.len().saturating_sub(MESSAGES_MAX);
        let more = if more > 0 { format!(" {more} more messages are not shown.") } else { String::new() };
        let sentence = format!("{}{more}", said.sentence());
        RuleSays { sentence, messages: messages.collect(), trouble: String::new() }
    }
}
