//! What a rule's alerts would say now: labels and texts as an evaluation renders them, over the newest data. No state changes, and
//! nothing is written.

use model::{AlertState, Instance};
use query::logql;
use query::promql::{self, Source};
use store::{Snapshot, StoreError};

use crate::condition::Condition;
use crate::engine::Member;
use crate::evaluate::{Run, Settings, Slot};
use crate::file::Rule;
use crate::ground::{Ground, Written, newest};
use crate::state::Present;

/// Most alerts rendered: as many as one message lists.
const ALERTS_MAX: usize = 20;

/// A rule's alerts as they would be.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DryRun {
    /// As if they had fired just now; at most 20.
    pub instances: Vec<Instance>,
    /// Whether the condition holds. If not, they are made of the value that it compares.
    pub holds: bool,
}

/// A tenant's data, to be looked at only.
struct Looking(store::Tenant, i64);

impl Ground for Looking {
    fn source(&self) -> Result<Box<dyn Source>, StoreError> {
        newest(&self.0, self.1)
    }

    fn logs(&self) -> Result<Option<Snapshot>, StoreError> {
        self.0.snapshot().map(Some)
    }

    fn write(&self, _: &[Written]) -> Result<(), String> {
        Err("a dry run writes nothing".into())
    }
}

/// Of the rule at this place of a group. `value` is what stands in where the condition returns nothing.
pub(crate) fn dry_run(
    member: &Member,
    at: usize,
    value: Option<&str>,
    tenant: store::Tenant,
    settings: &Settings,
    at_ms: i64,
) -> Result<DryRun, String> {
    let (Some(rule), Some(ready)) = (member.prepared.group.rules.get(at), member.prepared.rules.get(at)) else {
        return Err("this rule is gone".into());
    };
    let ground = Looking(tenant, at_ms - member.prepared.group.query_offset_ms);
    let run = Run::new(&member.prepared, Slot::from(at_ms), settings, &ground);
    let source = ground.source().map_err(|error| error.to_string())?;
    let mut found = run.ask(&*source, rule)?;
    let holds = !found.is_empty();
    if let Some(value) = value.filter(|_| !holds) {
        found = run.ask(&*source, &asking(rule, value)?)?;
    }
    found.truncate(ALERTS_MAX);
    let mildest = rule.extension.levels.first().map(|level| level.severity.as_str());
    let mut out = DryRun { instances: Vec::new(), holds: false };
    for (labels, point) in &found {
        let (present, reached) = match run.rendered(rule, ready, &*source, None, labels, point) {
            Some((_, present, reached)) => (present, reached),
            None => (run.texts(rule, ready, &*source, labels, point, mildest), false),
        };
        out.holds |= holds && reached;
        let mut instance = fired(&ready.id, present, at_ms);
        run.add_lines(rule, &mut instance);
        out.instances.push(instance);
    }
    Ok(out)
}

/// The rule with another query in place of its condition.
fn asking(rule: &Rule, query: &str) -> Result<Rule, String> {
    let condition = match &rule.condition {
        Condition::Metrics(_) => Condition::Metrics(promql::parse(query).map_err(|error| error.to_string())?),
        Condition::Logs(_) => match logql::parse(query).map_err(|error| error.to_string())? {
            logql::Expr::Metric(metric) => Condition::Logs(Box::new(metric)),
            logql::Expr::Log(_) => return Err("a search for lines has no value".into()),
        },
        Condition::Events(log) => Condition::Events(log.clone()),
    };
    Ok(Rule { condition, ..rule.clone() })
}

fn fired(rule_id: &str, present: Present, at_ms: i64) -> Instance {
    Instance {
        rule_id: rule_id.into(),
        labels: present.labels,
        annotations: present.annotations,
        state: AlertState::Firing,
        active_at_ms: at_ms,
        fired_at_ms: Some(at_ms),
        keep_since_ms: None,
        resolved_at_ms: None,
        evaluated_at_ms: at_ms,
        value: present.value,
        evidence: present.evidence,
    }
}
