//! `binnacle check`: everything that `serve` would read, read without serving.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::ask::ServerArgs;
use super::{ConfigArgs, Failure};
use crate::app::files;
use crate::config::{Config, Overrides};
use crate::forward::Forwarder;
use crate::scrape;

#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    #[command(flatten)]
    from: ConfigArgs,
    /// A running server whose metrics are compared with those that rules name, so that misspelt ones are found.
    #[arg(long, env = "BINNACLE_URL", value_name = "URL")]
    url: Option<String>,
    /// API token with the read scope, where that server asks for one.
    #[arg(long, env = "BINNACLE_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// Tenant, where the server asks for no token.
    #[arg(long, requires = "url")]
    tenant: Option<String>,
    /// Rule files to check instead of what the configuration names.
    files: Vec<PathBuf>,
}

pub(super) fn run(args: &CheckArgs) -> Result<ExitCode, Failure> {
    let mut config = args.from.load(Overrides::default())?;
    if !args.files.is_empty() {
        config.rules.builtin = false;
        config.rules.files = args.files.iter().map(|path| path.display().to_string()).collect();
    }
    let mut failed = false;
    let mut all = Vec::new();
    for (file, result) in files::rules(&config.rules) {
        match result {
            Ok(groups) => {
                let rules: usize = groups.iter().map(|group| group.rules.len()).sum();
                say!("{file}: {} groups, {rules} rules", groups.len());
                all.extend(groups);
            }
            Err(error) => {
                failed = true;
                say!("{error}");
            }
        }
    }
    let metrics = metrics(args)?;
    for finding in rules::lint::lint(&all, metrics.as_deref()) {
        say!("{}:{}: warning: {}", finding.file, finding.line, finding.message);
    }
    if args.files.is_empty() {
        failed |= !check_notify(&config);
        for dashboard in files::dashboards(&config.dashboards) {
            match dashboard {
                Ok(dashboard) => say!("{}: ok", dashboard.file),
                Err(error) => {
                    failed = true;
                    say!("{error}");
                }
            }
        }
        for job in &config.scrape {
            match scrape::check(job) {
                Ok(targets) => say!("scrape {:?}: {targets} targets", job.job),
                Err(error) => {
                    failed = true;
                    say!("{error}");
                }
            }
        }
        match Forwarder::new(&config.alertmanagers) {
            Ok(all) => all.urls().for_each(|(url, _)| say!("alertmanagers: {url}")),
            Err(error) => {
                failed = true;
                say!("{error}");
            }
        }
    }
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Names of the metrics that a server stores, if one is named.
fn metrics(args: &CheckArgs) -> Result<Option<Vec<String>>, Failure> {
    let Some(url) = &args.url else { return Ok(None) };
    let server = ServerArgs::new(url.clone(), args.token.clone(), args.tenant.clone());
    let answer = server.ask("label/__name__/values", &[])?;
    let names = answer.data.as_array().into_iter().flatten();
    Ok(Some(names.filter_map(|name| name.as_str().map(String::from)).collect()))
}

/// That whoever is told follows links to themselves.
fn links_lead_nowhere(config: &Config, told: &notify::Config) -> Option<String> {
    let url = &config.notify.external_url;
    let begins = if url.is_empty() { "http://127.0.0.1" } else { url };
    (told.tells_anybody() && config.links_stay_here()).then(|| {
        format!("links in messages begin with {begins}, which leads other machines and phones to themselves: set notify.external_url")
    })
}

fn check_notify(config: &Config) -> bool {
    let file = &config.notify.file;
    match files::notify(file) {
        Ok(Some(told)) => {
            for warning in files::not_given(&told, &config.rules) {
                say!("warning: {warning}");
            }
            if let Some(warning) = links_lead_nowhere(config, &told) {
                say!("warning: {warning}");
            }
            say!("{}: ok", file.display());
        }
        Ok(None) => say!("{}: not there, so nobody is told of alerts", file.display()),
        Err(error) => {
            say!("{error}");
            return false;
        }
    }
    true
}
