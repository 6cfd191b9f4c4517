//! Every constant limit of the OTLP decoder, with its unit and its reason.

/// Attributes, values of an array, or entries of a map in one list; a request with a longer one is refused. An empty entry is two bytes
/// on the wire and dozens in memory.
pub(crate) const LIST_MAX: usize = 1 << 16;

/// Explicit buckets or quantiles of one point, each a series; a point with more is refused.
pub(crate) const PARTS_MAX: usize = 4_096;

/// Labels of all series together that one request makes; further points that need a new series are refused. 32 bytes each, and a
/// resource's labels count anew for every series: 64 MiB of small points could ask for gigabytes.
pub(crate) const NEW_LABELS_MAX: usize = 4 << 20;

/// Exemplars of one point; further ones are left out. SDKs send one a bucket at most.
pub(crate) const EXEMPLARS_POINT_MAX: usize = 512;

/// Characters of an exemplar's label names and values together; over it only its trace stays (OpenMetrics 1.0, "Exemplars").
pub(crate) const EXEMPLAR_CHARS_MAX: usize = 128;

/// Between two samples of `target_info` in one request, in ms: half of the look-back, so that a backlog finds one at each of its points.
pub(crate) const TARGET_INFO_EVERY_MS: i64 = 150_000;
