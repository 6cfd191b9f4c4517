//! How fast log blocks are written and read, and how small they are, on lines with words, fresh numbers and ids.
//!
//! `cargo bench -p codec --bench log_block`

use codec::block::{self, Block, Row};
use model::{LogRecord, Resource, Scope};

#[path = "lines.rs"]
mod lines;

use lines::records;

const RECORDS: usize = 1_000;

fn main() {
    let records = records(42, RECORDS);
    let bytes = encode(&records);
    println!(
        "{RECORDS} records, {} raw bytes, {} stored, {:.1} bytes a record, {:.3} of raw",
        raw_bytes(&records),
        bytes.len(),
        bytes.len() as f64 / RECORDS as f64,
        bytes.len() as f64 / raw_bytes(&records) as f64
    );
    divan::main();
}

fn raw_bytes(records: &[LogRecord]) -> usize {
    let of = |record: &LogRecord| {
        let attributes: usize = record.attributes.iter().map(|(key, value)| key.len() + value.to_text().len()).sum();
        33 + record.body.to_text().len() + attributes + if record.trace_id.is_some() { 24 } else { 0 }
    };
    records.iter().map(of).sum()
}

fn encode(records: &[LogRecord]) -> Vec<u8> {
    let row = |(at, record)| Row { resource: 0, scope: 0, seq: 1, place: at as u32, record };
    let rows: Vec<Row<'_>> = records.iter().enumerate().map(row).collect();
    block::encode(&[&Resource::default()], &[&Scope::default()], &rows)
}

#[divan::bench]
fn write(bencher: divan::Bencher<'_, '_>) {
    let records = records(42, RECORDS);
    bencher.counter(divan::counter::BytesCount::new(raw_bytes(&records))).bench(|| encode(&records));
}

#[divan::bench]
fn read_all(bencher: divan::Bencher<'_, '_>) {
    let records = records(42, RECORDS);
    let bytes = encode(&records);
    bencher
        .counter(divan::counter::BytesCount::new(raw_bytes(&records)))
        .bench(|| Block::parse(bytes.clone()).and_then(|block| block.batch()).expect("it was just encoded"));
}

/// What a search for a word needs.
#[divan::bench]
fn read_times_and_bodies(bencher: divan::Bencher<'_, '_>) {
    let records = records(42, RECORDS);
    let bytes = encode(&records);
    bencher.counter(divan::counter::BytesCount::new(raw_bytes(&records))).bench(|| {
        let block = Block::parse(bytes.clone()).expect("it was just encoded");
        block.times().expect("it was just encoded").len() + block.bodies().expect("it was just encoded").text().len()
    });
}
