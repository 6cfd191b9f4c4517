//! A level against its limits, as a bar.

use super::Svg;

/// A bar of 0 to 1; `warning` and `critical` are the levels from which it changes its look. Its number stands beside it as text, so the
/// picture itself is hidden from readers.
pub(crate) fn meter(ratio: f64, warning: f64, critical: f64) -> Svg {
    let filled = (ratio.clamp(0.0, 1.0) * 100.0).round();
    let class = if ratio >= critical {
        "crit"
    } else if ratio >= warning {
        "warn"
    } else {
        "calm"
    };
    Svg::new(format!(
        "<svg class=\"meter\" viewBox=\"0 0 100 8\" preserveAspectRatio=\"none\" aria-hidden=\"true\">\
         <rect class=\"track\" width=\"100\" height=\"8\"/><rect class=\"{class}\" width=\"{filled}\" height=\"8\"/></svg>"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_change_the_look_and_stay_inside() {
        for (ratio, class, width) in
            [(0.5, "calm", "50"), (0.7, "warn", "70"), (0.95, "crit", "95"), (7.0, "crit", "100"), (-1.0, "calm", "0")]
        {
            let svg = meter(ratio, 0.7, 0.9);
            assert!(svg.as_str().contains(&format!("class=\"{class}\" width=\"{width}\"")), "{}", svg.as_str());
        }
    }
}
