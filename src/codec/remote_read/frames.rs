//! The streamed answer: `prometheus.ChunkedReadResponse` messages, each behind its length and its checksum
//! (`storage/remote/chunked.go` in Prometheus' repository).

use prost::Message as _;

use super::chunks::{Chunk, chunks};
use super::{Row, labels, wire};

/// Most bytes of a frame's chunks and labels before it is closed; readers refuse larger ones (Prometheus' own bound is 1 MiB, of its
/// readers 50 MiB).
const FRAME_BYTES_MAX: usize = 1 << 20;
/// What a chunk takes beside its data, at most.
const CHUNK_OVERHEAD_BYTES: usize = 40;

/// Appends the frames of one series: one, or several where it has many samples.
pub fn push_frames(query_index: usize, row: Row<'_>, out: &mut Vec<u8>) {
    let labels = labels(row.labels);
    let own_bytes: usize = labels.iter().map(prost::Message::encoded_len).sum();
    let mut held: Vec<wire::Chunk> = Vec::new();
    let mut bytes = own_bytes;
    let mut close = |held: &mut Vec<wire::Chunk>| {
        let series = wire::ChunkedSeries { labels: labels.clone(), chunks: std::mem::take(held) };
        push_frame(&wire::ChunkedReadResponse { chunked_series: vec![series], query_index: query_index as i64 }, out);
    };
    for Chunk { min_ms, max_ms, encoding, data } in chunks(row) {
        let more = data.len() + CHUNK_OVERHEAD_BYTES;
        if !held.is_empty() && bytes + more > FRAME_BYTES_MAX {
            close(&mut held);
            bytes = own_bytes;
        }
        bytes += more;
        held.push(wire::Chunk { min_time_ms: min_ms, max_time_ms: max_ms, r#type: encoding as i32, data });
    }
    if !held.is_empty() {
        close(&mut held);
    }
}

fn push_frame(message: &wire::ChunkedReadResponse, out: &mut Vec<u8>) {
    let body = message.encode_to_vec();
    prost::encoding::encode_varint(body.len() as u64, out);
    out.extend(crc32c(&body).to_be_bytes());
    out.extend(body);
}

/// CRC-32 with Castagnoli's polynomial (RFC 3720, appendix B.4).
pub(super) fn crc32c(bytes: &[u8]) -> u32 {
    static TABLE: [u32; 256] = table();
    !bytes.iter().fold(!0_u32, |crc, byte| TABLE[usize::from(crc as u8 ^ byte)] ^ (crc >> 8))
}

const fn table() -> [u32; 256] {
    const POLYNOMIAL: u32 = 0x82f6_3b78;
    let mut table = [0; 256];
    let mut at = 0;
    while at < 256 {
        let mut crc = at as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ POLYNOMIAL } else { crc >> 1 };
            bit += 1;
        }
        table[at] = crc;
        at += 1;
    }
    table
}
