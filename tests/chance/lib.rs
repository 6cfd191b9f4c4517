//! Seeded chance for tests: the same numbers for the same seed, on any machine.
//!
//! `SEED=n` repeats a run; a test prints the seed it began with, so that a failure names it.

/// SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014). Any seed is as good as any other.
#[derive(Clone, Debug)]
pub struct Random(u64);

/// The number in the environment's variable `name`; none where it is absent or no number.
pub fn from_env(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// The seed to begin with: `SEED`, or else `default`. Printed.
pub fn seed(default: u64) -> u64 {
    let seed = from_env("SEED").unwrap_or(default);
    println!("SEED={seed}");
    seed
}

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(seed)
    }

    /// 64 even bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A whole number in `[0, bound)`, of the bound's own type.
    ///
    /// # Panics
    /// If `bound` is not above zero.
    #[track_caller]
    pub fn below<N: TryInto<u64> + TryFrom<u64>>(&mut self, bound: N) -> N {
        let bound = bound.try_into().ok().filter(|bound| *bound > 0).expect("a bound above zero");
        N::try_from(self.bits() % bound).ok().expect("what is below a bound fits its type")
    }

    /// True once in `n` times.
    pub fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    /// In `[0, 1)`.
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// One of `all`, which must not be empty.
    pub fn pick<T: Clone>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())].clone()
    }
}

/// A text with a few things wrong with it, as a person or a broken program leaves them: a word, a sign or a line left out, doubled,
/// moved or put in place of another.
pub fn damaged(text: &str, signs: &[&str], random: &mut Random) -> String {
    let mut damaged = text.to_owned();
    for _ in 0..=random.below(3_usize) {
        damaged = if random.one_in(3) { line_damaged(&damaged, random) } else { word_damaged(&damaged, signs, random) };
    }
    damaged
}

fn line_damaged(text: &str, random: &mut Random) -> String {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    if lines.is_empty() {
        return String::new();
    }
    let (at, other) = (random.below(lines.len()), random.below(lines.len()));
    match random.below(6_u64) {
        0 => drop(lines.remove(at)),
        1 => lines.insert(at, lines[other].clone()),
        2 => lines.swap(at, other),
        3 => lines[at].insert_str(0, "  "),
        4 => lines[at] = lines[at].trim_start().to_owned(),
        _ => lines.truncate(at),
    }
    lines.join("\n")
}

fn word_damaged(text: &str, signs: &[&str], random: &mut Random) -> String {
    // Words and the signs between them, all of which together are the text.
    let mut parts: Vec<String> = Vec::new();
    for c in text.chars() {
        match parts.last_mut() {
            Some(last) if c.is_alphanumeric() && last.ends_with(char::is_alphanumeric) => last.push(c),
            _ => parts.push(c.into()),
        }
    }
    if parts.is_empty() {
        return random.pick(signs).to_owned();
    }
    let (at, other) = (random.below(parts.len()), random.below(parts.len()));
    match random.below(6_u64) {
        0 => drop(parts.remove(at)),
        1 => parts.insert(at, parts[other].clone()),
        2 => parts[at] = parts[other].clone(),
        3 => parts[at] = random.pick(signs).to_owned(),
        4 => parts.insert(at, random.pick(signs).to_owned()),
        _ => {
            // Within a word.
            let chars: Vec<char> = parts[at].chars().collect();
            let cut = random.below(chars.len());
            parts[at] = chars[..cut].iter().chain(&chars[cut + 1..]).collect();
        }
    }
    parts.concat()
}
