//! Asking a running server over its HTTP API.

use std::time::Duration;

use clap::Args;
use serde_json::Value;

use super::Failure;

/// To connect; the answer may take as long as the server's own timeout lets it.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// Which server, and as whom.
#[derive(Debug, Args)]
pub(super) struct ServerArgs {
    /// The running server.
    #[arg(long, env = "BINNACLE_URL", default_value = "http://127.0.0.1:8080", value_name = "URL")]
    url: String,
    /// API token with the read scope, where the server asks for one.
    #[arg(long, env = "BINNACLE_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// Tenant, where the server asks for no token.
    #[arg(long)]
    tenant: Option<String>,
}

/// A successful answer.
pub(super) struct Answer {
    pub(super) data: Value,
    /// Warnings and infos.
    pub(super) notes: Vec<String>,
}

impl ServerArgs {
    pub(super) fn new(url: String, token: Option<String>, tenant: Option<String>) -> ServerArgs {
        ServerArgs { url, token, tenant }
    }

    /// Posts a form to `/api/v1/{path}`.
    ///
    /// # Errors
    /// That the server cannot be reached, with its URL; or what it answered instead of data, in its own words.
    pub(super) fn ask(&self, path: &str, form: &[(&str, String)]) -> Result<Answer, Failure> {
        tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(self.post(path, form))
    }

    async fn post(&self, path: &str, form: &[(&str, String)]) -> Result<Answer, Failure> {
        let (url, response) = self.send(path, form).await?;
        let status = response.status();
        let body = response.bytes().await.map_err(|error| format!("{url}: {}", innermost(&error)))?;
        read(&body).map_err(|reason| format!("{url}: {status}: {reason}").into())
    }

    /// Posts a form to `/api/v1/{path}` and returns the body, of whatever type.
    ///
    /// # Errors
    /// As [`ServerArgs::ask`].
    pub(super) async fn ask_text(&self, path: &str, form: &[(&str, String)]) -> Result<String, Failure> {
        let response = self.open(path, form).await.map_err(|refused| refused.reason)?;
        let url = response.url().to_string();
        Ok(response.text().await.map_err(|error| format!("{url}: {}", innermost(&error)))?)
    }

    /// Posts a form to `/api/v1/{path}` and returns the answer while it is still coming.
    pub(super) async fn open(&self, path: &str, form: &[(&str, String)]) -> Result<reqwest::Response, Refused> {
        let sent = self.send(path, form).await;
        let (url, response) = sent.map_err(|error| Refused { reason: error.to_string(), can_retry: true })?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let can_retry = status.is_server_error() || status == reqwest::StatusCode::TOO_MANY_REQUESTS;
        let body = response.bytes().await.unwrap_or_default();
        let reason = read(&body).map_or_else(|reason| reason, |_| "no reason given".into());
        Err(Refused { reason: format!("{url}: {status}: {reason}"), can_retry })
    }

    async fn send(&self, path: &str, form: &[(&str, String)]) -> Result<(String, reqwest::Response), Failure> {
        let url = format!("{}/api/v1/{path}", self.url.trim_end_matches('/'));
        // One's own server, mostly on loopback: a proxy for the world outside is of no use.
        let client = reqwest::Client::builder().no_proxy().connect_timeout(CONNECT_WITHIN).build()?;
        let mut request = client.post(&url).form(form);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        if let Some(tenant) = &self.tenant {
            request = request.header("X-Scope-OrgID", tenant);
        }
        let response = request.send().await.map_err(|error| {
            format!("{}: {}; is the server running? (--url, BINNACLE_URL)", self.url, innermost(&error))
        })?;
        Ok((url, response))
    }
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) reason: String,
    /// Whether the same request may be answered later.
    pub(super) can_retry: bool,
}

/// Data and notes of an envelope, or why there are none.
fn read(body: &[u8]) -> Result<Answer, String> {
    let mut json: Value = serde_json::from_slice(body)
        .map_err(|_| format!("not an answer of the API: {}", String::from_utf8_lossy(&body[..body.len().min(200)])))?;
    if json["status"] != "success" {
        return Err(json["error"].as_str().unwrap_or("no reason given").to_owned());
    }
    let lines = |key: &str| json[key].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned);
    let notes = lines("warnings").chain(lines("infos")).collect();
    Ok(Answer { data: json["data"].take(), notes })
}

/// What it was in the end: reqwest's own words are about the request.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn envelopes_are_read() {
        for (body, expected) in [
            (r#"{"status":"success","data":[1],"warnings":["w"],"infos":["i"]}"#, Ok("[1] w i")),
            (r#"{"status":"success","data":{}}"#, Ok("{}")),
            (r#"{"status":"error","errorType":"bad_data","error":"no"}"#, Err("no")),
            (r#"{"status":"error"}"#, Err("no reason given")),
            ("<html>", Err("not an answer of the API: <html>")),
            ("", Err("not an answer of the API: ")),
        ] {
            let found = read(body.as_bytes());
            let found = found.map(|answer| {
                let notes = answer.notes.iter().map(|note| format!(" {note}")).collect::<String>();
                format!("{}{notes}", answer.data)
            });
            assert_eq!(found, expected.map(str::to_owned).map_err(str::to_owned), "{body}");
        }
    }
}
