//! `binnacle export`: rules without what is ours alone.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::Failure;

/// Interval of groups that name none.
const INTERVAL_MS: i64 = 30_000;

#[derive(Debug, Args)]
pub(super) struct ExportArgs {
    /// As Prometheus reads them: without "x:", levels and objectives written out.
    #[arg(long, required = true)]
    prometheus: bool,
    /// The rule files.
    #[arg(required = true)]
    files: Vec<PathBuf>,
}

pub(super) fn run(args: &ExportArgs) -> Result<ExitCode, Failure> {
    debug_assert!(args.prometheus, "clap requires it");
    let mut groups = Vec::new();
    for file in &args.files {
        let name = file.display().to_string();
        let text = std::fs::read_to_string(file).map_err(|error| format!("{name}: {error}"))?;
        groups.extend(rules::file::parse(&text, &name, INTERVAL_MS)?);
    }
    let (text, lost) = rules::export::prometheus(&groups);
    say_text!("{text}");
    for what in lost {
        eprintln!("{what}");
    }
    Ok(ExitCode::SUCCESS)
}
