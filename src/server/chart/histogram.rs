//! Log records over time, stacked by severity, errors at the base so that they can be compared.

use std::fmt::Write as _;

use model::Severity;

use super::Svg;
use super::svg::escape;

/// Height of the stack's canvas in user units.
const HEIGHT: u64 = 200;
/// Width of one bar with its gap.
const BAR: usize = 10;

/// Bottom to top.
const STACK: [(Severity, &str); 7] = [
    (Severity::Fatal, "lf"),
    (Severity::Error, "le"),
    (Severity::Warn, "lw"),
    (Severity::Info, "li"),
    (Severity::Debug, "ld"),
    (Severity::Trace, "ld"),
    (Severity::Unspecified, "lu"),
];

pub(crate) struct Bar {
    /// In the order of [`Severity::ALL`].
    pub(crate) counts: [u64; Severity::ALL.len()],
    /// What it says when pointed at.
    pub(crate) title: String,
    /// Where a click leads: the same page, zoomed to this bar.
    pub(crate) href: String,
}

pub(crate) struct Histogram<'a> {
    /// What it shows, for those who cannot see it.
    pub(crate) label: &'a str,
    pub(crate) bars: Vec<Bar>,
    /// Label of the first bar's start and of the last bar's end.
    pub(crate) from: String,
    pub(crate) to: String,
}

impl Histogram<'_> {
    /// The highest bar.
    pub(crate) fn peak(&self) -> u64 {
        self.bars.iter().map(|bar| bar.counts.iter().sum()).max().unwrap_or(0)
    }

    pub(crate) fn draw(&self) -> Svg {
        let peak = self.peak().max(1);
        let width = (self.bars.len() * BAR).max(1);
        let mut paths = STACK.map(|_| String::new());
        for (place, bar) in self.bars.iter().enumerate() {
            let mut y = HEIGHT;
            for ((severity, _), path) in STACK.iter().zip(&mut paths) {
                let count = bar.counts[*severity as usize];
                if count == 0 {
                    continue;
                }
                // One error among a million lines must still be seen: never less than two units.
                let tall = (u128::from(count) * u128::from(HEIGHT) / u128::from(peak)).max(2) as u64;
                let tall = tall.min(y);
                write!(path, "M{} {y}v-{tall}h{}v{tall}z", place * BAR + 1, BAR - 2)
                    .expect("a String takes everything");
                y -= tall;
            }
        }
        let mut out = format!(
            "<div class=\"hist\"><svg class=\"bars\" viewBox=\"0 0 {width} {HEIGHT}\" preserveAspectRatio=\"none\" role=\"group\" aria-label=\"{}\">",
            escape(self.label)
        );
        for ((_, class), path) in STACK.iter().zip(&paths).filter(|(_, path)| !path.is_empty()) {
            write!(out, "<path class=\"{class}\" d=\"{path}\"/>").expect("a String takes everything");
        }
        for (place, bar) in self.bars.iter().enumerate() {
            let title = escape(&bar.title);
            // Out of the tab order: sixty stops would bar the way, and the zoom links lead to the same places.
            write!(
                out,
                "<a href=\"{}\" tabindex=\"-1\" aria-label=\"{title}\"><rect x=\"{}\" width=\"{BAR}\" height=\"{HEIGHT}\"><title>{title}</title></rect></a>",
                escape(&bar.href),
                place * BAR,
            )
            .expect("a String takes everything");
        }
        write!(
            out,
            "</svg><p class=\"ends\"><span>{}</span><span>{}</span></p></div>",
            escape(&self.from),
            escape(&self.to)
        )
        .expect("a String takes everything");
        Svg::new(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_stand_at_the_base_and_are_never_invisible() {
        let mut counts = [0; Severity::ALL.len()];
        counts[Severity::Error as usize] = 1;
        counts[Severity::Info as usize] = 1_000_000;
        let quiet = Bar { counts: [0; Severity::ALL.len()], title: "none".into(), href: "?q=a&b".into() };
        let chart = Histogram {
            label: "records",
            bars: vec![quiet, Bar { counts, title: "<1>".into(), href: "?".into() }],
            from: "02:00".into(),
            to: "03:00".into(),
        };
        assert_eq!(
            chart.draw().as_str(),
            "<div class=\"hist\"><svg class=\"bars\" viewBox=\"0 0 20 200\" preserveAspectRatio=\"none\" role=\"group\" aria-label=\"records\">\
             <path class=\"le\" d=\"M11 200v-2h8v2z\"/><path class=\"li\" d=\"M11 198v-198h8v198z\"/>\
             <a href=\"?q=a&amp;b\" tabindex=\"-1\" aria-label=\"none\"><rect x=\"0\" width=\"10\" height=\"200\"><title>none</title></rect></a>\
             <a href=\"?\" tabindex=\"-1\" aria-label=\"&lt;1&gt;\"><rect x=\"10\" width=\"10\" height=\"200\"><title>&lt;1&gt;</title></rect></a>\
             </svg><p class=\"ends\"><span>02:00</span><span>03:00</span></p></div>"
        );
    }
}
