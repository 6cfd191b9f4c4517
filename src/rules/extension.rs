//! What a rule says under `x:`, beyond Prometheus' format. A rule without it behaves as Prometheus does.

use model::Matcher;
use query::promql::Expr;

use crate::touched::Freshness;

/// How long an unknown state is held where `x.unknown_max` does not say.
pub(crate) const UNKNOWN_MAX_MS: i64 = 3_600_000;
/// Most instances of an event rule where `x.max_instances` does not say.
pub(crate) const EVENT_INSTANCES_MAX: usize = 500;

/// What to do when nobody can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unsure {
    /// Hold the state.
    Keep,
    /// Take it for FALSE.
    Ok,
    /// Hold the states, and fire an instance of the rule that says so in its label `reason`.
    Alert,
}

/// The rule's `x:`, its group's filled in.
#[derive(Debug, Clone)]
pub struct Extension {
    /// Neither the rule nor its group has an `x:`: Prometheus' behaviour.
    pub is_plain: bool,
    pub no_data: Unsure,
    pub on_error: Unsure,
    pub missing_series: Unsure,
    /// How long a series must be missing, with its host or service alive, before that is an end; two intervals by default.
    pub missing_series_for_ms: Option<i64>,
    /// How long an unknown state is held before it is decided by `no_data`; `None` for good.
    pub unknown_max_ms: Option<i64>,
    /// It is said how long, so what fires ends then, whatever `no_data` is.
    pub unknown_ends: bool,
    pub freshness: Freshness,
    pub hysteresis: Option<Hysteresis>,
    /// Mildest first.
    pub levels: Vec<Level>,
    pub min_samples: Option<Floor>,
    /// LogQL that must give a fitting sample as well.
    pub logs: Option<Box<query::logql::ast::Metric>>,
    /// Series that must be there for the rule to be judged.
    pub requires: Vec<Required>,
    pub chart: Option<Chart>,
    pub runbook: String,
    pub owner: String,
    /// Evaluated and recorded, told to nobody.
    pub is_shadow: bool,
    /// How far back `binnacle replay` looks by default.
    pub backtest_ms: Option<i64>,
    /// Of a rule over log events.
    pub event: Event,
}

impl Default for Extension {
    fn default() -> Extension {
        Extension {
            is_plain: true,
            no_data: Unsure::Ok,
            on_error: Unsure::Keep,
            missing_series: Unsure::Ok,
            missing_series_for_ms: None,
            unknown_max_ms: None,
            unknown_ends: false,
            freshness: Freshness::Lookback,
            hysteresis: None,
            levels: Vec::new(),
            min_samples: None,
            logs: None,
            requires: Vec::new(),
            chart: None,
            runbook: String::new(),
            owner: String::new(),
            is_shadow: false,
            backtest_ms: None,
            event: Event::default(),
        }
    }
}

impl Extension {
    /// Defaults of a rule that has an `x:`.
    pub(crate) fn extended() -> Extension {
        Extension {
            is_plain: false,
            no_data: Unsure::Keep,
            unknown_max_ms: Some(UNKNOWN_MAX_MS),
            freshness: Freshness::Observed,
            ..Extension::default()
        }
    }

    /// What messages and pages show of it, by name.
    pub(crate) fn context(&self) -> Vec<(String, String)> {
        let mut out = Vec::new();
        let mut put = |name: &str, value: &str| {
            if !value.is_empty() {
                out.push((name.to_string(), value.to_string()));
            }
        };
        put("runbook", &self.runbook);
        put("owner", &self.owner);
        if let Some(chart) = &self.chart {
            put("chart_expr", &chart.expr);
            put("chart_range", &model::time::format_duration_ms(chart.range_ms));
        }
        if self.is_shadow {
            put("mode", "shadow");
        }
        out
    }
}

/// When a firing instance ends, other than when its condition is gone.
#[derive(Debug, Clone)]
pub enum Hysteresis {
    /// It fires on as long as this returns it: `x.clear`, the rule's comparison with another threshold.
    Hold(Expr),
    /// It ends when this returns it: `x.resolve_expr`.
    End(Expr),
}

/// One severity of a rule whose expression has no threshold of its own.
#[derive(Debug, Clone, PartialEq)]
pub struct Level {
    pub severity: String,
    pub is_above: bool,
    pub threshold: f64,
    /// Once reached, it stays until the value is back over this one.
    pub clear: f64,
    pub for_ms: i64,
}

impl Level {
    /// Whether a value is beyond the threshold, or for a level that `is_reached`, not yet back over its clear one.
    pub(crate) fn holds(&self, value: f64, is_reached: bool) -> bool {
        let threshold = if is_reached { self.clear } else { self.threshold };
        if self.is_above { value > threshold } else { value < threshold }
    }
}

/// Least traffic that a result is believed with.
#[derive(Debug, Clone)]
pub struct Floor {
    pub expr: Expr,
    pub at_least: f64,
}

/// A selector of [`Extension::requires`], as written and parsed.
#[derive(Debug, Clone)]
pub struct Required {
    pub text: String,
    pub matchers: Vec<Matcher>,
}

/// What to draw beside an alert.
#[derive(Debug, Clone, PartialEq)]
pub struct Chart {
    pub expr: String,
    pub range_ms: i64,
}

/// How records of an event rule become instances, and when these end.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Labels that name the instance; all labels of the record's result where it is empty.
    pub key: Vec<String>,
    /// It ends so long after the last matching record.
    pub resolve_after_ms: i64,
    /// It ends with a record that matches this.
    pub resolve_when: Option<Box<query::logql::ast::LogExpr>>,
    pub max_instances: usize,
}

impl Default for Event {
    fn default() -> Event {
        // A day: whoever is told of an event has seen it by then.
        Event { key: Vec::new(), resolve_after_ms: 86_400_000, resolve_when: None, max_instances: EVENT_INSTANCES_MAX }
    }
}
