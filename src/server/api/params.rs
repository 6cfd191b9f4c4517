//! Parameters of an API request: the URL's query, and the form of a POST before it.

use axum::extract::{FromRequest, Request};
use axum::response::Response;
use http::header;
use model::{Kind, MsRange};
use std::time::Duration;

use super::{FORM_BYTES_MAX, envelope};
use crate::error::Fault;
use crate::time_param::{prometheus_duration_ms, prometheus_ms};

/// All parameters in order; unknown ones are ignored, as Prometheus does.
#[derive(Debug, Default)]
pub(crate) struct Params(Vec<(String, String)>);

impl<S: Send + Sync> FromRequest<S> for Params {
    type Rejection = Response;

    async fn from_request(request: Request, _state: &S) -> Result<Params, Response> {
        let (parts, body) = request.into_parts();
        let mut pairs = Vec::new();
        let is_form = parts.headers.get(header::CONTENT_TYPE).is_some_and(|value| {
            value.as_bytes().to_ascii_lowercase().starts_with(b"application/x-www-form-urlencoded")
        });
        if parts.method == http::Method::POST && is_form {
            let form = axum::body::to_bytes(body, FORM_BYTES_MAX).await.map_err(|error| {
                let message = format!("cannot read the form: {error}; it may have at most {FORM_BYTES_MAX} bytes");
                envelope::refuse(&Fault::invalid(message))
            })?;
            pairs.extend(url::form_urlencoded::parse(&form).into_owned());
        }
        pairs.extend(url::form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes()).into_owned());
        Ok(Params(pairs))
    }
}

impl Params {
    /// The first value of that name; an empty one counts as absent.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| &**value).filter(|value| !value.is_empty())
    }

    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(known, _)| known == name).map(|(_, value)| &**value)
    }

    pub(crate) fn required(&self, name: &str) -> Result<&str, Fault> {
        self.get(name).ok_or_else(|| bad(name, "it is missing"))
    }

    /// A time in Prometheus' dialect, in milliseconds.
    pub(crate) fn time_ms(&self, name: &str) -> Result<Option<i64>, Fault> {
        let parse =
            |text| prometheus_ms(text).ok_or_else(|| bad(name, &format!("cannot parse {text:?} to a valid timestamp")));
        self.get(name).map(parse).transpose()
    }

    /// A duration in Prometheus' dialect, in milliseconds.
    pub(crate) fn duration_ms(&self, name: &str) -> Result<Option<i64>, Fault> {
        let parse = |text| {
            prometheus_duration_ms(text).ok_or_else(|| bad(name, &format!("cannot parse {text:?} to a valid duration")))
        };
        self.get(name).map(parse).transpose()
    }

    /// `start` and `end`, open where they are absent.
    pub(crate) fn range(&self) -> Result<MsRange, Fault> {
        let start_ms = self.time_ms("start")?.unwrap_or(MsRange::ALL.start_ms);
        let end_ms = self.time_ms("end")?.unwrap_or(MsRange::ALL.end_ms);
        if end_ms < start_ms {
            return Err(bad("end", "end timestamp must not be before start time"));
        }
        Ok(MsRange { start_ms, end_ms })
    }

    pub(crate) fn timeout(&self) -> Result<Option<Duration>, Fault> {
        match self.duration_ms("timeout")? {
            None => Ok(None),
            Some(ms) => match u64::try_from(ms) {
                Ok(ms) if ms > 0 => Ok(Some(Duration::from_millis(ms))),
                _ => Err(bad("timeout", "it must be positive")),
            },
        }
    }

    /// A count; `None` when absent.
    pub(crate) fn count(&self, name: &str) -> Result<Option<usize>, Fault> {
        let parse = |text: &str| text.parse().map_err(|_| bad(name, &format!("{text:?} is no whole number from 0 up")));
        self.get(name).map(parse).transpose()
    }

    /// `limit` as Prometheus' API has it: 0 is none.
    pub(crate) fn limit(&self) -> Result<usize, Fault> {
        Ok(self.count("limit")?.filter(|limit| *limit > 0).unwrap_or(usize::MAX))
    }
}

/// Prometheus' wording, which clients know.
pub(crate) fn bad(name: &str, reason: &str) -> Fault {
    Fault::new(Kind::Invalid, format!("invalid parameter {name:?}: {reason}"))
}
