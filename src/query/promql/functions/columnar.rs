//! Functions over the windows of a whole column of floats at once: what one window knows, the next one uses. Each gives bit
//! for bit what its counterpart in `window` and `mixed` gives window by window.

use std::collections::VecDeque;

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

/// The first of the best values of each window; NaN only where there is nothing else.
fn extreme(plan: &Plan, values: &[f64], out: &mut [f64], is_better: impl Fn(f64, f64) -> bool) {
    // Hardly overlapping windows are walked faster one by one.
    if plan.looked() < 3 * values.len() as u64 {
        for (out, span) in out.iter_mut().zip(plan.spans()) {
            let inside = values[span.range()].iter().copied();
            if let Some(best) =
                inside.reduce(|best, value| if is_better(value, best) || best.is_nan() { value } else { best })
            {
                *out = best;
            }
        }
        return;
    }
    // Places of values that are better than all after them: the front is the best of the window.
    let mut candidates: VecDeque<u32> = VecDeque::new();
    let mut next = 0;
    for (out, span) in out.iter_mut().zip(plan.spans()) {
        while next < span.to {
            let value = values[next as usize];
            if !value.is_nan() {
                while candidates.back().is_some_and(|at| is_better(value, values[*at as usize])) {
                    candidates.pop_back();
                }
                candidates.push_back(next);
            }
            next += 1;
        }
        while candidates.front().is_some_and(|at| *at < span.from) {
            candidates.pop_front();
        }
        if span.len() > 0 {
            // Of nothing but NaN, window by window the last one stays.
            let only_nan = || values[span.to as usize - 1];
            *out = candidates.front().map_or_else(only_nan, |at| values[*at as usize]);
        }
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
