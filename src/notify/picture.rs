//! Charts as pictures: the appliance draws an SVG, and here it becomes a PNG that mail programs and Slack show.
//!
//! One at a time, within bounds of size and time; whoever does not get one in time sends without. The font is built in, and
//! nothing that an SVG names is loaded.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use model::alert::Instance;
use resvg::{tiny_skia, usvg};
use tokio::sync::Semaphore;

/// DejaVu Sans; see `picture/LICENSE`.
static FONT: &[u8] = include_bytes!("picture/DejaVuSans-subset.ttf");
/// Longest SVG taken, in bytes.
const SVG_BYTES_MAX: usize = 2 << 20;
/// Widest and highest picture, in pixels: 4 bytes of memory each.
const SIDE_MAX: u32 = 1_600;
/// Largest picture sent, in bytes.
const PNG_BYTES_MAX: usize = 512 << 10;

type Draw = dyn Fn(&[Instance], i64) -> Option<String> + Send + Sync;

/// Draws an SVG for alerts of one rule, as of a time in ms. Handed in, since this room asks no queries. It may block.
#[derive(Clone)]
pub struct ChartSource(Arc<Draw>);

impl ChartSource {
    pub fn new(draw: impl Fn(&[Instance], i64) -> Option<String> + Send + Sync + 'static) -> ChartSource {
        ChartSource(Arc::new(draw))
    }
}

impl fmt::Debug for ChartSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ChartSource")
    }
}

/// A picture and what it shows.
#[derive(Debug, Clone)]
pub(crate) struct Chart {
    pub(crate) png: Vec<u8>,
    /// For those who cannot see it.
    pub(crate) label: String,
}

/// A cheap handle to whoever draws; by default nobody.
#[derive(Debug, Clone)]
pub(crate) struct Pictures {
    source: Option<ChartSource>,
    one: Arc<Semaphore>,
}

impl Default for Pictures {
    fn default() -> Pictures {
        Pictures::new(None)
    }
}

impl Pictures {
    pub(crate) fn new(source: Option<ChartSource>) -> Pictures {
        Pictures { source, one: Arc::new(Semaphore::new(1)) }
    }

    /// The chart of what a message is about: of several rules the one of its first alert. `None` without one, and when it is not
    /// there within `wait`.
    pub(crate) async fn of(&self, alerts: &[Instance], at_ms: i64, wait: Duration) -> Option<Chart> {
        let source = self.source.clone()?;
        let first = alerts.first()?;
        let label = format!("Chart of {}", crate::message::name_of(first));
        let alerts: Vec<Instance> = alerts.iter().filter(|alert| alert.rule_id == first.rule_id).cloned().collect();
        let one = self.one.clone();
        let drawn = async move {
            let turn = one.acquire_owned().await.ok()?;
            let work = tokio::task::spawn_blocking(move || {
                // Given back when the work ends, also if nobody waits for it any more.
                let _turn = turn;
                png(&(source.0)(&alerts, at_ms)?)
            });
            work.await.ok().flatten()
        };
        let png = tokio::time::timeout(wait, drawn).await.ok().flatten()?;
        Some(Chart { png, label })
    }
}

fn fonts() -> Arc<usvg::fontdb::Database> {
    static FONTS: OnceLock<Arc<usvg::fontdb::Database>> = OnceLock::new();
    let load = || {
        let mut fonts = usvg::fontdb::Database::new();
        fonts.load_font_data(FONT.to_vec());
        Arc::new(fonts)
    };
    FONTS.get_or_init(load).clone()
}

/// `None` for what is no SVG, or beyond the bounds.
fn png(svg: &str) -> Option<Vec<u8>> {
    if svg.len() > SVG_BYTES_MAX {
        return None;
    }
    let nothing =
        usvg::ImageHrefResolver { resolve_data: Box::new(|_, _, _| None), resolve_string: Box::new(|_, _| None) };
    let options = usvg::Options {
        font_family: "DejaVu Sans".into(),
        fontdb: fonts(),
        image_href_resolver: nothing,
        ..usvg::Options::default()
    };
    let tree = usvg::Tree::from_str(svg, &options).ok()?;
    let size = tree.size().to_int_size();
    if size.width().max(size.height()) > SIDE_MAX {
        return None;
    }
    let mut pixels = tiny_skia::Pixmap::new(size.width(), size.height())?;
    resvg::render(&tree, tiny_skia::Transform::identity(), &mut pixels.as_mut());
    pixels.encode_png().ok().filter(|png| png.len() <= PNG_BYTES_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn svg(inside: &str, side: u32) -> String {
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{side}\" height=\"40\"><rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>{inside}</svg>"
        )
    }

    #[test]
    fn text_is_drawn_with_the_font_that_is_built_in() {
        let dark = |inside: &str| {
            let pixels = tiny_skia::Pixmap::decode_png(&png(&svg(inside, 200)).unwrap()).unwrap();
            assert_eq!((pixels.width(), pixels.height()), (200, 40));
            pixels.pixels().iter().filter(|pixel| pixel.red() < 100).count()
        };
        assert_eq!(dark(""), 0);
        for words in ["HostCpu 97 %", "é ü ß Ж Ω …"] {
            let drawn = dark(&format!("<text x=\"5\" y=\"25\" font-size=\"16\">{words}</text>"));
            assert!(drawn > 100, "{words}: {drawn}");
        }
    }

    #[test]
    fn bounds_hold_and_nothing_is_loaded() {
        assert!(png("no svg").is_none());
        assert!(png(&svg("", SIDE_MAX)).is_some() && png(&svg("", SIDE_MAX + 1)).is_none());
        assert!(png(&svg(&" ".repeat(SVG_BYTES_MAX), 200)).is_none());
        let file = tempfile::NamedTempFile::with_suffix(".svg").unwrap();
        std::fs::write(file.path(), svg("<rect width=\"200\" height=\"40\" fill=\"#000000\"/>", 200)).unwrap();
        let image = format!("<image width=\"200\" height=\"40\" href=\"{}\"/>", file.path().display());
        let pixels = tiny_skia::Pixmap::decode_png(&png(&svg(&image, 200)).unwrap()).unwrap();
        assert!(pixels.pixels().iter().all(|pixel| pixel.red() == 255), "a file of this machine is drawn");
    }
}
