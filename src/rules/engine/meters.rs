//! What is counted of rules. Where a label says whose they are, it is empty for the tenant that always has rules.

use model::meter::{Counter, Gauge, Timing};

pub(super) static EVALUATIONS: Counter =
    Counter::new("binnacle_rule_evaluations_total", "Evaluations of single rules.", &[]);
pub(super) static FAILURES: Counter =
    Counter::new("binnacle_rule_evaluation_failures_total", "Evaluations of single rules that failed.", &[]);
pub(super) static MISSED: Counter = Counter::new(
    "binnacle_rule_group_missed_slots_total",
    "Slots at which a rule group was not evaluated, since it was still running or the process was held up.",
    &[],
);
pub(super) static MISSED_IN_A_ROW: Gauge = Gauge::new(
    "binnacle_rule_group_missed_slots_in_a_row",
    "Slots passed over before a rule group's last evaluation, or since the one that still runs.",
    &["group", "tenant"],
);
pub(super) static DURATION: Timing =
    Timing::new("binnacle_rule_group_duration_seconds", "How long evaluating a rule group takes.", &[]);
pub(super) static FAILING: Gauge = Gauge::new(
    "binnacle_rule_failing",
    "Whether a rule's last evaluation failed; of rules that failed since the start.",
    &["group", "rule", "tenant"],
);
pub(super) static DROPPED: Gauge = Gauge::new(
    "binnacle_rule_dropped_results",
    "Results of a rule's last evaluation beyond its group's limit; of rules that were over it since the start.",
    &["group", "rule", "tenant"],
);

/// Forgets what is said of a tenant's groups and rules: others take their place, or the same with nothing wrong any more.
pub(super) fn forget(tenant: &str) {
    for gauge in [&MISSED_IN_A_ROW, &FAILING, &DROPPED] {
        gauge.retain(|labels| labels.last().is_none_or(|of| of != tenant));
    }
}
