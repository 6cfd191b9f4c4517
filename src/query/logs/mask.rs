//! A set of records of one block or part of the head, by their places.

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mask {
    /// Bits beyond `count` are 0.
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
        let mut words = vec![u64::MAX; count.div_ceil(64)];
        if let (Some(last), beyond @ 1..) = (words.last_mut(), count % 64) {
            *last = (1 << beyond) - 1;
        }
        Mask { words, count }
    }

    pub(crate) fn insert(&mut self, at: usize) {
        self.words[at / 64] |= 1 << (at % 64);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }

    /// How many they are.
    pub(crate) fn len(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Their places, in order.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = usize> + '_ {
        self.words.iter().enumerate().flat_map(|(at, word)| Bits(*word).map(move |bit| 64 * at + bit))
    }

    pub(crate) fn add(&mut self, other: &Mask) {
        self.words.iter_mut().zip(&other.words).for_each(|(word, other)| *word |= other);
    }

    pub(crate) fn remove(&mut self, other: &Mask) {
        self.words.iter_mut().zip(&other.words).for_each(|(word, other)| *word &= !other);
    }

    /// Leaves those for which `holds` is true.
    ///
    /// # Errors
    /// The first of `holds`.
    pub(crate) fn retain<E>(&mut self, mut holds: impl FnMut(usize) -> Result<bool, E>) -> Result<(), E> {
        for (at, word) in self.words.iter_mut().enumerate() {
            for bit in Bits(*word) {
                *word &= !(u64::from(!holds(64 * at + bit)?) << bit);
            }
        }
        Ok(())
    }
}

/// The places of a word's bits that are 1.
struct Bits(u64);

impl Iterator for Bits {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        let at = self.0.trailing_zeros() as usize;
        (self.0 != 0).then(|| {
            self.0 &= self.0 - 1;
            at
        })
    }
}

impl DoubleEndedIterator for Bits {
    fn next_back(&mut self) -> Option<usize> {
        let at = 63usize.checked_sub(self.0.leading_zeros() as usize)?;
        self.0 &= !(1 << at);
        Some(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_have_what_was_put_in() {
        for count in [0, 1, 63, 64, 65, 130, 192] {
            let mut mask = Mask::none(count);
            let wanted: Vec<usize> = (0..count).filter(|at| at % 3 == 0 || at % 64 == 63).collect();
            wanted.iter().for_each(|at| mask.insert(*at));
            assert_eq!(mask.iter().collect::<Vec<_>>(), wanted, "{count}");
            let mut reversed: Vec<usize> = mask.iter().rev().collect();
            reversed.reverse();
            assert_eq!((reversed, mask.len()), (wanted.clone(), wanted.len()), "{count}");
            let mut rest = Mask::all(count);
            assert_eq!(rest.iter().collect::<Vec<_>>(), (0..count).collect::<Vec<_>>());
            rest.remove(&mask);
            assert_eq!(rest.len() + mask.len(), count);
            rest.add(&mask);
            assert_eq!(rest, Mask::all(count));
            rest.retain(|at| Ok::<_, ()>(at % 3 == 0 || at % 64 == 63)).unwrap();
            assert_eq!(rest, mask, "{count}");
            assert_eq!(rest.is_empty(), count == 0);
        }
    }
}
