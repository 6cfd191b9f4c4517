//! Blocks of every version that was ever written are read, indexed and found by their words.

use codec::block::{Meta, VERSION};

use super::super::seal::Sealed;
use super::*;

/// The block fixtures, from version 1.
const FIXTURES: [&str; VERSION as usize] =
    [include_str!("../../../codec/block/fixtures/v1.hex"), include_str!("../../../codec/block/fixtures/v2.hex")];

/// Records with their resource, by what orders them; and whether they stand as today's blocks have them.
fn found(store: &Arc<LogStore>) -> (BTreeMap<(i64, u64, u32), String>, bool) {
    let (mut out, mut is_new) = (BTreeMap::new(), true);
    for found in blocks(&store.view(), &IndexQuery::All).0 {
        let block = found.read().unwrap().unwrap();
        is_new &= block.templates().unwrap().is_some();
        for (at, (seq, place)) in block.order().unwrap().iter().enumerate() {
            let (resource, scope) = block.stream(at).unwrap();
            let around = (&block.resources().unwrap()[resource], &block.scopes().unwrap()[scope]);
            let record = block.record(at).unwrap();
            out.insert((record.time_ns, *seq, *place), format!("{around:?} {record:?}"));
        }
    }
    (out, is_new)
}

#[test]
fn blocks_of_every_version_are_found() {
    for (version, fixture) in (1u8..).zip(FIXTURES) {
        let fixture = fixture.trim();
        let bytes: Vec<u8> =
            (0..fixture.len() / 2).map(|at| u8::from_str_radix(&fixture[2 * at..2 * at + 2], 16).unwrap()).collect();
        assert_eq!(bytes[0], version);
        let mut records = Block::parse(bytes.clone()).unwrap().batch().unwrap().records;
        records.sort_by_key(|(.., record)| record.time_ns);
        let meta = Meta::of(10_000, records.iter().map(|(.., record)| record));
        let day = Day::of_ns(records[0].2.time_ns);
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        fs::create_dir_all(dir.path().join("logs")).unwrap();
        let file = DayFile::new(dir.path().join(format!("logs/{day}.redb")), store.files.clone());
        file.append(0, &[Sealed { bytes, meta }], 1).unwrap();
        drop((file, store));

        let store = open(dir.path());
        let (before, is_new) = found(&store);
        assert_eq!((before.len(), is_new), (records.len(), version == VERSION), "version {version}");
        store.index(day).unwrap();
        assert!(store.state.lock().days[&day].unindexed().is_none(), "version {version}");
        for (.., record) in &records {
            let AnyValue::Str(text) = &record.body else { continue };
            let Some(word) = codec::words::words(text).next() else { continue };
            assert_eq!(
                blocks(&store.view(), &IndexQuery::Term(terms::word(&fold(word)))).0.len(),
                1,
                "{word} in version {version}"
            );
        }
        assert_eq!(found(&store), (before, is_new), "version {version}");
        assert_eq!(blocks(&store.view(), &IndexQuery::Term(terms::word("zzyzx"))).0.len(), 0, "version {version}");
    }
}
