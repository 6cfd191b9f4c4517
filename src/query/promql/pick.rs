//! Aggregations that pick series and leave them as they are: `topk`, `bottomk`, `limitk`, `limit_ratio`.

use model::Labels;

use super::aggregate::{Group, note_ignored};
use super::ast::{Aggregate, Aggregator, Node};
use super::engine::{Engine, wrong};
use super::functions::order::nan_last;
use super::number;
use super::value::{Column, Grid};
use crate::QueryError;

/// What there is to say of the parameter, whatever series there are. False when it picks none at any step.
pub(crate) fn check(engine: &mut Engine<'_>, op: Aggregator, node: &Node, numbers: &[f64]) -> Result<bool, QueryError> {
    let has_nan = numbers.iter().any(|number| number.is_nan());
    let least = numbers.iter().copied().fold(f64::INFINITY, f64::min);
    let greatest = numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if op == Aggregator::LimitRatio {
        if has_nan {
            return Err(wrong("Ratio value is NaN"));
        }
        for (ratio, cap, is_beyond) in [(greatest, 1.0, greatest > 1.0), (least, -1.0, least < -1.0)] {
            if is_beyond {
                let text = format!(
                    "ratio value should be between -1 and 1, got {}, capping to {}",
                    number::compact(ratio),
                    number::compact(cap)
                );
                engine.notes.warn(node, &text);
            }
        }
        return Ok(least != 0.0 || greatest != 0.0);
    }
    if has_nan {
        return Err(wrong("Parameter value is NaN"));
    }
    if greatest < 1.0 {
        return Ok(false);
    }
    // Above 2^63 - 1 by as much as the next float is.
    for (k, is_beyond, how) in
        [(least, least <= -INT64_END, "underflows"), (greatest, greatest >= INT64_END, "overflows")]
    {
        if is_beyond {
            return Err(wrong(format!("Scalar value {} {how} int64", number::compact(k))));
        }
    }
    Ok(true)
}

pub(crate) fn from_group(
    engine: &mut Engine<'_>,
    aggregate: &Aggregate,
    numbers: &[f64],
    group: Group,
    grid: Grid,
    out: &mut Vec<Column>,
) -> Result<(), QueryError> {
    let (op, mut columns) = (aggregate.op, group.columns);
    let by_value = matches!(op, Aggregator::Topk | Aggregator::Bottomk);
    for column in columns.iter_mut().filter(|column| by_value && column.steps.has_histograms()) {
        column.steps.drop_histograms();
        note_ignored(engine, aggregate.span, op);
    }
    // The picked ones of the last step, best first: the order of an instant query's answer.
    let mut ranked: Vec<usize> = Vec::new();
    let mut picked = vec![false; columns.len()];
    for (step, number) in numbers.iter().enumerate().take(grid.count) {
        ranked.clear();
        ranked.extend((0..columns.len()).filter(|i| columns[*i].steps.has(step)));
        match op {
            Aggregator::LimitRatio => {
                let ratio = number.clamp(-1.0, 1.0);
                ranked.retain(|i| sampled(ratio, &columns[*i].labels));
            }
            _ => {
                if by_value {
                    // Stable: of equal values the first ones stay.
                    let value = |i: &usize| columns[*i].steps[step];
                    ranked.sort_by(|a, b| nan_last(value(a), value(b), op == Aggregator::Topk));
                }
                ranked.truncate(if *number < 1.0 { 0 } else { *number as usize });
            }
        }
        picked.fill(false);
        ranked.iter().for_each(|i| picked[*i] = true);
        for (column, picked) in columns.iter_mut().zip(&picked) {
            if !picked {
                column.steps.put(step, None);
            }
        }
    }
    if grid.count == 1 {
        let mut slots: Vec<Option<Column>> = columns.into_iter().map(Some).collect();
        out.extend(ranked.iter().filter_map(|i| slots[*i].take()));
    } else {
        out.extend(columns);
    }
    Ok(())
}

const INT64_END: f64 = (1_u64 << 63) as f64;

/// Whether a series is in the sample: by its labels alone, so the same ones are picked at every step, and a negative
/// ratio picks exactly what its complement leaves.
fn sampled(ratio: f64, labels: &Labels) -> bool {
    let place = fingerprint(labels) as f64 / u64::MAX as f64;
    if ratio >= 0.0 { place < ratio } else { place >= 1.0 + ratio }
}

/// Prometheus' hash of a label set (`labels.Hash` of its default build): xxHash64 over each name and value, each after
/// its length.
fn fingerprint(labels: &Labels) -> u64 {
    let mut bytes = Vec::with_capacity(256);
    for text in labels.iter().flat_map(|(name, value)| [name, value]) {
        match u8::try_from(text.len()) {
            Ok(length) if length < u8::MAX => bytes.push(length),
            // Three bytes of length, as in Prometheus; longer texts than those can tell do not come here.
            _ => {
                bytes.push(u8::MAX);
                bytes.extend_from_slice(&(text.len() as u32).to_le_bytes()[..3]);
            }
        }
        bytes.extend_from_slice(text.as_bytes());
    }
    xxhash_rust::xxh64::xxh64(&bytes, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn label_sets_hash_as_in_prometheus() {
        // xxHash64 of nothing, and of `\x01a\x01b`.
        assert_eq!(fingerprint(&Labels::default()), 0xef46_db37_51d8_e999);
        let bytes = [1, b'a', 1, b'b'];
        assert_eq!(fingerprint(&Labels::from_pairs([("a", "b")])), xxhash_rust::xxh64::xxh64(&bytes, 0));
        let long = "x".repeat(300);
        let bytes = [&[1, b'a', 255, 44, 1, 0][..], long.as_bytes()].concat();
        assert_eq!(fingerprint(&Labels::from_pairs([("a", long.as_str())])), xxhash_rust::xxh64::xxh64(&bytes, 0));
    }
}
