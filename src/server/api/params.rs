//! Parameters of an API request: the URL's query, and the form of a POST before it.

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::response::Response;
use http::header;
use model::{Kind, MsRange, TenantId};
use query::QueryError;
use std::time::Duration;

use super::{FORM_BYTES_MAX, envelope};
use crate::State;
use crate::error::Fault;
use crate::tenant_ext::Tenant;
use crate::time_param::{prometheus_duration_ms, prometheus_far_ms, prometheus_ms};

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

/// A request of the query APIs: whose data, and what is asked.
pub(crate) struct Call {
    pub(crate) state: State,
    pub(crate) tenant: TenantId,
    pub(crate) params: Params,
}

impl FromRequest<State> for Call {
    type Rejection = Response;

    async fn from_request(request: Request, state: &State) -> Result<Call, Response> {
        let (mut parts, body) = request.into_parts();
        let Ok(Tenant(tenant)) = Tenant::from_request_parts(&mut parts, state).await;
        let params = Params::from_request(Request::from_parts(parts, body), state).await?;
        Ok(Call { state: state.clone(), tenant, params })
    }
}

impl Params {
    /// The first value of that name; an empty one counts as absent.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| &**value).filter(|value| !value.is_empty())
    }

    /// As [`Params::get`], of a parameter that the other APIs call by another name.
    pub(crate) fn either(&self, name: &str, other: &str) -> Option<&str> {
        self.get(name).or_else(|| self.get(other))
    }

    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(known, _)| known == name).map(|(_, value)| &**value)
    }

    /// The text of a query; empty when absent, and then the parser says what is missing.
    pub(crate) fn query(&self) -> &str {
        self.get("query").unwrap_or_default()
    }

    /// A time in Prometheus' dialect, in milliseconds; `None` when absent.
    pub(crate) fn time_ms(&self, name: &str) -> Result<Option<i64>, Fault> {
        let parse = |text| {
            prometheus_ms(text).ok_or_else(|| {
                bad(name, &format!("invalid time value for '{name}': cannot parse {text:?} to a valid timestamp"))
            })
        };
        self.get(name).map(parse).transpose()
    }

    /// A time that must be there.
    pub(crate) fn required_time_ms(&self, name: &str) -> Result<i64, Fault> {
        let text = self.get(name).unwrap_or_default();
        prometheus_ms(text).ok_or_else(|| bad(name, &format!("cannot parse {text:?} to a valid timestamp")))
    }

    /// A duration in Prometheus' dialect, in milliseconds; `None` when absent.
    pub(crate) fn duration_ms(&self, name: &str) -> Result<Option<i64>, Fault> {
        self.get(name).map(|text| parse_duration(text).map_err(|reason| bad(name, &reason))).transpose()
    }

    /// A duration that must be there.
    pub(crate) fn required_duration_ms(&self, name: &str) -> Result<i64, Fault> {
        parse_duration(self.get(name).unwrap_or_default()).map_err(|reason| bad(name, &reason))
    }

    /// `start` and `end`, open where they are absent. A range that ends before it begins holds nothing.
    pub(crate) fn range(&self) -> Result<MsRange, Fault> {
        let edge_ms = |name| match self.get(name).and_then(prometheus_far_ms) {
            Some(far_ms) => Ok(Some(far_ms)),
            None => self.time_ms(name),
        };
        let start_ms = edge_ms("start")?.unwrap_or(MsRange::ALL.start_ms);
        let end_ms = edge_ms("end")?.unwrap_or(MsRange::ALL.end_ms);
        Ok(MsRange { start_ms, end_ms })
    }

    /// How far back instant selectors look, in milliseconds, where the request says it; a zero or less leaves the setting.
    pub(crate) fn lookback_ms(&self) -> Result<Option<i64>, Fault> {
        let parse = |text| {
            parse_duration(text)
                .map_err(|reason| Fault::invalid(format!("error parsing lookback delta duration: {reason}")))
        };
        Ok(self.get("lookback_delta").map(parse).transpose()?.filter(|ms| *ms > 0))
    }

    pub(crate) fn timeout(&self) -> Result<Option<Duration>, Fault> {
        match self.duration_ms("timeout")? {
            None => Ok(None),
            Some(ms) => match u64::try_from(ms) {
                Ok(ms) if ms > 0 => Ok(Some(Duration::from_millis(ms))),
                // A part of a millisecond, which may just do for an answer from memory.
                Ok(_)
                    if self.get("timeout").is_some_and(|text| text.parse().is_ok_and(|seconds: f64| seconds > 0.0)) =>
                {
                    Ok(Some(Duration::from_millis(1)))
                }
                _ => Err(bad("timeout", "it must be positive")),
            },
        }
    }

    /// A count; `None` when absent.
    pub(crate) fn count(&self, name: &str) -> Result<Option<usize>, Fault> {
        let parse = |text: &str| text.parse().map_err(|_| bad(name, &format!("{text:?} is no whole number from 0 up")));
        self.get(name).map(parse).transpose()
    }

    /// A whole number that may be negative, as the older of Prometheus' endpoints take their limits; `None` when absent.
    pub(crate) fn number(&self, name: &str) -> Result<Option<i64>, Fault> {
        let parse = |text: &str| text.parse().map_err(|_| Fault::invalid(format!("{name} must be a number")));
        self.get(name).map(parse).transpose()
    }

    /// `limit` as Prometheus' API has it: 0 is none.
    pub(crate) fn limit(&self) -> Result<usize, Fault> {
        let Some(text) = self.get("limit") else { return Ok(usize::MAX) };
        match text.parse::<i64>() {
            Ok(0) => Ok(usize::MAX),
            Ok(limit) => usize::try_from(limit).map_err(|_| bad("limit", "limit must be non-negative")),
            Err(_) => Err(bad("limit", &format!("{text:?} is no whole number"))),
        }
    }

    /// A yes or no, as Go's `ParseBool` reads it; absent is no.
    pub(crate) fn flag(&self, name: &str) -> Result<bool, Fault> {
        match self.get(name).map(str::to_ascii_lowercase).as_deref() {
            None | Some("0" | "f" | "false") => Ok(false),
            Some("1" | "t" | "true") => Ok(true),
            Some(other) => Err(bad(name, &format!("{other:?} is neither true nor false"))),
        }
    }
}

fn parse_duration(text: &str) -> Result<i64, String> {
    prometheus_duration_ms(text).ok_or_else(|| {
        let is_number = text.parse::<f64>().is_ok_and(|seconds| !seconds.is_nan());
        let why = if is_number { ". It overflows int64" } else { "" };
        format!("cannot parse {text:?} to a valid duration{why}")
    })
}

/// Prometheus' wording, which clients know.
pub(crate) fn bad(name: &str, reason: &str) -> Fault {
    Fault::new(Kind::Invalid, format!("invalid parameter {name:?}: {reason}"))
}

/// A query that does not parse.
pub(crate) fn bad_query(error: QueryError) -> Fault {
    bad("query", &error.to_string())
}
