//! Every page with made-up content, hostile text among it: what must hold of any page is checked here, without a server.
//!
//! With `GALLERY=DIR` the pages are written there too, to be looked at in a browser.

mod content;
pub(super) use content::HOSTILE;
mod pages;

use std::io::Write as _;
use std::path::Path;

/// The promise is 100 KB for a page with its stylesheet; the HTML alone must stay well below.
const PAGE_GZIP_BYTES_MAX: usize = 60_000;

fn gzip_bytes(text: &str) -> usize {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(text.as_bytes()).expect("a Vec takes everything");
    encoder.finish().expect("a Vec takes everything").len()
}

#[test]
fn every_page_is_safe_small_and_whole() {
    let folder = std::env::var_os("GALLERY");
    for (name, html) in pages::all() {
        if let Some(folder) = &folder {
            std::fs::create_dir_all(folder).unwrap();
            std::fs::write(Path::new(folder).join(format!("{name}.html")), &html).unwrap();
        }
        let size = gzip_bytes(&html);
        println!("{name}: {} bytes, {size} gzipped", html.len());
        assert!(size <= PAGE_GZIP_BYTES_MAX, "{name} has {size} bytes");
        // Our own scripts, by their addresses, are the only ones.
        let html = ["app", "charts"]
            .iter()
            .fold(html, |html, name| html.replacen(&format!("<script type=\"module\" src=\"/-/{name}."), "", 1));
        for forbidden in ["<script", " style=", " onclick=", "\u{1b}", "\u{202e}", "\u{7}", "javascript:"] {
            assert!(!html.contains(forbidden), "{name} has {forbidden:?}");
        }
        assert!(html.contains("<h1"), "{name} has no heading");
        assert!(html.trim_end().ends_with("</html>"), "{name} is cut off");
        let ids: Vec<&str> = html.split(" id=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        let mut unique = ids.clone();
        unique.sort_unstable();
        unique.dedup();
        assert_eq!(ids.len(), unique.len(), "{name} has an id twice");
        for tag in ["div", "section", "table", "tr", "td", "svg", "a", "p", "details", "dl", "span", "form", "article"]
        {
            let (opened, closed) = (
                html.matches(&format!("<{tag} ")).count() + html.matches(&format!("<{tag}>")).count(),
                html.matches(&format!("</{tag}>")).count(),
            );
            assert_eq!(opened, closed, "{name}: <{tag}> opened and closed");
        }
    }
    if let Some(folder) = &folder {
        std::fs::write(Path::new(folder).join("app.css"), super::assets::CSS).unwrap();
    }
}

#[test]
fn templates_never_turn_escaping_off() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../web/templates");
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        seen += 1;
        for forbidden in ["|safe", "| safe", "escape none", "autoescape"] {
            assert!(!text.contains(forbidden), "{} has {forbidden:?}", path.display());
        }
    }
    assert!(seen > 10);
}
