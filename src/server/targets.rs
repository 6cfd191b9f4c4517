//! What is scraped, and how it went: told by the scraper, shown by `/api/v1/targets` and the pages.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use model::{Labels, MetricMeta, TenantId};
use parking_lot::RwLock;

/// How the last scrape of a target went; the words of Prometheus' API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TargetHealth {
    /// Not scraped yet.
    #[default]
    Unknown,
    Up,
    Down,
}

impl TargetHealth {
    pub fn as_str(self) -> &'static str {
        match self {
            TargetHealth::Unknown => "unknown",
            TargetHealth::Up => "up",
            TargetHealth::Down => "down",
        }
    }
}

/// One endpoint that is scraped.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    /// Whose series its samples become, and who may see it.
    pub tenant: TenantId,
    /// The job's name in the configuration (Prometheus' scrape pool).
    pub pool: String,
    /// The whole URL that is asked, without credentials.
    pub url: String,
    /// What its samples are given: `job`, `instance`, and the configured ones.
    pub labels: Labels,
    /// As configured, before any of it was turned into `labels`: `__address__`, `__scheme__`, `__metrics_path__`, `job`.
    pub discovered_labels: Labels,
    pub interval: Duration,
    pub timeout: Duration,
    pub health: TargetHealth,
    /// Empty when the last scrape went well.
    pub last_error: String,
    /// When the last scrape began; `None` before the first.
    pub last_scrape_ms: Option<i64>,
    pub last_scrape_duration: Duration,
    /// What the last scrape said of its families.
    pub metadata: Arc<[MetricMeta]>,
}

/// Tenant, pool, URL, labels: what tells one target from another.
pub type TargetKey = (TenantId, String, String, Labels);

impl Target {
    pub fn key(&self) -> TargetKey {
        (self.tenant.clone(), self.pool.clone(), self.url.clone(), self.labels.clone())
    }
}

/// A target that relabelling dropped, so that it is not scraped.
#[derive(Debug, Clone, PartialEq)]
pub struct Dropped {
    pub tenant: TenantId,
    pub pool: String,
    pub discovered_labels: Labels,
}

#[derive(Debug, Default)]
struct Known {
    scraped: BTreeMap<TargetKey, Target>,
    dropped: Vec<Dropped>,
}

/// All targets; a cheap handle. As many as the configuration names.
#[derive(Debug, Clone, Default)]
pub struct Targets(Arc<RwLock<Known>>);

impl Targets {
    /// Adds a target, or replaces what was known of it.
    pub fn put(&self, target: Target) {
        self.0.write().scraped.insert(target.key(), target);
    }

    /// A target that is not scraped any more.
    pub fn remove(&self, key: &TargetKey) {
        self.0.write().scraped.remove(key);
    }

    /// All that relabelling drops, in the order of the configuration.
    pub fn set_dropped(&self, dropped: Vec<Dropped>) {
        self.0.write().dropped = dropped;
    }

    /// A tenant's dropped targets, in the order of the configuration.
    pub fn dropped_of(&self, tenant: &TenantId) -> Vec<Dropped> {
        self.0.read().dropped.iter().filter(|target| target.tenant == *tenant).cloned().collect()
    }

    /// A tenant's targets by pool, then URL.
    pub fn of(&self, tenant: &TenantId) -> Vec<Target> {
        self.0.read().scraped.values().filter(|target| target.tenant == *tenant).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_known_once_and_seen_by_its_tenant_alone() {
        let target = |tenant: &str, pool: &str, health| Target {
            tenant: TenantId::new(tenant).unwrap(),
            pool: pool.into(),
            url: "http://127.0.0.1:9100/metrics".into(),
            labels: Labels::default(),
            discovered_labels: Labels::default(),
            interval: Duration::from_secs(15),
            timeout: Duration::from_secs(10),
            health,
            last_error: String::new(),
            last_scrape_ms: None,
            last_scrape_duration: Duration::ZERO,
            metadata: Arc::from([]),
        };
        let targets = Targets::default();
        for (tenant, pool, health) in [
            ("a", "node", TargetHealth::Unknown),
            ("a", "node", TargetHealth::Up),
            ("a", "api", TargetHealth::Down),
            ("b", "node", TargetHealth::Up),
        ] {
            targets.put(target(tenant, pool, health));
        }
        let of = |tenant: &str| {
            let found = targets.of(&TenantId::new(tenant).unwrap());
            found.into_iter().map(|target| (target.pool, target.health)).collect::<Vec<_>>()
        };
        assert_eq!(of("a"), [("api".into(), TargetHealth::Down), ("node".into(), TargetHealth::Up)]);
        assert_eq!(of("b"), [("node".into(), TargetHealth::Up)]);
        targets.remove(&target("b", "node", TargetHealth::Unknown).key());
        assert_eq!((of("a").len(), of("b").len()), (2, 0));
    }
}
