//! Metric chunks: time and bytes per sample of the kinds of series that hosts and services send.

use codec::chunk;
use codec::page::{Packer, Page};
use divan::counter::ItemsCount;
use model::MsRange;

const SAMPLES: usize = 240;
const KINDS: [&str; 8] =
    ["gauge .1", "gauge .01", "counter", "constant", "float sum", "bytes gauge", "slow counter", "float latency"];
/// Shares of the mix, in percent, in the order of `KINDS` (storage.md 2.1).
const SHARES: [usize; 8] = [15, 15, 20, 20, 5, 10, 10, 5];

/// Points a series of the load in `benches/load/metrics.rs`: those of a flush, and of a chunk of its settled day.
const LOAD_POINTS: [usize; 3] = [480, 960, 1_440];
const PAGE_SIZES: &[usize] = &[65_472, 32_704, 16_320, 8_128, 4_032];

fn main() {
    let mut mix = 0.0;
    for (kind, share) in KINDS.iter().zip(SHARES) {
        let bytes: usize = (0..20).map(|seed| encode(&series(kind, seed)).len()).sum();
        let each = bytes as f64 / (20 * SAMPLES) as f64;
        mix += each * share as f64 / 100.0;
        println!("{kind:14} {each:.2} B/sample");
    }
    println!("{:14} {mix:.2} B/sample, times and checksum included", "mix");
    for points in LOAD_POINTS {
        let load = load(points);
        let bytes: usize = pack(&load).iter().map(Vec::len).sum();
        println!("load, {points:5} points a series: {:.3} B/sample in pages", bytes as f64 / samples_of(&load) as f64);
    }
    divan::main();
}

#[divan::bench(args = KINDS)]
fn encode_samples(bencher: divan::Bencher<'_, '_>, kind: &str) {
    let columns = series(kind, 1);
    bencher.counter(ItemsCount::new(SAMPLES)).bench(|| encode(&columns));
}

#[divan::bench(args = KINDS)]
fn decode_samples(bencher: divan::Bencher<'_, '_>, kind: &str) {
    let bytes = encode(&series(kind, 1));
    let (mut at_ms, mut values) = (Vec::new(), Vec::new());
    bencher.counter(ItemsCount::new(SAMPLES)).bench_local(|| {
        at_ms.clear();
        values.clear();
        chunk::decode(&bytes, &mut at_ms, &mut values).expect("just encoded")
    });
}

#[divan::bench(args = LOAD_POINTS)]
fn encode_load(bencher: divan::Bencher<'_, '_>, points: usize) {
    let load = load(points);
    bencher.counter(ItemsCount::new(samples_of(&load))).bench(|| pack(&load));
}

#[divan::bench(args = LOAD_POINTS)]
fn decode_load(bencher: divan::Bencher<'_, '_>, points: usize) {
    let load = load(points);
    let pages = pack(&load);
    let (mut at_ms, mut values) = (Vec::new(), Vec::new());
    bencher.counter(ItemsCount::new(samples_of(&load))).bench_local(|| {
        for bytes in &pages {
            let page = Page::read(bytes).expect("just packed");
            for chunk in page.chunks() {
                at_ms.clear();
                values.clear();
                let all = page.places(bytes, chunk, MsRange::ALL).expect("just packed");
                page.floats(bytes, chunk, all, &mut at_ms, &mut values).expect("just packed");
            }
        }
    });
}

/// The twenty samples of five minutes that an instant query looks at; time per series.
#[divan::bench(args = LOAD_POINTS)]
fn decode_an_instant(bencher: divan::Bencher<'_, '_>, points: usize) {
    let load = load(points);
    let pages = pack(&load);
    let (mut at_ms, mut values) = (Vec::new(), Vec::new());
    let end_ms = load[0].0[points * 2 / 3];
    let range = MsRange { start_ms: end_ms - 300_000 + 1, end_ms };
    bencher.counter(ItemsCount::new(load.len())).bench_local(|| {
        for bytes in &pages {
            let page = Page::read(bytes).expect("just packed");
            for chunk in page.chunks() {
                at_ms.clear();
                values.clear();
                let places = page.places(bytes, chunk, range).expect("just packed");
                page.floats(bytes, chunk, places, &mut at_ms, &mut values).expect("just packed");
            }
        }
    });
}

fn encode((at_ms, values): &(Vec<i64>, Vec<f64>)) -> Vec<u8> {
    chunk::encode(at_ms, values)
}

fn samples_of(load: &[(Vec<i64>, Vec<f64>)]) -> usize {
    load.iter().map(|(at_ms, _)| at_ms.len()).sum()
}

fn pack(load: &[(Vec<i64>, Vec<f64>)]) -> Vec<Vec<u8>> {
    let mut packer = Packer::new(PAGE_SIZES);
    let mut pages = Vec::new();
    for (series, (at_ms, values)) in (0..).zip(load) {
        pages.extend(packer.floats(series, at_ms, values));
    }
    pages.extend(packer.finish());
    pages.into_iter().map(|page| page.bytes).collect()
}

/// SplitMix64 of a place, in `[0, 1)`.
fn unit(place: u64) -> f64 {
    let mut mixed = place.wrapping_add(0x9e37_79b9_7f4a_7c15).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1u64 << 53) as f64
}

/// The 157 series of one host of the load, for as many points.
fn load(points: usize) -> Vec<(Vec<i64>, Vec<f64>)> {
    let steps = || 0..points as u64;
    let walk = |series: u64, step: u64| {
        let (phase, t) = (unit(series) * 6.3, step as f64);
        0.5 * (t / 57.0 + phase).sin() + 0.3 * (t / 13.0 + 2.0 * phase).sin() + 0.2 * (unit(series << 20 ^ step) - 0.5)
    };
    let round = |value: f64, scale: f64| (value * scale).round() / scale;
    let mut columns: Vec<Vec<f64>> = Vec::new();
    for n in 0..32 {
        columns.push(steps().map(|step| round((0.3 + 0.25 * walk(n, step)).clamp(0.0, 1.0), 1e4)).collect());
    }
    for n in 0..14 {
        let size = |step| (1e6 * (n + 1) as f64 * (1.0 + 0.2 * walk(100 + n, step))).round();
        columns.push(steps().map(size).collect());
    }
    for n in 0..4 {
        columns.push(steps().map(|step| round(0.5 + 0.4 * walk(200 + n, step), 1e6)).collect());
    }
    for n in 0..11 {
        columns.push(vec![f64::from(n * 512); points]);
    }
    for n in 0..40u64 {
        let per_step = if n.is_multiple_of(8) { 0.0 } else { 20.0 + 60.0 * unit(300 + n) };
        let count = |step| (per_step * step as f64 + 0.3 * per_step * unit((400 + n) << 12 ^ step)).floor();
        columns.push(steps().map(count).collect());
    }
    for n in 0..4u64 {
        let mut of_histogram = vec![Vec::new(); 14];
        for step in steps() {
            let mut total = 0u64;
            for bucket in 0..12u64 {
                let weight = (-(bucket as f64 - 4.0).powi(2) / 6.0).exp();
                let jitter = unit((500 + n) << 24 ^ bucket << 16 ^ step);
                total += (12.0 * weight * step as f64 + 3.0 * weight * jitter) as u64;
                of_histogram[bucket as usize].push(total as f64);
            }
            of_histogram[12].push(total as f64);
            of_histogram[13].push(round(total as f64 * 0.083, 1e3));
        }
        columns.append(&mut of_histogram);
    }
    let at_ms: Vec<i64> = (0..points as i64).map(|n| 1_795_226_400_000 + n * 15_000).collect();
    columns.into_iter().map(|values| (at_ms.clone(), values)).collect()
}

/// A random walk of one kind, the same for the same seed.
fn series(kind: &str, seed: u64) -> (Vec<i64>, Vec<f64>) {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1u64 << 53) as f64
    };
    let mut level = 40.0 + random() * 20.0;
    let values = (0..SAMPLES).map(|_| match kind {
        "gauge .1" | "gauge .01" => {
            level += (random() - 0.5) * 2.0;
            let places = if kind == "gauge .1" { 10.0 } else { 100.0 };
            (level * places).round() / places
        }
        "counter" => {
            level = (level + random() * 200.0).round();
            level
        }
        "constant" => 1.0,
        "float sum" => {
            level += random();
            level
        }
        "bytes gauge" => {
            level += (random() - 0.5) * 100.0;
            4e9 + (level * 1_000.0).round() * 4_096.0
        }
        "slow counter" => {
            level = (level + f64::from(random() > 0.9)).round();
            level
        }
        _ => random() * 0.2,
    });
    ((0..SAMPLES as i64).map(|n| 1_795_226_400_000 + n * 15_000).collect(), values.collect())
}
