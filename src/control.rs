//! The socket in the data folder by which the command line asks a running server, since the store is open in one process only.
//!
//! Whoever may open the socket (mode 0600, so its owner) may do everything, as they could with the files beside it.
//! One JSON line in, one JSON line out, one exchange a connection.

use std::path::{Path, PathBuf};
use std::time::Duration;

use model::TenantId;
use serde::{Deserialize, Serialize};
use store::{Accounts, Scope};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;

/// Longest line of a request, in bytes.
const LINE_BYTES_MAX: u64 = 64 << 10;
/// A peer that says nothing for this long is hung up on.
const PATIENCE: Duration = Duration::from_secs(5);

/// What can be asked.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case")]
pub enum Request {
    CreateToken { name: String, scope: String, tenant: String },
    ListTokens,
    RevokeToken { id: String },
}

/// What is answered.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Reply {
    Created { id: String, secret: String },
    Tokens { tokens: Vec<TokenLine> },
    Revoked { existed: bool },
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

/// Where the socket of a data folder is.
pub fn socket_path(data: &Path) -> PathBuf {
    data.join("control.sock")
}

/// Does what was asked, whether here in the server or in a command that has the store to itself.
pub fn answer(accounts: &Accounts, request: Request, now_ms: i64) -> Reply {
    let done = match request {
        Request::CreateToken { name, scope, tenant } => create(accounts, &name, &scope, &tenant, now_ms),
        Request::ListTokens => accounts
            .tokens()
            .map(|tokens| Reply::Tokens { tokens: tokens.iter().map(line).collect() })
            .map_err(|e| e.to_string()),
        Request::RevokeToken { id } => {
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
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&path)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Answers one connection after the other until told to stop.
pub async fn serve(listener: UnixListener, accounts: Accounts, mut stop: watch::Receiver<bool>) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(|stop| *stop) => return,
        };
        let exchanged = match accepted {
            Ok((stream, _)) => tokio::time::timeout(PATIENCE, exchange(stream, &accounts)).await,
            Err(error) => Ok(Err(error)),
        };
        match exchanged {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "control socket"),
            Err(_) => tracing::warn!("control socket: no request within the time allowed"),
        }
    }
}

async fn exchange(stream: UnixStream, accounts: &Accounts) -> std::io::Result<()> {
    let (reader, mut writer) = stream.into_split();
    let mut text = String::new();
    BufReader::new(reader.take(LINE_BYTES_MAX)).read_line(&mut text).await?;
    let reply = match serde_json::from_str(&text) {
        Ok(request) => {
            let accounts = accounts.clone();
            tokio::task::spawn_blocking(move || answer(&accounts, request, crate::clock::now_ms()))
                .await
                .map_err(std::io::Error::other)?
        }
        Err(error) => Reply::Failed { reason: format!("not understood: {error}") },
    };
    let mut line = serde_json::to_vec(&reply)?;
    line.push(b'\n');
    writer.write_all(&line).await
}

/// Asks the server that has the data folder open; `None` when none is running.
pub async fn ask(data: &Path, request: &Request) -> std::io::Result<Option<Reply>> {
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
    BufReader::new(stream.take(LINE_BYTES_MAX)).read_line(&mut text).await?;
    Ok(Some(serde_json::from_str(&text)?))
}
