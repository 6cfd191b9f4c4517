//! What rules of one evaluation write: held back and written together, before a rule that may read it and at the group's end.
//!
//! A write is a commit with its fsync, so one a group instead of one a rule. A later rule still sees everything that was written
//! before it.

use std::collections::{BTreeSet, HashMap, HashSet};

use model::alert::RuleId;
use model::labels::METRIC_NAME;
use model::{Labels, MatchOp};
use query::promql::{self, Expr};

use crate::extension::Hysteresis;
use crate::file::Rule;
use crate::ground::{Ground, Written};

/// Series held back at most: bounds the memory of a group.
const HELD_MAX: usize = 5_000;

/// Which recorded series and alerts a rule may read.
#[derive(Debug)]
pub(crate) enum Reads {
    Names(BTreeSet<String>),
    Anything,
}

impl Reads {
    pub(crate) fn of(rule: &Rule) -> Reads {
        let extension = &rule.extension;
        let hysteresis = extension.hysteresis.as_ref().map(|hysteresis| match hysteresis {
            Hysteresis::Hold(expr) | Hysteresis::End(expr) => expr,
        });
        let floor = extension.min_samples.as_ref().map(|floor| &floor.expr);
        let exprs: Vec<&Expr> = rule.condition.promql().into_iter().chain(hysteresis).chain(floor).collect();
        let texts = rule.labels.iter().chain(&rule.annotations).map(|(_, text)| text);
        // Templates ask for what they like; info() for what no selector names.
        if texts.into_iter().any(|text| text.contains("query")) || rule.expr_text.contains("info") {
            return Reads::Anything;
        }
        let required = extension.requires.iter().map(|required| required.matchers.as_slice());
        let mut names = BTreeSet::new();
        for matchers in exprs.into_iter().flat_map(promql::selectors).chain(required) {
            match matchers.iter().find(|matcher| matcher.name == METRIC_NAME && matcher.op == MatchOp::Equal) {
                Some(matcher) => names.insert(matcher.value.clone()),
                None => return Reads::Anything,
            };
        }
        Reads::Names(names)
    }
}

/// What one rule wrote.
struct OfRule {
    id: RuleId,
    /// The rule's place in the group.
    place: usize,
    series: Vec<Written>,
    /// Series that are there now.
    now: HashSet<Labels>,
}

/// What is not written yet.
#[derive(Default)]
pub(crate) struct Held {
    rules: Vec<OfRule>,
    names: BTreeSet<String>,
    count: usize,
}

impl Held {
    pub(crate) fn push(&mut self, id: &RuleId, place: usize, series: Vec<Written>, now: HashSet<Labels>) {
        for written in &series {
            let name = written.labels.value(METRIC_NAME);
            if !self.names.contains(name) {
                self.names.insert(name.to_owned());
            }
        }
        self.count += series.len();
        self.rules.push(OfRule { id: id.clone(), place, series, now });
    }

    /// Whether it must be written before that rule is evaluated.
    pub(crate) fn is_due(&self, reads: &Reads) -> bool {
        let is_read = match reads {
            Reads::Anything => true,
            Reads::Names(names) => !self.names.is_disjoint(names),
        };
        !self.rules.is_empty() && (is_read || self.count >= HELD_MAX)
    }

    /// Writes it; which rules' series could not be written, by place, and why.
    pub(crate) fn write(
        &mut self,
        ground: &dyn Ground,
        written: &mut HashMap<RuleId, HashSet<Labels>>,
    ) -> Vec<(usize, String)> {
        let held = std::mem::take(self);
        let mut all: Vec<Written> = Vec::with_capacity(held.count);
        all.extend(held.rules.iter().flat_map(|rule| rule.series.iter().cloned()));
        let together = if all.is_empty() { Ok(()) } else { ground.write(&all) };
        let mut failed = Vec::new();
        for rule in held.rules {
            // One by one after a refusal, to know whose series were refused; what was taken is taken as a repeat.
            let done = match &together {
                Ok(()) => Ok(()),
                Err(_) if rule.series.is_empty() => Ok(()),
                Err(_) => ground.write(&rule.series),
            };
            match done {
                Ok(()) => drop(written.insert(rule.id, rule.now)),
                Err(error) => failed.push((rule.place, error)),
            }
        }
        failed
    }
}
