//! Charts drawn on the server: numbers in, SVG text out. Pure functions, so a picture is a string a test can compare.
//!
//! No `style` attributes and no scripts: positions are SVG attributes, looks are classes of `web/app.css`.

mod bands;
mod days;
mod heatmap;
mod histogram;
mod line;
mod meter;
mod picture;
mod spark;
mod svg;
mod ticks;
mod time_axis;
mod unit;

pub(crate) use bands::{Band, joined};
pub(crate) use days::day_bars;
pub(crate) use heatmap::Heatmap;
pub(crate) use histogram::{Bar, Histogram};
pub(crate) use line::{Line, LineChart};
pub(crate) use meter::meter;
pub(crate) use picture::{Picture, PictureLine};
pub(crate) use spark::sparkline;
pub(crate) use svg::Svg;
pub(crate) use unit::Unit;

/// Series drawn in one chart; more lines than this cannot be told apart.
pub(crate) const LINES_MAX: usize = 20;

/// Class of the n-th series: six hues, then the same hues with other dashes.
pub(crate) fn series_class(place: usize) -> String {
    format!("s{} d{}", place % 6, place / 6 % 4)
}
