//! Remote write end to end: a request over the network to the real binary. Prometheus itself as the sender is in `tests/prometheus`.

use prost::Message as _;

use crate::appliance::Appliance;

#[path = "../../src/codec/tests/support/prompb.rs"]
mod prompb;

use prompb::{BucketSpan, v2};

#[tokio::test]
async fn what_is_written_survives_a_kill_and_answers_queries() {
    let home = tempfile::tempdir().unwrap();
    let mut appliance = Appliance::start(home.path());
    let at_ms = i64::try_from(binnacle::clock::now_ns() / 1_000_000).unwrap();
    let mut request = v2::Request::default();
    request.sample(&[("__name__", "written_total"), ("job", "agent")], at_ms, 41.5);
    let labels_refs = request.refs(&[("__name__", "sizes"), ("job", "agent")]);
    request.timeseries.push(v2::TimeSeries {
        labels_refs,
        histograms: vec![prompb::Histogram {
            count_int: Some(3),
            sum: 6.0,
            positive_spans: vec![BucketSpan { offset: 1, length: 2 }],
            positive_deltas: vec![1, 1],
            timestamp: at_ms,
            ..Default::default()
        }],
        ..Default::default()
    });
    let body = snap::raw::Encoder::new().compress_vec(&request.encode_to_vec()).unwrap();
    let reply = appliance
        .client()
        .post(format!("{}/api/v1/write", appliance.http))
        .header("content-type", "application/x-protobuf;proto=io.prometheus.write.v2.Request")
        .header("content-encoding", "snappy")
        .header("x-prometheus-remote-write-version", "2.0.0")
        .body(body)
        .send()
        .await
        .unwrap();
    assert_eq!(reply.status().as_u16(), 204);
    assert_eq!(reply.headers()["x-prometheus-remote-write-histograms-written"], "1");
    appliance.signal(rustix::process::Signal::KILL);
    drop(appliance);
    appliance = Appliance::start(home.path());
    for (expr, expected) in [("written_total{job=\"agent\"}", "41.5"), ("histogram_avg(sizes)", "2")] {
        assert_eq!(appliance.query(expr).await[0]["value"][1], expected, "{expr}");
    }
}
