//! Instances that the expression did not return: whether they are over, or whether nobody can tell.

use model::alert::reason;
use model::{AlertState, Instance};
use query::promql::{self, Source};

use super::{Answers, START_PATIENCE_MS, STEADY_EVALUATIONS, fits, timers};
use crate::evaluate::{Instances, PreparedRule, Run};
use crate::extension::{Hysteresis, Unsure};
use crate::file::Rule;
use crate::ground::Nothing;
use crate::state::{self, Patience, Timers};
use crate::watch::Watch;

/// Labels that name what a series comes from, narrowest meaning first.
const RESOURCE_LABELS: [&str; 6] =
    ["host_name", "instance", "service_instance_id", "k8s_pod_name", "container_id", "service_name"];

/// What is known of an instance that the expression did not return.
pub(super) enum Absent {
    /// It is over; a word why that may be for want of data.
    False(&'static str),
    Unknown(&'static str),
    /// It fires on, and that is known: hysteresis.
    Holds(Option<f64>),
}

impl Run<'_> {
    /// What may be said of an instance that the expression did not return.
    pub(super) fn absent(
        &mut self,
        rule: &Rule,
        source: &dyn Source,
        known: &Instance,
        watch: &Watch,
        answers: &Answers,
    ) -> Absent {
        let extension = &rule.extension;
        let is_firing = known.state == AlertState::Firing;
        let own = |name: &str| rule.labels.iter().any(|(own, _)| own == name) || name == "severity";
        if is_firing && !self.is_steady(watch) {
            return Absent::Unknown(reason::RESTART);
        }
        if known.labels.get("reason").is_some() && extension.no_data == Unsure::Alert && answers.unknown.is_none() {
            return Absent::False("");
        }
        if is_firing {
            let matching = answers.hysteresis.iter().find(|(labels, _)| fits(labels, &known.labels, own));
            match (&extension.hysteresis, matching) {
                (Some(Hysteresis::Hold(_)), Some((_, value))) => return Absent::Holds(Some(*value)),
                (Some(Hysteresis::End(_)), Some(_)) => return Absent::False(""),
                (Some(Hysteresis::End(_)), None) => {
                    let why = answers.unknown.filter(|_| extension.no_data != Unsure::Ok);
                    return why.map_or(Absent::Holds(None), Absent::Unknown);
                }
                _ => {}
            }
        }
        if let Some(why) = answers.unknown {
            return match extension.no_data {
                Unsure::Ok => Absent::False(why),
                Unsure::Keep | Unsure::Alert => Absent::Unknown(why),
            };
        }
        let lookback_ms = self.settings.lookback_ms;
        let Some(why) = answers.touched.unknown_instance(known, own, extension.freshness, lookback_ms) else {
            return Absent::False("");
        };
        if extension.is_plain {
            return Absent::False(why);
        }
        if why != reason::MISSING_SERIES {
            return Absent::Unknown(why);
        }
        if !self.is_alive(source, known) {
            return Absent::Unknown(reason::RESOURCE_GONE);
        }
        let wait_ms = extension.missing_series_for_ms.unwrap_or(2 * self.prepared.group.interval_ms);
        let since_ms = known.evidence.unknown_since_ms.unwrap_or(self.slot.at_ms);
        let is_over = self.slot.at_ms.saturating_sub(since_ms) >= wait_ms;
        match extension.missing_series {
            Unsure::Ok if is_over => Absent::False(reason::MISSING_SERIES),
            _ => Absent::Unknown(reason::MISSING_SERIES),
        }
    }

    /// The step of an instance of which nobody can tell.
    pub(super) fn unknown(&self, rule: &Rule, known: &Instance, why: &'static str) -> Option<Instance> {
        let extension = &rule.extension;
        let then = match why {
            reason::QUERY_ERROR => extension.on_error,
            reason::MISSING_SERIES => extension.missing_series,
            reason::TOO_FEW_SAMPLES => Unsure::Ok,
            _ => extension.no_data,
        };
        // What a start holds back is decided by its own patience.
        let unknown_max_ms = extension.unknown_max_ms.filter(|_| why != reason::RESTART);
        let patience = Patience { unknown_max_ms, then_ends: then == Unsure::Ok || extension.unknown_ends };
        // Without `x:` time goes on while a query fails, as in Prometheus.
        let lost_ms = match extension.is_plain {
            true => self.slot.lost_ms,
            false => self.prepared.group.interval_ms.max(self.slot.since_last_ms),
        };
        state::unknown(known, why, patience, lost_ms, self.slot.at_ms)
    }

    /// A rule that cannot be evaluated.
    pub(super) fn failed(&mut self, rule: &Rule, ready: &PreparedRule, before: Option<&Instances>) -> Instances {
        let is_shadow = rule.extension.is_shadow;
        let (for_ms, keep_firing_for_ms) = timers(rule);
        let timers = Timers { for_ms, keep_firing_for_ms };
        let mut after = Instances::new();
        let stand_in = (rule.extension.on_error == Unsure::Alert)
            .then(|| self.stand_in(rule, ready, &Nothing, reason::QUERY_ERROR));
        let is_stand_in = |known: &Instance| stand_in.as_ref().is_some_and(|(of, _)| *of == known.fingerprint());
        for known in before.into_iter().flat_map(|before| before.values()).filter(|known| !is_stand_in(known)) {
            let next = match rule.extension.on_error {
                Unsure::Ok => state::absent(known, timers, reason::QUERY_ERROR, self.slot.at_ms),
                Unsure::Keep | Unsure::Alert => self.unknown(rule, known, reason::QUERY_ERROR),
            };
            self.keep(ready, &mut after, known, next, is_shadow);
        }
        if let Some((fingerprint, present)) = stand_in {
            let known = before.and_then(|before| before.get(&fingerprint));
            let next = state::present(&ready.id, known, present, timers, self.slot.lost_ms, self.slot.at_ms);
            self.note(known, Some(&next), is_shadow);
            after.insert(fingerprint, next);
        }
        after
    }

    /// Whether what was held over a start may end.
    fn is_steady(&self, watch: &Watch) -> bool {
        let Some(started_ms) = self.slot.started_ms else { return true };
        let is_over = self.slot.at_ms.saturating_sub(started_ms) >= START_PATIENCE_MS;
        is_over || (watch.successes >= STEADY_EVALUATIONS && watch.has_fresh_data)
    }

    /// Whether the host or service that an instance is about sends anything at all.
    fn is_alive(&mut self, source: &dyn Source, instance: &Instance) -> bool {
        let named = RESOURCE_LABELS.iter().find_map(|name| Some((*name, instance.labels.get(name)?)));
        let Some((name, value)) = named else { return true };
        let key = (name.to_string(), value.to_string());
        if let Some(alive) = self.alive.get(&key) {
            return *alive;
        }
        // Series that rules write go on by themselves.
        let text = format!("count({{{name}={value:?},__name__!~\"ALERTS.*|.*:.*\"}})");
        let alive = match promql::parse(&text) {
            Ok(expr) => self.answer(source, &expr).is_ok_and(|found| !found.is_empty()),
            Err(_) => true,
        };
        self.alive.insert(key, alive);
        alive
    }
}
