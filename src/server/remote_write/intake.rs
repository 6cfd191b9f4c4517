//! From a request's packed bytes to the store's acknowledgement.

use bytes::Bytes;
use codec::otlp::KnownSeries;
use codec::remote_write::{Decoded, Message, decode};
use model::{MetricBatch, Rejected, TenantId};
use store::{StoreError, Tenant};

use super::{Written, snappy};
use crate::error::Fault;
use crate::in_flight::Share;
use crate::otlp::intake::{NothingKnown, accepted};
use crate::otlp::{Signal, count_bytes, count_rows};
use crate::{ServerSettings, State, clock};

/// What became of a request that could be read.
pub(super) struct Outcome {
    pub(super) written: Written,
    /// Refused for good.
    pub(super) refused: Rejected,
}

/// Stores a request and waits until it survives a power cut.
///
/// # Errors
/// Then the request was not stored as a whole, and may be sent again as it is.
pub(super) async fn take_in(
    state: &State,
    tenant: TenantId,
    message: Message,
    packed: Bytes,
    mut share: Share,
) -> Result<Outcome, Fault> {
    let (store, settings) = (state.store.clone(), state.settings.clone());
    let now_ms = clock::now_ms();
    // Unpacking, decoding and the first use of a tenant are CPU and disk.
    let ((tenant, decoded), _share) = tokio::task::spawn_blocking(move || {
        let plain = snappy::unpack(&packed, settings.request_bytes_max, &mut share)?;
        drop(packed);
        count_bytes(Signal::Metrics, plain.len());
        let decoded = decode_for(&store, &settings, &tenant, message, &plain, now_ms)?;
        Ok::<_, Fault>((decoded, share))
    })
    .await
    .map_err(|_| Fault::panicked("decoding a request"))??;

    let Decoded { floats, histograms, rejected: mut refused } = decoded;
    let mut written = Written::default();
    if let Some(tenant) = tenant {
        // Side by side, so that they share a commit.
        let (of_floats, of_histograms) = tokio::join!(submit(&tenant, floats), submit(&tenant, histograms));
        let (of_floats, of_histograms) = (of_floats?, of_histograms?);
        written.samples = of_floats.rows;
        written.histograms = of_histograms.rows;
        written.exemplars = of_floats.exemplars + of_histograms.exemplars;
        refused.merge(of_floats.refused);
        refused.merge(of_histograms.refused);
    }
    count_rows(Signal::Metrics, written.samples + written.histograms, &refused);
    Ok(Outcome { written, refused })
}

/// The tenant is none where nothing is to be stored, so that no tenant is made for it.
fn decode_for(
    store: &store::Store,
    settings: &ServerSettings,
    id: &TenantId,
    message: Message,
    plain: &[u8],
    now_ms: i64,
) -> Result<(Option<Tenant>, Decoded), Fault> {
    let existing = store.existing_tenant(id)?;
    let accept = accepted(now_ms, store.options().metrics_retention_ms, settings.future_max);
    let read = |known: &dyn KnownSeries| decode(plain, message, &settings.metrics, known, accept);
    let decoded = match &existing {
        Some(tenant) => tenant.with_known_series(read),
        None => read(&NothingKnown),
    }?;
    if is_empty(&decoded.floats) && is_empty(&decoded.histograms) {
        return Ok((None, decoded));
    }
    let tenant = match existing {
        Some(tenant) => tenant,
        None => store.tenant(id)?,
    };
    Ok((Some(tenant), decoded))
}

fn is_empty(batch: &MetricBatch) -> bool {
    batch.samples.is_empty() && batch.histograms.is_empty() && batch.exemplars.is_empty() && batch.metadata.is_empty()
}

/// What the store made of one batch.
#[derive(Default)]
struct Stored {
    rows: u64,
    exemplars: u64,
    refused: Rejected,
}

async fn submit(tenant: &Tenant, batch: MetricBatch) -> Result<Stored, StoreError> {
    if is_empty(&batch) {
        return Ok(Stored::default());
    }
    let rows = (batch.points.len() + batch.histograms.len()) as u64;
    let exemplars = batch.exemplars.len() as u64;
    let refused = tenant.submit_metrics(batch).await?;
    Ok(Stored { rows: rows.saturating_sub(refused.total()), exemplars, refused })
}
