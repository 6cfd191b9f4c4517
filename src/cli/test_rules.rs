//! `binnacle test rules`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::Failure;

pub(super) fn run(files: &[PathBuf]) -> Result<ExitCode, Failure> {
    let mut failed = 0;
    for file in files {
        let text = std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
        let failures = rules::test_runner::run(&text, file.parent().unwrap_or(Path::new(".")))
            .map_err(|error| format!("{}: {error}", file.display()))?;
        println!("{}: {}", file.display(), if failures.is_empty() { "ok" } else { "FAILED" });
        for failure in &failures {
            println!("  {}: {}", failure.test, failure.message);
        }
        failed += failures.len();
    }
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
