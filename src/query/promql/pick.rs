//! Aggregations that pick series and leave them as they are: `topk`, `bottomk`, `limitk`, `limit_ratio`.

use model::Labels;

use super::aggregate::{Group, note_ignored};
use super::ast::{Aggregate, Aggregator, Node};
use super::engine::{Engine, wrong};
use super::functions::order::nan_last;
use super::number;
use super::value::{Column, Grid};
use crate::QueryError;

pub(crate) fn from_group(
    engine: &mut Engine<'_>,
    aggregate: &Aggregate,
    node: &Node,
    numbers: &[f64],
    group: Group,
    grid: Grid,
    out: &mut Vec<Column>,
) -> Result<(), QueryError> {
    let (op, mut columns) = (aggregate.op, group.columns);
    let by_value = matches!(op, Aggregator::Topk | Aggregator::Bottomk);
    for column in columns.iter_mut().filter(|column| by_value && column.steps.has_histograms()) {
        column.steps.drop_histograms();
        note_ignored(engine, &aggregate.expr, op);
    }
    // The picked ones of the last step, best first: the order of an instant query's answer.
    let mut ranked: Vec<usize> = Vec::new();
    let mut picked = vec![false; columns.len()];
    for (step, number) in numbers.iter().enumerate().take(grid.count) {
        ranked.clear();
        ranked.extend((0..columns.len()).filter(|i| columns[*i].steps.has(step)));
        match op {
            Aggregator::LimitRatio => {
                let ratio = ratio(engine, node, *number)?;
                ranked.retain(|i| sampled(ratio, &columns[*i].labels));
            }
            _ => {
                let most = most(*number)?;
                if by_value {
                    // Stable: of equal values the first ones stay.
                    let value = |i: &usize| columns[*i].steps[step];
                    ranked.sort_by(|a, b| nan_last(value(a), value(b), op == Aggregator::Topk));
                }
                ranked.truncate(most);
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

fn most(k: f64) -> Result<usize, QueryError> {
    if k.is_nan() {
        return Err(wrong("Parameter value is NaN"));
    }
    if k.abs() >= 9.2e18 {
        return Err(wrong(format!("Scalar value {} overflows int64", number::general(k))));
    }
    Ok(if k < 1.0 { 0 } else { k as usize })
}

fn ratio(engine: &mut Engine<'_>, node: &Node, ratio: f64) -> Result<f64, QueryError> {
    if ratio.is_nan() {
        return Err(wrong("Ratio value is NaN"));
    }
    let capped = ratio.clamp(-1.0, 1.0);
    if capped != ratio {
        let text = format!(
            "ratio value should be between -1 and 1, got {}, capping to {}",
            number::general(ratio),
            number::general(capped)
        );
        engine.notes.warn(node, &text);
    }
    Ok(capped)
}

/// Whether a series is in the sample: by its labels alone, so the same ones are picked at every step, and a negative
/// ratio picks exactly what its complement leaves.
fn sampled(ratio: f64, labels: &Labels) -> bool {
    let place = fingerprint(labels) as f64 / u64::MAX as f64;
    if ratio >= 0.0 { place < ratio } else { place >= 1.0 + ratio }
}

/// FNV-1a with a final mix (splitmix64), stable over time and machines.
fn fingerprint(labels: &Labels) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for (name, value) in labels.iter() {
        for byte in name.bytes().chain([0xff]).chain(value.bytes()).chain([0xff]) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}
