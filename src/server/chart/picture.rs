//! A chart as one picture that stands alone: for messages, which have no stylesheet and no page around them.
//!
//! Fixed size, light ground, looks as attributes. What the alert is about is coloured, other series are a grey background; the
//! time it fires is shaded.

use model::Sample;

use super::line::{Plot, path};
use super::svg::escape;
use super::ticks::{time_ticks, value_axis};
use super::{LINES_MAX, Unit};

/// In pixels.
const WIDTH: i64 = 800;
const HEIGHT: i64 = 340;
const LEFT: i64 = 76;
const RIGHT: i64 = 16;
const TOP: i64 = 58;
const BOTTOM: i64 = 52;
/// Units of a path to a pixel: its numbers are whole.
const FINE: i64 = 2;
/// Characters that fit: of the title, of the line below it, of one name in the legend.
const TITLE_CHARS_MAX: usize = 80;
const NOTE_CHARS_MAX: usize = 118;
const NAME_CHARS_MAX: usize = 36;
const NAMES_MAX: usize = 3;
/// The first series colours of the light stylesheet.
const COLOURS: [&str; 6] = ["#435fcb", "#cb7f7a", "#005633", "#b02481", "#7b7200", "#439ad5"];

pub(crate) struct PictureLine<'a> {
    pub(crate) name: String,
    /// In order of time.
    pub(crate) points: &'a [Sample],
    /// Whether the alert is about it.
    pub(crate) is_meant: bool,
}

pub(crate) struct Picture<'a> {
    pub(crate) title: &'a str,
    /// What is drawn, under the title.
    pub(crate) note: &'a str,
    pub(crate) start_ms: i64,
    pub(crate) end_ms: i64,
    pub(crate) step_ms: i64,
    pub(crate) unit: Unit,
    /// Drawn up to [`LINES_MAX`], those that are meant before the others.
    pub(crate) lines: Vec<PictureLine<'a>>,
    pub(crate) thresholds: Vec<f64>,
    /// From when to when the alert fires.
    pub(crate) firing: Option<(i64, i64)>,
}

impl Picture<'_> {
    /// SVG of 800 by 340 pixels.
    pub(crate) fn draw(&self) -> String {
        let (mut meant, mut others): (Vec<_>, Vec<_>) = self.lines.iter().partition(|line| line.is_meant);
        meant.truncate(LINES_MAX);
        others.truncate(LINES_MAX - meant.len());
        let finite = |value: &f64| value.is_finite();
        let values = meant.iter().chain(&others).flat_map(|line| line.points.iter().map(|point| point.value));
        let values = values.chain(self.thresholds.iter().copied()).filter(finite);
        let extent = values.fold(None, |extent: Option<(f64, f64)>, value| {
            let (low, high) = extent.unwrap_or((value, value));
            Some((low.min(value), high.max(value)))
        });
        let (low, high) = extent.unwrap_or((0.0, 1.0));
        let axis = value_axis(low, high, self.unit);
        let (width, height) = (WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM);
        let plot = Plot {
            start_ms: self.start_ms,
            end_ms: self.end_ms,
            step_ms: self.step_ms,
            low: axis.low,
            high: axis.high,
            width: width * FINE,
            height: height * FINE,
        };
        let x = |at_ms: i64| LEFT + plot.x(at_ms.clamp(self.start_ms, self.end_ms)) / FINE;
        let y = |value: f64| TOP + plot.y(value) / FINE;
        let mut out = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{HEIGHT}\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-size=\"12\" fill=\"none\"><rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#ffffff\"/>"
        );
        out.push_str(&text(16, 25, "font-size=\"16\" fill=\"#151a21\"", &cut(self.title, TITLE_CHARS_MAX)));
        out.push_str(&text(16, 44, "fill=\"#525c69\"", &cut(self.note, NOTE_CHARS_MAX)));
        if let Some((from_ms, to_ms)) = self.firing {
            let (from, to) = (x(from_ms), x(to_ms));
            out.push_str(&format!(
                "<rect x=\"{from}\" y=\"{TOP}\" width=\"{}\" height=\"{height}\" fill=\"#fdeceb\"/>",
                (to - from).max(1)
            ));
        }
        for (tick, words) in axis.ticks.iter().zip(self.unit.texts(&axis.ticks)) {
            let at = y(*tick);
            out.push_str(&format!("<path d=\"M{LEFT} {at}h{width}\" stroke=\"#d3d9e1\"/>"));
            out.push_str(&text(LEFT - 8, at + 4, "text-anchor=\"end\" fill=\"#525c69\"", &words));
        }
        for tick in time_ticks(self.start_ms, self.end_ms, 8) {
            let at = x(tick.at_ms);
            out.push_str(&format!("<path d=\"M{at} {TOP}v{height}\" stroke=\"#d3d9e1\"/>"));
            out.push_str(&text(at, TOP + height + 17, "text-anchor=\"middle\" fill=\"#525c69\"", &tick.label));
        }
        let mut line = |points: &[Sample], looks: &str| {
            let drawn = path(points, &plot);
            if !drawn.is_empty() {
                out.push_str(&format!("<path d=\"{drawn}\" transform=\"translate({LEFT} {TOP}) scale({})\" stroke-linejoin=\"round\" stroke-linecap=\"round\" {looks}/>", 1.0 / FINE as f64));
            }
        };
        for other in &others {
            line(other.points, "stroke=\"#b3bbc6\" stroke-width=\"2\"");
        }
        for (one, colour) in meant.iter().zip(COLOURS.iter().cycle()) {
            line(one.points, &format!("stroke=\"{colour}\" stroke-width=\"4\""));
        }
        for threshold in self.thresholds.iter().filter(|threshold| threshold.is_finite()) {
            let at = y(*threshold);
            out.push_str(&format!(
                "<path d=\"M{LEFT} {at}h{width}\" stroke=\"#b81d1b\" stroke-width=\"1.5\" stroke-dasharray=\"6 4\"/>"
            ));
            // Above the line, but under the upper edge.
            let label = if at - TOP < 16 { at + 14 } else { at - 5 };
            out.push_str(&text(
                LEFT + width - 4,
                label,
                "text-anchor=\"end\" fill=\"#b81d1b\"",
                &self.unit.text(*threshold),
            ));
        }
        self.legend(&meant, others.len(), &mut out);
        out.push_str("</svg>");
        out
    }

    fn legend(&self, meant: &[&PictureLine<'_>], others: usize, out: &mut String) {
        let base = HEIGHT - 12;
        let column = (WIDTH - 32) / (NAMES_MAX as i64);
        for (at, (line, colour)) in (0_i64..).zip(meant.iter().zip(COLOURS)).take(NAMES_MAX) {
            let left = 16 + at * column;
            let more = match meant.len() - NAMES_MAX.min(meant.len()) + others {
                more if more > 0 && at + 1 == (meant.len().min(NAMES_MAX) as i64) => format!(" (+{more} more)"),
                _ => String::new(),
            };
            let name = format!("{}{more}", cut(&line.name, NAME_CHARS_MAX - more.len()));
            out.push_str(&format!(
                "<path d=\"M{left} {}h14\" stroke=\"{colour}\" stroke-width=\"3\"/>{}",
                base - 4,
                text(left + 20, base, "fill=\"#151a21\"", &name)
            ));
        }
    }
}

fn text(x: i64, y: i64, looks: &str, words: &str) -> String {
    format!("<text x=\"{x}\" y=\"{y}\" {looks}>{}</text>", escape(words))
}

/// One line of at most so many characters; what SVG cannot hold is a space.
fn cut(words: &str, chars_max: usize) -> String {
    let flat = |c: char| if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') { ' ' } else { c };
    let mut out: String = words.chars().take(chars_max).map(flat).collect();
    if words.chars().count() > chars_max {
        out.pop();
        out.push('…');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(points: &[Sample]) -> Picture<'_> {
        let line = |name: &str, is_meant| PictureLine { name: name.into(), points, is_meant };
        Picture {
            title: "HostCpu <web-1>",
            note: "cpu & more",
            start_ms: 0,
            end_ms: 3_600_000,
            step_ms: 60_000,
            unit: Unit::Ratio,
            lines: vec![line("{host=\"a\"}", true), line("{host=\"b\"}", false)],
            thresholds: vec![0.8],
            firing: Some((1_800_000, 9_999_999_999)),
        }
    }

    #[test]
    fn what_it_is_about_stands_out() {
        let points = [(0, 0.1), (60_000, 0.9)].map(|(at_ms, value)| Sample { at_ms, value });
        let svg = picture(&points).draw();
        for (part, times) in [
            ("HostCpu &lt;web-1&gt;", 1),
            ("cpu &amp; more", 1),
            // Half of the plot's width, cut at its edge.
            ("<rect x=\"430\" y=\"58\" width=\"354\"", 1),
            ("stroke=\"#435fcb\" stroke-width=\"4\"", 1),
            ("stroke=\"#b3bbc6\" stroke-width=\"2\"", 1),
            ("stroke-dasharray=\"6 4\"", 1),
            (">80 %</text>", 2),
            ("{host=&quot;a&quot;} (+1 more)", 1),
        ] {
            assert_eq!(svg.matches(part).count(), times, "{part} in {svg}");
        }
    }

    #[test]
    fn odd_input_gives_a_picture() {
        let odd = [f64::NAN, f64::INFINITY, -f64::MAX, f64::MAX];
        let points: Vec<Sample> =
            odd.iter().enumerate().map(|(at, value)| Sample { at_ms: at as i64, value: *value }).collect();
        let mut picture = picture(&points);
        picture.title = "a\u{0}b\u{ffff}";
        picture.thresholds = vec![f64::NAN, f64::MAX];
        (picture.start_ms, picture.end_ms) = (5, 5);
        let svg = picture.draw();
        assert!(svg.contains("a b ") && svg.ends_with("</svg>") && !svg.contains("NaN"), "{svg}");
        picture.lines.clear();
        assert!(picture.draw().ends_with("</svg>"));
    }
}
