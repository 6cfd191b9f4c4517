//! What the demo is told to play.

use std::time::Duration;

use clap::{Args, ValueEnum};

#[derive(Debug, Args)]
pub struct DemoArgs {
    /// OTLP/gRPC of the server to push at.
    #[arg(long, default_value = "http://127.0.0.1:4317", value_name = "URL")]
    pub endpoint: String,
    /// API token with the ingest scope, where the server asks for one.
    #[arg(long, env = "BINNACLE_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
    /// What breaks.
    #[arg(long, value_enum)]
    pub incident: Option<Incident>,
    /// When it breaks, after the start.
    #[arg(long, default_value = "10s", value_parser = duration)]
    pub incident_after: Duration,
    /// How long it stays broken. Errors, queue and crash page within two minutes; a busy CPU takes about five.
    #[arg(long, default_value = "10m", value_parser = duration)]
    pub incident_for: Duration,
    /// Between two pushes.
    #[arg(long, default_value = "5s", value_parser = duration)]
    pub interval: Duration,
    /// How much of the past to push first, with its true times.
    #[arg(long, default_value = "1h", value_parser = duration)]
    pub backfill: Duration,
    /// Stop by itself after this long.
    #[arg(long = "for", value_parser = duration)]
    pub duration: Option<Duration>,
    /// The same seed plays the same fleet.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Incident {
    /// A host's CPUs are busy.
    Cpu,
    /// A third of the gateway's requests fail.
    Errors,
    /// The OCR queue fills and does not drain.
    Queue,
    /// The indexer crashes and is started again, over and over.
    Crash,
}

impl Incident {
    pub(super) fn story(self) -> &'static str {
        match self {
            Incident::Cpu => "the CPUs of borea are at 97 %",
            Incident::Errors => "a third of the gateway's requests fail",
            Incident::Queue => "the OCR queue fills and does not drain",
            Incident::Crash => "the indexer crashes and is started again, over and over",
        }
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let ms =
        model::time::parse_duration_ms(text).ok_or_else(|| format!("{text:?} is no duration; write 30s, 5m, 1h"))?;
    Ok(Duration::from_millis(ms.unsigned_abs()))
}
