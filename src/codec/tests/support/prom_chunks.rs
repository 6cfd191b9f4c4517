//! A reader of Prometheus' chunks (`tsdb/chunkenc` in its repository): one that is not ours in any part.
// Several test programs include this, each for its part.
#![allow(dead_code, unreachable_pub)]

use model::{CounterReset, Histogram};

/// A chunk's bits.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn bit(&mut self) -> bool {
        let bit = self.bytes[self.at / 8] >> (7 - self.at % 8) & 1;
        self.at += 1;
        bit == 1
    }

    fn bits(&mut self, count: u32) -> u64 {
        (0..count).fold(0, |value, _| value << 1 | u64::from(self.bit()))
    }

    fn signed(&mut self, count: u32) -> i64 {
        let value = self.bits(count);
        // The largest is a positive one.
        if (1..64).contains(&count) && value > 1 << (count - 1) { (value | !0 << count) as i64 } else { value as i64 }
    }

    fn varint(&mut self) -> u64 {
        let (mut value, mut shift) = (0, 0);
        loop {
            let byte = self.bits(8);
            value |= (byte & 0x7f) << shift;
            shift += 7;
            if byte < 0x80 {
                return value;
            }
        }
    }

    /// How many bits a number has: the ones in front of it tell.
    fn length(&mut self) -> u32 {
        let ones = (0..8).take_while(|_| self.bit()).count();
        [0, 3, 6, 9, 12, 18, 25, 56, 64][ones]
    }

    fn varbit(&mut self) -> i64 {
        let length = self.length();
        self.signed(length)
    }

    fn varbit_unsigned(&mut self) -> u64 {
        let length = self.length();
        self.bits(length)
    }

    fn change_of_delta(&mut self) -> i64 {
        let ones = (0..4).take_while(|_| self.bit()).count();
        let length = [0, 14, 17, 20, 64][ones];
        self.signed(length)
    }

    fn next_value(&mut self, (last, window): &mut (u64, (u32, u32))) -> f64 {
        if self.bit() {
            if self.bit() {
                let (leading, length) = (self.bits(5) as u32, self.bits(6) as u32);
                let length = if length == 0 { 64 } else { length };
                *window = (leading, 64 - leading - length);
            }
            *last ^= self.bits(64 - window.0 - window.1) << window.1;
        }
        f64::from_bits(*last)
    }

    fn zero_threshold(&mut self) -> f64 {
        match self.bits(8) {
            0 => 0.0,
            255 => f64::from_bits(self.bits(64)),
            exponent => 2_f64.powi(exponent as i32 - 244),
        }
    }

    fn indexes(&mut self) -> Vec<i32> {
        let (mut indexes, mut next) = (Vec::new(), 0);
        for _ in 0..self.varbit_unsigned() {
            let (length, offset) = (self.varbit_unsigned() as i32, self.varbit() as i32);
            indexes.extend(next + offset..next + offset + length);
            next += offset + length;
        }
        indexes
    }
}

/// Times, and values as bits, of a chunk of floats.
pub fn floats(data: &[u8]) -> Vec<(i64, u64)> {
    let count = u16::from_be_bytes([data[0], data[1]]);
    let mut reader = Reader { bytes: data, at: 16 };
    let (mut at_ms, mut delta, mut column) = (0, 0, (0, (0, 0)));
    let mut samples = Vec::new();
    for nth in 0..count {
        match nth {
            0 => {
                let packed = reader.varint();
                at_ms = (packed >> 1) as i64 ^ -((packed & 1) as i64);
                column.0 = reader.bits(64);
            }
            1 => delta = reader.varint() as i64,
            _ => delta += reader.change_of_delta(),
        }
        at_ms += delta;
        let value = if nth == 0 { f64::from_bits(column.0) } else { reader.next_value(&mut column) };
        samples.push((at_ms, value.to_bits()));
    }
    samples
}

/// Of a chunk of native histograms with counts as floats.
pub fn histograms(data: &[u8]) -> Vec<(i64, Histogram)> {
    let count = u16::from_be_bytes([data[0], data[1]]);
    let mut reader = Reader { bytes: data, at: 16 };
    let header = reader.bits(8);
    let zero_threshold = reader.zero_threshold();
    let schema = reader.varbit() as i32;
    let (positive, negative) = (reader.indexes(), reader.indexes());
    let bounds = if schema == -53 { reader.varbit_unsigned() } else { 0 };
    let bound = |reader: &mut Reader<'_>| match reader.varbit_unsigned() {
        0 => f64::from_bits(reader.bits(64)),
        thousandths => (thousandths - 1) as f64 / 1000.0,
    };
    let bounds: Vec<f64> = (0..bounds).map(|_| bound(&mut reader)).collect();
    let (mut at_ms, mut delta) = (0, 0);
    let mut columns = vec![(0, (0, 0)); 3 + positive.len() + negative.len()];
    let mut samples = Vec::new();
    for nth in 0..count {
        match nth {
            0 => at_ms = reader.varbit(),
            1 => delta = reader.varbit(),
            _ => delta += reader.varbit(),
        }
        at_ms += delta;
        let mut value = |column: &mut (u64, (u32, u32))| {
            if nth == 0 {
                column.0 = reader.bits(64);
                return f64::from_bits(column.0);
            }
            reader.next_value(column)
        };
        let values: Vec<f64> = columns.iter_mut().map(&mut value).collect();
        let side = |indexes: &[i32], from: usize| {
            let counts = indexes.iter().copied().zip(values[from..].iter().copied());
            counts.filter(|(_, count)| *count != 0.0).collect::<Vec<_>>()
        };
        let reset = match (nth, header) {
            (_, 0xc0) => CounterReset::Gauge,
            (0, 0x80) => CounterReset::Yes,
            (0, 0) => CounterReset::Unknown,
            _ => CounterReset::No,
        };
        let histogram = Histogram {
            schema,
            zero_threshold,
            zero_count: values[1],
            count: values[0],
            sum: values[2],
            positive: side(&positive, 3),
            negative: side(&negative, 3 + positive.len()),
            custom_bounds: bounds.clone().into(),
            reset,
        };
        samples.push((at_ms, histogram));
    }
    samples
}
