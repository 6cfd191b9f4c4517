//! `[[scrape]]`: what is asked for its metrics, and how. The keys are those of a Prometheus `scrape_config` where it has them.

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;

use codec::exposition::Buckets;
use model::TenantId;
use model::labels::METRIC_NAME;
use serde::Deserialize;

use super::address::{Scheme, wrong_target};
use super::credentials::{BasicAuth, Secret, wrong_credentials};
use super::relabel::wrong_step;
use super::{Bytes, Duration, FallbackProtocol, Relabel, ScrapeProtocol};

/// Most targets of all jobs together; each is a task, and a connection while it is asked.
pub const TARGETS_MAX: usize = 10_000;
/// Shortest interval, in ms: below it the answer's own cost is what would be measured.
const INTERVAL_MS_MIN: i64 = 100;

/// One job: targets that are asked alike.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Scrape {
    /// The label `job` of its series, and its name in `/api/v1/targets`; each once.
    pub job: String,
    /// `host:port` each, which becomes the label `instance`.
    pub targets: Vec<String>,
    /// Files that name more targets, with labels of their own; read again when they change.
    pub file_sd_configs: Vec<FileSd>,
    /// Path of the page that is asked for.
    pub path: String,
    /// "http" or "https".
    pub scheme: Scheme,
    /// Between two scrapes of a target.
    pub interval: Duration,
    /// How long a target may take; at most the interval. 10s, or the interval where that is shorter.
    pub timeout: Option<Duration>,
    /// Whether a target's own labels win over `job`, `instance` and `labels`; else they are kept as `exported_…`.
    pub honor_labels: bool,
    /// Whether timestamps that a target writes are used.
    pub honor_timestamps: bool,
    /// Added to every series.
    pub labels: BTreeMap<String, String>,
    /// Steps over a target's labels before it is asked, in order: `__address__`, `__scheme__`, `__metrics_path__`, `__param_…`, `job` and
    /// `labels`. What is left without `__` in front is added to every series; a dropped target is not asked.
    pub relabel_configs: Vec<Relabel>,
    /// Steps over the labels of each sample, its name (`__name__`) included; a dropped sample is not stored.
    pub metric_relabel_configs: Vec<Relabel>,
    /// Parameters of the query part of the URL.
    pub params: BTreeMap<String, Vec<String>>,
    pub basic_auth: Option<BasicAuth>,
    /// Sent as `Authorization: Bearer`; `${NAME}` takes it from the environment.
    pub bearer_token: Option<Secret>,
    /// The same from a file, which is read at each scrape.
    pub bearer_token_file: Option<PathBuf>,
    /// Largest answer after decompression; over it the scrape fails.
    pub body_size_limit: Bytes,
    /// Most samples of an answer; over it the scrape fails. 0 is no limit but that of the body.
    pub sample_limit: usize,
    /// Most labels of a sample, the target's included; over it the scrape fails. 0 is no limit but `limits.labels`.
    pub label_limit: usize,
    pub follow_redirects: bool,
    /// The formats that targets are asked for, the preferred one first. Empty are those that fit: protobuf first where native histograms
    /// are wanted, OpenMetrics first otherwise.
    pub scrape_protocols: Vec<ScrapeProtocol>,
    /// How an answer is read that says no known content type: "text", "openmetrics" or "protobuf". Without it such a scrape fails.
    pub fallback_protocol: Option<FallbackProtocol>,
    /// Whether targets are asked for the protobuf format, and exponential buckets of their histograms are kept as native histograms;
    /// such a histogram has no classic buckets then.
    pub scrape_native_histograms: bool,
    /// Whether classic buckets are kept beside the native histogram of the same name.
    pub always_scrape_classic_histograms: bool,
    /// Most buckets of a native histogram; one with more is merged to a coarser schema, and where none fits the scrape fails. 0 is no limit
    /// but that of what is stored.
    pub native_histogram_bucket_limit: usize,
    /// Least growth from one bucket of a native histogram to the next; finer ones are merged. 0 keeps what the target says.
    pub native_histogram_min_bucket_factor: f64,
    /// Certificates (PEM) that the target's must lead to, instead of the built-in roots.
    pub ca_file: Option<PathBuf>,
    /// Takes any certificate: only for targets that nobody can stand in for.
    pub insecure_skip_verify: bool,
    /// Whose series they become.
    pub tenant: Option<String>,
}

impl Default for Scrape {
    fn default() -> Self {
        Scrape {
            job: String::new(),
            targets: Vec::new(),
            file_sd_configs: Vec::new(),
            path: "/metrics".into(),
            scheme: Scheme::Http,
            interval: Duration::seconds(15),
            timeout: None,
            honor_labels: false,
            honor_timestamps: true,
            labels: BTreeMap::new(),
            relabel_configs: Vec::new(),
            metric_relabel_configs: Vec::new(),
            params: BTreeMap::new(),
            basic_auth: None,
            bearer_token: None,
            bearer_token_file: None,
            body_size_limit: Bytes(64 << 20),
            sample_limit: 0,
            label_limit: 0,
            follow_redirects: true,
            scrape_protocols: Vec::new(),
            fallback_protocol: None,
            scrape_native_histograms: false,
            always_scrape_classic_histograms: false,
            native_histogram_bucket_limit: 0,
            native_histogram_min_bucket_factor: 0.0,
            ca_file: None,
            insecure_skip_verify: false,
            tenant: None,
        }
    }
}

impl Scrape {
    /// The timeout that holds: as configured, else 10 s or the interval.
    pub fn timeout(&self) -> Duration {
        let most = Duration { ms: self.interval.ms.min(10_000) };
        self.timeout.unwrap_or(most)
    }

    /// The formats to ask for, the preferred one first.
    pub fn protocols(&self) -> &[ScrapeProtocol] {
        match (self.scrape_protocols.is_empty(), self.scrape_native_histograms) {
            (false, _) => &self.scrape_protocols,
            (true, true) => &ScrapeProtocol::ALL,
            (true, false) => &ScrapeProtocol::TEXTS,
        }
    }

    /// Which buckets of histograms are read where the answer may have several kinds.
    pub fn buckets(&self) -> Buckets {
        match (self.scrape_native_histograms, self.always_scrape_classic_histograms) {
            (false, _) => Buckets::Classic,
            (true, false) => Buckets::Native,
            (true, true) => Buckets::Both,
        }
    }
}

/// Files of target groups, `[{"targets": ["host:port"], "labels": {"name": "value"}}]` in JSON or YAML, as Prometheus has them.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FileSd {
    /// Paths that end in `.json`, `.yml` or `.yaml`; `*` in the last part stands for any text.
    pub files: Vec<String>,
}

/// What types cannot say, as the place and the reason.
pub(super) fn check(jobs: &[Scrape]) -> Result<(), (String, String)> {
    let mut names = HashSet::new();
    let mut count = 0;
    for (nth, job) in jobs.iter().enumerate() {
        if job.job.is_empty() {
            return Err((format!("scrape number {}", nth + 1), "job is missing: the name of this job".into()));
        }
        let wrong = wrong(job)
            .or_else(|| (!names.insert(&job.job)).then(|| "another job has this name; give each its own".into()));
        if let Some(reason) = wrong {
            return Err((format!("scrape {:?}", job.job), reason));
        }
        count += job.targets.len();
    }
    if count > TARGETS_MAX {
        return Err(("scrape".into(), format!("{count} targets, at most {TARGETS_MAX} are scraped")));
    }
    Ok(())
}

fn wrong(job: &Scrape) -> Option<String> {
    if job.targets.is_empty() && job.file_sd_configs.is_empty() {
        return Some(
            "targets is empty: write [\"host:port\", ...], or name files of targets in file_sd_configs".into(),
        );
    }
    for file in job.file_sd_configs.iter().flat_map(|files| &files.files) {
        if ![".json", ".yml", ".yaml"].iter().any(|ending| file.ends_with(ending)) {
            return Some(format!("file_sd_configs: {file:?} does not end in .json, .yml or .yaml"));
        }
    }
    if job.file_sd_configs.iter().any(|files| files.files.is_empty()) {
        return Some("file_sd_configs: files is empty".into());
    }
    let mut seen = HashSet::new();
    for target in &job.targets {
        if let Some(reason) = wrong_target(target) {
            return Some(reason);
        }
        if !seen.insert(target) {
            return Some(format!("targets: {target:?} stands twice"));
        }
    }
    if !job.path.starts_with('/') {
        return Some(format!("path: {:?} does not begin with /", job.path));
    }
    if job.interval.ms < INTERVAL_MS_MIN {
        return Some(format!("interval: at least {INTERVAL_MS_MIN}ms"));
    }
    if job.timeout().ms > job.interval.ms {
        return Some("timeout: longer than the interval, so that scrapes would overtake each other".into());
    }
    let protocols = &job.scrape_protocols;
    if let Some((_, twice)) = protocols.iter().enumerate().find(|(nth, one)| protocols[..*nth].contains(one)) {
        return Some(format!("scrape_protocols: {twice:?} stands twice"));
    }
    if !(job.native_histogram_min_bucket_factor >= 0.0 && job.native_histogram_min_bucket_factor.is_finite()) {
        return Some("native_histogram_min_bucket_factor: a number from 0 up".into());
    }
    for name in job.labels.keys() {
        if name.is_empty() || name == METRIC_NAME || name.starts_with("__") {
            return Some(format!("labels: {name:?} is empty or reserved (names with __ in front are)"));
        }
    }
    for (key, steps) in
        [("relabel_configs", &job.relabel_configs), ("metric_relabel_configs", &job.metric_relabel_configs)]
    {
        if let Some(reason) = wrong_step(steps) {
            return Some(format!("{key}, {reason}"));
        }
    }
    if let Some(reason) = wrong_credentials(&job.basic_auth, &job.bearer_token, &job.bearer_token_file) {
        return Some(reason);
    }
    if let Some(tenant) = &job.tenant
        && let Err(error) = TenantId::new(tenant)
    {
        return Some(format!("tenant: {error}"));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(text: &str, part: &str) {
        let job: Scrape = toml::from_str(&format!("job = \"j\"\ntargets = [\"h:1\"]\n{text}")).unwrap();
        let (place, reason) = check(&[job]).expect_err(text);
        assert_eq!(place, "scrape \"j\"");
        assert!(reason.contains(part), "{reason:?} lacks {part:?}");
    }

    #[test]
    fn jobs_that_cannot_be_scraped_are_refused_with_the_key() {
        let good = "job = \"j\"\ntargets = [\"h:1\", \"[::1]:2\"]\ninterval = \"5s\"\nlabels = {env = \"prod\"}\n";
        let job: Scrape = toml::from_str(good).unwrap();
        assert_eq!(job.timeout().ms, 5_000);
        check(std::slice::from_ref(&job)).unwrap();
        assert!(check(&[job.clone(), job]).unwrap_err().1.contains("another job"));
        assert!(check(&[Scrape::default()]).unwrap_err().1.contains("job is missing"));
        refused("path = \"metrics\"", "path");
        refused("interval = \"5s\"\ntimeout = \"6s\"", "timeout");
        refused("interval = \"10ms\"", "100ms");
        refused("labels = {__name__ = \"x\"}", "__name__");
        refused("bearer_token = \"x\"\nbearer_token_file = \"y\"", "only one");
        refused("basic_auth = {username = \"u\"}", "password_file");
        refused("tenant = \"../x\"", "tenant");
        refused("scrape_protocols = [\"PrometheusProto\", \"PrometheusProto\"]", "PrometheusProto stands twice");
        refused("native_histogram_min_bucket_factor = -1", "from 0 up");
        refused("relabel_configs = [{regex = \"(\", target_label = \"x\"}]", "number 1: regex \"(\": error parsing");
        refused("metric_relabel_configs = [{action = \"keep\"}, {source_labels = [\"a\"]}]", "number 2: replace needs");
        refused("relabel_configs = [{action = \"labeldrop\", source_labels = [\"a\"]}]", "look at names");
        for target in ["", "http://h:1", "h:1/metrics", "u@h:1", "a b"] {
            let job = Scrape { job: "j".into(), targets: vec![target.into()], ..Scrape::default() };
            assert!(check(&[job]).unwrap_err().1.contains("host:port"), "{target}");
        }
        let twice = Scrape { job: "j".into(), targets: vec!["a:1".into(), "a:1".into()], ..Scrape::default() };
        assert!(check(&[twice]).unwrap_err().1.contains("twice"));
    }
}
