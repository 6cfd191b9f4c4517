use model::metric::is_stale;
use proptest::prelude::*;

use super::*;

const SIZES: &[usize] = &[2_000, 900, 300];

type Rows = Vec<(u32, Vec<(i64, u64)>)>;

fn pack(rows: &Rows) -> Vec<Packed> {
    let mut packer = Packer::new(SIZES);
    let mut pages = Vec::new();
    for (series, samples) in rows {
        let at_ms: Vec<i64> = samples.iter().map(|(at_ms, _)| *at_ms).collect();
        let values: Vec<f64> = samples.iter().map(|(_, bits)| f64::from_bits(*bits)).collect();
        pages.extend(packer.floats(*series, &at_ms, &values));
    }
    pages.extend(packer.finish());
    pages
}

fn unpack(bytes: &[u8]) -> Result<Rows, BadBytes> {
    let page = Page::read(bytes)?;
    let mut rows = Vec::new();
    for chunk in page.chunks() {
        let (mut at_ms, mut values) = (vec![7], vec![7.0]);
        let all = page.places(bytes, chunk, MsRange::ALL)?;
        page.floats(bytes, chunk, all, &mut at_ms, &mut values)?;
        let Content::Floats(head) = page.content(bytes, chunk) else { panic!("no histograms were written") };
        let samples: Vec<(i64, u64)> =
            at_ms[1..].iter().copied().zip(values[1..].iter().map(|value| value.to_bits())).collect();
        assert_eq!((head.samples, head.first_ms), (samples.len(), samples[0].0));
        assert_eq!(head.last_ms, samples[samples.len() - 1].0);
        assert!(page.of_series(chunk.series).iter().any(|same| same.bytes == chunk.bytes));
        rows.push((chunk.series, samples));
    }
    Ok(rows)
}

fn check(rows: &Rows) -> Vec<Packed> {
    let pages = pack(rows);
    let mut back = Rows::new();
    for page in &pages {
        let rows = unpack(&page.bytes).expect("what was packed unpacks");
        let before = back.iter().filter(|(series, _)| *series == rows[0].0).count();
        assert_eq!((page.series, page.part as usize), (rows[0].0, before), "a page says where it begins");
        assert!(page.bytes.len() <= SIZES[0] || rows.len() == 1, "{} bytes", page.bytes.len());
        back.extend(rows);
    }
    assert_eq!(&back, rows);
    let begins: Vec<_> = pages.iter().skip(1).map(|page| Some(page.series)).chain([None]).collect();
    let nexts: Vec<_> = pages.iter().map(|page| Page::read(&page.bytes).unwrap().next_series()).collect();
    assert_eq!(nexts, begins, "a page says how the next begins");
    pages
}

#[test]
fn chunks_of_one_export_share_their_times() {
    let jittered = |n: i64| 1_795_226_400_000 + n * 15_000 + (n * n * 7_919) % 50;
    let samples = |series: u32| (0..120).map(|n| (jittered(n), f64::from(series).to_bits())).collect();
    let rows: Rows = (0..20).map(|series| (series * 3, samples(series))).collect();
    let pages = check(&rows);
    let bytes: usize = pages.iter().map(|page| page.bytes.len()).sum();
    assert!(bytes < 1_100, "{bytes} bytes for 20 constant series with the same jittered times");
}

#[test]
fn full_pages_come_first_and_the_rest_goes_into_smaller_ones() {
    let full = |series: u32, n: i64| (n, (f64::from(series) + n as f64).sqrt().to_bits());
    let rows: Rows = (0..40).map(|series| (series, (0..20).map(|n| full(series, n)).collect())).collect();
    let pages = check(&rows);
    let sizes: Vec<usize> = pages.iter().map(|page| page.bytes.len()).collect();
    assert!(sizes.len() > 3 && sizes[0] > 1_600 && sizes.windows(2).all(|pair| pair[1] <= pair[0] + 200), "{sizes:?}");
    // A chunk beyond every size has its own page.
    check(&vec![(1, (0..3_000).map(|n| full(1, n)).collect()), (2, vec![(1, 1)])]);
}

#[test]
fn histograms_lie_between_floats() {
    let mut packer = Packer::new(SIZES);
    assert!(packer.floats(1, &[1, 2], &[1.0, 2.0]).is_empty());
    assert!(packer.histograms(1, vec![9; 50]).is_empty());
    assert!(packer.floats(4, &[1, 2], &[3.0, 4.0]).is_empty());
    let pages = packer.finish();
    let bytes = &pages[0].bytes;
    let page = Page::read(bytes).unwrap();
    let of_one = page.of_series(1);
    assert_eq!(page.content(bytes, &of_one[1]), Content::Histograms(&[9; 50]));
    assert!(page.places(bytes, &of_one[1], MsRange::ALL).is_err());
    assert!(page.floats(bytes, &of_one[1], 0..1, &mut vec![], &mut vec![]).is_err());
    assert!(page.of_series(2).is_empty());
    assert_eq!(page.columns.len(), 1);
}

fn rows() -> impl Strategy<Value = Rows> {
    let value = prop_oneof![3 => (0i64..9_999).prop_map(|n| (n as f64 / 100.0).to_bits()), 1 => any::<u64>()];
    let samples = prop::collection::vec((1i64..40_000, value), 1..60);
    let row = (0u32..5, any::<bool>(), samples);
    prop::collection::vec(row, 1..40).prop_map(|rows| {
        let mut series = 0;
        let mut made = Rows::new();
        for (step, even, samples) in rows {
            series += step;
            let mut at = 0;
            let samples = samples.into_iter().map(|(gap, bits)| {
                at += if even { 15_000 } else { gap };
                (at, bits)
            });
            made.push((series, samples.collect()));
        }
        made
    })
}

fn range() -> impl Strategy<Value = MsRange> {
    let end = || prop_oneof![6 => -9i64..3_000_000, 1 => Just(i64::MIN), 1 => Just(i64::MAX)];
    (end(), end()).prop_map(|(start_ms, end_ms)| MsRange { start_ms, end_ms })
}

/// The samples of every chunk of a page within a range are those of the whole chunk that lie there.
fn check_range(bytes: &[u8], range: MsRange) {
    let page = Page::read(bytes).unwrap();
    for (chunk, (_, all)) in page.chunks().iter().zip(unpack(bytes).unwrap()) {
        let (mut at_ms, mut values) = (vec![], vec![]);
        let places = page.places(bytes, chunk, range).unwrap();
        page.floats(bytes, chunk, places.clone(), &mut at_ms, &mut values).unwrap();
        let found: Vec<_> = at_ms.into_iter().zip(values.into_iter().map(f64::to_bits)).collect();
        let expected: Vec<_> = all.into_iter().filter(|(at_ms, _)| range.contains(*at_ms)).collect();
        assert_eq!(found, expected, "{range:?}");
        let (mut at_ms, mut values) = (vec![], vec![]);
        page.marks(bytes, chunk, places, &mut at_ms, &mut values).unwrap();
        let found: Vec<_> = at_ms.into_iter().zip(values.into_iter().map(is_stale)).collect();
        let expected: Vec<_> =
            expected.into_iter().map(|(at_ms, bits)| (at_ms, is_stale(f64::from_bits(bits)))).collect();
        assert_eq!(found, expected, "markers in {range:?}");
    }
}

#[test]
fn any_part_of_a_long_chunk_of_any_kind_is_what_the_whole_has_there() {
    let stale = f64::from_bits(0x7ff0_0000_0000_0002);
    let kinds: [&dyn Fn(i64) -> f64; 7] = [
        &|_| 4.5,
        &|n| (n * 70 + n * n % 61) as f64,
        &|n| (n * n % 997) as f64 * 1e10 + 0.5,
        &|n| (n / 300) as f64,
        &|n| (n as f64).sqrt(),
        &|n| if n % 500 == 255 { stale } else { (n * n % 83) as f64 / 100.0 },
        &|n| f64::from_bits((n as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)),
    ];
    let steps: [&dyn Fn(i64) -> i64; 2] = [&|n| n * 15_000, &|n| n * 15_000 + n * n % 40];
    for count in [257i64, 512, 513, 1_440] {
        let rows: Rows = kinds
            .iter()
            .flat_map(|value| steps.map(|at| (at, value)))
            .zip(0..)
            .map(|((at, value), series)| (series, (0..count).map(|n| (at(n), value(n).to_bits())).collect()))
            .collect();
        for page in check(&rows) {
            for (from, to) in [(0, count), (0, 1), (255, 256), (256, 257), (3, 700), (count - 1, count), (600, 600)] {
                check_range(&page.bytes, MsRange { start_ms: from * 15_000 - 7, end_ms: to * 15_000 - 8 });
            }
        }
    }
}

proptest! {
    #[test]
    fn every_page_comes_back(rows in rows(), range in range()) {
        for page in check(&rows) {
            check_range(&page.bytes, range);
        }
    }

    #[test]
    fn damage_is_an_error_and_never_a_panic(
        rows in rows(), flip in any::<prop::sample::Index>(), mask in 1u8..=255, cut in any::<prop::sample::Index>(),
    ) {
        let bytes = pack(&rows).swap_remove(0).bytes;
        let mut flipped = bytes.clone();
        flipped[flip.index(bytes.len())] ^= mask;
        prop_assert!(unpack(&flipped).is_err());
        prop_assert!(unpack(&bytes[..cut.index(bytes.len())]).is_err());
    }

    /// The checksums hide the inner readers from plain damage; here the directory's is made right again.
    #[test]
    fn forged_directories_never_panic(
        rows in rows(), flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6), range in range(),
    ) {
        let mut bytes = pack(&rows).swap_remove(0).bytes;
        let mut reader = Reader(&bytes[1..]);
        let length = reader.bytes().unwrap().len();
        let end = bytes.len() - reader.0.len();
        for (at, byte) in flips {
            let at = end - length + at.index(length);
            bytes[at] = byte;
        }
        let sum = chunk::checksum(&bytes[..end]);
        bytes[end..end + CHECKSUM_BYTES].copy_from_slice(&sum);
        if let Ok(page) = Page::read(&bytes) {
            for chunk in page.chunks() {
                let (mut at_ms, mut values) = (Vec::new(), Vec::new());
                let read = page
                    .places(&bytes, chunk, range)
                    .and_then(|places| page.floats(&bytes, chunk, places, &mut at_ms, &mut values));
                prop_assert_eq!(at_ms.len(), values.len());
                prop_assert!(read.is_ok() || at_ms.is_empty());
            }
        }
    }
}
