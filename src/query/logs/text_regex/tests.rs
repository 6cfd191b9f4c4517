//! Walked templates against the expression itself.

use codec::block::{Row, encode};
use model::{AnyValue, LogRecord, Resource, Scope};

use super::*;

const BODIES: [&str; 14] = [
    "GET /a/17 status: 200 len: 5",
    "GET /b/18 status: 404 len: 77",
    "POST /a/x-3 status: 500 len: 0",
    "Received block blk_17 from /10.251.4.102",
    "Received block blk_9812 from /10.251.77.102",
    "größe 5 überall",
    "größe5 x5ü",
    "",
    "17",
    "a\nb 4\nc",
    "deadbeef-12 beef-cafe",
    "user_1=ann user_2=bob",
    "é7 7é",
    "Error at 7f",
];
const PATTERNS: [&str; 37] = [
    "[0-9]{3}$",
    "(?m)[0-9]$",
    "7\\d* of [0-9a-f]+0$",
    "^took [0-9]+ ms of ..3",
    "[1-9]{2} ms of",
    "ms of .*[a-f]{2}[0-9]$|^17$",
    "status: (4|5)\\d\\d",
    "blk_[0-9]+ from",
    "blk_[0-9]{3,}",
    "^GET .*len: \\d$",
    "^$",
    "^17$",
    "",
    "\\b7\\b",
    "\\bb\\b",
    "(?i)ERROR",
    "gr..e",
    "größe ?5",
    "5$",
    "(?m)^b",
    "[^a-z]4",
    "beef",
    "beef-c",
    "a.b",
    "(?s)a.b",
    "\\d{5}",
    "10\\.251\\.\\d+\\.102",
    "x|y|len",
    "user_\\d=b",
    "\\w+=\\w+ \\w",
    "7\\B",
    "[é7] ",
    "(a|b|c)+$",
    "[0-9]+\\s+[0-9]+",
    "\\p{L}5",
    ".*.*=.*",
    "zzz",
];

fn block_of(texts: &[&str]) -> Block {
    let record = |text: &&str| LogRecord { body: AnyValue::Str((*text).into()), ..LogRecord::default() };
    let records: Vec<LogRecord> = texts.iter().map(record).collect();
    let row = |record| Row { resource: 0, scope: 0, record, seq: 0, place: 0 };
    let rows: Vec<Row<'_>> = records.iter().map(row).collect();
    Block::parse(encode(&[&Resource::default()], &[&Scope::default()], &rows)).unwrap()
}

#[test]
fn templates_decide_as_the_expression_does() {
    // Numbers, hex, and holes that are neither, beside texts that repeat.
    let unlike = (0..60u64).map(|n| match n % 3 {
        0 => format!("took {} ms of {:08x}", n * n * 7, n.wrapping_mul(0x9e37_79b9) as u32),
        1 => format!("x{}y left\nat {n}", n * 31),
        _ => format!("{} of {:x}", n * 1_003, n << 4),
    });
    let unlike: Vec<String> = unlike.collect();
    let texts: Vec<&str> = (0..12).flat_map(|_| BODIES).chain(unlike.iter().map(String::as_str)).collect();
    let block = block_of(&texts);
    let templates = block.templates().unwrap().unwrap();
    for pattern in PATTERNS {
        let regex = TextRegex::new(super::super::pattern::compile(pattern).unwrap());
        assert!(regex.automaton.get_or_init(|| build(pattern)).is_some(), "{pattern}");
        // The second time with what is remembered of the first.
        for _ in 0..2 {
            let mut found = Mask::all(texts.len());
            regex.retain(&block, templates, &mut found, |_| Ok(true)).unwrap();
            let wanted = |at: &usize| regex.is_match(texts[*at]);
            let wanted: Vec<usize> = (0..texts.len()).filter(wanted).collect();
            assert_eq!(found.iter().collect::<Vec<_>>(), wanted, "{pattern}");
        }
    }
}

#[test]
fn what_does_not_fit_is_asked_of_the_expression() {
    let texts: Vec<String> = (0..400u64).map(|n| format!("{:b} x", n.wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let block = block_of(&texts);
    // An automaton of 2^24 states.
    let regex = TextRegex::new(super::super::pattern::compile("1[01]{24} x").unwrap());
    let mut found = Mask::all(texts.len());
    regex.retain(&block, block.templates().unwrap().unwrap(), &mut found, |_| Ok(true)).unwrap();
    let wanted: Vec<usize> = (0..texts.len()).filter(|at| regex.is_match(texts[*at])).collect();
    assert!(!wanted.is_empty() && wanted.len() < texts.len());
    assert_eq!(found.iter().collect::<Vec<_>>(), wanted);
}
