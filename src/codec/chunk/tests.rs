use proptest::prelude::*;

use super::*;

fn check(at_ms: &[i64], values: &[f64]) -> Vec<u8> {
    let bytes = encode(at_ms, values);
    let (mut at_back, mut values_back) = (vec![7], vec![7.0]);
    let head = decode(&bytes, &mut at_back, &mut values_back).expect("what was encoded decodes");
    assert_eq!(head, super::head(&bytes).unwrap());
    assert_eq!((head.samples, head.first_ms, head.last_ms), (at_ms.len(), at_ms[0], at_ms[at_ms.len() - 1]));
    assert_eq!(&at_back[1..], at_ms);
    let bits = |values: &[f64]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(&values_back[1..]), bits(values));
    bytes
}

#[test]
fn corner_values_come_back_bit_for_bit() {
    let stale = f64::from_bits(0x7ff0_0000_0000_0002);
    let odd = [0.0, -0.0, 1.5, stale, f64::NAN, f64::INFINITY, f64::MIN_POSITIVE, f64::MAX, -1e-300, 1e15, 0.1 + 0.2];
    for value in odd {
        check(&[i64::MIN], &[value]);
        check(&[i64::MIN, 0, i64::MAX], &[value, 1.0, value]);
        let times: Vec<i64> = (0..240).map(|n| n * 15_000).collect();
        let mut values = vec![3.25; 240];
        values[239] = value;
        check(&times, &values);
        check(&times, &[value; 240]);
    }
    check(&[i64::MIN, i64::MAX], &[1.0, 2.0]);
    check(&[i64::MIN, i64::MIN + 1, i64::MAX - 1, i64::MAX], &odd[..4]);
}

#[test]
fn usual_series_take_few_bytes() {
    let times: Vec<i64> = (0..240).map(|n| 1_795_226_400_000 + n * 15_000).collect();
    for (name, value, most) in [
        ("constant", &(|_| 42.0) as &dyn Fn(i64) -> f64, 30),
        ("counter", &|n| (n * 1_500 + n % 7) as f64, 150),
        ("cents", &|n| 20.0 + ((n * n) % 100) as f64 / 100.0, 260),
        ("pages", &|n| 8e9 + ((n * 7_919) % 1_000) as f64 * 4_096.0, 380),
        ("full mantissa", &|n| (n as f64).sqrt(), 1_700),
    ] {
        let values: Vec<f64> = (0..240).map(value).collect();
        let bytes = check(&times, &values).len();
        assert!(bytes <= most, "{name}: {bytes} bytes for 240 samples, {most} expected at most");
    }
}

/// A dictionary of 2^25 numbers, of which none is there.
#[test]
fn a_forged_form_of_numbers_is_refused_before_room_is_made_for_it() {
    for (count, behind) in [(300, 4), (900, 0)] {
        let times: Vec<i64> = (0..count).map(|n| n * 15_000).collect();
        let values: Vec<f64> = (0..count).map(|n| (n as f64).sqrt()).collect();
        let mut bytes = check(&times, &values);
        bytes.truncate(bytes.len() - CHECKSUM_BYTES);
        let mut reader = Reader(&bytes);
        let (head, encodings) = read_head(&mut reader).unwrap();
        times::take(&mut reader, encodings & 15, &head, &mut Vec::new()).unwrap();
        let body = if behind > 0 { reader.bytes().unwrap() } else { reader.0 };
        let rest = if behind > 0 {
            pco::standalone::FileDecompressor::new(body).unwrap().1
        } else {
            pco::wrapped::FileDecompressor::new(body).unwrap().1
        };
        let meta = rest.as_ptr() as usize - bytes.as_ptr() as usize + behind;
        bytes[meta] = bytes[meta] & 0xf0 | 4;
        bytes[meta + 1..meta + 5].fill(0xff);
        let sum = checksum(&bytes);
        bytes.extend(sum);
        let told = decode(&bytes, &mut Vec::new(), &mut Vec::new()).unwrap_err();
        assert_eq!(told, BadBytes("a chunk's numbers are in a form that is never written"), "{count} samples");
    }
}

fn value() -> impl Strategy<Value = f64> {
    prop_oneof![
        6 => (-100_000i64..100_000, 0i32..5).prop_map(|(digits, places)| digits as f64 / 10f64.powi(places)),
        2 => any::<u64>().prop_map(f64::from_bits),
        1 => Just(f64::from_bits(0x7ff0_0000_0000_0002)),
        1 => Just(-0.0),
    ]
}

fn chunk() -> impl Strategy<Value = (Vec<i64>, Vec<f64>)> {
    let gap = prop_oneof![Just(15_000i64), 1i64..20_000, 1i64..1 << 40];
    let length = prop_oneof![7 => 1usize..300, 1 => 500usize..900];
    let rows = length.prop_flat_map(move |length| prop::collection::vec((gap.clone(), value()), length));
    (any::<i32>(), rows, any::<bool>()).prop_map(|(start, rows, even)| {
        let mut at = i64::from(start) * 1_000;
        let times = rows.iter().map(|(gap, _)| {
            at += if even { 15_000 } else { *gap };
            at
        });
        (times.collect(), rows.iter().map(|(_, value)| *value).collect())
    })
}

proptest! {
    #[test]
    fn every_chunk_comes_back((times, values) in chunk()) {
        check(&times, &values);
    }

    #[test]
    fn damage_is_an_error_and_never_a_panic(
        (times, values) in chunk(), flip in any::<prop::sample::Index>(), mask in 1u8..=255, cut in any::<prop::sample::Index>(),
    ) {
        let bytes = encode(&times, &values);
        let mut flipped = bytes.clone();
        flipped[flip.index(bytes.len())] ^= mask;
        prop_assert!(decode(&flipped, &mut Vec::new(), &mut Vec::new()).is_err());
        prop_assert!(decode(&bytes[..cut.index(bytes.len())], &mut Vec::new(), &mut Vec::new()).is_err());
    }

    /// The checksum hides the inner readers from plain damage; here it is made right again.
    #[test]
    fn forged_chunks_never_panic(
        (times, values) in chunk(), flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut bytes = encode(&times, &values);
        bytes.truncate(bytes.len() - CHECKSUM_BYTES);
        for (at, byte) in flips {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let sum = checksum(&bytes);
        bytes.extend(sum);
        let (mut at_ms, mut out) = (Vec::new(), Vec::new());
        if let Ok(head) = decode(&bytes, &mut at_ms, &mut out) {
            prop_assert_eq!((at_ms.len(), out.len()), (head.samples, head.samples));
            prop_assert!(at_ms.windows(2).all(|pair| pair[0] < pair[1]));
        } else {
            prop_assert!(at_ms.is_empty() && out.is_empty());
        }
    }
}
