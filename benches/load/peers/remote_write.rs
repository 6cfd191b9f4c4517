//! The metrics load as Prometheus remote write 1.0, for a Prometheus that was built without its OTLP receiver, as Debian's is.

use codec::otlp::{Delta, Encoding, KnownSeries, MetricsSettings, Promote, Translation, decode_metrics};
use model::{MsRange, SeriesEntry, SeriesId};
use prost::Message as _;

use crate::push::Body;

#[path = "../../../src/codec/tests/support/prompb.rs"]
mod prompb;

use prompb::v1;

/// Nothing is known, so that every series comes with its labels.
struct Nothing;

impl KnownSeries for Nothing {
    fn lookup(&self, _key: u128) -> Option<SeriesId> {
        None
    }

    fn knows_metadata(&self, _hash: u64) -> bool {
        false
    }
}

/// The same samples under the labels that we make of them.
pub(super) fn of_otlp(body: &Body) -> Body {
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
    let decoded = decode_metrics(&body.bytes, Encoding::Protobuf, &settings, &Nothing, MsRange::ALL);
    let (batch, _) = decoded.expect("the load is well-formed");
    let timeseries = batch.samples.iter().map(|(series, sample)| {
        let SeriesEntry::New { labels, .. } = &batch.series[*series as usize] else { panic!("nothing was known") };
        let labels: Vec<(&str, &str)> = labels.iter().collect();
        v1::TimeSeries {
            labels: v1::labels(&labels),
            samples: vec![v1::Sample { value: sample.value, timestamp: sample.at_ms }],
            ..v1::TimeSeries::default()
        }
    });
    let request = v1::WriteRequest { timeseries: timeseries.collect(), ..v1::WriteRequest::default() };
    let packed = snap::raw::Encoder::new().compress_vec(&request.encode_to_vec());
    Body { bytes: packed.expect("a request is below 4 GiB"), items: body.items }
}
