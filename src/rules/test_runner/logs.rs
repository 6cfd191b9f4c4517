//! Log records of a rule test: a store of their own in a temporary folder, which takes them in as time passes.

use model::log::{STREAM_ATTRIBUTES, STREAM_LABELS};
use model::time::NS_PER_MS;
use model::{AnyValue, LogBatch, LogRecord, Resource, Scope, TenantId};
use store::{Options, Store, Tenant};

use super::format::InputLogs;
use super::{notation, time_of};

/// Most lines of one test.
const LINES_MAX: u32 = 100_000;

/// Lines that are still to come, in the order of their intake; the store they go to lies in a folder that goes with it.
pub(super) struct Logs {
    /// When it is received, the stream's place, the record; the last one comes first.
    waiting: Vec<(i64, usize, LogRecord)>,
    resources: Vec<Resource>,
    tenant: Tenant,
    runtime: tokio::runtime::Runtime,
    _store: Store,
    _folder: tempfile::TempDir,
}

impl Logs {
    /// `None` for a test without logs.
    pub(super) fn open(inputs: &[InputLogs], start_ms: i64) -> Result<Option<Logs>, String> {
        if inputs.is_empty() {
            return Ok(None);
        }
        let failed = |what: &dyn std::fmt::Display| format!("cannot hold the test's logs: {what}");
        let folder = tempfile::tempdir().map_err(|error| failed(&error))?;
        let runtime = tokio::runtime::Builder::new_current_thread().build().map_err(|error| failed(&error))?;
        let options = Options { disk_free_min: 0, ..Options::new(folder.path()) };
        let store = Store::open(options, start_ms).map_err(|error| failed(&error))?;
        let tenant = store.tenant(&TenantId::default()).map_err(|error| failed(&error))?;
        let mut logs =
            Logs { waiting: Vec::new(), resources: Vec::new(), tenant, runtime, _store: store, _folder: folder };
        for input in inputs {
            logs.add(input, start_ms)?;
        }
        logs.waiting.sort_by_key(|(received_ms, _, _)| std::cmp::Reverse(*received_ms));
        Ok(Some(logs))
    }

    fn add(&mut self, input: &InputLogs, start_ms: i64) -> Result<(), String> {
        let labels = notation::labels(&input.stream)?;
        let attributes = labels.iter().map(|(name, value)| {
            // Under OpenTelemetry's names where it has one, as a sender's would be.
            let known = STREAM_ATTRIBUTES.iter().find(|key| key.replace('.', "_") == name);
            (known.copied().unwrap_or(name).into(), AnyValue::Str(value.into()))
        });
        let stream = self.resources.len();
        self.resources.push(Resource {
            attributes: attributes.collect(),
            schema_url: STREAM_LABELS.into(),
            ..Resource::default()
        });
        for line in &input.lines {
            let at_ms = time_of(&line.at)?;
            let delay_ms = line.received.as_deref().map(time_of).transpose()?.unwrap_or(at_ms) - at_ms;
            let every_ms = line.every.as_deref().map(time_of).transpose()?.unwrap_or(0);
            let times = line.times.unwrap_or(1);
            if times > LINES_MAX || self.waiting.len() > LINES_MAX as usize {
                return Err(format!("a test has at most {LINES_MAX} log lines"));
            }
            let number = model::log::Severity::of_text(&line.severity).map_or(0, |severity| severity.min_number());
            let metadata = line.metadata.iter();
            let attributes: Vec<_> =
                metadata.map(|(name, value)| (name.as_str().into(), AnyValue::Str(value.as_str().into()))).collect();
            for nth in 0..i64::from(times) {
                let at_ms = start_ms + at_ms + nth * every_ms;
                let record = LogRecord {
                    time_ns: at_ms.saturating_mul(NS_PER_MS),
                    body: AnyValue::Str(line.line.as_str().into()),
                    severity_number: number,
                    severity_text: line.severity.clone(),
                    attributes: attributes.clone(),
                    ..LogRecord::default()
                };
                self.waiting.push((at_ms + delay_ms, stream, record));
            }
        }
        Ok(())
    }

    pub(super) fn tenant(&self) -> Tenant {
        self.tenant.clone()
    }

    /// Takes in what is received by then.
    pub(super) fn pass(&mut self, now_ms: i64) -> Result<(), String> {
        let mut batch = LogBatch::default();
        while let Some((_, stream, record)) = self.waiting.pop_if(|(received_ms, _, _)| *received_ms <= now_ms) {
            let stream = u32::try_from(stream).map_err(|_| "too many streams".to_owned())?;
            batch.records.push((stream, 0, record));
        }
        if batch.records.is_empty() {
            return Ok(());
        }
        batch.resources.clone_from(&self.resources);
        batch.scopes.push(Scope::default());
        let stored = self.runtime.block_on(self.tenant.submit_logs(batch)).map_err(|error| error.to_string())?;
        if stored.is_empty() { Ok(()) } else { Err(format!("log lines were refused: {}", stored.message())) }
    }
}
