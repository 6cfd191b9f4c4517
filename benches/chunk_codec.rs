//! Metric chunks: time and bytes per sample of the kinds of series that hosts and services send.

use codec::chunk;
use divan::counter::ItemsCount;

const SAMPLES: usize = 240;
const KINDS: [&str; 8] =
    ["gauge .1", "gauge .01", "counter", "constant", "float sum", "bytes gauge", "slow counter", "float latency"];
/// Shares of the mix, in percent, in the order of `KINDS` (storage.md 2.1).
const SHARES: [usize; 8] = [15, 15, 20, 20, 5, 10, 10, 5];

fn main() {
    let mut mix = 0.0;
    for (kind, share) in KINDS.iter().zip(SHARES) {
        let bytes: usize = (0..20).map(|seed| encode(&series(kind, seed)).len()).sum();
        let each = bytes as f64 / (20 * SAMPLES) as f64;
        mix += each * share as f64 / 100.0;
        println!("{kind:14} {each:.2} B/sample");
    }
    println!("{:14} {mix:.2} B/sample, times and checksum included", "mix");
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

fn encode((at_ms, values): &(Vec<i64>, Vec<f64>)) -> Vec<u8> {
    chunk::encode(at_ms, values)
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
