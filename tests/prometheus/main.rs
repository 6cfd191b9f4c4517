//! Beside a real Prometheus: the same data written to both, the same requests made of both, the same answers expected.
//!
//! `tests/prometheus/setup` unpacks a Prometheus 3.5; where it is not there, these tests say so and pass. What later versions changed is
//! kept out by how the data and the queries are made ([`data`], [`grammar`]) or named as a rule in [`differences`], never case by case. `SEED=n` chooses data and queries, `QUERIES=n` how many.

mod api;
mod data;
mod differences;
mod grammar;
mod mistakes;
mod peer;
mod queries;
mod readers;
mod scraped;

#[path = "../it/appliance.rs"]
#[allow(dead_code)]
mod appliance;
#[path = "../peers/free_address.rs"]
mod free_address;
#[path = "../../src/codec/tests/support/prom_chunks.rs"]
mod prom_chunks;
#[path = "../../src/codec/tests/support/prompb.rs"]
mod prompb;
#[path = "../it/until.rs"]
mod until;
