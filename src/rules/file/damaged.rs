//! Files with something wrong in them: none stops the reader, and each complaint names its place.

use std::time::{Duration, Instant};

use chance::{Random, damaged};

use super::parse;
use super::tests::{EXTENDED, GOOD};

/// Far over what one takes, so that only a hang is found.
const LONG: Duration = Duration::from_secs(10);

#[test]
fn a_damaged_file_is_used_or_refused_at_lines_of_it() {
    let signs = [
        "{",
        "}",
        "[",
        "]",
        ":",
        "-",
        ",",
        "'",
        "\"",
        "|",
        ">",
        "&a",
        "*a",
        "#",
        "\t",
        "\n",
        "\u{0}",
        "é",
        "{{",
        "}}",
        "null",
        "-1",
        "99999999999999999999",
        "1e309",
        "0s",
        "(",
        ")",
        "[5m]",
        "by",
        "<<: *a",
        "{{ range . }}",
        "{{ template \"x\" }}",
    ];
    let seed = chance::seed(20_261_125);
    let mut random = Random::new(seed);
    let (mut used, mut refused) = (0, 0);
    parse(EXTENDED, "f.yml", 30_000).unwrap_or_else(|error| panic!("{error}"));
    for _ in 0..1_000 {
        let text = damaged(random.pick(&[GOOD, EXTENDED]), &signs, &mut random);
        let began = Instant::now();
        match parse(&text, "f.yml", 30_000) {
            Ok(groups) => {
                used += 1;
                assert!(groups.iter().all(|group| group.interval_ms > 0), "SEED={seed}:\n{text}");
            }
            Err(error) => {
                refused += 1;
                let lines = text.lines().count().max(1);
                let all =
                    std::iter::once((error.line, &error.reason)).chain(error.more.iter().map(|(at, why)| (*at, why)));
                for (line, reason) in all {
                    let is_placed =
                        line >= 1 && line <= lines + 1 && !reason.trim().is_empty() && !reason.contains('\n');
                    assert!(is_placed, "SEED={seed}: {line} of {lines}: {reason:?}\n{text}");
                }
            }
        }
        assert!(began.elapsed() < LONG, "SEED={seed}: {:?}\n{text}", began.elapsed());
    }
    assert!(used > 50 && refused > 50, "nothing was tested: {used} used, {refused} refused");
}
