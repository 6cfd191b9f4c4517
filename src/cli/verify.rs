//! `binnacle verify`: reads everything in a data folder that no server uses, or in a backup, and tells what is damaged.

use std::path::Path;
use std::process::ExitCode;

use clap::Args;
use store::Store;

use super::{ConfigArgs, Failure};
use crate::config::Overrides;

#[derive(Debug, Args)]
pub(super) struct VerifyArgs {
    #[command(flatten)]
    from: ConfigArgs,
    /// Make the index of the logs anew before it is checked.
    #[arg(long)]
    rebuild_index: bool,
}

pub(super) fn run(args: &VerifyArgs) -> Result<ExitCode, Failure> {
    let data = args.from.load(Overrides::default())?.data;
    if !store::is_copy(&data) {
        return look_through(&data, args.rebuild_index);
    }
    let (made, copied) = store::check_copy(&data)?;
    let (files, bytes) = (copied.files, copied.bytes);
    say!("the backup of {made} is whole: {files} files, {bytes} bytes; tenants: {}", copied.tenants.join(", "));
    Ok(ExitCode::SUCCESS)
}

/// The store of a data folder that no server uses. Nothing in it is thrown away: no upkeep runs, and a full disk can be read.
pub(super) fn open(data: &Path) -> Result<Store, Failure> {
    if !data.is_dir() {
        return Err(format!("{}: there is no such data folder", data.display()).into());
    }
    // Opening it would make a store of whatever folder was named by mistake.
    if ![store::ACCOUNTS_FILE, store::TENANTS].iter().any(|name| data.join(name).exists()) {
        return Err(format!("{}: there is no data of binnacle in this folder", data.display()).into());
    }
    let options = store::Options { disk_free_min: 0, ..store::Options::new(data) };
    Ok(Store::open(options, crate::clock::now_ms())?)
}

/// Reads all of it and prints what is there.
pub(super) fn look_through(data: &Path, rebuild_index: bool) -> Result<ExitCode, Failure> {
    let store = open(data)?;
    // What of this is set aside comes again below, with its tenant.
    let mut damaged =
        store.warnings().iter().filter(|warning| warning.contains("cannot be opened")).fold(0, |sum, warning| {
            say!("{warning}");
            sum + 1
        });
    for tenant in store.open_tenants() {
        let found = tenant.verify(rebuild_index)?;
        say!(
            "tenant {}: {} series with {} samples; {} log records in {} blocks, {} index segments, {} blocks outside the index",
            tenant.id(),
            found.series,
            found.samples,
            found.log_records,
            found.log_blocks,
            found.log_segments,
            found.log_blocks_outside_index
        );
        for what in &found.damage {
            say!("tenant {}: {what}", tenant.id());
        }
        damaged += found.damage.len();
    }
    store.close()?;
    if damaged > 0 {
        say!("{damaged} damaged");
        return Ok(ExitCode::FAILURE);
    }
    say!("everything can be read");
    Ok(ExitCode::SUCCESS)
}
