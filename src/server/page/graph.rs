//! A range query's answer as a chart, a sentence, a legend and a table.

use model::time::format_duration_ms;
use model::{Labels, MsRange, Sample};

use super::alert_view::logs_query;
use super::link::link;
use super::text::{Stamp, counted, grouped, one_line, span};
use crate::chart::{Band, LINES_MAX, Line, LineChart, Svg, Unit, series_class};

/// Points a chart wants: about one for two pixels of a laptop's screen.
const POINTS_WANTED: i64 = 400;
/// Most points of a step that was typed in, as Prometheus' API has it.
pub(crate) const POINTS_MAX: i64 = 11_000;
const TABLE_ROWS: usize = 30;
const TABLE_COLUMNS: usize = 8;
const NAME_CHARS_MAX: usize = 300;

pub(crate) struct Graph {
    pub(crate) svg: Svg,
    pub(crate) sentence: String,
    pub(crate) legend: Vec<LegendRow>,
    /// What was left out; empty when nothing was.
    pub(crate) more: String,
    pub(crate) table: Vec<TableRow>,
}

pub(crate) struct LegendRow {
    pub(crate) class: String,
    pub(crate) name: String,
    pub(crate) last: String,
    pub(crate) min: String,
    pub(crate) max: String,
    pub(crate) logs_href: String,
}

pub(crate) struct TableRow {
    pub(crate) at: Stamp,
    pub(crate) values: Vec<String>,
}

/// What to draw, and how.
pub(crate) struct Drawing<'a> {
    pub(crate) range: MsRange,
    pub(crate) step_ms: i64,
    pub(crate) unit: Unit,
    /// Operator and limit.
    pub(crate) limit: Option<(&'a str, f64)>,
    /// When alerts about it were pending or fired.
    pub(crate) bands: &'a [Band],
    /// The window as it stands in links.
    pub(crate) from: &'a str,
    pub(crate) to: &'a str,
    pub(crate) now_ms: i64,
}

/// A round step that gives a window about [`POINTS_WANTED`] points.
pub(crate) fn auto_step_ms(length_ms: i64) -> i64 {
    const STEPS_S: [i64; 18] =
        [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200, 86_400];
    let wanted = length_ms / POINTS_WANTED;
    STEPS_S.into_iter().map(|s| s * 1_000).find(|step_ms| *step_ms >= wanted).unwrap_or(86_400_000)
}

/// A window widened to whole steps, so that the same times are evaluated whenever the page is asked for.
pub(crate) fn aligned(range: MsRange, step_ms: i64) -> MsRange {
    MsRange {
        start_ms: range.start_ms.div_euclid(step_ms) * step_ms,
        end_ms: range.end_ms.div_euclid(step_ms) * step_ms,
    }
}

struct Extremes {
    low: Sample,
    high: Sample,
}

fn extremes(points: &[Sample]) -> Option<Extremes> {
    let mut found: Option<Extremes> = None;
    for point in points.iter().filter(|point| point.value.is_finite()) {
        let seen = found.get_or_insert(Extremes { low: *point, high: *point });
        if point.value < seen.low.value {
            seen.low = *point;
        }
        if point.value > seen.high.value {
            seen.high = *point;
        }
    }
    found
}

impl Graph {
    pub(crate) fn new(rows: &[(Labels, Vec<Sample>)], drawing: &Drawing<'_>) -> Graph {
        let mut picked: Vec<&(Labels, Vec<Sample>)> = rows.iter().collect();
        if rows.len() > LINES_MAX {
            let high = |points: &[Sample]| extremes(points).map_or(f64::NEG_INFINITY, |found| found.high.value);
            picked.sort_by(|a, b| high(&b.1).total_cmp(&high(&a.1)));
            picked.truncate(LINES_MAX);
        }
        let (names, shared) = names(&picked);
        let unit = drawing.unit;
        let mut sentence = sentence(rows, &shared, drawing);
        let chart = LineChart {
            label: &sentence,
            start_ms: drawing.range.start_ms,
            end_ms: drawing.range.end_ms,
            step_ms: drawing.step_ms,
            unit,
            lines: picked.iter().enumerate().map(|(place, (_, points))| Line { points, place }).collect(),
            threshold: drawing.limit.map(|(_, limit)| limit),
            bands: drawing.bands,
        };
        let svg = chart.draw();
        if let Some(start) = chart.cropped_at() {
            sentence.push_str(&format!(" The axis starts at {}.", unit.text(start)));
        }
        let legend = picked
            .iter()
            .zip(&names)
            .enumerate()
            .map(|(place, ((labels, points), name))| {
                let found = extremes(points);
                let text = |value: Option<f64>| value.map_or("-".into(), |value| unit.text(value));
                let query = logs_query(labels);
                LegendRow {
                    class: series_class(place),
                    name: name.clone(),
                    last: text(points.last().map(|point| point.value)),
                    min: text(found.as_ref().map(|found| found.low.value)),
                    max: text(found.as_ref().map(|found| found.high.value)),
                    logs_href: if query.is_empty() {
                        String::new()
                    } else {
                        link("/logs", &[("q", &query), ("from", drawing.from), ("to", drawing.to)])
                    },
                }
            })
            .collect();
        let more = if rows.len() > LINES_MAX {
            format!(
                "The {LINES_MAX} highest of {} series; narrow the query by labels or topk() for others.",
                grouped(rows.len() as u64)
            )
        } else {
            String::new()
        };
        Graph { svg, sentence, legend, more, table: table(&picked, drawing) }
    }
}

/// The summary a person would give; also what is read to those who cannot see the chart.
fn sentence(rows: &[(Labels, Vec<Sample>)], shared: &str, drawing: &Drawing<'_>) -> String {
    let unit = drawing.unit;
    let mut out = format!(
        "{}, {}, one point each {}.",
        counted(rows.len() as u64, "series", "series"),
        span(drawing.range.end_ms - drawing.range.start_ms),
        format_duration_ms(drawing.step_ms)
    );
    let all = rows.iter().filter_map(|(_, points)| extremes(points));
    let found = all.reduce(|a, b| Extremes {
        low: if b.low.value < a.low.value { b.low } else { a.low },
        high: if b.high.value > a.high.value { b.high } else { a.high },
    });
    if let Some(found) = found {
        let at =
            |point: Sample| format!("{} at {}", unit.text(point.value), Stamp::of_ms(point.at_ms, drawing.now_ms).text);
        out.push_str(&format!(" Highest {}, lowest {}.", at(found.high), at(found.low)));
    }
    if let Some((operator, limit)) = drawing.limit {
        let beyond = |value: f64| match operator {
            ">" => value > limit,
            ">=" => value >= limit,
            "<" => value < limit,
            "<=" => value <= limit,
            "==" => value == limit,
            _ => value != limit,
        };
        let count = |points: &[Sample]| points.iter().filter(|point| beyond(point.value)).count();
        let most = rows.iter().map(|(_, points)| count(points)).max().unwrap_or(0);
        let words = if most == 0 {
            format!(" Never {operator} {}.", unit.text(limit))
        } else {
            let series = if rows.len() > 1 { " in the series that was so longest" } else { "" };
            format!(" {operator} {} during {}{series}.", unit.text(limit), span(most as i64 * drawing.step_ms))
        };
        out.push_str(&words);
    }
    if !shared.is_empty() {
        out.push_str(&format!(" All are {shared}."));
    }
    out
}

/// Names of series by the labels in which they differ, and what they share. One series alone has its whole name.
pub(crate) fn names(rows: &[&(Labels, Vec<Sample>)]) -> (Vec<String>, String) {
    let whole = |labels: &Labels| one_line(&labels.to_string(), NAME_CHARS_MAX);
    let Some(((first, _), rest)) = rows.split_first().filter(|(_, rest)| !rest.is_empty()) else {
        return (rows.iter().map(|(labels, _)| whole(labels)).collect(), String::new());
    };
    let shared = first.filtered(|name| rest.iter().all(|(labels, _)| labels.get(name) == first.get(name)));
    let names = rows.iter().map(|(labels, _)| whole(&labels.filtered(|name| shared.get(name).is_none()))).collect();
    (names, if shared.is_empty() { String::new() } else { whole(&shared) })
}

fn table(rows: &[&(Labels, Vec<Sample>)], drawing: &Drawing<'_>) -> Vec<TableRow> {
    let columns = &rows[..rows.len().min(TABLE_COLUMNS)];
    let points = (drawing.range.end_ms - drawing.range.start_ms) / drawing.step_ms + 1;
    let every = (points as usize).div_ceil(TABLE_ROWS).max(1) as i64;
    let mut out = Vec::new();
    let mut at_ms = drawing.range.end_ms;
    while at_ms >= drawing.range.start_ms && out.len() < TABLE_ROWS {
        let value = |points: &[Sample]| {
            let found = points.binary_search_by_key(&at_ms, |point| point.at_ms);
            found.map_or("-".into(), |place| drawing.unit.text(points[place].value))
        };
        let values = columns.iter().map(|(_, points)| value(points)).collect();
        out.push(TableRow { at: Stamp::to_the_second(at_ms, drawing.now_ms), values });
        at_ms -= every * drawing.step_ms;
    }
    out
}

impl Graph {
    /// Names of the table's columns: the first few series.
    pub(crate) fn columns(&self) -> &[LegendRow] {
        &self.legend[..self.legend.len().min(TABLE_COLUMNS)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_is_seen() {
        let row = |host: &str, values: &[f64]| {
            let points = values.iter().enumerate().map(|(n, value)| Sample { at_ms: n as i64 * 60_000, value: *value });
            (Labels::from_pairs([("__name__", "temp"), ("host", host), ("site", "x")]), points.collect::<Vec<_>>())
        };
        let rows = [row("a", &[1.0, 91.2, 80.0, 86.0]), row("b", &[2.0, f64::NAN, 3.0, 4.0])];
        let drawing = Drawing {
            range: MsRange { start_ms: 0, end_ms: 180_000 },
            step_ms: 60_000,
            unit: Unit::Number,
            limit: Some((">", 85.0)),
            bands: &[],
            from: "",
            to: "",
            now_ms: 180_000,
        };
        let graph = Graph::new(&rows, &drawing);
        assert_eq!(
            graph.sentence,
            "2 series, 3 min, one point each 1m. Highest 91.2 at 00:01:00, lowest 1 at 00:00:00. > 85 during 2 min in the series that was so longest. All are temp{site=\"x\"}."
        );
        let names: Vec<&str> = graph.legend.iter().map(|row| row.name.as_str()).collect();
        assert_eq!(names, ["{host=\"a\"}", "{host=\"b\"}"]);
        assert_eq!(graph.table[0].values, ["86", "4"]);
        let many: Vec<_> = (0..30).map(|n| row(&format!("h{n:02}"), &[f64::from(n)])).collect();
        let graph = Graph::new(&many, &drawing);
        assert_eq!((graph.legend.len(), graph.legend[0].max.as_str()), (LINES_MAX, "29"));
        assert!(graph.more.starts_with("The 20 highest of 30 series"));
    }

    #[test]
    fn steps_are_round() {
        for (length_ms, step_ms) in
            [(300_000, 1_000), (3_600_000, 10_000), (21_600_000, 60_000), (86_400_000 * 30, 7_200_000)]
        {
            assert_eq!(auto_step_ms(length_ms), step_ms);
        }
    }
}
