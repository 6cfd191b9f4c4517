//! `binnacle token`: asks the running server, or opens the store itself when none runs.

use std::path::Path;
use std::process::ExitCode;

use clap::Subcommand;
use store::Accounts;

use super::backup::unexpected;
use super::{ConfigArgs, Failure};
use crate::config::Overrides;
use crate::control::{self, Reply, Request, TokenRequest};

#[derive(Debug, Subcommand)]
pub(super) enum TokenVerb {
    /// Make a token and print its secret, once.
    #[command(
        after_help = "Examples:\n  binnacle token create --name collector --scope ingest\n  binnacle token create --name grafana --scope read --tenant vessel-7"
    )]
    Create {
        #[command(flatten)]
        from: ConfigArgs,
        /// What it is for, to recognise it in the list.
        #[arg(long)]
        name: String,
        /// ingest: push OTLP; read: query and see pages; operate: read, silence, acknowledge and push alerts; admin: everything.
        #[arg(long, value_parser = ["ingest", "read", "operate", "admin"])]
        scope: String,
        #[arg(long, default_value = model::TenantId::DEFAULT)]
        tenant: String,
    },
    /// List tokens, without their secrets.
    List {
        #[command(flatten)]
        from: ConfigArgs,
    },
    /// End a token by its id.
    Revoke {
        #[command(flatten)]
        from: ConfigArgs,
        id: String,
    },
}

pub(super) fn run(verb: TokenVerb) -> Result<ExitCode, Failure> {
    let (from, request) = match verb {
        TokenVerb::Create { from, name, scope, tenant } => (from, TokenRequest::Create { name, scope, tenant }),
        TokenVerb::List { from } => (from, TokenRequest::List),
        TokenVerb::Revoke { from, id } => (from, TokenRequest::Revoke { id }),
    };
    let config = from.load(Overrides::default())?;
    match ask(&config.data, request)? {
        Reply::Created { id, secret } => {
            say!("{secret}");
            eprintln!("token {id}: this secret is shown once; only its hash is stored");
        }
        Reply::Tokens { tokens } => {
            say!("{:<12} {:<8} {:<16} {:<24} NAME", "ID", "SCOPE", "TENANT", "CREATED");
            for token in tokens {
                let created = model::time::rfc3339_ms(token.created_ms);
                say!("{:<12} {:<8} {:<16} {created:<24} {}", token.id, token.scope, token.tenant, token.name);
            }
        }
        Reply::Revoked { existed: true } => say!("revoked"),
        Reply::Revoked { existed: false } => return Err("no token has that id; see binnacle token list".into()),
        Reply::Failed { reason } => return Err(reason.into()),
        other => return Err(unexpected(&other)),
    }
    Ok(ExitCode::SUCCESS)
}

fn ask(data: &Path, request: TokenRequest) -> Result<Reply, Failure> {
    if let Some(reply) = control::ask(data, &Request::Tokens(request.clone()))? {
        return Ok(reply);
    }
    store::refuse_copy(data)?;
    if !data.join(store::ACCOUNTS_FILE).exists() {
        let data = data.display();
        if !matches!(request, TokenRequest::Create { .. }) {
            return Err(format!(
                "{data}: there are no tokens of binnacle in this folder; name the server's with --data"
            )
            .into());
        }
        eprintln!(
            "{data} held no data of binnacle yet: only a server that is started with this folder will know the token"
        );
    }
    std::fs::create_dir_all(data).map_err(|error| format!("{}: {error}", data.display()))?;
    let accounts = Accounts::open(&data.join(store::ACCOUNTS_FILE))?;
    Ok(control::answer_of_tokens(&accounts, request, crate::clock::now_ms()))
}
