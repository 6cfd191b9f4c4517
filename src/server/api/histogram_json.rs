//! Native histograms as Prometheus' HTTP API writes them (util/jsonutil): numbers as strings, buckets that hold anything
//! from the lowest to the highest.

use model::Histogram;
use query::promql::{Bucket, Side, buckets};

use super::envelope::push_array;
use crate::number::{push_seconds, push_value};

/// `[seconds,{"count":"…","sum":"…","buckets":[[rule,"lower","upper","count"],…]}]`
pub(super) fn push_histogram(at_ms: i64, histogram: &Histogram, out: &mut String) {
    out.push('[');
    push_seconds(at_ms, out);
    out.push_str(",{\"count\":");
    push_quoted(histogram.count, out);
    out.push_str(",\"sum\":");
    push_quoted(histogram.sum, out);
    let buckets = buckets(histogram);
    if !buckets.is_empty() {
        out.push_str(",\"buckets\":");
        push_array(buckets, out, |Bucket { lower, upper, count, side }, out| {
            // Prometheus' numbers of which bounds belong to the bucket.
            out.push_str(match side {
                Side::Positive => "[0",
                Side::Negative => "[1",
                Side::Zero => "[3",
            });
            for value in [lower, upper, count] {
                out.push(',');
                push_quoted(value, out);
            }
            out.push(']');
        });
    }
    out.push_str("}]");
}

fn push_quoted(value: f64, out: &mut String) {
    out.push('"');
    push_value(value, out);
    out.push('"');
}
