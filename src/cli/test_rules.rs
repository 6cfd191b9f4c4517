//! `binnacle test rules`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use rules::test_runner::{self, Told};
use store::Evaluation;

use super::Failure;

pub(super) fn run(files: &[PathBuf]) -> Result<ExitCode, Failure> {
    let mut failed = 0;
    for file in files {
        let text = std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
        let failures = test_runner::run(&text, file.parent().unwrap_or(Path::new(".")), &rehearse)
            .map_err(|error| format!("{}: {error}", file.display()))?;
        say!("{}: {}", file.display(), if failures.is_empty() { "ok" } else { "FAILED" });
        for failure in &failures {
            say!("  {}: {}", failure.test, failure.message);
        }
        failed += failures.len();
    }
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Where links of rehearsed messages lead: the default of `notify.external_url`.
const EXTERNAL_URL: &str = "http://127.0.0.1:8080";

/// What the configuration file makes of the evaluations, with nobody told.
fn rehearse(file: &Path, evaluations: &[Evaluation], until_ms: i64) -> Result<Vec<Told>, String> {
    let words = |error: &dyn std::fmt::Display| format!("{}: {error}", file.display());
    let text = std::fs::read_to_string(file).map_err(|error| words(&error))?;
    let dir = file.parent().unwrap_or(Path::new("."));
    let config = notify::Config::parse(&text, &file.display().to_string(), dir).map_err(|error| error.to_string())?;
    let folder = tempfile::tempdir().map_err(|error| words(&error))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| words(&error))?;
    let told = notify::rehearse(folder.path(), config, EXTERNAL_URL, evaluations, until_ms);
    let told = runtime.block_on(told).map_err(|error| words(&error))?;
    let told = told.into_iter().map(|notify::Told { at_ms, receiver, channel, title, text }| Told {
        at_ms,
        receiver,
        channel: channel.to_owned(),
        title,
        text,
    });
    Ok(told.collect())
}
