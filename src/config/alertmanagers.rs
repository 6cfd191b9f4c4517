//! `[[alertmanagers]]`: Alertmanagers elsewhere that are sent what fires here. The keys are those of Prometheus' `alertmanager_config`
//! where it has them; `external_labels` and `alert_relabel_configs`, which are the whole file's there, are each entry's here.

use std::collections::BTreeMap;
use std::path::PathBuf;

use model::TenantId;
use serde::Deserialize;

use super::address::{Scheme, wrong_target};
use super::credentials::{BasicAuth, Secret, wrong_credentials};
use super::relabel::wrong_step;
use super::{Duration, Relabel};

/// Most Alertmanagers of all entries together; each has a queue and a connection.
const TARGETS_MAX: usize = 50;

/// Alertmanagers that are spoken to alike. Each is sent every alert.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Alertmanagers {
    /// `host:port` each.
    pub targets: Vec<String>,
    /// "http" or "https".
    pub scheme: Scheme,
    /// Before `/api/v2/alerts`.
    pub path_prefix: String,
    /// How long a request may take.
    pub timeout: Duration,
    /// Added to every alert that has no label of that name, so that whoever takes several servers' alerts can tell them apart.
    pub external_labels: BTreeMap<String, String>,
    /// Steps over an alert's labels, `external_labels` included; a dropped alert is not sent.
    pub alert_relabel_configs: Vec<Relabel>,
    pub basic_auth: Option<BasicAuth>,
    /// Sent as `Authorization: Bearer`; `${NAME}` takes it from the environment.
    pub bearer_token: Option<Secret>,
    /// The same from a file, which is read at each request.
    pub bearer_token_file: Option<PathBuf>,
    /// Certificates (PEM) that the Alertmanager's must lead to, instead of the built-in roots.
    pub ca_file: Option<PathBuf>,
    /// Takes any certificate: only for addresses that nobody can stand in for.
    pub insecure_skip_verify: bool,
    /// Whose alerts are sent; without it those of every tenant that has rules.
    pub tenant: Option<String>,
}

impl Default for Alertmanagers {
    fn default() -> Self {
        Alertmanagers {
            targets: Vec::new(),
            scheme: Scheme::Http,
            path_prefix: "/".into(),
            timeout: Duration::seconds(10),
            external_labels: BTreeMap::new(),
            alert_relabel_configs: Vec::new(),
            basic_auth: None,
            bearer_token: None,
            bearer_token_file: None,
            ca_file: None,
            insecure_skip_verify: false,
            tenant: None,
        }
    }
}

/// What types cannot say, as the place and the reason.
pub(super) fn check(entries: &[Alertmanagers]) -> Result<(), (String, String)> {
    for (nth, entry) in entries.iter().enumerate() {
        if let Some(reason) = wrong(entry) {
            return Err((format!("alertmanagers number {}", nth + 1), reason));
        }
    }
    let count: usize = entries.iter().map(|entry| entry.targets.len()).sum();
    if count > TARGETS_MAX {
        return Err(("alertmanagers".into(), format!("{count} targets, at most {TARGETS_MAX} are sent to")));
    }
    Ok(())
}

fn wrong(entry: &Alertmanagers) -> Option<String> {
    if entry.targets.is_empty() {
        return Some("targets is empty: write [\"host:port\", ...]".into());
    }
    if let Some(reason) = entry.targets.iter().find_map(|target| wrong_target(target)) {
        return Some(reason);
    }
    if !entry.path_prefix.starts_with('/') {
        return Some(format!("path_prefix: {:?} does not begin with /", entry.path_prefix));
    }
    if entry.external_labels.keys().any(|name| name.is_empty()) {
        return Some("external_labels: a name is empty".into());
    }
    if let Some(reason) = wrong_step(&entry.alert_relabel_configs) {
        return Some(format!("alert_relabel_configs, {reason}"));
    }
    if let Some(Err(error)) = entry.tenant.as_ref().map(|tenant| TenantId::new(tenant)) {
        return Some(format!("tenant: {error}"));
    }
    wrong_credentials(&entry.basic_auth, &entry.bearer_token, &entry.bearer_token_file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_that_cannot_be_sent_to_are_refused_with_the_key() {
        #[track_caller]
        fn refused(text: &str, part: &str) {
            let (place, reason) = check(&[toml::from_str(text).unwrap()]).expect_err(text);
            assert_eq!(place, "alertmanagers number 1");
            assert!(reason.contains(part), "{reason:?} lacks {part:?}");
        }
        let good: Alertmanagers =
            toml::from_str("targets = [\"am:9093\"]\nexternal_labels = {replica = \"a\"}").unwrap();
        check(std::slice::from_ref(&good)).unwrap();
        refused("", "targets is empty");
        refused("targets = [\"http://am:9093\"]", "no host:port");
        refused("targets = [\"am:1\"]\npath_prefix = \"am\"", "path_prefix");
        refused("targets = [\"am:1\"]\nexternal_labels = {\"\" = \"a\"}", "external_labels");
        refused("targets = [\"am:1\"]\nalert_relabel_configs = [{}]", "number 1: replace needs");
        refused("targets = [\"am:1\"]\ntenant = \"../x\"", "tenant");
        refused("targets = [\"am:1\"]\nbearer_token = \"x\"\nbearer_token_file = \"y\"", "only one");
        let many = Alertmanagers { targets: vec!["am:1".into(); TARGETS_MAX + 1], ..good };
        assert!(check(&[many]).unwrap_err().1.contains("at most"));
    }
}
