//! `/ingest`: is data arriving, from whom, what is refused and why, how long the disk lasts, and who holds the series.

use askama::Template;
use axum::response::Response;
use model::time::{Day, MS_PER_DAY, NS_PER_MS};
use model::{MsRange, TenantId};
use store::{Cardinality, Snapshot, TenantStats};

use super::asked::{Asked, Asking, Metrics, firing};
use super::empty::Empty;
use super::failure::{Failure, Trouble};
use super::frame::{Frame, show};
use super::ingest_refused::{RefusedRow, refused};
use super::ingest_senders::{OWN_SERVICE, SenderRow, Senders};
use super::ingest_targets::{TargetRow, targets};
use super::link::link;
use super::text::{Stamp, counted, grouped, one_line, span};
use crate::chart::{Svg, Unit, sparkline};

/// Rows of each table of cardinality.
const COUNTED_MAX: usize = 15;
const HOUR_MS: i64 = 3_600_000;
const SPARK_STEP_MS: i64 = 90_000;

/// What comes in, by its signal, with its course over the last hour.
pub(crate) struct Rate {
    pub(crate) what: &'static str,
    pub(crate) per_second: String,
    pub(crate) spark: Option<Svg>,
}

/// Series of one metric or label.
pub(crate) struct CountRow {
    pub(crate) name: String,
    pub(crate) href: String,
    pub(crate) series: String,
    /// Against yesterday, for metrics.
    pub(crate) change: String,
    /// Distinct values, for labels.
    pub(crate) values: String,
}

#[derive(Template)]
#[template(path = "ingest.html")]
pub(crate) struct IngestPage {
    pub(crate) frame: Frame,
    pub(crate) troubles: Vec<Trouble>,
    pub(crate) rates: Vec<Rate>,
    pub(crate) facts: Vec<(&'static str, String)>,
    pub(crate) refused: Vec<RefusedRow>,
    /// Empty for tenants that do not see the appliance's own counters.
    pub(crate) refused_note: String,
    pub(crate) senders: Vec<SenderRow>,
    pub(crate) senders_note: String,
    pub(crate) targets: Vec<TargetRow>,
    pub(crate) metrics: Vec<CountRow>,
    pub(crate) labels: Vec<CountRow>,
    pub(crate) series_note: String,
    pub(crate) empty: Option<Empty>,
}

pub(super) async fn page(asking: Asking) -> Result<Response, Failure> {
    show(&asking.answer(build).await?)
}

fn build(asked: &Asked) -> Result<IngestPage, Failure> {
    let mut page = IngestPage::new(Frame::new(asked, "/ingest", firing(&asked.groups())));
    if let Some(reason) = asked.state.store.trouble() {
        page.troubles.push(Trouble::new("The appliance cannot store data", reason));
    }
    page.targets = targets(&asked.state.targets, &asked.tenant, asked.now_ms);
    let Some(tenant) = asked.store()? else {
        page.empty = Some(Empty::of(&asked.state.settings));
        return Ok(page);
    };
    let snapshot = tenant.snapshot()?;
    let metrics = asked.metrics(&snapshot);
    // The counters are of the whole process, and kept in the tenant that always is.
    let is_own = asked.tenant.as_str() == TenantId::DEFAULT;
    if is_own {
        page.show_rates(&metrics, asked.now_ms);
        let (rows, troubles) = refused(&metrics, asked.now_ms);
        page.show_refused(rows);
        page.troubles.extend(troubles);
    }
    let growth = growth_a_day(&metrics, is_own, asked.now_ms);
    let options = asked.state.store.options();
    let disk_free = asked.state.store.stats().disk_free_bytes;
    page.facts = facts(&tenant.stats(), options, disk_free, growth, asked.now_ms);
    let (senders, troubles) = Senders::ask(&metrics, asked.now_ms);
    page.troubles.extend(troubles);
    page.show_senders(&senders, asked.now_ms);
    // Records, series of others and targets tell of senders too that no metric of ours names: of Loki, remote write and scrapes, and on a
    // full disk, where our own metrics cannot be stored.
    let has_others = tenant.stats().newest_log_ns.is_some() || !page.targets.is_empty() || has_foreign_jobs(&snapshot)?;
    if senders.is_alone() && !has_others {
        page.empty = Some(Empty::of(&asked.state.settings));
    }
    page.show_cardinality(&snapshot, asked.now_ms)?;
    Ok(page)
}

/// Whether a series has the `job` of anybody but this appliance.
fn has_foreign_jobs(snapshot: &Snapshot) -> Result<bool, Failure> {
    let jobs = snapshot.label_values("job", &[], MsRange::ALL)?;
    Ok(jobs.iter().any(|job| job != OWN_SERVICE))
}

/// Bytes that the data files grow in a day, as the last day went; `None` in the first day, when nobody can tell.
fn growth_a_day(metrics: &Metrics<'_>, is_own: bool, now_ms: i64) -> Option<f64> {
    let growth = "sum(binnacle_store_disk_bytes) - sum(binnacle_store_disk_bytes offset 1d)";
    let found = metrics.vector(growth, now_ms).ok().filter(|_| is_own)?;
    found.first().map(|(_, value)| *value).filter(|value| value.is_finite())
}

fn facts(
    stats: &TenantStats,
    options: &store::Options,
    disk_free: u64,
    growth: Option<f64>,
    now_ms: i64,
) -> Vec<(&'static str, String)> {
    let bytes = |count: u64| Unit::Bytes.text(count as f64);
    let age = |at_ms: i64| format!("{} ago", span(now_ms - at_ms));
    let newest = stats.newest_sample_ms.max(stats.newest_log_ns.map(|at_ns| at_ns / NS_PER_MS));
    let mut out = vec![("newest data", newest.map_or("none yet".into(), age))];
    let oldest = [("metrics", stats.oldest_sample_ms), ("logs", stats.oldest_log_ns.map(|at_ns| at_ns / NS_PER_MS))];
    let oldest: Vec<String> = oldest
        .into_iter()
        .filter_map(|(what, at_ms)| Some(format!("{what} of {}", Stamp::of_ms(at_ms?, now_ms).text)))
        .collect();
    if !oldest.is_empty() {
        out.push(("oldest data", oldest.join(", ")));
    }
    out.push(("series", format!("{}, {} of them active", grouped(stats.series), grouped(stats.active_series))));
    let mut kept = format!("{} of at most {}", bytes(stats.disk_bytes), bytes(options.bytes_max));
    if let Some(growth) = growth.filter(|growth| *growth > 0.0) {
        let room = options.bytes_max.min(stats.disk_bytes.saturating_add(disk_free)).saturating_sub(stats.disk_bytes);
        let days = room as f64 / growth;
        kept.push_str(&format!("; {} came in the last day", Unit::Bytes.text(growth)));
        if days < 3_650.0 {
            kept.push_str(&format!(", and at that rate it is full in {days:.0} d, from when on the oldest day goes"));
        }
    }
    out.push(("on the disk", kept));
    out.push((
        "kept for",
        format!("metrics {}, logs {}", span(options.metrics_retention_ms), span(options.logs_retention_ms)),
    ));
    out.push(("free on the disk", bytes(disk_free)));
    out.push((
        "waiting",
        format!(
            "{} in the queue, {} of intake log not yet in day files",
            counted(stats.intake_queue, "request", "requests"),
            bytes(stats.wal_bytes)
        ),
    ));
    if stats.index_lag_ms > 60_000 {
        let lag = span(i64::try_from(stats.index_lag_ms).unwrap_or(i64::MAX));
        out.push(("log index", format!("{lag} behind; searches of newer records are slower, not incomplete")));
    }
    if stats.set_aside_files > 0 {
        let files = counted(stats.set_aside_files, "file", "files");
        out.push(("damaged", format!("{files} set aside; stop the server and run binnacle verify")));
    }
    if stats.damaged_log_blocks > 0 {
        let blocks = counted(stats.damaged_log_blocks, "block of log records", "blocks of log records");
        out.push(("damaged logs", format!("{blocks} cannot be read")));
    }
    out
}

impl IngestPage {
    pub(crate) fn new(frame: Frame) -> IngestPage {
        IngestPage {
            frame,
            troubles: Vec::new(),
            rates: Vec::new(),
            facts: Vec::new(),
            refused: Vec::new(),
            refused_note: String::new(),
            senders: Vec::new(),
            senders_note: String::new(),
            targets: Vec::new(),
            metrics: Vec::new(),
            labels: Vec::new(),
            series_note: String::new(),
            empty: None,
        }
    }

    fn show_rates(&mut self, metrics: &Metrics<'_>, now_ms: i64) {
        let end_ms = now_ms.div_euclid(SPARK_STEP_MS) * SPARK_STEP_MS;
        let hour = MsRange { start_ms: end_ms - HOUR_MS, end_ms };
        for (what, unit, query) in [
            ("metric points a second", Unit::Number, r#"sum(rate(binnacle_ingest_items_total{signal="metrics"}[5m]))"#),
            ("log records a second", Unit::Number, r#"sum(rate(binnacle_ingest_items_total{signal="logs"}[5m]))"#),
            ("of requests a second", Unit::Bytes, "sum(rate(binnacle_ingest_bytes_total[5m]))"),
        ] {
            match metrics.rows(query, hour, SPARK_STEP_MS) {
                Ok(rows) => {
                    let points = rows.first().map(|(_, points)| points.as_slice()).unwrap_or_default();
                    self.rates.push(Rate {
                        what,
                        per_second: points.last().map_or("-".into(), |point| unit.text(point.value)),
                        spark: (!points.is_empty())
                            .then(|| sparkline(points, hour.start_ms, hour.end_ms, SPARK_STEP_MS, 1.0)),
                    });
                }
                Err(error) => self.troubles.push(Trouble::new("The rate of intake is not known", error.to_string())),
            }
        }
    }

    pub(crate) fn show_refused(&mut self, rows: Vec<RefusedRow>) {
        self.refused_note = if rows.is_empty() {
            "Nothing was refused since the start.".into()
        } else {
            "Whoever sent it was told so, in the answer to the very request.".into()
        };
        self.refused = rows;
    }

    pub(crate) fn show_senders(&mut self, senders: &Senders, now_ms: i64) {
        let (rows, all) = senders.rows(now_ms);
        self.senders_note = match rows.len() < all {
            true => format!("The {} longest unheard of {}.", rows.len(), grouped(all as u64)),
            false => String::new(),
        };
        self.senders = rows;
    }

    fn show_cardinality(&mut self, snapshot: &Snapshot, now_ms: i64) -> Result<(), Failure> {
        let today = Day::of_ms(now_ms);
        let counted = |day| snapshot.cardinality(day, crate::api::view::COUNTED_MAX);
        self.show_counts(&counted(today)?, &counted(Day(today.0 - 1))?, now_ms);
        Ok(())
    }

    pub(crate) fn show_counts(&mut self, today: &Cardinality, yesterday: &Cardinality, now_ms: i64) {
        let so_far = span(now_ms.rem_euclid(MS_PER_DAY));
        self.series_note = format!(
            "{} since midnight UTC ({so_far}), {} yesterday.",
            counted(today.series, "series", "series"),
            grouped(yesterday.series)
        );
        self.metrics =
            today.metrics.iter().take(COUNTED_MAX).map(|(name, series)| metric_row(name, *series, yesterday)).collect();
        self.labels = today
            .labels
            .iter()
            .take(COUNTED_MAX)
            .map(|label| CountRow {
                name: one_line(&label.name, 120),
                href: String::new(),
                series: grouped(label.series),
                change: String::new(),
                values: grouped(label.values),
            })
            .collect();
    }
}

fn metric_row(name: &str, series: u64, yesterday: &Cardinality) -> CountRow {
    let before = yesterday.metrics.iter().find(|(known, _)| known == name).map(|(_, series)| *series);
    let change = match before {
        None if yesterday.series == 0 => String::new(),
        None => "new".into(),
        Some(before) if series > before => format!("+{}", grouped(series - before)),
        Some(_) => String::new(),
    };
    let selector = model::Matcher::equal(model::labels::METRIC_NAME, name);
    CountRow {
        name: one_line(name, 160),
        href: link("/explore", &[("q", &format!("{{{selector}}}"))]),
        series: grouped(series),
        change,
        values: String::new(),
    }
}
