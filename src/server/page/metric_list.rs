//! Which metrics there are: names, types, help, and a query that suits each.

use std::collections::{BTreeMap, HashMap};

use model::labels::METRIC_NAME;
use model::{MetricKind, MetricMeta, MsRange};
use store::{Snapshot, StoreError};

use super::link::link;
use super::text::{grouped, one_line};

/// Rows on one page; a filter finds the rest.
const ROWS_MAX: usize = 200;

pub(crate) struct MetricList {
    pub(crate) find: String,
    pub(crate) sentence: String,
    pub(crate) rows: Vec<MetricRow>,
}

pub(crate) struct MetricRow {
    pub(crate) name: String,
    pub(crate) kind: &'static str,
    pub(crate) help: String,
    pub(crate) href: String,
}

impl MetricList {
    pub(crate) fn new(snapshot: &Snapshot, find: &str) -> Result<MetricList, StoreError> {
        Ok(MetricList::from_names(&snapshot.label_values(METRIC_NAME, &[], MsRange::ALL)?, &snapshot.metadata()?, find))
    }

    pub(crate) fn from_names(names: &[String], metadata: &[MetricMeta], find: &str) -> MetricList {
        let known: HashMap<&str, &MetricMeta> = metadata.iter().map(|meta| (meta.family.as_str(), meta)).collect();
        // The series of a histogram or summary are one family.
        let families: BTreeMap<&str, (&str, Option<&MetricMeta>)> = names
            .iter()
            .map(|name| {
                let family = ["_bucket", "_sum", "_count"]
                    .iter()
                    .filter_map(|suffix| name.strip_suffix(suffix))
                    .find(|family| {
                        known
                            .get(family)
                            .is_some_and(|meta| matches!(meta.kind, MetricKind::Histogram | MetricKind::Summary))
                    })
                    .unwrap_or(name);
                (family, (name.as_str(), known.get(family).copied()))
            })
            .collect();
        let wanted = find.trim().to_lowercase();
        let found: Vec<_> = families.iter().filter(|(family, _)| family.to_lowercase().contains(&wanted)).collect();
        let sentence = match (families.len(), found.len()) {
            (0, _) => "No metric has been stored yet.".into(),
            (all, 0) => format!("None of {} metrics has this in its name.", grouped(all as u64)),
            (all, found) if found > ROWS_MAX => {
                format!(
                    "The first {ROWS_MAX} of {} metrics{}; type a part of the name.",
                    grouped(found as u64),
                    if found < all { " found" } else { "" }
                )
            }
            (all, found) if found < all => format!("{} of {} metrics.", grouped(found as u64), grouped(all as u64)),
            (all, _) => format!("{} metrics.", grouped(all as u64)),
        };
        let rows = found
            .into_iter()
            .take(ROWS_MAX)
            .map(|(family, (name, meta))| MetricRow {
                name: one_line(family, 200),
                kind: meta.map_or("", |meta| meta.kind.as_str()),
                help: meta.map(|meta| one_line(&meta.help, 200)).unwrap_or_default(),
                href: link("/explore", &[("q", &suggested(family, name, meta.map(|meta| meta.kind)))]),
            })
            .collect();
        MetricList { find: find.trim().into(), sentence, rows }
    }
}

/// A metric as a query names it; one with other characters than Prometheus' stands in quotes.
pub(crate) fn selector(name: &str) -> String {
    if model::labels::is_metric_name(name) { name.to_string() } else { format!("{{{name:?}}}") }
}

/// The first thing one would want to see of a metric.
fn suggested(family: &str, name: &str, kind: Option<MetricKind>) -> String {
    match kind {
        Some(MetricKind::Counter) => format!("rate({}[5m])", selector(family)),
        Some(MetricKind::Histogram) if family != name => {
            format!("histogram_quantile(0.99, sum by (le) (rate({}[5m])))", selector(&format!("{family}_bucket")))
        }
        // A native one.
        Some(MetricKind::Histogram) => format!("histogram_quantile(0.99, sum(rate({}[5m])))", selector(name)),
        _ => selector(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_are_listed_once_with_a_query_that_suits_them() {
        let meta =
            |family: &str, kind| MetricMeta { family: family.into(), kind, unit: String::new(), help: "h".into() };
        let names: Vec<String> =
            ["a_total", "lat_bucket", "lat_count", "lat_sum", "my.gauge", "x_count"].map(String::from).to_vec();
        let metadata = [meta("a_total", MetricKind::Counter), meta("lat", MetricKind::Histogram)];
        let list = MetricList::from_names(&names, &metadata, "");
        let rows: Vec<(&str, &str, &str)> =
            list.rows.iter().map(|row| (row.name.as_str(), row.kind, row.href.as_str())).collect();
        assert_eq!(
            rows,
            [
                ("a_total", "counter", "/explore?q=rate(a_total%5B5m%5D)"),
                (
                    "lat",
                    "histogram",
                    "/explore?q=histogram_quantile(0.99%2C%20sum%20by%20(le)%20(rate(lat_bucket%5B5m%5D)))"
                ),
                ("my.gauge", "", "/explore?q=%7B%22my.gauge%22%7D"),
                ("x_count", "", "/explore?q=x_count"),
            ]
        );
        assert_eq!(MetricList::from_names(&names, &metadata, "LAT").sentence, "1 of 4 metrics.");
        assert_eq!(MetricList::from_names(&names, &metadata, "zz").sentence, "None of 4 metrics has this in its name.");
    }
}
