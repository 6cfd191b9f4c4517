//! A picture in a message's thread: asked for, put where Slack says, and shared.
//!
//! Needs the scope `files:write`. Nothing waits for it, and what it comes to changes nothing about the message.
//! <https://docs.slack.dev/messaging/working-with-files#uploading_files>

use serde_json::json;

use crate::config::HttpConfig;
use crate::picture::Chart;

use super::Clients;
use super::http_clients::plain_error;
use super::slack_api::Api;

const GET_URL: &str = "files.getUploadURLExternal";
const COMPLETE: &str = "files.completeUploadExternal";
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
    pub(crate) http: HttpConfig,
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
        let api = Api { base: &self.base, token: &self.token, http: &self.http, clients };
        let place = api.ask(GET_URL, &place).await.map_err(|why| refused(GET_URL, &why.words))?;
        let text = |name: &str| place[name].as_str().unwrap_or_default();
        let (id, url) = (text("file_id"), text("upload_url"));
        if !self.is_fit(url) {
            return Err(NoPicture { words: "Slack named no address to upload to".into(), lasts: false });
        }
        let upload = clients.post(&self.http, url).map_err(passing)?;
        let upload = upload.header("content-type", "image/png").body(chart.png.clone());
        let status = upload.send().await.map_err(|error| passing(plain_error(error)))?.status();
        if !status.is_success() {
            return Err(passing(format!("uploading: HTTP {}", status.as_u16())));
        }
        let files = json!([{"id": id, "title": chart.label}]).to_string();
        let share = [("files", files.as_str()), ("channel_id", &self.channel), ("thread_ts", &self.ts)];
        api.ask(COMPLETE, &share).await.map(|_| ()).map_err(|why| refused(COMPLETE, &why.words))
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
}

fn refused(method: &str, words: &str) -> NoPicture {
    NoPicture { words: format!("{method}: {words}"), lasts: LASTING_ERRORS.contains(&words) }
}

fn passing(words: String) -> NoPicture {
    NoPicture { words, lasts: false }
}
