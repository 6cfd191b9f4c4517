//! A metric while its points come in: its family, its kind, and what its scope adds to its series.

use std::rc::Rc;

use model::meter::Counter;
use model::{Counts, MetricKind, MetricMeta, Reason, Scope};

use super::{Resource, Rows};
use crate::otlp::fingerprint::{self, metadata_hash};
use crate::otlp::label::{self, Pair, Refusal};
use crate::otlp::name::{self, Suffix};
use crate::otlp::temporality::Data;

static WITHOUT_POINTS: Counter = Counter::new(
    "binnacle_otlp_metrics_without_points_total",
    "Metrics that came without data or without a point, and were ignored.",
    &[],
);

/// A metric's own fields, as sent.
pub(crate) struct MetricHead<'a> {
    pub(crate) name: &'a str,
    pub(crate) unit: &'a str,
    pub(crate) description: &'a str,
    /// The metric's metadata entry `prometheus.type`; empty when there is none.
    pub(crate) prometheus_type: &'a str,
    pub(crate) data: Data,
}

/// A metric while its points come in.
pub(crate) struct Metric<'a> {
    pub(super) head: MetricHead<'a>,
    pub(super) fingerprint: u128,
    pub(super) family: Rc<Family>,
    /// Set when no point of this metric can be stored.
    pub(super) refusal: Option<Refusal>,
    pub(super) counts: Option<Counts>,
    pub(super) keeps_exemplars: bool,
    pub(super) scope: Option<Rc<ScopeLabels>>,
    pub(super) seen: bool,
    pub(super) accepted: bool,
}

/// `None` unless scopes become labels; `Err` tells why this one cannot.
pub(crate) type FoundScope = Result<Option<Rc<ScopeLabels>>, Refusal>;

/// What a scope adds to each of its series.
pub(crate) struct ScopeLabels {
    pub(super) fingerprint: u128,
    pub(super) labels: Vec<Pair>,
}

pub(super) struct Family {
    /// `Err` tells why the name cannot be translated.
    pub(super) name: Result<String, String>,
    pub(super) meta: Option<MetricMeta>,
}

impl Rows<'_> {
    /// What a scope adds to labels: nothing unless the settings say so. `raw` is the scope as sent, in this encoding.
    pub(crate) fn scope(&self, raw: u128, scope: &Scope, schema_url: &str) -> FoundScope {
        if !self.settings.promote_scope {
            return Ok(None);
        }
        let labels = label::scope_labels(self.settings, scope, schema_url)?;
        let fingerprint = fingerprint::pair(raw, fingerprint::of(schema_url.as_bytes()));
        Ok(Some(Rc::new(ScopeLabels { fingerprint, labels })))
    }

    pub(crate) fn metric<'m>(&mut self, resource: &Resource, scope: &FoundScope, head: MetricHead<'m>) -> Metric<'m> {
        let counts = head.data.counts(self.settings.delta);
        let kind = match head.data {
            // Raw deltas are no counter: `rate` of them means nothing.
            _ if counts.is_none() && head.data.is_delta() => MetricKind::Unknown,
            Data::Sum { monotonic: true, .. } => MetricKind::Counter,
            Data::Histogram { .. } | Data::ExponentialHistogram { .. } => MetricKind::Histogram,
            Data::Summary => MetricKind::Summary,
            Data::Gauge => match head.prometheus_type {
                "unknown" => MetricKind::Unknown,
                "info" => MetricKind::Info,
                "stateset" => MetricKind::StateSet,
                _ => MetricKind::Gauge,
            },
            Data::Sum { .. } => MetricKind::Gauge,
        };
        let suffix = match head.data {
            Data::Gauge => Suffix::Gauge,
            Data::Sum { monotonic: true, .. } => Suffix::Total,
            _ => Suffix::None,
        };
        let shape = [head.name, head.unit, kind.as_str(), ["n", "g", "t"][suffix as usize]];
        let identity = fingerprint::of_texts(&shape);
        let described = fingerprint::pair(identity, fingerprint::of(head.description.as_bytes()));
        let settings = self.settings;
        let family = self.families.entry(described).or_insert_with(|| {
            let name = name::metric_name(settings.translation, head.name, head.unit, suffix);
            let meta = name.as_ref().ok().map(|family| MetricMeta {
                family: family.clone(),
                kind,
                unit: name::unit_name(settings.translation, head.unit),
                help: head.description.to_owned(),
            });
            Rc::new(Family { name, meta })
        });
        let refusal = head
            .data
            .unsupported(settings.delta)
            .or_else(|| scope.as_ref().err().cloned())
            .or_else(|| family.name.clone().err().map(|reason| (Reason::BadName, reason)));
        let mut fingerprint = fingerprint::pair(resource.fingerprint, identity);
        let scope = scope.as_ref().ok().cloned().flatten();
        if let Some(scope) = &scope {
            fingerprint = fingerprint::pair(fingerprint, scope.fingerprint);
        }
        Metric {
            fingerprint,
            family: family.clone(),
            refusal,
            counts,
            // Of a gauge there is no bucket or count that an exemplar could stand for (OpenTelemetry, Prometheus compatibility).
            keeps_exemplars: !matches!(head.data, Data::Gauge),
            scope,
            seen: false,
            accepted: false,
            head,
        }
    }

    /// Ends a metric: tells its metadata if a point of it was accepted and the store does not know it.
    pub(crate) fn end_metric(&mut self, metric: Metric<'_>) {
        if !metric.seen {
            WITHOUT_POINTS.add(&[], 1);
        }
        let Some(meta) = metric.family.meta.as_ref().filter(|_| metric.accepted) else { return };
        let hash = metadata_hash(meta);
        if self.told.insert(hash) && !self.known.knows_metadata(hash) {
            self.batch.metadata.push(meta.clone());
        }
    }

    /// Whether the store has the metadata of a metric's family.
    pub(super) fn knows_metadata(&self, metric: &Metric<'_>) -> bool {
        metric.family.meta.as_ref().is_some_and(|meta| self.known.knows_metadata(metadata_hash(meta)))
    }

    /// A metric without any data.
    pub(crate) fn no_data(&self) {
        WITHOUT_POINTS.add(&[], 1);
    }
}
