//! When alerts were pending or fired, as bars at the foot of a chart: thin and hollow, or thick and full, so that colour is not needed.

use std::fmt::Write as _;

use super::line::Plot;

/// Heights in user units, as drawn at the foot of the plot.
const FIRING: i64 = 14;
const PENDING: i64 = 7;

/// A span of time in which at least one alert was in this state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Band {
    pub(crate) start_ms: i64,
    pub(crate) end_ms: i64,
    pub(crate) firing: bool,
}

/// In order of time, with bands of one state that meet made one.
pub(crate) fn joined(mut bands: Vec<Band>) -> Vec<Band> {
    bands.sort_by_key(|band| (band.firing, band.start_ms));
    let mut out: Vec<Band> = Vec::new();
    for band in bands {
        match out.last_mut() {
            Some(last) if last.firing == band.firing && band.start_ms <= last.end_ms => {
                last.end_ms = last.end_ms.max(band.end_ms);
            }
            _ => out.push(band),
        }
    }
    out
}

/// The part of the picture that stands for them; nothing for those outside of the plot.
pub(super) fn draw(bands: &[Band], plot: &Plot, out: &mut String) {
    for band in bands.iter().filter(|band| band.start_ms < plot.end_ms && band.end_ms > plot.start_ms) {
        let (x, end) = (plot.x(band.start_ms.max(plot.start_ms)), plot.x(band.end_ms.min(plot.end_ms)));
        let (class, tall) = if band.firing { ("bf", FIRING) } else { ("bp", PENDING) };
        // One evaluation in a long window is still seen.
        let wide = (end - x).max(2);
        write!(
            out,
            "<rect class=\"{class}\" x=\"{x}\" y=\"{}\" width=\"{wide}\" height=\"{tall}\"/>",
            plot.height - tall
        )
        .expect("a String takes everything");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn band(start_ms: i64, end_ms: i64, firing: bool) -> Band {
        Band { start_ms, end_ms, firing }
    }

    #[test]
    fn bands_of_one_state_that_meet_are_one() {
        for (given, expected) in [
            (vec![], vec![]),
            (vec![band(5, 9, true), band(1, 5, true)], vec![band(1, 9, true)]),
            (vec![band(1, 9, true), band(2, 3, true), band(10, 12, true)], vec![band(1, 9, true), band(10, 12, true)]),
            (vec![band(1, 5, true), band(4, 6, false)], vec![band(4, 6, false), band(1, 5, true)]),
        ] {
            assert_eq!(joined(given), expected);
        }
    }

    #[test]
    fn what_lies_outside_is_not_drawn_and_what_is_short_is_seen() {
        let plot = Plot { start_ms: 0, end_ms: 1_000, step_ms: 1, low: 0.0, high: 1.0, width: 100, height: 400 };
        for (given, expected) in [
            (band(-50, 0, true), ""),
            (band(1_000, 2_000, false), ""),
            (band(-50, 500, true), "<rect class=\"bf\" x=\"0\" y=\"386\" width=\"50\" height=\"14\"/>"),
            (band(500, 501, false), "<rect class=\"bp\" x=\"50\" y=\"393\" width=\"2\" height=\"7\"/>"),
        ] {
            let mut out = String::new();
            draw(&[given], &plot, &mut out);
            assert_eq!(out, expected, "{given:?}");
        }
    }
}
