//! What a rule would tell whom, if it fired now: for the API and for the rule's page.

use rules::{DryRun, RuleKind};

use crate::Alerting;
use crate::rule_value::RuleValue;

/// A dry run and the messages it leads to.
pub(crate) struct Said {
    pub(crate) run: DryRun,
    pub(crate) messages: Vec<notify::Preview>,
    /// Whether the rule is in shadow, so that nobody would be told after all.
    pub(crate) is_shadow: bool,
}

impl Said {
    /// `None` when there is no such rule. Reads the store; blocks.
    pub(crate) fn ask(alerting: &Alerting, id: &str, at_ms: i64) -> Option<Result<Said, String>> {
        let rule = alerting.rules.rule(id)?;
        if rule.kind == RuleKind::Recording {
            return Some(Err("a recording rule tells nobody".into()));
        }
        if matches!(rule.condition, rules::Condition::Events(_)) {
            return Some(Err(
                "the rule is about single log records: replay says what it would have made of them".into()
            ));
        }
        let value = RuleValue::of(&rule.condition, &rule.expr_text).filter(|value| value.limit.is_some());
        let run = alerting.rules.dry_run(id, value.as_ref().map(|value| value.text.as_str()), at_ms)?;
        let is_shadow = rule.extension.is_shadow;
        Some(run.map(|run| Said { messages: alerting.notifier.preview(&run.instances, at_ms), run, is_shadow }))
    }

    /// What the messages are made of.
    pub(crate) fn sentence(&self) -> &'static str {
        match (self.run.instances.is_empty(), self.run.holds, self.messages.is_empty(), self.is_shadow) {
            (true, ..) => "Nothing that it compares has data now, so there is nothing to say.",
            (_, _, _, true) => "It is in shadow: nobody would be told.",
            (_, _, true, _) => "No receiver of notify.yml would be told.",
            (_, true, ..) => "Its condition holds now, for these alerts:",
            (_, false, ..) => "Its condition does not hold now. With the newest values in its place it would say:",
        }
    }
}
