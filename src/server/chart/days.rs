//! A bar a day, in four kinds that differ in height as well as colour.

use super::Svg;
use super::svg::{escape, put};

const WIDE: usize = 10;
const TALL: usize = 40;

/// Kinds 0 to 3, from nothing known to the worst; `label` says the same in words.
pub(crate) fn day_bars(kinds: &[u8], label: &str) -> Svg {
    let mut paths: [String; 4] = Default::default();
    for (at, kind) in kinds.iter().enumerate() {
        let kind = usize::from(*kind).min(3);
        let top = [TALL - 6, TALL / 2, TALL / 4, 0][kind];
        let (x, wide) = (at * WIDE, WIDE - 2);
        put(&mut paths[kind], format_args!("M{x} {top}h{wide}v{}h-{wide}z", TALL - top));
    }
    let mut out = String::new();
    put(
        &mut out,
        format_args!(
            "<svg class=\"days\" role=\"img\" aria-label=\"{}\" viewBox=\"0 0 {} {TALL}\" preserveAspectRatio=\"none\">",
            escape(label),
            kinds.len() * WIDE
        ),
    );
    for (kind, path) in paths.iter().enumerate().filter(|(_, path)| !path.is_empty()) {
        put(&mut out, format_args!("<path class=\"k{kind}\" d=\"{path}\"/>"));
    }
    out.push_str("</svg>");
    Svg::new(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_one_path() {
        let svg = day_bars(&[0, 1, 3, 1], "a \"b\"");
        assert_eq!(
            svg.as_str(),
            "<svg class=\"days\" role=\"img\" aria-label=\"a &quot;b&quot;\" viewBox=\"0 0 40 40\" preserveAspectRatio=\"none\">\
             <path class=\"k0\" d=\"M0 34h8v6h-8z\"/><path class=\"k1\" d=\"M10 20h8v20h-8zM30 20h8v20h-8z\"/>\
             <path class=\"k3\" d=\"M20 0h8v40h-8z\"/></svg>"
        );
    }
}
