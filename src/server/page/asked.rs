//! One request for a page: whose data, at what time, and the ways to ask for it.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::FromRequestParts;
use http::request::Parts;
use model::alert::Instance;
use model::{AlertState, Labels, MsRange, Sample, TenantId};
use query::promql::{self, Source, Value};
use query::{Budget, QueryError};
use rules::GroupView;
use store::Scope;

use super::failure::Failure;
use crate::tenant_ext::Tenant;
use crate::{Alerting, State};

/// A page gives up sooner than an API query may: somebody is waiting for it.
const PAGE_TIMEOUT_MAX: Duration = Duration::from_secs(15);

/// A request before it is worked on.
pub(crate) struct Asking {
    state: State,
    tenant: TenantId,
    may_change: bool,
    now_ms: i64,
}

impl FromRequestParts<State> for Asking {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &State) -> Result<Self, Self::Rejection> {
        let Tenant(tenant) = Tenant::from_request_parts(parts, state).await?;
        // Without tokens everybody may.
        let may_change = parts.extensions.get::<Scope>().is_none_or(|scope| scope.includes(Scope::Operate));
        Ok(Asking { state: state.clone(), tenant, may_change, now_ms: crate::clock::now_ms() })
    }
}

impl Asking {
    /// Runs a page's questions where they may block, in one query slot and under one budget.
    pub(crate) async fn answer<T: Send + 'static>(
        self,
        work: impl FnOnce(&Asked) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let queries = self.state.queries.clone();
        let run = queries.run(Some(PAGE_TIMEOUT_MAX), move |budget| {
            let Asking { state, tenant, may_change, now_ms } = self;
            Ok(work(&Asked { state, tenant, may_change, now_ms, budget: budget.clone() }))
        });
        run.await?
    }
}

/// A request being worked on.
pub(crate) struct Asked {
    pub(crate) state: State,
    pub(crate) tenant: TenantId,
    /// Whether the forms that change what people are told would be taken.
    pub(crate) may_change: bool,
    pub(crate) now_ms: i64,
    pub(crate) budget: Budget,
}

impl Asked {
    /// What this tenant has stored; `None` before its first data.
    pub(crate) fn store(&self) -> Result<Option<store::Tenant>, Failure> {
        Ok(self.state.store.existing_tenant(&self.tenant)?)
    }

    /// Rules and messages of this tenant; `None` when it has none.
    pub(crate) fn alerting(&self) -> Option<&Alerting> {
        self.state.alerting_of(&self.tenant)
    }

    pub(crate) fn groups(&self) -> Vec<GroupView> {
        self.alerting().map(|alerting| alerting.rules.view()).unwrap_or_default()
    }

    pub(crate) fn metrics<'a>(&'a self, source: &'a dyn Source) -> Metrics<'a> {
        let options = promql::Options::new(self.state.lookback_ms(), self.budget.clone());
        Metrics { source, options, asked: Some(self) }
    }
}

/// Alert instances of all rules with their rule's place in `groups`.
pub(crate) fn instances(groups: &[GroupView]) -> impl Iterator<Item = &Instance> {
    groups.iter().flat_map(|group| &group.rules).flat_map(|rule| &rule.instances)
}

pub(crate) fn firing(groups: &[GroupView]) -> usize {
    instances(groups).filter(|instance| instance.state == AlertState::Firing).count()
}

/// PromQL over one source under one budget.
pub(crate) struct Metrics<'a> {
    pub(crate) source: &'a dyn Source,
    pub(crate) options: promql::Options,
    /// The request, if there is one.
    pub(crate) asked: Option<&'a Asked>,
}

impl Metrics<'_> {
    fn parse(&self, text: &str) -> Result<promql::Expr, QueryError> {
        let expr = promql::parse(text)?;
        if let Some(asked) = self.asked {
            asked.state.asked_metrics.note(&asked.tenant, &promql::selectors(&expr), asked.now_ms);
        }
        Ok(expr)
    }

    /// Evaluates at one instant.
    pub(crate) fn instant(&self, text: &str, at_ms: i64) -> Result<promql::Answer, QueryError> {
        promql::instant(self.source, &self.parse(text)?, at_ms, &self.options)
    }

    pub(crate) fn range(&self, text: &str, range: MsRange, step_ms: i64) -> Result<promql::Answer, QueryError> {
        promql::range(self.source, &self.parse(text)?, range.start_ms, range.end_ms, step_ms, &self.options)
    }

    /// The elements of an instant vector; other types have none.
    pub(crate) fn vector(&self, text: &str, at_ms: i64) -> Result<Vec<(Labels, f64)>, QueryError> {
        Ok(match self.instant(text, at_ms)?.value {
            Value::Vector(elements) => elements.into_iter().map(|(labels, sample)| (labels, sample.value)).collect(),
            Value::Scalar(_) | Value::String { .. } | Value::Matrix(_) => Vec::new(),
        })
    }

    /// The rows of a range query.
    pub(crate) fn rows(
        &self,
        text: &str,
        range: MsRange,
        step_ms: i64,
    ) -> Result<Vec<(Labels, Vec<Sample>)>, QueryError> {
        Ok(match self.range(text, range, step_ms)?.value {
            Value::Matrix(rows) => rows,
            Value::Scalar(_) | Value::String { .. } | Value::Vector(_) => Vec::new(),
        })
    }
}
