//! Hosts that were cut off for a day and now send it all, out of order, while live data goes on: what does a sample of the
//! backlog cost, as a multiple of a live one?

use crate::options::Options;
use crate::push::{METRICS, push};
use crate::rng::hash;
use crate::server::Server;
use crate::{metrics, print_cpu, print_disk};

/// Points of a series in a day at 15 s.
const DAY_POINTS: u64 = 5_760;
/// Points of a series that come live, before the backlog and again beside it.
const LIVE_POINTS: u64 = 960;
/// A sender's requests arrive out of order among so many: what its retries make of them.
const WINDOW: u64 = 64;

pub(crate) fn run(options: &Options) {
    let home = tempfile::tempdir().expect("a folder for the data");
    let server = Server::start(home.path());
    let points = |of: u64| (of as f64 * options.scale) as u64;
    let (live, backlog) = (metrics::requests(points(LIVE_POINTS)), metrics::requests(points(DAY_POINTS)));
    // The backlog is the first day, the live data what comes after it; all of it lies before this one.
    let before = points(DAY_POINTS) + 2 * points(LIVE_POINTS);
    let begin = server.cpu();
    let alone = push(&server, options, METRICS, live, |index| metrics::request(backlog + index, before));
    alone.print(METRICS);
    let after_live = server.cpu();
    let price_live = after_live.since(begin);
    print_cpu("live alone: ", METRICS, alone.items, alone.bytes, price_live);

    // One live request after every few of the backlog.
    let stride = backlog / live.max(1) + 1;
    let mixed = push(&server, options, METRICS, live + backlog, |index| {
        let (round, place) = (index / stride, index % stride);
        if place == stride - 1 && round < live {
            return metrics::request(backlog + live + round, before);
        }
        let number = index - round.min(live);
        metrics::request(shuffled(number as u64, backlog as u64) as usize, before)
    });
    mixed.print(METRICS);
    let price_mixed = server.cpu().since(after_live);
    print_cpu("backlog with live: ", METRICS, mixed.items, mixed.bytes, price_mixed);
    let a_live = price_live.seconds() / alone.items as f64;
    let of_backlog = price_mixed.seconds() - a_live * (live * alone.items / alone.requests) as f64;
    let backlog_items = backlog * alone.items / alone.requests;
    println!("  a sample of the backlog costs {:.2} of a live one", of_backlog / backlog_items as f64 / a_live);
    println!("  {:.0} MB peak resident", server.peak_resident_bytes() as f64 / 1e6);
    let whole = server.stop();
    print_cpu("all, with the stop: ", METRICS, alone.items + mixed.items, alone.bytes + mixed.bytes, whole);
    print_disk(home.path(), METRICS, alone.items + mixed.items);
}

/// A place within the same window of requests, each once.
fn shuffled(number: u64, requests: u64) -> u64 {
    let first = number / WINDOW * WINDOW;
    let size = WINDOW.min(requests - first);
    let mut order: Vec<u64> = (first..first + size).collect();
    order.sort_by_key(|place| hash(*place));
    order[(number - first) as usize]
}
