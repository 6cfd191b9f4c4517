//! Bits one after another, the highest of a byte first, and the numbers of varying length that Prometheus' chunks are made of
//! (`tsdb/chunkenc`: bstream.go, varbit.go, xor.go).

#[derive(Default)]
pub(super) struct Bits {
    bytes: Vec<u8>,
    /// Bits of the last byte that are not written yet.
    free: u32,
}

/// Lengths of a number, in bits, each said by one more 1 in front of it than the one before; beyond them all 64 bits stand.
const LENGTHS: [u32; 7] = [3, 6, 9, 12, 18, 25, 56];

impl Bits {
    /// With room for the count of samples, which is known at the end.
    pub(super) fn of_chunk() -> Bits {
        Bits { bytes: vec![0, 0], free: 0 }
    }

    /// The chunk's bytes.
    pub(super) fn finish(mut self, count: u16) -> Vec<u8> {
        self.bytes[..2].copy_from_slice(&count.to_be_bytes());
        self.bytes
    }

    /// The lowest `count` bits.
    pub(super) fn push(&mut self, value: u64, count: u32) {
        let mut left = count;
        while left > 0 {
            if self.free == 0 {
                self.bytes.push(0);
                self.free = 8;
            }
            let taken = left.min(self.free);
            let part = (value >> (left - taken)) & ((1 << taken) - 1);
            self.free -= taken;
            left -= taken;
            if let Some(last) = self.bytes.last_mut() {
                *last |= (part as u8) << self.free;
            }
        }
    }

    pub(super) fn byte(&mut self, value: u8) {
        self.push(u64::from(value), 8);
    }

    /// Seven bits a byte, the lowest first.
    pub(super) fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.byte(value as u8 | 0x80);
            value >>= 7;
        }
        self.byte(value as u8);
    }

    /// The same for a number that may be negative.
    pub(super) fn signed_varint(&mut self, value: i64) {
        self.varint((value << 1) as u64 ^ (value >> 63) as u64);
    }

    pub(super) fn varbit(&mut self, value: i64) {
        if value == 0 {
            self.push(0, 1);
            return;
        }
        let length = LENGTHS.iter().position(|length| fits(value, *length));
        self.sized(value as u64, length);
    }

    pub(super) fn varbit_unsigned(&mut self, value: u64) {
        if value == 0 {
            self.push(0, 1);
            return;
        }
        let length = LENGTHS.iter().position(|length| 64 - value.leading_zeros() <= *length);
        self.sized(value, length);
    }

    fn sized(&mut self, value: u64, length: Option<usize>) {
        match length {
            Some(at) => {
                let ones = at as u32 + 1;
                self.push(((1 << ones) - 1) << 1, ones + 1);
                self.push(value, LENGTHS[at]);
            }
            None => {
                self.push(0xff, 8);
                self.push(value, 64);
            }
        }
    }
}

/// Whether a number can be said in so many bits: one more of the positive ones, unlike in two's complement.
pub(super) fn fits(value: i64, bits: u32) -> bool {
    let most = 1_i64 << (bits - 1);
    (1 - most..=most).contains(&value)
}

/// A column of floats, each as what of its bits differs from the one before.
#[derive(Clone, Copy, Default)]
pub(super) struct XorColumn {
    last: u64,
    /// Zeros in front of and behind the bits that were written in full last; none at first.
    window: Option<(u32, u32)>,
}

/// More leading zeros than this cannot be said.
const LEADING_MAX: u32 = 31;

impl XorColumn {
    pub(super) fn first(&mut self, value: f64, out: &mut Bits) {
        self.last = value.to_bits();
        out.push(self.last, 64);
    }

    pub(super) fn next(&mut self, value: f64, out: &mut Bits) {
        let changed = value.to_bits() ^ self.last;
        self.last = value.to_bits();
        if changed == 0 {
            out.push(0, 1);
            return;
        }
        let (leading, trailing) = (changed.leading_zeros().min(LEADING_MAX), changed.trailing_zeros());
        match self.window {
            Some((before, behind)) if leading >= before && trailing >= behind => {
                out.push(0b10, 2);
                out.push(changed >> behind, 64 - before - behind);
            }
            _ => {
                self.window = Some((leading, trailing));
                let length = 64 - leading - trailing;
                out.push(0b11, 2);
                out.push(u64::from(leading), 5);
                // 64 is written as 0.
                out.push(u64::from(length & 63), 6);
                out.push(changed >> trailing, length);
            }
        }
    }
}
