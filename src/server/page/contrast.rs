//! Measures the contrast of the stylesheet's tokens as WCAG 2 defines it, in both schemes.

use std::collections::HashMap;

use super::assets::CSS;

type Tokens = HashMap<String, [f64; 3]>;

/// Tokens of the light scheme, and of the dark one.
fn schemes() -> [Tokens; 2] {
    let tokens = |block: &str| -> Tokens {
        block
            .split(';')
            .filter_map(|line| line.trim().trim_start_matches([':', 'r', 'o', 't', '{', ' ', '\n']).strip_prefix("--"))
            .filter_map(|line| line.split_once(": #"))
            .map(|(name, hex)| {
                let bits = u32::from_str_radix(hex.trim(), 16).expect("six hex digits");
                (name.to_string(), [bits >> 16, bits >> 8 & 255, bits & 255].map(|part| f64::from(part) / 255.0))
            })
            .collect()
    };
    let block = |from: &str| {
        let start = CSS.find(from).expect("the block is there") + from.len();
        &CSS[start..start + CSS[start..].find('}').expect("the block ends")]
    };
    [tokens(block(":root {")), tokens(block("@media (prefers-color-scheme: dark) {\n  :root {"))]
}

/// Relative luminance (WCAG 2.2, "relative luminance").
fn luminance(colour: [f64; 3]) -> f64 {
    let [r, g, b] = colour.map(|part| if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) });
    0.2126 * r + 0.7152 * g + 0.0722 * b
}

fn contrast(a: [f64; 3], b: [f64; 3]) -> f64 {
    let (a, b) = (luminance(a) + 0.05, luminance(b) + 0.05);
    a.max(b) / a.min(b)
}

#[test]
fn every_pair_in_use_can_be_read() {
    const TEXT: f64 = 4.5;
    const SHAPE: f64 = 3.0;
    let grounds = ["bg", "surface", "surface-2", "error-tint"];
    let mut pairs: Vec<(&str, &str, f64)> = Vec::new();
    for ground in grounds {
        pairs.extend(["text", "muted", "accent"].map(|text| (text, ground, TEXT)));
    }
    for ground in ["bg", "surface"] {
        pairs.extend(["ok", "pending", "firing"].map(|text| (text, ground, TEXT)));
    }
    pairs.extend([("on-firing", "firing", TEXT), ("surface", "accent", TEXT), ("surface", "text", TEXT)]);
    pairs.push(("pending", "pending-tint", TEXT));
    pairs.extend([("control", "surface", SHAPE), ("control", "bg", SHAPE)]);
    pairs.extend(["s0", "s1", "s2", "s3", "s4", "s5"].map(|series| (series, "surface", SHAPE)));
    pairs.extend(["ld", "li", "lw", "le", "lf"].map(|level| (level, "surface", SHAPE)));
    let mut low = Vec::new();
    for (scheme, tokens) in ["light", "dark"].into_iter().zip(schemes()) {
        for (front, back, least) in &pairs {
            let found = contrast(tokens[*front], tokens[*back]);
            if found < *least {
                low.push(format!("{scheme}: {front} on {back} is {found:.2}, needs {least}"));
            }
        }
    }
    assert_eq!(low, Vec::<String>::new());
    assert!((contrast([0.0; 3], [1.0; 3]) - 21.0).abs() < 1e-9);
}
