//! How long does a start take over 1 GB that is stored, after a kill? The metrics load is pushed once and lies in a day's file then;
//! copies of that stand for earlier days, since a start reads of a day only what it says of itself. Then the server is killed in the
//! middle of intake, with its log as full as that leaves it, and started again.

use std::path::Path;
use std::time::Instant;

use model::time::Day;

use crate::metrics;
use crate::options::Options;
use crate::push::{METRICS, push};
use crate::server::Server;

const STORED_BYTES: u64 = 1_000_000_000;
/// Within the default retention.
const DAYS_MAX: u64 = 80;
/// Points a series that make the day's file, and that are in the log at the kill.
const DAY_POINTS: u64 = 2_880;
const LOG_POINTS: u64 = 240;
/// What is aimed at.
const GOAL_S: f64 = 3.0;

pub(crate) fn run(options: &Options) {
    let home = tempfile::tempdir().expect("a folder for the data");
    let points = (DAY_POINTS as f64 * options.scale) as u64;
    let server = Server::start(home.path());
    let before = points + LOG_POINTS;
    push(&server, options, METRICS, metrics::requests(points), |index| metrics::request(index, before));
    server.stop();
    let days = multiply(&home.path().join("data/tenants/default/metrics"));
    let server = Server::start(home.path());
    push(&server, options, METRICS, metrics::requests(LOG_POINTS), |index| metrics::request(index, LOG_POINTS));
    server.kill();
    let bytes: u64 = crate::server::files(&home.path().join("data")).iter().map(|(_, bytes)| bytes).sum();
    let began = Instant::now();
    let server = Server::start(home.path());
    println!(
        "{:.0} MB in {days} days: {:.2} s from a start after a kill to ready ({GOAL_S} aimed at), {:.2} cpu s, {:.0} MB resident",
        bytes as f64 / 1e6,
        began.elapsed().as_secs_f64(),
        server.cpu().seconds(),
        server.resident_bytes() as f64 / 1e6
    );
    server.stop();
}

/// Copies the only day's file until all are as large as wanted; how many there are then.
fn multiply(dir: &Path) -> u64 {
    let mut files: Vec<_> = std::fs::read_dir(dir).expect("the day was written").flatten().collect();
    files.sort_by_key(|file| file.metadata().map_or(0, |metadata| metadata.len()));
    let written = files.pop().expect("a day's file").path();
    let bytes = written.metadata().expect("it is there").len();
    let name = written.file_stem().and_then(|name| name.to_str()).expect("a day");
    let Day(day) = Day::parse(name).expect("a day");
    let copies = (STORED_BYTES / bytes).clamp(1, DAYS_MAX);
    for back in (1..).take(copies as usize) {
        std::fs::copy(&written, dir.join(format!("{}.redb", Day(day - back)))).expect("there is room");
    }
    copies + 1
}
