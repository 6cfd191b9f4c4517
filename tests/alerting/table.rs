//! The scenarios by number, and the table they leave.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;

use futures_util::{FutureExt as _, StreamExt as _};

use crate::oracle::Counts;
use crate::{clock, compliance, days, disk, hurdles, logs, noise, outages, quiet, restarts, silent, soak, watches};

type Played = Pin<Box<dyn Future<Output = Row>>>;

/// What a scenario came to.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) counts: Counts,
    /// Figures of its own.
    pub(crate) remark: String,
}

impl Row {
    /// Of a scenario that needs what this machine does not have.
    pub(crate) fn not_played(why: &str) -> Row {
        Row { counts: Counts::default(), remark: format!("not played: {why}") }
    }
}

type Scenario = (&'static str, &'static str, fn() -> Played);

/// Number in the test plan, what happens, and how it is played.
const SCENARIOS: &[Scenario] = &[
    ("1", "one alert, its end, four receivers", || Box::pin(hurdles::one_alert())),
    ("2", "200 instances of one alert at once", || Box::pin(noise::many_instances())),
    ("3", "200 alerts at once, then all end", || Box::pin(noise::many_alerts())),
    ("4", "Slack refuses connections", || Box::pin(outages::slack_down())),
    ("5", "Slack 500, PagerDuty 429, mail down", || Box::pin(outages::everything_down())),
    ("6", "Slack 429 with Retry-After", || Box::pin(outages::throttled())),
    ("7", "killed between trigger and end", || Box::pin(restarts::ended_while_down())),
    ("7h", "the same, hours later", || Box::pin(clock::long_outage())),
    ("8", "killed at random points", || Box::pin(restarts::killed_at_random())),
    ("8h", "the same, Slack's history readable", || Box::pin(restarts::killed_at_random_with_history())),
    ("9", "accepted, then cut off", || Box::pin(outages::accept_then_cut())),
    ("10", "restarted while it fires", || Box::pin(restarts::still_firing())),
    ("11", "an agent is killed", || Box::pin(silent::agent_killed())),
    ("12", "the intake refuses, 50 hosts", || Box::pin(silent::intake_refuses())),
    ("13", "flapping", || Box::pin(noise::flapping())),
    ("13k", "the same with keep_firing_for", || Box::pin(noise::flapping_kept())),
    ("14", "a value around its threshold", || Box::pin(noise::noisy_value())),
    ("15", "the clock is set", || Box::pin(clock::set_while_firing())),
    ("16", "a rule slower than its interval", || Box::pin(hurdles::slow_rule())),
    ("17", "query errors while it fires", || Box::pin(hurdles::query_error())),
    ("18", "silences and mute times", || Box::pin(quiet::silences_and_mutes())),
    ("19", "a critical alert joins a told group", || Box::pin(hurdles::joins_group())),
    ("20", "hostile text, bad files", || Box::pin(hurdles::hostile_text())),
    ("21", "alerts at an Alertmanager elsewhere", || Box::pin(compliance::alerts_at_an_alertmanager())),
    ("23", "10,000 late log records, killed", || Box::pin(logs::late_and_killed())),
    ("25", "token revoked, key wrong, then put right", || Box::pin(outages::refused())),
    ("26", "the data disk is full", || Box::pin(disk::disk_full())),
    ("27", "a while with faulty receivers", || Box::pin(soak::faulty_receivers())),
    ("27d", "days by a fast clock", || Box::pin(days::go_by())),
    ("D", "dead man's switch and a heartbeat", || Box::pin(watches::dead_man_and_heartbeat())),
    ("E", "escalation over a restart", || Box::pin(watches::escalation())),
    ("T", "binnacle notify test", || Box::pin(watches::test_of_a_receiver())),
];

/// Played beside each other: they mostly wait.
const AT_ONCE: usize = 3;

// The fakes answer on other threads than the one that plays and counts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_left_open_or_doubled() {
    let picked = std::env::var("BINNACLE_SCENARIOS").unwrap_or_default();
    let picked: Vec<&str> = picked.split(',').map(str::trim).filter(|number| !number.is_empty()).collect();
    let chosen = SCENARIOS.iter().filter(|(number, ..)| picked.is_empty() || picked.contains(number));
    let rows: Vec<_> = futures_util::stream::iter(chosen)
        .map(|(number, what, play)| async move {
            let row = AssertUnwindSafe(play()).catch_unwind().await;
            if let Ok(row) = &row {
                eprintln!("{number} {what}: {row:?}");
            }
            (number, what, row)
        })
        .buffered(AT_ONCE)
        .collect()
        .await;
    println!("| # | scenario | lost | orphaned | doubled | out of order | seen by a human | first after | remark |");
    println!("|---|---|---|---|---|---|---|---|---|");
    let mut failed = Vec::new();
    for (number, what, row) in rows {
        let Ok(Row { counts, remark }) = row else {
            println!("| {number} | {what} | failed | | | | | | |");
            failed.push(*number);
            continue;
        };
        let first = counts.first_ms.map_or("-".into(), |ms| format!("{:.1} s", f64::from(ms) / 1e3));
        println!(
            "| {number} | {what} | {} | {} | {} | {} | {} | {first} | {remark} |",
            counts.lost, counts.orphaned, counts.doubled, counts.disordered, counts.seen
        );
        if !counts.is_clean() {
            failed.push(*number);
        }
    }
    assert!(failed.is_empty(), "not as promised: {failed:?}");
}
