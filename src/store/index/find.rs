//! Which number a label set has on a day, by the hashes that the day's index keeps.

use roaring::RoaringBitmap;

/// The series of a day by the low half of their hash: 8 bytes each.
#[derive(Debug, Default)]
pub(crate) struct Finder(Vec<u64>);

impl Finder {
    /// From the numbers of each segment in order, and the hash of each.
    pub(crate) fn new(segments: &[(RoaringBitmap, Vec<u32>)]) -> Finder {
        let pairs = segments.iter().flat_map(|(numbers, hashes)| numbers.iter().zip(hashes));
        let mut rows: Vec<u64> = pairs.map(|(number, hash)| u64::from(*hash) << 32 | u64::from(number)).collect();
        rows.sort_unstable();
        Finder(rows)
    }

    pub(crate) fn bytes(&self) -> usize {
        self.0.capacity() * size_of::<u64>()
    }

    /// Numbers that may be of a label set with this hash; almost always none or the right one.
    pub(crate) fn candidates(&self, hash: u64) -> impl Iterator<Item = u32> {
        let hash = hash as u32;
        let from = self.0.partition_point(|row| ((row >> 32) as u32) < hash);
        self.0[from..].iter().take_while(move |row| (*row >> 32) as u32 == hash).map(|row| *row as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_by_the_low_half_of_their_hash() {
        let finder = Finder::new(&[
            (RoaringBitmap::from([1, 5]), vec![9, 7]),
            (RoaringBitmap::from([0, u32::MAX]), vec![7, u32::MAX]),
        ]);
        let found = |hash| finder.candidates(hash).collect::<Vec<_>>();
        assert_eq!((found(7), found(9 | 1 << 40), found(8)), (vec![0, 5], vec![1], vec![]));
        assert_eq!(found(u64::MAX), [u32::MAX]);
    }
}
