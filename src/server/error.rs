//! What a door answers when it cannot do what was asked. The only place that knows status codes.
//!
//! Retryable by OTLP's rules are 429, 502, 503 and 504, and of gRPC's codes only those we give `RetryInfo` or UNAVAILABLE:
//! trouble that may pass must be one of them, since a sender drops its data on a 500.

use http::StatusCode;
use model::Kind;
use tonic::Code;

/// What nginx and Prometheus answer to those who left before the answer; it is seen in logs and counters alone.
fn client_closed_request() -> StatusCode {
    StatusCode::from_u16(499).unwrap_or(StatusCode::SERVICE_UNAVAILABLE)
}

/// A refusal: its kind, and a sentence for whoever asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) kind: Kind,
    pub(crate) message: String,
    /// Where HTTP has a finer word than the kind's: 413, 415, 422.
    status: Option<StatusCode>,
    /// Where it is known when the same request may work.
    retry_after_s: Option<u32>,
    /// A limit of the sender's own was met, not one that all share.
    exhausted: bool,
}

impl Fault {
    pub(crate) fn new(kind: Kind, message: impl Into<String>) -> Fault {
        Fault { kind, message: message.into(), status: None, retry_after_s: None, exhausted: false }
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Fault {
        Fault::new(Kind::Invalid, message)
    }

    pub(crate) fn with_status(self, status: StatusCode) -> Fault {
        Fault { status: Some(status), ..self }
    }

    /// A mistake of ours that ended a worker; the panic itself was printed by the panic hook.
    pub(crate) fn panicked(what: &str) -> Fault {
        tracing::error!(what, "a request ended in a panic");
        Fault::new(Kind::Internal, format!("internal error while {what}; the server's log has more"))
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.status.unwrap_or(match self.kind {
            Kind::Invalid => StatusCode::BAD_REQUEST,
            Kind::NotFound | Kind::Unsupported => StatusCode::NOT_FOUND,
            Kind::TooMuch => StatusCode::UNPROCESSABLE_ENTITY,
            Kind::Busy => StatusCode::TOO_MANY_REQUESTS,
            Kind::Timeout | Kind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Kind::Cancelled => client_closed_request(),
            Kind::Unauthenticated => StatusCode::UNAUTHORIZED,
            Kind::Forbidden => StatusCode::FORBIDDEN,
            Kind::Corrupt | Kind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        })
    }

    pub(crate) fn code(&self) -> Code {
        match self.kind {
            Kind::Invalid => Code::InvalidArgument,
            Kind::NotFound => Code::NotFound,
            Kind::Unsupported => Code::Unimplemented,
            Kind::TooMuch => Code::ResourceExhausted,
            // With RetryInfo, as all that is busy: without it a sender would drop its data.
            Kind::Busy if self.exhausted => Code::ResourceExhausted,
            Kind::Busy | Kind::Unavailable => Code::Unavailable,
            Kind::Timeout => Code::DeadlineExceeded,
            Kind::Cancelled => Code::Cancelled,
            Kind::Unauthenticated => Code::Unauthenticated,
            Kind::Forbidden => Code::PermissionDenied,
            Kind::Corrupt | Kind::Internal => Code::Internal,
        }
    }

    /// Seconds after which the same request may work; `None` when it will not.
    pub(crate) fn retry_after_s(&self) -> Option<u32> {
        match self.kind {
            Kind::Busy => Some(self.retry_after_s.unwrap_or(1)),
            Kind::Unavailable => Some(5),
            _ => None,
        }
    }

    /// Prometheus' `errorType` (web/api/v1).
    pub(crate) fn prometheus_type(&self) -> &'static str {
        match (self.kind, self.status()) {
            (_, StatusCode::UNPROCESSABLE_ENTITY) => "execution",
            (Kind::Timeout, _) => "timeout",
            (Kind::Cancelled, _) => "canceled",
            (Kind::NotFound | Kind::Unsupported, _) => "not_found",
            (Kind::Busy | Kind::Unavailable, _) => "unavailable",
            (Kind::Unauthenticated, _) => "unauthorized",
            (Kind::Forbidden, _) => "forbidden",
            (Kind::Corrupt | Kind::Internal, _) => "internal",
            (Kind::Invalid | Kind::TooMuch, _) => "bad_data",
        }
    }
}

impl From<store::StoreError> for Fault {
    fn from(error: store::StoreError) -> Fault {
        let fault = Fault::new(error.kind(), error.to_string());
        match error {
            store::StoreError::TooFast { retry_after, .. } => {
                let seconds = u32::try_from(retry_after.as_secs()).unwrap_or(u32::MAX).saturating_add(1);
                Fault { retry_after_s: Some(seconds), exhausted: true, ..fault }
            }
            _ => fault,
        }
    }
}

impl From<query::QueryError> for Fault {
    fn from(error: query::QueryError) -> Fault {
        let fault = Fault::new(error.kind(), error.to_string());
        match error {
            // It parses, so the request is well-formed; Prometheus calls what follows an execution error.
            query::QueryError::Evaluation { .. } => fault.with_status(StatusCode::UNPROCESSABLE_ENTITY),
            query::QueryError::NoRange { .. } | query::QueryError::Duration { .. } => {
                Fault { message: format!("invalid parameter \"query\": {}", fault.message), ..fault }
            }
            _ => fault,
        }
    }
}

impl From<codec::otlp::DecodeError> for Fault {
    fn from(error: codec::otlp::DecodeError) -> Fault {
        Fault::invalid(error.to_string())
    }
}

impl From<model::tenant::BadTenant> for Fault {
    fn from(error: model::tenant::BadTenant) -> Fault {
        Fault::invalid(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_pass_is_retryable_in_both_tongues_and_nothing_else_is() {
        for kind in [
            Kind::Invalid,
            Kind::NotFound,
            Kind::TooMuch,
            Kind::Busy,
            Kind::Unavailable,
            Kind::Unauthenticated,
            Kind::Forbidden,
            Kind::Unsupported,
            Kind::Internal,
        ] {
            let fault = Fault::new(kind, "x");
            let http = matches!(fault.status().as_u16(), 429 | 502 | 503 | 504);
            let grpc = matches!(
                fault.code(),
                Code::Cancelled
                    | Code::DeadlineExceeded
                    | Code::Aborted
                    | Code::OutOfRange
                    | Code::Unavailable
                    | Code::DataLoss
            );
            assert_eq!((http, grpc, fault.retry_after_s().is_some()), (kind.can_retry(), kind.can_retry(), http));
        }
    }
}
