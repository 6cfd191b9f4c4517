//! `/`: is anything wrong, where, since when?

use askama::Template;
use axum::response::Response;
use model::AlertState;
use rules::GroupView;
use store::TenantStats;

use super::alert_held::Held;
use super::alert_view::{AlertView, Deliveries};
use super::alerts::{deliveries, of_state, severity_rank, transitions};
use super::asked::{Asked, Asking, firing, instances};
use super::badge::Badge;
use super::changes::{Change, changes};
use super::empty::Empty;
use super::failure::{Failure, Trouble};
use super::frame::{Frame, show};
use super::hosts::{HostRow, Hosts};
use super::pushed::with_pushed;
use super::services::{ServiceRow, Services};
use super::text::{counted, span};

/// Alerts shown in full here; the alerts page has the rest.
const ALERTS_MAX: usize = 10;
/// Rows of each table; the worst come first.
const ROWS_MAX: usize = 50;
/// Changes of alerts that are looked through for those of the last hour.
const TRANSITIONS_MAX: usize = 200;
/// Without a point for this long a host or service has no data: the host-down rule's own limit.
pub(crate) const STALE_MS: i64 = 180_000;

#[derive(Template)]
#[template(path = "overview.html")]
pub(crate) struct OverviewPage {
    pub(crate) frame: Frame,
    pub(crate) title: String,
    pub(crate) strip: Vec<Badge>,
    pub(crate) ingest: String,
    pub(crate) troubles: Vec<Trouble>,
    pub(crate) empty: Option<Empty>,
    pub(crate) alerts: Vec<AlertView>,
    pub(crate) alerts_more: String,
    pub(crate) changes: Vec<Change>,
    pub(crate) services: Vec<ServiceRow>,
    pub(crate) services_note: String,
    pub(crate) services_more: String,
    pub(crate) hosts: Vec<HostRow>,
    pub(crate) hosts_note: String,
    pub(crate) hosts_more: String,
}

pub(super) async fn page(asking: Asking) -> Result<Response, Failure> {
    show(&asking.answer(build).await?)
}

fn build(asked: &Asked) -> Result<OverviewPage, Failure> {
    let held = Held::read(asked)?;
    let groups = with_pushed(asked.groups(), &held.statuses);
    let frame = Frame::new(asked, "/", firing(&groups));
    let mut page = OverviewPage::new(frame, &groups, deliveries(asked, &held)?, asked.now_ms);
    if let Some(reason) = asked.state.store.trouble() {
        page.troubles.push(Trouble::new("The appliance cannot store data", reason));
    }
    let warnings = asked.state.store.warnings();
    page.troubles.extend(warnings.into_iter().map(|reason| Trouble::new("Stored data needs a look", reason)));
    let wrong = asked.state.reloaded.wrong();
    page.troubles.extend(wrong.into_iter().map(|reason| Trouble::new("A file is not used as it is", reason)));
    let tenant = asked.store()?;
    let stats = tenant.as_ref().map(store::Tenant::stats).unwrap_or_default();
    page.show_ingest(&stats, asked.now_ms);
    let Some(tenant) = tenant.filter(|_| newest_ms(&stats).is_some()) else {
        page.empty = Some(Empty::of(&asked.state.settings));
        return Ok(page);
    };
    let snapshot = tenant.snapshot()?;
    let (hosts, hosts_troubles) = Hosts::ask(&asked.metrics(&snapshot), asked.now_ms);
    let (services, services_troubles) = Services::ask(&snapshot, asked);
    let (changes, changes_trouble) =
        changes(&asked.metrics(&snapshot), &transitions(asked, i64::MAX, TRANSITIONS_MAX)?, asked.now_ms);
    page.changes = changes;
    page.troubles.extend(hosts_troubles.into_iter().chain(services_troubles).chain(changes_trouble));
    page.show_tables(&hosts, &services, &groups, asked.now_ms);
    Ok(page)
}

/// When the newest sample or record was; `None` before the first.
pub(crate) fn newest_ms(stats: &TenantStats) -> Option<i64> {
    stats.newest_sample_ms.max(stats.newest_log_ns.map(|at_ns| at_ns / model::time::NS_PER_MS))
}

/// How the alerts about one host or service rank: 0 is the worst, `None` is none; and its badge.
pub(crate) fn alerts_of(groups: &[GroupView], label: &str, value: &str, now_ms: i64) -> Option<(u8, Badge)> {
    let about = instances(groups).filter(|instance| instance.labels.value(label) == value);
    let mut worst: Option<(u8, i64, AlertState)> = None;
    for instance in about {
        let rank = match instance.state {
            AlertState::Firing => severity_rank(instance.labels.value("severity")),
            AlertState::Pending => 10,
            AlertState::Resolved => continue,
        };
        let found = (rank, super::alert_view::since_ms(instance), instance.state);
        if worst.is_none_or(|(rank, since_ms, _)| (found.0, found.1) < (rank, since_ms)) {
            worst = Some(found);
        }
    }
    worst.map(|(rank, since_ms, state)| (rank, Badge::of_alert(state, now_ms - since_ms)))
}

impl OverviewPage {
    pub(crate) fn new(frame: Frame, groups: &[GroupView], mut deliveries: Deliveries, now_ms: i64) -> OverviewPage {
        let count = |state| instances(groups).filter(|instance| instance.state == state).count();
        let (firing, pending) = (count(AlertState::Firing), count(AlertState::Pending));
        let mut strip = Vec::new();
        if firing > 0 {
            strip.push(Badge::firing(format!("{firing} firing")));
        } else {
            strip.push(Badge::ok("nothing firing"));
        }
        if pending > 0 {
            strip.push(Badge::pending(format!("{pending} pending")));
        }
        let failing =
            groups.iter().flat_map(|group| &group.rules).filter(|rule| rule.health == rules::Health::Err).count();
        if failing > 0 {
            let rules = counted(failing as u64, "rule", "rules");
            strip.push(Badge::no_data(format!("{rules} cannot be evaluated")));
        }
        let found = of_state(groups, AlertState::Firing);
        let alerts_more =
            if found.len() > ALERTS_MAX { format!("All {} firing alerts", found.len()) } else { String::new() };
        OverviewPage {
            frame,
            title: if firing > 0 { format!("{firing} firing - Overview") } else { "Overview".into() },
            strip,
            ingest: String::new(),
            troubles: Vec::new(),
            empty: None,
            alerts: found
                .into_iter()
                .take(ALERTS_MAX)
                .map(|(instance, rule)| AlertView::new(instance, rule, &mut deliveries, now_ms))
                .collect(),
            alerts_more,
            changes: Vec::new(),
            services: Vec::new(),
            services_note: String::new(),
            services_more: String::new(),
            hosts: Vec::new(),
            hosts_note: String::new(),
            hosts_more: String::new(),
        }
    }

    pub(crate) fn show_ingest(&mut self, stats: &TenantStats, now_ms: i64) {
        let Some(newest_ms) = newest_ms(stats) else { return };
        let age_ms = now_ms - newest_ms;
        if age_ms > STALE_MS {
            self.strip.push(Badge::no_data(format!("no data for {}", span(age_ms))));
        } else {
            self.ingest = format!("newest data {} ago", span(age_ms));
        }
    }

    pub(crate) fn show_tables(&mut self, hosts: &Hosts, services: &Services, groups: &[GroupView], now_ms: i64) {
        let counts = |rows: usize, stale: usize| {
            if stale > 0 { format!("{rows}, {stale} without data") } else { rows.to_string() }
        };
        let more =
            |rows: usize| if rows > ROWS_MAX { format!("The worst {ROWS_MAX} of {rows}.") } else { String::new() };
        self.services = services.rows(groups, now_ms);
        self.services_note = counts(self.services.len(), self.services.iter().filter(|row| row.stale).count());
        self.services_more = more(self.services.len());
        self.services.truncate(ROWS_MAX);
        self.hosts = hosts.rows(groups, now_ms);
        self.hosts_note = counts(self.hosts.len(), self.hosts.iter().filter(|row| row.stale).count());
        self.hosts_more = more(self.hosts.len());
        self.hosts.truncate(ROWS_MAX);
    }
}
