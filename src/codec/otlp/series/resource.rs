//! A resource while its metrics come in, and the `target_info` that it gets.

use std::rc::Rc;

use model::SeriesEntry;
use model::log::Attributes;
use model::meter::Counter;

use super::{Found, Rows};
use crate::otlp::fingerprint;
use crate::otlp::label::{self, Refusal, ResourceLabels};
use crate::otlp::target::Times;

static TARGET_INFO_LEFT_OUT: Counter = Counter::new(
    "binnacle_otlp_target_info_attributes_left_out_total",
    "Resource attributes that could not become a label of target_info.",
    &[],
);

/// A resource while its metrics come in.
pub(crate) struct Resource {
    pub(super) fingerprint: u128,
    pub(super) attributes: Attributes,
    pub(super) labels: Option<Result<Rc<ResourceLabels>, Refusal>>,
    pub(super) times: Times,
}

impl Rows<'_> {
    pub(crate) fn resource(&self, fingerprint: u128, attributes: Attributes) -> Resource {
        Resource { fingerprint, attributes, labels: None, times: Times::default() }
    }

    /// Ends a resource: its `target_info` gets samples at the times of its accepted points.
    pub(crate) fn end_resource(&mut self, resource: Resource) {
        if resource.times.is_empty() {
            return;
        }
        let key = fingerprint::pair(resource.fingerprint, fingerprint::of(b"target_info"));
        if let Some(at) = self.targets.get(&key) {
            self.target_times[*at].1.merge(&resource.times);
            return;
        }
        let series = match self.find(key) {
            Found::Known(id) => self.push_series(SeriesEntry::Known(id)),
            Found::InBatch(series) => series,
            Found::Missing => {
                let (labels, left_out) = label::target_info(self.settings, &resource.attributes);
                if left_out > 0 {
                    TARGET_INFO_LEFT_OUT.add(&[], left_out);
                }
                match labels {
                    Some(labels) => self.make(key, labels),
                    None => return,
                }
            }
        };
        self.targets.insert(key, self.target_times.len());
        self.target_times.push((series, resource.times));
    }
}
