//! `/settings`: what this appliance runs with, who may use it, and who changed what. To look at only: files and the command line change it.

use askama::Template;
use axum::response::Response;
use model::AuditEntry;
use model::time::{format_duration_ms, rfc3339_ms};
use store::{Options, TenantStats, Token};

use super::asked::{Asked, Asking, firing};
use super::failure::Failure;
use super::frame::{Frame, show};
use super::text::{Stamp, grouped, one_line, span};
use crate::chart::Unit;
use crate::{AuthMode, ServerSettings};

/// Rows of each table.
const ROWS_MAX: usize = 100;

pub(crate) struct TenantRow {
    pub(crate) name: String,
    pub(crate) series: String,
    pub(crate) disk: String,
    pub(crate) newest: String,
}

pub(crate) struct TokenRow {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) scope: &'static str,
    pub(crate) tenant: String,
    pub(crate) created: Stamp,
}

pub(crate) struct TrailRow {
    pub(crate) at: Stamp,
    pub(crate) who: String,
    pub(crate) action: String,
    pub(crate) note: String,
}

#[derive(Template)]
#[template(path = "settings.html")]
pub(crate) struct SettingsPage {
    pub(crate) frame: Frame,
    pub(crate) facts: Vec<(&'static str, String)>,
    pub(crate) limits: Vec<(&'static str, String)>,
    pub(crate) tenants: Vec<TenantRow>,
    pub(crate) tenants_note: String,
    pub(crate) tokens: Vec<TokenRow>,
    pub(crate) tokens_note: &'static str,
    pub(crate) trail: Vec<TrailRow>,
}

pub(super) async fn page(asking: Asking) -> Result<Response, Failure> {
    show(&asking.answer(build).await?)
}

fn build(asked: &Asked) -> Result<SettingsPage, Failure> {
    let (settings, store) = (&asked.state.settings, &asked.state.store);
    let mut page = SettingsPage::new(
        Frame::new(asked, "/settings", firing(&asked.groups())),
        settings,
        store.options(),
        asked.now_ms,
    );
    // Who has a token sees their own tenant; without tokens everybody on this machine sees all.
    let sees = |tenant: &str| settings.auth == AuthMode::Off || tenant == asked.tenant.as_str();
    page.show_tenants(store.stats().tenants.into_iter().filter(|(name, _)| sees(name)).collect(), asked.now_ms);
    let tokens = store.accounts().tokens()?;
    page.show_tokens(tokens.into_iter().filter(|token| sees(token.tenant.as_str())).collect(), asked.now_ms);
    if let Some(tenant) = asked.store()? {
        page.show_trail(&tenant.alerts()?.audit(i64::MAX, ROWS_MAX)?, asked.now_ms);
    }
    Ok(page)
}

impl SettingsPage {
    pub(crate) fn new(frame: Frame, settings: &ServerSettings, options: &Options, now_ms: i64) -> SettingsPage {
        SettingsPage {
            frame,
            facts: facts(settings, options, now_ms),
            limits: limits(settings, options),
            tenants: Vec::new(),
            tenants_note: String::new(),
            tokens: Vec::new(),
            tokens_note: match settings.auth {
                AuthMode::Off => {
                    "Nobody is asked for a token here: everything listens on this machine alone, or was told to."
                }
                AuthMode::Token => "Made and ended by binnacle token; a secret is shown once, when it is made.",
            },
            trail: Vec::new(),
        }
    }

    pub(crate) fn show_tenants(&mut self, mut tenants: Vec<(String, TenantStats)>, now_ms: i64) {
        tenants.sort_by_key(|(_, stats)| std::cmp::Reverse(stats.disk_bytes));
        if tenants.len() > ROWS_MAX {
            self.tenants_note = format!("The {ROWS_MAX} largest of {}.", grouped(tenants.len() as u64));
        }
        let row = |(name, stats): &(String, TenantStats)| {
            let newest = stats.newest_sample_ms.max(stats.newest_log_ns.map(|at_ns| at_ns / model::time::NS_PER_MS));
            TenantRow {
                name: one_line(name, 120),
                series: grouped(stats.active_series),
                disk: Unit::Bytes.text(stats.disk_bytes as f64),
                newest: newest.map_or("-".into(), |at_ms| format!("{} ago", span(now_ms - at_ms))),
            }
        };
        self.tenants = tenants.iter().take(ROWS_MAX).map(row).collect();
    }

    pub(crate) fn show_tokens(&mut self, mut tokens: Vec<Token>, now_ms: i64) {
        tokens.sort_by_key(|token| std::cmp::Reverse(token.created_ms));
        let row = |token: &Token| TokenRow {
            id: token.id.clone(),
            name: one_line(&token.name, 120),
            scope: token.scope.as_str(),
            tenant: one_line(token.tenant.as_str(), 120),
            created: Stamp::of_ms(token.created_ms, now_ms),
        };
        self.tokens = tokens.iter().take(ROWS_MAX).map(row).collect();
    }

    pub(crate) fn show_trail(&mut self, trail: &[AuditEntry], now_ms: i64) {
        let row = |entry: &AuditEntry| TrailRow {
            at: Stamp::of_ms(entry.at_ms, now_ms),
            who: one_line(&entry.who, 80),
            action: one_line(&entry.action, 80),
            note: one_line(&entry.note, 400),
        };
        self.trail = trail.iter().map(row).collect();
    }
}

fn facts(settings: &ServerSettings, options: &Options, now_ms: i64) -> Vec<(&'static str, String)> {
    vec![
        ("version", settings.version.into()),
        ("running since", format!("{} ({})", rfc3339_ms(settings.started_ms), span(now_ms - settings.started_ms))),
        ("data folder", one_line(&options.dir.display().to_string(), 300)),
        ("OTLP/gRPC", settings.otlp_grpc_addr.clone()),
        ("OTLP/HTTP", settings.otlp_http_addr.clone()),
        ("links in messages", one_line(&settings.external_url, 300)),
        (
            "tokens",
            match settings.auth {
                AuthMode::Off => "off".into(),
                AuthMode::Token => "asked for at every door".into(),
            },
        ),
    ]
}

/// By the names of their keys in `binnacle.toml`.
fn limits(settings: &ServerSettings, options: &Options) -> Vec<(&'static str, String)> {
    let bytes = |count: u64| Unit::Bytes.text(count as f64);
    let count = |count: usize| grouped(count as u64);
    let or_none = |count: u64| if count == 0 { "no limit".into() } else { grouped(count) };
    let mut out = vec![
        ("retention.metrics", format_duration_ms(options.metrics_retention_ms)),
        ("retention.logs", format_duration_ms(options.logs_retention_ms)),
        ("retention.max_bytes", format!("{} a tenant", bytes(options.bytes_max))),
    ];
    if let Some(after_ms) = options.downsample_after_ms {
        out.push(("metrics.downsample_after", format_duration_ms(after_ms)));
    }
    out.extend([
        (
            "limits.series",
            format!("{} active, {} new a day", count(options.series_max), count(options.series_per_day_max)),
        ),
        ("limits.samples_per_second", or_none(options.samples_per_second_max)),
        ("limits.request_bytes", bytes(settings.request_bytes_max as u64)),
        (
            "query.memory_max",
            format!(
                "{} a query, {} all together",
                bytes(settings.query_limits.bytes_max),
                bytes(settings.query_memory_all_max)
            ),
        ),
        ("query.timeout", format!("{} s", settings.query_limits.timeout.as_secs())),
    ]);
    out
}
