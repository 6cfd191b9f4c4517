//! `binnacle notify`: asks a running server to send a test message, and shows each step of it.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Subcommand;

use super::Failure;
use super::ask::ServerArgs;

/// Between two looks at how a test goes.
const LOOK_EVERY: Duration = Duration::from_millis(300);

#[derive(Debug, Subcommand)]
pub(super) enum NotifyVerb {
    /// Send a synthetic alert and its end to a receiver, through everything that a real one passes.
    #[command(after_help = "Example:\n  binnacle notify test oncall\n\n\
        Exits with 0 when every channel of the receiver took both messages, and with 1 when one did not.")]
    Test {
        #[command(flatten)]
        server: ServerArgs,
        /// A receiver of notify.yml.
        receiver: String,
        /// Seconds to wait for the end.
        #[arg(long, default_value_t = 60)]
        wait: u64,
    },
}

pub(super) fn run(verb: &NotifyVerb) -> Result<ExitCode, Failure> {
    let NotifyVerb::Test { server, receiver, wait } = verb;
    let begun = server.ask("notify/test", &[("receiver", receiver.clone())])?;
    let id = begun.data["testId"].as_str().unwrap_or_default().to_owned();
    let deadline = Instant::now() + Duration::from_secs(*wait);
    let mut shown = 0;
    let mut good = true;
    loop {
        let steps = server.ask("notify/test/steps", &[("id", id.clone())])?.data;
        let attempts = steps["attempts"].as_array().cloned().unwrap_or_default();
        for attempt in attempts.iter().skip(shown) {
            let text = |name: &str| attempt[name].as_str().unwrap_or_default().to_owned();
            say!(
                "{:<24} {:<9} {:<10} {:>6} ms  {} {}",
                text("channel"),
                text("want"),
                text("outcome"),
                attempt["tookMs"],
                attempt["status"],
                text("words")
            );
            good &= text("outcome") != "permanent";
        }
        shown = attempts.len();
        if steps["done"] == true {
            say!("{}", if good { "every channel took it" } else { "not every channel took it" });
            return Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        if Instant::now() >= deadline {
            return Err(format!("not done within {wait} s; it goes on, see /notifications").into());
        }
        std::thread::sleep(LOOK_EVERY);
    }
}
