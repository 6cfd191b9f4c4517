//! Labels and annotations of what the expression returned.

use model::alert::{self, Evidence};
use model::{AlertState, Labels, LabelsBuilder};
use query::promql::{self, Source};

use crate::condition::Condition;
use crate::evaluate::{Instances, PreparedRule, Run, number};
use crate::file::Rule;
use crate::ground::Point;
use crate::levels;
use crate::state::Present;
use crate::template::{Data, Template, TemplateError};

impl Run<'_> {
    /// The instance that says that the rule cannot be judged.
    pub(super) fn stand_in(
        &self,
        rule: &Rule,
        ready: &PreparedRule,
        source: &dyn Source,
        why: &'static str,
    ) -> (String, Present) {
        let labels = Labels::from_pairs([("reason", why)]);
        let mut present = self.texts(rule, ready, source, &labels, &Point::Float(f64::NAN), None);
        present.evidence.reason = why.into();
        (alert::fingerprint(&ready.id, &present.labels), present)
    }

    /// Fingerprint and texts of one sample, and whether a level of it is reached; `None` below all levels.
    pub(crate) fn rendered(
        &self,
        rule: &Rule,
        ready: &PreparedRule,
        source: &dyn Source,
        before: Option<&Instances>,
        labels: &Labels,
        point: &Point,
    ) -> Option<(String, Present, bool)> {
        let levels = &rule.extension.levels;
        if levels.is_empty() {
            let present = self.texts(rule, ready, source, labels, point, None);
            return Some((alert::fingerprint(&ready.id, &present.labels), present, true));
        }
        let named = self.texts(rule, ready, source, labels, point, None);
        let fingerprint = alert::fingerprint(&ready.id, &named.labels.with("severity", ""));
        let known = before.and_then(|before| before.get(&fingerprint));
        let known = known.filter(|known| known.state != AlertState::Resolved).map(|known| &known.evidence);
        let standing = levels::advance(levels, known, number(point), self.slot.lost_ms, self.slot.at_ms);
        let level = standing.reached.or(standing.leading)?;
        let severity = levels.get(level as usize).map(|level| level.severity.as_str()).unwrap_or_default();
        let mut present = self.texts(rule, ready, source, labels, point, Some(severity));
        present.evidence.level = Some(level);
        present.evidence.levels_since_ms = standing.since_ms;
        Some((fingerprint, present, standing.reached.is_some()))
    }

    /// Labels and annotations of one sample; a template that fails leaves its error as the text.
    pub(crate) fn texts(
        &self,
        rule: &Rule,
        ready: &PreparedRule,
        source: &dyn Source,
        sample_labels: &Labels,
        point: &Point,
        severity: Option<&str>,
    ) -> Present {
        let external_labels = &self.settings.external_labels;
        let external_url = &self.settings.external_url;
        let data = Data { labels: sample_labels, value: point, external_labels, external_url };
        // At the slot's time, whatever the group's `query_offset` is, as in Prometheus.
        let at_ms = self.slot.at_ms;
        let mut query = |text: &str| match rule.condition {
            Condition::Metrics(_) => {
                let expr = promql::parse(text).map_err(|error| error.to_string())?;
                self.points_at(source, &expr, at_ms)
            }
            Condition::Logs(_) | Condition::Events(_) => {
                self.log_points_at(&*crate::condition::metric_of_logs(text)?, at_ms)
            }
        };
        let mut text = |template: &Result<Template, TemplateError>| match template {
            Ok(template) => template.expand_or_error(&data, &mut query),
            Err(error) => format!("<error expanding template: {error}>"),
        };
        let mut labels = LabelsBuilder::from(&sample_labels.without_name());
        for (name, template) in &ready.labels {
            labels.push(name.as_str(), text(template));
        }
        if let Some(severity) = severity {
            labels.push("severity", severity);
        }
        labels.push("alertname", rule.name.as_str());
        let annotations = ready.annotations.iter().map(|(name, template)| (name.clone(), text(template))).collect();
        let evidence = Evidence { context: ready.context.clone(), ..Evidence::default() };
        Present { labels: labels.build(), annotations, value: number(point), evidence }
    }
}
