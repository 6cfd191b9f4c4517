//! A picture in a message's thread: asked for, put where Slack says, and shared.
//!
//! Needs the scope `files:write`. Nothing waits for it, and what it comes to changes nothing about the message.
//! <https://docs.slack.dev/messaging/working-with-files#uploading_files>

use serde_json::{Value, json};

use crate::picture::Chart;

use super::Clients;
use super::http_clients::{plain_error, read_whole};

/// Longest answer read, in bytes.
const ANSWER_BYTES_MAX: usize = 256 << 10;
/// Errors that a later try meets again, until somebody changes the app (docs.slack.dev, files.getUploadURLExternal, "Errors").
const LASTING_ERRORS: [&str; 7] = [
    "missing_scope",
    "no_permission",
    "not_allowed_token_type",
    "method_not_supported_for_channel_type",
    "file_uploads_disabled",
    "restricted_action",
    "unknown_method",
];

/// Where a picture goes, and with which rights.
pub(crate) struct Thread {
    /// Of the Web API, without a slash at its end.
    pub(crate) base: String,
    pub(crate) token: String,
    /// Slack's id of the channel.
    pub(crate) channel: String,
    pub(crate) ts: String,
}

/// Why a picture is not there.
#[derive(Debug, PartialEq)]
pub(crate) struct NoPicture {
    pub(crate) words: String,
    /// It would be the same the next time.
    pub(crate) lasts: bool,
}

impl Thread {
    /// Puts a picture into the thread.
    pub(crate) async fn show(&self, chart: &Chart, clients: &Clients) -> Result<(), NoPicture> {
        let size = chart.png.len().to_string();
        let place = [("filename", "chart.png"), ("length", &size), ("alt_txt", &chart.label)];
        let place = self.ask("files.getUploadURLExternal", &place, clients).await?;
        let text = |name: &str| place[name].as_str().unwrap_or_default();
        let (id, url) = (text("file_id"), text("upload_url"));
        if !self.is_fit(url) {
            return Err(NoPicture { words: "Slack named no address to upload to".into(), lasts: false });
        }
        let upload = clients.http.post(url).header("content-type", "image/png").body(chart.png.clone());
        let status = upload.send().await.map_err(|error| passing(plain_error(error)))?.status();
        if !status.is_success() {
            return Err(passing(format!("uploading: HTTP {}", status.as_u16())));
        }
        let files = json!([{"id": id, "title": chart.label}]).to_string();
        let share = [("files", files.as_str()), ("channel_id", &self.channel), ("thread_ts", &self.ts)];
        self.ask("files.completeUploadExternal", &share, clients).await.map(|_| ())
    }

    /// The address comes from an answer: it is as encrypted as the API itself.
    fn is_fit(&self, url: &str) -> bool {
        let scheme = |url: &str| url::Url::parse(url).ok().map(|url| url.scheme().to_owned());
        match scheme(url).as_deref() {
            Some("https") => true,
            Some("http") => scheme(&self.base).as_deref() == Some("http"),
            _ => false,
        }
    }

    async fn ask(&self, method: &str, form: &[(&str, &str)], clients: &Clients) -> Result<Value, NoPicture> {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let request = clients.http.post(format!("{}/{method}", self.base)).bearer_auth(&self.token);
        let request = request.header("content-type", "application/x-www-form-urlencoded").body(body);
        let response = request.send().await.map_err(|error| passing(plain_error(error)))?;
        let status = response.status().as_u16();
        let bytes = read_whole(response, ANSWER_BYTES_MAX).await.unwrap_or_default();
        let answer: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        if answer["ok"] == true {
            return Ok(answer);
        }
        let words = answer["error"].as_str().map_or_else(|| format!("HTTP {status}"), str::to_owned);
        let lasts = LASTING_ERRORS.contains(&words.as_str());
        Err(NoPicture { words: format!("{method}: {words}"), lasts })
    }
}

fn passing(words: String) -> NoPicture {
    NoPicture { words, lasts: false }
}
