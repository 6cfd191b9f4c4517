//! The protobuf wire format, read in place: no object tree, no copy, every read inside the enclosing message.
//!
//! A [`Message`] is a span of the request's body and knows its offsets there, so that an error can name its byte.
//! Format: protobuf.dev/programming-guides/encoding.

use super::error::{Read, fail};

/// Deepest nesting of groups that is skipped over. OTLP has no groups: only an unknown field can be one.
const GROUP_DEPTH_MAX: usize = 32;

/// The rest of a message: what was read is gone from it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Message<'a> {
    body: &'a [u8],
    at: usize,
    end: usize,
}

/// A field, flat: an enum of what it may hold would go through memory, which costs as much again as reading it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Field<'a> {
    pub(crate) number: u32,
    held: Held,
    /// Offset in the body of the field's tag.
    pub(crate) start: usize,
    /// A number's bits; of anything else it says nothing.
    bits: u64,
    /// Length-delimited bytes; of anything else it says nothing.
    bytes: Message<'a>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Held {
    Varint,
    Fixed64,
    Fixed32,
    Bytes,
    Group,
}

impl<'a> Message<'a> {
    pub(crate) fn new(body: &'a [u8]) -> Message<'a> {
        Message { body, at: 0, end: body.len() }
    }

    /// What is left of the message.
    pub(crate) fn raw(&self) -> &'a [u8] {
        &self.body[self.at..self.end]
    }

    /// Offset in the body of the next unread byte.
    pub(crate) fn offset(&self) -> usize {
        self.at
    }

    /// The bytes of the whole body between two offsets.
    pub(crate) fn between(&self, start: usize, end: usize) -> &'a [u8] {
        &self.body[start..end]
    }

    /// The next field, or `None` at the message's end. A group comes as a field that fits no type.
    #[inline]
    pub(crate) fn field(&mut self) -> Read<Option<Field<'a>>> {
        let mut field = Field::none(*self);
        Ok(self.next(&mut field)?.then_some(field))
    }

    /// As [`Message::field`] for loops that must be fast: puts the field where its parts can stay in registers. `false` at the end.
    #[inline(always)]
    pub(crate) fn next(&mut self, field: &mut Field<'a>) -> Read<bool> {
        if self.at >= self.end {
            return Ok(false);
        }
        field.start = self.at;
        let tag = self.tag()?;
        field.number = tag >> 3;
        match tag & 7 {
            0 => (field.held, field.bits) = (Held::Varint, self.varint()?),
            1 => (field.held, field.bits) = (Held::Fixed64, u64::from_le_bytes(self.take()?)),
            2 => (field.held, field.bytes) = (Held::Bytes, self.delimited()?),
            3 => {
                self.skip_group(field.number, field.start)?;
                field.held = Held::Group;
            }
            4 => return fail("", field.start, "end of a group that did not begin"),
            5 => (field.held, field.bits) = (Held::Fixed32, u64::from(u32::from_le_bytes(self.take()?))),
            other => return fail("", field.start, format!("wire type {other} does not exist")),
        }
        Ok(true)
    }

    /// Number and wire type of a field, as they are sent.
    #[inline(always)]
    fn tag(&mut self) -> Read<u32> {
        let start = self.at;
        match u32::try_from(self.varint()?) {
            Ok(tag) if tag >> 3 != 0 => Ok(tag),
            Ok(_) => fail("", start, "field number 0 does not exist"),
            Err(_) => fail("", start, "field number out of range"),
        }
    }

    #[inline(always)]
    fn varint(&mut self) -> Read<u64> {
        match self.raw() {
            [byte, ..] if *byte < 0x80 => {
                self.at += 1;
                Ok(u64::from(*byte))
            }
            // Lengths of records and of longer texts.
            [low, high, ..] if *high < 0x80 => {
                self.at += 2;
                Ok(u64::from(low & 0x7f) | u64::from(*high) << 7)
            }
            _ => self.long_varint(),
        }
    }

    #[inline(never)]
    fn long_varint(&mut self) -> Read<u64> {
        let mut value = 0u64;
        for (place, byte) in self.raw().iter().take(10).enumerate() {
            // The tenth byte has room for the 64th bit only.
            if place == 9 && *byte > 1 {
                return fail("", self.at, "number longer than 64 bits");
            }
            value |= u64::from(byte & 0x7f) << (7 * place);
            if *byte < 0x80 {
                self.at += place + 1;
                return Ok(value);
            }
        }
        fail("", self.end, "cut off inside a number")
    }

    #[inline(always)]
    fn take<const N: usize>(&mut self) -> Read<[u8; N]> {
        match self.raw().first_chunk::<N>() {
            Some(bytes) => {
                self.at += N;
                Ok(*bytes)
            }
            None => fail("", self.end, format!("cut off inside a value of {N} bytes")),
        }
    }

    /// The message of the length that stands before it.
    #[inline(always)]
    pub(crate) fn delimited(&mut self) -> Read<Message<'a>> {
        let length = self.varint()?;
        match usize::try_from(length) {
            Ok(length) if length <= self.end - self.at => {
                let inner = Message { body: self.body, at: self.at, end: self.at + length };
                self.at += length;
                Ok(inner)
            }
            _ => fail("", self.at, format!("{length} bytes announced, {} are left", self.end - self.at)),
        }
    }

    fn skip_group(&mut self, number: u32, start: usize) -> Read<()> {
        let mut open = vec![number];
        while let Some(innermost) = open.last() {
            if self.at >= self.end {
                return fail("", start, "group without an end");
            }
            let at = self.at;
            let tag = self.tag()?;
            let number = tag >> 3;
            match tag & 7 {
                0 => drop(self.varint()?),
                1 => drop(self.take::<8>()?),
                2 => drop(self.delimited()?),
                3 if open.len() >= GROUP_DEPTH_MAX => {
                    return fail("", at, format!("groups nested deeper than {GROUP_DEPTH_MAX}"));
                }
                3 => open.push(number),
                4 if number == *innermost => drop(open.pop()),
                4 => return fail("", at, "end of another group than the one that began"),
                5 => drop(self.take::<4>()?),
                other => return fail("", at, format!("wire type {other} does not exist")),
            }
        }
        Ok(())
    }
}

impl<'a> Field<'a> {
    /// None yet, for [`Message::next`].
    #[inline]
    pub(crate) fn none(of: Message<'a>) -> Field<'a> {
        Field { number: 0, held: Held::Group, start: of.at, bits: 0, bytes: Message { end: of.at, ..of } }
    }

    #[cold]
    fn mistyped<T>(&self, name: &str, wanted: &str) -> Read<T> {
        let found = match self.held {
            Held::Varint => "a varint",
            Held::Fixed64 => "8 bytes",
            Held::Fixed32 => "4 bytes",
            Held::Bytes => "length-delimited bytes",
            Held::Group => "a group",
        };
        fail(name, self.start, format!("{wanted} expected, {found} found"))
    }

    #[inline]
    pub(crate) fn varint(&self, name: &str) -> Read<u64> {
        if self.held == Held::Varint { Ok(self.bits) } else { self.mistyped(name, "a varint") }
    }

    /// Longer numbers lose their upper half, as protobuf's parsers do.
    pub(crate) fn uint32(&self, name: &str) -> Read<u32> {
        Ok(self.varint(name)? as u32)
    }

    /// A zigzag number; longer ones lose their upper half, as protobuf's parsers do.
    pub(crate) fn sint32(&self, name: &str) -> Read<i32> {
        let zigzag = self.uint32(name)?;
        Ok((zigzag >> 1) as i32 ^ -((zigzag & 1) as i32))
    }

    pub(crate) fn int32(&self, name: &str) -> Read<i32> {
        Ok(self.varint(name)? as i32)
    }

    #[inline]
    pub(crate) fn fixed64(&self, name: &str) -> Read<u64> {
        if self.held == Held::Fixed64 { Ok(self.bits) } else { self.mistyped(name, "8 bytes") }
    }

    #[inline]
    pub(crate) fn double(&self, name: &str) -> Read<f64> {
        self.fixed64(name).map(f64::from_bits)
    }

    pub(crate) fn fixed32(&self, name: &str) -> Read<u32> {
        if self.held == Held::Fixed32 { Ok(self.bits as u32) } else { self.mistyped(name, "4 bytes") }
    }

    #[inline]
    pub(crate) fn message(&self, name: &str) -> Read<Message<'a>> {
        if self.held == Held::Bytes { Ok(self.bytes) } else { self.mistyped(name, "length-delimited bytes") }
    }

    #[inline]
    pub(crate) fn bytes(&self, name: &str) -> Read<&'a [u8]> {
        Ok(self.message(name)?.raw())
    }

    #[inline]
    pub(crate) fn text(&self, name: &str) -> Read<&'a str> {
        let message = self.message(name)?;
        match std::str::from_utf8(message.raw()) {
            Ok(text) => Ok(text),
            Err(error) => fail(name, message.at + error.valid_up_to(), "text is not UTF-8"),
        }
    }

    /// Appends a repeated 8-byte number: one value, or many packed.
    pub(crate) fn fixed64s(&self, name: &str, out: &mut Vec<u64>) -> Read<()> {
        match self.held {
            Held::Fixed64 => out.push(self.bits),
            Held::Bytes => {
                let (values, rest) = self.bytes.raw().as_chunks::<8>();
                if !rest.is_empty() {
                    return fail(name, self.bytes.end, "packed values of 8 bytes end inside one");
                }
                out.extend(values.iter().map(|value| u64::from_le_bytes(*value)));
            }
            _ => return self.mistyped(name, "8 bytes or packed ones"),
        }
        Ok(())
    }

    /// Appends a repeated varint: one value, or many packed. Reads on but keeps no more when `out` has `len_max` of them.
    pub(crate) fn varints(&self, name: &str, len_max: usize, out: &mut Vec<u64>) -> Read<()> {
        let mut keep = |value| {
            if out.len() < len_max {
                out.push(value);
            }
        };
        match self.held {
            Held::Varint => keep(self.bits),
            Held::Bytes => {
                let mut packed = self.bytes;
                while packed.at < packed.end {
                    keep(packed.varint()?);
                }
            }
            _ => return self.mistyped(name, "varints"),
        }
        Ok(())
    }
}
