//! Columns of integers: differences of a chosen order, divided by their common divisor, then either packed to the bits they
//! need in blocks of 64 or written as varints and compressed, whichever is shorter.

use std::cell::RefCell;

use crate::wire::{BadBytes, Reader, put_bytes, put_signed, put_varint, unzigzag, zigzag};

/// Values packed at one width.
const BLOCK: usize = 64;
/// Level 1: on these columns level 3 costs more and saves nothing (measured).
const ZSTD_LEVEL: i32 = 1;
/// Below this zstd's own frame costs more than it can save.
const ZSTD_WORTH_BYTES: usize = 40;

const PACKED: u8 = 0;
const SQUEEZED: u8 = 1;

thread_local! {
    // A fresh zstd context costs more than a chunk.
    static SQUEEZE: RefCell<Option<zstd::bulk::Compressor<'static>>> = const { RefCell::new(None) };
    static UNSQUEEZE: RefCell<Option<zstd::bulk::Decompressor<'static>>> = const { RefCell::new(None) };
}

/// Writes a column; `numbers` is used up as scratch.
pub(super) fn put(out: &mut Vec<u8>, numbers: &mut [i64]) {
    let order = best_order(numbers);
    for round in 0..order {
        for at in (round + 1..numbers.len()).rev() {
            numbers[at] = numbers[at].wrapping_sub(numbers[at - 1]);
        }
    }
    let (seeds, rest) = numbers.split_at_mut(order.min(numbers.len()));
    let divisor = common_divisor(rest);
    if divisor > 1 {
        rest.iter_mut().for_each(|number| *number /= divisor as i64);
    }
    let packed = packed_bytes(rest);
    let squeezed = if packed < ZSTD_WORTH_BYTES { None } else { squeeze(rest).filter(|bytes| bytes.len() < packed) };
    let how = if squeezed.is_some() { SQUEEZED } else { PACKED };
    out.push((order as u8) << 4 | how);
    put_varint(out, divisor);
    for seed in seeds.iter() {
        put_signed(out, *seed);
    }
    match squeezed {
        Some(bytes) => put_bytes(out, &bytes),
        None => pack(out, rest),
    }
}

/// Reads a column of `count` numbers.
pub(super) fn take(reader: &mut Reader<'_>, count: usize) -> Result<Vec<i64>, BadBytes> {
    let form = reader.byte()?;
    let order = usize::from(form >> 4);
    let divisor = reader.varint()?;
    if order > 2 || order > count {
        return Err(BadBytes("a column's order of differences is unknown"));
    }
    let divisor = i64::try_from(divisor).map_err(|_| BadBytes("a column's divisor is too large"))?;
    let mut numbers = Vec::with_capacity(count);
    for _ in 0..order {
        numbers.push(reader.signed()?);
    }
    match form & 15 {
        PACKED => unpack(reader, count, &mut numbers)?,
        SQUEEZED => unsqueeze(reader.bytes()?, count, &mut numbers)?,
        _ => return Err(BadBytes("a column's form is unknown")),
    }
    if divisor != 1 {
        numbers[order..].iter_mut().for_each(|number| *number = number.wrapping_mul(divisor));
    }
    for round in (0..order).rev() {
        for at in round + 1..count {
            numbers[at] = numbers[at].wrapping_add(numbers[at - 1]);
        }
    }
    Ok(numbers)
}

/// How often to take differences (0, 1 or 2), by the bits that the results need.
fn best_order(numbers: &[i64]) -> usize {
    let bits = |number: i64| u64::from(64 - zigzag(number).leading_zeros());
    let mut cost = [0u64; 3];
    let base = numbers.first().copied().unwrap_or(0);
    let (mut previous, mut previous_delta) = (base, 0i64);
    for (at, number) in numbers.iter().enumerate().skip(1) {
        let delta = number.wrapping_sub(previous);
        cost[0] += bits(number.wrapping_sub(base));
        cost[1] += bits(delta);
        cost[2] += if at == 1 { bits(delta) } else { bits(delta.wrapping_sub(previous_delta)) };
        (previous, previous_delta) = (*number, delta);
    }
    let best = if cost[1] < cost[0] { 1 } else { 0 };
    if numbers.len() > 2 && cost[2] < cost[best] { 2 } else { best }
}

pub(super) fn common_divisor(numbers: &[i64]) -> u64 {
    let mut divisor = 0u64;
    for number in numbers {
        let mut other = number.unsigned_abs();
        while other != 0 {
            (divisor, other) = (other, divisor % other);
        }
        if divisor == 1 {
            return 1;
        }
    }
    // A divisor of 2^63 cannot be an i64; it needs i64::MIN alone, which is not worth a case.
    if divisor == 0 || divisor > i64::MAX as u64 { 1 } else { divisor }
}

fn block_shape(block: &[i64]) -> (i64, u32) {
    let min = block.iter().copied().min().unwrap_or(0);
    let max = block.iter().copied().max().unwrap_or(0);
    (min, 64 - (max.wrapping_sub(min) as u64).leading_zeros())
}

fn packed_bytes(numbers: &[i64]) -> usize {
    numbers
        .chunks(BLOCK)
        .map(|block| {
            let (min, width) = block_shape(block);
            let min_bytes = (64 - zigzag(min).leading_zeros()).div_ceil(7).max(1) as usize;
            1 + min_bytes + (width as usize * block.len()).div_ceil(8)
        })
        .sum()
}

fn pack(out: &mut Vec<u8>, numbers: &[i64]) {
    for block in numbers.chunks(BLOCK) {
        let (min, width) = block_shape(block);
        out.push(width as u8);
        put_signed(out, min);
        let (mut bits, mut held) = (0u128, 0);
        for number in block {
            bits |= u128::from(number.wrapping_sub(min) as u64) << held;
            held += width;
            while held >= 8 {
                out.push(bits as u8);
                bits >>= 8;
                held -= 8;
            }
        }
        if held > 0 {
            out.push(bits as u8);
        }
    }
}

fn unpack(reader: &mut Reader<'_>, count: usize, numbers: &mut Vec<i64>) -> Result<(), BadBytes> {
    while numbers.len() < count {
        let in_block = (count - numbers.len()).min(BLOCK);
        let width = u32::from(reader.byte()?);
        if width > 64 {
            return Err(BadBytes("a packed block is wider than 64 bits"));
        }
        let min = reader.signed()?;
        let bytes = reader.take((width as usize * in_block).div_ceil(8))?;
        let mask = if width == 64 { u64::MAX } else { (1u64 << width) - 1 };
        let (mut bits, mut held, mut next) = (0u128, 0, bytes.iter());
        for _ in 0..in_block {
            while held < width {
                let byte = next.next().expect("as many bytes were taken as the widths need");
                bits |= u128::from(*byte) << held;
                held += 8;
            }
            numbers.push(min.wrapping_add((bits as u64 & mask) as i64));
            bits >>= width;
            held -= width;
        }
    }
    Ok(())
}

/// `None` when zstd refuses, which leaves the packed form.
fn squeeze(numbers: &[i64]) -> Option<Vec<u8>> {
    let mut plain = Vec::with_capacity(numbers.len() * 2);
    for number in numbers {
        put_varint(&mut plain, zigzag(*number));
    }
    SQUEEZE.with_borrow_mut(|context| {
        if context.is_none() {
            *context = zstd::bulk::Compressor::new(ZSTD_LEVEL).ok();
        }
        context.as_mut()?.compress(&plain).ok()
    })
}

fn unsqueeze(bytes: &[u8], count: usize, numbers: &mut Vec<i64>) -> Result<(), BadBytes> {
    // A varint has at most ten bytes, so this bounds what a forged frame can make us reserve.
    let plain = UNSQUEEZE.with_borrow_mut(|context| {
        if context.is_none() {
            *context = zstd::bulk::Decompressor::new().ok();
        }
        let context = context.as_mut().ok_or(BadBytes("no memory to decompress with"))?;
        context.decompress(bytes, count * 10).map_err(|_| BadBytes("a column does not decompress"))
    })?;
    let mut reader = Reader(&plain);
    while numbers.len() < count {
        numbers.push(unzigzag(reader.varint()?));
    }
    if reader.is_empty() { Ok(()) } else { Err(BadBytes("a column has too many numbers")) }
}
