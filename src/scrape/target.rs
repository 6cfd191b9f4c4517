//! One target: its URL, its labels, and how `/api/v1/targets` shows it.

use std::sync::Arc;
use std::time::Duration;

use model::time::format_duration_ms;
use model::{Labels, TenantId};
use reqwest::Url;
use server::targets::{self, TargetHealth};
use xxhash_rust::xxh3::xxh3_64;

use super::cache::key_of;
use super::labels;
use crate::config;

/// The series about a scrape, in the order of [`Target::report`].
const REPORT: [&str; 5] = [
    "up",
    "scrape_duration_seconds",
    "scrape_samples_scraped",
    "scrape_samples_post_metric_relabeling",
    "scrape_series_added",
];

pub(super) struct Target {
    pub(super) job: config::Scrape,
    pub(super) tenant: TenantId,
    pub(super) url: Url,
    pub(super) labels: Labels,
    pub(super) report: [(u128, Labels); REPORT.len()],
    address: String,
}

impl Target {
    pub(super) fn new(job: &config::Scrape, address: &str) -> Result<Target, String> {
        let mut url = Url::parse(&format!("{}://{address}{}", job.scheme.as_str(), job.path))
            .map_err(|error| format!("target {address:?}: {error}"))?;
        for (name, values) in &job.params {
            for value in values {
                url.query_pairs_mut().append_pair(name, value);
            }
        }
        let own = [("job", job.job.as_str()), ("instance", address)];
        let configured = job.labels.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let labels = Labels::from_pairs(own.into_iter().chain(configured));
        let tenant = match &job.tenant {
            Some(name) => TenantId::new(name).map_err(|error| error.to_string())?,
            None => TenantId::default(),
        };
        let report = REPORT.map(|name| {
            let labels = labels::of_report(name, &labels);
            (key_of(&labels), labels)
        });
        Ok(Target { job: job.clone(), tenant, url, labels, report, address: address.to_owned() })
    }

    /// Spreads the targets over the interval.
    pub(super) fn hash(&self) -> u64 {
        xxh3_64(format!("{} {} {}", self.tenant, self.url, self.labels).as_bytes())
    }

    /// As it is before its first scrape.
    pub(super) fn shown(&self) -> targets::Target {
        let [interval, timeout] = [self.job.interval, self.job.timeout()].map(|one| format_duration_ms(one.ms));
        let discovered = [
            ("__address__", self.address.as_str()),
            ("__metrics_path__", self.job.path.as_str()),
            ("__scheme__", self.job.scheme.as_str()),
            ("__scrape_interval__", interval.as_str()),
            ("__scrape_timeout__", timeout.as_str()),
            ("job", self.job.job.as_str()),
        ];
        let configured = self.job.labels.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        targets::Target {
            tenant: self.tenant.clone(),
            pool: self.job.job.clone(),
            url: self.url.to_string(),
            labels: self.labels.clone(),
            discovered_labels: Labels::from_pairs(discovered.into_iter().chain(configured)),
            interval: self.job.interval.std(),
            timeout: self.job.timeout().std(),
            health: TargetHealth::Unknown,
            last_error: String::new(),
            last_scrape_ms: None,
            last_scrape_duration: Duration::ZERO,
            metadata: Arc::from([]),
        }
    }
}
