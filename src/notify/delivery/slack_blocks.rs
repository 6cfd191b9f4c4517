//! A message as Slack blocks, within Slack's limits and with nothing in it that Slack would take for markup of its own.
//!
//! Limits: <https://docs.slack.dev/reference/block-kit/blocks>; the total is not documented, about 13 000 characters give
//! `msg_blocks_too_long` (slackapi/bolt-js#2509).

use slack_morphism::prelude::{
    SlackBlock, SlackBlockMarkDownText, SlackBlockPlainText, SlackBlockText, SlackContextBlock,
    SlackContextBlockElement, SlackHeaderBlock, SlackMessageContent, SlackSectionBlock,
};

use super::slack_links::{linked, named};
use crate::config::SlackConfig;
use crate::message::{AlertText, Message, Mood, clip};

/// Text of all blocks together, in characters.
const TOTAL_CHARS_MAX: usize = 10_000;
/// Text of one section, in characters.
const SECTION_CHARS_MAX: usize = 3_000;
/// Text of a header, in characters.
const HEADER_CHARS_MAX: usize = 150;
/// The line shown in previews and read aloud, in characters.
const PREVIEW_CHARS_MAX: usize = 1_000;
/// Links of the configuration in one message.
const LINKS_MAX: usize = 5;
/// The footer, in characters.
const FOOTER_CHARS_MAX: usize = 300;
/// Blocks of one message.
const BLOCKS_MAX: usize = 50;

/// Escapes what Slack reads as markup (`&`, `<`, `>`: mentions and links are written with them), cutting at a bound of
/// characters after escaping, never inside an escape.
pub(crate) fn escape(text: &str, chars_max: usize) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = 0;
    for c in text.chars() {
        let piece: &str = match c {
            '&' => "&amp;",
            '<' => "&lt;",
            '>' => "&gt;",
            _ => &c.to_string(),
        };
        let more = if piece.len() > c.len_utf8() { piece.len() } else { 1 };
        if chars + more > chars_max.saturating_sub(1) && chars + more != chars_max {
            out.push('…');
            return out;
        }
        chars += more;
        out.push_str(piece);
    }
    out
}

/// The whole message.
pub(super) fn content(message: &Message, config: &SlackConfig) -> SlackMessageContent {
    let mut page = Page { blocks: Vec::new(), chars: 0 };
    let headline = config.title.as_deref().map_or_else(|| message.headline(), |title| title.to_owned());
    page.header(&format!("{} {headline}", sign(message)));
    if let Some(text) = &config.text {
        // Slack's markup, in which what alerts say is escaped already.
        page.section(&clip(text, SECTION_CHARS_MAX));
    }
    page.section(&clip(&fields(config), SECTION_CHARS_MAX));
    page.section(&links(config, &headline));
    for text in &message.notes {
        page.section(&escape(text, SECTION_CHARS_MAX));
    }
    let mut left_out = message.more;
    for alert in message.firing.iter().chain(&message.ended) {
        if !page.section(&alert_text(alert)) {
            left_out += 1;
        }
    }
    let link = escape(&message.link, 500);
    if let Some(footer) = &config.footer {
        page.context(&clip(footer, FOOTER_CHARS_MAX));
    }
    let tail = if left_out > 0 { format!("+{left_out} more of {} alerts: {link}", message.count()) } else { link };
    page.context(&tail);
    SlackMessageContent::new().with_text(preview(message)).with_blocks(page.blocks)
}

/// The configuration's fields, a line of title and value each.
fn fields(config: &SlackConfig) -> String {
    config.fields.iter().map(|(title, value)| format!("*{title}*: {value}")).collect::<Vec<_>>().join("\n")
}

/// Where the title and the buttons lead, as links: a button needs an app that answers, a link does not.
fn links(config: &SlackConfig, headline: &str) -> String {
    let title = config.title_link.as_ref().map(|url| (headline.to_owned(), url));
    let buttons = config.buttons.iter().map(|(text, url)| (text.clone(), url));
    let mut line = String::new();
    for (text, url) in title.into_iter().chain(buttons).take(LINKS_MAX) {
        let link = named(url, &text);
        if line.chars().count() + link.chars().count() + 3 <= SECTION_CHARS_MAX {
            line.extend([if line.is_empty() { "" } else { "   " }, &link]);
        }
    }
    line
}

/// The least that says it: text alone.
pub(super) fn minimal(message: &Message) -> SlackMessageContent {
    SlackMessageContent::new().with_text(format!("{}\n{}", preview(message), escape(&message.link, 500)))
}

/// What phones show: state, alert, place, and the first summary.
pub(super) fn preview(message: &Message) -> String {
    let first = message.firing.iter().chain(&message.ended).map(|alert| alert.summary.as_str()).next().unwrap_or("");
    let gap = if first.is_empty() { "" } else { ": " };
    escape(&format!("{} {}{gap}{first}", sign(message), message.headline()), PREVIEW_CHARS_MAX)
}

fn sign(message: &Message) -> &'static str {
    match (message.mood, message.severity.as_str()) {
        (Mood::Firing, "critical") => "\u{1f534}",
        (Mood::Firing, _) => "\u{1f7e0}",
        (Mood::Resolved | Mood::Ended, _) => "\u{2705}",
    }
}

fn alert_text(alert: &AlertText) -> String {
    let mut lines =
        vec![format!("*{}* {} {}", escape(&alert.name, 200), escape(&alert.severity, 50), escape(&alert.place, 200))];
    let said = if alert.summary.is_empty() { &alert.description } else { &alert.summary };
    if !said.is_empty() {
        lines.push(escape(said, 600));
    }
    if !alert.summary.is_empty() && !alert.description.is_empty() {
        lines.push(escape(&alert.description, 600));
    }
    lines.push(format!("value {}, {}", escape(&alert.value, 40), alert.when));
    if !alert.log_lines.is_empty() {
        let text = alert.log_lines.join("\n").replace('`', "'");
        lines.push(format!("```{}```", escape(&text, 1_200)));
    }
    let labels: Vec<String> = alert.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
    if !labels.is_empty() {
        lines.push(format!("`{}`", escape(&labels.join(" ").replace('`', "'"), 500)));
    }
    let mut links = vec![named(&alert.link, "open the alert")];
    if !alert.owner.is_empty() {
        links.push(format!("owner {}", escape(&alert.owner, 100)));
    }
    if !alert.runbook.is_empty() {
        links.push(named(&alert.runbook, "runbook"));
    }
    lines.push(links.join("  "));
    lines.join("\n")
}

/// Blocks so far. Whatever would break a limit is left out as a whole.
struct Page {
    blocks: Vec<SlackBlock>,
    chars: usize,
}

impl Page {
    fn header(&mut self, text: &str) {
        let text = escape(text, HEADER_CHARS_MAX);
        self.chars += text.chars().count();
        let text: SlackBlockPlainText = SlackBlockPlainText::new(text);
        self.blocks.push(SlackHeaderBlock::new(text.into()).into());
    }

    /// Whether there was room. One block and some text are kept for the context line.
    fn section(&mut self, text: &str) -> bool {
        let with_links = linked(text);
        let text = if with_links.chars().count() > SECTION_CHARS_MAX { text } else { &with_links };
        let chars = text.chars().count();
        let full = self.blocks.len() + 1 >= BLOCKS_MAX || self.chars + chars > TOTAL_CHARS_MAX - 600;
        if full || chars > SECTION_CHARS_MAX || chars == 0 {
            return false;
        }
        self.chars += chars;
        let text = SlackBlockText::MarkDown(SlackBlockMarkDownText::new(text.into()).with_verbatim(true));
        self.blocks.push(SlackSectionBlock::new().with_text(text).into());
        true
    }

    fn context(&mut self, text: &str) {
        let text = SlackBlockMarkDownText::new(linked(text)).with_verbatim(true);
        self.blocks.push(SlackContextBlock::new(vec![SlackContextBlockElement::MarkDown(text)]).into());
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use model::Labels;

    use super::*;
    use crate::Config;
    use crate::config::ChannelKind;
    use crate::fixtures::firing;
    use crate::message::compose;

    #[test]
    fn what_the_configuration_adds_stands_below_its_text() {
        let text = "route: {receiver: a}\nreceivers: [{name: a, slack_configs: [{api_url: 'http://x/y', title: T <1>, title_link: 'http://here/?a=1&b=2', text: '<!here> look', fields: [{title: Host, value: web-1}, {title: Team, value: ops}], actions: [{type: button, text: 'a|b', url: 'http://q/x|y'}], footer: ours}]}]";
        let config = Config::parse(text, "notify.yml", Path::new(".")).unwrap();
        let ChannelKind::Slack(slack) = &config.channels().next().unwrap().kind else { panic!() };
        let instance = firing(Labels::from_pairs([("alertname", "Down")]), 0);
        let intent = crate::outbox::new_intent("a/slack[0]", "s".into(), vec![instance], 0, 0);
        let content = content(&compose(&intent, "http://here"), slack);
        let json = serde_json::to_value(&content).unwrap();
        let of = |block: &serde_json::Value| {
            let text = block["text"]["text"].as_str().or(block["elements"][0]["text"].as_str());
            text.unwrap_or_default().to_owned()
        };
        let texts: Vec<String> = json["blocks"].as_array().unwrap().iter().map(of).collect();
        assert_eq!(texts[0], "\u{1f7e0} T &lt;1&gt;");
        assert_eq!(texts[1], "<!here> look");
        assert_eq!(texts[2], "*Host*: web-1\n*Team*: ops");
        assert_eq!(texts[3], "<http://here/?a=1&amp;b=2|T &lt;1&gt;>   <http://q/x%7Cy|a b>");
        assert!(texts[4].starts_with("*Down*"), "{texts:?}");
        assert_eq!(texts[5], "ours");
        assert_eq!(texts.len(), 7, "{texts:?}");
    }
}
