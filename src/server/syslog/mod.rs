//! Syslog in, over TCP and UDP: the only door without an answer, so whoever sends over TCP is held back instead of refused, and what is lost
//! over UDP is counted.
//!
//! Syslog has no tokens: every message is the one tenant's that the setting names. Off by default.

mod tcp;
mod udp;

use std::sync::Arc;
use std::time::Duration;

use codec::otlp::{LogRows, TRUNCATED_BYTES};
use codec::syslog::{self, Frame};
use model::meter::Counter;
use model::{AnyValue, Kind, LogRecord, MsRange, Scope, TenantId};
use store::{LogIntake, StoreError};

use crate::otlp::intake::accepted;
use crate::otlp::{Signal, count_bytes, count_rows};
use crate::{State, clock};

pub use tcp::serve_tcp;
pub use udp::serve_udp;

static MESSAGES: Counter = Counter::new("binnacle_syslog_messages_total", "Syslog messages received.", &["transport"]);
static LOST: Counter = Counter::new(
    "binnacle_syslog_lost_messages_total",
    "Syslog messages that were not stored: at a stop, or over UDP while the store could not take them.",
    &["transport"],
);

/// Messages, and bytes of them, that are stored together.
const BATCH_MESSAGES: usize = 1_000;
const BATCH_BYTES: usize = 1 << 20;
/// How long a message waits for others before it is stored.
const BATCH_WAIT: Duration = Duration::from_millis(50);
/// Room for a message's header above the limit of bodies.
const HEADER_BYTES: usize = 8 << 10;
/// Between two attempts to store what the store could not take.
const RETRY_WAIT: Duration = Duration::from_millis(500);

/// Messages that wait to be stored together.
#[derive(Default)]
struct Batch {
    frames: Vec<Frame>,
    bytes: usize,
}

impl Batch {
    fn push(&mut self, frame: Frame) {
        self.bytes += frame.bytes.len();
        self.frames.push(frame);
    }

    fn is_full(&self) -> bool {
        self.frames.len() >= BATCH_MESSAGES || self.bytes >= BATCH_BYTES
    }
}

/// The longest message that is kept whole.
fn message_bytes_max(state: &State) -> usize {
    state.settings.logs.body_bytes_max.saturating_add(HEADER_BYTES)
}

/// Stores messages and waits until they survive a power cut. Those refused for good (too large) are counted as of any door.
async fn store(state: &State, tenant: &TenantId, frames: Arc<Vec<Frame>>) -> Result<(), StoreError> {
    let (store, settings, tenant) = (state.store.clone(), state.settings.clone(), tenant.clone());
    let received_ns = clock::now_ns();
    let work = move || {
        let now_ms = received_ns / model::time::NS_PER_MS;
        let accept = accepted(now_ms, store.options().logs_retention_ms, settings.future_max);
        let mut rows = LogRows::new(&settings.logs, received_ns, accept);
        let scope = Scope::default();
        for frame in frames.iter() {
            count_bytes(Signal::Logs, frame.bytes.len());
            let mut message = syslog::parse(&frame.bytes, received_ns, &settings.syslog_zone);
            keep(&mut message.record, &accept);
            if frame.cut_bytes > 0 {
                let cut = i64::try_from(frame.cut_bytes).unwrap_or(i64::MAX);
                message.record.attributes.push((TRUNCATED_BYTES.into(), AnyValue::Int(cut)));
            }
            rows.push(&message.resource, &scope, message.record);
        }
        let (logs, rejected) = rows.finish();
        // Encoded here, off the runtime's threads.
        let intake = (!logs.is_empty()).then(|| LogIntake::new(logs));
        Ok::<_, StoreError>((intake.map(|intake| Ok((store.tenant(&tenant)?, intake))).transpose()?, rejected))
    };
    let panicked =
        |error: tokio::task::JoinError| StoreError::Unavailable { reason: format!("reading syslog: {error}") };
    let (found, mut rejected) = tokio::task::spawn_blocking(work).await.map_err(panicked)??;
    let mut stored = 0;
    if let Some((tenant, intake)) = found {
        let records = intake.len() as u64;
        let by_store = tenant.submit_log_intake(intake).await?;
        stored = records.saturating_sub(by_store.total());
        rejected.merge(by_store);
    }
    if !rejected.is_empty() {
        tracing::warn!(message = rejected.message(), "syslog messages refused");
    }
    count_rows(Signal::Logs, stored, &rejected);
    Ok(())
}

/// Attribute of a record whose sender's clock was too far off: the time that it said.
const SENT_TIME: &str = "binnacle.syslog_time";

/// Nobody sends a message of syslog again, nor learns that it was refused: one whose time cannot be kept has the time at which it came.
fn keep(record: &mut LogRecord, accepted: &MsRange) {
    if !accepted.contains(record.time_ns.div_euclid(model::time::NS_PER_MS)) {
        let sent = model::time::rfc3339_ns(record.time_ns);
        record.attributes.push((SENT_TIME.into(), AnyValue::Str(sent)));
        record.time_ns = record.observed_time_ns;
        record.time_is_derived = true;
    }
}

/// Whether the same messages may be stored a little later.
fn may_pass(error: &StoreError) -> bool {
    matches!(error.kind(), Kind::Busy | Kind::Unavailable)
}
