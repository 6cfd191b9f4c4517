//! Values cut so that they fill the pages that redb gives them.

/// redb keeps a value in a run of 2^k pages of 4 KiB; pieces of this size fill their run but for its header.
const PIECE_HEADER_BYTES: usize = 64;
const PAGE_BYTES: usize = 4096;
/// Largest piece: 2^8 pages.
const PIECE_PAGES_MAX: usize = 1 << 8;

/// Cuts a record into runs of 2^k pages, largest first; what is left is below a page.
pub(crate) fn pieces(mut record: &[u8]) -> Vec<&[u8]> {
    let mut cut = Vec::new();
    let mut pages = PIECE_PAGES_MAX;
    while pages > 0 {
        match record.split_at_checked(pages * PAGE_BYTES - PIECE_HEADER_BYTES) {
            Some((piece, rest)) => {
                cut.push(piece);
                record = rest;
            }
            None => pages /= 2,
        }
    }
    if !record.is_empty() {
        cut.push(record);
    }
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_fill_their_pages_and_make_up_the_record() {
        for length in [1, 4_031, 4_032, 4_033, 70_000, 3_000_000] {
            let record: Vec<u8> = (0..length).map(|n| n as u8).collect();
            let cut = pieces(&record);
            assert_eq!(cut.concat(), record);
            for piece in &cut[..cut.len() - 1] {
                assert!(((piece.len() + PIECE_HEADER_BYTES) / PAGE_BYTES).is_power_of_two(), "{}", piece.len());
            }
            assert!(cut.len() <= length / (PIECE_PAGES_MAX * PAGE_BYTES) + 20);
        }
    }
}
