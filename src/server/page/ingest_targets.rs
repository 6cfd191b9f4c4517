//! What is scraped, the ones that do not answer first.

use model::TenantId;

use super::badge::Badge;
use super::text::{one_line, span};
use crate::chart::Unit;
use crate::targets::{Target, TargetHealth, Targets};

/// Rows of the table; `/api/v1/targets` has all.
const ROWS_MAX: usize = 200;

pub(crate) struct TargetRow {
    pub(crate) state: Badge,
    pub(crate) job: String,
    pub(crate) url: String,
    pub(crate) asked: String,
    pub(crate) took: String,
    pub(crate) error: String,
}

pub(crate) fn targets(all: &Targets, tenant: &TenantId, now_ms: i64) -> Vec<TargetRow> {
    let mut found = all.of(tenant);
    found.sort_by_key(|target| match target.health {
        TargetHealth::Down => 0,
        TargetHealth::Unknown => 1,
        TargetHealth::Up => 2,
    });
    found.iter().take(ROWS_MAX).map(|target| row(target, now_ms)).collect()
}

fn row(target: &Target, now_ms: i64) -> TargetRow {
    TargetRow {
        state: match target.health {
            TargetHealth::Up => Badge::ok("up"),
            TargetHealth::Down => Badge::firing("down"),
            TargetHealth::Unknown => Badge::no_data("not asked yet"),
        },
        job: one_line(&target.pool, 80),
        url: one_line(&target.url, 300),
        asked: target.last_scrape_ms.map_or("-".into(), |at_ms| format!("{} ago", span(now_ms - at_ms))),
        took: Unit::Seconds.text(target.last_scrape_duration.as_secs_f64()),
        error: one_line(&target.last_error, 300),
    }
}
