//! Functions over the windows of a whole column of floats at once: what one window knows, the next one uses. Each gives bit
//! for bit what its counterpart in `window` and `mixed` gives window by window.

use crate::promql::looks::{Looks, Plan, Span};

/// Writes the value of each step that has one. The plan fits the values; none of them is a stale marker.
pub(crate) type Columnar = fn(&Looks, &mut Plan, &[f64], &mut [f64]);

/// The whole-column form of a function, if it has one.
pub(crate) fn find(name: &str) -> Option<Columnar> {
    Some(match name {
        "rate" => |looks, plan, values, out| extrapolated(looks, plan, values, out, true, true),
        "increase" => |looks, plan, values, out| extrapolated(looks, plan, values, out, true, false),
        "delta" => |looks, plan, values, out| extrapolated(looks, plan, values, out, false, false),
        "max_over_time" => |_, plan, values, out| extreme(plan, values, out, |value, best| value > best),
        "min_over_time" => |_, plan, values, out| extreme(plan, values, out, |value, best| value < best),
        "changes" => |_, plan, values, out| {
            pairs(plan, values, out, |before, after| before != after && !(before.is_nan() && after.is_nan()));
        },
        "resets" => |_, plan, values, out| pairs(plan, values, out, |before, after| after < before),
        "last_over_time" => |_, plan, values, out| {
            for (out, span) in out.iter_mut().zip(plan.spans()) {
                if let Some(last) = values[span.range()].last() {
                    *out = *last;
                }
            }
        },
        "count_over_time" => |_, plan, _, out| {
            for (out, span) in out.iter_mut().zip(plan.spans()).filter(|(_, span)| span.len() > 0) {
                *out = span.len() as f64;
            }
        },
        _ => return None,
    })
}

fn extrapolated(looks: &Looks, plan: &mut Plan, values: &[f64], out: &mut [f64], is_counter: bool, per_second: bool) {
    let range_s = looks.back_ms as f64 / 1e3;
    let falls = values.windows(2).fold(false, |falls, pair| falls | (pair[1] < pair[0]));
    // Places whose value is below the one before.
    let mut resets = Vec::new();
    if is_counter && falls {
        resets.extend((1..values.len()).filter(|at| values[*at] < values[at - 1]));
    }
    let mut passed = 0;
    let (spans, stretches) = plan.stretches(looks);
    for ((span, stretch), out) in spans.iter().zip(stretches).zip(out) {
        let [first, .., last] = values[span.range()] else { continue };
        let mut change = last - first;
        if !resets.is_empty() {
            passed += resets[passed..].iter().take_while(|at| **at <= span.from as usize).count();
            for at in resets[passed..].iter().take_while(|at| **at < span.to as usize) {
                change += values[at - 1];
            }
        }
        let mut factor = if per_second { stretch.factor_per_s } else { stretch.factor };
        // The quotient is only needed where the counter's zero is near; the margin is for rounding.
        let is_far = first * stretch.sampled_s > stretch.to_start_s * change * 1.000_001;
        if is_counter && change > 0.0 && first >= 0.0 && !is_far {
            let to_zero_s = stretch.sampled_s * (first / change);
            if to_zero_s < stretch.to_start_s {
                factor = (stretch.sampled_s + to_zero_s + stretch.to_end_s) / stretch.sampled_s;
                if per_second {
                    factor /= range_s;
                }
            }
        }
        *out = change * factor;
    }
}

/// The first of the best values of each window; NaN only where there is nothing else, the last one then.
fn extreme(plan: &Plan, values: &[f64], out: &mut [f64], is_better: impl Fn(f64, f64) -> bool) {
    // Of neighbours, so that any grouping gives the same.
    let better = |one: f64, next: f64| if is_better(next, one) || one.is_nan() { next } else { one };
    // Hardly overlapping windows are walked faster one by one.
    if plan.looked().all < 3 * values.len() as u64 {
        best_one_by_one(plan.spans(), values, out, better);
    } else {
        best_of_overlapping(plan.spans(), values, out, better);
    }
}

fn best_one_by_one(spans: &[Span], values: &[f64], out: &mut [f64], better: impl Fn(f64, f64) -> f64) {
    for (out, span) in out.iter_mut().zip(spans) {
        if let Some(best) = values[span.range()].iter().copied().reduce(&better) {
            *out = best;
        }
    }
}

/// A queue of two stacks: the best from each place up to `middle`, and the best from there on. Each value is looked at twice, and no branch
/// depends on it.
fn best_of_overlapping(spans: &[Span], values: &[f64], out: &mut [f64], better: impl Fn(f64, f64) -> f64) {
    let mut up_to_middle: Vec<f64> = Vec::new();
    let (mut begin, mut middle, mut next) = (0, 0, 0);
    let mut behind = f64::NAN;
    for (out, span) in out.iter_mut().zip(spans).filter(|(_, span)| span.len() > 0) {
        let (from, to) = (span.from as usize, span.to as usize);
        if from >= middle {
            up_to_middle.clear();
            up_to_middle.extend_from_slice(&values[from..to]);
            let mut best = values[to - 1];
            for value in up_to_middle.iter_mut().rev().skip(1) {
                best = better(*value, best);
                *value = best;
            }
            (begin, middle, next, behind) = (from, to, to, f64::NAN);
        }
        if next < to {
            behind = values[next..to].iter().copied().fold(behind, &better);
            next = to;
        }
        let before = up_to_middle[from - begin];
        *out = if middle < to { better(before, behind) } else { before };
    }
}

/// How many neighbours within each window differ in a certain way.
fn pairs(plan: &Plan, values: &[f64], out: &mut [f64], differ: impl Fn(f64, f64) -> bool) {
    // Of the pairs up to a place, how many differ.
    let mut before = 0u32;
    let mut so_far = vec![0u32; values.len()];
    for at in 1..values.len() {
        before += u32::from(differ(values[at - 1], values[at]));
        so_far[at] = before;
    }
    for (out, Span { from, to }) in out.iter_mut().zip(plan.spans()) {
        if from < to {
            *out = f64::from(so_far[*to as usize - 1] - so_far[*from as usize]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_of_overlapping_windows_is_that_of_each() {
        let seed = chance::seed(1);
        let mut random = chance::Random::new(seed);
        // Zeros that are equal and not the same, and not-a-numbers that can be told apart.
        let some = [0.0, -0.0, 1.0, 2.0, -1.0, f64::INFINITY, f64::NAN, f64::from_bits(0x7ff8_0000_0000_0005)];
        let greater = |one: f64, next: f64| if next > one || one.is_nan() { next } else { one };
        for round in 0..500 {
            let count = 1 + random.below(60_usize);
            let mostly_nan = random.one_in(3);
            let values: Vec<f64> =
                (0..count).map(|_| random.pick(if mostly_nan { &some[5..] } else { &some })).collect();
            let (mut from, mut to) = (0, 0);
            let spans: Vec<Span> = (0..random.below(40))
                .map(|_| {
                    to = count.min(to + random.below(5_usize));
                    from = to.min(from + random.below(5_usize));
                    Span { from: from as u32, to: to as u32 }
                })
                .collect();
            let best = |of: &dyn Fn(&mut [f64])| {
                let mut out = vec![-7.0; spans.len()];
                of(&mut out);
                out.into_iter().map(f64::to_bits).collect::<Vec<_>>()
            };
            let expected = best(&|out| best_one_by_one(&spans, &values, out, greater));
            let found = best(&|out| best_of_overlapping(&spans, &values, out, greater));
            assert_eq!(found, expected, "seed {seed}, round {round}: {values:?} {spans:?}");
        }
    }
}
