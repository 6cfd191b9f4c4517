//! `binnacle check`: everything that `serve` would read, read without serving.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use super::{ConfigArgs, Failure};
use crate::app::files;
use crate::config::Overrides;
use crate::scrape;

#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    #[command(flatten)]
    from: ConfigArgs,
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
    for (file, result) in files::rules(&config.rules) {
        match result {
            Ok(groups) => {
                let rules: usize = groups.iter().map(|group| group.rules.len()).sum();
                println!("{file}: {} groups, {rules} rules", groups.len());
            }
            Err(error) => {
                failed = true;
                println!("{error}");
            }
        }
    }
    if args.files.is_empty() {
        failed |= !check_notify(&config.notify.file);
        for job in &config.scrape {
            match scrape::check(job) {
                Ok(()) => println!("scrape {:?}: {} targets", job.job, job.targets.len()),
                Err(error) => {
                    failed = true;
                    println!("{error}");
                }
            }
        }
    }
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn check_notify(file: &Path) -> bool {
    match files::notify(file) {
        Ok(Some(_)) => println!("{}: ok", file.display()),
        Ok(None) => println!("{}: not there, so nobody is told of alerts", file.display()),
        Err(error) => {
            println!("{error}");
            return false;
        }
    }
    true
}
