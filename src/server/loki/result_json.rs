//! Answers in Loki's JSON (`pkg/util/marshal`).

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use model::Labels;
use model::any::json_string;
use query::logql::{LogEntry, Points, Value};
use query::logs::{Direction, SearchStats};

use crate::api::envelope::{push_array, push_object};
use crate::number::push_fixed;

/// What a query cost, for `stats`.
pub(super) struct Cost {
    pub(super) stats: SearchStats,
    pub(super) took: Duration,
    pub(super) queued: Duration,
    pub(super) entries: usize,
    /// What the answer lacks.
    pub(super) warnings: Vec<String>,
}

fn object(labels: &Labels, out: &mut String) {
    push_object(labels.iter(), out);
}

/// Seconds with as many decimals as are needed.
fn push_seconds(at_ms: i64, out: &mut String) {
    write!(out, "{}", at_ms as f64 / 1000.0).expect("a String takes everything");
}

/// A float as Go's `FormatFloat(v, 'f', -1, 64)` in quotes.
fn push_value(value: f64, out: &mut String) {
    out.push('"');
    push_fixed(value, out);
    out.push('"');
}

fn push_point(at_ms: i64, value: f64, out: &mut String) {
    out.push('[');
    push_seconds(at_ms, out);
    out.push(',');
    push_value(value, out);
    out.push(']');
}

fn envelope(kind: &str, flags: bool, result: impl FnOnce(&mut String), cost: &Cost) -> String {
    let mut out = String::from("{\"status\":\"success\",");
    if !cost.warnings.is_empty() {
        out.push_str("\"warnings\":");
        push_array(&cost.warnings, &mut out, |warning, out| json_string(warning, out));
        out.push(',');
    }
    out.push_str("\"data\":{\"resultType\":\"");
    out.push_str(kind);
    out.push('"');
    if flags {
        out.push_str(",\"encodingFlags\":[\"categorize-labels\"]");
    }
    out.push_str(",\"result\":");
    result(&mut out);
    out.push_str(",\"stats\":");
    push_stats(cost, &mut out);
    out.push_str("}}");
    out
}

pub(super) fn metric(value: &Value, at_ms: i64, cost: &Cost) -> String {
    match value {
        Value::Scalar(number) => envelope("scalar", false, |out| push_point(at_ms, *number, out), cost),
        Value::Vector(samples) => envelope(
            "vector",
            false,
            |out| {
                push_array(samples, out, |(labels, value), out| {
                    push_sample(labels.iter(), *value, at_ms, out);
                })
            },
            cost,
        ),
        Value::Matrix(rows) => envelope(
            "matrix",
            false,
            |out| {
                push_array(rows, out, |(labels, points), out| {
                    push_row(labels.iter(), points, out);
                })
            },
            cost,
        ),
    }
}

/// Names and values of labels, in the order to be shown; a value may be empty.
pub(super) type Shown = Vec<(String, String)>;

fn pairs(shown: &Shown) -> impl Iterator<Item = (&str, &str)> {
    shown.iter().map(|(name, value)| (name.as_str(), value.as_str()))
}

/// A vector in the order given.
pub(super) fn vector(samples: &[(Shown, f64)], at_ms: i64, cost: &Cost) -> String {
    let push = |(labels, value): &(Shown, f64), out: &mut String| push_sample(pairs(labels), *value, at_ms, out);
    envelope("vector", false, |out| push_array(samples, out, push), cost)
}

/// A matrix in the order given.
pub(super) fn matrix(rows: &[(Shown, Points)], cost: &Cost) -> String {
    let push = |(labels, points): &(Shown, Points), out: &mut String| push_row(pairs(labels), points, out);
    envelope("matrix", false, |out| push_array(rows, out, push), cost)
}

fn push_sample<'a>(labels: impl IntoIterator<Item = (&'a str, &'a str)>, value: f64, at_ms: i64, out: &mut String) {
    out.push_str("{\"metric\":");
    push_object(labels, out);
    out.push_str(",\"value\":");
    push_point(at_ms, value, out);
    out.push('}');
}

fn push_row<'a>(labels: impl IntoIterator<Item = (&'a str, &'a str)>, points: &Points, out: &mut String) {
    out.push_str("{\"metric\":");
    push_object(labels, out);
    out.push_str(",\"values\":");
    push_array(points, out, |(at_ms, value), out| push_point(*at_ms, *value, out));
    out.push('}');
}

/// Entries by stream; with `categorize` by stream labels alone, and what else an entry has beside it.
pub(super) fn streams(entries: &[LogEntry], direction: Direction, categorize: bool, cost: &Cost) -> String {
    envelope("streams", categorize, |out| push_streams(entries, direction, categorize, out), cost)
}

/// The array of streams.
pub(super) fn push_streams(entries: &[LogEntry], direction: Direction, categorize: bool, out: &mut String) {
    let mut by_labels: BTreeMap<String, (Labels, Vec<&LogEntry>)> = BTreeMap::new();
    for entry in entries {
        let labels = if categorize { entry.stream.clone() } else { entry.all() };
        by_labels.entry(labels.to_string()).or_insert_with(|| (labels, Vec::new())).1.push(entry);
    }
    let push = |(labels, entries): &(Labels, Vec<&LogEntry>), out: &mut String| {
        out.push_str("{\"stream\":");
        object(labels, out);
        out.push_str(",\"values\":");
        push_array(entries, out, |entry, out| push_entry(entry, categorize, out));
        out.push('}');
    };
    // Loki's frontend gives the streams of a backward query in falling order.
    match direction {
        Direction::OldestFirst => push_array(by_labels.values(), out, push),
        Direction::NewestFirst => push_array(by_labels.values().rev(), out, push),
    }
}

fn push_entry(entry: &LogEntry, categorize: bool, out: &mut String) {
    write!(out, "[\"{}\",", entry.time_ns).expect("a String takes everything");
    json_string(&entry.line, out);
    if categorize {
        out.push_str(",{");
        let parts = [("structuredMetadata", &entry.metadata), ("parsed", &entry.parsed)];
        for (at, (name, labels)) in parts.iter().filter(|(_, labels)| !labels.is_empty()).enumerate() {
            if at > 0 {
                out.push(',');
            }
            json_string(name, out);
            out.push(':');
            object(labels, out);
        }
        out.push('}');
    }
    out.push(']');
}

/// The caches that Loki's frontend reports on; there are none here.
const CACHES: [&str; 8] =
    ["chunk", "index", "result", "statsResult", "volumeResult", "seriesResult", "labelResult", "instantMetricResult"];

/// The block that logcli `--stats` and Grafana's inspector show; parts that we have nothing for stay zero.
fn push_stats(cost: &Cost, out: &mut String) {
    let SearchStats { records_scanned: lines, bytes_scanned: bytes, blocks_scanned: read, blocks_skipped } = cost.stats;
    let seconds = cost.took.as_secs_f64();
    let a_second = |count: u64| if seconds > 0.0 { (count as f64 / seconds) as u64 } else { 0 };
    let (bytes_a_second, lines_a_second) = (a_second(bytes), a_second(lines));
    let (queued, entries, known) = (cost.queued.as_secs_f64(), cost.entries, read + blocks_skipped);
    write!(
        out,
        "{{\"summary\":{{\"bytesProcessedPerSecond\":{bytes_a_second},\"linesProcessedPerSecond\":{lines_a_second},\
         \"totalBytesProcessed\":{bytes},\"totalLinesProcessed\":{lines},\"execTime\":{seconds},\"queueTime\":{queued},\
         \"subqueries\":0,\"totalEntriesReturned\":{entries},\"splits\":0,\"shards\":0,\"totalPostFilterLines\":{entries},\
         \"totalStructuredMetadataBytesProcessed\":0}},\"querier\":{{\"store\":",
    )
    .expect("a String takes everything");
    push_store(known, read, [lines, bytes, entries as u64], out);
    out.push_str(
        "},\"ingester\":{\"totalReached\":0,\"totalChunksMatched\":0,\"totalBatches\":0,\"totalLinesSent\":0,\"store\":",
    );
    push_store(0, 0, [0; 3], out);
    out.push_str("},\"cache\":{");
    for (at, cache) in CACHES.iter().enumerate() {
        let comma = if at > 0 { "," } else { "" };
        write!(
            out,
            "{comma}\"{cache}\":{{\"entriesFound\":0,\"entriesRequested\":0,\"entriesStored\":0,\"bytesReceived\":0,\
             \"bytesSent\":0,\"requests\":0,\"downloadTime\":0,\"queryLengthServed\":0}}"
        )
        .expect("a String takes everything");
    }
    write!(
        out,
        "}},\"index\":{{\"totalChunks\":{known},\"postFilterChunks\":{read},\"shardsDuration\":0,\
         \"usedBloomFilters\":false}}}}"
    )
    .expect("a String takes everything");
}

/// What Loki tells of its other kind of chunks; there are none here.
const DATA_OBJECTS: [&str; 13] = [
    "prePredicateDecompressedRows",
    "prePredicateDecompressedBytes",
    "prePredicateDecompressedStructuredMetadataBytes",
    "postPredicateRows",
    "postPredicateDecompressedBytes",
    "postPredicateStructuredMetadataBytes",
    "postFilterRows",
    "pagesScanned",
    "pagesDownloaded",
    "pagesDownloadedBytes",
    "pageBatches",
    "totalRowsAvailable",
    "totalPageDownloadTime",
];

/// Chunks known and read; lines, bytes and lines that passed.
fn push_store(known: u64, read: u64, [lines, bytes, passed]: [u64; 3], out: &mut String) {
    write!(
        out,
        "{{\"totalChunksRef\":{known},\"totalChunksDownloaded\":{read},\"chunksDownloadTime\":0,\
         \"queryReferencedStructuredMetadata\":false,\"chunk\":{{\"headChunkBytes\":0,\"headChunkLines\":0,\
         \"decompressedBytes\":{bytes},\"decompressedLines\":{lines},\"compressedBytes\":{bytes},\"totalDuplicates\":0,\
         \"postFilterLines\":{passed},\"headChunkStructuredMetadataBytes\":0,\"decompressedStructuredMetadataBytes\":0}},\
         \"chunkRefsFetchTime\":0,\"congestionControlLatency\":0,\"pipelineWrapperFilteredLines\":0,\"dataobj\":{{"
    )
    .expect("a String takes everything");
    for (at, name) in DATA_OBJECTS.iter().enumerate() {
        let comma = if at > 0 { "," } else { "" };
        write!(out, "{comma}\"{name}\":0").expect("a String takes everything");
    }
    out.push_str("}}");
}

/// `{"status":"success","data":[…]}`; without anything to list there is no `data`, as in Loki.
pub(super) fn list(items: &[String]) -> String {
    let mut out = String::from("{\"status\":\"success\"");
    if !items.is_empty() {
        out.push_str(",\"data\":");
        push_array(items, &mut out, |item, out| json_string(item, out));
    }
    out.push('}');
    out
}

/// `{"status":"success","data":[{…},…]}`.
pub(super) fn label_sets(sets: &[Labels]) -> String {
    let mut out = String::from("{\"status\":\"success\",\"data\":");
    push_array(sets, &mut out, object);
    out.push('}');
    out
}
