//! `binnacle serve`.

use std::process::ExitCode;

use super::{AuthArg, Failure, ServeArgs, arenas};
use crate::app;
use crate::config::{AuthMode, Overrides};

pub(super) fn run(args: ServeArgs) -> Result<ExitCode, Failure> {
    // Before there is any thread or file.
    arenas::limit();
    let overrides = Overrides {
        data: None,
        http: args.listen_http,
        otlp_http: args.listen_otlp_http,
        otlp_grpc: args.listen_otlp_grpc,
        auth: args.auth.map(|auth| match auth {
            AuthArg::Off => AuthMode::Off,
            AuthArg::Token => AuthMode::Token,
        }),
        insecure_listen: args.insecure_listen,
    };
    let config = args.from.load(overrides.clone())?;
    log_to_stderr(&config.log.filter()?)?;
    let from = args.from;
    let again = move || from.load(overrides.clone());
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(app::run(config, again))?;
    Ok(ExitCode::SUCCESS)
}

/// One JSON object a line, with level, timestamp, message and fields at the top.
fn log_to_stderr(filter: &str) -> Result<(), Failure> {
    let filter = tracing_subscriber::EnvFilter::try_new(filter).map_err(|error| format!("log.level: {error}"))?;
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(false)
        .with_writer(std::io::stderr)
        .with_env_filter(filter)
        .init();
    Ok(())
}
