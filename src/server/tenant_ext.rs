//! Whose data a request is about.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use http::request::Parts;
use model::TenantId;

/// The tenant that the auth layer put among the request's extensions; the default one where no layer did.
#[derive(Debug, Clone)]
pub(crate) struct Tenant(pub(crate) TenantId);

impl<S: Send + Sync> FromRequestParts<S> for Tenant {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Self::Rejection> {
        Ok(Tenant(parts.extensions.get::<TenantId>().cloned().unwrap_or_default()))
    }
}
