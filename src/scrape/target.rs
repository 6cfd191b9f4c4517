//! One target: its URL, its labels, and how `/api/v1/targets` shows it.

use std::sync::Arc;
use std::time::Duration;

use model::time::{format_duration_ms, parse_duration_ms};
use model::{Labels, TenantId};
use reqwest::Url;
use server::targets::{self, TargetHealth};
use xxhash_rust::xxh3::xxh3_64;

use super::cache::{Owner, key_of};
use super::discovery::Group;
use super::labels;
use crate::config;
use crate::relabel::Relabeler;

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
    pub(super) metric_relabel: Relabeler,
    /// Its labels before they were relabelled.
    discovered: Labels,
}

/// What relabelling made of a target.
pub(super) enum Labelled {
    Kept(Box<Target>),
    Dropped { tenant: TenantId, discovered: Labels },
}

/// In front of labels that say how a target is asked and go no further.
const META: &str = "__";
const PARAM: &str = "__param_";

impl Target {
    /// One target of a job, with the labels of the group that names it.
    ///
    /// # Errors
    /// What cannot be asked after relabelling.
    pub(super) fn relabelled(job: &config::Scrape, address: &str, group: &Group) -> Result<Labelled, String> {
        let tenant = match &job.tenant {
            Some(name) => TenantId::new(name).map_err(|error| error.to_string())?,
            None => TenantId::default(),
        };
        let discovered = discovered(job, address, group);
        let Some(kept) = Relabeler::new(&job.relabel_configs)?.apply(&discovered) else {
            return Ok(Labelled::Dropped { tenant, discovered });
        };
        let mut job = job.clone();
        // It is one of them; the lists may be long.
        (job.targets, job.file_sd_configs) = (Vec::new(), Vec::new());
        job.interval = duration(&kept, "__scrape_interval__")?;
        job.timeout = Some(duration(&kept, "__scrape_timeout__")?);
        let url = url(&job, &kept).map_err(|error| format!("target {address:?}: {error}"))?;
        let instance = kept.get("instance").is_none().then(|| ("instance", kept.value("__address__")));
        let own = kept.iter().filter(|(name, _)| !name.starts_with(META)).chain(instance);
        let labels = Labels::from_pairs(own);
        let report = REPORT.map(|name| {
            let labels = labels::of_report(name, &labels);
            (key_of(&labels), labels)
        });
        let metric_relabel = Relabeler::new(&job.metric_relabel_configs)?;
        Ok(Labelled::Kept(Box::new(Target { job, tenant, url, labels, report, metric_relabel, discovered })))
    }

    /// How its samples become series.
    pub(super) fn owner(&self) -> Owner<'_> {
        Owner { labels: &self.labels, honor_labels: self.job.honor_labels, relabel: &self.metric_relabel }
    }

    /// Whether another makes the same series of the same answer.
    pub(super) fn names_alike(&self, other: &Target) -> bool {
        self.labels == other.labels
            && self.job.honor_labels == other.job.honor_labels
            && self.job.metric_relabel_configs == other.job.metric_relabel_configs
    }

    /// Spreads the targets over the interval.
    pub(super) fn hash(&self) -> u64 {
        xxh3_64(format!("{} {} {}", self.tenant, self.url, self.labels).as_bytes())
    }

    /// As it is before its first scrape.
    pub(super) fn shown(&self) -> targets::Target {
        targets::Target {
            tenant: self.tenant.clone(),
            pool: self.job.job.clone(),
            url: self.url.to_string(),
            labels: self.labels.clone(),
            discovered_labels: self.discovered.clone(),
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

/// What is known of a target before it is relabelled, under Prometheus' names.
fn discovered(job: &config::Scrape, address: &str, group: &Group) -> Labels {
    let [interval, timeout] = [job.interval, job.timeout()].map(|one| format_duration_ms(one.ms));
    let own = [
        ("__address__", address),
        ("__metrics_path__", job.path.as_str()),
        ("__scheme__", job.scheme.as_str()),
        ("__scrape_interval__", interval.as_str()),
        ("__scrape_timeout__", timeout.as_str()),
        ("job", job.job.as_str()),
    ];
    let of_params = |(name, values): (&String, &Vec<String>)| Some((format!("{PARAM}{name}"), values.first()?.clone()));
    let params = job.params.iter().filter_map(of_params);
    // A group may say otherwise than its job, where it stands and how it is asked included.
    let configured = job.labels.iter().chain(&group.labels).map(|(name, value)| (name.clone(), value.clone()));
    let own = own.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
    Labels::from_pairs(own.chain(params).chain(configured))
}

fn duration(labels: &Labels, name: &str) -> Result<config::Duration, String> {
    let text = labels.value(name);
    let ms = parse_duration_ms(text).filter(|ms| *ms > 0);
    ms.map(|ms| config::Duration { ms }).ok_or_else(|| format!("{name} is {text:?} after relabelling, no duration"))
}

fn url(job: &config::Scrape, labels: &Labels) -> Result<Url, String> {
    let [scheme, address, path] = ["__scheme__", "__address__", "__metrics_path__"].map(|name| labels.value(name));
    if !matches!(scheme, "http" | "https") {
        return Err(format!("__scheme__ is {scheme:?} after relabelling, not http or https"));
    }
    if address.is_empty() {
        return Err("there is no __address__ after relabelling".into());
    }
    if address.contains(|c: char| c.is_whitespace() || matches!(c, '/' | '@' | '?' | '#' | '\\')) {
        return Err(format!("__address__ is {address:?} after relabelling, no host:port"));
    }
    let slash = if path.starts_with('/') { "" } else { "/" };
    let mut url = Url::parse(&format!("{scheme}://{address}{slash}{path}")).map_err(|error| error.to_string())?;
    // Of a parameter with several values the first is a label, and relabelling may change it.
    let of_labels = labels.iter().filter_map(|(name, value)| Some((name.strip_prefix(PARAM)?, value)));
    let others =
        job.params.iter().flat_map(|(name, values)| values.iter().skip(1).map(move |value| (&**name, &**value)));
    let mut pairs: Vec<(&str, &str)> = of_labels.chain(others).collect();
    pairs.sort_by_key(|(name, _)| *name);
    for (name, value) in pairs {
        url.query_pairs_mut().append_pair(name, value);
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The URL, the labels, and the interval in ms of a target `h:1`; what is wrong with it; or that it is dropped.
    #[track_caller]
    fn check(job: &str, expected: &str) {
        check_in(job, &Group::default(), expected);
    }

    #[track_caller]
    fn check_in(job: &str, group: &Group, expected: &str) {
        let job: config::Scrape = toml::from_str(&format!("job = 'j'\ntargets = ['h:1']\n{job}")).unwrap();
        let got = match Target::relabelled(&job, "h:1", group) {
            Ok(Labelled::Kept(target)) => format!("{} {} {}", target.url, target.labels, target.job.interval.ms),
            Ok(Labelled::Dropped { discovered, .. }) => format!("dropped {}", discovered.value("__address__")),
            Err(reason) => reason,
        };
        assert_eq!(got, expected);
    }

    #[test]
    fn relabelling_says_what_is_asked_and_what_it_is_called() {
        check("", r#"http://h:1/metrics {instance="h:1",job="j"} 15000"#);
        check(
            "labels = {env = 'prod', instance = 'mine'}\nparams = {a = ['1', '2'], b = ['3']}",
            r#"http://h:1/metrics?a=1&a=2&b=3 {env="prod",instance="mine",job="j"} 15000"#,
        );
        let step = |step: &str| format!("params = {{target = ['x']}}\nrelabel_configs = [{step}]");
        check(
            &step("{source_labels = ['__address__'], regex = '(.*):.*', target_label = 'host'}"),
            r#"http://h:1/metrics?target=x {host="h",instance="h:1",job="j"} 15000"#,
        );
        // As for an exporter that asks others.
        check(
            &step(
                "{source_labels = ['__address__'], target_label = '__param_target'}, \
                 {source_labels = ['__param_target'], target_label = 'instance'}, \
                 {target_label = '__address__', replacement = 'exporter:9115'}, \
                 {target_label = '__metrics_path__', replacement = '/probe'}, \
                 {target_label = '__scrape_interval__', replacement = '1m'}",
            ),
            r#"http://exporter:9115/probe?target=h%3A1 {instance="h:1",job="j"} 60000"#,
        );
        check(&step("{source_labels = ['__address__'], regex = 'h.*', action = 'drop'}"), "dropped h:1");
        check(
            &step("{target_label = '__scheme__', replacement = 'ftp'}"),
            "target \"h:1\": __scheme__ is \"ftp\" after relabelling, not http or https",
        );
        check(
            &step("{target_label = '__scrape_timeout__', replacement = 'soon'}"),
            "__scrape_timeout__ is \"soon\" after relabelling, no duration",
        );
        check(
            &step("{target_label = '__address__', replacement = 'h:1/metrics'}"),
            "target \"h:1\": __address__ is \"h:1/metrics\" after relabelling, no host:port",
        );
        let labels = [("env", "mine"), ("__metrics_path__", "/m"), ("__scheme__", "https")];
        let labels = labels.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        check_in(
            "labels = {env = 'prod', zone = 'z'}",
            &Group { labels, ..Group::default() },
            r#"https://h:1/m {env="mine",instance="h:1",job="j",zone="z"} 15000"#,
        );
    }
}
