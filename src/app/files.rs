//! The files that `serve` reads again on SIGHUP, and `check` reads alone: rule files, notify.yml and dashboards.

use std::collections::BTreeMap;
use std::path::Path;

use model::TenantId;
use rules::{Group, RuleFileError};
use server::{Dashboard, DashboardError};

use crate::config;
use crate::files::{matching, read};

/// Every rule file with its groups, or with why it cannot be used; one bad file does not stop the others.
pub fn rules(config: &config::Rules) -> Vec<(String, Result<Vec<Group>, RuleFileError>)> {
    let interval_ms = config.evaluation_interval.ms;
    let mut out = Vec::new();
    if config.builtin {
        for (name, text) in rules::pack::builtin() {
            out.push(((*name).to_owned(), rules::file::parse(text, name, interval_ms)));
        }
    }
    for pattern in &config.files {
        match matching(pattern, is_rule_file) {
            Ok(files) => {
                for file in files {
                    let name = file.display().to_string();
                    let groups = read(&file)
                        .map_err(|reason| rule_error(&name, reason))
                        .and_then(|text| rules::file::parse(&text, &name, interval_ms));
                    out.push((name, groups));
                }
            }
            Err(reason) => {
                out.push((pattern.clone(), Err(rule_error(pattern, reason))));
            }
        }
    }
    out
}

/// The rule files as they were last good, so that one that breaks goes on with what it was.
#[derive(Default)]
pub(super) struct RuleFiles(BTreeMap<String, Vec<Group>>);

impl RuleFiles {
    /// Groups of every file as read now, of those that cannot be used as they were last, and why these cannot. Files that are gone are
    /// forgotten.
    pub(super) fn read(&mut self, config: &config::Rules) -> (Vec<Group>, Vec<String>) {
        let (mut read, mut wrong) = (BTreeMap::new(), Vec::new());
        for (file, result) in rules(config) {
            match result {
                Ok(groups) => {
                    read.insert(file, groups);
                }
                Err(error) => {
                    let kept = self.0.remove(&file);
                    tracing::error!(%error, kept_last_good = kept.is_some(), "rule file not used");
                    let instead = if kept.is_some() { "its last good version stays" } else { "none of its rules run" };
                    wrong.push(format!("{error}; {instead}"));
                    if let Some(groups) = kept {
                        read.insert(file, groups);
                    }
                }
            }
        }
        self.0 = read;
        (self.0.values().flatten().cloned().collect(), wrong)
    }
}

/// notify.yml read again, or why it is not used. One that is gone is as wrong as one that cannot be read: somebody was told by it.
pub(super) fn notify_again(file: &Path, was_there: bool) -> Result<notify::Config, String> {
    match notify(file) {
        Ok(Some(told)) => Ok(told),
        Ok(None) if was_there => Err(format!("{}: it is gone, and without it nobody would be told", file.display())),
        Ok(None) => Ok(notify::Config::silent()),
        Err(error) => Err(error.to_string()),
    }
}

/// notify.yml checked, or `None` when there is no such file.
pub fn notify(file: &Path) -> Result<Option<notify::Config>, notify::ConfigError> {
    let name = file.display().to_string();
    match file.try_exists() {
        Ok(false) => return Ok(None),
        Ok(true) => {}
        Err(error) => return Err(notify::ConfigError { file: name, line: 1, reason: error.to_string() }),
    }
    let text = read(file).map_err(|reason| notify::ConfigError { file: name.clone(), line: 1, reason })?;
    notify::Config::parse(&text, &name, file.parent().unwrap_or(Path::new("."))).map(Some)
}

/// Every dashboard's file, or why it cannot be shown.
pub fn dashboards(config: &config::Dashboards) -> Vec<Result<Dashboard, DashboardError>> {
    let wrong = |file: &str, reason: String| DashboardError { file: file.into(), line: 1, reason };
    let mut out = Vec::new();
    for pattern in &config.files {
        match matching(pattern, |_| true) {
            Ok(files) => out.extend(files.iter().map(|file| {
                let shown = file.display().to_string();
                let name = file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
                let text = read(file).map_err(|reason| wrong(&shown, reason))?;
                Dashboard::parse(&name, &text, &shown)
            })),
            Err(reason) => out.push(Err(wrong(pattern, reason))),
        }
    }
    out
}

/// As [`dashboards`]; what is wrong is logged as well, since nobody may look at the page.
pub(super) fn dashboards_for_pages(config: &config::Dashboards) -> Vec<Result<Dashboard, DashboardError>> {
    let read = dashboards(config);
    for error in read.iter().filter_map(|made| made.as_ref().err()) {
        tracing::error!(%error, "dashboard not shown");
    }
    read
}

/// What notify.yml asks for and does not get, a line each.
pub fn not_given(told: &notify::Config, config: &config::Rules) -> Vec<String> {
    let has_rules =
        |tenant: &TenantId| *tenant == TenantId::default() || config.tenants.iter().any(|name| name == tenant.as_str());
    let unwatched = told.tenants().into_iter().filter(|(tenant, _)| !has_rules(tenant)).map(|(tenant, what)| {
        format!(
            "notify.yml: {what} is of tenant {tenant}, over whose data no rules are evaluated; name it in rules.tenants"
        )
    });
    told.warnings().iter().cloned().chain(unwatched).collect()
}

/// Logs what notify.yml asks for and does not get.
pub(super) fn warn_of(told: &notify::Config, config: &config::Rules) {
    for warning in not_given(told, config) {
        tracing::warn!("{warning}");
    }
}

fn rule_error(file: &str, reason: String) -> RuleFileError {
    RuleFileError { file: file.into(), line: 1, reason, more: Vec::new() }
}

/// A pack's test stands beside it and is no rule file.
fn is_rule_file(name: &str) -> bool {
    !name.ends_with(".test.yml")
}
