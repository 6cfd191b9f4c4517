//! Warnings of quantiles that no value has.

use super::math;
use crate::promql::ast::Node;
use crate::promql::engine::Engine;
use crate::promql::number;

/// Of those of every step.
pub(crate) fn note_each(engine: &mut Engine<'_>, node: &Node, quantiles: &[f64]) {
    for q in quantiles {
        if !(0.0..=1.0).contains(q) {
            engine.notes.warn(node, &format!("quantile value should be between 0 and 1, got {}", number::compact(*q)));
        }
    }
}

/// Of all steps together, as Prometheus has it where `quantile` aggregates: of NaN, the greatest and the least, which a NaN hides.
pub(crate) fn note_extremes(engine: &mut Engine<'_>, node: &Node, quantiles: &[f64]) {
    let nan = quantiles.iter().copied().find(|q| q.is_nan());
    let greatest = quantiles.iter().copied().reduce(math::max).filter(|q| *q > 1.0);
    let least = quantiles.iter().copied().reduce(math::min).filter(|q| *q < 0.0);
    let told: Vec<f64> = [nan, greatest, least].into_iter().flatten().collect();
    note_each(engine, node, &told);
}
