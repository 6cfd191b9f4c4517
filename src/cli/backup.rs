//! `binnacle backup` and `binnacle restore`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use super::{ConfigArgs, Failure, verify};
use crate::config::Overrides;
use crate::control::{self, Reply, Request};

#[derive(Debug, Args)]
pub(super) struct BackupArgs {
    #[command(flatten)]
    from: ConfigArgs,
    /// Folder of the copy.
    into: PathBuf,
}

#[derive(Debug, Args)]
pub(super) struct RestoreArgs {
    #[command(flatten)]
    to: ConfigArgs,
    /// Folder of the copy.
    from: PathBuf,
}

pub(super) fn run(args: &BackupArgs) -> Result<ExitCode, Failure> {
    let config = args.from.load(Overrides::default())?;
    back_up(&config.data, &args.into, None)
}

/// Of all tenants or one, by the server that uses the data folder, or without one.
pub(super) fn back_up(data: &Path, into: &Path, tenant: Option<String>) -> Result<ExitCode, Failure> {
    let request = Request::Backup { into: std::path::absolute(into)?, tenant };
    match answer(data, request)? {
        Reply::BackedUp { tenants, files, bytes } => {
            say!("copied {files} files, {bytes} bytes; tenants: {}", tenants.join(", "));
            Ok(ExitCode::SUCCESS)
        }
        other => Err(unexpected(&other)),
    }
}

/// By the server that uses the data folder, or here when none does.
pub(super) fn answer(data: &Path, request: Request) -> Result<Reply, Failure> {
    let reply = match control::ask(data, &request)? {
        Some(reply) => reply,
        None => {
            let store = verify::open(data)?;
            let reply = control::answer(&store, request, crate::clock::now_ms());
            store.close()?;
            reply
        }
    };
    match reply {
        Reply::Failed { reason } => Err(reason.into()),
        reply => Ok(reply),
    }
}

/// A server of another version may answer what nobody asked.
pub(super) fn unexpected(reply: &Reply) -> Failure {
    format!("the server answered something else: {reply:?}").into()
}

pub(super) fn restore(args: &RestoreArgs) -> Result<ExitCode, Failure> {
    let config = args.to.load(Overrides::default())?;
    let copied = store::restore(&args.from, &config.data, None)?;
    say!("restored {} files, {} bytes", copied.files, copied.bytes);
    // Indexes of logs are not in a backup.
    verify::look_through(&config.data, true)
}
