//! The socket in the data folder by which the command line asks a running server, since the store is open in one process only.
//!
//! Whoever may open the socket (mode 0600, so its owner) may do everything, as they could with the files beside it.
//! One JSON line in, one JSON line out, one exchange a connection.

use std::path::{Path, PathBuf};
use std::time::Duration;

use model::TenantId;
use serde::{Deserialize, Serialize};
use store::{Accounts, Copied, Scope, Store};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::OwnedWriteHalf;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;

/// Longest line of a request, in bytes.
const LINE_BYTES_MAX: u64 = 64 << 10;
/// Longest answer, in bytes: lists of as many tokens and tenants as there may be.
const ANSWER_BYTES_MAX: u64 = 64 << 20;
/// Longest path of a Unix socket, in bytes (`sun_path` of Linux has 108, the last of them 0).
const SOCKET_PATH_BYTES_MAX: usize = 107;
/// A peer that says nothing for this long is hung up on.
const PATIENCE: Duration = Duration::from_secs(5);

/// What can be asked.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case")]
pub enum Request {
    Tokens(TokenRequest),
    /// Into a folder that the server's user may write, by its absolute path; all tenants, or one.
    Backup {
        into: PathBuf,
        tenant: Option<String>,
    },
    ListTenants,
}

/// What needs the accounts alone.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "of_tokens", rename_all = "snake_case")]
pub enum TokenRequest {
    Create { name: String, scope: String, tenant: String },
    List,
    Revoke { id: String },
}

/// What is answered.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Reply {
    Created { id: String, secret: String },
    Tokens { tokens: Vec<TokenLine> },
    Revoked { existed: bool },
    BackedUp { tenants: Vec<String>, files: u64, bytes: u64 },
    Tenants { tenants: Vec<TenantLine> },
    Failed { reason: String },
}

/// A token as it is listed; never its secret.
#[derive(Debug, Serialize, Deserialize)]
pub struct TokenLine {
    pub id: String,
    pub name: String,
    pub scope: String,
    pub tenant: String,
    pub created_ms: i64,
}

/// A tenant as it is listed.
#[derive(Debug, Serialize, Deserialize)]
pub struct TenantLine {
    pub name: String,
    pub active_series: u64,
    pub disk_bytes: u64,
    pub newest_ms: Option<i64>,
}

/// Where the socket of a data folder is.
pub fn socket_path(data: &Path) -> PathBuf {
    data.join("control.sock")
}

/// Does what was asked, whether here in the server or in a command that has the store to itself. A backup takes as long as the data is
/// large.
pub fn answer(store: &Store, request: Request, now_ms: i64) -> Reply {
    match request {
        Request::Tokens(request) => answer_of_tokens(store.accounts(), request, now_ms),
        Request::Backup { into, tenant } => match back_up(store, &into, tenant.as_deref(), now_ms) {
            Ok(Copied { tenants, files, bytes }) => Reply::BackedUp { tenants, files, bytes },
            Err(reason) => Reply::Failed { reason },
        },
        Request::ListTenants => {
            let line = |(name, stats): (String, store::TenantStats)| TenantLine {
                name,
                active_series: stats.active_series,
                disk_bytes: stats.disk_bytes,
                newest_ms: stats.newest_sample_ms.max(stats.newest_log_ns.map(|at_ns| at_ns / model::time::NS_PER_MS)),
            };
            Reply::Tenants { tenants: store.stats().tenants.into_iter().map(line).collect() }
        }
    }
}

fn back_up(store: &Store, into: &Path, tenant: Option<&str>, now_ms: i64) -> Result<Copied, String> {
    if !into.is_absolute() {
        return Err(format!("{} is no absolute path", into.display()));
    }
    let only = tenant.map(TenantId::new).transpose().map_err(|error| error.to_string())?;
    let copied = store.backup(into, only.as_ref(), now_ms).map_err(|error| error.to_string())?;
    tracing::info!(into = %into.display(), files = copied.files, bytes = copied.bytes, "backed up");
    Ok(copied)
}

/// As [`answer`], for what needs no data of any tenant.
pub fn answer_of_tokens(accounts: &Accounts, request: TokenRequest, now_ms: i64) -> Reply {
    let done = match request {
        TokenRequest::Create { name, scope, tenant } => create(accounts, &name, &scope, &tenant, now_ms),
        TokenRequest::List => accounts
            .tokens()
            .map(|tokens| Reply::Tokens { tokens: tokens.iter().map(line).collect() })
            .map_err(|e| e.to_string()),
        TokenRequest::Revoke { id } => {
            accounts.revoke_token(&id).map(|existed| Reply::Revoked { existed }).map_err(|e| e.to_string())
        }
    };
    done.unwrap_or_else(|reason| Reply::Failed { reason })
}

fn create(accounts: &Accounts, name: &str, scope: &str, tenant: &str, now_ms: i64) -> Result<Reply, String> {
    let known = Scope::ALL.into_iter().find(|known| known.as_str() == scope);
    let scope =
        known.ok_or_else(|| format!("scope {scope:?} is none of {}", Scope::ALL.map(Scope::as_str).join(", ")))?;
    let tenant = TenantId::new(tenant).map_err(|error| error.to_string())?;
    let (token, secret) = accounts.create_token(name, scope, &tenant, now_ms).map_err(|error| error.to_string())?;
    Ok(Reply::Created { id: token.id, secret })
}

fn line(token: &store::Token) -> TokenLine {
    TokenLine {
        id: token.id.clone(),
        name: token.name.clone(),
        scope: token.scope.as_str().into(),
        tenant: token.tenant.to_string(),
        created_ms: token.created_ms,
    }
}

/// Opens the socket; one left behind by a crash is replaced.
pub fn listen(data: &Path) -> std::io::Result<UnixListener> {
    use std::os::unix::fs::PermissionsExt as _;
    let path = socket_path(data);
    if path.as_os_str().len() > SOCKET_PATH_BYTES_MAX {
        let path = path.display();
        let reason = format!(
            "{path}: the path of a socket may have at most {SOCKET_PATH_BYTES_MAX} bytes; use a data folder with a shorter one"
        );
        return Err(std::io::Error::new(std::io::ErrorKind::InvalidFilename, reason));
    }
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&path)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Answers until told to stop: one connection after the other, but for what takes long, which is done beside.
pub async fn serve(listener: UnixListener, store: Store, mut stop: watch::Receiver<bool>) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(|stop| *stop) => return,
        };
        let exchanged = match accepted {
            Ok((stream, _)) => tokio::time::timeout(PATIENCE, exchange(stream, &store)).await,
            Err(error) => Ok(Err(error)),
        };
        match exchanged {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "control socket"),
            Err(_) => tracing::warn!("control socket: no request within the time allowed"),
        }
    }
}

async fn exchange(stream: UnixStream, store: &Store) -> std::io::Result<()> {
    let (reader, writer) = stream.into_split();
    let mut text = String::new();
    BufReader::new(reader.take(LINE_BYTES_MAX)).read_line(&mut text).await?;
    let reply = match serde_json::from_str(&text) {
        Ok(request @ Request::Backup { .. }) => {
            let store = store.clone();
            tokio::spawn(async move {
                if let Err(error) = work_and_tell(writer, store, request).await {
                    tracing::warn!(%error, "control socket: nobody waits for the answer to a backup");
                }
            });
            return Ok(());
        }
        Ok(request) => return work_and_tell(writer, store.clone(), request).await,
        Err(error) => Reply::Failed { reason: format!("not understood: {error}") },
    };
    tell(writer, &reply).await
}

async fn work_and_tell(writer: OwnedWriteHalf, store: Store, request: Request) -> std::io::Result<()> {
    let work = tokio::task::spawn_blocking(move || answer(&store, request, crate::clock::now_ms()));
    tell(writer, &work.await.map_err(std::io::Error::other)?).await
}

async fn tell(mut writer: OwnedWriteHalf, reply: &Reply) -> std::io::Result<()> {
    let mut line = serde_json::to_vec(reply)?;
    line.push(b'\n');
    writer.write_all(&line).await
}

/// Asks the server that has the data folder open, and waits; `None` when none is running.
///
/// # Errors
/// A connection that ends before the answer.
pub fn ask(data: &Path, request: &Request) -> std::io::Result<Option<Reply>> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(exchanged(data, request))
}

async fn exchanged(data: &Path, request: &Request) -> std::io::Result<Option<Reply>> {
    let mut stream = match UnixStream::connect(socket_path(data)).await {
        Ok(stream) => stream,
        Err(error) if matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::ConnectionRefused) => {
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    let mut line = serde_json::to_vec(request)?;
    line.push(b'\n');
    stream.write_all(&line).await?;
    let mut text = String::new();
    BufReader::new(stream.take(ANSWER_BYTES_MAX)).read_line(&mut text).await?;
    Ok(Some(serde_json::from_str(&text)?))
}
