//! Memory of the patterns that come with one text: a query of a few KiB has room for a thousand of them, each of which may compile to
//! as much as the largest.

use std::cell::Cell;

use regex::{Error, Regex, RegexBuilder};

/// Most memory of all patterns of one text, in bytes: two of the largest that are taken alone, or a thousand that are as people write
/// them. The longest query that is taken, written as nothing but names to choose from, stays below.
pub const TOGETHER_BYTES_MAX: usize = 16 << 20;
/// What a pattern counts for at least, in bytes: most compile to less, and few take less once they run.
const PATTERN_BYTES_MIN: usize = 16 << 10;

thread_local! {
    /// Bytes left to patterns of the text that is being read; `None` while none is.
    static LEFT: Cell<Option<usize>> = const { Cell::new(None) };
}

/// Reads a text whose patterns share [`TOGETHER_BYTES_MAX`]: what `work` compiles on this thread. Texts that are read within another
/// are parts of it.
pub fn together<T>(work: impl FnOnce() -> T) -> T {
    /// Also when the work panics.
    struct Ended;
    impl Drop for Ended {
        fn drop(&mut self) {
            LEFT.set(None);
        }
    }
    if LEFT.get().is_some() {
        return work();
    }
    LEFT.set(Some(TOGETHER_BYTES_MAX));
    let _ended = Ended;
    work()
}

/// Builds a pattern that compiles to at most `bytes_max`, and to no more than is left to its text.
///
/// # Errors
/// As the engine; `CompiledTooBig` tells [`TOGETHER_BYTES_MAX`] where it would have been taken alone.
pub fn build(builder: &mut RegexBuilder, bytes_max: usize) -> Result<Regex, Error> {
    match LEFT.get() {
        None => builder.size_limit(bytes_max).build(),
        Some(_) => Ok(measured(builder, bytes_max)?.0),
    }
}

/// As [`build`], with the bytes that the pattern counts for.
///
/// # Errors
/// As [`build`].
pub(super) fn measured(builder: &mut RegexBuilder, bytes_max: usize) -> Result<(Regex, usize), Error> {
    let left = LEFT.get().unwrap_or(usize::MAX);
    // The engine does not tell what a pattern takes, only that it is more than a limit; a try costs no more than its limit.
    let mut bytes = PATTERN_BYTES_MIN.min(bytes_max);
    loop {
        if bytes > left {
            return Err(Error::CompiledTooBig(TOGETHER_BYTES_MAX));
        }
        match builder.size_limit(bytes).build() {
            Err(Error::CompiledTooBig(_)) if bytes < bytes_max => bytes = bytes.saturating_mul(2).min(bytes_max),
            Ok(regex) => {
                LEFT.set(LEFT.get().map(|left| left - bytes));
                return Ok((regex, bytes));
            }
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of `count` patterns are taken that are all `pattern`.
    fn taken(pattern: &str, count: usize) -> usize {
        together(|| (0..count).filter(|_| build(&mut RegexBuilder::new(pattern), 8 << 20).is_ok()).count())
    }

    #[test]
    fn patterns_of_one_text_share_its_room() {
        for (pattern, count, expected) in
            [("a.*b", 1_000, 1_000), ("a|b", 1_050, 1_024), (r"\pL{4}", 66, 64), (r"\pL{100}", 3, 2), ("(", 3, 0)]
        {
            assert_eq!(taken(pattern, count), expected, "{pattern}");
        }
        let (first, second) = (taken(r"\pL{100}", 2), together(|| taken(r"\pL{100}", 3) + taken("a", 1)));
        assert_eq!((first, second), (2, 2), "one text has room, and two parts of one share it");
    }

    #[test]
    fn a_text_that_is_not_finished_leaves_nothing_behind() {
        let panicked = std::panic::catch_unwind(|| together(|| panic!("as a guard would catch")));
        assert!(panicked.is_err());
        assert_eq!(LEFT.get(), None);
    }
}
