//! How fast does a remote write request become a batch? Both versions with all series known (the common request), and with none.
//!
//! Run: `cargo bench --profile profiling -p codec --bench remote_write`

use std::collections::HashMap;

use codec::otlp::{Delta, KnownSeries, MetricsSettings, Promote, Translation};
use codec::remote_write::{Message, decode};
use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};
use model::{MsRange, SeriesEntry, SeriesId};
use prost::Message as _;

#[path = "../src/codec/tests/support/prompb.rs"]
mod prompb;

use prompb::{v1, v2};

const NOW_MS: i64 = 1_795_226_400_123;
const SAMPLES: usize = 10_000;

fn main() {
    println!("{SAMPLES} samples of as many series: {} bytes in 1.0, {} in 2.0", first().len(), second().len());
    divan::main();
}

#[divan::bench]
fn v1_known(bencher: Bencher<'_, '_>) {
    run(bencher, &first(), Message::V1, true);
}

#[divan::bench]
fn v1_new(bencher: Bencher<'_, '_>) {
    run(bencher, &first(), Message::V1, false);
}

#[divan::bench]
fn v2_known(bencher: Bencher<'_, '_>) {
    run(bencher, &second(), Message::V2, true);
}

#[divan::bench]
fn v2_new(bencher: Bencher<'_, '_>) {
    run(bencher, &second(), Message::V2, false);
}

#[derive(Default)]
struct Known(HashMap<u128, SeriesId, foldhash::fast::RandomState>);

impl KnownSeries for Known {
    fn lookup(&self, key: u128) -> Option<SeriesId> {
        self.0.get(&key).copied()
    }

    fn knows_metadata(&self, _: u64) -> bool {
        true
    }
}

fn run(bencher: Bencher<'_, '_>, body: &[u8], message: Message, is_known: bool) {
    let settings = MetricsSettings {
        promote: Promote::All,
        ignore: Vec::new(),
        translation: Translation::UnderscoreEscapingWithSuffixes,
        delta: Delta::Cumulative,
        promote_scope: false,
        keep_identifying: false,
        labels_max: 64,
        label_name_bytes_max: 256,
        label_value_bytes_max: 2_048,
    };
    let mut known = Known::default();
    if is_known {
        let decoded = decode(body, message, &settings, &known, MsRange::ALL).unwrap();
        assert_eq!((decoded.floats.samples.len(), decoded.rejected.total()), (SAMPLES, 0));
        for entry in &decoded.floats.series {
            if let SeriesEntry::New { key, .. } = entry {
                known.0.insert(*key, SeriesId(known.0.len() as u64));
            }
        }
        assert_eq!(known.0.len(), SAMPLES);
    }
    let bencher = bencher.counter(ItemsCount::new(SAMPLES)).counter(BytesCount::new(body.len()));
    bencher.bench(|| decode(black_box(body), message, &settings, &known, MsRange::ALL));
}

/// Eight labels a series, as an exporter behind Prometheus has them.
fn labels(series: usize) -> Vec<(&'static str, String)> {
    vec![
        ("__name__", format!("http_server_request_measure_{}", series % 50)),
        ("cluster", "eu-west-1".into()),
        ("code", ["200", "404", "500", "503"][series % 4].into()),
        ("handler", format!("/api/v1/items/{}", series % 97)),
        ("instance", format!("node-{:03}.eu-west-1.internal:9100", series / 100)),
        ("job", "search-api".into()),
        ("method", ["GET", "POST"][series % 2].into()),
        ("series", series.to_string()),
    ]
}

fn first() -> Vec<u8> {
    let of_series = |series: usize| {
        let pairs = labels(series);
        let pairs: Vec<(&str, &str)> = pairs.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let samples = vec![v1::Sample { value: series as f64 * 0.37, timestamp: NOW_MS }];
        v1::TimeSeries { labels: v1::labels(&pairs), samples, ..Default::default() }
    };
    v1::WriteRequest { timeseries: (0..SAMPLES).map(of_series).collect(), ..Default::default() }.encode_to_vec()
}

fn second() -> Vec<u8> {
    let mut request = v2::Request { symbols: vec![Vec::new()], ..Default::default() };
    let mut places: HashMap<String, u32> = HashMap::new();
    for series in 0..SAMPLES {
        let mut labels_refs = Vec::new();
        for (name, value) in labels(series) {
            for text in [name.to_owned(), value] {
                let next = u32::try_from(request.symbols.len()).unwrap();
                labels_refs.push(*places.entry(text.clone()).or_insert_with(|| {
                    request.symbols.push(text.into_bytes());
                    next
                }));
            }
        }
        let samples = vec![v2::Sample { value: series as f64 * 0.37, timestamp: NOW_MS, start_timestamp: 0 }];
        request.timeseries.push(v2::TimeSeries { labels_refs, samples, ..Default::default() });
    }
    request.encode_to_vec()
}
