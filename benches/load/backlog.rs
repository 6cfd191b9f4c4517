//! Hosts that were cut off for a day and now send it all, out of order, while live data goes on: what does a sample of the
//! backlog cost, as a multiple of a live one?
//!
//! Both prices are of a server's whole life, with all it writes out and its stop: as many live samples as the backlog has, alone; and
//! the backlog with live data in between.

use crate::metrics;
use crate::options::Options;
use crate::push::METRICS;
use crate::rng::hash;

/// Points of a series in a day at 15 s.
const DAY_POINTS: u64 = 5_760;
/// Points of a series that come live beside the backlog.
const LIVE_POINTS: u64 = 960;
/// A sender's requests arrive out of order among so many: what its retries make of them.
const WINDOW: u64 = 64;

pub(crate) fn run(options: &Options) {
    let points = |of: u64| (of as f64 * options.scale) as u64;
    let (live, backlog) = (metrics::requests(points(LIVE_POINTS)), metrics::requests(points(DAY_POINTS)));
    // The backlog is the first day, the live data what comes after it; all of it lies before this one.
    let before = points(DAY_POINTS) + points(LIVE_POINTS);

    println!("live alone:");
    let (alone, price_alone) = crate::run(options, METRICS, backlog, |index| metrics::request(index, before));

    println!("backlog with live:");
    // One live request after every few of the backlog.
    let stride = backlog / live.max(1) + 1;
    let (mixed, price_mixed) = crate::run(options, METRICS, live + backlog, |index| {
        let (round, place) = (index / stride, index % stride);
        if place == stride - 1 && round < live {
            return metrics::request(backlog + round, before);
        }
        let number = index - round.min(live);
        metrics::request(shuffled(number as u64, backlog as u64) as usize, before)
    });
    let a_live = price_alone.seconds() / alone as f64;
    let of_live = alone / backlog * live;
    let of_backlog = (price_mixed.seconds() - a_live * of_live as f64) / (mixed - of_live) as f64;
    println!("a sample of the backlog costs {:.2} of a live one", of_backlog / a_live);
}

/// A place within the same window of requests, each once.
fn shuffled(number: u64, requests: u64) -> u64 {
    let first = number / WINDOW * WINDOW;
    let size = WINDOW.min(requests - first);
    let mut order: Vec<u64> = (first..first + size).collect();
    order.sort_by_key(|place| hash(*place));
    order[(number - first) as usize]
}
