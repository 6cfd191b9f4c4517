//! `binnacle demo`: a small fleet that pushes believable OTLP over gRPC at a running server, and can break something on cue.
//!
//! Everything is drawn from a seed, so that the same seed shows the same fleet.

mod args;
mod fleet;
mod logs;
mod metrics;
mod rng;
mod send;

use std::process::ExitCode;
use std::time::Duration;

pub use args::{DemoArgs, Incident};

use crate::cli::Failure;
use crate::clock;
use fleet::{Fleet, Tick};
use send::Sender;

/// Between two pushes of what lies in the past: coarse, so that an hour of it is there in a second or two.
const BACKFILL_STEP: Duration = Duration::from_secs(15);
/// Log records of one push at most; a real SDK's batch is 512.
const RECORDS_PER_TICK: usize = 400;

pub fn run(args: DemoArgs) -> Result<ExitCode, Failure> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(play(args))?;
    Ok(ExitCode::SUCCESS)
}

async fn play(args: DemoArgs) -> Result<(), Failure> {
    let mut sender = Sender::connect(&args).await?;
    let started_ns = clock::now_ns();
    let backfill_ns = u64::try_from(args.backfill.as_nanos())?;
    let mut fleet = Fleet::new(args.seed, started_ns.saturating_sub(backfill_ns));
    if backfill_ns > 0 {
        println!(
            "pushing the last {} of {} hosts and {} services",
            human(args.backfill),
            fleet::HOSTS.len(),
            fleet::SERVICES.len()
        );
        let step_ns = u64::try_from(BACKFILL_STEP.as_nanos())?;
        let mut at_ns = started_ns - backfill_ns;
        while at_ns + step_ns < started_ns {
            at_ns += step_ns;
            push(&mut sender, &fleet.advance(at_ns, None)).await?;
        }
    }
    println!("pushing every {} to {}; stop with Ctrl-C", human(args.interval), args.endpoint);
    let mut ticks = tokio::time::interval(args.interval);
    let mut announced = false;
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            interrupted = tokio::signal::ctrl_c() => return Ok(interrupted?),
        }
        let at_ns = clock::now_ns();
        let running = Duration::from_nanos(at_ns.saturating_sub(started_ns));
        if args.duration.is_some_and(|duration| running >= duration) {
            return Ok(());
        }
        let incident =
            args.incident.filter(|_| (args.incident_after..args.incident_after + args.incident_for).contains(&running));
        if incident.is_some() != announced {
            announced = incident.is_some();
            match (incident, args.incident) {
                (Some(now), _) => println!("incident begins: {}", now.story()),
                (None, Some(past)) => println!("incident ends: {past:?}"),
                (None, None) => {}
            }
        }
        push(&mut sender, &fleet.advance(at_ns, incident)).await?;
    }
}

async fn push(sender: &mut Sender, tick: &Tick<'_>) -> Result<(), Failure> {
    sender.metrics(metrics::request(tick)).await?;
    sender.logs(logs::request(tick)).await
}

fn human(duration: Duration) -> String {
    model::time::format_duration_ms(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX))
}
