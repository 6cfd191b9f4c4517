//! From a request's packed bytes to the store's acknowledgement: the same for every transport.

use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use bytes::Bytes;
use codec::otlp::{DecodeError, Encoding, KnownSeries, decode_logs, decode_metrics};
use model::{MetricBatch, MsRange, Rejected, SeriesId, TenantId};
use store::{LogIntake, Tenant};

use super::{Signal, count_bytes, count_rows};
use crate::error::Fault;
use crate::in_flight::Share;
use crate::otlp::packing::Packing;
use crate::{ServerSettings, State, clock};

/// A request as it came, with the share of memory it holds until it is answered.
pub(crate) struct Arrived {
    pub(crate) tenant: TenantId,
    pub(crate) signal: Signal,
    pub(crate) encoding: Encoding,
    pub(crate) packing: Packing,
    pub(crate) body: Bytes,
    pub(crate) share: Share,
}

/// Largest request that is decoded where it arrived, in bytes: some hundred microseconds, less than a hop to another thread and back
/// costs under load.
const DECODE_HERE_BYTES_MAX: usize = 128 << 10;

enum Batch {
    Metrics(MetricBatch),
    Logs(LogIntake),
}

/// Stores a request and waits until it survives a power cut; what is refused for good is told row by row.
///
/// # Errors
/// Nothing was stored, but when the caller went away while the store was already writing.
pub(crate) async fn take_in(state: &State, arrived: Arrived) -> Result<Rejected, Fault> {
    let signal = arrived.signal;
    let (store, settings) = (state.store.clone(), state.settings.clone());
    let received_ns = clock::now_ns();
    let is_open = store.is_open(&arrived.tenant);
    let is_small = arrived.body.len() <= DECODE_HERE_BYTES_MAX && arrived.packing == Packing::None;
    let work = move || {
        let Arrived { tenant, encoding, packing, body, mut share, .. } = arrived;
        let plain = packing.unpack(body, settings.request_bytes_max, &mut share)?;
        count_bytes(signal, plain.len());
        let decoded = decode(&store, &settings, &tenant, signal, encoding, &plain, received_ns)?;
        Ok::<_, Fault>((decoded, share))
    };
    let panicked = || Fault::panicked("decoding a request");
    let (decoded, _share) = if is_small && is_open {
        std::panic::catch_unwind(AssertUnwindSafe(work)).map_err(|_| panicked())??
    } else {
        // Unpacking, decoding much and the first use of a tenant are CPU and disk.
        tokio::task::spawn_blocking(work).await.map_err(|_| panicked())??
    };

    let (mut rejected, stored) = match decoded {
        Decoded::Nothing(rejected) => (rejected, 0),
        Decoded::Rows(tenant, batch, mut rejected) => {
            let (rows, by_store) = match batch {
                Batch::Metrics(batch) => {
                    (batch.points.len() + batch.histograms.len(), tenant.submit_metrics(batch).await?)
                }
                Batch::Logs(intake) => (intake.len(), tenant.submit_log_intake(intake).await?),
            };
            let stored = (rows as u64).saturating_sub(by_store.total());
            rejected.merge(by_store);
            (rejected, stored)
        }
    };
    rejected.by_reason.retain(|(_, rows, _)| *rows > 0);
    count_rows(signal, stored, &rejected);
    Ok(rejected)
}

// One a request, moved once: a box would cost more than it saves.
#[allow(clippy::large_enum_variant)]
enum Decoded {
    /// No row to store, so not even a tenant is made.
    Nothing(Rejected),
    Rows(Tenant, Batch, Rejected),
}

fn decode(
    store: &store::Store,
    settings: &ServerSettings,
    id: &TenantId,
    signal: Signal,
    encoding: Encoding,
    plain: &[u8],
    received_ns: i64,
) -> Result<Decoded, Fault> {
    let now_ms = received_ns / model::time::NS_PER_MS;
    // A request that cannot be decoded makes no tenant.
    let existing = store.existing_tenant(id)?;
    let decoded: Result<(Batch, Rejected), DecodeError> = match signal {
        Signal::Metrics => {
            let accept = accepted(now_ms, store.options().metrics_retention_ms, settings.future_max);
            let decode = |known: &dyn KnownSeries| decode_metrics(plain, encoding, &settings.metrics, known, accept);
            let decoded = match &existing {
                Some(tenant) => tenant.with_known_series(decode),
                None => decode(&NothingKnown),
            };
            decoded.map(|(batch, rejected)| (Batch::Metrics(batch), rejected))
        }
        Signal::Logs => {
            let accept = accepted(now_ms, store.options().logs_retention_ms, settings.future_max);
            decode_logs(plain, encoding, &settings.logs, received_ns, accept)
                .map(|(logs, rejected)| (Batch::Logs(LogIntake::new(logs)), rejected))
        }
    };
    let (batch, rejected) = decoded?;
    let is_empty = match &batch {
        Batch::Metrics(batch) => batch.samples.is_empty() && batch.histograms.is_empty() && batch.metadata.is_empty(),
        Batch::Logs(intake) => intake.is_empty(),
    };
    if is_empty {
        return Ok(Decoded::Nothing(rejected));
    }
    let tenant = match existing {
        Some(tenant) => tenant,
        None => store.tenant(id)?,
    };
    Ok(Decoded::Rows(tenant, batch, rejected))
}

pub(crate) fn accepted(now_ms: i64, retention_ms: i64, future_max: Duration) -> MsRange {
    let future_ms = i64::try_from(future_max.as_millis()).unwrap_or(i64::MAX);
    MsRange { start_ms: now_ms.saturating_sub(retention_ms), end_ms: now_ms.saturating_add(future_ms) }
}

/// What a tenant knows that is not there yet.
pub(crate) struct NothingKnown;

impl KnownSeries for NothingKnown {
    fn lookup(&self, _key: u128) -> Option<SeriesId> {
        None
    }

    fn knows_metadata(&self, _hash: u64) -> bool {
        false
    }
}

/// Runs [`take_in`] and counts the request by how it ended.
pub(crate) async fn take_in_counted(
    state: &State,
    transport: super::Transport,
    arrived: Arrived,
) -> Result<Rejected, Fault> {
    let (signal, begun) = (arrived.signal, Instant::now());
    let outcome = take_in(state, arrived).await;
    match &outcome {
        Ok(_) => super::count_success(signal, transport, begun.elapsed()),
        Err(fault) => super::count_request(signal, transport, fault),
    }
    outcome
}
