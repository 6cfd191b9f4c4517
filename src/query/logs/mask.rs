//! A set of records of one block or part of the head, by their places.

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mask {
    words: Vec<u64>,
    count: usize,
}

impl Mask {
    /// None of `count` records.
    pub(crate) fn none(count: usize) -> Mask {
        Mask { words: vec![0; count.div_ceil(64)], count }
    }

    /// All of `count` records.
    pub(crate) fn all(count: usize) -> Mask {
        let mut out = Mask::none(count);
        (0..count).for_each(|at| out.insert(at));
        out
    }

    pub(crate) fn insert(&mut self, at: usize) {
        self.words[at / 64] |= 1 << (at % 64);
    }

    pub(crate) fn contains(&self, at: usize) -> bool {
        self.words[at / 64] >> (at % 64) & 1 != 0
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }

    /// Their places, in order.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = usize> {
        (0..self.count).filter(|at| self.contains(*at))
    }

    pub(crate) fn add(&mut self, other: &Mask) {
        self.words.iter_mut().zip(&other.words).for_each(|(word, other)| *word |= other);
    }

    pub(crate) fn remove(&mut self, other: &Mask) {
        self.words.iter_mut().zip(&other.words).for_each(|(word, other)| *word &= !other);
    }
}
