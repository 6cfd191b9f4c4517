//! Who we say we are to others: a name and its password, or a token; from the configuration, the environment or a file.

use std::path::{Path, PathBuf};

use reqwest::RequestBuilder;

use crate::config::{BasicAuth, Secret};

/// Largest file that a secret is read from, in bytes.
const SECRET_BYTES_MAX: u64 = 64 << 10;

pub(crate) enum Credentials {
    None,
    Basic { username: String, password: Held },
    Bearer(Held),
}

/// Where a secret is.
pub(crate) enum Held {
    Here(String),
    File(PathBuf),
}

impl Credentials {
    /// The configuration has at most one of them.
    ///
    /// # Errors
    /// When the environment lacks the variable that is to hold a secret.
    pub(crate) fn new(
        basic: &Option<BasicAuth>,
        token: &Option<Secret>,
        token_file: &Option<PathBuf>,
    ) -> Result<Credentials, String> {
        Ok(match (basic, token, token_file) {
            (Some(basic), _, _) => {
                let password = Held::new(basic.password.as_ref(), basic.password_file.as_deref(), "password")?;
                Credentials::Basic { username: basic.username.clone(), password }
            }
            (None, None, None) => Credentials::None,
            (None, token, file) => Credentials::Bearer(Held::new(token.as_ref(), file.as_deref(), "bearer_token")?),
        })
    }

    /// The request with the header `Authorization`. A file is read anew each time.
    pub(crate) async fn add_to(&self, request: RequestBuilder) -> Result<RequestBuilder, String> {
        Ok(match self {
            Credentials::None => request,
            Credentials::Basic { username, password } => request.basic_auth(username, Some(password.read().await?)),
            Credentials::Bearer(token) => request.bearer_auth(token.read().await?),
        })
    }
}

impl Held {
    fn new(here: Option<&Secret>, file: Option<&Path>, key: &str) -> Result<Held, String> {
        if let Some(file) = file {
            return Ok(Held::File(file.to_owned()));
        }
        let text = here.map(|secret| secret.0.as_str()).unwrap_or_default();
        match text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')) {
            None => Ok(Held::Here(text.to_owned())),
            Some(name) => match std::env::var(name) {
                Ok(secret) => Ok(Held::Here(secret)),
                Err(_) => Err(format!("{key}: the environment has no variable {name}")),
            },
        }
    }

    async fn read(&self) -> Result<String, String> {
        let path = match self {
            Held::Here(secret) => return Ok(secret.clone()),
            Held::File(path) => path,
        };
        let failed = |reason: String| format!("the secret in {}: {reason}", path.display());
        let size = tokio::fs::metadata(path).await.map_err(|error| failed(error.to_string()))?.len();
        if size > SECRET_BYTES_MAX {
            return Err(failed(format!("{size} bytes, at most {SECRET_BYTES_MAX} are read")));
        }
        let text = tokio::fs::read_to_string(path).await.map_err(|error| failed(error.to_string()))?;
        Ok(text.trim().to_owned())
    }
}
