//! The fleet: three hosts, four services, and what happens to them from one moment to the next.

use super::RECORDS_PER_TICK;
use super::args::Incident;
use super::rng::Rng;

pub(super) const HOSTS: [&str; 3] = ["aurora", "borea", "caspia"];
/// Service and the host it runs on.
pub(super) const SERVICES: [(&str, usize); 4] = [("gateway", 0), ("search", 1), ("indexer", 2), ("ocr-worker", 2)];
pub(super) const QUEUES: [&str; 2] = ["ocr", "index"];
/// Routes of the services that serve HTTP, with the usual latency in seconds and the share of the service's requests.
pub(super) const ROUTES: [(usize, &str, &str, f64, f64); 5] = [
    (0, "GET", "/api/search", 0.080, 0.6),
    (0, "GET", "/api/documents/{id}", 0.025, 0.3),
    (0, "POST", "/api/documents", 0.140, 0.1),
    (1, "POST", "/query", 0.055, 0.9),
    (1, "GET", "/suggest", 0.012, 0.1),
];
/// Bucket bounds of OpenTelemetry's `http.server.request.duration`, in seconds.
pub(super) const BOUNDS_S: [f64; 14] = model::meter::TIMING_BOUNDS_S;
/// CPU states and their share when idle and when busy.
pub(super) const CPU_STATES: [(&str, f64, f64); 4] =
    [("user", 0.6, 0.75), ("system", 0.25, 0.2), ("wait", 0.1, 0.03), ("softirq", 0.05, 0.02)];
pub(super) const CPUS: usize = 4;
const STATUSES: [u16; 3] = [200, 404, 503];

/// A cumulative histogram of one route and status.
#[derive(Clone, Default)]
pub(super) struct Requests {
    pub(super) buckets: [u64; BOUNDS_S.len() + 1],
    pub(super) sum_s: f64,
    pub(super) count: u64,
}

/// A request worth a log line.
pub(super) struct Seen {
    pub(super) at_ns: u64,
    pub(super) route: usize,
    pub(super) status: u16,
    pub(super) took_s: f64,
    pub(super) trace_id: [u8; 16],
    pub(super) span_id: [u8; 8],
}

/// A line that is no request.
pub(super) struct Event {
    pub(super) at_ns: u64,
    pub(super) service: usize,
    pub(super) severity: i32,
    pub(super) body: String,
}

/// The fleet at one moment: cumulative values, and what was said since the last one.
pub(super) struct Tick<'a> {
    pub(super) at_ns: u64,
    pub(super) start_ns: u64,
    pub(super) fleet: &'a Fleet,
    pub(super) seen: Vec<Seen>,
    pub(super) events: Vec<Event>,
}

pub(super) struct Fleet {
    rng: Rng,
    start_ns: u64,
    last_ns: u64,
    /// Seconds by host, CPU and state, the last state being idle.
    pub(super) cpu_s: [[[f64; CPU_STATES.len() + 1]; CPUS]; HOSTS.len()],
    busy: [f64; HOSTS.len()],
    pub(super) memory_used: [f64; HOSTS.len()],
    pub(super) disk_used: [f64; HOSTS.len()],
    pub(super) requests: Vec<[Requests; STATUSES.len()]>,
    pub(super) queue_depth: [f64; QUEUES.len()],
    pub(super) consumed: [f64; QUEUES.len()],
    pub(super) process_started_ns: [u64; SERVICES.len()],
}

/// How long the crashing service lives before it crashes again.
const CRASH_AFTER_NS: u64 = 8_000_000_000;

pub(super) const MEMORY_BYTES: f64 = 8e9;
pub(super) const DISK_BYTES: f64 = 64e9;

impl Fleet {
    pub(super) fn new(seed: u64, start_ns: u64) -> Fleet {
        Fleet {
            rng: Rng::new(seed),
            start_ns,
            last_ns: start_ns,
            cpu_s: [[[0.0; CPU_STATES.len() + 1]; CPUS]; HOSTS.len()],
            busy: [0.22, 0.34, 0.28],
            memory_used: [0.41, 0.58, 0.52],
            disk_used: [0.37, 0.55, 0.48],
            requests: vec![Default::default(); ROUTES.len()],
            queue_depth: [12.0, 40.0],
            consumed: [0.0; QUEUES.len()],
            process_started_ns: [start_ns; SERVICES.len()],
        }
    }

    pub(super) fn status(index: usize) -> u16 {
        STATUSES[index]
    }

    /// Lets time pass until `at_ns`, with something broken or not.
    pub(super) fn advance(&mut self, at_ns: u64, incident: Option<Incident>) -> Tick<'_> {
        let passed_s = at_ns.saturating_sub(self.last_ns) as f64 / 1e9;
        self.hosts(passed_s, incident);
        let seen = self.serve(at_ns, passed_s, incident);
        let mut events = Vec::new();
        self.queues(at_ns, passed_s, incident, &mut events);
        self.processes(at_ns, incident, &mut events);
        events.sort_by_key(|event| event.at_ns);
        self.last_ns = at_ns;
        Tick { at_ns, start_ns: self.start_ns, fleet: self, seen, events }
    }

    fn hosts(&mut self, passed_s: f64, incident: Option<Incident>) {
        for host in 0..HOSTS.len() {
            let usual = [0.22, 0.34, 0.28][host];
            let wanted = if incident == Some(Incident::Cpu) && host == 1 { 0.97 } else { usual };
            // Half of the way in about five seconds, so that an incident is one at once.
            self.busy[host] += (wanted - self.busy[host]) * (1.0 - (-passed_s / 7.0).exp());
            let busy = (self.busy[host] + 0.03 * self.rng.normal()).clamp(0.01, 0.995);
            self.memory_used[host] = (self.memory_used[host] + 0.002 * self.rng.normal()).clamp(0.3, 0.75);
            self.disk_used[host] = (self.disk_used[host] + 2e-7 * passed_s).min(0.66);
            for cpu in 0..CPUS {
                let own = (busy * (1.0 + 0.1 * self.rng.normal())).clamp(0.0, 1.0);
                for (state, (_, share_idle, share_busy)) in CPU_STATES.iter().enumerate() {
                    let share = share_idle + (share_busy - share_idle) * own;
                    self.cpu_s[host][cpu][state] += own * share * passed_s;
                }
                self.cpu_s[host][cpu][CPU_STATES.len()] += (1.0 - own) * passed_s;
            }
        }
    }

    fn serve(&mut self, at_ns: u64, passed_s: f64, incident: Option<Incident>) -> Vec<Seen> {
        // A slow wave over twenty minutes, as traffic has.
        let wave = 1.0 + 0.35 * (at_ns as f64 / 1e9 / 1200.0 * std::f64::consts::TAU).sin();
        let mut seen = Vec::new();
        for (route, (service, _, _, usual_s, share)) in ROUTES.iter().enumerate() {
            let per_second = [18.0, 11.0][*service] * wave * share;
            let expected = per_second * passed_s;
            let count = (expected + expected.sqrt() * self.rng.normal()).round().max(0.0) as u64;
            for _ in 0..count {
                let fails = if incident == Some(Incident::Errors) && *service == 0 { 0.33 } else { 0.001 };
                let draw = self.rng.unit();
                let status = if draw < fails { 2 } else { usize::from(draw > 0.995) };
                let slow = if status == 2 { 4.0 } else { 1.0 };
                let took_s = usual_s * slow * (0.45 * self.rng.normal()).exp();
                let requests = &mut self.requests[route][status];
                requests.buckets[BOUNDS_S.partition_point(|bound| *bound < took_s)] += 1;
                requests.sum_s += took_s;
                requests.count += 1;
                // One access line in eight, and every failure.
                if (status == 2 || self.rng.below(8) == 0) && seen.len() < RECORDS_PER_TICK {
                    let mut trace_id = [0; 16];
                    trace_id[..8].copy_from_slice(&self.rng.next().to_be_bytes());
                    trace_id[8..].copy_from_slice(&(self.rng.next() | 1).to_be_bytes());
                    let ago_ns = (self.rng.unit() * passed_s * 1e9) as u64;
                    seen.push(Seen {
                        at_ns: at_ns - ago_ns,
                        route,
                        status: STATUSES[status],
                        took_s,
                        trace_id,
                        span_id: (self.rng.next() | 1).to_be_bytes(),
                    });
                }
            }
        }
        seen.sort_by_key(|seen| seen.at_ns);
        seen
    }

    fn queues(&mut self, at_ns: u64, passed_s: f64, incident: Option<Incident>, events: &mut Vec<Event>) {
        for queue in 0..QUEUES.len() {
            let stuck = incident == Some(Incident::Queue) && queue == 0;
            if stuck {
                self.queue_depth[queue] += 90.0 * passed_s;
                events.push(Event {
                    at_ns,
                    service: 3,
                    severity: 13,
                    body: format!(
                        "no worker free, {:.0} pages wait, oldest for {:.0} s",
                        self.queue_depth[queue],
                        passed_s * 3.0
                    ),
                });
            } else {
                let usual = [12.0, 40.0][queue];
                // A backlog is worked off in about half a minute.
                self.queue_depth[queue] += (usual - self.queue_depth[queue]) * (1.0 - (-passed_s / 12.0).exp());
                self.queue_depth[queue] = (self.queue_depth[queue] + 2.0 * self.rng.normal()).max(0.0);
                self.consumed[queue] += (8.0 + self.rng.normal()).max(0.0) * passed_s;
            }
        }
        let documents = self.rng.below(40);
        let took_ms = 80.0 + 30.0 * self.rng.normal().abs();
        let body = format!("indexed batch of {documents} documents in {took_ms:.1} ms");
        events.push(Event { at_ns: at_ns - 1, service: 2, severity: 9, body });
        let page = self.rng.below(400);
        let words = ["scan.pdf", "manifest.tiff", "invoice-0412.pdf", "chart.png"];
        let body = format!("recognised page {page} of {}", self.rng.pick(&words));
        events.push(Event { at_ns: at_ns - 2, service: 3, severity: 5, body });
    }

    fn processes(&mut self, at_ns: u64, incident: Option<Incident>, events: &mut Vec<Event>) {
        const INDEXER: usize = 2;
        let alive_ns = at_ns.saturating_sub(self.process_started_ns[INDEXER]);
        if incident == Some(Incident::Crash) && alive_ns > CRASH_AFTER_NS {
            self.process_started_ns[INDEXER] = at_ns - 500_000_000;
            for (before_ns, severity, body) in [
                (
                    900_000_000,
                    21,
                    "thread 'main' panicked at src/segment.rs:212: segment 0x3f is shorter than its header says",
                ),
                (500_000_000, 9, "indexer starting, version 2.4.1"),
                (400_000_000, 13, "recovering from an unclean stop"),
            ] {
                events.push(Event { at_ns: at_ns - before_ns, service: INDEXER, severity, body: body.into() });
            }
        }
    }
}
