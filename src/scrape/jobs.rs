//! The jobs of a configuration, made ready: what each of their targets is and how it is asked.

use std::collections::BTreeMap;
use std::sync::Arc;

use server::targets::{Dropped, TargetKey};

use super::ScrapeError;
use super::discovery::{Discovery, Group};
use super::fetch::Client;
use super::target::{Labelled, Target};
use crate::config::{self, TARGETS_MAX};

/// Everything that a configuration says of scraping, checked.
pub struct Jobs(Vec<Job>);

struct Job {
    config: config::Scrape,
    client: Arc<Client>,
}

/// A target and how it is asked.
#[derive(Clone)]
pub(super) struct Order {
    pub(super) client: Arc<Client>,
    pub(super) target: Arc<Target>,
}

/// All targets of all jobs as they are now.
#[derive(Default)]
pub(super) struct Plan {
    pub(super) orders: BTreeMap<TargetKey, Order>,
    pub(super) dropped: Vec<Dropped>,
}

impl Jobs {
    /// Reads what the jobs name: certificates, secrets from the environment. Asks nobody.
    ///
    /// # Errors
    /// The first job that cannot be scraped as configured. What is in files of targets is no error here: they come and go.
    pub fn new(jobs: &[config::Scrape]) -> Result<Jobs, ScrapeError> {
        let mut ready = Vec::with_capacity(jobs.len());
        for config in jobs {
            let failed = |reason: String| ScrapeError { job: config.job.clone(), reason };
            let client = Arc::new(Client::new(config).map_err(failed)?);
            let job = Job { config: config.clone(), client };
            for address in &job.config.targets {
                Target::relabelled(&job.config, address, &Group::default()).map_err(failed)?;
            }
            ready.push(job);
        }
        Ok(Jobs(ready))
    }

    /// Patterns of all files of targets.
    pub(super) fn files(&self) -> impl Iterator<Item = &str> {
        self.0.iter().flat_map(|job| job.config.file_sd_configs.iter().flat_map(|one| &one.files)).map(String::as_str)
    }

    /// The targets, with those that files name now. One that cannot be asked is left out and logged.
    pub(super) fn plan(&self, discovery: &Discovery) -> Plan {
        let mut plan = Plan::default();
        let mut left_out = 0_u64;
        for job in &self.0 {
            let written = Group { targets: job.config.targets.clone(), ..Group::default() };
            let patterns = job.config.file_sd_configs.iter().flat_map(|one| &one.files);
            let found = patterns.flat_map(|pattern| discovery.groups(pattern));
            for group in std::iter::once(&written).chain(found) {
                for address in &group.targets {
                    if plan.orders.len() + plan.dropped.len() >= TARGETS_MAX {
                        left_out += 1;
                        continue;
                    }
                    plan.add(job, address, group);
                }
            }
        }
        if left_out > 0 {
            tracing::error!(left_out, "more than {TARGETS_MAX} targets, the most that are scraped");
        }
        plan
    }
}

impl Plan {
    fn add(&mut self, job: &Job, address: &str, group: &Group) {
        match Target::relabelled(&job.config, address, group) {
            Ok(Labelled::Kept(target)) => {
                let order = Order { client: job.client.clone(), target: Arc::new(*target) };
                self.orders.insert(order.target.shown().key(), order);
            }
            Ok(Labelled::Dropped { tenant, discovered }) => {
                self.dropped.push(Dropped { tenant, pool: job.config.job.clone(), discovered_labels: discovered });
            }
            Err(reason) => tracing::error!(job = job.config.job, "target not scraped: {reason}"),
        }
    }
}
