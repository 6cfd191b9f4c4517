//! What a request costs, asked again and again of a warm server.

use std::time::{Duration, Instant};

use crate::server::Server;

/// Requests whose median is told, after as many that are not.
pub(crate) const RUNS: usize = 5;

pub(crate) struct Cost {
    pub(crate) wall_ms: f64,
    /// Of all threads of the server.
    pub(crate) cpu_ms: f64,
    /// Most memory that the server held, in MB, itself included.
    pub(crate) peak_mb: f64,
    /// Memory that it still held when the last answer had come, in MB.
    pub(crate) after_mb: f64,
}

/// Processor time is averaged over `cpu_runs` requests: the kernel counts it in steps of 10 ms.
pub(crate) fn cost(server: &Server, cpu_runs: u32, mut ask: impl FnMut()) -> Cost {
    server.forget_peak();
    let mut time = || {
        let begun = Instant::now();
        ask();
        begun.elapsed()
    };
    median((0..RUNS).map(|_| time()).collect());
    let wall = median((0..RUNS).map(|_| time()).collect());
    let before = server.cpu().seconds();
    for _ in 0..cpu_runs {
        time();
    }
    let cpu_ms = (server.cpu().seconds() - before) * 1e3 / f64::from(cpu_runs);
    let mb = |bytes: u64| bytes as f64 / 1e6;
    let (peak_mb, after_mb) = (mb(server.peak_resident_bytes()), mb(server.resident_bytes()));
    Cost { wall_ms: wall.as_secs_f64() * 1e3, cpu_ms, peak_mb, after_mb }
}

pub(crate) fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}
