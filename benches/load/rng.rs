//! Values that depend on their place alone, so that any thread can make any request: SplitMix64 over an index.

/// 64 well mixed bits of a place.
pub(crate) fn hash(place: u64) -> u64 {
    let mut mixed = place.wrapping_add(0x9e37_79b9_7f4a_7c15).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// In `[0, 1)`.
pub(crate) fn unit(place: u64) -> f64 {
    (hash(place) >> 11) as f64 / (1u64 << 53) as f64
}

/// A slow walk over `step` around 0, within about ±1: the sum of a few sines of different lengths, and a little noise.
pub(crate) fn walk(series: u64, step: u64) -> f64 {
    let phase = unit(series) * 6.3;
    let t = step as f64;
    0.5 * (t / 57.0 + phase).sin() + 0.3 * (t / 13.0 + 2.0 * phase).sin() + 0.2 * (unit(series << 20 ^ step) - 0.5)
}
