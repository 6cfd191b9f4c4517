//! On a rule's page: the messages that it would lead to now.

use serde::Deserialize;

use super::text::{one_line, shown};
use crate::dry_run::Said;

/// Messages shown, and characters of each of their texts.
const MESSAGES_MAX: usize = 10;
const TEXT_CHARS_MAX: usize = 3_000;

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
                .map(|(field, text)| (one_line(field, 60), shown(text, TEXT_CHARS_MAX)))
                .collect(),
            problems: message.problems.iter().map(|problem| one_line(problem, 400)).collect(),
        });
        RuleSays { sentence: said.sentence().into(), messages: messages.collect(), trouble: String::new() }
    }
}
