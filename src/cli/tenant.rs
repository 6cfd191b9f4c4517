//! `binnacle tenant`: which there are, from one machine to another, and away.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;
use model::TenantId;
use model::time::rfc3339_ms;

use super::{ConfigArgs, Failure, backup};
use crate::config::Overrides;
use crate::control::{Reply, Request};

#[derive(Debug, Subcommand)]
pub(super) enum TenantVerb {
    /// List tenants with what they hold.
    List {
        #[command(flatten)]
        from: ConfigArgs,
    },
    /// Copy one tenant, while a server uses it or not.
    #[command(
        after_help = "Example:\n  binnacle tenant export vessel-7 /backup/vessel-7\n\nIts tokens are not copied."
    )]
    Export {
        #[command(flatten)]
        from: ConfigArgs,
        name: String,
        /// Folder of the copy: empty, or not there yet.
        into: PathBuf,
    },
    /// Put a tenant of a copy or of a backup into a data folder that no server uses.
    #[command(after_help = "Example:\n  binnacle tenant import vessel-7 /backup/vessel-7 --rename vessel-9")]
    Import {
        #[command(flatten)]
        to: ConfigArgs,
        name: String,
        /// Folder of the copy.
        from_folder: PathBuf,
        /// Another name for it here.
        #[arg(long, value_name = "NAME")]
        rename: Option<String>,
    },
    /// Remove a tenant with all its data and tokens from a data folder that no server uses. Nothing brings it back.
    #[command(after_help = "Example:\n  binnacle tenant erase vessel-7 --yes")]
    Erase {
        #[command(flatten)]
        from: ConfigArgs,
        name: String,
        /// Really.
        #[arg(long)]
        yes: bool,
    },
}

pub(super) fn run(verb: TenantVerb) -> Result<ExitCode, Failure> {
    match verb {
        TenantVerb::List { from } => list(&from),
        TenantVerb::Export { from, name, into } => {
            backup::back_up(&from.load(Overrides::default())?.data, &into, Some(name))
        }
        TenantVerb::Import { to, name, from_folder, rename } => {
            let config = to.load(Overrides::default())?;
            let (id, rename) = (TenantId::new(&name)?, TenantId::new(rename.as_deref().unwrap_or(&name))?);
            let copied = store::restore(&from_folder, &config.data, Some((&id, &rename)))?;
            say!("tenant {rename}: {} files, {} bytes", copied.files, copied.bytes);
            Ok(ExitCode::SUCCESS)
        }
        TenantVerb::Erase { from, name, yes } => {
            let config = from.load(Overrides::default())?;
            if !yes {
                return Err(format!("this removes all data of tenant {name} for good; say --yes to do it").into());
            }
            store::erase(&config.data, &TenantId::new(&name)?)?;
            say!("tenant {name} is erased");
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn list(from: &ConfigArgs) -> Result<ExitCode, Failure> {
    let config = from.load(Overrides::default())?;
    let tenants = match backup::answer(&config.data, Request::ListTenants)? {
        Reply::Tenants { tenants } => tenants,
        other => return Err(backup::unexpected(&other)),
    };
    say!("{:>14} {:>14} {:<24} NAME", "ACTIVE SERIES", "DISK BYTES", "NEWEST DATA");
    for tenant in tenants {
        let newest = tenant.newest_ms.map_or("-".into(), rfc3339_ms);
        say!("{:>14} {:>14} {newest:<24} {}", tenant.active_series, tenant.disk_bytes, tenant.name);
    }
    Ok(ExitCode::SUCCESS)
}
