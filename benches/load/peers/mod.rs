//! Ours beside VictoriaMetrics and Prometheus: the same samples into each, one after the other, in rounds; then the same queries of all,
//! turn by turn. Ours and VictoriaMetrics get the same OTLP bytes, Prometheus the same as remote write. The machine's own speed, which
//! changes by the hour on shared ones, is in all columns alike: what counts are the ratios.

mod peer;
mod remote_write;

use std::path::Path;
use std::time::{Duration, Instant};

use crate::http::Connection;
use crate::metrics;
use crate::options::Options;
use crate::push::{Pushed, push};
use crate::queries::{ASKED, Asked, POINTS, span};
use crate::server::{Cpu, Server, files};
use crate::timing::median;
use peer::Peer;

/// Times that the load is pushed into each.
const ROUNDS: usize = 2;
/// Times that a query is asked of each; the first ones are not counted.
const TURNS: u32 = 15;
const WARM_TURNS: u32 = 2;

pub(crate) fn run(options: &Options) {
    let peers: Vec<Peer> = Peer::ALL.into_iter().filter(|peer| peer.is_here()).collect();
    let points = (options.points as f64 * options.scale) as u64;
    println!("{:>16} {:>14} {:>9} {:>8} {:>14}", "intake", "samples/cpu-s", "B/sample", "peak MB", "p50 / p99 ms");
    let mut intakes: Vec<Vec<Intake>> = peers.iter().map(|_| Vec::new()).collect();
    for _ in 0..ROUNDS {
        for (peer, intakes) in peers.iter().zip(&mut intakes) {
            let home = tempfile::tempdir().expect("a folder for the data");
            let intake = Intake::of(*peer, home.path(), options, points);
            println!("{intake}");
            intakes.push(intake);
        }
    }
    tell_intake(&peers, &intakes);
    let points = (POINTS as f64 * options.scale) as u64;
    println!("\nqueries over {points} points a series, wall / cpu ms:");
    let homes: Vec<_> = peers.iter().map(|_| tempfile::tempdir().expect("a folder for the data")).collect();
    for (peer, home) in peers.iter().zip(&homes) {
        println!("{}", Intake::of(*peer, home.path(), options, points));
    }
    // Only now: some close a connection that says nothing for a minute.
    let mut asked: Vec<Questioned> =
        peers.iter().zip(&homes).map(|(peer, home)| Questioned::of(*peer, home.path())).collect();
    let names: String = peers.iter().map(|peer| format!("{:>17}", peer.name())).collect();
    println!("{names} {:>13}  query", "ours / best");
    for query in &ASKED {
        compare(&mut asked, query, span(points));
    }
    for Questioned { peer, connection, server } in asked {
        drop(connection);
        println!("{:>16} {:.0} MB peak resident, queries", peer.name(), server.peak_resident_bytes() as f64 / 1e6);
        server.stop();
    }
}

/// What pushing the load into a server came to.
struct Intake {
    peer: Peer,
    pushed: Pushed,
    /// Of its whole life, its stop included.
    cpu: Cpu,
    peak_bytes: u64,
    /// After its stop.
    disk_bytes: u64,
}

impl Intake {
    fn of(peer: Peer, home: &Path, options: &Options, points: u64) -> Intake {
        let server = peer.start(home);
        let requests = metrics::requests(points);
        let pushed =
            push(&server, options, peer.signal(), requests, |index| peer.body(metrics::request(index, points)));
        let peak_bytes = server.peak_resident_bytes();
        let cpu = server.stop();
        let disk_bytes = files(&home.join("data")).iter().map(|(_, bytes)| bytes).sum();
        Intake { peer, pushed, cpu, peak_bytes, disk_bytes }
    }

    fn samples_a_cpu_second(&self) -> f64 {
        self.pushed.items as f64 / self.cpu.seconds()
    }

    fn bytes_a_sample(&self) -> f64 {
        self.disk_bytes as f64 / self.pushed.items as f64
    }
}

impl std::fmt::Display for Intake {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            out,
            "{:>16} {:>14.0} {:>9.2} {:>8.0} {:>7.1} / {:.1}",
            self.peer.name(),
            self.samples_a_cpu_second(),
            self.bytes_a_sample(),
            self.peak_bytes as f64 / 1e6,
            self.pushed.percentile_ms(0.5),
            self.pushed.percentile_ms(0.99)
        )
    }
}

/// The ratios that goals were set for, by the sums over the rounds.
fn tell_intake(peers: &[Peer], intakes: &[Vec<Intake>]) {
    let of = |peer: Peer| peers.iter().position(|known| *known == peer).map(|at| &intakes[at]);
    let (Some(theirs), Some(ours)) = (of(Peer::VictoriaMetrics), of(Peer::Binnacle)) else { return };
    let mean = |of: &[Intake], figure: fn(&Intake) -> f64| of.iter().map(figure).sum::<f64>() / of.len() as f64;
    let ratio = |figure: fn(&Intake) -> f64| mean(ours, figure) / mean(theirs, figure);
    println!(
        "ours by VictoriaMetrics': {:.2} of the samples a cpu-second (aimed at: 3), {:.2} of the disk (aimed at: 0.8)",
        ratio(Intake::samples_a_cpu_second),
        ratio(Intake::bytes_a_sample)
    );
}

struct Questioned {
    peer: Peer,
    connection: Connection,
    server: Server,
}

impl Questioned {
    fn of(peer: Peer, home: &Path) -> Questioned {
        let server = peer.start(home);
        Questioned { peer, connection: Connection::open(&server.http), server }
    }
}

/// Asks one query of all in turns.
fn compare(asked: &mut [Questioned], query: &Asked, span: (i64, i64)) {
    let path = query.path(span);
    let mut walls: Vec<Vec<Duration>> = vec![Vec::new(); asked.len()];
    let mut before: Vec<f64> = Vec::new();
    for turn in 0..WARM_TURNS + TURNS {
        if turn == WARM_TURNS {
            before = asked.iter().map(|one| one.server.cpu().seconds()).collect();
        }
        for (Questioned { connection, .. }, walls) in asked.iter_mut().zip(&mut walls) {
            let begun = Instant::now();
            let answer = connection.get(&path);
            if turn >= WARM_TURNS {
                walls.push(begun.elapsed());
            }
            let has_points = [&b"\"values\":[["[..], b"\"value\":["].iter().any(|found| contains(&answer, found));
            assert!(has_points, "an empty answer to {}: {}", query.query, String::from_utf8_lossy(&answer));
        }
    }
    let costs: Vec<(f64, f64)> = asked
        .iter()
        .zip(walls)
        .zip(before)
        .map(|((one, walls), before)| {
            let cpu_ms = (one.server.cpu().seconds() - before) * 1e3 / f64::from(TURNS);
            (median(walls).as_secs_f64() * 1e3, cpu_ms)
        })
        .collect();
    let is_ours = |at: usize| asked[at].peer == Peer::Binnacle;
    let ratio = |figure: fn(&(f64, f64)) -> f64| {
        let best = costs.iter().enumerate().filter(|(at, _)| !is_ours(*at)).map(|(_, cost)| figure(cost));
        let ours = costs.iter().enumerate().filter(|(at, _)| is_ours(*at)).map(|(_, cost)| figure(cost));
        ours.sum::<f64>() / best.fold(f64::INFINITY, f64::min)
    };
    let costs: String = costs.iter().map(|(wall, cpu)| format!("{:>17}", format!("{wall:.1} / {cpu:.1}"))).collect();
    println!("{costs} {:>5.2} / {:>5.2}  {}", ratio(|cost| cost.0), ratio(|cost| cost.1), query.query);
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}
